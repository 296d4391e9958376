"""Independent circuits side by side on one machine, within its memory.

In: tasks with their predicted seconds by thread count and their predicted peak bytes. Out: a `Schedule`: when
each starts and on how many threads, the predicted makespan, and a lower bound that no schedule can beat.

Method: list scheduling, longest first (Graham, SIAM J. Appl. Math. 17, 416, 1969), for every choice of how
many of the longest tasks get their fastest thread count while the others take their most efficient one.
Predicted peaks of what runs at the same time never exceed the memory. O(tasks² × choices).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qrex.errors import InfeasibleError, InputError
from qrex.units import format_bytes

__all__ = ["Placement", "Schedule", "Task", "pack", "place"]

_CHOICES = 33


@dataclass(frozen=True, slots=True)
class Task:
    """One circuit to run: `seconds` by number of threads, for the thread counts that it may use."""

    id: str
    seconds: Mapping[int, float]
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Placement:
    """When a task runs and on how many threads; times are seconds from the start of the schedule."""

    task_id: str
    threads: int
    start_seconds: float
    end_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Placements in order of start. `peak_bytes` is the largest sum of predicted peaks at any moment."""

    placements: tuple[Placement, ...]
    makespan_seconds: float
    lower_bound_seconds: float
    peak_bytes: int


def pack(tasks: Sequence[Task], cores: int, memory_bytes: int) -> Schedule:
    """The best schedule found for `tasks` on `cores` cores and `memory_bytes`.

    Raises InfeasibleError where one task alone does not fit, saying what would make it fit, and InputError on
    repeated ids or a task without a thread count.
    """
    options = _options(tasks, cores, memory_bytes)
    if not tasks:
        return Schedule((), 0.0, 0.0, 0)
    by_length = sorted(tasks, key=lambda task: (-min(options[task.id].values()), task.id))
    best: list[Placement] | None = None
    for widened in _choices(len(by_length)):
        chosen = {
            task.id: _fastest(options[task.id]) if place < widened else _thriftiest(options[task.id])
            for place, task in enumerate(by_length)
        }
        placed = place(by_length, options, chosen, cores, memory_bytes)
        if best is None or _makespan(placed) < _makespan(best):
            best = placed
    assert best is not None  # there is at least one choice
    return Schedule(
        tuple(sorted(best, key=lambda placement: (placement.start_seconds, placement.task_id))),
        _makespan(best),
        _lower_bound(tasks, options, cores, memory_bytes),
        _peak(best),
    )


def _options(tasks: Sequence[Task], cores: int, memory_bytes: int) -> dict[str, dict[int, float]]:
    """Usable thread counts of each task, after checking that each task fits alone."""
    options: dict[str, dict[int, float]] = {}
    for task in tasks:
        if task.id in options or not task.seconds:
            raise InputError(f"task {task.id!r} is given twice or has no thread count; ids must differ")
        if task.peak_bytes > memory_bytes:
            raise InfeasibleError(
                f"{task.id} needs {format_bytes(task.peak_bytes)}; {format_bytes(memory_bytes)} may be used; "
                f"allow {format_bytes(task.peak_bytes)} with --memory"
            )
        usable = {threads: seconds for threads, seconds in task.seconds.items() if threads <= cores}
        if not usable:
            raise InfeasibleError(
                f"{task.id} needs {min(task.seconds)} threads; {cores} cores may be used; "
                f"allow {min(task.seconds)} with --threads"
            )
        options[task.id] = usable
    return options


def _choices(count: int) -> list[int]:
    """How many of the longest tasks to widen: every number, or an even spread of them for many tasks."""
    if count < _CHOICES:
        return list(range(count + 1))
    return sorted({round(count * part / (_CHOICES - 1)) for part in range(_CHOICES)} | {1, 2, 3})


def _fastest(seconds: Mapping[int, float]) -> int:
    return min(seconds, key=lambda threads: (seconds[threads], threads))


def _thriftiest(seconds: Mapping[int, float]) -> int:
    return min(seconds, key=lambda threads: (threads * seconds[threads], threads))


def place(
    order: Sequence[Task],
    options: Mapping[str, Mapping[int, float]],
    chosen: Mapping[str, int],
    cores: int,
    memory_bytes: int,
    already: Sequence[Placement] = (),
) -> list[Placement]:
    """List scheduling: at every moment that something ends, start what fits, in `order`, on `chosen` threads.

    `already` runs from before and ends when it says; it is not among the placements returned.
    """
    waiting = list(order)
    running = list(already)
    placed: list[Placement] = []
    now = 0.0
    while waiting:
        free_cores = cores - sum(placement.threads for placement in running)
        free_bytes = memory_bytes - sum(placement.peak_bytes for placement in running)
        left: list[Task] = []
        for task in waiting:
            threads = chosen[task.id]
            if threads > free_cores or task.peak_bytes > free_bytes:
                left.append(task)
                continue
            end = now + options[task.id][threads]
            placement = Placement(task.id, threads, now, end, task.peak_bytes)
            running.append(placement)
            placed.append(placement)
            free_cores -= threads
            free_bytes -= task.peak_bytes
        waiting = left
        if waiting:
            now = min(placement.end_seconds for placement in running)
            running = [placement for placement in running if placement.end_seconds > now]
    return placed


def _makespan(placed: Sequence[Placement]) -> float:
    return max(placement.end_seconds for placement in placed)


def _peak(placed: Sequence[Placement]) -> int:
    return max(
        sum(other.peak_bytes for other in placed if other.start_seconds <= at.start_seconds < other.end_seconds)
        for at in placed
    )


def _lower_bound(tasks, options, cores: int, memory_bytes: int) -> float:
    """No schedule ends before its longest task, its core-seconds over the cores, its byte-seconds over the
    memory, or the sum of those tasks of which no two fit into memory together."""
    fastest = {task.id: min(options[task.id].values()) for task in tasks}
    core_seconds = sum(min(t * s for t, s in options[task.id].items()) for task in tasks)
    byte_seconds = sum(task.peak_bytes * fastest[task.id] for task in tasks)
    exclusive = sum(fastest[task.id] for task in tasks if 2 * task.peak_bytes > memory_bytes)
    over_memory = byte_seconds / memory_bytes if memory_bytes else 0.0
    return max(max(fastest.values()), core_seconds / cores, over_memory, exclusive)
