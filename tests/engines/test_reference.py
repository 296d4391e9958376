import math

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

from qrex.engines.reference import reference_distribution


def test_bit_order_and_unread_qubits():
    circuit = QuantumCircuit(3, 2)
    circuit.x(0)
    circuit.h(2)
    circuit.measure(0, 1)
    reference = reference_distribution(circuit, seed=1)
    assert reference.samples is None
    assert reference.probabilities == pytest.approx({"10": 1.0})


def test_registers_are_joined_first_declared_rightmost():
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "a"), ClassicalRegister(1, "b"))
    circuit.x(0)
    circuit.ry(2 * math.asin(math.sqrt(0.3)), 1)
    circuit.measure([0, 1], [0, 1])
    assert reference_distribution(circuit, seed=1).probabilities == pytest.approx({"01": 0.7, "11": 0.3})


def test_a_circuit_that_goes_on_after_a_measurement_is_sampled():
    circuit = QuantumCircuit(1, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.x(0)
    circuit.measure(0, 1)
    reference = reference_distribution(circuit, seed=7)
    assert reference.samples == 20_000
    assert set(reference.probabilities) == {"10", "11"}
    assert reference.probabilities["10"] == pytest.approx(0.5, abs=0.015)


def test_too_wide_is_refused():
    circuit = QuantumCircuit(17, 17)
    circuit.h(range(17))
    circuit.measure(range(17), range(17))
    assert reference_distribution(circuit, seed=1) is None
