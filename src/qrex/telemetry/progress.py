"""Progress of a job, stage by stage: a live display on a terminal, plain lines elsewhere, events for anyone.

In: stages and steps as the job goes through them. Out: rich bars with time left on stderr when it is a
terminal, one line when a stage starts and one when it ends otherwise, and plain frozen events that a page
can show later.

with open_progress() as progress: with progress.stage("Baseline: simulate", total=22, expected_seconds=45)
as stage: stage.advance(1, note="ghz_127")
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from qrex.units import format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = [
    "Note",
    "PlainProgress",
    "ProgressEvent",
    "SilentProgress",
    "Stage",
    "StageAdvanced",
    "StageFinished",
    "StageProgress",
    "StageRunning",
    "StageStarted",
    "TerminalProgress",
    "open_progress",
    "time_left_seconds",
]


@dataclass(frozen=True, slots=True)
class StageStarted:
    """`at` is Unix time; `total` is the number of steps, None where it is not known."""

    stage: str
    at: float
    total: float | None
    expected_seconds: float | None


@dataclass(frozen=True, slots=True)
class StageAdvanced:
    stage: str
    at: float
    done: float
    total: float | None
    note: str
    left_seconds: float | None


@dataclass(frozen=True, slots=True)
class StageFinished:
    stage: str
    at: float
    seconds: float
    done: float
    outcome: Literal["done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the user that belongs to no step."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class StageRunning:
    """What is going on from now on, the longest running first; sent when that changes."""

    stage: str
    at: float
    names: tuple[str, ...]


ProgressEvent = StageStarted | StageRunning | StageAdvanced | StageFinished | Note
Listener = Callable[[ProgressEvent], None]


def time_left_seconds(
    elapsed_seconds: float,
    done: float,
    total: float | None,
    expected_seconds: float | None,
    since_seconds: float | None = None,
) -> float | None:
    """Seconds that a stage still needs, or None where nothing is known of it.

    When the last step ended, `since_seconds` ago, the pace counted by the fraction done, the expectation by the
    fraction left; an expectation that time had overtaken counted no more. That estimate runs down, and where it is
    exceeded the stage is taken to need as much again as it was exceeded by. `since_seconds` is by default the time
    from the start where no step is done, else 0.

    >>> time_left_seconds(10, 5, 10, None), time_left_seconds(10, 0, 10, 45)
    (10.0, 35.0)
    >>> time_left_seconds(73, 14, 15, None, since_seconds=3), time_left_seconds(130, 14, 15, None, since_seconds=60)
    (2.0, 55.0)
    """
    fraction = min(done / total, 1.0) if total else 0.0
    if fraction == 1.0:
        return 0.0
    since = (0.0 if fraction else elapsed_seconds) if since_seconds is None else min(since_seconds, elapsed_seconds)
    then = elapsed_seconds - since
    paced = then / fraction if fraction > 0 else None
    if paced is None:
        if expected_seconds is None:
            return None
        whole = float(expected_seconds)
    elif expected_seconds is None or expected_seconds < then:
        whole = paced
    else:
        whole = fraction * paced + (1.0 - fraction) * expected_seconds
    return abs(float(max(0.0, whole - then) - since))


class Stage:
    """One stage under way; made by `StageProgress.stage`. Safe to advance from several threads."""

    def __init__(
        self, progress: StageProgress, name: str, total: float | None, expected_seconds: float | None
    ):
        self.name, self.total, self.expected_seconds = name, total, expected_seconds
        self.done = 0.0
        self._progress = progress
        self._started = self._advanced = time.monotonic()
        self._running: tuple[tuple[str, float], ...] = ()
        self._lock = threading.Lock()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def left_seconds(self) -> float | None:
        """See `time_left_seconds`."""
        since = time.monotonic() - self._advanced
        return time_left_seconds(self.elapsed_seconds, self.done, self.total, self.expected_seconds, since)

    @property
    def running(self) -> tuple[tuple[str, float], ...]:
        """What is going on: name and seconds so far, the longest running first."""
        now = time.monotonic()
        return tuple((name, now - began) for name, began in self._running)

    def run(self, began: Mapping[str, float]) -> None:
        """These steps are going on now, each since a moment of `time.monotonic`; call again whenever that may have
        changed."""
        running = tuple(sorted(began.items(), key=lambda item: item[1]))
        if running != self._running:
            self._running = running
            self._progress.emit(StageRunning(self.name, time.time(), tuple(name for name, _ in running)), self)

    def advance(self, steps: float = 1, note: str = "") -> None:
        """`steps` more are done; `note` says which, e.g. a circuit's name."""
        with self._lock:
            self.done += steps
            self._advanced = time.monotonic()
            done = self.done
        self._progress.emit(
            StageAdvanced(self.name, time.time(), done, self.total, note, self.left_seconds), self
        )


class StageProgress:
    """Base of the three displays: keeps no state but its listener, shows nothing itself."""

    def __init__(self, on_event: Listener | None = None):
        self._on_event = on_event

    def __enter__(self) -> StageProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, expected_seconds: float | None = None
    ) -> Iterator[Stage]:
        """A stage of the job, from entering to leaving the block; an exception marks it as failed."""
        stage = Stage(self, name, total, expected_seconds)
        self.emit(StageStarted(name, time.time(), total, expected_seconds), stage)
        outcome: Literal["done", "failed", "stopped"] = "failed"
        try:
            yield stage
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        finally:
            event = StageFinished(name, time.time(), stage.elapsed_seconds, stage.done, outcome)
            self.emit(event, stage)

    def note(self, text: str) -> None:
        """Show one line."""
        self.emit(Note(time.time(), text), None)

    def emit(self, event: ProgressEvent, stage: Stage | None) -> None:
        """Show an event and hand it to the listener."""
        self.show(event, stage)
        if self._on_event is not None:
            self._on_event(event)

    def show(self, event: ProgressEvent, stage: Stage | None) -> None:
        """What a display does with an event."""

    def close(self) -> None:
        """Take the display down."""


class SilentProgress(StageProgress):
    """Shows nothing: for use as a library. Events still reach the listener."""


class PlainProgress(StageProgress):
    """One line as each stage starts and one as it ends; nothing moves."""

    def __init__(self, stream: TextIO | None = None, on_event: Listener | None = None):
        super().__init__(on_event)
        self._stream = stream if stream is not None else sys.stderr

    def show(self, event: ProgressEvent, stage: Stage | None) -> None:
        if isinstance(event, StageStarted):
            parts = [] if event.total is None else [f"{event.total:g} step{'s' * (event.total != 1)}"]
            if event.expected_seconds is not None:
                parts.append(f"about {format_seconds(event.expected_seconds)}")
            self._line(event.stage + (f": {', '.join(parts)}" if parts else ""))
        elif isinstance(event, StageFinished):
            self._line(f"{event.stage}: {event.outcome} after {format_seconds(event.seconds)}")
        elif isinstance(event, Note):
            self._line(event.text)

    def _line(self, text: str) -> None:
        # Names of files come from outside: no line break or escape sequence of theirs reaches the terminal.
        shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
        try:
            print(shown, file=self._stream, flush=True)
        except (BrokenPipeError, ValueError):
            return  # nobody reads any more: the work itself goes on


class TerminalProgress(StageProgress):
    """Bars with time left, by rich, on a terminal. NO_COLOR is obeyed (by rich's console)."""

    def __init__(self, stream: TextIO | None = None, on_event: Listener | None = None):
        super().__init__(on_event)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        console = Console(file=stream) if stream is not None else Console(stderr=True)
        self._display: Progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[title]}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False, style="dim"),
            TextColumn("{task.fields[left]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=console,
        )
        self._tasks: dict[Stage, TaskID] = {}
        self._started = False
        self._ticker: threading.Thread | None = None
        self._stop = threading.Event()

    def show(self, event: ProgressEvent, stage: Stage | None) -> None:
        if isinstance(event, Note):
            self._display.console.print(_printable(event.text), markup=False, highlight=False)
        elif isinstance(event, StageStarted) and stage is not None:
            self._start()
            self._tasks[stage] = self._display.add_task(
                "", total=event.total, title=_printable(event.stage), count="", left="", note=""
            )
            self._refresh(stage)
        elif isinstance(event, StageAdvanced) and stage is not None:
            self._display.update(self._tasks[stage], completed=event.done, note=_printable(event.note)[:_NOTE])
            self._refresh(stage)
        elif isinstance(event, StageRunning) and stage is not None:
            self._display.update(self._tasks[stage], note="")
            self._refresh(stage)
        elif isinstance(event, StageFinished) and stage is not None:
            task = self._tasks.pop(stage)
            total = stage.total or max(stage.done, 1.0)
            whole = {"total": total, "completed": total} if event.outcome == "done" else {"total": total}
            text = format_seconds(event.seconds)
            left = text if event.outcome == "done" else f"{event.outcome} after {text}"
            self._display.update(task, note="", left=left, **whole)
            self._display.stop_task(task)

    def close(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()
        if self._started:
            self._display.stop()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._display.start()
            self._ticker = threading.Thread(target=self._tick, name="qrex-progress", daemon=True)
            self._ticker.start()

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            for stage in list(self._tasks):
                self._refresh(stage)

    def _refresh(self, stage: Stage) -> None:
        task = self._tasks.get(stage)
        if task is None:
            return
        left = stage.left_seconds
        fields: dict[str, Any] = {
            "count": f"{stage.done:g}/{stage.total:g}" if stage.total else "",
            "left": format_seconds(stage.elapsed_seconds) if left is None else f"{format_seconds(left)} left",
        }
        # A finished step's name would be read as that of the one that takes so long.
        if running := stage.running:
            name, seconds = running[0]
            more = f" and {len(running) - 1} more" if len(running) > 1 else ""
            fields["note"] = f"{_printable(name)[:_NOTE]} for {format_seconds(seconds)}{more}"
        self._display.update(task, **fields)


_NOTE = 40  # characters of a name that are shown


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def open_progress(stream: TextIO | None = None, on_event: Listener | None = None) -> StageProgress:
    """The display that suits `stream` (default stderr): bars on a terminal, plain lines anywhere else."""
    target = stream if stream is not None else sys.stderr
    if target.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalProgress(stream, on_event)
    return PlainProgress(stream, on_event)
