"""Worker processes that run tasks side by side within cores and memory.

In: `Task`s in order of preference. Out: an `Outcome` for each, as soon as it is there. A task that dies takes
its worker with it and nothing else. Starting: one process imports the heavy packages, workers fork from it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from qrex.errors import EngineError, InfeasibleError, QrexError
from qrex.execute.worker import PRELOAD, serve
from qrex.units import format_bytes, format_seconds

__all__ = ["Outcome", "Pool", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """`function(*arguments, progress)` in a worker. `memory_bytes` None: not limited and not counted."""

    id: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    threads: int = 1
    memory_bytes: int | None = None
    wall_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: `value`, or `error` (then `value` is None). Times are from `time.monotonic`.

    `lost`: the worker died or was stopped, so that the same task might end otherwise another time.
    """

    id: str
    value: Any
    error: QrexError | None
    started: float
    finished: float
    peak_bytes: int
    lost: bool = False

    @property
    def seconds(self) -> float:
        return self.finished - self.started


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    task: Task | None = None
    started: float = 0.0


class Pool:
    """Up to `cores` workers, started when first needed. Use as a context manager.

    `warm_up` is called in every new worker before it gets a task, so that first-use costs (plugins, caches)
    are in no task's time, nor in its time limit.
    """

    def __init__(self, cores: int, memory_bytes: int, warm_up: Callable[[], None] | None = None) -> None:
        self.cores, self.memory_bytes, self._warm_up = cores, memory_bytes, warm_up
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOAD))
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop every worker now; whatever they were doing is lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def warm(self) -> None:
        """Start all workers, so that their start-up is in nobody's time."""
        while len(self._workers) < self.cores:
            self._start_worker()
        while not all(worker.ready for worker in self._workers):
            self._collect(lambda _id, _fraction: None)

    def run(
        self,
        tasks: Sequence[Task],
        on_done: Callable[[Outcome], None] = lambda _outcome: None,
        on_progress: Callable[[str, float], None] = lambda _id, _fraction: None,
        *,
        side_by_side: bool = True,
    ) -> dict[str, Outcome]:
        """Run `tasks`, starting the first one in the list that fits the free cores and bytes.

        `side_by_side=False` runs one at a time. Raises InfeasibleError where a task alone exceeds the pool;
        a task's own failure is in its outcome.
        """
        for task in tasks:
            self._check(task)
        waiting, outcomes = list(tasks), {}
        try:
            while waiting or self._busy():
                self._start_what_fits(waiting, side_by_side)
                for outcome in self._collect(on_progress):
                    outcomes[outcome.id] = outcome
                    on_done(outcome)
        except BaseException:
            self.close()  # a worker in the middle of a task cannot be told to stop
            raise
        return outcomes

    def _check(self, task: Task) -> None:
        if task.threads > self.cores or (task.memory_bytes or 0) > self.memory_bytes:
            raise InfeasibleError(
                f"{task.id} needs {task.threads} threads and {format_bytes(task.memory_bytes or 0)}; there are "
                f"{self.cores} cores and {format_bytes(self.memory_bytes)}; allow more with --cores and --memory"
            )

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _start_what_fits(self, waiting: list[Task], side_by_side: bool) -> None:
        for task in list(waiting):
            running = [worker.task for worker in self._busy()]
            if running and not side_by_side:
                return
            threads = sum(other.threads for other in running)
            held = sum(other.memory_bytes or 0 for other in running)
            if threads + task.threads > self.cores or held + (task.memory_bytes or 0) > self.memory_bytes:
                continue
            worker = next((w for w in self._workers if w.task is None and w.ready), None)
            if worker is None:
                if all(w.ready for w in self._workers):
                    self._start_worker()
                return  # until it is warm
            waiting.remove(task)
            worker.task, worker.started = task, time.monotonic()
            # A worker that died while idle refuses: `_collect` then sees its closed pipe and says so.
            with contextlib.suppress(OSError):
                worker.connection.send((task.function, task.arguments, task.memory_bytes))

    def _start_worker(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._warm_up), daemon=True)
        with _main_module_hidden():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _collect(self, on_progress: Callable[[str, float], None]) -> list[Outcome]:
        busy = self._busy()
        listening = [worker for worker in self._workers if worker.task is not None or not worker.ready]
        deadlines = [w.started + w.task.wall_seconds for w in busy if w.task.wall_seconds is not None]
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        heard = wait([worker.connection for worker in listening], timeout)
        outcomes = [self._receive(worker, on_progress) for worker in listening if worker.connection in heard]
        late = [w for w in busy if w.task and w.task.wall_seconds is not None
                and time.monotonic() >= w.started + w.task.wall_seconds]  # fmt: skip
        outcomes += [self._bury(worker, f"took longer than {format_seconds(worker.task.wall_seconds)}")
                     for worker in late]  # fmt: skip
        return [outcome for outcome in outcomes if outcome is not None]

    def _receive(self, worker: _Worker, on_progress: Callable[[str, float], None]) -> Outcome | None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1.0)
            if worker.task is None:
                raise EngineError(f"no worker can be started: {_how_it_died(worker.process.exitcode)}") from None
            return self._bury(worker, _how_it_died(worker.process.exitcode))
        if message[0] == "ready":
            worker.ready = True
            return None
        if message[0] == "progress":
            on_progress(worker.task.id, message[1])
            return None
        kind, value, peak_bytes = message
        task, worker.task = worker.task, None
        failed = kind == "failed"
        return Outcome(
            task.id, None if failed else value, value if failed else None, worker.started, time.monotonic(),
            peak_bytes,
        )  # fmt: skip

    def _bury(self, worker: _Worker, reason: str) -> Outcome:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        task = worker.task
        return Outcome(task.id, None, EngineError(reason), worker.started, time.monotonic(), 0, True)


@contextlib.contextmanager
def _main_module_hidden() -> Iterator[None]:
    """multiprocessing runs the caller's script again in every worker. Tasks are functions of importable modules,
    so that is not needed, and a script without an `if __name__ == "__main__"` guard would start itself again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _how_it_died(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"its worker process died of {name}; most often that is a lack of memory or a fault in an engine"
    return f"its worker process ended with exit code {exit_code}"

