"""Compiling as a plain user would: the schedule is complete, and what cannot be scheduled says so."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import CXGate, Measure, SXGate, XGate
from qiskit.quantum_info import Statevector
from qiskit.transpiler import InstructionProperties, Target, generate_preset_pass_manager
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2, FakeSherbrooke

from qrex.compilation import (
    Compiled,
    ErrorTable,
    IdleWindow,
    SuccessBreakdown,
    compile_baseline,
    workload_window,
)
from qrex.errors import InfeasibleError, InputError


def ghz(num_qubits: int, *, measured: bool = True) -> QuantumCircuit:
    qc = QuantumCircuit(num_qubits)
    qc.h(0)
    for qubit in range(1, num_qubits):
        qc.cx(0, qubit)
    if measured:
        qc.measure_all()
    return qc


@pytest.mark.parametrize("backend", [FakeGuadalupeV2(), FakeSherbrooke()], ids=lambda backend: backend.name)
def test_every_gap_is_an_explicit_delay(backend):
    compiled = compile_baseline(ghz(5), backend, seed=3)
    table, circuit = ErrorTable.from_target(backend), compiled.circuit
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    clock = dict.fromkeys(circuit.qubits, 0)  # in dt; the very sum of lengths on each wire
    for one in circuit.data:
        if one.is_directive():
            continue
        if one.name == "delay":
            length = one.operation.duration
        else:
            length = round(table.cost(one.name, tuple(index[bit] for bit in one.qubits)).seconds / table.dt)
        assert len({clock[bit] for bit in one.qubits}) == 1, "a qubit has not waited for its gate"
        for bit in one.qubits:
            clock[bit] += length
    qiskit_says = generate_preset_pass_manager(
        1, target=backend.target, seed_transpiler=3, scheduling_method="alap"
    ).run(ghz(5))
    with pytest.warns(DeprecationWarning):
        duration = qiskit_says.duration
    assert max(clock.values()) == duration
    assert compiled.duration_seconds == pytest.approx(duration * table.dt)
    assert {index[bit] for bit, time in clock.items() if time} == set(compiled.used_qubits)
    assert len(compiled.used_qubits) < backend.num_qubits


def test_idle_windows_are_the_gaps_after_the_first_gate():
    compiled = compile_baseline(ghz(5), FakeGuadalupeV2(), seed=3)
    assert compiled.scheduled and not compiled.notes
    assert compiled.idle_windows
    first = {}
    circuit = compiled.circuit
    for one in circuit.data:
        if not one.is_directive():
            for bit in one.qubits:
                first.setdefault(circuit.find_bit(bit).index, one.name)
    waiting = {qubit for qubit, name in first.items() if name == "delay"}
    assert waiting, "the case needs qubits that start late"
    assert all(window.start_ns > 0 for window in compiled.idle_windows)
    assert all(window.window_ns > 0 for window in compiled.idle_windows)
    ends = [window.start_ns + window.window_ns for window in compiled.idle_windows]
    assert max(ends) < compiled.duration_seconds * 1e9


def test_the_layouts_say_where_each_qubit_went():
    qc = ghz(4, measured=False)
    qc.ry(0.4, 2)
    qc.cx(3, 1)
    qc.rz(0.3, 3)
    compiled = compile_baseline(qc, FakeManilaV2(), seed=5)
    state = Statevector(compiled.circuit.copy_empty_like())
    for one in compiled.circuit.data:
        if one.name != "delay":
            state = state.evolve(one.operation, [compiled.circuit.find_bit(bit).index for bit in one.qubits])
    got = state.probabilities(list(compiled.final_layout))
    np.testing.assert_allclose(got, Statevector(qc).probabilities(), atol=1e-9)
    assert len(set(compiled.layout)) == 4


def test_the_same_seed_gives_the_same_circuit():
    first, second = (compile_baseline(ghz(6), FakeGuadalupeV2(), seed=9) for _ in range(2))
    assert first == second
    assert first.circuit == second.circuit


def test_a_wider_circuit_than_the_device_is_infeasible():
    with pytest.raises(InfeasibleError, match=r"needs 6 qubits; this device has 5; use a device"):
        compile_baseline(ghz(6), FakeManilaV2(), seed=0)


def test_control_flow_compiles_unscheduled_and_says_so():
    qc = QuantumCircuit(3, 3)
    qc.h(0)
    qc.measure(0, 0)
    with qc.if_test((qc.clbits[0], 1)):
        qc.x(1)
    qc.cx(1, 2)
    qc.measure([1, 2], [1, 2])
    compiled = compile_baseline(qc, FakeManilaV2(), seed=1)
    assert not compiled.scheduled and compiled.duration_seconds is None and compiled.idle_windows == ()
    assert "control flow" in compiled.notes[0]
    assert compiled.breakdown.idle == 1 and 0 < compiled.predicted_success < 1


def test_mid_circuit_measurement_and_reset_are_scheduled():
    qc = QuantumCircuit(3, 3)
    qc.h(0)
    qc.cx(0, 1)
    qc.measure(0, 0)
    qc.reset(0)
    qc.h(0)
    qc.cx(0, 2)
    qc.measure([1, 2], [1, 2])
    compiled = compile_baseline(qc, FakeGuadalupeV2(), seed=1)
    assert compiled.scheduled
    assert compiled.circuit.count_ops()["measure"] == 3


def test_a_target_without_durations_is_not_scheduled():
    target = Target(num_qubits=2)
    for gate in (SXGate(), XGate(), Measure()):
        target.add_instruction(gate, {(q,): InstructionProperties(error=1e-3) for q in range(2)})
    target.add_instruction(CXGate(), {(0, 1): InstructionProperties(error=1e-2)})
    qc = QuantumCircuit(2, 2)
    qc.x(0)
    qc.cx(0, 1)
    qc.measure([0, 1], [0, 1])
    compiled = compile_baseline(qc, target, seed=1)
    assert not compiled.scheduled
    assert compiled.notes[0].startswith("not scheduled: the device has no delay")


def test_the_workload_window_is_the_median_of_90th_percentiles():
    def with_windows(*lengths_ns: float) -> Compiled:
        return Compiled(
            QuantumCircuit(1), (0,), (0,), 1e-5, tuple(IdleWindow(0, 0.0, length) for length in lengths_ns),
            SuccessBreakdown(1, 1, 1, 1), 0, seed=0, level=1, label="",
        )

    ramp = with_windows(*range(0, 1001, 100))  # its 90th percentile is 900
    assert workload_window([ramp, with_windows(50), with_windows(2000)]) == pytest.approx(900e-9)
    assert workload_window([ramp, with_windows()]) == pytest.approx(900e-9)
    with pytest.raises(InputError, match="no compiled circuit has an idle window"):
        workload_window([with_windows()])
