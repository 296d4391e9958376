"""*The* success evaluator: the probability that no error happens while a compiled circuit runs.

In: a circuit on a device's physical qubits, its idle gaps filled with explicit delays, and the device's
calibration. Out: a `SuccessBreakdown`. Every layout, tool and mechanism is compared by this one figure.

Success is the product, over everything inside the light cone of the measured qubits, of
- gates: the process fidelity of each gate as calibrated (which holds the decoherence during the gate);
- idle: per explicit delay the process fidelity of thermal relaxation with the qubit's T1 and T2. Delays
  that only a barrier separates are one delay. A qubit in |0⟩, before its first gate or after a reset, is
  charged nothing, since relaxation leaves |0⟩ alone;
- readout: one minus the assignment error of each measured qubit.
It is a lower bound on the fidelity of the measured distribution as long as errors only do harm; crosstalk,
leakage, coherent build-up and the benefit of decoupling are outside it.

Control flow: every branch is charged once, and a counted loop as often as it runs, so that success is a
lower bound there; a while loop is charged for one pass. A circuit without measurements is charged as if
all its qubits mattered, without readout.

Cost: O(instructions) in plain Python, about 2 µs each, with an `ErrorTable` built once per device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp

from qrex.compilation.error_table import ErrorTable, idle_log_fidelity
from qrex.errors import InputError

__all__ = ["SuccessBreakdown", "delay_seconds", "predict_success"]


@dataclass(frozen=True, slots=True)
class SuccessBreakdown:
    """Probabilities that nothing goes wrong; `success` = `gates` · `idle` · `readout`."""

    success: float
    gates: float
    idle: float
    readout: float


def predict_success(circuit: QuantumCircuit, target: Any) -> SuccessBreakdown:
    """Predict the success of `circuit`, whose qubit i is the device's physical qubit i.

    Args:
        circuit: instructions of the device only, idle gaps as explicit delays.
        target: a Qiskit `Target`, a BackendV2, or an `ErrorTable` (fastest for many circuits).

    Raises:
        InputError: the circuit holds an instruction that the device does not have.
    """
    table = target if isinstance(target, ErrorTable) else ErrorTable.from_target(target)
    walk = _BackwardWalk(table, circuit.num_qubits)
    if not _measures(circuit):
        walk.active = [True] * circuit.num_qubits
    walk.block(circuit, tuple(range(circuit.num_qubits)))
    gates, idle, readout = math.exp(walk.gates), math.exp(walk.idle), math.exp(walk.readout)
    return SuccessBreakdown(gates * idle * readout, gates, idle, readout)


def delay_seconds(operation: Any, dt: float | None) -> float:
    """Length of a Delay instruction in seconds.

    Raises:
        InputError: it is counted in dt and the device's dt is not known.
    """
    duration, unit = operation.duration, operation.unit
    if unit == "dt":
        if dt is None:
            raise InputError("the circuit has delays in dt, but the device does not say how long its dt is; "
                             "write them in seconds")
        return float(duration) * dt
    return float(duration) * {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}[unit]


class _BackwardWalk:
    """From the end to the start, so that the light cone is known when an instruction is reached."""

    def __init__(self, table: ErrorTable, num_qubits: int):
        self.table = table
        self.active = [False] * num_qubits  # a measurement later depends on this qubit
        self.pending = [0.0] * num_qubits  # seconds of idling since the instruction that follows
        self.gates = self.idle = self.readout = 0.0  # logarithms
        self.weight = 1  # passes of the enclosing counted loops

    def block(self, circuit: QuantumCircuit, physical: tuple[int, ...]) -> None:
        places = {bit: physical[place] for place, bit in enumerate(circuit.qubits)}
        for instruction in reversed(circuit.data):
            name, qubits = instruction.name, tuple(places[bit] for bit in instruction.qubits)
            if name == "delay":
                if self.active[qubits[0]]:
                    self.pending[qubits[0]] += delay_seconds(instruction.operation, self.table.dt)
            elif name == "measure":
                self.readout += self.weight * self.table.cost(name, qubits).log_fidelity
                self.touch(qubits)
            elif name == "reset":
                if self.active[qubits[0]]:
                    self.gates += self.weight * self.table.cost(name, qubits).log_fidelity
                self.active[qubits[0]], self.pending[qubits[0]] = False, 0.0
            elif instruction.is_control_flow():
                self.control_flow(instruction.operation, qubits)
            elif instruction.is_directive() or not qubits:
                continue
            elif any(self.active[qubit] for qubit in qubits):
                self.gates += self.weight * self.table.cost(name, qubits).log_fidelity
                self.touch(qubits)

    def touch(self, qubits: tuple[int, ...]) -> None:
        for qubit in qubits:
            if self.pending[qubit]:
                rates = self.table.t1_rates[qubit], self.table.t2_rates[qubit]
                self.idle += self.weight * float(idle_log_fidelity(self.pending[qubit], *rates))
                self.pending[qubit] = 0.0
            self.active[qubit] = True

    def control_flow(self, operation: ControlFlowOp, qubits: tuple[int, ...]) -> None:
        if operation.name in ("break_loop", "continue_loop"):
            return
        self.touch(qubits)
        outer = self.weight
        if operation.name == "for_loop":
            self.weight *= len(tuple(operation.params[0]))
        for body in reversed(operation.blocks):
            self.active = [on or place in qubits for place, on in enumerate(self.active)]
            self.block(body, qubits)
        self.weight = outer
        # A branch that was not taken resets nothing: what stands before the block matters.
        self.touch(qubits)


def _measures(circuit: QuantumCircuit) -> bool:
    return any(
        instruction.name == "measure"
        or (instruction.is_control_flow() and any(map(_measures, instruction.operation.blocks)))
        for instruction in circuit.data
    )
