"""What to start now, and on how many threads: asked again whenever a task starts or ends.

In: the tasks that wait with their predicted seconds by thread count, those that run with the seconds they have
left, the cores and bytes that may be used. Out: a `Dispatch`. Pure: the same inputs give the same answer, and a
wrong prediction is put right at the next call, because the call sees what really runs.

Method: the smallest makespan T is found at which the core-seconds of all tasks, each on the thriftiest thread
count that ends within T, fill the cores no longer than T (the dual approximation of moldable scheduling: Turek,
Wolf and Yu, SPAA 1992). Tasks start in this shape, longest first; one that needs every core waits for the others,
which costs nothing and answers the short ones first. Cores that nothing else can use go to what is being started,
so that the last tasks of a workload are the widest. O(n log n) for n waiting tasks, nearly always O(n).

Where few tasks are left and they are long, this rule and the schedules that `pack` would try are each played to
the end, and the one that ends first decides: O(n³) for n at most 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qrex.balance.packing import Placement, Task, place

__all__ = ["Dispatch", "Filler", "Running", "Start", "dispatch"]

_WORTH = 0.97
"""More threads are taken where they bring the seconds below this part."""

_FEW, _LONG_SECONDS = 12, 0.3
"""So few tasks with so many seconds of work are played to the end: milliseconds of thought must not matter."""


@dataclass(frozen=True, slots=True)
class Running:
    """A task that runs: what it holds, and the seconds it is expected to hold it."""

    threads: int
    peak_bytes: int
    left_seconds: float


@dataclass(frozen=True, slots=True)
class Filler:
    """Tasks too short to be placed one by one: so many core-seconds, on one core each, cut anywhere. Seconds
    without tasks are work that is waiting too and is not offered now."""

    tasks: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    task_id: str
    threads: int


@dataclass(frozen=True, slots=True)
class Dispatch:
    """`starts`: placed tasks to start now. `filler_cores`: so many cores take short tasks now."""

    starts: tuple[Start, ...]
    filler_cores: int


@dataclass(frozen=True, slots=True)
class _Shaped:
    task: Task
    options: Mapping[int, float]
    threads: int

    @property
    def seconds(self) -> float:
        return self.options[self.threads]


def dispatch(
    waiting: Sequence[Task],
    running: Sequence[Running],
    cores: int,
    memory_bytes: int,
    filler: Filler | None = None,
) -> Dispatch:
    """Decide for this moment. Where nothing runs, something is started if its bytes fit at all: a task that wants
    more threads than `cores` then starts on the fewest it takes."""
    decision = _by_rule(waiting, running, cores, memory_bytes, filler or Filler())
    if (filler is not None and filler.seconds) or not 1 < len(waiting) + len(running) <= _FEW or not waiting:
        return decision
    if sum(min(one.seconds.values()) for one in waiting) < _LONG_SECONDS:
        return decision
    return _played(waiting, running, cores, memory_bytes, decision)


def _by_rule(
    waiting: Sequence[Task], running: Sequence[Running], cores: int, memory_bytes: int, filler: Filler
) -> Dispatch:
    free = cores - sum(one.threads for one in running)
    free_bytes = memory_bytes - sum(one.peak_bytes for one in running)
    if free <= 0 or not (waiting or filler.tasks):
        return Dispatch((), 0)
    order = _shaped(waiting, running, cores, filler)
    started: list[_Shaped] = []
    left: list[_Shaped] = []
    filled = 0
    # Stable: those that need every core come last, and short tasks in between.
    order.sort(key=lambda one: one.threads >= cores > 1)
    for one in order:
        if one.threads >= cores > 1:
            filled, free, free_bytes = _fill(filler, filled, free, free_bytes)
        if one.threads <= free and one.task.peak_bytes <= free_bytes:
            started.append(one)
            free -= one.threads
            free_bytes -= one.task.peak_bytes
        else:
            left.append(one)
    filled, free, free_bytes = _fill(filler, filled, free, free_bytes)
    if free > 0 and filled >= filler.tasks:
        busy = [*running, *(Running(one.threads, one.task.peak_bytes, one.seconds) for one in started)]
        narrowed = _not_worth_waiting_for(left, busy, free, free_bytes)
        if narrowed is not None:
            started.append(narrowed)
            free -= narrowed.threads
        elif all(one.task.peak_bytes > free_bytes for one in left):
            started = _widened(started, free)
    if not (started or filled or running) and order:
        # More threads than there are, for now: better late on few cores than never.
        first = min(order, key=lambda one: (min(one.options), -one.seconds))
        if first.task.peak_bytes <= free_bytes:
            started.append(_Shaped(first.task, first.options, min(first.options)))
    return Dispatch(tuple(Start(one.task.id, one.threads) for one in started), filled)


def _fill(filler: Filler, filled: int, free: int, free_bytes: int) -> tuple[int, int, int]:
    while filled < filler.tasks and free > 0 and filler.peak_bytes <= free_bytes:
        filled, free, free_bytes = filled + 1, free - 1, free_bytes - filler.peak_bytes
    return filled, free, free_bytes


def _played(
    waiting: Sequence[Task], running: Sequence[Running], cores: int, memory_bytes: int, decision: Dispatch
) -> Dispatch:
    """Whichever starts lead to the shortest makespan: `decision`, or the first ones of a list schedule."""
    options = {task.id: _usable(task.seconds, cores) for task in waiting}
    fitting = [task for task in waiting if min(options[task.id]) <= cores and task.peak_bytes <= memory_bytes]
    if not fitting:
        return decision
    by_length = sorted(fitting, key=lambda task: -min(options[task.id].values()))
    # What is due this moment is running all the same.
    already = [Placement("", one.threads, 0.0, max(one.left_seconds, 1e-9), one.peak_bytes) for one in running]
    least = _to_the_end(waiting, running, cores, memory_bytes)
    for widened in range(len(by_length) + 1):
        chosen = {
            task.id: _fastest(options[task.id]) if number < widened else _thriftiest(options[task.id])
            for number, task in enumerate(by_length)
        }
        placed = place(by_length, options, chosen, cores, memory_bytes, already)
        makespan = max([one.end_seconds for one in placed] + [one.left_seconds for one in running])
        if makespan < least * (1 - 1e-9):
            least = makespan
            starts = (one for one in placed if one.start_seconds == 0.0)
            decision = Dispatch(tuple(Start(one.task_id, one.threads) for one in starts), 0)
    return decision


def _to_the_end(waiting: Sequence[Task], running: Sequence[Running], cores: int, memory_bytes: int) -> float:
    """The makespan where the rule decides every time; infinite where it leaves something that never fits."""
    left, busy, now = {task.id: task for task in waiting}, list(running), 0.0
    while left or busy:
        for start in _by_rule(list(left.values()), busy, cores, memory_bytes, Filler()).starts:
            task = left.pop(start.task_id)
            busy.append(Running(start.threads, task.peak_bytes, task.seconds[start.threads]))
        if not busy:
            return float("inf")
        step = min(one.left_seconds for one in busy)
        now += step
        busy = [
            Running(one.threads, one.peak_bytes, one.left_seconds - step) for one in busy if one.left_seconds > step
        ]
    return now


def _shaped(waiting: Sequence[Task], running: Sequence[Running], cores: int, filler: Filler) -> list[_Shaped]:
    """Every waiting task with the thread count that fits the best makespan, longest first."""
    options = [_usable(task.seconds, cores) for task in waiting]
    thrifty = [_thriftiest(one) for one in options]
    busy = filler.seconds + sum(one.threads * one.left_seconds for one in running)
    floor = max(
        [min(one.values()) for one in options] + [one.left_seconds for one in running], default=0.0
    )  # fmt: skip
    makespan = max(
        floor, (busy + sum(t * one[t] for one, t in zip(options, thrifty, strict=True))) / cores
    )
    if any(one[t] > makespan for one, t in zip(options, thrifty, strict=True)):
        makespan = _least_makespan(options, busy, floor, cores)
        thrifty = [_thriftiest_within(one, makespan) for one in options]
    shaped = [_Shaped(task, one, t) for task, one, t in zip(waiting, options, thrifty, strict=True)]
    return sorted(shaped, key=lambda one: -one.seconds)  # equal ones stay in the order they came in


def _usable(seconds: Mapping[int, float], cores: int) -> dict[int, float]:
    """Thread counts within `cores` of which each is faster than the narrower ones; never empty."""
    kept: dict[int, float] = {}
    best = float("inf")
    for threads in sorted(seconds):
        if kept and (threads > cores or seconds[threads] >= _WORTH * best):
            continue
        kept[threads] = best = seconds[threads]
    return kept


def _thriftiest(options: Mapping[int, float]) -> int:
    return min(options, key=lambda threads: (threads * options[threads], threads))


def _thriftiest_within(options: Mapping[int, float], makespan: float) -> int:
    """The thread count of least work among those that end in time; the fastest where none does."""
    in_time = {threads: seconds for threads, seconds in options.items() if seconds <= makespan}
    return _thriftiest(in_time) if in_time else _fastest(options)


def _fastest(options: Mapping[int, float]) -> int:
    return min(options, key=lambda threads: (options[threads], threads))


def _least_makespan(options: Sequence[Mapping[int, float]], busy: float, floor: float, cores: int) -> float:
    """The work falls only where T passes a task's seconds on some thread count: bisection over those."""

    def work(makespan: float) -> float:
        chosen = (_thriftiest_within(one, makespan) for one in options)
        return busy + sum(t * one[t] for one, t in zip(options, chosen, strict=True))

    steps = sorted({floor, *(s for one in options for s in one.values() if s > floor)})
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if work(steps[middle]) <= cores * steps[middle]:
            high = middle
        else:
            low = middle + 1
    # Between the step before and this one the work is constant: T may lie anywhere there.
    before = steps[low - 1] if low else steps[low]
    return min(steps[low], max(before, work(before) / cores)) if low else steps[low]


def _not_worth_waiting_for(
    left: Sequence[_Shaped], busy: Sequence[Running], free: int, free_bytes: int
) -> _Shaped | None:
    """The longest task that ends sooner on the few cores that are free now than on those it would wait for."""
    for one in left:
        narrow = {threads: seconds for threads, seconds in one.options.items() if threads <= free}
        if not narrow or one.task.peak_bytes > free_bytes:
            continue
        threads = min(narrow, key=lambda t: (narrow[t], t))
        if narrow[threads] <= _free_after(busy, one.threads - free) + one.seconds:
            return _Shaped(one.task, one.options, threads)
    return None


def _free_after(busy: Sequence[Running], missing: int) -> float:
    """Seconds until `missing` more cores are free."""
    for one in sorted(busy, key=lambda running: running.left_seconds):
        missing -= one.threads
        if missing <= 0:
            return one.left_seconds
    return float("inf")


def _widened(started: Sequence[_Shaped], free: int) -> list[_Shaped]:
    """`started` with idle cores given to whichever is then the longest, as long as it gains by them."""
    shapes = list(started)
    stuck: set[int] = set()
    while free > 0 and len(stuck) < len(shapes):
        place = max((p for p in range(len(shapes)) if p not in stuck), key=lambda p: shapes[p].seconds)
        one = shapes[place]
        wider = [t for t in one.options if one.threads < t <= one.threads + free]
        if not wider:
            stuck.add(place)
            continue
        free -= min(wider) - one.threads
        shapes[place] = _Shaped(one.task, one.options, min(wider))
    return shapes
