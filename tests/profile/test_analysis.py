"""Counts and flags of a profile, against circuits small enough to count by hand."""

import json

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr

from qrex.circuits import Circuit
from qrex.errors import InputError
from qrex.profile import profile_circuit
from qrex.profile.steps import flat_steps


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
    steps = list(flat_steps(outer))
    assert [(step.name, step.qubits) for step in steps[:2]] == [("h", (2,)), ("cx", (2, 0))]
    assert profile(outer).gate_counts.get("mine") is None


def test_loops_are_unrolled_with_their_parameter():
    angle = Parameter("a")
    body = QuantumCircuit(1)
    body.rz(angle, 0)
    circuit = QuantumCircuit(2)
    circuit.for_loop([1, 2, 3], angle, body, [1], [])
    steps = list(flat_steps(circuit))
    assert [step.params for step in steps] == [(1.0,), (2.0,), (3.0,)]
    assert {step.qubits for step in steps} == {(1,)}


def test_unbound_parameter_is_an_input_error():
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("theta"), 0)
    with pytest.raises(InputError, match="theta"):
        profile(circuit)


def test_endless_unrolling_is_refused(monkeypatch):
    monkeypatch.setattr("qrex.profile.steps.MAX_STEPS", 10)
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


@pytest.mark.parametrize("what", ["t", "expression"])
def test_obstacles_are_named(what):
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(3), register)
    circuit.h([0, 1])
    circuit.measure([0, 1], [0, 1])
    if what == "t":
        circuit.t(2)
    else:
        with circuit.if_test(expr.less(register, 2)):
            circuit.x(2)
    assert {"t": "t is not", "expression": "less"}[what] in profile(circuit).stabilizer_obstacle.lower()


def test_expressions_that_are_comparisons():
    register = ClassicalRegister(1, "c")
    circuit = QuantumCircuit(QuantumRegister(1), register)
    circuit.measure(0, 0)
    for condition in (
        expr.equal(register, 1),
        expr.lift(register[0]),
        expr.logic_not(expr.lift(register[0])),
    ):
        with circuit.if_test(condition):
            circuit.x(0)
    guards = [step.guards[0] for step in flat_steps(circuit) if step.guards]
    assert [(guard.bits, guard.value, guard.negated) for guard in guards] == [
        ((0,), 1, False), ((0,), 1, False), ((0,), 1, True),
    ]  # fmt: skip
