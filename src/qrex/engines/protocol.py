"""What an engine is: three methods, and the frozen types that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from qrex.circuits import Circuit
from qrex.profile import Profile

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qrex.circuits.program import Program

__all__ = [
    "Allotment", "Cost", "Counts", "Engine", "Job", "Progress", "Stage", "SteppedEngine", "SteppedRun", "Support",
]  # fmt: skip

Progress = Callable[[float], None]
"""Called with the finished fraction, 0 to 1; may raise to cancel."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one run may use. The engine stays inside it; the worker process enforces `memory_bytes`. `codec` is what
    states on the scratch disk are kept as: float32, int16 or int8. `disk_bytes_per_second` is what that disk was
    measured to move, reads and writes together."""

    threads: int
    memory_bytes: int
    scratch_dir: str | None = None
    disk_bytes: int = 0
    wall_seconds: float | None = None
    codec: str = "float32"
    disk_bytes_per_second: float = 1e9


@dataclass(frozen=True, slots=True)
class Support:
    """Whether an engine can run a circuit at all, and why not."""

    supported: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost of one run. `upper_bound`: seconds and bytes hold for the worst state that the circuit's
    structure allows, and the run may stay far below. `instead`, where it does not fit its allotment: what the same
    engine could do with less memory, or with more disk."""

    seconds: float
    peak_bytes: int
    disk_bytes: int = 0
    infidelity: float = 0.0
    upper_bound: bool = False
    instead: tuple[Cost, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One circuit to sample: a `Circuit`, or only its `Program` (then `circuit` is None, and `name` names it).
    `program` and `quantum_circuit` are there in both cases, unless the profile has an `obstacle`: then no program is.

    `probe` lists bit strings whose exact probability is wanted as well, where the engine can give it for next to
    nothing (see `Counts.probabilities`).
    """

    circuit: Circuit | None
    shots: int
    seed: int
    probe: tuple[str, ...] = ()
    given: Program | None = None
    label: str = ""

    @property
    def program(self) -> Program:
        """The circuit as arrays."""
        if self.given is not None:
            return self.given
        assert self.circuit is not None
        return self.circuit.program

    @property
    def quantum_circuit(self) -> QuantumCircuit:
        """The circuit as it was written, or made from the program."""
        if self.circuit is not None:
            return self.circuit.quantum_circuit
        from qrex.circuits.rebuilding import rebuild

        return rebuild(self.program, self.label)

    @property
    def name(self) -> str:
        return self.label or (self.circuit.name if self.circuit is not None else "circuit")


@dataclass(frozen=True, slots=True)
class Counts:
    """Sampled bit strings: one character per classical bit, bit 0 rightmost, registers joined without spaces
    (the first declared register rightmost); a bit that nothing writes is 0. Numbers of shots are positive int, and
    add up to `shots`. `probabilities` answers `Job.probe`, empty where not given."""

    counts: Mapping[str, int]
    shots: int
    probabilities: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)  # JSON-able: method, infidelity, ...


@runtime_checkable
class Engine(Protocol):
    """A way to run a circuit. Built with its cost constants: `SomeEngine(constants)`.

    Required are what stands below; `name` is that of the entry point. Everything else is optional:

    - `summary` (str): what it is, in a line of `qrex engines`.
    - `constant_names` (tuple of str): the constants that `estimate` reads. Where one is missing, `estimate` raises
      EngineError (`constants.require_constants` does), and qrex calibrates again when it next starts.
    - `calibrate(threads)`: measures them, and returns them by name: at least those of `constant_names`.
    - `start(job, allotment)`: see `SteppedEngine`.
    - `explain(job, allotment)` (str): how it would go about a job that it supports, in lines of text for `qrex plan`;
      "" where there is nothing to say.
    - `takes` (names of `support.FEATURES`): what it was tested on, of all that `supports` says yes to.
    - `exact` (bool): true where its answers carry no error but that of sampling and of rounding.
    - `one_call` (bool): true where nothing interrupts `run` but the end of its process; false where `run` calls
      `progress` all along, and lets what that raises pass.
    - `delegates` (bool): true where it only chooses among other engines; then it runs if asked for by name only.

    What an engine does not state is shown as not stated.
    """

    name: str
    constants: Mapping[str, float]

    def supports(self, profile: Profile) -> Support: ...

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost: ...

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a stepped run has come: `fraction` of its rows, `size` (amplitudes held, or the largest bond),
    `held_bytes` now, and `forecast_seconds` that the engine expects for the rest, sampling included."""

    done: bool
    fraction: float
    size: int
    held_bytes: int
    forecast_seconds: float


class SteppedRun(Protocol):
    """A run that can be looked at and given up. Its memory never passes the allotment it was started with:
    `advance` raises MemoryLimitError instead."""

    def advance(self, seconds: float) -> Stage:
        """Work for about `seconds` (one row more at most)."""
        ...

    def finish(self, progress: Progress) -> Counts:
        """Sample; only once it is done."""
        ...


@runtime_checkable
class SteppedEngine(Engine, Protocol):
    """An engine whose cost shows only while it runs: it can race against others."""

    def start(self, job: Job, allotment: Allotment) -> SteppedRun: ...
