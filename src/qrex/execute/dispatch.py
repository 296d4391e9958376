"""What every run pays, whichever engine it is on: the way to a worker and back, and the worker's own memory.

In: a warm pool. Out: the constants `dispatch` (seconds, the median of `_TRIPS` trips of an empty task) and
`resident_bytes` (the largest resident memory of a worker that runs one). Some tens of milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import psutil

from qrex.errors import EngineError
from qrex.execute.pool import Pool
from qrex.execute.task import Task

__all__ = ["dispatch_constants", "resident"]

_TRIPS = 15


def resident(_progress: Callable[[float], None]) -> int:
    """Resident bytes of the process that runs this."""
    return psutil.Process().memory_info().rss


def dispatch_constants(pool: Pool) -> dict[str, float]:
    """{"dispatch": seconds, "resident_bytes": bytes}. Raises EngineError where no worker answers."""
    pool.warm()
    seconds, resident_bytes = [], []
    for trip in range(_TRIPS):
        began = time.perf_counter()
        outcome = pool.run([Task(f"trip {trip}", resident, ())])[f"trip {trip}"]
        seconds.append(time.perf_counter() - began)
        if outcome.error is not None:
            raise EngineError(f"a task of nothing failed in a worker: {outcome.error}")
        resident_bytes.append(outcome.value)
    return {"dispatch": median(seconds), "resident_bytes": float(max(resident_bytes))}
