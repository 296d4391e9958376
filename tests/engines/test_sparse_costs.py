"""What the sparse engine says it will cost."""

from qiskit import QuantumCircuit

from qrex.circuits import Circuit
from qrex.engines.protocol import Allotment
from qrex.engines.sparse import SparseEngine
from qrex.profile import profile_circuit

ROOM = Allotment(threads=1, memory_bytes=1 << 30)


def grown(num_qubits: int) -> Circuit:
    circuit = QuantumCircuit(num_qubits, 1)
    for qubit in range(num_qubits):
        circuit.ry(0.4, qubit)
        circuit.cx(qubit, (qubit + 1) % num_qubits)
    circuit.measure(0, 0)
    return Circuit("t", "t", "<python>", "Qiskit", circuit, shots=1)


def test_estimates_follow_the_support():
    constants = {name: 1e-8 for name in SparseEngine.constant_names}
    costs = [
        SparseEngine(constants).estimate(profile_circuit(grown(size), 1000), ROOM) for size in (10, 30)
    ]
    assert all(cost.upper_bound for cost in costs)
    assert costs[0].seconds < costs[1].seconds and costs[0].peak_bytes < costs[1].peak_bytes


def test_calibration_gives_every_constant():
    constants = SparseEngine.calibrate(1)
    assert set(constants) == set(SparseEngine.constant_names)
    assert all(value > 0 for value in constants.values())
