"""Runs in stages in which outcomes are needed on the way: what is planned holds for every branch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer import AerSimulator
from scipy.stats import chi2
from staged import CONSTANTS, Stopped, budget_of_sizes, run_staged

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment
from qrex.engines.statevector import StateVectorEngine
from qrex.engines.statevector.tiers import Budget, TieredRun
from qrex.engines.statevector.tiers.outputs import Marginal
from qrex.errors import InfeasibleError
from qrex.profile import profile_circuit


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
    run, _ = run_staged(circuit, [], budget_of_sizes(8, 8), tmp_path, shots=shots, seed=seed)
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
    run, _ = run_staged(circuit, [], budget_of_sizes(first, first - seed % 3 // 2), tmp_path, shots=shots, seed=seed)
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
    run, traffic = run_staged(circuit, [], budget_of_sizes(9, 9, codec="int8"), tmp_path, shots=40, seed=2)
    first = sum(stage.gates for stage in run.plan.stages)
    assert run.branches > 2 and run.gates > 2 * first
    # Of one path through the outcomes: a handful of writes, not those of all branches.
    assert 0 < traffic.codec_infidelity < 20 * 1.4e-4


def test_a_run_with_outcomes_in_the_middle_keeps_to_its_memory(tmp_path):
    circuit = _reusing(18, 4, 5)
    budget = Budget(42 << 20, 1 << 30, 2)
    run, _ = run_staged(circuit, [], budget, tmp_path, shots=50, seed=1)
    assert run.plan.memory_bytes <= 42 << 20
    assert sum(run.counts.values()) == 50
    with pytest.raises(InfeasibleError, match=r"7\.86 MB of disk \(float32\); 44 MB of memory and 1\.05 MB of disk"):
        TieredRun(flatten(circuit), Budget(42 << 20, 1 << 20, 2), CONSTANTS, shots=50)
    assert "split by an outcome" in run.plan.explain()


def test_a_stopped_run_with_outcomes_in_the_middle_goes_on(tmp_path):
    circuit = _feedback(11, 3)
    budget = budget_of_sizes(8, 8)
    whole, _ = run_staged(circuit, [], budget, tmp_path / "whole", shots=500, seed=1)
    stops = 0
    for limit in itertools.chain(range(1, 60, 6), itertools.repeat(10**9)):
        calls = 0

        def stop(fraction, limit=limit):
            nonlocal calls
            calls += 1
            if calls > limit and fraction < 1:
                raise Stopped

        try:
            run, _ = run_staged(circuit, [], budget, tmp_path / "stopped", stop, shots=500, seed=1)
            break
        except Stopped:
            stops += 1
    assert stops > 0
    assert run.counts == whole.counts


def test_a_random_final_state_is_not_given(tmp_path):
    with pytest.raises(InfeasibleError, match="no one final state"):
        TieredRun(flatten(_feedback(11, 1)), budget_of_sizes(8, 8), CONSTANTS, outputs=[Marginal("m", [0], 11, 1)])
