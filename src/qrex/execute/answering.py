"""An engine runs here, and its answer is looked at: nothing that it does ends more than its own run.

In: an engine, by the name that it is known by, a job and an allotment. Out: `Counts` that are an answer to that job,
or an EngineError that says whose fault it was: MemoryLimitError where memory was wanting, EngineFaultError where the
engine raised something unexpected or its counts cannot be right. What `progress` raises is passed on as it is, since
that cancels. Errors are raised without the frames they come from: those hold the state that made the memory scarce.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from qrex.engines import Allotment, Counts, Engine, Job, Progress, Stage, SteppedEngine, SteppedRun
from qrex.engines.asking import check_counts, comes_from
from qrex.engines.registry import describe
from qrex.errors import EngineError, EngineFaultError, InfeasibleError, MemoryLimitError, QrexError
from qrex.execute.memory import wants_memory
from qrex.units import format_bytes

__all__ = ["GuardedRun", "run_checked"]

T = TypeVar("T")


def run_checked(name: str, engine: Engine, job: Job, allotment: Allotment, progress: Progress) -> Counts:
    """Run `job` on `engine`."""
    told = _Progress(progress)
    counts = _guarded(name, allotment, lambda: engine.run(job, allotment, told), told)
    return check_counts(name, counts, _num_clbits(job), job.shots)


class GuardedRun:
    """A `SteppedRun` of `engine`. `fault` says what it did wrong, "" while it did nothing wrong; want of memory is no
    fault."""

    def __init__(self, name: str, engine: SteppedEngine, job: Job, allotment: Allotment) -> None:
        self.name, self.fault = name, ""
        self._job, self._allotment = job, allotment
        self._run: SteppedRun | None = None
        self._not_started: EngineError | None = None
        try:
            self._run = _guarded(name, allotment, lambda: engine.start(job, allotment))
        except EngineError as error:
            self._not_started = self._noted(error)  # raised when it is asked to advance, as any other failure

    def advance(self, seconds: float) -> Stage:
        """See `SteppedRun`."""
        if self._not_started is not None:
            raise self._not_started
        run = self._run
        assert run is not None
        try:
            stage = _guarded(self.name, self._allotment, lambda: run.advance(seconds))
            if not isinstance(stage, Stage):
                raise EngineFaultError(
                    f"engine {self.name!r} returned a {type(stage).__name__} from advance(); a qrex.engines.Stage is "
                    f"expected{comes_from(self.name)}"
                )
        except EngineError as error:
            raise self._noted(error) from None
        return stage

    def finish(self, progress: Progress) -> Counts:
        """See `SteppedRun`."""
        run, told = self._run, _Progress(progress)
        assert run is not None
        counts = _guarded(self.name, self._allotment, lambda: run.finish(told), told)
        return check_counts(self.name, counts, _num_clbits(self._job), self._job.shots)

    def _noted(self, error: EngineError) -> EngineError:
        if not isinstance(error, MemoryLimitError):
            self.fault = str(error)
        return error


class _Progress:
    """Passes on what is reported, and remembers what that raised."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.stop: BaseException | None = None

    def __call__(self, fraction: float) -> None:
        sound = min(1.0, max(0.0, float(fraction)))  # what is no number is the engine's fault
        try:
            self._progress(sound)
        except BaseException as stop:
            self.stop = stop
            raise


def _guarded(name: str, allotment: Allotment, call: Callable[[], T], told: _Progress | None = None) -> T:
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in compiled code is no Exception
        stop = told.stop if told is not None else None
        failure = stop if stop is not None else _translated(name, allotment, error)
    raise failure


def _translated(name: str, allotment: Allotment, error: BaseException) -> EngineError:
    if isinstance(error, EngineError):
        return error.with_traceback(None)
    if isinstance(error, InfeasibleError):
        return MemoryLimitError(str(error))
    if isinstance(error, QrexError):
        return EngineError(str(error))
    if wants_memory(error):
        limit = format_bytes(allotment.memory_bytes)
        return MemoryLimitError(f"{name} went past its memory limit of {limit}; give it more with --memory")
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"at {last.name}, line {last.lineno}"
    return EngineFaultError(f"engine {name!r} raised {describe(error)}, {place}{comes_from(name)}")


def _num_clbits(job: Job) -> int:
    if job.given is not None:
        return job.given.num_clbits
    assert job.circuit is not None
    return job.circuit.quantum_circuit.num_clbits
