import pytest
from qiskit import QuantumCircuit

from qrex.circuits import Workload, circuit_from_qiskit
from qrex.platform import load_platform


def ghz(qubits, name):
    circuit = QuantumCircuit(qubits, qubits, name=name)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(qubits), range(qubits))
    return circuit


def rotations(qubits, name):
    """Not Clifford, hardly entangled: Aer's automatic method wants the whole state, a product state will do."""
    circuit = QuantumCircuit(qubits, qubits, name=name)
    for qubit in range(qubits):
        circuit.ry(0.1 + 0.01 * qubit, qubit)
    circuit.cx(0, 1)
    circuit.measure(range(qubits), range(qubits))
    return circuit


@pytest.fixture(scope="session")
def small_workload():
    circuits = (
        circuit_from_qiskit(ghz(4, "ghz_4"), name="ghz_4", shots=400),
        circuit_from_qiskit(rotations(3, "turns_3"), name="turns_3", shots=400),
        circuit_from_qiskit(rotations(40, "turns_40"), name="turns_40", target="simulate", shots=400),
    )
    return Workload("small", circuits)


@pytest.fixture(scope="session")
def manila():
    return load_platform("fake_manila")


@pytest.fixture(scope="session")
def store_path(tmp_path_factory):
    """One store for the room: the host is probed and the engines are calibrated once."""
    return tmp_path_factory.mktemp("store") / "qrex.db"
