"""Dynamical decoupling: the idle windows of a compiled circuit get pulses that multiply to the identity.

In: a `Compiled` and the device's target. Out: a `Decoupled`, the circuit of the same duration with pulses,
and a record of what was filled. It is Qiskit's `PadDynamicalDecoupling`, run as a pass: the runtime's
decoupling options do nothing in local mode.

Of two neighbours with equal pulses at equal times neither sees the other's flips: ZZ between them stays. Staggered
sequences start half a period later on every second color of the coupling graph, so that in windows that coincide ZZ
averages out as well (Niu et al., arXiv:2403.05391).

On noise without memory (thermal relaxation on delays) decoupling can only cost: it undoes slow detuning and
ZZ, which such noise does not have. Whether it is kept is for a measurement to say.

Sequences (X-only ones undo detuning; XY4 and XY8 also undo their own pulse errors to first order; Maudsley
1986, Gullion et al. 1990):
    XX    τ/4 X τ/2 X τ/4               CPMG spacing
    XY4   X Y X Y                       spacing τ/8, τ/4, τ/4, τ/4, τ/8
    XY8   X Y X Y Y X Y X
IBM devices have no Y pulse: Y is rz(−π/2) · x · rz(π/2), symmetric about the pulse, of the same length as x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, Delay, Qubit
from qiskit.circuit.library import RZGate, XGate, YGate
from qiskit.dagcircuit import DAGOutNode
from qiskit.transpiler import InstructionDurations, PassManager
from qiskit.transpiler.exceptions import TranspilerError
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDynamicalDecoupling

from qrex.compilation import Compiled, ErrorTable, predict_success, read_schedule, target_of, trim_delays
from qrex.errors import InputError
from qrex.measure.coherence import qubit_colors

__all__ = ["SEQUENCES", "Decoupled", "DecouplingRecord", "Sequence", "decouple"]

Sequence = Literal["XX", "XY4", "XY8", "XX-staggered", "XY4-staggered"]

SEQUENCES: dict[str, str] = {
    "XX": "XX", "XY4": "XYXY", "XY8": "XYXYYXYX", "XX-staggered": "XX", "XY4-staggered": "XYXY",
}  # fmt: skip
"""Pulses of each sequence, in time order."""

HALF_PI = 1.5707963267948966


@dataclass(frozen=True, slots=True)
class DecouplingRecord:
    """What decoupling did to one circuit. `reason` says why nothing was filled, or is empty."""

    sequence: str
    windows: int  # idle windows of the schedule
    windows_filled: int
    pulses: int
    shortest_filled_ns: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decoupled:
    """`compiled` is the very object that came in where nothing was filled."""

    compiled: Compiled
    record: DecouplingRecord


def decouple(compiled: Compiled, target: Any, sequence: Sequence = "XY4", *, min_window_ns: float = 0.0,
             table: ErrorTable | None = None) -> Decoupled:
    """Fill the idle windows of `compiled` with one `sequence` each; its duration does not change.

    Left alone: |0⟩ before a qubit's first instruction and after a reset, time after its last instruction,
    and windows that the pulses do not fit in or that are shorter than `min_window_ns`.

    Args:
        compiled: scheduled; otherwise it comes back unchanged with the reason.
        target: the device it was compiled for (a BackendV2 or a Qiskit `Target`).
        sequence: one of `SEQUENCES`.
        min_window_ns: shortest window to fill, in nanoseconds.
        table: the device's `ErrorTable`, to save reading it again for every circuit.

    Raises:
        InputError: the sequence is not known.
    """
    pulses = SEQUENCES.get(sequence)
    if pulses is None:
        raise InputError(f"decoupling sequence {sequence!r} is not known; there are {', '.join(SEQUENCES)}")
    target = target_of(target)
    table = table or ErrorTable.from_target(target)
    reason = _why_not(compiled, target, pulses)
    if reason:
        return _unchanged(compiled, sequence, reason)
    counter = _Counter(min_window_ns, table.dt)
    late = _second_color(target) if sequence.endswith("-staggered") else frozenset()
    padding = _PadIdleWindows(counter, _durations(target), pulses, target, late)
    try:
        padded = PassManager([ALAPScheduleAnalysis(_durations(target)), padding]).run(compiled.circuit)
    except TranspilerError as error:
        return _unchanged(compiled, sequence, f"not decoupled: {error.message}")
    if not counter.filled_ns:
        return _unchanged(compiled, sequence, "not decoupled: no idle window is long enough for the pulses")
    circuit = trim_delays(_native_y(padded, target))
    duration = read_schedule(circuit, table).duration_seconds
    if abs(duration - compiled.duration_seconds) > (table.dt or 1e-12):
        return _unchanged(compiled, sequence, "not decoupled: the pulses would change the circuit's duration")
    changed = replace(compiled, circuit=circuit, breakdown=predict_success(circuit, table),
                      label=f"{compiled.label}, {sequence}")
    record = DecouplingRecord(sequence, len(compiled.idle_windows), len(counter.filled_ns),
                              len(counter.filled_ns) * len(pulses), min(counter.filled_ns))
    return Decoupled(changed, record)


class _Counter:
    """What the padding pass filled; the pass manager copies passes, but not what they refer to."""

    def __init__(self, min_window_ns: float, dt: float | None):
        self.min_window_ns = min_window_ns
        self.ns_per_unit = 1e9 * (dt or 1.0)
        self.filled_ns: list[float] = []

    def __deepcopy__(self, memo: dict) -> _Counter:
        return self


class _PadIdleWindows(PadDynamicalDecoupling):
    """Qiskit's pass, kept out of short windows and of the time after a qubit's last instruction."""

    def __init__(
        self, counter: _Counter, durations: InstructionDurations, pulses: str, target: Any, late: frozenset[int]
    ):
        gates = {"X": XGate, "Y": YGate}
        # `target` is withheld from the pass: it would refuse a Y that the device can only compose.
        super().__init__(durations=durations, dd_sequence=[gates[pulse]() for pulse in pulses],
                         pulse_alignment=target.pulse_alignment)
        count = len(pulses)
        self.late, self.shifted = late, [1 / count] * count + [0.0]  # the last pulse ends with the window
        self.begun: set[Qubit] = set()  # by an instruction that is more than waiting
        self.counter = counter
        self.without_pulse = {
            qubit for qubit in range(target.num_qubits) if not target.instruction_supported("x", (qubit,))
        }

    def _pre_runhook(self, dag):
        super()._pre_runhook(dag)
        self.begun = set()

    def _apply_scheduled_op(self, dag, t_start, oper, qubits, clbits=()):
        if not isinstance(oper, (Delay, Barrier)):
            self.begun.update([qubits] if isinstance(qubits, Qubit) else qubits)
        return super()._apply_scheduled_op(dag, t_start, oper, qubits, clbits)

    def _pad(self, dag, qubit, t_start, t_end, next_node, prev_node):
        window_ns = (t_end - t_start) * self.counter.ns_per_unit
        if (
            isinstance(next_node, DAGOutNode)
            or qubit not in self.begun  # delays and barriers leave |0⟩ as it is
            or window_ns < self.counter.min_window_ns
            or dag.find_bit(qubit).index in self.without_pulse
        ):
            self._apply_scheduled_op(dag, t_start, Delay(t_end - t_start, dag._unit), qubit)
            return
        before, centered = dag.size(), self._spacing
        if dag.find_bit(qubit).index in self.late:
            self._spacing = self.shifted
        try:
            super()._pad(dag, qubit, t_start, t_end, next_node, prev_node)
        finally:
            self._spacing = centered
        if dag.size() - before > 1:
            self.counter.filled_ns.append(window_ns)


def _second_color(target: Any) -> frozenset[int]:
    """Qubits of every second color of the coupling graph."""
    return frozenset(qubit for qubit, color in enumerate(qubit_colors(target)) if color % 2)


def _why_not(compiled: Compiled, target: Any, pulses: str) -> str:
    if not compiled.scheduled:
        return "not decoupled: the circuit has no schedule" + "".join(f" ({note})" for note in compiled.notes)
    if not compiled.idle_windows:
        return "not decoupled: the circuit has no idle window"
    needed = {"x"} | ({"rz"} if "Y" in pulses and "y" not in target.operation_names else set())
    missing = needed.difference(target.operation_names)
    if missing:
        return f"not decoupled: the device has no {' and no '.join(sorted(missing))} to make the pulses of"
    return ""


def _unchanged(compiled: Compiled, sequence: str, reason: str) -> Decoupled:
    return Decoupled(compiled, DecouplingRecord(sequence, len(compiled.idle_windows), 0, 0, None, reason))


def _durations(target: Any) -> InstructionDurations:
    """The target's durations, with y as long as x where the device has to compose it."""
    durations = target.durations()
    if "y" not in target.operation_names and "x" in target.operation_names:
        unit = "s" if durations.dt is None else "dt"
        durations.update([
            ("y", [qubit], durations.get("x", qubit, unit=unit), unit)
            for qubit in range(target.num_qubits)
            if target.instruction_supported("x", (qubit,))
        ])
    return durations


def _native_y(circuit: QuantumCircuit, target: Any) -> QuantumCircuit:
    """Write every y as rz(−π/2), x, rz(π/2), which is exactly y, where the device has no y."""
    if "y" in target.operation_names:
        return circuit
    written = circuit.copy_empty_like()
    for one in circuit.data:
        if one.name != "y":
            written.append(one)
            continue
        for gate in (RZGate(-HALF_PI), XGate(), RZGate(HALF_PI)):
            written.append(gate, one.qubits)
    return written
