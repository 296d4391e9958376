"""Programs as Qiskit circuits, for engines that read those.

In: a `Program`. Out: a circuit with one quantum and one classical register, the same operations in the same
order. Some 10 µs per row.
"""

from __future__ import annotations

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate
from qiskit.circuit.classical import expr
from qiskit.circuit.library import (
    CUGate,
    DiagonalGate,
    MCPhaseGate,
    MCXGate,
    UnitaryGate,
    get_standard_gate_name_mapping,
)

from qrex.circuits.program import OPERATIONS, Condition, Program
from qrex.errors import InputError

__all__ = ["rebuild"]

_CLASSES = {name: type(gate) for name, gate in get_standard_gate_name_mapping().items()}


def rebuild(program: Program, name: str = "program") -> QuantumCircuit:
    """The circuit of `program`. Raises InputError where the program is not the whole circuit (`obstacle`)."""
    if program.obstacle:
        raise InputError(f"{program.obstacle}: only the circuit as it was written can be run")
    circuit = QuantumCircuit(QuantumRegister(program.num_qubits, "q"), name=name)
    if program.num_clbits:
        circuit.add_register(ClassicalRegister(program.num_clbits, "c"))
    gates: dict[tuple, Gate] = {}
    for row in range(len(program)):
        opcode, guard = int(program.opcode[row]), int(program.guard[row])
        qubits = list(program.qubits_of(row))
        if guard < 0:
            _append(circuit, program, row, opcode, qubits, gates)
            continue
        with circuit.if_test(_expression(circuit, program.guards[guard])):
            _append(circuit, program, row, opcode, qubits, gates)
    return circuit


def _append(circuit: QuantumCircuit, program: Program, row: int, opcode: int, qubits: list[int], gates: dict) -> None:
    name = OPERATIONS[opcode].name
    if name == "measure":
        circuit.measure(qubits[0], int(program.clbit[row]))
    elif name == "reset":
        circuit.reset(qubits[0])
    else:
        params = program.params_of(row)
        key = (opcode, len(qubits), params)
        if key not in gates:
            gates[key] = _gate(name, len(qubits), params)
        circuit.append(gates[key], qubits)


def _gate(name: str, width: int, params: tuple[float, ...]) -> Gate:
    if name == "mcx":
        return MCXGate(width - 1)
    if name == "mcp":
        return MCPhaseGate(params[0], width - 1)
    if name == "unitary":
        return UnitaryGate(_complex(params).reshape(1 << width, 1 << width))
    if name == "diagonal":
        return DiagonalGate(_complex(params).tolist())
    if name == "mcu":
        matrix = _complex(params).reshape(2, 2)
        if width == 2:
            return _controlled(matrix)
        return UnitaryGate(matrix).control(width - 1, annotated=False)
    return _CLASSES[name](*params)


def _controlled(matrix: np.ndarray) -> Gate:
    """A controlled one-qubit gate: matrix = e^{iγ} U(θ, φ, λ)."""
    theta = 2 * np.arctan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    gamma = np.angle(matrix[0, 0]) if abs(matrix[0, 0]) > 1e-12 else 0.0
    if abs(matrix[0, 0]) > 1e-12:
        phi = np.angle(matrix[1, 0]) - gamma if abs(matrix[1, 0]) > 1e-12 else 0.0
        lam = np.angle(matrix[1, 1]) - gamma - phi
    else:
        phi, lam = np.angle(matrix[1, 0]), np.angle(-matrix[0, 1])
    return CUGate(theta, phi, lam, gamma)


def _complex(params: tuple[float, ...]) -> np.ndarray:
    return np.array(params, dtype=np.float64).view(np.complex128)


def _expression(circuit: QuantumCircuit, conditions: tuple[Condition, ...]):
    """All of `conditions` as one expression."""
    total = None
    for condition in conditions:
        one = None
        for place, bit in enumerate(condition.bits):
            wanted = condition.value >> place & 1
            literal = expr.lift(circuit.clbits[bit]) if wanted else expr.logic_not(circuit.clbits[bit])
            one = literal if one is None else expr.logic_and(one, literal)
        if one is None or condition.value >> len(condition.bits):
            one = expr.lift(not condition.value)
        if condition.negated:
            one = expr.logic_not(one)
        total = one if total is None else expr.logic_and(total, one)
    return total
