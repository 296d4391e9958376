"""A Qiskit circuit in the forms that other simulators read, and its mirror.

In: Qiskit circuits. Out: OpenQASM 3 text, Cirq circuits, mirror circuits. Gates that the other side knows keep
their name; multiply controlled gates stay whole; the rest is opened, definition by definition, until it is known.
Linear in the number of gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, ControlledGate, IfElseOp
from qiskit.circuit.classical import expr

if TYPE_CHECKING:
    import cirq

__all__ = ["Step", "is_unitary", "mirror", "steps", "to_cirq", "to_openqasm"]

_NOT_GATES = frozenset(["measure", "reset", "barrier"])
_DROPPED = frozenset(["delay", "id", "global_phase"])


@dataclass(frozen=True, slots=True)
class Step:
    """One gate, measurement or reset, done where every (bits, value) of `conditions` holds: the bits' parity is
    the value."""

    operation: Any
    qubits: tuple[int, ...]
    clbit: int
    conditions: tuple[tuple[tuple[int, ...], bool], ...]


def steps(circuit: QuantumCircuit, known: frozenset[str], most_controls: int = 64) -> Iterator[Step]:
    """The circuit's steps with every gate among `known`, a controlled one-qubit gate, or a one-qubit gate.

    Raises ValueError on classical control other than `if` on the value of bits.
    """
    qubits = {bit: place for place, bit in enumerate(circuit.qubits)}
    clbits = {bit: place for place, bit in enumerate(circuit.clbits)}
    yield from _walk(circuit, qubits, clbits, (), known, most_controls)


def _walk(circuit, qubits, clbits, conditions, known, most_controls) -> Iterator[Step]:
    for instruction in circuit.data:
        operation, name = instruction.operation, instruction.name
        where = tuple(qubits[bit] for bit in instruction.qubits)
        if name in _DROPPED:
            continue
        if isinstance(operation, IfElseOp):
            for block, held in _branches(operation, instruction, clbits):
                inner_qubits = dict(zip(block.qubits, where, strict=True))
                inner_clbits = dict(zip(block.clbits, (clbits[bit] for bit in instruction.clbits), strict=True))
                yield from _walk(block, inner_qubits, inner_clbits, conditions + held, known, most_controls)
        elif name in _NOT_GATES:
            yield Step(operation, where, clbits[instruction.clbits[0]] if name == "measure" else -1, conditions)
        elif name in known or _is_controlled(operation, most_controls):
            yield Step(operation, where, -1, conditions)
        elif operation.definition is not None and (len(where) > 1 or name not in _MATRIX_ONLY):
            inner = dict(zip(operation.definition.qubits, where, strict=True))
            yield from _walk(operation.definition, inner, {}, conditions, known, most_controls)
        else:
            yield Step(operation, where, -1, conditions)


_MATRIX_ONLY = frozenset(["unitary"])


def _is_controlled(operation, most_controls: int) -> bool:
    return (
        isinstance(operation, ControlledGate)
        and operation.base_gate.num_qubits == 1
        and 2 <= operation.num_ctrl_qubits <= most_controls
    )


def _branches(operation: IfElseOp, instruction, clbits):
    """(Block, conditions) of the one or two branches."""
    condition = operation.condition
    if isinstance(condition, expr.Expr):
        held = ((*_parity(condition, clbits),),)
    else:
        target, value = condition
        bits = [target] if isinstance(target, Clbit) else list(target)
        held = tuple(((clbits[bit],), bool(int(value) >> place & 1)) for place, bit in enumerate(bits))
    for block in operation.blocks:
        if any(inner.name == "measure" for inner in block.data):
            raise ValueError("measurements inside a branch are not translated")
    yield operation.blocks[0], held
    if len(operation.blocks) > 1:
        if len(held) > 1:
            raise ValueError("an else on several bits is not translated")
        yield operation.blocks[1], ((held[0][0], not held[0][1]),)


def _parity(condition: expr.Expr, clbits) -> tuple[tuple[int, ...], bool]:
    """A condition that asks for the parity of bits: which bits, and which parity."""
    if isinstance(condition, expr.Var) and isinstance(condition.var, Clbit):
        return (clbits[condition.var],), True
    if isinstance(condition, expr.Value):
        return (), not condition.value
    if isinstance(condition, expr.Binary):
        (left, left_value), (right, right_value) = (_parity(side, clbits) for side in (condition.left, condition.right))
        if condition.op is expr.Binary.Op.BIT_XOR:
            return left + right, left_value == right_value
        if condition.op is expr.Binary.Op.EQUAL:
            return left + right, left_value != right_value
    raise ValueError(f"conditions like {condition} are not translated")


_QASM_SAME = {"u1": "p", "cu1": "cp", "u3": "U", "u": "U"}
_QASM_NAMES = frozenset([
    "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u1", "u2", "u3", "u", "r",
    "cx", "cy", "cz", "ch", "cs", "csdg", "csx", "cp", "cu1", "crx", "cry", "crz", "cu", "swap", "iswap", "ecr",
    "dcx", "rxx", "ryy", "rzz", "rzx", "ccx", "ccz", "cswap", "rccx", "xx_plus_yy",
])  # fmt: skip


def to_openqasm(circuit: QuantumCircuit, *, barriers: bool = False) -> str:
    """OpenQASM 3 with one register of each kind; controlled gates by the `ctrl` modifier."""
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"qubit[{circuit.num_qubits}] q;"]
    if circuit.num_clbits:
        lines.append(f"bit[{circuit.num_clbits}] c;")
    for conditions, group in groupby(steps(circuit, _QASM_NAMES), key=lambda step: step.conditions):
        for bits, value in conditions:
            parity = " ^ ".join(f"c[{bit}]" for bit in bits)
            asked = f"({parity})" if len(bits) > 1 else parity
            lines.append(f"if ({asked} == {int(value)}) {{")
        for step in group:
            lines.extend(_openqasm_step(step, barriers))
        lines.extend("}" for _ in conditions)
    return "\n".join(lines) + "\n"


def _openqasm_step(step: Step, barriers: bool) -> Iterator[str]:
    operation = step.operation
    on = ", ".join(f"q[{qubit}]" for qubit in step.qubits)
    if operation.name == "measure":
        yield f"c[{step.clbit}] = measure {on};"
    elif operation.name == "barrier":
        if barriers:
            yield f"barrier {on};"
    elif operation.name == "reset":
        yield f"reset {on};"
    elif operation.name in _QASM_NAMES and _all_closed(operation):
        yield _call(operation) + f" {on};"
    elif isinstance(operation, ControlledGate):
        flips = [qubit for place, qubit in enumerate(step.qubits[:-1]) if not operation.ctrl_state >> place & 1]
        yield from (f"x q[{qubit}];" for qubit in flips)
        yield "ctrl @ " * operation.num_ctrl_qubits + _call(operation.base_gate) + f" {on};"
        yield from (f"x q[{qubit}];" for qubit in flips)
    else:
        from qiskit.synthesis import OneQubitEulerDecomposer

        theta, phi, lam = OneQubitEulerDecomposer("U").angles(operation.to_matrix())
        yield f"U({theta!r}, {phi!r}, {lam!r}) {on};"


def _all_closed(operation) -> bool:
    return not isinstance(operation, ControlledGate) or operation.ctrl_state == 2**operation.num_ctrl_qubits - 1


def _call(operation) -> str:
    name = _QASM_SAME.get(operation.name, operation.name)
    if not operation.params:
        return name
    return f"{name}({', '.join(repr(float(value)) for value in operation.params)})"


_CIRQ_NAMES = frozenset([
    "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u1", "u2", "u3", "u", "r",
    "unitary", "cx", "cy", "cz", "ch", "cs", "csdg", "csx", "cp", "cu1", "crx", "cry", "crz", "cu", "cu3",
    "swap", "iswap", "ecr", "dcx", "rxx", "ryy", "rzz", "rzx", "xx_plus_yy", "xx_minus_yy",
])  # fmt: skip


def to_cirq(circuit: QuantumCircuit) -> cirq.Circuit:
    """The same circuit in Cirq: its own gates where it has them, else matrices of one or two qubits. Measurements
    that end the circuit share one key."""
    import cirq
    import numpy as np

    named = {
        "x": lambda: cirq.X, "y": lambda: cirq.Y, "z": lambda: cirq.Z, "h": lambda: cirq.H, "s": lambda: cirq.S,
        "t": lambda: cirq.T, "rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz, "cx": lambda: cirq.CNOT,
        "cz": lambda: cirq.CZ, "swap": lambda: cirq.SWAP,
        "p": lambda angle: cirq.ZPowGate(exponent=angle / np.pi),
        "u1": lambda angle: cirq.ZPowGate(exponent=angle / np.pi),
        "cp": lambda angle: cirq.CZPowGate(exponent=angle / np.pi),
        "cu1": lambda angle: cirq.CZPowGate(exponent=angle / np.pi),
        "rzz": lambda angle: cirq.ZZPowGate(exponent=angle / np.pi, global_shift=-0.5),
        "rxx": lambda angle: cirq.XXPowGate(exponent=angle / np.pi, global_shift=-0.5),
    }  # fmt: skip
    at_end = _measured_at_end(circuit)
    place = {bit: number for number, bit in enumerate(circuit.qubits)}
    operations: list[cirq.Operation] = []
    for step in steps(circuit, _CIRQ_NAMES):
        operation, on = step.operation, [cirq.LineQubit(qubit) for qubit in step.qubits]
        if step.conditions:
            raise ValueError("qsim runs no classically controlled gates")
        if operation.name == "barrier" or (operation.name == "measure" and at_end is not None):
            continue
        if operation.name == "measure":
            made = cirq.measure(*on, key=f"c{step.clbit}")
        elif operation.name == "reset":
            made = cirq.reset(on[0])
        elif operation.name in named and _all_closed(operation):
            made = named[operation.name](*map(float, operation.params)).on(*on)
        elif operation.num_qubits <= 2:  # Cirq's first qubit is the most significant one
            made = cirq.MatrixGate(operation.to_matrix()).on(*reversed(on))
        else:
            values = [operation.ctrl_state >> number & 1 for number in range(operation.num_ctrl_qubits)]
            gate = cirq.MatrixGate(operation.base_gate.to_matrix())
            made = gate.on(on[-1]).controlled_by(*on[:-1], control_values=values)
        operations.append(made)
    if at_end:
        operations.append(cirq.measure(*(cirq.LineQubit(place[bit]) for bit in at_end), key="m"))
    return cirq.Circuit(operations)


def _measured_at_end(circuit: QuantumCircuit) -> list | None:
    """The measured qubits where nothing follows any measurement and nothing is conditional, else None."""
    measured: dict = {}
    for instruction in circuit.data:
        if instruction.is_control_flow() or instruction.name == "reset":
            return None
        if instruction.name == "barrier":
            continue
        if any(bit in measured for bit in instruction.qubits):
            return None
        if instruction.name == "measure":
            measured[instruction.qubits[0]] = True
    return list(measured)


def is_unitary(circuit: QuantumCircuit) -> bool:
    """Whether the circuit is gates, then measurements."""
    return _measured_at_end(circuit) is not None


def mirror(circuit: QuantumCircuit) -> QuantumCircuit:
    """The gates that the measured qubits depend on, then their inverse: measures zeros if all went well.

    Nothing may be cancelled across the barrier in the middle. Raises ValueError where `is_unitary` is false.
    """
    measured = _measured_at_end(circuit)
    if measured is None:
        raise ValueError("a circuit that measures on its way has no inverse")
    place = {bit: number for number, bit in enumerate(circuit.qubits)}
    reached, kept = set(measured), []
    for instruction in reversed(circuit.data):
        if instruction.name not in _NOT_GATES and not reached.isdisjoint(instruction.qubits):
            reached.update(instruction.qubits)
            kept.append(instruction)
    used = sorted(place[bit] for bit in reached)
    inner = {circuit.qubits[number]: at for at, number in enumerate(used)}
    half = QuantumCircuit(len(used))
    for instruction in reversed(kept):
        half.append(instruction.operation, [inner[bit] for bit in instruction.qubits])
    whole = QuantumCircuit(len(used), len(used), name=f"{circuit.name} mirror")
    whole.compose(half, inplace=True)
    whole.barrier()
    whole.compose(half.inverse(), inplace=True)
    whole.measure(range(len(used)), range(len(used)))
    return whole
