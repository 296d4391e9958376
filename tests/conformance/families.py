"""Circuits for the conformance suite, and the oracle: exact distributions by branching in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import Operator

from qrex.circuits import Circuit

__all__ = ["FAMILIES", "applied", "exact_distribution", "named", "outcomes"]


def named(circuit: QuantumCircuit, shots: int = 1000) -> Circuit:
    return Circuit(circuit.name, circuit.name, "<python>", "Qiskit", circuit, shots=shots)


def random_circuit() -> QuantumCircuit:
    random = np.random.default_rng(11)
    circuit = QuantumCircuit(5, 5)
    for layer in range(4):
        for qubit in range(5):
            circuit.u(*random.uniform(0, 2 * np.pi, 3), qubit)
        for left in range(layer % 2, 4, 2):
            circuit.cx(left, left + 1)
    circuit.rzz(0.7, 0, 4)
    circuit.cswap(0, 2, 4)
    circuit.measure(range(5), range(5))
    return circuit


def clifford() -> QuantumCircuit:
    random = np.random.default_rng(5)
    circuit = QuantumCircuit(6, 6)
    for _ in range(40):
        a, b = random.choice(6, 2, replace=False)
        choice = random.integers(6)
        if choice == 0:
            circuit.h(a)
        elif choice == 1:
            circuit.rz(np.pi / 2, a)
        elif choice == 2:
            circuit.cp(-np.pi, a, b)
        elif choice == 3:
            circuit.rzz(3 * np.pi / 2, a, b)
        elif choice == 4:
            circuit.u(np.pi / 2, 0, np.pi, a)
        else:
            circuit.ecr(a, b)
    circuit.measure(range(6), range(6))
    return circuit


def arithmetic() -> QuantumCircuit:
    """|a⟩|b⟩ → |a⟩|a + b mod 8⟩ with a in superposition of 1, 3, 5, 7 and b = 6."""
    a, b = QuantumRegister(3, "a"), QuantumRegister(3, "b")
    carry = QuantumRegister(1, "carry")
    circuit = QuantumCircuit(a, b, carry, ClassicalRegister(3, "left"), ClassicalRegister(3, "total"))
    circuit.x(a[0])
    circuit.h(a[1])
    circuit.h(a[2])
    circuit.x([b[1], b[2]])
    circuit.ccx(a[1], b[1], carry[0])
    circuit.ccx(a[0], b[0], carry[0])
    circuit.ccx(a[0], b[0], carry[0])
    circuit.cx(carry[0], b[2])
    circuit.cx(a[2], b[2])
    circuit.ccx(a[1], b[1], carry[0])
    circuit.cx(a[1], b[1])
    circuit.cx(a[0], b[0])
    circuit.measure(a, circuit.cregs[0])
    circuit.measure(b, circuit.cregs[1])
    return circuit


def bit_order() -> QuantumCircuit:
    """Deterministic: only classical bits 1 and 3 of 5 are 1; bit 4 is never written."""
    circuit = QuantumCircuit(QuantumRegister(4), ClassicalRegister(2, "low"), ClassicalRegister(3, "high"))
    circuit.x([0, 2])
    circuit.measure(0, 3)
    circuit.measure(1, 0)
    circuit.measure(2, 1)
    circuit.measure(3, 2)
    return circuit


def overwritten() -> QuantumCircuit:
    """A classical bit is written twice: the later measurement counts."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.h(1)
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    circuit.measure(0, 1)
    circuit.measure(1, 0)
    return circuit


def mid_circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 1)
    circuit.h(1)
    circuit.measure(1, 2)
    return circuit


def conditional() -> QuantumCircuit:
    """Teleportation of |1⟩ followed by H on the far side: corrections by single bits."""
    circuit = QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.measure(2, 2)
    return circuit


def register_condition() -> QuantumCircuit:
    """A rotation under a comparison of two measured bits, with an else branch."""
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(3), register, ClassicalRegister(1, "d"))
    circuit.h([0, 1])
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((register, 2)) as otherwise:
        circuit.ry(1.1, 2)
    with otherwise:
        circuit.x(2)
    circuit.measure(2, 2)
    return circuit


def reset_circuit() -> QuantumCircuit:
    """A reset of half a Bell pair leaves the other half mixed, and the reset qubit usable."""
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.reset(0)
    circuit.ry(0.8, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def loop() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop(range(3)):
        circuit.rx(0.4, 0)
        circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def unmeasured() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    return circuit


FAMILIES: dict[str, Callable[[], QuantumCircuit]] = {
    "random": random_circuit,
    "clifford": clifford,
    "arithmetic": arithmetic,
    "bit order": bit_order,
    "overwritten bit": overwritten,
    "mid-circuit": mid_circuit,
    "conditional": conditional,
    "register condition": register_condition,
    "reset": reset_circuit,
    "loop": loop,
    "unmeasured": unmeasured,
}


def exact_distribution(circuit: QuantumCircuit) -> dict[str, float]:
    """Probability of every bit string, by following all branches of measurements and resets densely.

    Written without any of the code under test: gates are matrices from Qiskit, applied by einsum.
    """
    start = np.zeros([2] * circuit.num_qubits, dtype=complex)
    start[(0,) * circuit.num_qubits] = 1
    branches = [(start, (0,) * circuit.num_clbits)]
    branches = _follow(circuit, branches, {q: i for i, q in enumerate(circuit.qubits)},
                       {c: i for i, c in enumerate(circuit.clbits)})  # fmt: skip
    result: dict[str, float] = {}
    for state, bits in branches:
        text = "".join(str(bit) for bit in reversed(bits))
        result[text] = result.get(text, 0.0) + float(np.vdot(state, state).real)
    return result


def _follow(circuit, branches, qubits, clbits):
    for item in circuit.data:
        where = [qubits[q] for q in item.qubits]
        name, operation = item.operation.name, item.operation
        if name == "barrier":
            continue
        if name == "measure":
            bit = clbits[item.clbits[0]]
            branches = [
                (projected, (*bits[:bit], value, *bits[bit + 1 :]))
                for state, bits in branches
                for value, projected in outcomes(state, where[0])
            ]
        elif name == "reset":
            branches = [
                (applied(np.array([[0, 1], [1, 0]]), projected, where) if value else projected, bits)
                for state, bits in branches
                for value, projected in outcomes(state, where[0])
            ]
        elif name == "if_else":
            branches = [
                outcome
                for branch in branches
                for outcome in _conditional(operation, branch, item, qubits, clbits)
            ]
        elif name == "for_loop":
            body = operation.blocks[0]
            for _ in operation.params[0]:
                inner_q = {q: qubits[o] for q, o in zip(body.qubits, item.qubits, strict=True)}
                inner_c = {c: clbits[o] for c, o in zip(body.clbits, item.clbits, strict=True)}
                branches = _follow(body, branches, inner_q, inner_c)
        else:
            matrix = Operator(operation).data
            branches = [(applied(matrix, state, where), bits) for state, bits in branches]
    return branches


def _conditional(operation, branch, item, qubits, clbits):
    target, value = operation.condition
    bits = [target] if not hasattr(target, "size") else list(target)
    held = sum(branch[1][clbits[bit]] << place for place, bit in enumerate(bits))
    blocks = operation.blocks
    body = blocks[0] if held == int(value) else (blocks[1] if len(blocks) > 1 else None)
    if body is None:
        return [branch]
    inner_q = {q: qubits[o] for q, o in zip(body.qubits, item.qubits, strict=True)}
    inner_c = {c: clbits[o] for c, o in zip(body.clbits, item.clbits, strict=True)}
    return _follow(body, [branch], inner_q, inner_c)


def outcomes(state, qubit):
    for value in (0, 1):
        projected = np.zeros_like(state)
        index = [slice(None)] * state.ndim
        index[qubit] = value
        projected[tuple(index)] = state[tuple(index)]
        if np.vdot(projected, projected).real > 1e-15:
            yield value, projected


def applied(matrix, state, where):
    """`matrix` with the first of `where` as its least significant qubit."""
    count = len(where)
    tensor = np.asarray(matrix).reshape([2] * (2 * count))
    axes = [where[count - 1 - place] for place in range(count)]
    moved = np.tensordot(tensor, state, axes=(list(range(count, 2 * count)), axes))
    return np.moveaxis(moved, list(range(count)), axes)
