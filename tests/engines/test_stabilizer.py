"""The stabilizer engine beyond the conformance suite: feedback, wide circuits, packing of bits."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import StabilizerState, random_clifford

from qrex.circuits import Circuit
from qrex.engines.bits import count_packed_rows
from qrex.engines.protocol import Allotment, Job
from qrex.engines.stabilizer import StabilizerEngine, to_stim
from qrex.errors import EngineError
from qrex.profile import profile_circuit

ROOM = Allotment(threads=1, memory_bytes=1 << 31)


def named(circuit: QuantumCircuit, shots: int = 1000) -> Circuit:
    return Circuit("t", "t", "<python>", "Qiskit", circuit, shots=shots)


def sample(circuit: QuantumCircuit, shots: int = 1000, seed: int = 1):
    return StabilizerEngine({}).run(Job(named(circuit), shots, seed), ROOM, lambda fraction: None)


@pytest.mark.parametrize("seed", range(4))
def test_support_of_random_cliffords_is_qiskits(seed):
    """Qiskit's own stabilizer simulation gives the same set of equally likely outcomes."""
    circuit = random_clifford(6, seed=seed).to_circuit()
    expected = StabilizerState(circuit).probabilities_dict()
    circuit.measure_all()
    counts = sample(circuit, 20 * len(expected) * 10).counts
    assert set(counts) == set(expected)


def test_wide_ghz():
    circuit = QuantumCircuit(280, 280)
    circuit.h(0)
    for qubit in range(279):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(280), range(280))
    counts = sample(circuit, 20_000).counts
    assert set(counts) == {"0" * 280, "1" * 280}
    assert abs(counts["0" * 280] - 10_000) < 5 * np.sqrt(5000)


def test_many_shots_of_a_wide_random_circuit_are_counted_right():
    """Columns of 280 independent fair bits: each mean and one pair's correlation, at five standard errors."""
    circuit = QuantumCircuit(280, 280)
    circuit.h(range(280))
    circuit.cx(0, 279)
    circuit.measure(range(280), range(280))
    shots = 20_000
    counts = sample(circuit, shots).counts
    assert sum(counts.values()) == shots
    rows = np.array([[int(bit) for bit in text] for text in counts])
    assert np.all(np.abs(rows.mean(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(shots))


@pytest.mark.parametrize("value", [0, 1])
def test_feedback_on_a_bit_and_its_complement(value):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], value)):
        circuit.u(np.pi, 0, np.pi, 1)
    circuit.measure(1, 1)
    assert set(sample(circuit).counts) == ({"00", "11"} if value else {"10", "01"})


def test_feedback_uses_the_last_value_of_a_bit():
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert set(sample(circuit).counts) == {"00"}


def test_register_whose_other_bits_were_never_written():
    register = ClassicalRegister(3, "c")
    circuit = QuantumCircuit(QuantumRegister(2), register, ClassicalRegister(1, "d"))
    circuit.h(0)
    circuit.measure(0, 1)
    with circuit.if_test((register, 2)):
        circuit.x(1)
    with circuit.if_test((register, 5)):  # needs bits that stay 0: never
        circuit.h(1)
    circuit.measure(1, 3)
    assert set(sample(circuit).counts) == {"0000", "1010"}


def test_error_names_the_gate():
    circuit = QuantumCircuit(1, 1)
    circuit.rz(0.3, 0)
    with pytest.raises(EngineError, match=r"rz.*0\.3"):
        sample(circuit)


def test_angles_within_tolerance_are_snapped():
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.rz(np.pi + 8e-10, 0)
    circuit.h(0)
    circuit.measure(0, 0)
    assert sample(circuit).counts == {"1": 1000}


def test_loops_reach_stim_unrolled():
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(5)):
        circuit.x(0)
    circuit.measure(0, 0)
    converted, columns = to_stim(circuit)
    assert str(converted).split() == ["X", "0", "0", "0", "0", "0", "M", "0"]
    assert columns == {0: 0}


def test_packed_rows_with_gaps_and_repeats():
    random = np.random.default_rng(3)
    bits = random.integers(0, 2, (500, 11), dtype=np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    columns = {0: 10, 1: 3, 4: 0}
    expected: dict[str, int] = {}
    for row in bits:
        text = "".join(str(row[columns[bit]]) if bit in columns else "0" for bit in reversed(range(5)))
        expected[text] = expected.get(text, 0) + 1
    assert dict(count_packed_rows(packed, columns, 5)) == expected


def test_estimate_grows_with_what_is_asked():
    constants = {"fixed": 1e-4, "per_step": 1e-6, "per_tableau_cell": 1e-10, "per_bit": 1e-9}
    engine = StabilizerEngine(constants)
    small, large = (QuantumCircuit(size, size) for size in (10, 100))
    for circuit in (small, large):
        circuit.h(range(circuit.num_qubits))
        circuit.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    costs = [engine.estimate(profile_circuit(named(circuit), 5000), ROOM) for circuit in (small, large)]
    assert costs[0].seconds < costs[1].seconds and costs[0].peak_bytes < costs[1].peak_bytes
    assert costs[0].infidelity == 0


def test_calibration_gives_every_constant():
    constants = StabilizerEngine.calibrate(1)
    assert set(constants) == set(StabilizerEngine.constant_names)
    assert all(value > 0 for value in constants.values())
