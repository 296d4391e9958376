"""Clifford gates written as rotations: every recognized gate is checked against its own matrix."""

import itertools
import math

import numpy as np
import pytest
import stim
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, random_clifford

from qrex.profile.clifford import clifford_of_matrix, clifford_operations, is_pauli

ANGLES = [quarter * math.pi / 2 for quarter in range(-4, 9)]
GATES = {
    name: gate
    for name, gate in get_standard_gate_name_mapping().items()
    if gate.num_qubits in (1, 2) and hasattr(gate, "to_matrix") and name not in ("measure", "reset", "delay")
}


def matrix_of(operations, num_qubits: int) -> np.ndarray:
    circuit = stim.Circuit()
    circuit.append("I", range(num_qubits))
    for name, targets in operations:
        circuit.append(name, targets)
    return stim.Tableau.from_circuit(circuit).to_unitary_matrix(endian="little")


def same_up_to_phase(a: np.ndarray, b: np.ndarray) -> bool:
    return abs(abs(np.trace(a.conj().T @ b)) / len(a) - 1) < 1e-6


def is_clifford_by_conjugation(matrix: np.ndarray) -> bool:
    """From the definition: Paulis are mapped to Paulis."""
    pauli = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1])}
    pauli["Y"] = 1j * pauli["X"] @ pauli["Z"]
    count = round(math.log2(len(matrix)))
    words = ["".join(word) for word in itertools.product("IXYZ", repeat=count)]
    tensors = [matrix_kron([pauli[letter] for letter in word]) for word in words]
    for word, tensor in zip(words, tensors, strict=True):
        if set(word) - {"I"} and word.count("I") == count - 1:
            image = matrix @ tensor @ matrix.conj().T
            if max(abs(np.trace(other.conj().T @ image)) / len(matrix) for other in tensors) < 1 - 1e-9:
                return False
    return True


def matrix_kron(factors):
    product = np.eye(1)
    for factor in factors:
        product = np.kron(product, factor)
    return product


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_standard_gate_at_quarter_turns(name):
    """Recognized exactly where the definition of a Clifford gate says so, and as the right gate."""
    gate = GATES[name]
    choices = [()] if not gate.params else itertools.product(ANGLES[:: 1 if len(gate.params) < 3 else 3],
                                                             repeat=len(gate.params))  # fmt: skip
    for params in choices:
        matrix = np.asarray(type(gate)(*params).to_matrix() if params else gate.to_matrix())
        operations = clifford_operations(name, tuple(params))
        assert (operations is not None) == is_clifford_by_conjugation(matrix), params
        if operations is not None:
            assert same_up_to_phase(matrix_of(operations, gate.num_qubits), matrix), params


@pytest.mark.parametrize("name", ["rx", "ry", "rz", "p", "rzz", "rxx"])
def test_tolerance_of_angles(name):
    assert clifford_operations(name, (math.pi / 2 + 9e-10,)) is not None
    assert clifford_operations(name, (math.pi / 2 + 2e-9,)) is None
    assert clifford_operations(name, (math.pi / 4,)) is None


def test_u_gates_whose_angles_only_matter_together():
    assert clifford_operations("u", (0.0, 0.3, -0.3)) == ()
    assert clifford_operations("u3", (math.pi, 0.4, 0.4)) is not None
    assert clifford_operations("u", (math.pi / 2, 0.3, -0.3)) is None


@pytest.mark.parametrize("seed", range(12))
def test_random_two_qubit_cliffords_by_matrix(seed):
    matrix = Operator(random_clifford(2, seed=seed)).data
    operations = clifford_of_matrix(matrix)
    assert operations is not None
    assert same_up_to_phase(matrix_of(operations, 2), matrix)


def test_matrices_that_look_clifford_but_are_not():
    assert (
        clifford_of_matrix(np.diag([1, 1, 1, 1j])) is None
    )  # CS: entries fit the grid, the tableau does not
    assert clifford_of_matrix(UnitaryGate(np.diag([1, np.exp(0.25j * math.pi)])).to_matrix()) is None


def test_paulis():
    assert is_pauli(clifford_operations("rx", (math.pi,)))
    assert is_pauli(clifford_operations("id", ()))
    assert not is_pauli(clifford_operations("h", ()))
