"""Aer's methods beyond the conformance suite: refusals, truncation, cost models."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from qrex.circuits import Circuit
from qrex.engines.aer import AerEngine
from qrex.engines.aer_costs import CONSTANT_NAMES, bond_limit, estimate, statevector_bytes
from qrex.engines.protocol import Allotment, Job
from qrex.errors import EngineError
from qrex.profile import profile_circuit

ROOM = Allotment(threads=1, memory_bytes=1 << 30)
ONES = {method: dict.fromkeys(names, 1.0) for method, names in CONSTANT_NAMES.items()}


def named(circuit: QuantumCircuit, shots: int = 1000) -> Circuit:
    return Circuit("t", "t", "<python>", "Qiskit", circuit, shots=shots)


def sample(method: str, circuit: QuantumCircuit, shots: int = 1000, room: Allotment = ROOM):
    return AerEngine({}, method).run(Job(named(circuit), shots, 5), room, lambda fraction: None)


def brickwork(size: int, layers: int) -> QuantumCircuit:
    random = np.random.default_rng(2)
    circuit = QuantumCircuit(size, size)
    for layer in range(layers):
        for qubit in range(size):
            circuit.u(*random.uniform(0, 6, 3), qubit)
        for left in range(layer % 2, size - 1, 2):
            circuit.cx(left, left + 1)
    return circuit


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    circuit = circuit.copy()
    circuit.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    return circuit


def test_unknown_method_names_those_that_exist():
    with pytest.raises(EngineError, match="mps"):
        AerEngine({}, "tensor")


def test_automatic_refuses_wide_circuits_in_aers_own_words():
    circuit = QuantumCircuit(45, 45)
    circuit.h(range(45))
    circuit.rx(0.2, range(45))
    support = AerEngine({}, "automatic").supports(profile_circuit(named(measured(circuit))))
    assert not support.supported and "45 qubits" in support.reason
    with pytest.raises(EngineError, match="Insufficient memory"):
        sample("automatic", measured(circuit))


def test_automatic_takes_wide_clifford_circuits():
    """Wider than the transpiler's target for Aer, yet Aer itself runs it."""
    circuit = QuantumCircuit(60, 60)
    circuit.h(0)
    for qubit in range(59):
        circuit.cx(qubit, qubit + 1)
    answer = sample("automatic", measured(circuit), shots=50)
    assert set(answer.counts) == {"0" * 60, "1" * 60}
    assert "stabilizer" in answer.metadata["method"]


def test_qft_of_a_basis_state_by_mps():
    """29 qubits, where a dense state takes 8 GB: every outcome equally likely, so all samples differ."""
    circuit = QuantumCircuit(29, 29)
    circuit.x([0, 5])
    circuit.append(QFTGate(29), range(29))
    answer = sample("mps", measured(circuit), shots=500)
    assert len(answer.counts) == 500
    ones = sum(text.count("1") * count for text, count in answer.counts.items())
    assert abs(ones - 500 * 29 / 2) < 5 * np.sqrt(500 * 29 / 4)


def test_mps_of_a_deep_circuit_agrees_with_the_dense_state():
    """Bonds of 32 and more take the LAPACK path; means of Z on all qubits at five standard errors."""
    circuit = brickwork(12, 12)
    exact = Statevector(circuit)
    assert profile_circuit(named(circuit)).max_log2_schmidt >= 5
    shots = 4000
    counts = sample("mps", measured(circuit), shots=shots).counts
    for qubit in range(12):
        ones = sum(count for text, count in counts.items() if text[11 - qubit] == "1") / shots
        wanted = exact.probabilities([qubit])[1]
        assert abs(ones - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / shots) + 1e-9


def test_limited_bonds_that_lose_too_much_are_an_error(monkeypatch):
    monkeypatch.setattr("qrex.engines.aer_costs.bond_limit", lambda profile, memory_bytes: 4)
    with pytest.raises(EngineError, match="lose"):
        sample("mps", measured(brickwork(12, 10)), shots=10)


def test_limited_bonds_that_suffice_are_an_answer(monkeypatch):
    """A GHZ state needs bonds of 2; the log of the run before must not be taken for this one's."""
    monkeypatch.setattr("qrex.engines.aer_costs.bond_limit", lambda profile, memory_bytes: 4)
    with pytest.raises(EngineError, match="lose"):
        sample("mps", measured(brickwork(12, 10)), shots=10)
    circuit = QuantumCircuit(12, 12)
    circuit.h(0)
    for qubit in range(11):
        circuit.cx(qubit, qubit + 1)
    circuit.rz(0.1, 3)
    answer = sample("mps", measured(circuit), shots=100)
    assert answer.metadata["infidelity"] == 0 and answer.metadata["bond_limit"] == 4
    assert set(answer.counts) == {"0" * 12, "1" * 12}


def test_discarded_weight_is_the_infidelity():
    """What the log adds up to, against the overlap of the truncated with the exact state."""
    from qiskit_aer import AerSimulator

    from qrex.engines.aer import _run_limited

    circuit = brickwork(10, 6)
    kept = circuit.copy()
    kept.save_statevector()
    options = {"method": "matrix_product_state", "seed_simulator": 1}
    _, lost = _run_limited(measured(circuit), 1, options, 6)
    limited = AerSimulator(**options, matrix_product_state_max_bond_dimension=6)
    truncated = np.asarray(limited.run(kept, shots=1).result().data(0)["statevector"])
    overlap = abs(np.vdot(Statevector(circuit).data, truncated / np.linalg.norm(truncated))) ** 2
    assert lost > 1e-3
    assert lost == pytest.approx(1 - overlap, rel=0.5)


def test_gates_that_a_method_lacks_are_decomposed():
    circuit = QuantumCircuit(5, 5)
    circuit.x(range(4))
    circuit.mcx([0, 1, 2, 3], 4)
    circuit.mcp(np.pi, [0, 1, 2], 3)
    assert sample("mps", measured(circuit)).counts == {"11111": 1000}


def test_dense_bytes_are_sixteen_per_amplitude_of_active_qubits():
    circuit = QuantumCircuit(40, 1)
    circuit.rx(0.3, range(20))
    found = profile_circuit(named(circuit))
    assert (
        statevector_bytes(found) - statevector_bytes(profile_circuit(named(QuantumCircuit(1))))
        == (16 << 20) - 16
    )


def test_bond_limit_only_where_nothing_is_proven():
    assert bond_limit(profile_circuit(named(brickwork(60, 4))), 1 << 30) is None
    limit = bond_limit(profile_circuit(named(brickwork(60, 60))), 1 << 30)
    assert 16 < limit < 1024


def test_costs_are_bounds_for_mps_and_trajectories_pay_per_shot():
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    plain = profile_circuit(named(circuit))
    circuit.rx(0.1, 0)
    repeated = profile_circuit(named(circuit))
    assert estimate("mps", ONES["mps"], plain, ROOM).upper_bound
    dense = [estimate("statevector", ONES["statevector"], found, ROOM).seconds for found in (plain, repeated)]
    assert dense[1] > 100 * dense[0] / 16
