"""Circuits for the conformance suite, by what they ask of an engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr
from qiskit.circuit.library import DiagonalGate, RYGate, UnitaryGate, XGate
from qiskit.quantum_info import Kraus, random_unitary

from qrex.circuits import Circuit

from .oracle import applied, exact_distribution, outcomes

__all__ = ["FAMILIES", "adder_of_basis_states", "applied", "exact_distribution", "named", "outcomes"]


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


def multi_controlled() -> QuantumCircuit:
    """Up to four controls, some of them open, over flips, phases and rotations."""
    circuit = QuantumCircuit(6, 6)
    circuit.h(range(5))
    circuit.mcx([0, 1, 2, 3], 5)
    circuit.mcp(0.9, [0, 2, 4], 1)
    circuit.append(RYGate(0.7).control(2, ctrl_state=1, annotated=False), [3, 4, 5])
    circuit.cx(0, 4, ctrl_state=0)
    circuit.append(XGate().control(3, ctrl_state=2, annotated=False), [1, 2, 5, 0])
    circuit.ccz(1, 3, 5)
    circuit.h([0, 2, 5])
    circuit.measure(range(6), range(6))
    return circuit


def wide_matrices() -> QuantumCircuit:
    """Matrices and diagonals of one to four qubits, in mixed orders."""
    circuit = QuantumCircuit(5, 5)
    circuit.h([0, 3])
    for seed, where in enumerate(([2], [4, 1], [3, 0, 2], [1, 4, 0, 3])):
        circuit.append(UnitaryGate(random_unitary(2 ** len(where), seed=seed)), where)
    phases = np.exp(1j * np.random.default_rng(3).uniform(0, 6, 8))
    circuit.append(DiagonalGate(phases.tolist()), [4, 0, 2])
    circuit.h(range(5))
    circuit.measure(range(5), range(5))
    return circuit


def reuse() -> QuantumCircuit:
    """One qubit measured, put back and used again, its history in three bits, while entangled with another."""
    circuit = QuantumCircuit(3, 5)
    circuit.ry(0.9, 0)
    for bit in range(3):
        circuit.cx(0, 1)
        circuit.ry(0.6, 1)
        circuit.measure(1, bit)
        circuit.reset(1)
        circuit.cry(0.8, 0, 1)
        circuit.cx(1, 2)
    circuit.measure([0, 2], [3, 4])
    return circuit


def reset_entangled() -> QuantumCircuit:
    """Resets of a GHZ state, one qubit after the other, and rotations in between: Clifford nowhere."""
    circuit = QuantumCircuit(4, 4)
    circuit.ry(1.0, 0)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    circuit.reset(1)
    circuit.ry(0.7, 1)
    circuit.cx(1, 3)
    circuit.reset(3)
    circuit.cx(0, 3)
    circuit.measure(range(4), range(4))
    return circuit


def nested_conditions() -> QuantumCircuit:
    """Conditions inside conditions and else branches, negated register comparisons, parities."""
    low, high = ClassicalRegister(2, "low"), ClassicalRegister(2, "high")
    circuit = QuantumCircuit(QuantumRegister(4), low, high)
    circuit.h([0, 1])
    circuit.ry(0.8, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test(expr.not_equal(low, 2)) as otherwise:
        circuit.ry(0.5, 3)
        circuit.measure(2, 2)
        with circuit.if_test((high[0], 1)) as inner:
            circuit.ry(1.1, 3)
        with inner:
            circuit.x(3)
    with otherwise, circuit.if_test(expr.logic_not(high[0])):
        circuit.h(3)
    with circuit.if_test(expr.bit_xor(expr.bit_xor(low[0], low[1]), high[0])):
        circuit.rx(0.4, 3)
    with circuit.if_test(expr.logic_or(low[0], high[0])):
        circuit.x(2)
    circuit.measure([2, 3], [2, 3])
    return circuit


def rewritten_bits() -> QuantumCircuit:
    """A bit decides, is measured anew, and decides again."""
    circuit = QuantumCircuit(3, 2)
    circuit.h(0)
    for angle in (0.4, 0.9):
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
            circuit.ry(angle, 1)
        with otherwise:
            circuit.x(2)
        circuit.ry(1.3, 0)
        circuit.cx(1, 0)
    circuit.measure([1, 2], [0, 1])
    return circuit


def clifford_feedback() -> QuantumCircuit:
    """Clifford gates and a measurement under one bit, under two bits, and under a parity."""
    circuit = QuantumCircuit(QuantumRegister(4), ClassicalRegister(2, "c"), ClassicalRegister(3, "d"))
    circuit.h([0, 1, 3])
    circuit.cx(3, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.h(2)
        circuit.measure(3, 2)
    with circuit.if_test((circuit.cregs[0], 2)):
        circuit.s(2)
        circuit.h(2)
    with circuit.if_test(expr.bit_xor(circuit.clbits[0], circuit.clbits[1])):
        circuit.x(3)
    circuit.measure([2, 3], [3, 4])
    return circuit


def parity_feedback() -> QuantumCircuit:
    """A GHZ state from Bell pairs: each correction is the parity of all measurements so far."""
    pairs = 3
    circuit = QuantumCircuit(2 * pairs, 2 * pairs)
    circuit.h(range(0, 2 * pairs, 2))
    for pair in range(pairs):
        circuit.cx(2 * pair, 2 * pair + 1)
    total = None
    for joint in range(pairs - 1):
        left, right = 2 * joint + 1, 2 * joint + 2
        circuit.cx(left, right)
        circuit.measure(right, joint)
        bit = expr.lift(circuit.clbits[joint])
        total = bit if total is None else expr.bit_xor(total, bit)
        with circuit.if_test(total):
            circuit.x(right + 1)
    kept = [0, *range(1, 2 * pairs, 2)]
    circuit.measure(kept, range(pairs - 1, pairs - 1 + len(kept)))
    return circuit


def noise() -> QuantumCircuit:
    """Amplitude damping of half an entangled pair, and a phase flip."""
    circuit = QuantumCircuit(2, 2)
    circuit.ry(1.1, 0)
    circuit.cx(0, 1)
    circuit.append(Kraus([[[1, 0], [0, 0.6]], [[0, 0.8], [0, 0]]]).to_instruction(), [1])
    circuit.h(0)
    circuit.append(Kraus([0.9**0.5 * np.eye(2), 0.1**0.5 * np.diag([1, -1])]).to_instruction(), [0])
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def until_zero() -> QuantumCircuit:
    """Flipped until a measurement gives 0: how often is known only then; the other qubit turns each time."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.reset(0)
        circuit.ry(1.2, 0)
        circuit.ry(0.5, 1)
        circuit.measure(0, 0)
    circuit.measure(1, 1)
    return circuit


def adder_of_basis_states() -> tuple[QuantumCircuit, str]:
    """23-bit numbers added by a ripple of carries on 70 qubits, and what is measured: basis states throughout."""
    bits, left, right = 23, 5_432_109, 7_654_321
    a, b, carry = QuantumRegister(bits, "a"), QuantumRegister(bits, "b"), QuantumRegister(bits + 1, "carry")
    circuit = QuantumCircuit(a, b, carry, ClassicalRegister(bits + 1, "total"))
    for place in range(bits):
        if left >> place & 1:
            circuit.x(a[place])
        if right >> place & 1:
            circuit.x(b[place])
    for place in range(bits):
        circuit.ccx(a[place], b[place], carry[place + 1])
        circuit.cx(a[place], b[place])
        circuit.ccx(carry[place], b[place], carry[place + 1])
        circuit.cx(carry[place], b[place])
    circuit.measure([*b, carry[bits]], range(bits + 1))
    return circuit, format(left + right, f"0{bits + 1}b")


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
    "multi-controlled": multi_controlled,
    "wide matrices": wide_matrices,
    "reuse": reuse,
    "reset of entangled qubits": reset_entangled,
    "nested conditions": nested_conditions,
    "rewritten bits": rewritten_bits,
    "Clifford feedback": clifford_feedback,
    "parity feedback": parity_feedback,
    "noise": noise,
    "until zero": until_zero,
}
