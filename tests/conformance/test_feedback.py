"""If statements as rows give the distribution that the statements have; engines sample it.

The oracle looks at a condition when its statement is entered; the interpreter of rows here, as engines do, looks at a
guard when its row is reached. Both follow every outcome, so that they agree to rounding.
"""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr

from qrex import _kernels
from qrex.circuits import circuit_from_qiskit
from qrex.circuits.flattening import MAX_WAITING_BITS, flatten
from qrex.circuits.program import MEASURE, RESET, Program
from qrex.engines import Allotment, Job
from qrex.engines.mps import MatrixProductEngine
from qrex.engines.sparse import SparseEngine
from qrex.engines.statevector import StateVectorEngine

from .judging import LEVEL, SHOTS, chi_square_p
from .oracle import applied, exact_distribution, outcomes

QUBITS, CLBITS = 3, 4
X = np.array([[0, 1], [1, 0]])
ORDERS = (expr.less, expr.less_equal, expr.greater, expr.greater_equal, expr.equal, expr.not_equal)
OUTDATED = "an if statement tests a bit that changed in a statement that tests it too"


def from_rows(program: Program) -> dict[str, float]:
    start = np.zeros([2] * program.num_qubits, dtype=complex)
    start[(0,) * program.num_qubits] = 1
    branches = [(start, (0,) * program.num_clbits)]
    for row in range(len(program)):
        opcode, where, clbit = int(program.opcode[row]), list(program.qubits_of(row)), int(program.clbit[row])
        matrix = X if opcode == RESET else None if opcode == MEASURE else np.asarray(_kernels.row_matrix(program, row))
        found = []
        for state, bits in branches:
            if not runs(program, row, bits):
                found.append((state, bits))
            elif opcode not in (MEASURE, RESET):
                found.append((applied(matrix, state, where), bits))
            else:
                for value, way in outcomes(state, where[0]):
                    if opcode == MEASURE:
                        found.append((way, (*bits[:clbit], value, *bits[clbit + 1 :])))
                    else:
                        found.append((applied(X, way, where) if value else way, bits))
        branches = found
    result: dict[str, float] = {}
    for state, bits in branches:
        text = "".join(str(bit) for bit in reversed(bits))
        result[text] = result.get(text, 0.0) + float(np.vdot(state, state).real)
    return result


def runs(program: Program, row: int, bits: tuple[int, ...]) -> bool:
    guard = int(program.guard[row])
    return guard < 0 or all(
        (sum(bits[bit] << place for place, bit in enumerate(c.bits)) == c.value) != c.negated
        for c in program.guards[guard]
    )


def random_condition(random, circuit: QuantumCircuit, depth: int = 2) -> expr.Expr:
    kind = random.integers(2 if depth == 0 else 6)
    if kind == 0:
        return expr.lift(circuit.clbits[int(random.integers(CLBITS))])
    if kind == 1:
        return ORDERS[random.integers(len(ORDERS))](circuit.cregs[0], int(random.integers(8)))
    one, other = (random_condition(random, circuit, depth - 1) for _ in range(2))
    if kind == 2:
        return expr.logic_not(one)
    return (expr.logic_and, expr.logic_or, expr.bit_xor)[kind - 3](one, other)


def random_statements(random, circuit: QuantumCircuit, depth: int, length: int) -> None:
    for _ in range(length):
        kind = random.choice(["gate", "measure", "reset", "if"], p=[0.5, 0.25, 0.05, 0.2])
        qubits = [int(qubit) for qubit in random.permutation(QUBITS)]
        if kind == "if" and depth:
            with circuit.if_test(random_condition(random, circuit)) as otherwise:
                random_statements(random, circuit, depth - 1, int(random.integers(1, 4)))
            if random.integers(2):
                with otherwise:
                    random_statements(random, circuit, depth - 1, int(random.integers(1, 4)))
        elif kind == "measure":
            circuit.measure(qubits[0], int(random.integers(CLBITS)))
        elif kind == "reset":
            circuit.reset(qubits[0])
        else:
            name = str(random.choice(["x", "h", "t", "cx"]))
            getattr(circuit, name)(*qubits[: 2 if name == "cx" else 1])


def random_circuit(random) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(QUBITS), ClassicalRegister(3, "c"), ClassicalRegister(1, "d"))
    circuit.h(range(QUBITS))
    circuit.measure([0, 1], [0, 1])
    random_statements(random, circuit, 2, 6)
    return circuit


def test_rows_have_the_distribution_of_the_statements():
    random = np.random.default_rng(4)
    followed = waited = 0
    for _ in range(250):
        circuit = random_circuit(random)
        program = flatten(circuit)
        if program.obstacle:
            assert program.obstacle == OUTDATED
            continue
        found, expected = from_rows(program), exact_distribution(circuit)
        assert all(abs(found.get(text, 0) - expected.get(text, 0)) < 1e-9 for text in found.keys() | expected.keys())
        followed += 1
        waited += program.num_qubits > QUBITS
    assert followed > 200 and waited > 25


@pytest.mark.parametrize("engine", [StateVectorEngine, SparseEngine, MatrixProductEngine])
def test_engines_sample_statements_that_change_what_they_test(engine):
    random = np.random.default_rng(5)
    judged = 0
    while judged < 12:
        circuit = random_circuit(random)
        program = flatten(circuit)
        if program.obstacle or program.num_qubits == QUBITS:
            continue
        judged += 1
        job = Job(circuit_from_qiskit(circuit), SHOTS, judged)
        result = engine({}).run(job, Allotment(threads=1, memory_bytes=1 << 30), lambda fraction: None)
        assert chi_square_p(result.counts, exact_distribution(circuit), SHOTS) > LEVEL


def test_a_statement_that_changes_what_it_tests_uses_one_qubit_again_and_again():
    circuit = QuantumCircuit(2, 1)
    for _ in range(5):
        circuit.h([0, 1])
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.measure(1, 0)
            circuit.x(0)
    program = flatten(circuit)
    assert not program.obstacle and program.num_qubits == 3


def test_too_many_bits_that_change_are_an_obstacle():
    circuit = QuantumCircuit(1, MAX_WAITING_BITS + 1)
    condition = expr.lift(circuit.clbits[0])
    for bit in circuit.clbits[1:]:
        condition = expr.logic_or(condition, bit)
    with circuit.if_test(condition):
        for bit in circuit.clbits:
            circuit.measure(0, bit)
    assert "too many of the bits" in flatten(circuit).obstacle


def test_statements_in_one_another_end_in_reasonable_time():
    """Each changes the bit it tests: without a limit, every level would double the work of those inside."""
    circuit = QuantumCircuit(1, 18)

    def nest(level: int) -> None:
        with circuit.if_test((circuit.clbits[level], 1)):
            if level + 1 < circuit.num_clbits:
                nest(level + 1)
            circuit.measure(0, level)
            circuit.x(0)

    nest(0)
    assert "too many of the bits" in flatten(circuit).obstacle
