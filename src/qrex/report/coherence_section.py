"""The report's coherence section as data: Q per qubit, its decay, and the pulses chosen, before and after.

In: what `expansion` measured. Out: frozen types that the summary carries, and the sentences that every format of the
report prints. Intervals are (value, low, high), 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from qrex.evidence import Comparison, Measurement

__all__ = ["CoherenceSection", "DeviceLink", "Interval", "QubitCoherence", "WindowPoint", "opening"]

Interval = tuple[float, float, float]
"""Value and the ends of its 95 % interval."""


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """Two coupled qubits, the smaller first; `zz_hertz` is ζ/2π, None where nothing gives it."""

    a: int
    b: int
    zz_hertz: float | None


@dataclass(frozen=True, slots=True)
class QubitCoherence:
    """Q of one qubit at τ_68 and at τ_w, and the pulses planned for it at τ_68.

    `ceiling` is what T1 and T2 alone allow at τ_68. Errors are predicted process infidelities of the window, relaxation
    apart: `idle_error` without pulses, `error` with them. They, `pulses` and `why` are None or empty without a plan.
    """

    qubit: int
    before: Interval
    after: Interval | None
    workload_before: Interval | None
    workload_after: Interval | None
    t1_seconds: float | None
    t2_seconds: float | None
    ceiling: float | None
    sequence: str = ""
    pulses: int | None = None
    idle_error: float | None = None
    error: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class WindowPoint:
    """Median Q over the qubits at one window of the decay; `after` is None where nothing filled the windows."""

    window_seconds: float
    before: Measurement
    after: Measurement | None


@dataclass(frozen=True, slots=True)
class CoherenceSection:
    """Everything the section shows. `sequence` is what fills the windows after, None where decoupling was not kept, and
    `reason` then says why. `figures` compares medians; `level` is the Q that `window_ratio` asks for. `closure_note`
    says why there is no closure."""

    window_68_seconds: float
    window_workload_seconds: float | None
    sequence: str | None
    reason: str
    num_qubits: int
    links: tuple[DeviceLink, ...]
    qubits: tuple[QubitCoherence, ...]
    curve: tuple[WindowPoint, ...]
    figures: tuple[Comparison, ...]
    level: float
    closure: Measurement | None = None
    closure_note: str = ""
    window_ratio: Measurement | None = None
    ratio_note: str = ""

    def figure(self, key: str) -> Comparison | None:
        """The compared figure of that key."""
        return next((c for c in self.figures if c.key == key), None)

    @property
    def planned(self) -> bool:
        """Whether pulses were chosen qubit by qubit."""
        return any(row.pulses is not None for row in self.qubits)


def opening(section: CoherenceSection) -> str:
    """What was asked and what fills the windows after, in words."""
    text = (
        f"Q of idle windows with neighbors in |+⟩. At τ_68 = {section.window_68_seconds * 1e6:.3g} µs the undecoupled "
        "median of this device is meant to be 0.68"
    )
    if section.window_workload_seconds is not None:
        text += f"; the workload idles for τ_w = {section.window_workload_seconds * 1e6:.3g} µs"
    if section.sequence is None:
        return f"{text}. Only before is shown: {section.reason}."
    return f"{text}. After: windows filled by {section.sequence}."
