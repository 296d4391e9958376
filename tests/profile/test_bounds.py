"""Bounds on bonds and on nonzero amplitudes never lie below what the exact states have."""

from itertools import pairwise

import numpy as np
import pytest
from conformance.oracle import applied, outcomes
from made_circuits import matrices, random_circuit
from qiskit import QuantumCircuit

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.circuits.program import Program
from qrex.profile import analyze, profile_program
from qrex.profile.reduction import reduce


def exact(program: Program) -> tuple[int, int]:
    """Largest Schmidt rank over cuts and largest number of nonzero amplitudes, over all moments and branches."""
    start = np.zeros([2] * program.num_qubits, dtype=complex)
    start[(0,) * program.num_qubits] = 1
    branches, rank, support = [(start, (0,) * program.num_clbits)], 1, 1
    for row, matrix in enumerate(matrices(program)):
        where, clbit, after = list(program.qubits_of(row)), int(program.clbit[row]), []
        for state, bits in branches:
            if program.guard[row] >= 0 and not all(
                (sum(bits[bit] << place for place, bit in enumerate(one.bits)) == one.value) != one.negated
                for one in program.guards[program.guard[row]]
            ):
                after.append((state, bits))
            elif matrix is not None:
                after.append((applied(matrix, state, where), bits))
            else:
                for value, projected in outcomes(state, where[0]):
                    if clbit < 0 and value:
                        projected = applied(np.array([[0, 1], [1, 0]]), projected, where)
                    kept = bits if clbit < 0 else (*bits[:clbit], value, *bits[clbit + 1 :])
                    after.append((projected / np.linalg.norm(projected), kept))
        branches = after
        for state, _ in branches:
            support = max(support, np.count_nonzero(np.abs(state) > 1e-9))
            for cut in range(1, program.num_qubits):
                rank = max(rank, np.linalg.matrix_rank(state.reshape(2**cut, -1), tol=1e-8))
    return rank, support


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("block", range(5))
def test_random_circuits_stay_below_their_bounds(block, dynamic):
    for seed in range(1000 + 20 * block, 1020 + 20 * block):
        program = flatten(random_circuit(seed, dynamic, measured=False))
        if program.obstacle:
            continue
        rank, support = exact(program)
        found = profile_program(program, "t", 1)
        assert found.max_log2_schmidt >= np.log2(rank) - 1e-9, seed
        assert found.log2_support >= np.log2(support) - 1e-9, seed


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("block", range(5))
def test_parts_stay_below_their_bounds(block, dynamic):
    for seed in range(2000 + 20 * block, 2020 + 20 * block):
        program = flatten(random_circuit(seed, dynamic))
        if program.obstacle:
            continue
        for part in reduce(program).parts:
            rank, support = exact(part.program)
            found = profile_program(part.program, "t", 1, reduced=True)
            assert found.max_log2_schmidt >= np.log2(rank) - 1e-9, seed
            assert found.log2_support >= np.log2(support) - 1e-9, seed


def part_profiles(circuit: QuantumCircuit):
    circuit.measure_all()
    return analyze(Circuit("t", "t", "<python>", "Qiskit", circuit)).part_profiles


def test_a_ladder_of_phases_counts_once():
    """Controlled phases from one qubit across a cut have rank 2 together, whatever their number."""
    circuit = QuantumCircuit(12)
    circuit.ry(0.3, range(12))
    for qubit in range(1, 12):
        circuit.cp(0.1 * qubit, 0, qubit)
        circuit.rx(0.2, qubit)
    circuit.ry(0.4, 0)
    (found,) = part_profiles(circuit)
    assert found.max_log2_schmidt == 1


def test_a_fan_in_counts_once():
    circuit = QuantumCircuit(12)
    circuit.ry(0.3, range(12))
    for qubit in range(11):
        circuit.cx(qubit, 11)
        circuit.ry(0.2, qubit)
    (found,) = part_profiles(circuit)
    assert found.max_log2_schmidt == 1


def test_order_of_qubits_is_found():
    """A chain over scattered qubits, and two registers that interact pair by pair."""
    random = np.random.default_rng(4)
    order = random.permutation(40)
    circuit = QuantumCircuit(40)
    circuit.ry(0.3, range(40))
    for left, right in pairwise(order):
        circuit.rxx(0.3, int(left), int(right))
    assert [found.max_log2_schmidt for found in part_profiles(circuit)] == [1]
    circuit = QuantumCircuit(32)
    circuit.ry(0.3, range(32))
    for qubit in range(16):
        circuit.rxx(0.3, qubit, qubit + 16)
        circuit.rxx(0.3, qubit, (qubit + 1) % 16)
    assert max(found.max_log2_schmidt for found in part_profiles(circuit)) <= 4


@pytest.mark.parametrize(
    ("build", "bound"),
    [
        (lambda c: [c.h(0), *[c.cx(q, q + 1) for q in range(19)]], 1),  # GHZ
        (lambda c: [c.h(range(5)), *[c.ccx(q, q + 1, q + 5) for q in range(4)]], 5),  # arithmetic
        (lambda c: [c.h(0), c.h(0), c.h(0), c.cx(0, 1), c.h(0), c.h(1)], 2),
        (lambda c: [c.x(0), *[c.cry(0.5, q, q + 1) or c.cx(q + 1, q) for q in range(19)]], np.log2(20)),  # one-hot
    ],
)
def test_support_is_tight_where_it_is_known(build, bound):
    circuit = QuantumCircuit(20)
    build(circuit)
    assert profile_program(flatten(circuit), "t", 1).log2_support == pytest.approx(bound)
