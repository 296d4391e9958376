"""What an engine is: three methods, and the frozen types that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from qrex.circuits import Circuit
from qrex.profile import Profile

__all__ = ["Allotment", "Cost", "Counts", "Engine", "Job", "Progress", "Support"]

Progress = Callable[[float], None]
"""Called with the finished fraction, 0 to 1; may raise to cancel."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one run may use. The engine stays inside it; the worker process enforces `memory_bytes`."""

    threads: int
    memory_bytes: int
    scratch_dir: str | None = None
    disk_bytes: int = 0
    wall_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Support:
    """Whether an engine can run a circuit at all, and why not."""

    supported: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost of one run. `upper_bound`: seconds and bytes hold for the worst state that the circuit's
    structure allows, and the run may stay far below."""

    seconds: float
    peak_bytes: int
    disk_bytes: int = 0
    infidelity: float = 0.0
    upper_bound: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One circuit to sample. `probe` lists bit strings whose exact probability is wanted as well, where the
    engine can give it for next to nothing (see `Counts.probabilities`)."""

    circuit: Circuit
    shots: int
    seed: int
    probe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Sampled bit strings: one character per classical bit, bit 0 rightmost, registers joined without spaces
    (the first declared register rightmost). `probabilities` answers `Job.probe`, empty where not given."""

    counts: Mapping[str, int]
    shots: int
    probabilities: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)  # JSON-able: method, infidelity, ...


@runtime_checkable
class Engine(Protocol):
    """A way to run a circuit. Built with its cost constants: `SomeEngine(constants)`."""

    name: str
    constants: Mapping[str, float]

    def supports(self, profile: Profile) -> Support: ...

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost: ...

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts: ...
