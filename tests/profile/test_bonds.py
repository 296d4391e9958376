"""Bond bounds: never below the exact Schmidt ranks, and tight where they should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from qrex.circuits import Circuit
from qrex.profile import profile_circuit


def profile(circuit: QuantumCircuit):
    return profile_circuit(Circuit("t", "t", "<python>", "Qiskit", circuit))


def largest_rank(circuit: QuantumCircuit) -> int:
    """Largest Schmidt rank over all cuts and all moments, from dense states."""
    best, state = 1, Statevector.from_int(0, 2**circuit.num_qubits)
    for item in circuit.data:
        part = QuantumCircuit(circuit.num_qubits)
        part.append(item.operation, [circuit.find_bit(q).index for q in item.qubits])
        state = state.evolve(part)
        for cut in range(1, circuit.num_qubits):
            best = max(best, np.linalg.matrix_rank(state.data.reshape(-1, 2**cut), tol=1e-9))
    return best


ONE = ["x", "h", "t", "s", "sx", "y"]
TWO = ["cx", "cz", "swap", "iswap", "ch", "cy", "ecr", "dcx"]
ANGLED = ["cp", "rzz", "rxx", "crz", "cry", "rzx", "ryy"]


@st.composite
def circuits(draw):
    size = draw(st.integers(2, 5))
    circuit = QuantumCircuit(size)
    for _ in range(draw(st.integers(1, 18))):
        kind = draw(st.sampled_from(["one", "one", "two", "two", "angled", "three"]))
        qubits = draw(st.permutations(range(size)))
        if kind == "one":
            getattr(circuit, draw(st.sampled_from(ONE)))(qubits[0])
        elif kind == "two":
            getattr(circuit, draw(st.sampled_from(TWO)))(qubits[0], qubits[1])
        elif kind == "angled":
            getattr(circuit, draw(st.sampled_from(ANGLED)))(0.7, qubits[0], qubits[1])
        elif size > 2:
            getattr(circuit, draw(st.sampled_from(["ccx", "cswap", "ccz", "rccx"])))(*qubits[:3])
    return circuit


@settings(max_examples=120, deadline=None, derandomize=True)
@given(circuits())
def test_bound_holds_for_the_exact_state(circuit):
    assert 2 ** profile(circuit).max_log2_schmidt >= largest_rank(circuit) - 1e-9


@pytest.mark.parametrize("size", [5, 40, 127])
def test_ghz_chain_is_two(size):
    circuit = QuantumCircuit(size)
    circuit.h(0)
    for qubit in range(size - 1):
        circuit.cx(qubit, qubit + 1)
    found = profile(circuit)
    assert found.max_log2_schmidt == 1
    assert found.mps_updates == size - 1
    assert 2**found.log2_mps_work == pytest.approx(8 * (size - 1), rel=0.05)


def test_qft_of_a_basis_state_stays_a_product():
    circuit = QuantumCircuit(64)
    circuit.x([3, 7, 40])
    circuit.append(QFTGate(64), range(64))
    assert profile(circuit).max_log2_schmidt == 0


def test_classical_adder_is_followed_as_bits():
    circuit = QuantumCircuit(60)
    circuit.x(range(0, 60, 2))
    for qubit in range(58):
        circuit.ccx(qubit, qubit + 1, qubit + 2)
        circuit.cx(qubit, qubit + 2)
    assert profile(circuit).max_log2_schmidt == 0


def test_deep_brickwork_is_bounded_by_the_smaller_side():
    circuit = QuantumCircuit(12)
    for layer in range(30):
        circuit.h(range(12))
        for left in range(layer % 2, 11, 2):
            circuit.iswap(left, left + 1)
    assert profile(circuit).max_log2_schmidt == 6


def test_w_state_stays_small():
    size = 40
    circuit = QuantumCircuit(size)
    circuit.x(0)
    for qubit in range(size - 1):
        circuit.cry(2 * np.arccos(np.sqrt(1 / (size - qubit))), qubit, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    assert profile(circuit).max_log2_schmidt <= 2
