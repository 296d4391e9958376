"""Cost constants: measured with tiny runs, and the rule that without them an engine gives no estimate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from qrex.errors import EngineError

__all__ = ["best_seconds", "require_constants", "waited_seconds"]

_REPEAT_SECONDS = 0.01
_LONG_SECONDS = 0.4
_MOST_REPEATS = 25


class _Costed(Protocol):
    name: str
    constants: Mapping[str, float]
    constant_names: tuple[str, ...]


def require_constants(engine: _Costed) -> Mapping[str, float]:
    """The engine's constants; raises EngineError naming those that were not measured."""
    missing = [name for name in engine.constant_names if name not in engine.constants]
    if missing:
        raise EngineError(
            f"{engine.name} has no measured cost constants {', '.join(missing)}; run `qrex calibrate` first"
        )
    return engine.constants


def best_seconds(action: Callable[[], object], repeats: int = 3) -> float:
    """Wall seconds of `action`, less what this thread waited for a processor: the smallest of `repeats`, of as many
    more as fit into some milliseconds, or of two where that takes long already. Other work only ever adds."""
    best, began = float("inf"), time.perf_counter()
    for number in range(_MOST_REPEATS):
        spent = time.perf_counter() - began
        if (number >= repeats and spent > _REPEAT_SECONDS) or (number >= 2 and spent > _LONG_SECONDS):
            break
        waited, used, start = waited_seconds(), time.thread_time(), time.perf_counter()
        action()
        seconds = time.perf_counter() - start
        used, waited = time.thread_time() - used, waited_seconds() - waited
        best = min(best, max(seconds - waited, min(used, seconds)))
    return best


def waited_seconds() -> float:
    """How long this thread has been ready to run while others had the processors, since it began; 0 where the
    system does not tell. Reference: the Linux kernel's documentation, scheduler/sched-stats."""
    try:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as told:
            return int(told.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0
