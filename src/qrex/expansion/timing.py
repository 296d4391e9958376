"""How steady this host's clock work is, and what working side by side brought.

In: nothing, or spans of work. Out: durations of a fixed computation, repeated through the job, and their 95 % range
relative to the median: shared machines vary by tens of percent, and a makespan from one run carries this range as
its interval. And the length of the time in which any of the spans was going on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from time import perf_counter

import numpy as np

__all__ = ["spread", "time_fixed_work", "union_seconds"]

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


def union_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of the spans (start, end) was going on; O(n log n).

    >>> union_seconds([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, covered = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, covered))
        covered = max(covered, end)
    return total
