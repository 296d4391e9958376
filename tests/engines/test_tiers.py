"""States in stages: every split and codec against another simulator's amplitudes, and what a run keeps and resumes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_aer import AerSimulator
from scipy.stats import chi2

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine
from qrex.engines.statevector.tiers import Budget, TieredRun
from qrex.engines.statevector.tiers.outputs import FinalState, Marginal, PauliSum, Probabilities
from qrex.engines.statevector.tiers.segment_run import SegmentRun, check_norm
from qrex.errors import EngineError, InfeasibleError, InputError, MemoryLimitError, StoreError
from qrex.profile import profile_circuit
from qrex.store import ScratchArea

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from tiering_correctness import exact_state, gates_on_every_pair

CONSTANTS = {
    "fixed_seconds": 5e-5,
    "seconds_per_row": 3e-7,
    "seconds_per_gate": 7e-7,
    "seconds_per_branch": 2e-6,
    "seconds_per_amplitude_gate_narrow": 4e-10,
    "seconds_per_amplitude_gate": 5e-10,
    "seconds_per_amplitude_pass": 2e-9,
    "seconds_per_amplitude_held": 4e-9,
    "seconds_per_amplitude_collapse": 2e-9,
    "seconds_per_shot": 5e-8,
    "seconds_per_outcome": 2e-7,
    "calibrated_threads": 1.0,
}
SMALL_CACHE = (7, 4, 5)  # blocks of 2^7 amplitudes: passes and gathers within a sub-state of 2^9


def _silent(_fraction: float) -> None:
    return


def _budget(first, rest, codec="float32", cache=SMALL_CACHE):
    return Budget(
        memory_bytes=1 << 30, disk_bytes=1 << 30, threads=2, codec=codec, io_threads=2, sizes=((first, rest),),
        block_bytes=1 << 9, cache=cache,
    )  # fmt: skip


def _run(circuit, outputs, budget, folder, progress=_silent, shots=0, seed=0):
    run = TieredRun(flatten(circuit), budget, CONSTANTS, outputs=outputs, shots=shots, seed=seed)
    plan = run.plan
    with ScratchArea.open(folder, run.identity, max(plan.slot_bytes, 4096), max(plan.slots, 1)) as area:
        traffic = run.run(area, progress)
        area.remove()
    return run, traffic


def _final_state(circuit, budget, folder):
    array = np.zeros(1 << circuit.num_qubits, dtype=np.complex64)
    run, traffic = _run(circuit, [FinalState(array, circuit.num_qubits, 2)], budget, folder)
    return array, run, traffic


def _overlap(found, exact):
    found = found.astype(np.complex128)
    return abs(np.vdot(exact, found)) / np.linalg.norm(found)


@pytest.mark.parametrize("codec", ["float32", "int16", "int8"])
@pytest.mark.parametrize(("first", "rest"), [(9, 9), (11, 9), (9, 10), (10, 11), (12, 8), (13, 13)])
def test_amplitudes_of_gates_on_every_pair(first, rest, codec, tmp_path):
    circuit = gates_on_every_pair(13, first * 100 + rest, 60)
    found, run, traffic = _final_state(circuit, _budget(first, rest, codec), tmp_path)
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
    found, _, traffic = _final_state(circuit, _budget(first, rest, codec, cache), tmp_path)
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
    found, _, _ = _final_state(circuit, _budget(5, 4, cache=(15, 6, 11)), tmp_path)
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
    found, run, traffic = _final_state(circuit, _budget(11, 11), tmp_path)
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
    run, traffic = _run(measured, outputs, _budget(9, 9), tmp_path, shots=4000, seed=9)
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


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("codec", ["float32", "int8"])
def test_a_stopped_run_goes_on(codec, tmp_path):
    circuit = gates_on_every_pair(13, 2, 60)
    circuit.measure_all()
    budget = _budget(10, 9, codec)

    def counts(folder, progress=_silent):
        run, traffic = _run(circuit, [], budget, folder, progress, shots=3000, seed=4)
        return dict(run.counts), traffic

    undisturbed, whole = counts(tmp_path / "whole")
    for limit in (0.2, 0.5, 0.8, 0.95):

        def stop(fraction, limit=limit):
            if fraction > limit:
                raise _Stopped

        with pytest.raises(_Stopped):
            counts(tmp_path / "stopped", stop)
    again, traffic = counts(tmp_path / "stopped")
    assert again == undisturbed
    assert traffic.resumed
    assert traffic.written_bytes < whole.written_bytes


def test_a_flipped_bit_is_told(tmp_path):
    circuit = gates_on_every_pair(13, 2, 60)
    circuit.measure_all()
    budget = _budget(9, 9)
    run = TieredRun(flatten(circuit), budget, CONSTANTS, shots=100, seed=4)
    assert len(run.plan.stages) > 2

    def spoil(fraction):
        if fraction > 0.7:
            raise _Stopped

    with pytest.raises(_Stopped):
        _run(circuit, [], budget, tmp_path, spoil, shots=100, seed=4)
    (folder,) = tmp_path.iterdir()
    with open(folder / "blocks", "r+b") as file:
        for slot in range(run.plan.slots):
            file.seek(slot * run.plan.slot_bytes + 100)
            (byte,) = file.read(1)
            file.seek(slot * run.plan.slot_bytes + 100)
            file.write(bytes([byte ^ 4]))
    with pytest.raises(StoreError, match="checksum"):
        _run(circuit, [], budget, tmp_path, shots=100, seed=4)


def test_a_wrong_norm_is_no_answer(tmp_path, monkeypatch):
    check_norm(1.00001, "the last gate", 0.0)
    check_norm(0.997, "the last gate", 4e-4)  # what a codec was measured to do
    for norm in (0.9396, 1.01, float("nan")):
        with pytest.raises(EngineError, match="withheld"):
            check_norm(norm, "the last gate", 0.0)
    circuit = gates_on_every_pair(13, 1, 60)
    circuit.measure_all()
    run = TieredRun(flatten(circuit), _budget(9, 9), CONSTANTS, shots=10)

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
        run.run(area, _silent)


def test_the_engine_runs_what_is_larger_than_its_memory(tmp_path):
    circuit = quantum_volume(23, 4, seed=3)
    circuit.measure_all()
    job = Job(Circuit("id", "made here", "<python>", "Qiskit", circuit), 500, 1, ())
    within = StateVectorEngine(CONSTANTS).run(job, Allotment(2, 1 << 30), _silent)
    small = Allotment(2, 64 << 20, str(tmp_path), 200 << 20)  # as much as the amplitudes alone
    found = StateVectorEngine(CONSTANTS).run(job, small, _silent)
    assert found.metadata["tiers"]["stages"] > 1
    assert sum(found.counts.values()) == 500
    assert found.metadata["norm"] == pytest.approx(within.metadata["norm"], abs=1e-5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MemoryLimitError, match=r"needs 101 MB .* more than 34\.2 MB of memory; 31\.5 MB of memory"):
        StateVectorEngine(CONSTANTS).run(job, Allotment(2, 30 << 20), _silent)


def test_nothing_is_done_where_it_cannot_fit(tmp_path):
    circuit = quantum_volume(30, 30, seed=3)
    with pytest.raises(InfeasibleError, match=r"needs 8\.62 GB of memory, or 1\.38 GB of memory with 8\.72 GB of disk"):
        TieredRun(flatten(circuit), Budget(2 << 30, 1 << 30, 2), CONSTANTS)


@pytest.mark.parametrize("middle", [False, True])
def test_what_is_estimated_of_a_run_in_stages_holds(middle, tmp_path):
    circuit = quantum_volume(24, 12, seed=3)
    if middle:
        circuit = circuit.compose(_reusing(24, 3, 1))
    else:
        circuit.measure_all()
    found = Circuit("id", "made here", "<python>", "Qiskit", circuit)
    engine, profile = StateVectorEngine(CONSTANTS), profile_circuit(found, 500)
    room = Allotment(2, 120 << 20, str(tmp_path), 1 << 30)
    cost = engine.estimate(profile, room)
    plan = TieredRun(found.program, Budget(120 << 20, 1 << 30, 2), CONSTANTS, shots=500).plan
    assert 0 < plan.disk_bytes <= cost.disk_bytes < 1 << 30
    assert plan.memory_bytes <= 1.1 * cost.peak_bytes and cost.peak_bytes <= room.memory_bytes
    poor = engine.estimate(profile, Allotment(2, 120 << 20, str(tmp_path), 1 << 20))
    assert not any(one.disk_bytes <= 1 << 20 and one.peak_bytes <= 120 << 20 for one in poor.instead)
    disk = min(one.disk_bytes for one in poor.instead if one.peak_bytes <= 120 << 20)
    assert engine.estimate(profile, Allotment(2, 120 << 20, str(tmp_path), disk)).disk_bytes == disk
    TieredRun(found.program, Budget(120 << 20, disk, 2), CONSTANTS, shots=500)
    (least,) = engine.estimate(profile, Allotment(2, 40 << 20, str(tmp_path), 1 << 30)).instead
    assert engine.estimate(profile, Allotment(2, least.peak_bytes, str(tmp_path), 1 << 30)).disk_bytes > 0


def _feedback(num_qubits, seed):
    """Outcomes in the middle that decide what follows: measured, tested, reset, measured again."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits, 4)
    for qubit in range(num_qubits):
        circuit.ry(float(rng.uniform(0.4, 2.7)), qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(num_qubits - 1, 0)
    with circuit.if_test((0, 1)):
        circuit.rx(1.1, 0)
        circuit.cx(0, num_qubits // 2)
    circuit.reset(1)
    circuit.ry(0.7, 1)
    circuit.cx(1, num_qubits - 1)
    circuit.measure(1, 1)
    with circuit.if_test((1, 0)):
        circuit.h(2)
    circuit.cz(2, 3)
    circuit.ry(0.9, 3)
    circuit.measure([2, 3], [2, 3])
    return circuit


@pytest.mark.parametrize("seed", [1, 2])
def test_outcomes_in_the_middle(seed, tmp_path):
    """Against Aer shot by shot: a chi-square test of two samples, at one in a million."""
    circuit = _feedback(11, seed)
    shots = 6000
    run, _ = _run(circuit, [], _budget(8, 8), tmp_path, shots=shots, seed=seed)
    assert run.collapses and run.branches > 2
    aer = AerSimulator(seed_simulator=seed)
    expected = aer.run(transpile(circuit, aer, optimization_level=0), shots=shots).result().get_counts()
    assert sum(run.counts.values()) == shots
    both = {text: (run.counts[text], expected.get(text, 0)) for text in set(run.counts) | set(expected)}
    statistic = sum((a - b) ** 2 / (a + b) for a, b in both.values())
    assert statistic < chi2.ppf(1 - 1e-6, len(both) - 1)


def _reusing(num_qubits, outcomes, seed):
    """Random gates between outcomes of random qubits, each of which is used again; some only in some branches."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits, num_qubits + 2)
    for number in range(outcomes):
        for _ in range(num_qubits):
            a, b = (int(q) for q in rng.choice(num_qubits, 2, replace=False))
            circuit.ry(float(rng.uniform(0.3, 2.8)), a)
            circuit.cx(a, b)
        qubit = int(rng.integers(num_qubits))
        if rng.integers(2):
            circuit.reset(qubit)
        else:
            circuit.measure(qubit, num_qubits + number % 2)
        with circuit.if_test((num_qubits + number % 2, int(rng.integers(2)))):
            circuit.h(int(rng.integers(num_qubits)))
            if rng.integers(2):
                circuit.reset(int(rng.integers(num_qubits)))
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_outcomes_every_later_segment_fits(seed, tmp_path):
    num_qubits, shots = 8 + seed % 4, 3000
    circuit = _reusing(num_qubits, 4 + seed % 4, seed)
    first = num_qubits - seed % 2
    run, _ = _run(circuit, [], _budget(first, first - seed % 3 // 2), tmp_path, shots=shots, seed=seed)
    assert run.branches > 3
    aer = AerSimulator(seed_simulator=seed)
    expected = aer.run(transpile(circuit, aer, optimization_level=0), shots=shots).result().get_counts()
    for pair in itertools.combinations(range(num_qubits + 2), 2):
        found, reference = (_pair_counts(counts, pair) for counts in (run.counts, expected))
        both = [(a, b) for a, b in zip(found, reference, strict=True) if a + b]
        statistic = sum((a - b) ** 2 / (a + b) for a, b in both)
        assert statistic < chi2.ppf(1 - 1e-7, max(len(both) - 1, 1)), pair


def _pair_counts(counts, pair):
    found = [0] * 4
    for text, count in counts.items():
        found[2 * int(text[-1 - pair[0]]) + int(text[-1 - pair[1]])] += count
    return found


def test_what_is_stated_of_a_branch_counts_all_of_its_segments(tmp_path):
    circuit = _reusing(10, 4, 6)
    run, traffic = _run(circuit, [], _budget(9, 9, codec="int8"), tmp_path, shots=40, seed=2)
    first = sum(stage.gates for stage in run.plan.stages)
    assert run.branches > 2 and run.gates > 2 * first
    # Of one path through the outcomes: a handful of writes, not those of all branches.
    assert 0 < traffic.codec_infidelity < 20 * 1.4e-4


def test_a_run_with_outcomes_in_the_middle_keeps_to_its_memory(tmp_path):
    circuit = _reusing(18, 4, 5)
    budget = Budget(42 << 20, 1 << 30, 2)
    run, _ = _run(circuit, [], budget, tmp_path, shots=50, seed=1)
    assert run.plan.memory_bytes <= 42 << 20
    assert sum(run.counts.values()) == 50
    with pytest.raises(InfeasibleError, match=r"7\.86 MB of disk \(float32\); 44 MB of memory and 1\.05 MB of disk"):
        TieredRun(flatten(circuit), Budget(42 << 20, 1 << 20, 2), CONSTANTS, shots=50)
    assert "split by an outcome" in run.plan.explain()


def test_a_stopped_run_with_outcomes_in_the_middle_goes_on(tmp_path):
    circuit = _feedback(11, 3)
    budget = _budget(8, 8)
    whole, _ = _run(circuit, [], budget, tmp_path / "whole", shots=500, seed=1)
    stops = 0
    for limit in itertools.chain(range(1, 60, 6), itertools.repeat(10**9)):
        calls = 0

        def stop(fraction, limit=limit):
            nonlocal calls
            calls += 1
            if calls > limit and fraction < 1:
                raise _Stopped

        try:
            run, _ = _run(circuit, [], budget, tmp_path / "stopped", stop, shots=500, seed=1)
            break
        except _Stopped:
            stops += 1
    assert stops > 0
    assert run.counts == whole.counts


def test_a_random_final_state_is_not_given(tmp_path):
    with pytest.raises(InfeasibleError, match="no one final state"):
        TieredRun(flatten(_feedback(11, 1)), _budget(8, 8), CONSTANTS, outputs=[Marginal("m", [0], 11, 1)])
