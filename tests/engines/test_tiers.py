"""States in stages: every split and codec against another simulator's amplitudes, and what a run keeps and resumes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import quantum_volume
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SparsePauliOp, Statevector

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine
from qrex.engines.statevector.tiers import Budget, TieredRun
from qrex.engines.statevector.tiers.outputs import FinalState, Marginal, PauliSum, Probabilities
from qrex.engines.statevector.tiers.segment_run import SegmentRun, check_norm
from qrex.errors import EngineError, InfeasibleError, InputError, MemoryLimitError, StoreError
from qrex.store import ScratchArea

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from staged import CONSTANTS, SMALL_CACHE, Stopped, budget_of_sizes, run_staged, silent
from tiering_correctness import exact_state, gates_on_every_pair


def _final_state(circuit, budget, folder):
    array = np.zeros(1 << circuit.num_qubits, dtype=np.complex64)
    run, traffic = run_staged(circuit, [FinalState(array, circuit.num_qubits, 2)], budget, folder)
    return array, run, traffic


def _overlap(found, exact):
    found = found.astype(np.complex128)
    return abs(np.vdot(exact, found)) / np.linalg.norm(found)


@pytest.mark.parametrize("codec", ["float32", "int16", "int8"])
@pytest.mark.parametrize(("first", "rest"), [(9, 9), (11, 9), (9, 10), (10, 11), (12, 8), (13, 13)])
def test_amplitudes_of_gates_on_every_pair(first, rest, codec, tmp_path):
    circuit = gates_on_every_pair(13, first * 100 + rest, 60)
    found, run, traffic = _final_state(circuit, budget_of_sizes(first, rest, codec), tmp_path)
    exact = Statevector(circuit).data
    stages = len(run.plan.stages)
    assert traffic.written_bytes <= max(stages - 2, 0) * (run.plan.slot_bytes << (13 - run.plan.block_bits))
    allowed = {"float32": 1e-10, "int16": 1e-7, "int8": 3e-3}[codec]
    infidelity = 1 - _overlap(found, exact) ** 2
    assert infidelity < allowed
    if codec == "float32":
        phase = np.vdot(found, exact) / abs(np.vdot(found, exact))
        np.testing.assert_allclose(found * phase, exact, atol=1e-5)
    elif stages > 2:  # what is reported is what came about
        assert traffic.codec_infidelity > 0
        assert 0.2 * infidelity < traffic.codec_infidelity < 5 * infidelity + 1e-9


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    num_qubits=st.integers(9, 16), gates=st.integers(1, 120), seed=st.integers(0, 10_000), outside=st.integers(1, 4),
    more=st.integers(0, 3), wide_cache=st.booleans(), codec=st.sampled_from(["float32", "float32", "int16", "int8"]),
)  # fmt: skip
def test_amplitudes_of_random_circuits(num_qubits, gates, seed, outside, more, wide_cache, codec, tmp_path):
    """Larger ones, and all of their splits: benchmarks/tiering_correctness.py."""
    circuit = gates_on_every_pair(num_qubits, seed, gates)
    rest = max(num_qubits - outside, 8)
    first = min(rest + more, num_qubits)
    cache = (15, 6, 11) if wide_cache else SMALL_CACHE
    found, _, traffic = _final_state(circuit, budget_of_sizes(first, rest, codec, cache), tmp_path)
    exact = exact_state(circuit)
    if codec == "float32":
        phase = np.vdot(found, exact) / abs(np.vdot(found, exact))
        np.testing.assert_allclose(found * phase, exact, atol=1e-5)
    assert 1 - _overlap(found, exact) ** 2 <= 2 * traffic.codec_infidelity + 1e-9


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5])
def test_states_of_few_qubits(num_qubits, tmp_path):
    circuit = random_circuit(num_qubits, 4, max_operands=min(3, num_qubits), seed=num_qubits)
    found, _, _ = _final_state(circuit, Budget(1 << 30, 0, 1), tmp_path)
    assert _overlap(found, Statevector(circuit).data) == pytest.approx(1, abs=1e-6)


def test_qubits_that_stay_in_a_basis_state(tmp_path):
    circuit = QuantumCircuit(12)
    circuit.x(11)
    for qubit in range(0, 11, 2):
        circuit.h(qubit)
        circuit.cx(qubit, (qubit + 2) % 12)
    circuit.x(4)
    found, _, _ = _final_state(circuit, budget_of_sizes(5, 4, cache=(15, 6, 11)), tmp_path)
    assert _overlap(found, Statevector(circuit).data) == pytest.approx(1, abs=1e-6)


def test_two_stages_take_no_disk(tmp_path):
    """A Fourier transform of a product state: the qubits outside the first sub-state are met last."""
    circuit = QuantumCircuit(14)
    for qubit in range(14):
        circuit.ry(0.3 + qubit, qubit)
    for target in reversed(range(14)):
        circuit.h(target)
        for control in reversed(range(target)):
            circuit.cp(np.pi / 2 ** (target - control), control, target)
    found, run, traffic = _final_state(circuit, budget_of_sizes(11, 11), tmp_path)
    assert len(run.plan.stages) == 2
    assert run.plan.disk_bytes == run.plan.traffic_bytes == traffic.written_bytes == traffic.read_bytes == 0
    assert _overlap(found, Statevector(circuit).data) == pytest.approx(1, abs=1e-6)


def test_outputs_agree_with_the_state(tmp_path):
    circuit = gates_on_every_pair(12, 5, 60)
    exact = Statevector(circuit)
    measured = circuit.copy()
    measured.measure_all()
    rng = np.random.default_rng(3)
    terms = [("".join(rng.choice(list("IXYZ"), 12, p=[0.55, 0.15, 0.15, 0.15])), float(rng.normal())) for _ in range(8)]
    terms += [("Z" * 12, 0.7), ("I" * 12, 0.25)]
    probabilities = exact.probabilities()
    likely = [format(int(x), "012b") for x in np.argsort(probabilities)[-5:]]
    outputs = [
        PauliSum("energy", terms, 12, 2), Marginal("some", [7, 0, 11], 12, 2), Probabilities("five", likely, 12, 2),
    ]  # fmt: skip
    run, traffic = run_staged(measured, outputs, budget_of_sizes(9, 9), tmp_path, shots=4000, seed=9)
    assert len(run.plan.stages) > 2 and traffic.written_bytes > 0
    energy, some, five = outputs
    assert energy.value == pytest.approx(exact.expectation_value(SparsePauliOp.from_list(terms)).real, abs=1e-5)
    np.testing.assert_allclose(some.table, exact.probabilities([7, 0, 11]), atol=1e-6)
    for text in likely:
        assert five.values[text] == pytest.approx(probabilities[int(text, 2)], abs=1e-6)
    assert traffic.norm == pytest.approx(1, abs=1e-5)
    counts = run.counts
    assert counts.total() == 4000
    # Shares of the 16 values of four qubits, by a chi-square test at one in a million.
    shares = exact.probabilities([0, 5, 9, 11])
    seen = np.zeros(16)
    for text, count in counts.items():
        x = int(text, 2)
        seen[(x & 1) | (x >> 5 & 1) << 1 | (x >> 9 & 1) << 2 | (x >> 11 & 1) << 3] += count
    assert ((seen - 4000 * shares) ** 2 / (4000 * shares)).sum() < 60


def test_bad_requests_are_told(tmp_path):
    with pytest.raises(InputError, match="no Pauli string on 3 qubits"):
        PauliSum("x", [("XY", 1.0)], 3, 1)
    with pytest.raises(InputError, match="different qubits"):
        Marginal("m", [0, 0], 3, 1)
    with pytest.raises(InputError, match="has 3 classical bits"):
        Probabilities("p", ["01"], 3, 1)
    with pytest.raises(InputError, match="complex64 array of 8 amplitudes"):
        FinalState(np.zeros(4, dtype=np.complex64), 3, 1)


@pytest.mark.parametrize("codec", ["float32", "int8"])
def test_a_stopped_run_goes_on(codec, tmp_path):
    circuit = gates_on_every_pair(13, 2, 60)
    circuit.measure_all()
    budget = budget_of_sizes(10, 9, codec)

    def counts(folder, progress=silent):
        run, traffic = run_staged(circuit, [], budget, folder, progress, shots=3000, seed=4)
        return dict(run.counts), traffic

    undisturbed, whole = counts(tmp_path / "whole")
    for limit in (0.2, 0.5, 0.8, 0.95):

        def stop(fraction, limit=limit):
            if fraction > limit:
                raise Stopped

        with pytest.raises(Stopped):
            counts(tmp_path / "stopped", stop)
    again, traffic = counts(tmp_path / "stopped")
    assert again == undisturbed
    assert traffic.resumed
    assert traffic.written_bytes < whole.written_bytes


def test_a_flipped_bit_is_told(tmp_path):
    circuit = gates_on_every_pair(13, 2, 60)
    circuit.measure_all()
    budget = budget_of_sizes(9, 9)
    run = TieredRun(flatten(circuit), budget, CONSTANTS, shots=100, seed=4)
    assert len(run.plan.stages) > 2

    def spoil(fraction):
        if fraction > 0.7:
            raise Stopped

    with pytest.raises(Stopped):
        run_staged(circuit, [], budget, tmp_path, spoil, shots=100, seed=4)
    (folder,) = tmp_path.iterdir()
    with open(folder / "blocks", "r+b") as file:
        for slot in range(run.plan.slots):
            file.seek(slot * run.plan.slot_bytes + 100)
            (byte,) = file.read(1)
            file.seek(slot * run.plan.slot_bytes + 100)
            file.write(bytes([byte ^ 4]))
    with pytest.raises(StoreError, match="checksum"):
        run_staged(circuit, [], budget, tmp_path, shots=100, seed=4)


def test_a_wrong_norm_is_no_answer(tmp_path, monkeypatch):
    check_norm(1.00001, "the last gate", 0.0)
    check_norm(0.997, "the last gate", 4e-4)  # what a codec was measured to do
    for norm in (0.9396, 1.01, float("nan")):
        with pytest.raises(EngineError, match="withheld"):
            check_norm(norm, "the last gate", 0.0)
    circuit = gates_on_every_pair(13, 1, 60)
    circuit.measure_all()
    run = TieredRun(flatten(circuit), budget_of_sizes(9, 9), CONSTANTS, shots=10)

    first = SegmentRun._first

    def scaled(self, *arguments):
        state = first(self, *arguments)
        state.re[:] *= 1.1
        state.im[:] *= 1.1
        return state

    monkeypatch.setattr(SegmentRun, "_first", scaled)
    with (
        ScratchArea.open(tmp_path, run.identity, run.plan.slot_bytes, run.plan.slots) as area,
        pytest.raises(EngineError, match="withheld"),
    ):
        run.run(area, silent)


def test_the_engine_runs_what_is_larger_than_its_memory(tmp_path):
    circuit = quantum_volume(23, 4, seed=3)
    circuit.measure_all()
    job = Job(Circuit("id", "made here", "<python>", "Qiskit", circuit), 500, 1, ())
    within = StateVectorEngine(CONSTANTS).run(job, Allotment(2, 1 << 30), silent)
    small = Allotment(2, 64 << 20, str(tmp_path), 200 << 20)  # as much as the amplitudes alone
    found = StateVectorEngine(CONSTANTS).run(job, small, silent)
    assert found.metadata["tiers"]["stages"] > 1
    assert sum(found.counts.values()) == 500
    assert found.metadata["norm"] == pytest.approx(within.metadata["norm"], abs=1e-5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MemoryLimitError, match=r"needs 101 MB .* more than 34\.2 MB of memory; 31\.5 MB of memory"):
        StateVectorEngine(CONSTANTS).run(job, Allotment(2, 30 << 20), silent)


def test_nothing_is_done_where_it_cannot_fit(tmp_path):
    circuit = quantum_volume(30, 30, seed=3)
    with pytest.raises(InfeasibleError, match=r"needs 8\.62 GB of memory, or 1\.38 GB of memory with 8\.72 GB of disk"):
        TieredRun(flatten(circuit), Budget(2 << 30, 1 << 30, 2), CONSTANTS)
