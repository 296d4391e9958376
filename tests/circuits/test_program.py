"""Flattened circuits mean what Qiskit's operators and our own oracle say."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import (
    DiagonalGate,
    QFTGate,
    RC3XGate,
    RCCXGate,
    UnitaryGate,
    get_standard_gate_name_mapping,
)
from qiskit.quantum_info import Operator, random_unitary

from qrex import _kernels
from qrex.circuits.flattening import flatten
from qrex.circuits.program import OPERATIONS, Condition
from qrex.circuits.rebuilding import rebuild
from qrex.errors import InputError

LEFT_OUT = {"id", "barrier", "delay", "global_phase", "measure", "reset"}
STANDARD = sorted(set(get_standard_gate_name_mapping()) - LEFT_OUT)


def unitary_of(program) -> np.ndarray:
    """The whole program's matrix from the rows' own matrices, by embedding."""
    total = np.eye(1 << program.num_qubits, dtype=complex)
    for row in range(len(program)):
        embedded = QuantumCircuit(program.num_qubits)
        embedded.append(UnitaryGate(_kernels.row_matrix(program, row)), program.qubits_of(row))
        total = Operator(embedded).data @ total
    return total


def same_up_to_phase(a: np.ndarray, b: np.ndarray) -> bool:
    return abs(abs(np.vdot(a, b)) / len(a) - 1) < 1e-9


def test_compiled_code_numbers_operations_alike():
    assert _kernels.operation_names() == [operation.name for operation in OPERATIONS]


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_gate_keeps_its_matrix(name):
    template = get_standard_gate_name_mapping()[name]
    angles = [0.3, 1.1, -0.7, 2.0][: len(template.params)]
    gate = type(template)(*angles)
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, list(reversed(range(gate.num_qubits))))
    program = flatten(circuit)
    assert not program.obstacle
    assert same_up_to_phase(unitary_of(program), Operator(circuit).data)
    assert same_up_to_phase(Operator(rebuild(program)).data, Operator(circuit).data)


def wide_gates() -> QuantumCircuit:
    circuit = QuantumCircuit(5)
    circuit.h(range(5))
    circuit.mcx([0, 1, 2, 3], 4)
    circuit.mcp(0.4, [0, 2, 3], 1)
    circuit.append(UnitaryGate(random_unitary(2, seed=1)).control(2, annotated=False), [4, 0, 1])
    circuit.append(RCCXGate(), [0, 3, 2])
    circuit.append(RC3XGate(), [0, 3, 2, 1])
    circuit.append(random_unitary(8, seed=2), [3, 1, 4])
    circuit.append(QFTGate(3), [2, 0, 4])
    circuit.cx(0, 1, ctrl_state=0)
    circuit.ccz(0, 1, 2, ctrl_state=1)
    circuit.cu(0.1, 0.2, 0.3, 0.4, 3, 0, ctrl_state=0)
    circuit.append(DiagonalGate([1, 1j, -1, np.exp(0.3j)]), [1, 3])
    return circuit


def test_wide_open_and_composite_gates():
    circuit = wide_gates()
    program = flatten(circuit)
    assert same_up_to_phase(unitary_of(program), Operator(circuit).data)
    assert same_up_to_phase(Operator(rebuild(program)).data, Operator(circuit).data)


def test_conditions_measurements_and_loops():
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(3), register, ClassicalRegister(1, "d"))
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((register, 2)) as otherwise:
        circuit.x(2)
    with otherwise:
        circuit.ry(0.5, 2)
    with circuit.for_loop(range(3)):
        circuit.h(1)
    circuit.reset(0)
    circuit.measure(2, 2)
    program = flatten(circuit)
    assert [program.name_of(row) for row in range(len(program))] == [
        "measure", "measure", "x", "ry", "h", "h", "h", "reset", "measure",
    ]  # fmt: skip
    assert program.clbit.tolist() == [0, 1, -1, -1, -1, -1, -1, -1, 2]
    assert program.guards == ((Condition((0, 1), 2, False),), (Condition((0, 1), 2, True),))
    assert program.guard.tolist() == [-1, -1, 0, 1, -1, -1, -1, -1, -1]
    assert not program.obstacle
    again = flatten(rebuild(program))
    assert [again.name_of(row) for row in range(len(again))] == [program.name_of(r) for r in range(len(program))]


def test_what_no_row_can_say_is_named():
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    assert "while" in flatten(circuit).obstacle
    with pytest.raises(InputError, match="while"):
        rebuild(flatten(circuit))
    rewritten = QuantumCircuit(1, 1)
    rewritten.measure(0, 0)
    with rewritten.if_test((rewritten.clbits[0], 1)):
        rewritten.measure(0, 0)
        with rewritten.if_test((rewritten.clbits[0], 1)):
            rewritten.x(0)
    assert "tests a bit that changed" in flatten(rewritten).obstacle
    fine = QuantumCircuit(1, 1)
    fine.measure(0, 0)
    with fine.if_test((fine.clbits[0], 1)):
        fine.x(0)
        fine.measure(0, 0)
    assert not flatten(fine).obstacle and flatten(fine).num_qubits == 1


def test_unbound_parameters_and_endless_loops(monkeypatch):
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("a"), 0)
    with pytest.raises(InputError, match="unbound"):
        flatten(circuit)
    monkeypatch.setattr("qrex.circuits.flattening.MAX_ROWS", 10)
    long = QuantumCircuit(1)
    with long.for_loop(range(100)):
        long.h(0)
    with pytest.raises(InputError, match="unrolls"):
        flatten(long)


ORDERS = (
    (expr.less, operator.lt),
    (expr.less_equal, operator.le),
    (expr.greater, operator.gt),
    (expr.greater_equal, operator.ge),
    (expr.equal, operator.eq),
    (expr.not_equal, operator.ne),
)


def random_expression(random, circuit: QuantumCircuit, depth: int):
    """A condition over five bits, two of them in a register of their own, and how Python says the same."""
    kind = random.integers(3 if depth == 0 else 9)
    if kind == 0:
        bit = int(random.integers(5))
        return expr.lift(circuit.clbits[bit]), lambda bits: bits[bit] == 1
    build, compare = ORDERS[random.integers(len(ORDERS))]
    if kind == 1:
        value = int(random.integers(8))
        return build(circuit.cregs[0], value), lambda bits: compare(bits[0] + 2 * bits[1] + 4 * bits[2], value)
    if kind == 2:
        value = int(random.integers(4))
        return build(value, circuit.cregs[1]), lambda bits: compare(value, bits[3] + 2 * bits[4])
    if kind == 3:
        masked = expr.bit_and(circuit.cregs[0], 6)
        two = expr.bit_not(expr.lift(5, types.Uint(3)))
        return build(masked, two), lambda bits: compare(2 * bits[1] + 4 * bits[2], 2)
    one, first = random_expression(random, circuit, depth - 1)
    if kind == 4:
        return expr.logic_not(one), lambda bits: not first(bits)
    other, second = random_expression(random, circuit, depth - 1)
    if kind == 5:
        return expr.logic_and(one, other), lambda bits: first(bits) and second(bits)
    if kind == 6:
        return expr.logic_or(one, other), lambda bits: first(bits) or second(bits)
    if kind == 7:
        return expr.bit_xor(one, other), lambda bits: first(bits) != second(bits)
    return expr.equal(one, other), lambda bits: first(bits) == second(bits)


def runs(program, row: int, bits: list[int]) -> bool:
    guard = int(program.guard[row])
    return guard < 0 or all(
        (sum(bits[bit] << place for place, bit in enumerate(c.bits)) == c.value) != c.negated
        for c in program.guards[guard]
    )


def test_expressions_mean_what_they_say():
    """Random conditions over all values of their bits: X is its own inverse and may be split, T may not."""
    random = np.random.default_rng(8)
    repeated = 0
    for _ in range(400):
        circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(3, "a"), ClassicalRegister(2, "b"))
        condition, truth = random_expression(random, circuit, int(random.integers(1, 4)))
        with circuit.if_test(condition) as otherwise:
            circuit.x(0)
            circuit.t(0)
        with otherwise:
            circuit.x(1)
        program = flatten(circuit)
        assert not program.obstacle
        repeated += len(program) > 3
        for number in range(32):
            bits = [number >> place & 1 for place in range(5)]
            rows = [row for row in range(len(program)) if runs(program, row, bits)]
            seen = {
                (name, qubit): sum((program.name_of(r), program.qubits_of(r)) == (name, (qubit,)) for r in rows)
                for name, qubit in (("x", 0), ("t", 0), ("x", 1))
            }
            assert seen[("x", 0)] % 2 == seen[("t", 0)] == truth(bits)
            assert seen[("x", 1)] % 2 == (not truth(bits))
    assert repeated > 100


@pytest.mark.parametrize(("build", "compare"), ORDERS)
def test_an_order_is_one_guard_and_never_repeats_rows(build, compare):
    """Every constant of four bits, both branches; the gates of 60 bits below a constant stand once."""
    for value in range(16):
        circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(4, "c"))
        with circuit.if_test(build(circuit.cregs[0], value)) as otherwise:
            circuit.t(0)
        with otherwise:
            circuit.s(0)
        program = flatten(circuit)
        assert not program.obstacle and len(program) <= 2
        for number in range(16):
            bits = [number >> place & 1 for place in range(4)]
            names = [program.name_of(row) for row in range(len(program)) if runs(program, row, bits)]
            assert names == ["t" if compare(number, value) else "s"]
    wide = QuantumCircuit(QuantumRegister(1), ClassicalRegister(60, "c"))
    with wide.if_test(build(wide.cregs[0], 0x123456789ABCDEF)):
        wide.t(0)
    assert not flatten(wide).obstacle and len(flatten(wide)) == 1


def test_what_cannot_be_followed_is_named_as_it_was_written():
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(20, "c"), ClassicalRegister(20, "d"))
    condition = expr.logic_and(expr.less(*circuit.cregs), expr.logic_not(circuit.clbits[3]))
    with circuit.if_test(condition):
        circuit.t(0)
    assert flatten(circuit).obstacle == "the expression (c < d) && !c[3] cannot be followed"


def test_a_block_is_not_repeated_without_end(monkeypatch):
    monkeypatch.setattr("qrex.circuits.flattening.MAX_REPEATED_ROWS", 5)
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(3, "c"), ClassicalRegister(3, "d"))
    with circuit.if_test(expr.less(*circuit.cregs)):
        circuit.t(0)
    assert flatten(circuit).obstacle == "the expression c < d over so many gates cannot be followed"
    monkeypatch.setattr("qrex.circuits.flattening.MAX_REPEATED_ROWS", 60)
    assert not flatten(circuit).obstacle


def test_a_parity_of_many_bits_is_followed_for_gates_that_undo_themselves():
    circuit = QuantumCircuit(1, 40)
    condition = expr.lift(circuit.clbits[0])
    for bit in circuit.clbits[1:]:
        condition = expr.bit_xor(condition, bit)
    with circuit.if_test(expr.equal(condition, False)):
        circuit.h(0)
        circuit.x(0)
    program = flatten(circuit)
    assert not program.obstacle and len(program) == 2 * 41
    names = [program.name_of(row) for row in range(len(program))]
    assert names == ["h"] * 41 + ["x"] * 41
    with circuit.if_test(condition):
        circuit.t(0)
    assert "parity of 40 bits" in flatten(circuit).obstacle
