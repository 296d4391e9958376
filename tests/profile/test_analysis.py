"""Counts and flags of a profile, against circuits small enough to count by hand."""

import json

import numpy as np
import pytest
from made_circuits import random_circuit
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.quantum_info import Kraus

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.errors import InputError
from qrex.profile import profile_circuit, profile_program
from qrex.profile.clifford_rows import read_clifford


def profile(circuit: QuantumCircuit, shots: int | None = None):
    return profile_circuit(Circuit("t", "t", "<python>", "Qiskit", circuit, shots=500), shots)


def test_counts_by_hand():
    circuit = QuantumCircuit(5, 2)
    circuit.h(0)
    circuit.t(1)
    circuit.cx(0, 1)
    circuit.rz(0.1, 1)
    circuit.cx(0, 1)
    circuit.ccx(0, 1, 2)
    circuit.barrier()
    circuit.measure([0, 1], [0, 1])
    found = profile(circuit)
    assert (found.one_qubit_gates, found.two_qubit_gates, found.many_qubit_gates) == (3, 2, 1)
    assert found.fused_blocks == 1  # h, t, cx, rz, cx on one pair
    assert found.active_qubits == 3
    assert (found.components, found.widest_component) == (1, 3)
    assert found.gate_counts == {"ccx": 1, "cx": 2, "h": 1, "measure": 2, "rz": 1, "t": 1}
    assert found.non_clifford_gates == 3
    assert found.terminal_measurements_only and not found.needs_trajectories
    assert found.shots == 500
    assert profile(circuit, 9).shots == 9
    assert json.loads(json.dumps(found.to_dict()))["measurements"] == 2


def test_components():
    circuit = QuantumCircuit(7)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(4, 5)
    circuit.h(6)
    found = profile(circuit)
    assert (found.components, found.widest_component, found.active_qubits) == (3, 3, 6)


def test_fused_blocks_split_when_partners_change():
    circuit = QuantumCircuit(3)
    for pair in ((0, 1), (1, 2), (0, 1)):
        circuit.cx(*pair)
    circuit.h(2)
    assert profile(circuit).fused_blocks == 3


@pytest.mark.parametrize(
    ("build", "terminal", "trajectories"),
    [
        (lambda c: c.measure(0, 0), True, False),
        (lambda c: (c.measure(0, 0), c.x(1)), True, False),
        (lambda c: (c.measure(0, 0), c.x(0)), False, True),
        (lambda c: (c.measure(0, 0), c.reset(0)), False, True),
        (lambda c: (c.reset(0), c.h(0), c.measure(0, 0)), True, False),
        (lambda c: (c.h(0), c.reset(0), c.measure(0, 0)), True, True),
        (lambda c: (c.measure(0, 0), c.measure(0, 1)), True, False),
    ],
)
def test_what_follows_a_measurement(build, terminal, trajectories):
    circuit = QuantumCircuit(2, 2)
    build(circuit)
    found = profile(circuit)
    assert (found.terminal_measurements_only, found.needs_trajectories) == (terminal, trajectories)


def test_definitions_are_opened():
    inner = QuantumCircuit(2, name="mine")
    inner.h(0)
    inner.cx(0, 1)
    outer = QuantumCircuit(3)
    outer.append(inner.to_gate(), [2, 0])
    outer.append(inner.to_gate().control(1), [0, 1, 2])
    program = flatten(outer)
    assert [(program.name_of(row), program.qubits_of(row)) for row in (0, 1)] == [("h", (2,)), ("cx", (2, 0))]
    assert profile(outer).gate_counts.get("mine") is None


def test_unbound_parameter_is_an_input_error():
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)
    with pytest.raises(InputError, match="theta"):
        profile(circuit)


def test_endless_unrolling_is_refused(monkeypatch):
    monkeypatch.setattr("qrex.circuits.flattening.MAX_ROWS", 10)
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(100)):
        circuit.x(0)
    with pytest.raises(InputError, match="unrolls"):
        profile(circuit)


def test_clifford_with_pauli_feedback_has_no_obstacle():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.rx(np.pi, 1)
    found = profile(circuit)
    assert found.is_clifford and found.stabilizer_obstacle == ""
    assert found.conditionals == 1 and found.has_control_flow
    assert not found.terminal_measurements_only


@pytest.mark.parametrize("what", ["t", "loop"])
def test_obstacles_are_named(what):
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(3), register)
    circuit.h([0, 1])
    circuit.measure([0, 1], [0, 1])
    if what == "t":
        circuit.t(2)
    else:
        with circuit.while_loop((register, 2)):
            circuit.x(2)
    assert {"t": "t is not", "loop": "while"}[what] in profile(circuit).stabilizer_obstacle.lower()


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_clifford_flags_agree_with_stim(dynamic):
    """The count, the first foreign row and the forks, against the tables that the stabilizer engine is built from."""
    for seed in range(3000, 3080):
        program = flatten(random_circuit(seed, dynamic))
        if program.obstacle:
            continue
        found, expected = profile_program(program, "t", 1), read_clifford(program)
        assert found.non_clifford_gates == expected.non_clifford, seed
        assert found.stabilizer_obstacle == expected.obstacle, seed
        assert found.stabilizer_forks == expected.followed.forks, seed


def test_prefix_of_clifford_rows():
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.t(1)
    circuit.h(1)
    assert profile(circuit).clifford_prefix == 2
    circuit.data.pop(2)
    assert profile(circuit).clifford_prefix == 3


def test_what_no_row_expresses_is_set_to_the_worst_case():
    circuit = QuantumCircuit(3, 1)
    circuit.h(0)
    circuit.append(Kraus([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]).to_instruction(), [2])
    found = profile(circuit)
    assert not found.is_clifford and found.needs_trajectories and not found.terminal_measurements_only
    assert (found.active_qubits, found.log2_support) == (3, 3)
    assert "kraus" in found.stabilizer_obstacle
