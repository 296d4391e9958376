"""A circuit of device instructions gets a time for everything, and its gaps become explicit delays.

In: a circuit on physical qubits and the device's target. Out: the same circuit, scheduled as late as
possible (Qiskit's own scheduling stage, with the device's alignments), padded with delays, and its idle
windows. Noise models of simulated devices charge idling only on explicit delays.

Qiskit refuses control flow, and a target without durations cannot be scheduled: the caller gets the
unscheduled circuit with the reason. Cost: a few milliseconds per 1,000 instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit
from qiskit.transpiler import PassManager, generate_preset_pass_manager
from qiskit.transpiler.exceptions import TranspilerError

from qrex.compilation.compiled import IdleWindow
from qrex.compilation.error_table import ErrorTable
from qrex.compilation.success import delay_seconds

__all__ = [
    "Schedule",
    "has_control_flow",
    "pad_schedule",
    "read_schedule",
    "scheduling_passes",
    "trim_delays",
]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`refusal` is empty where `circuit` was scheduled; otherwise it says why it is as it came."""

    circuit: QuantumCircuit
    duration_seconds: float | None
    idle_windows: tuple[IdleWindow, ...]
    refusal: str = ""


def scheduling_passes(target: Any) -> PassManager:
    """Qiskit's scheduling stage for `target`: as late as possible, alignment, padding with delays."""
    return generate_preset_pass_manager(1, target=target, scheduling_method="alap").scheduling


def pad_schedule(circuit: QuantumCircuit, target: Any, table: ErrorTable) -> Schedule:
    """Schedule `circuit` (device instructions on all device qubits) and fill its gaps with delays."""
    refusal = _why_not(circuit, table)
    if not refusal:
        try:
            padded = trim_delays(scheduling_passes(target).run(circuit))
            return read_schedule(padded, table)
        except TranspilerError as error:
            refusal = f"not scheduled: {error.message}"
    return Schedule(circuit, None, (), refusal)


def has_control_flow(circuit: QuantumCircuit) -> bool:
    """Whether `circuit` holds an if, a loop or a switch."""
    return any(instruction.is_control_flow() for instruction in circuit.data)


def trim_delays(circuit: QuantumCircuit) -> QuantumCircuit:
    """`circuit` without delays that nothing follows and without those on qubits that hold nothing else.

    They change no outcome, but a simulator would carry every such qubit along.
    """
    live = [False] * circuit.num_qubits
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    kept = []
    for instruction in reversed(circuit.data):
        if instruction.name == "delay":
            if not live[index[instruction.qubits[0]]]:
                continue
        elif not instruction.is_directive():
            for bit in instruction.qubits:
                live[index[bit]] = True
        kept.append(instruction)
    trimmed = circuit.copy_empty_like()
    for instruction in reversed(kept):
        trimmed.append(instruction)
    return trimmed


def read_schedule(circuit: QuantumCircuit, table: ErrorTable) -> Schedule:
    """Duration and idle windows of a padded circuit, read by playing it forward in time.

    Windows that only a barrier separates are one; |0⟩ before the first instruction or after a reset is none.
    """
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    ready = dict.fromkeys([*circuit.qubits, *circuit.clbits], 0.0)
    idle_since: dict[Any, float | None] = dict.fromkeys(circuit.qubits)  # None: in |0⟩
    windows: list[IdleWindow] = []
    duration = 0.0
    for instruction in circuit.data:
        name, bits = instruction.name, [*instruction.qubits, *instruction.clbits]
        start = max((ready[bit] for bit in bits), default=0.0)
        if instruction.is_directive():
            length = 0.0
        elif name == "delay":
            length = delay_seconds(instruction.operation, table.dt)
        else:
            qubits = tuple(index[bit] for bit in instruction.qubits)
            length = table.cycles(table.cost(name, qubits).seconds or 0.0)
            for bit in instruction.qubits:
                since = idle_since[bit]
                if since is not None and start - since > 1e-12:
                    windows.append(IdleWindow(index[bit], since * 1e9, (start - since) * 1e9))
                idle_since[bit] = None if name == "reset" else start + length
        for bit in bits:
            ready[bit] = start + length
        duration = max(duration, start + length)
    return Schedule(circuit, duration, tuple(windows))


def _why_not(circuit: QuantumCircuit, table: ErrorTable) -> str:
    if has_control_flow(circuit):
        return ("not scheduled: the circuit has control flow, which Qiskit's scheduler refuses; "
                "idle time is not charged")
    if "delay" not in table.instructions:
        return "not scheduled: the device has no delay instruction; idle time is not charged"
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    for instruction in circuit.data:
        if instruction.name == "delay" or instruction.is_directive():
            continue
        qubits = tuple(index[bit] for bit in instruction.qubits)
        if table.cost(instruction.name, qubits).seconds is None:
            return (f"not scheduled: the device does not say how long {instruction.name!r} on qubits "
                    f"{qubits} takes; idle time is not charged")
    return ""
