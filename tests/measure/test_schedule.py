import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator

from qrex.errors import PlatformError
from qrex.measure.schedule import Timeline, Timing, coupling_links, native_pair


def durations_by_qubit(circuit, target):
    """Time of each qubit before its measurement, in ticks."""
    total = np.zeros(circuit.num_qubits)
    for step in circuit.data:
        name = step.operation.name
        if name in ("barrier", "measure"):
            continue
        places = [circuit.find_bit(q).index for q in step.qubits]
        spent = (
            step.operation.duration if name == "delay" else target[name][tuple(places)].duration / target.dt
        )
        if name in ("cx", "cz", "ecr"):
            assert total[places[0]] == total[places[1]]  # both there when the gate starts
        total[places] += spent
    return total


def test_every_idle_time_is_written_out(make_target):
    target = make_target(4, [(0, 1), (1, 2)])
    line = Timeline(target)
    line.pulse("sx", 0)
    line.gate("cx", (0, 1))
    line.pulse("x", 1)
    line.gate("cx", (1, 2))
    line.delay(3, 64)
    circuit = line.circuit([0, 1, 2, 3], "c")
    assert set(durations_by_qubit(circuit, target)) == {32 + 320 + 32 + 320}
    assert circuit.num_qubits == 4
    assert [register.name for register in circuit.cregs] == ["c"]
    delays = [step.operation for step in circuit.data if step.operation.name == "delay"]
    assert all(delay.unit == "dt" and delay.duration % 8 == 0 for delay in delays)


def test_as_late_as_possible_waits_in_the_ground_state(make_target):
    target = make_target(2, [(0, 1)])
    line = Timeline(target)
    line.pulse("sx", 0)
    line.pulse("sx", 1)
    line.pulse("sx", 1)
    circuit = line.circuit([0, 1], "c")
    names = [step.operation.name for step in circuit.data if circuit.find_bit(step.qubits[0]).index == 0]
    assert names[:2] == ["delay", "sx"]


def test_virtual_rotations_merge_and_keep_the_unitary(make_target):
    target = make_target(1, [], with_x=False)
    line = Timeline(target)
    oracle = QuantumCircuit(1)
    for turns, pulse in ((1, "sx"), (2, "x"), (3, "sx"), (1, "")):
        line.rz(0, turns)
        line.rz(0, turns)
        oracle.rz(turns * np.pi, 0)
        if pulse:
            line.pulse(pulse, 0)
            getattr(oracle, pulse)(0)
    circuit = line.circuit([0], "c").remove_final_measurements(inplace=False)
    assert Operator(circuit).equiv(Operator(oracle))
    assert "x" not in circuit.count_ops()  # the device has none: two sx instead
    assert circuit.count_ops()["sx"] == 4


def test_native_pair_takes_the_direction_that_exists(make_target):
    target = make_target(3, [(1, 0), (1, 2)], "ecr")
    assert native_pair(target, (0, 1)) == ("ecr", (1, 0))
    assert coupling_links(target) == ((0, 1), (1, 2))
    with pytest.raises(PlatformError, match=r"link \(0, 2\)"):
        native_pair(target, (0, 2))


def test_timing_rounds_to_the_granule(make_target):
    timing = Timing.of(make_target(1, [], granularity=16))
    assert timing.ticks(100e-9) == 96
    target = make_target(1, [])
    target.dt = None
    line = Timeline(target)
    line.delay(0, 500)
    delay = line.circuit([0], "c").data[0].operation
    assert (delay.unit, delay.duration) == ("s", pytest.approx(500e-9))


def test_a_foreign_basis_is_refused():
    from qiskit.circuit.library import HGate
    from qiskit.transpiler import Target

    target = Target(num_qubits=1)
    target.add_instruction(HGate(), {(0,): None})
    with pytest.raises(PlatformError, match="rz, sx, measure"):
        Timeline(target)
