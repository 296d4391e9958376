"""How steady this host's clock work is: the spread of a fixed computation, repeated through the job.

In: nothing. Out: durations, and their 95 % range relative to the median. Shared machines vary by tens of
percent; a makespan from one run carries this range as its interval.
"""

from __future__ import annotations

import hashlib
from time import perf_counter

import numpy as np

__all__ = ["spread", "time_fixed_work"]

_REPEATS = 6
_BYTES = 2**26


def time_fixed_work() -> list[float]:
    """Seconds of `_REPEATS` equal hashes, some 50 milliseconds each on one core."""
    block = bytes(_BYTES)
    seconds = []
    for _ in range(_REPEATS):
        began = perf_counter()
        hashlib.sha256(block).digest()
        seconds.append(perf_counter() - began)
    return seconds


def spread(seconds: list[float]) -> tuple[float, float]:
    """2.5th and 97.5th percentile over the median.

    >>> spread([1.0, 1.0, 1.0])
    (1.0, 1.0)
    """
    low, middle, high = np.percentile(seconds, [2.5, 50, 97.5])
    return float(low / middle), float(high / middle)
