"""Worker processes that run tasks side by side within cores and memory.

In: `Task`s in order of preference. Out: an `Outcome` for each, as soon as it is there. What starts, and on how
many threads, is decided by `balance.dispatching` whenever something starts or ends; short tasks go out in batches;
memory is accounted as `execute.memory` says, and shared with other pools as `execute.sharing` says. A task that
dies takes its worker with it and nothing else: what its batch had finished stays, what had not begun is run again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from qrex.balance.dispatching import Dispatch, Running, Start, dispatch
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError, QrexError
from qrex.execute.crew import Assigned, Heard, Worker
from qrex.execute.interrupts import deferred_interrupt
from qrex.execute.memory import SLACK_BYTES, WORKER_BYTES
from qrex.execute.queueing import Queue
from qrex.execute.sharing import Lease, Share
from qrex.execute.task import Grant, Outcome, Task, WarmUp
from qrex.units import format_bytes, format_seconds

__all__ = ["Pool"]

_TICK_SECONDS = 0.05
"""Between two looks at the workers' memory and clocks."""

_IDLE_SECONDS = 0.2
"""Between two looks while nothing of this pool runs."""

_KEPT_BYTES = 192 * 2**20
"""A worker that holds so much more than when it was new is replaced: it may be a heap that never shrinks, or a
cache; less is kept, because a new worker takes a second."""

_CONSIDERED = 64
"""So many of the longest waiting tasks are looked at one by one, as long as one of them can start."""

_STUCK_SECONDS, _STUCK_FACTOR = 0.25, 10.0
"""A short task that takes so much longer than predicted has the rest of its batch taken away."""


def _nothing(*_arguments: object) -> None:
    pass


class Pool:
    """Up to `cores` workers, started when first needed. Use as a context manager.

    `memory_bytes` is what all workers together may hold. `warm_up` is called in every new worker before it gets a
    task, so that first-use costs (plugins, caches) are in no task's time, nor in its time limit. `lease` is this
    pool's place among the pools of this user; by default one in the user's runtime folder.

    Raises InfeasibleError where `memory_bytes` is less than a worker takes itself.
    """

    def __init__(
        self,
        cores: int,
        memory_bytes: int,
        warm_up: Callable[[], None] | None = None,
        *,
        lease: Lease | None = None,
    ) -> None:
        self.cores, self.memory_bytes = cores, memory_bytes
        if self.room_bytes <= 0:
            raise InfeasibleError(
                f"{format_bytes(memory_bytes)} of memory were given; one worker process takes "
                f"{format_bytes(WORKER_BYTES + SLACK_BYTES)} itself; allow more with --memory"
            )
        self._lease = lease or Lease(cores, memory_bytes)
        self._warm_ups = [] if warm_up is None else [WarmUp(warm_up)]
        self._workers: list[Worker] = []
        self._finished: deque[Outcome] = deque()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def room_bytes(self) -> int:
        """The most that one task can be given: the memory without its worker's own."""
        return self.memory_bytes - WORKER_BYTES - SLACK_BYTES

    @property
    def share_bytes(self) -> int:
        """One core's share of the memory, its worker's own taken off; on many cores with little memory, what is
        left where half of it goes to workers."""
        workers = min(self.cores, max(1, self.memory_bytes // (2 * (WORKER_BYTES + SLACK_BYTES))))
        return self.memory_bytes // workers - WORKER_BYTES - SLACK_BYTES

    @property
    def running(self) -> dict[str, float]:
        """Ids of the tasks that are going on, and since when (`time.monotonic`)."""
        return {worker.current.task.id: worker.began for worker in self._busy()}

    def close(self) -> None:
        """Stop every worker now; whatever they were doing is lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def is_warm(self, tasks: Sequence[Task] | None = None) -> bool:
        """Whether `warm` has nothing to do."""
        loaded = all(task.warm_up in (None, *self._warm_ups) for task in tasks or ())
        ready = sum(worker.ready for worker in self._workers)
        return loaded and ready == len(self._workers) >= self._wanted(tasks)

    def warm(self, tasks: Sequence[Task] | None = None) -> None:
        """Start the workers, or only those that `tasks` can make use of, with what these need loaded: so that their
        start-up is in nobody's time."""
        self._load(tasks or ())
        wanted = self._wanted(tasks)
        while len(self._workers) < wanted:
            self._workers.append(Worker.start(self._warm_ups))
        with deferred_interrupt() as check:
            while not all(worker.ready for worker in self._workers):
                check()
                self._listen(_nothing)

    def _wanted(self, tasks: Sequence[Task] | None) -> int:
        most = min(self.cores, max(1, self.memory_bytes // (2 * WORKER_BYTES)))
        return most if tasks is None else min(most, len(tasks))

    def _load(self, tasks: Sequence[Task]) -> None:
        """From now on every worker has what `tasks` need; those that were started without it are ended."""
        needed = dict.fromkeys(task.warm_up for task in tasks if task.warm_up is not None)
        missing = [warm_up for warm_up in needed if warm_up not in self._warm_ups]
        if missing:
            self._warm_ups += missing
            for worker in list(self._workers):
                self._dismiss(worker)

    def run(
        self,
        tasks: Sequence[Task],
        on_done: Callable[[Outcome], None] = _nothing,
        on_progress: Callable[[str, float], None] = _nothing,
        *,
        side_by_side: bool = True,
        on_tick: Callable[[], None] = _nothing,
    ) -> dict[str, Outcome]:
        """Run `tasks`; `on_tick` is called between them, at least every 50 ms while anything runs.

        `side_by_side=False` runs one at a time, in their order. Raises InfeasibleError where a task alone exceeds
        the pool; a task's own failure is in its outcome. On Ctrl-C, and where a callback raises, everything that
        is finished by then is still given to `on_done`.
        """
        for task in tasks:
            self._check(task)
        self._load(tasks)
        queue = Queue(tasks, self._held_bytes, short=side_by_side)
        outcomes: dict[str, Outcome] = {}
        try:
            with deferred_interrupt() as check:
                while queue or self._busy():
                    check()
                    self._start(queue, side_by_side)
                    self._listen(on_progress, queue)
                    while self._finished:
                        outcome = self._finished.popleft()
                        outcomes[outcome.id] = outcome
                        on_done(outcome)
                    on_tick()
        except BaseException:
            self._rescue(on_done)
            self.close()  # a worker in the middle of a task cannot be told to stop
            raise
        finally:
            self._lease.leave()
        return outcomes

    def _rescue(self, on_done: Callable[[Outcome], None]) -> None:
        """Hand over what is finished and was not handed over; the first error is the one that is raised."""
        for worker in self._workers:
            self._finished.extend(one.outcome() for one in worker.hear_all() if not one.goes_on)
        while self._finished:
            try:
                on_done(self._finished.popleft())
            except BaseException:  # the next one may be kept all the same
                continue

    def _check(self, task: Task) -> None:
        if task.least_threads > self.cores or (task.memory_bytes or 0) > self.memory_bytes:
            raise InfeasibleError(
                f"{task.id} needs {task.least_threads} threads and {format_bytes(task.memory_bytes or 0)}; there are "
                f"{self.cores} cores and {format_bytes(self.memory_bytes)}; allow more with --cores and --memory"
            )

    def _allotted_bytes(self, task: Task) -> int:
        """What asks for nearly all gets what its worker leaves; what does not know gets a share."""
        return min(self.share_bytes if task.memory_bytes is None else task.memory_bytes, self.room_bytes)

    def _held_bytes(self, task: Task) -> int:
        return self._allotted_bytes(task) + SLACK_BYTES

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.busy]

    # Starting ----------------------------------------------------------------------------------------

    def _start(self, queue: Queue, side_by_side: bool) -> None:
        busy = self._busy()
        if not queue or (busy and not side_by_side) or sum(w.threads for w in busy) >= self.cores:
            return
        now = time.monotonic()
        running = [Running(w.threads, w.base_bytes + w.held_bytes, w.left_seconds(now)) for w in busy]
        want_cores, want_bytes = queue.wants(self.cores, self.memory_bytes, WORKER_BYTES)
        threads, held = sum(one.threads for one in running), sum(one.peak_bytes for one in running)
        with self._lease.turn(threads + want_cores, held + want_bytes) as turn:
            decision, memory_bytes = self._decide(queue, running, turn.share, side_by_side)
            sent = self._carry_out(decision, queue, memory_bytes)
            turn.hold(
                threads + sum(grants[0].grant.threads for _, grants, _ in sent),
                sum(worker.base_bytes + worker.held_bytes for worker in self._workers)
                + sum(held_bytes for _, _, held_bytes in sent),
            )
        for worker, batch, held_bytes in sent:
            if not worker.send(batch, held_bytes):
                self._dismiss(worker)  # it died while it was idle: that is no fault of these tasks
                for one in reversed(batch):
                    queue.add(one.waiting, first=True)

    def _decide(
        self, queue: Queue, running: list[Running], share: Share, side_by_side: bool
    ) -> tuple[Dispatch, int]:
        """What to start, and within how many bytes of all workers. A pool that has nothing running, and nothing
        that fits its share, may take what no other pool holds; and all of its own where no other runs anything,
        since two that wait for each other would wait for ever."""
        memories = [share.memory_bytes]
        if not running:
            memories += [share.free_bytes] + [self.memory_bytes] * share.idle_elsewhere
        for memory_bytes in memories:
            for limit in (_CONSIDERED, len(queue)) if side_by_side else (1,):
                placed = queue.placed(WORKER_BYTES, limit)
                filler = queue.filler(WORKER_BYTES, placed)
                decision = dispatch(placed, running, share.cores, memory_bytes, filler)
                # Where the longest ones do not fit beside each other, all are looked at.
                if decision.starts or decision.filler_cores:
                    return decision, memory_bytes
        return decision, memory_bytes

    def _carry_out(
        self, decision: Dispatch, queue: Queue, memory_bytes: int
    ) -> list[tuple[Worker, list[Assigned], int]]:
        """Batches for workers that are ready; where one is missing it is started, and waited for."""
        sent: list[tuple[Worker, list[Assigned], int]] = []
        wanted: list[Start | None] = [*decision.starts, *[None] * decision.filler_cores]
        idle = [worker for worker in self._workers if worker.ready and not worker.busy]
        starting = sum(not worker.ready for worker in self._workers)
        for start in wanted:
            if not idle:
                missing = len(wanted) - len(sent) - starting
                for _ in range(min(missing, self.cores - len(self._workers))):
                    self._workers.append(Worker.start(self._warm_ups))
                break
            worker = min(idle, key=lambda one: one.base_bytes)
            idle.remove(worker)
            if start is not None:
                batch, threads = [queue.take(start.task_id)], start.threads
            elif queue.has_short:
                batch, threads = queue.batch(self.cores), 1
            else:
                break
            assigned = [Assigned(one, Grant(threads, self._allotted_bytes(one.task))) for one in batch]
            held = max(one.grant.memory_bytes for one in assigned) + SLACK_BYTES
            sent.append((worker, assigned, held))
            self._make_room(memory_bytes - sum(one[2] for one in sent), idle)
        return sent

    def _make_room(self, memory_bytes: int, idle: list[Worker]) -> None:
        """End idle workers, the largest first, until all others and what they run fit."""
        def held() -> int:
            return sum(worker.base_bytes + worker.held_bytes for worker in self._workers)

        while idle and held() > memory_bytes:
            worker = max(idle, key=lambda one: one.base_bytes)
            idle.remove(worker)
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> int:
        highest = worker.end()
        worker.connection.close()
        self._workers.remove(worker)
        return highest

    # Listening ---------------------------------------------------------------------------------------

    def _listen(self, on_progress: Callable[[str, float], None], queue: Queue | None = None) -> None:
        """Hear what workers have to say, end what passed its limits; finished ones go to `_finished`."""
        listening = [worker for worker in self._workers if worker.busy or not worker.ready]
        heard = set(wait([worker.connection for worker in listening], self._timeout()))
        for worker in listening:
            if worker.connection not in heard:
                continue
            try:
                while True:
                    self._take(worker, worker.hear(), on_progress, queue)
                    if not worker.connection.poll():
                        break
            except (EOFError, OSError):
                reason, suspected = worker.how_it_died()
                if not worker.ready:
                    self._dismiss(worker)
                    raise EngineError(f"no worker can be started: {reason}") from None
                self._bury(worker, EngineError(reason), queue, lost=True, breach=suspected)
                continue
            if worker.ready and not worker.busy and worker.base_bytes > worker.first_base_bytes + _KEPT_BYTES:
                self._dismiss(worker)
        for worker in self._busy():
            self._enforce(worker, queue)

    def _timeout(self) -> float:
        busy = self._busy()
        if not busy:
            return _IDLE_SECONDS
        limits = (one.began + one.current.task.wall_seconds for one in busy if one.current.task.wall_seconds)
        return max(0.0, min(_TICK_SECONDS, min(limits, default=float("inf")) - time.monotonic()))

    def _take(
        self, worker: Worker, heard: Heard | None, on_progress: Callable[[str, float], None], queue: Queue | None
    ) -> None:
        if heard is None:
            return
        if heard.figures is None:
            on_progress(heard.assigned.task.id, heard.fraction)
            return
        if not worker.busy:
            worker.held_bytes = worker.threads = 0
        self._settle(heard, queue)

    def _settle(self, heard: Heard, queue: Queue | None) -> None:
        if queue is None or not heard.goes_on:
            self._finished.append(heard.outcome())
            return
        try:
            self._check(heard.value)
        except InfeasibleError as error:
            self._finished.append(heard.outcome(error))
        else:
            queue.add(heard.what_is_next())

    def _enforce(self, worker: Worker, queue: Queue | None) -> None:
        assigned, now = worker.current, time.monotonic()
        resident = worker.seen_bytes = worker.resident_now
        limit = worker.base_bytes + assigned.grant.memory_bytes + SLACK_BYTES
        wall = assigned.task.wall_seconds
        late = wall is not None and now >= worker.began + wall
        if resident <= limit and not late:
            predicted = (assigned.task.seconds or {}).get(assigned.grant.threads, 0.0)
            stuck = now - worker.began > max(_STUCK_SECONDS, _STUCK_FACTOR * predicted)
            # A parent that was held up itself finds answers waiting: those are heard first.
            if len(worker.batch) > 1 and stuck and queue is not None and not worker.connection.poll():
                for one in reversed(worker.take_back()):
                    queue.add(one.waiting, first=True)
            return
        if worker.connection.poll():
            return  # it may have ended: that is heard first
        if resident > limit:
            allowed, held = format_bytes(assigned.grant.memory_bytes), format_bytes(resident - worker.base_bytes)
            error: QrexError = MemoryLimitError(
                f"went past its memory limit of {allowed}: it held {held} and was stopped; give it more with --memory"
            )
            self._bury(worker, error, queue, lost=False, breach=True)
        else:
            self._bury(worker, EngineError(f"took longer than {format_seconds(wall)}"), queue, lost=True, breach=False)

    def _bury(self, worker: Worker, error: QrexError, queue: Queue | None, *, lost: bool, breach: bool) -> None:
        """End `worker`: the task that it was running is to blame; what it had finished counts, and what had not
        begun is run again."""
        highest = max(worker.end(), worker.seen_bytes)
        for heard in worker.hear_all():
            self._settle(heard, queue)
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.busy:
            return
        _, assigned = worker.batch.popleft()
        for _, one in reversed(worker.batch):
            queue.add(one.waiting, first=True)
        worker.batch.clear()
        self._finished.append(worker.blamed(assigned, error, highest, lost=lost, breach=breach))
