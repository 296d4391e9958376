"""The frozen types of this room: what a before/after report says. `expansion` fills them in.

In: measured comparisons, circuit rows, mechanism rows. Out: `Summary`, which writes itself (`save`), prints
itself (`print`), shows itself in a notebook, and survives a round trip through JSON. Rendering is imported
only when it is asked for, so that these types stay cheap to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qrex.errors import InputError
from qrex.evidence import Comparison, Measurement
from qrex.report.coherence_section import CoherenceSection

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CircuitRow", "MechanismRow", "Side", "Status", "Summary", "ThresholdRow"]

Outcome = Literal["ran", "unsupported", "failed", "not run"]
Status = Literal["applied", "measured, not applied", "not applied"]


@dataclass(frozen=True, slots=True)
class Side:
    """One circuit, run once: before or after.

    `why` says why this engine or layout was chosen, or why it did not run (the engine's own words).
    `seconds` is host wall time; on a simulated QPU it is the time the simulation took and is shown apart.
    `device_seconds` is the QPU time: modelled for a simulated device, reported by a live one.
    `perfect_sampler` is what noiseless sampling scores at the same shots, by the same kind of fidelity.
    """

    outcome: Outcome
    where: str
    why: str
    seconds: float | None = None
    predicted_seconds: float | None = None
    peak_bytes: int | None = None
    predicted_bytes: int | None = None
    device_seconds: float | None = None
    fidelity: Measurement | None = None
    fidelity_kind: str = ""
    perfect_sampler: float | None = None


@dataclass(frozen=True, slots=True)
class CircuitRow:
    """One circuit under one target; a circuit that is simulated and run on a QPU has two rows."""

    name: str
    circuit_id: str
    num_qubits: int
    two_qubit_gates: int
    depth: int
    target: Literal["simulate", "qpu"]
    shots: int
    before: Side
    after: Side


@dataclass(frozen=True, slots=True)
class MechanismRow:
    """One mechanism of the founding text. `contribution` toggles only this mechanism; `toggled_from` names
    the configuration it was toggled from. Contributions do not add."""

    call: str  # the API call, e.g. "apply_dynamical_decoupling"
    title: str
    status: Status
    reason: str
    contributions: tuple[Comparison, ...] = ()
    toggled_from: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """A threshold validated against the lower 95 % bound of `measured`."""

    call: str
    title: str
    asked: float
    measured: Measurement | None
    passed: bool
    required: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything the report shows, and nothing it must compute. `summary.save(folder)` writes it."""

    workload: str
    platform: str
    qpu: Mapping[str, Any]  # name, source, qubits, calibration date, or empty
    host: Mapping[str, Any]
    created_at: str  # ISO 8601, UTC
    qrex_version: str
    seed: int
    classical: tuple[Comparison, ...]
    quantum: tuple[Comparison, ...]
    implications: tuple[Comparison, ...]
    outlook: tuple[Comparison, ...]
    mechanisms: tuple[MechanismRow, ...]
    thresholds: tuple[ThresholdRow, ...]
    circuits: tuple[CircuitRow, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)  # file -> error
    conditions: Mapping[str, Any] = field(default_factory=dict)  # frozen windows, contexts, settings
    timings: Mapping[str, float] = field(default_factory=dict)  # seconds per stage of the job
    notes: tuple[str, ...] = ()  # how it was measured, and what differs from the founding text's wording
    command: str = ""
    coherence: CoherenceSection | None = None  # None where no window τ_68 was found

    def __post_init__(self) -> None:
        try:
            datetime.fromisoformat(self.created_at)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"created_at is {self.created_at!r}; give ISO 8601, e.g. 2025-07-23T00:39:21Z"
            ) from error

    @property
    def timestamp(self) -> str:
        """The creation time as file names carry it, e.g. ``2025-07-23_00-39-21`` (UTC)."""
        created = datetime.fromisoformat(self.created_at)
        if created.tzinfo is not None:
            created = created.astimezone(UTC)
        return created.strftime("%Y-%m-%d_%H-%M-%S")

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All compared figures of the tables, in the order of the report."""
        return self.classical + self.quantum + self.implications + self.outlook

    @property
    def verdict(self) -> str:
        """The whole report in one sentence, made from the comparisons and the circuit rows."""
        from qrex.report.verdict import verdict_sentence

        return verdict_sentence(self)

    def save(self, folder: str | Path) -> dict[str, Path]:
        """Write the report; returns ``{"markdown", "html", "json", "csv", "chart"} -> path``.

        Each file is written aside and renamed, so a reader never sees half of one.
        Raises `InputError` where `folder` cannot be written.
        """
        from qrex.report.files import save_summary

        return save_summary(self, folder)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as docs/summary.schema.json describes it."""
        from qrex.report.codec import summary_to_dict

        return summary_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Summary:
        """The inverse of `to_dict`. Raises `InputError` on another format or a missing field."""
        from qrex.report.codec import summary_from_dict

        return summary_from_dict(data)

    def print(self, console: Console | None = None) -> None:
        """Print the verdict and the tables in short on a rich console (default: standard output)."""
        from qrex.report.terminal import print_summary

        print_summary(self, console)

    def _repr_html_(self) -> str:
        from qrex.report.render import render_fragment

        return render_fragment(self)
