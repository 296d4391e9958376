"""What goes into a pool and what comes out of it.

In: nothing. Out: `Task`, `Grant` and `Outcome`, frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from qrex.errors import QrexError
from qrex.telemetry import Stretch

__all__ = ["Grant", "Grantable", "Outcome", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """`function(*arguments, progress)` in a worker.

    `seconds` predicts its time by thread count, for the counts that it may be given; None: it runs on `threads`
    and nothing is known of its time. `memory_bytes` is what it may add to what the worker holds already; None:
    not known, one core's share. An argument with a method `granted` (see `Grantable`) is told what was granted.

    A function that returns a `Task` of its own id goes on as that one: what a task needs may show only when it
    has been looked at, and looking is better done in a worker too.
    """

    id: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    threads: int = 1
    memory_bytes: int | None = None
    wall_seconds: float | None = None
    seconds: Mapping[int, float] | None = None

    @property
    def least_threads(self) -> int:
        return min(self.seconds) if self.seconds else self.threads


@dataclass(frozen=True, slots=True)
class Grant:
    """What a task was given when it started."""

    threads: int
    memory_bytes: int


@runtime_checkable
class Grantable(Protocol):
    """An argument that depends on what is granted: the worker passes on what `granted` returns."""

    def granted(self, threads: int, memory_bytes: int) -> Self: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: `value`, or `error` (then `value` is None).

    `started` and `finished` are from `time.monotonic`, in the worker and here; `seconds` is what the function
    took in the worker. `base_rss_bytes` was resident in the worker before, `peak_rss_bytes` at most while it ran,
    and `peak_bytes` is the growth between the two: a warm worker reuses memory that it holds, so the growth of a
    small task may say nothing. `lost`: the worker died or was stopped, so that the same task might end otherwise
    another time. `breach`: it ended for want of memory, because a limit was enforced, because the engine refused to
    pass it, or because it died or failed under the limit in a way that native code does then; with more memory,
    or elsewhere, it may succeed. `stretches`: which worker held what meanwhile, one for each task that it went on
    as.
    """

    id: str
    value: Any
    error: QrexError | None
    started: float
    finished: float
    seconds: float
    peak_bytes: int
    base_rss_bytes: int = 0
    peak_rss_bytes: int = 0
    lost: bool = False
    breach: bool = False
    grant: Grant = Grant(1, 0)
    stretches: tuple[Stretch, ...] = ()
