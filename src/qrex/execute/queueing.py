"""The tasks that wait: those short enough to be sent in batches apart from those that are placed one by one.

In: tasks. Out: what the dispatcher of `balance` needs to know of them, and batches. Short ones are sent several
per message because a round trip takes as long as they do; chunks shrink towards the end of the queue so that the
workers finish together (guided self-scheduling: Polychronopoulos and Kuck, IEEE Trans. Comput. 36, 1425, 1987).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from qrex.balance.dispatching import Filler
from qrex.balance.packing import Task as PlacedTask
from qrex.execute.crew import Waiting
from qrex.execute.task import Task

__all__ = ["Queue"]

_SHORT_SECONDS = 0.02
_BATCH_SECONDS, _BATCH_TASKS, _BATCH_BYTES = 0.1, 64, 2**20
_OVERHEAD_SECONDS = 2e-4
_GUESS_SECONDS = 1.0  # where nothing was predicted


@dataclass(frozen=True, slots=True)
class _Placed:
    waiting: Waiting
    seconds: Mapping[int, float]

    @property
    def work(self) -> float:
        return _work(self.seconds)


class Queue:
    """`held_bytes` says what a task will hold; tasks of unknown length are taken in the order they came. `short`
    False: none goes into a batch."""

    def __init__(self, tasks: Iterable[Task], held_bytes: Callable[[Task], int], *, short: bool = True) -> None:
        self._held_bytes, self._batches = held_bytes, short
        self._placed: dict[str, _Placed] = {}
        self._placed_work, self._sorted = 0.0, True
        self._short: deque[Waiting] = deque()
        self._short_seconds, self._short_bytes = 0.0, 0
        for task in tasks:
            self.add(Waiting(task))

    def __bool__(self) -> bool:
        return bool(self._placed or self._short)

    def __len__(self) -> int:
        return len(self._placed) + len(self._short)

    def add(self, waiting: Waiting, *, first: bool = False) -> None:
        seconds = _short_seconds(waiting.task) if self._batches else None
        if seconds is None:
            one = _Placed(waiting, waiting.task.seconds or {waiting.task.threads: _GUESS_SECONDS})
            self._placed[waiting.task.id] = one
            self._placed_work += one.work
            self._sorted = False
            return
        self._short_seconds += seconds
        self._short_bytes = max(self._short_bytes, self._held_bytes(waiting.task))
        if first:
            self._short.appendleft(waiting)
        else:
            self._short.append(waiting)

    @property
    def has_short(self) -> bool:
        return bool(self._short)

    def wants(self, cores: int, memory_bytes: int, worker_bytes: int) -> tuple[int, int]:
        """Cores and bytes that everything waiting could use at once, up to those given."""
        threads, held = len(self._short), min(len(self._short), cores) * (worker_bytes + self._short_bytes)
        for one in self._placed.values():
            if threads >= cores and held >= memory_bytes:
                break
            threads += max(one.seconds)
            held += worker_bytes + self._held_bytes(one.waiting.task)
        return min(threads, cores), min(held, memory_bytes)

    def placed(self, worker_bytes: int, limit: int) -> list[PlacedTask]:
        """The `limit` longest as the dispatcher wants them, each with a worker of `worker_bytes` besides its own."""
        if not self._sorted and self._batches:
            self._placed = dict(sorted(self._placed.items(), key=lambda item: -min(item[1].seconds.values())))
            self._sorted = True
        return [
            PlacedTask(name, one.seconds, worker_bytes + self._held_bytes(one.waiting.task))
            for name, one in islice(self._placed.items(), limit)
        ]

    def filler(self, worker_bytes: int, placed: Sequence[PlacedTask]) -> Filler:
        """Short tasks, and the work of those that are not among `placed`."""
        beyond = 0.0
        if len(placed) < len(self._placed):
            beyond = max(0.0, self._placed_work - sum(_work(one.seconds) for one in placed))
        return Filler(len(self._short), self._short_seconds + beyond, worker_bytes + self._short_bytes)

    def take(self, task_id: str) -> Waiting:
        one = self._placed.pop(task_id)
        self._placed_work = self._placed_work - one.work if self._placed else 0.0
        return one.waiting

    def batch(self, cores: int) -> list[Waiting]:
        """The next short ones for one of `cores` workers."""
        room = min(_BATCH_SECONDS, self._short_seconds / (2 * cores))
        taken = [self._next_short()]
        spent, sent = _short_seconds(taken[0].task) or 0.0, len(taken[0].pickled())
        while self._short and spent < room and len(taken) < _BATCH_TASKS and sent < _BATCH_BYTES:
            taken.append(self._next_short())
            spent += _short_seconds(taken[-1].task) or 0.0
            sent += len(taken[-1].pickled())
        return taken

    def _next_short(self) -> Waiting:
        waiting = self._short.popleft()
        self._short_seconds -= _short_seconds(waiting.task) or 0.0
        if not self._short:
            self._short_seconds, self._short_bytes = 0.0, 0
        return waiting


def _short_seconds(task: Task) -> float | None:
    """Predicted seconds on one thread of a task that goes into batches; None for one that is placed."""
    if task.seconds is None or 1 not in task.seconds or task.seconds[1] > _SHORT_SECONDS:
        return None
    return task.seconds[1] + _OVERHEAD_SECONDS


def _work(seconds: Mapping[int, float]) -> float:
    """Core-seconds on the thriftiest thread count."""
    return min(threads * one for threads, one in seconds.items())
