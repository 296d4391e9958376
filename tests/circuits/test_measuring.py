"""Circuits that measure nothing, and the measurements they are given."""

import pytest
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import CircuitInstruction

from qrex.circuits import Workload, circuit_from_qiskit
from qrex.circuits.measuring import measure_all, measures, with_measurements


def _inside_a_block():
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(2)):
        circuit.measure(0, 0)
    return circuit


def _inside_a_definition():
    inner = QuantumCircuit(1, 1, name="read")
    inner.measure(0, 0)
    circuit = QuantumCircuit(1, 1)
    circuit.append(CircuitInstruction(inner.to_instruction(), circuit.qubits, circuit.clbits))
    return circuit


def _only_conditions():
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.x(0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "expected"),
    [(_inside_a_block(), True), (_inside_a_definition(), True), (_only_conditions(), False)],
    ids=["block", "definition", "conditions only"],
)
def test_measurements_are_found_wherever_they_stand(circuit, expected):
    assert measures(circuit) is expected


def test_every_qubit_is_measured_into_a_register_of_its_own():
    bare = QuantumCircuit(3, name="bare")
    bare.add_register(ClassicalRegister(1, "meas"))
    bare.x(1)
    before = circuit_from_qiskit(bare)
    after = measure_all(before)
    assert after.id != before.id and after.name == "bare"
    assert [(register.name, register.size) for register in after.quantum_circuit.cregs] == [("meas", 1), ("meas2", 3)]
    program = after.program
    assert [(program.qubits_of(row), program.clbit[row]) for row in range(1, 4)] == [((0,), 1), ((1,), 2), ((2,), 3)]
    assert not measures(before.quantum_circuit), "the circuit that was given is never changed"


def test_circuits_that_measure_stay_as_they_are():
    measured = QuantumCircuit(2, 2, name="half")
    measured.measure(0, 0)
    workload = Workload("two", (circuit_from_qiskit(measured), circuit_from_qiskit(QuantumCircuit(2, name="bare"))))
    half, bare = with_measurements(workload).circuits
    assert half is workload.circuits[0]
    assert bare.quantum_circuit.num_clbits == 2
