"""Decoupling keeps the circuit and its duration, and undoes what it is meant to undo."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector
from qiskit.transpiler import PassManager, generate_preset_pass_manager
from qiskit.transpiler.exceptions import TranspilerError
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2, FakeSherbrooke

from qrex.compilation import ErrorTable, compile_baseline, read_schedule
from qrex.errors import InputError
from qrex.platform import NoiseAssumptions
from qrex.suppress import SEQUENCES, IdleNoise, ZZAwareDecoupling, decouple
from qrex.twin.backend import SimulatedQpu


def staircase(num_qubits: int) -> QuantumCircuit:
    """Qubit 0 waits, after its first gate, while the others entangle."""
    qc = QuantumCircuit(num_qubits)
    qc.h(range(num_qubits))
    qc.cx(0, 1)
    for qubit in range(1, num_qubits - 1):
        qc.cx(qubit, qubit + 1)
        qc.t(qubit)
    for qubit in reversed(range(num_qubits - 1)):
        qc.cx(qubit, qubit + 1)
    return qc


def evolve(circuit: QuantumCircuit, detuning: float = 0.0, dt: float = 0.0) -> Statevector:
    """State after `circuit`; a delay of τ turns each qubit by `detuning`·τ about z (rad)."""
    plain = circuit.copy_empty_like()
    for one in circuit.data:
        if one.name == "delay":
            plain.rz(detuning * one.operation.duration * dt, one.qubits[0])
        elif one.name != "barrier":
            plain.append(one)
    return Statevector(plain)


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_the_circuit_and_its_duration_stay(sequence):
    backend = FakeManilaV2()
    before = compile_baseline(staircase(4), backend, seed=2)
    result = decouple(before, backend, sequence)
    after, record = result.compiled, result.record
    assert record.windows_filled > 0 and not record.reason
    train = SEQUENCES[sequence]
    if train is None:
        assert record.pulses >= 2 * record.windows_filled and sum(record.chosen.values()) == record.windows
    else:
        assert record.pulses == record.windows_filled * len(train.axes)
    assert evolve(after.circuit).equiv(evolve(before.circuit))
    assert read_schedule(after.circuit, ErrorTable.from_target(backend)).duration_seconds == pytest.approx(
        before.duration_seconds
    )
    assert after.duration_seconds == before.duration_seconds and after.layout == before.layout
    added = after.circuit.count_ops()["x"] - before.circuit.count_ops().get("x", 0)
    assert added == record.pulses
    assert set(after.circuit.count_ops()) <= {*backend.target.operation_names, "barrier"}


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_a_static_detuning_is_undone(sequence):
    """The oracle is physics: phase gathered before an echo pulse is taken back after it."""
    backend = FakeManilaV2()
    dt = backend.target.dt
    before = compile_baseline(staircase(4), backend, seed=2)
    result = decouple(before, backend, sequence)
    detuning = 2 * math.pi * 150e3  # rad/s
    ideal = evolve(before.circuit)

    def fidelity(circuit):
        return abs(ideal.inner(evolve(circuit, detuning, dt))) ** 2

    assert fidelity(before.circuit) < 0.8
    assert fidelity(result.compiled.circuit) > 0.95


def test_y_is_written_in_device_gates_exactly():
    qc = QuantumCircuit(1)
    qc.rz(-math.pi / 2, 0)
    qc.x(0)
    qc.rz(math.pi / 2, 0)
    assert Operator(qc) == Operator(np.array([[0, -1j], [1j, 0]]))


def test_pulses_start_on_the_device_grid():
    backend = FakeSherbrooke()
    assert backend.target.pulse_alignment == 16
    result = decouple(compile_baseline(staircase(5), backend, seed=2), backend, "XY4")
    assert result.record.windows_filled > 0
    clock = dict.fromkeys(result.compiled.circuit.qubits, 0)
    table = ErrorTable.from_target(backend)
    for one in result.compiled.circuit.data:
        if one.is_directive():
            continue
        places = tuple(result.compiled.circuit.find_bit(bit).index for bit in one.qubits)
        length = (one.operation.duration if one.name == "delay"
                  else round(table.cost(one.name, places).seconds / table.dt))
        assert clock[one.qubits[0]] % 16 == 0
        for bit in one.qubits:
            clock[bit] += length


def test_ground_state_and_finished_qubits_are_left_alone():
    qc = QuantumCircuit(3, 3)
    qc.h(0)
    qc.measure(0, 0)  # then qubit 0 has nothing left to do
    qc.barrier()
    qc.h(1)  # qubits 1 and 2 are in |0⟩ until here
    qc.cx(1, 2)
    qc.measure([1, 2], [1, 2])
    backend = FakeGuadalupeV2()
    compiled = compile_baseline(qc, backend, seed=0)
    result = decouple(compiled, backend, "XX")
    assert result.compiled is compiled
    assert result.record.windows_filled == result.record.pulses == 0
    assert "no idle window" in result.record.reason


def test_short_windows_are_left_alone():
    backend = FakeManilaV2()
    compiled = compile_baseline(staircase(4), backend, seed=2)
    longest = max(window.window_ns for window in compiled.idle_windows)
    free = decouple(compiled, backend, "XX")
    picky = decouple(compiled, backend, "XX", min_window_ns=longest - 1)
    assert 0 < picky.record.windows_filled < free.record.windows_filled
    assert picky.record.shortest_filled_ns >= longest - 1
    none = decouple(compiled, backend, "XX", min_window_ns=10 * longest)
    assert none.compiled is compiled and "long enough" in none.record.reason


def test_an_unscheduled_circuit_comes_back_with_the_reason():
    qc = QuantumCircuit(2, 2)
    qc.h(0)
    qc.measure(0, 0)
    with qc.if_test((qc.clbits[0], 1)):
        qc.x(1)
    qc.measure(1, 1)
    backend = FakeManilaV2()
    compiled = compile_baseline(qc, backend, seed=0)
    result = decouple(compiled, backend)
    assert result.compiled is compiled and "no schedule" in result.record.reason


def test_without_memory_in_the_noise_decoupling_is_predicted_to_cost():
    backend = FakeManilaV2()
    compiled = compile_baseline(staircase(4), backend, seed=2)
    assert decouple(compiled, backend, "XY4").compiled.predicted_success < compiled.predicted_success


def test_an_unknown_sequence_is_refused_with_the_known_ones():
    backend = FakeManilaV2()
    compiled = compile_baseline(staircase(3), backend, seed=0)
    with pytest.raises(InputError, match="XX, XY4, XY8"):
        decouple(compiled, backend, "QDD")


def test_staggered_pulses_undo_zz_between_neighbours():
    """Two neighbours idle together: aligned pulses leave all of their ZZ, staggered ones next to nothing."""
    backend = FakeManilaV2()
    dt = backend.target.dt
    qc = QuantumCircuit(5, 2)
    qc.h([0, 1])
    qc.barrier()  # qubits 2 to 4 wait in |0⟩, and get no pulses
    qc.delay(8000, [0, 1])
    qc.barrier()
    qc.h([0, 1])
    qc.measure([0, 1], [0, 1])
    before = compile_baseline(qc, backend, seed=2)
    strength = 2 * math.pi * 90e3  # rad/s

    def zz_left(circuit):
        """Phase between neighbours after all delays, the flips by pulses counted."""
        flips, clock, turns = {}, {}, {}
        for one in circuit.data:
            places = [circuit.find_bit(bit).index for bit in one.qubits]
            if one.name == "delay":
                begin = clock.get(places[0], 0)
                clock[places[0]] = begin + one.operation.duration
                sign = -1 if flips.get(places[0], 0) % 2 else 1
                turns.setdefault(places[0], []).append((begin, clock[places[0]], sign))
            elif one.name in ("x", "sx"):
                flips[places[0]] = flips.get(places[0], 0) + (one.name == "x")
                pulse = round(backend.target[one.name][tuple(places)].duration / dt)
                clock[places[0]] = clock.get(places[0], 0) + pulse
        read = [circuit.find_bit(one.qubits[0]).index for one in circuit.data if one.name == "measure"]
        left, right = (turns[place] for place in read)
        shared = sum(
            max(0, min(a_end, b_end) - max(a_begin, b_begin)) * a * b
            for a_begin, a_end, a in left for b_begin, b_end, b in right
        )  # fmt: skip
        return strength * dt * shared

    plain = abs(zz_left(before.circuit))
    assert plain == pytest.approx(strength * dt * 8000, rel=0.05)
    assert abs(zz_left(decouple(before, backend, "XX").compiled.circuit)) > 0.8 * plain
    for sequence in ("XX-staggered", "XY4-staggered"):
        found = decouple(before, backend, sequence)
        assert found.record.windows_filled == 2
        assert abs(zz_left(found.compiled.circuit)) < 0.1 * plain


def test_as_a_pass_it_fills_what_any_pass_manager_made():
    backend = FakeGuadalupeV2()
    plain = generate_preset_pass_manager(optimization_level=1, backend=backend, seed_transpiler=3).run(staircase(5))
    passes = PassManager([ZZAwareDecoupling(backend)])
    filled = passes.run(plain)
    assert filled.count_ops()["x"] > plain.count_ops().get("x", 0) and "delay" in filled.count_ops()
    assert set(filled.count_ops()) <= {*backend.target.operation_names, "barrier"}
    used = sorted({plain.find_bit(q).index for one in plain.data for q in one.qubits})
    assert evolve(restricted(filled, used)).equiv(evolve(restricted(plain, used)))
    assert filled.layout == plain.layout or filled.layout is None  # a pass does not move qubits


def restricted(circuit: QuantumCircuit, qubits: list[int]) -> QuantumCircuit:
    small = QuantumCircuit(len(qubits))
    place = {qubit: index for index, qubit in enumerate(qubits)}
    for one in circuit.data:
        if one.name != "barrier":
            small.append(one.operation, [place[circuit.find_bit(bit).index] for bit in one.qubits])
    return small


def test_as_a_pass_it_refuses_what_has_no_schedule():
    backend = FakeManilaV2()
    qc = QuantumCircuit(2, 1)
    with qc.if_test((qc.clbits[0], 1)):
        qc.x(1)
    with pytest.raises(TranspilerError, match="control flow"):
        PassManager([ZZAwareDecoupling(backend)]).run(qc)
    with pytest.raises(TranspilerError, match="9 qubits, the device 5"):
        PassManager([ZZAwareDecoupling(backend)]).run(QuantumCircuit(9))
    with pytest.raises(InputError, match="zz-aware, XX"):
        ZZAwareDecoupling(backend, sequence="QDD")


def test_a_target_alone_does_not_say_what_a_choice_needs():
    backend = FakeManilaV2()
    compiled = compile_baseline(staircase(4), backend, seed=2)
    with pytest.raises(InputError, match="give the backend"):
        decouple(compiled, backend.target)
    told = decouple(compiled, backend.target, noise=IdleNoise.of(backend)).compiled
    assert told.circuit == decouple(compiled, backend).compiled.circuit


def test_on_a_twin_with_memory_the_chosen_pulses_beat_the_same_ones_everywhere():
    """Simulated: an echo of a circuit whose qubits wait long, on a device with ZZ and slow detunings."""
    twin = SimulatedQpu(FakeGuadalupeV2(), NoiseAssumptions())
    qc = QuantumCircuit(6, 6)
    qc.h(range(6))
    for layer in range(16):
        qc.barrier()
        qc.cx(layer // 2 % 2, layer // 2 % 2 + 1)  # twice each: together they do nothing
    qc.barrier()
    qc.h(range(6))
    qc.measure(range(6), range(6))
    compiled = compile_baseline(qc, twin, seed=1)
    zeros = {}
    for sequence in (None, "XY4", "XX-staggered", "zz-aware"):
        one = compiled if sequence is None else decouple(compiled, twin, sequence).compiled
        zeros[sequence] = twin.run(one.circuit, shots=6000, seed_simulator=5).result().get_counts()["0" * 6] / 6000
    assert zeros["zz-aware"] > zeros["XY4"] + 0.03 > zeros[None] + 0.03
    assert zeros["zz-aware"] > zeros["XX-staggered"]
