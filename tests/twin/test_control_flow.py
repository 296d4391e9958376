"""Which control flow an opened device takes: what its target names."""

import pytest
from qiskit import QuantumCircuit

from qrex.platform import load_platform
from qrex.twin import open_qpu


def opened(name):
    return open_qpu(load_platform(name).qpus[0])


def conditional(*, loop=False):
    circuit = QuantumCircuit(1, 1, name="c")
    circuit.h(0)
    circuit.measure(0, 0)
    if loop:
        with circuit.for_loop(range(2)), circuit.while_loop((circuit.clbits[0], 1)):
            circuit.measure(0, 0)
    else:
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(0)
    return circuit


def test_a_target_that_names_the_operation_takes_it():
    assert opened("fake_manila").control_flow_obstacle(conditional()) == ""


@pytest.mark.parametrize(
    ("device", "loop", "why"),
    [
        ("fake_guadalupe", False, "uses if_else, and fake_guadalupe does not take it"),
        ("fake_guadalupe", True, "uses for_loop and while_loop, and fake_guadalupe does not take them"),
        ("fake_manila", True, "uses while_loop, and fake_manila does not take it"),
    ],
)
def test_what_a_target_does_not_name_is_an_obstacle_also_inside(device, loop, why):
    assert opened(device).control_flow_obstacle(conditional(loop=loop)) == why


def test_a_circuit_without_control_flow_has_none():
    plain = QuantumCircuit(1, 1)
    plain.measure(0, 0)
    assert opened("fake_guadalupe").control_flow_obstacle(plain) == ""
