"""One worker process as its parent sees it: sent batches, listened to, measured, ended.

In: batches of `Assigned`. Out: `Heard` messages and, when it dies, which task was to blame. Everything that a
worker had sent before it died is still heard: the pipe keeps it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from qrex.errors import QrexError
from qrex.execute.memory import WORKER_BYTES, highest_resident_bytes, resident_bytes
from qrex.execute.task import Grant, Outcome, Task
from qrex.execute.worker import PRELOAD, Figures, serve
from qrex.telemetry import Stretch

__all__ = ["Assigned", "Heard", "Waiting", "Worker", "worker_context"]


_COPIED_BYTES = 2**21

_FAULTS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGKILL)


@dataclass(slots=True)
class Waiting:
    """A task that is not done: pickled once, however often it is sent. `spent`: seconds and peak of tasks that
    it went on from; when the first of them began, and what each held."""

    task: Task
    payload: bytes | None = None
    began: float | None = None
    spent_seconds: float = 0.0
    spent_peak_bytes: int = 0
    stretches: tuple[Stretch, ...] = ()

    def pickled(self) -> bytes:
        if self.payload is None:
            self.payload = pickle.dumps((self.task.function, self.task.arguments), pickle.HIGHEST_PROTOCOL)
        return self.payload


@dataclass(frozen=True, slots=True)
class Assigned:
    waiting: Waiting
    grant: Grant

    @property
    def task(self) -> Task:
        return self.waiting.task


@dataclass(frozen=True, slots=True)
class Heard:
    """`assigned` ended with `value` or `error` in process `pid`; where `figures` is None, it has done `fraction`."""

    assigned: Assigned
    fraction: float = 1.0
    value: Any = None
    error: QrexError | None = None
    figures: Figures | None = None
    pid: int = 0

    @property
    def goes_on(self) -> bool:
        return isinstance(self.value, Task) and self.value.id == self.assigned.task.id

    def what_is_next(self) -> Waiting:
        """The task that this one goes on as; what it has spent so far is remembered."""
        before, figures = self.assigned.waiting, self.figures
        began = figures.started if before.began is None else before.began
        peak = max(before.spent_peak_bytes, figures.peak_bytes - figures.base_bytes)
        return Waiting(self.value, None, began, before.spent_seconds + figures.seconds, peak, self._stretches())

    def _stretches(self) -> tuple[Stretch, ...]:
        told = self.figures
        assert told is not None  # only what has ended is asked
        mine = Stretch(self.pid, told.started, told.finished, told.base_bytes, told.peak_bytes, told.resident_bytes)
        return (*self.assigned.waiting.stretches, mine)

    def outcome(self, refusal: QrexError | None = None) -> Outcome:
        waiting, figures = self.assigned.waiting, self.figures
        return Outcome(
            id=waiting.task.id,
            value=None if refusal else self.value,
            error=refusal or self.error,
            started=figures.started if waiting.began is None else waiting.began,
            finished=time.monotonic(),
            seconds=figures.seconds + waiting.spent_seconds,
            peak_bytes=max(figures.peak_bytes - figures.base_bytes, waiting.spent_peak_bytes),
            base_rss_bytes=figures.base_bytes,
            peak_rss_bytes=figures.peak_bytes,
            breach=figures.breach,
            grant=self.assigned.grant,
            stretches=self._stretches(),
        )


def worker_context() -> multiprocessing.context.BaseContext:
    """One process imports the heavy packages; workers are forked from it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


@dataclass(slots=True)
class Worker:
    """`batch` holds what it has been sent and has not finished, in order: the first is running since `began`.

    `base_bytes` is what it held when its last task had ended, `seen_bytes` when it was last looked at."""

    process: BaseProcess
    connection: Connection
    ready: bool = False
    base_bytes: int = WORKER_BYTES
    first_base_bytes: int = WORKER_BYTES
    batch: deque[tuple[int, Assigned]] = field(default_factory=deque)
    began: float = 0.0
    held_bytes: int = 0
    seen_bytes: int = 0
    threads: int = 0

    @classmethod
    def start(cls, context, warm_up: Callable[[], None] | None) -> Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, warm_up), daemon=True)
        with _main_module_hidden():
            process.start()
        theirs.close()
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """Its process's id: there since it was started."""
        return self.process.pid or 0

    @property
    def busy(self) -> bool:
        return bool(self.batch)

    @property
    def current(self) -> Assigned:
        return self.batch[0][1]

    def send(self, batch: Sequence[Assigned], held_bytes: int) -> bool:
        """Give it `batch`; it holds `held_bytes` beyond its base until that is done. False: it is dead."""
        self.batch.extend(enumerate(batch))
        self.began = time.monotonic()
        self.held_bytes = held_bytes
        self.threads = max(one.grant.threads for one in batch)
        grants = [one.grant for one in batch]
        payloads = [one.waiting.pickled() for one in batch]
        # One message wakes the worker once; large arguments are not copied for that.
        together = sum(map(len, payloads)) <= _COPIED_BYTES
        try:
            self.connection.send_bytes(pickle.dumps((grants, payloads if together else None)))
        except OSError:
            return False
        with contextlib.suppress(OSError):  # one that dies from now on is seen when it is listened to
            for payload in payloads if not together else ():
                self.connection.send_bytes(payload)
        return True

    def take_back(self) -> list[Assigned]:
        """What has not begun; should the worker just begin one of them, its answer is not heard."""
        taken = []
        while len(self.batch) > 1:
            taken.append(self.batch.pop()[1])
        with contextlib.suppress(OSError):
            self.connection.send_bytes(b"")
        return taken[::-1]

    def hear(self) -> Heard | None:
        """The next message; None for one that tells nothing. Raises EOFError or OSError where it has died."""
        message = self.connection.recv()
        if message[0] == "ready":
            self.ready = True
            self.base_bytes = self.first_base_bytes = message[1]
            return None
        kind, place, told = message
        if kind == "progress":
            mine = self.batch and self.batch[0][0] == place
            return Heard(self.current, fraction=told) if mine else None
        value, error = pickle.loads(self.connection.recv_bytes())
        self.base_bytes, self.began = told.resident_bytes, time.monotonic()
        if not self.batch or self.batch[0][0] != place:
            return None  # taken back when it had just begun: someone else does it as well
        return Heard(self.batch.popleft()[1], value=value, error=error, figures=told, pid=self.pid)

    def hear_all(self) -> list[Heard]:
        """All that it has sent and that was not heard yet, its death included."""
        heard = []
        with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
            while self.connection.poll():
                heard.append(self.hear())
        return [one for one in heard if one is not None and one.figures is not None]

    @property
    def resident_now(self) -> int:
        return resident_bytes(self.pid)

    def left_seconds(self, now: float) -> float:
        """What it is expected to take still; where it has taken longer than predicted, a tenth of that again."""
        elapsed = now - self.began
        predicted = sum((one.task.seconds or {}).get(self.threads, 0.0) for _, one in self.batch)
        return predicted - elapsed if predicted > elapsed else 0.1 * elapsed

    def blamed(
        self, assigned: Assigned, error: QrexError, highest_bytes: int, *, lost: bool, breach: bool
    ) -> Outcome:
        """The outcome of the task that it was running when it ended, having held `highest_bytes` at most."""
        now, waiting = time.monotonic(), assigned.waiting
        held = Stretch(self.pid, self.began, now, self.base_bytes, max(self.base_bytes, highest_bytes), 0)
        return Outcome(
            id=waiting.task.id,
            value=None,
            error=error,
            started=self.began if waiting.began is None else waiting.began,
            finished=now,
            seconds=now - self.began + waiting.spent_seconds,
            peak_bytes=max(0, highest_bytes - self.base_bytes),
            base_rss_bytes=self.base_bytes,
            peak_rss_bytes=max(self.base_bytes, highest_bytes),
            lost=lost,
            breach=breach,
            grant=assigned.grant,
            stretches=(*waiting.stretches, held),
        )

    def end(self) -> int:
        """Kill it; returns the most it has held."""
        highest = highest_resident_bytes(self.pid)
        self.process.kill()
        self.process.join()
        return highest

    def how_it_died(self) -> tuple[str, bool]:
        """In words, and whether that is how native code ends for want of memory."""
        self.process.join(1.0)
        exit_code = self.process.exitcode
        if exit_code is None or exit_code >= 0:
            return f"its worker process ended with exit code {exit_code}", False
        by = signal.Signals(-exit_code)
        advice = "; most often that is a lack of memory or a fault in an engine" if by in _FAULTS else ""
        # The system's own choice of whom to kill falls on large ones; a person's may fall on anyone.
        large = self.busy and self.seen_bytes - self.base_bytes > self.current.grant.memory_bytes // 2
        memory = by in _FAULTS and (large or by is not signal.SIGKILL)
        return f"its worker process died of {by.name}{advice}", memory


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
