import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

from qrex.circuits import circuit_from_qiskit
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine

ALLOTMENT = Allotment(threads=2, memory_bytes=10**9)


def run(circuit, probe):
    job = Job(circuit_from_qiskit(circuit), shots=10, seed=1, probe=probe)
    return StateVectorEngine({}).run(job, ALLOTMENT, lambda _fraction: None)


def test_collision_probability_is_the_sum_of_squared_probabilities():
    circuit = random_circuit(7, 6, max_operands=2, seed=3)
    probabilities = np.abs(Statevector(circuit).data) ** 2
    circuit.measure_all()
    answer = run(circuit, ("0" * 7, "0101010"))
    assert answer.metadata["collision_probability"] == pytest.approx(np.sum(probabilities**2), rel=1e-5)
    assert answer.probabilities["0101010"] == pytest.approx(probabilities[0b0101010], abs=1e-6)


def test_no_collision_probability_where_a_qubit_is_not_read():
    circuit = QuantumCircuit(4, 3)
    circuit.h(range(4))
    circuit.cx(0, 3)
    circuit.measure([0, 1, 2], [0, 1, 2])
    assert "collision_probability" not in run(circuit, ("000",)).metadata
