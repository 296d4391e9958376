"""Distributions of the simulated device against Aer's unsplit density matrix, closed forms and chi-square."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2
from scipy.stats import chi2

from qrex.errors import InputError
from qrex.twin.backend import SimulatedQpu
from qrex.twin.blocks import sweep_blocks, sweep_widths
from qrex.twin.components import split_components
from qrex.twin.exact import outcome_probabilities
from qrex.twin.sampling import plan_component, sample_circuit
from qrex.twin.trajectories import prepare_jumps, sample_trajectories

ALPHA = 1e-6  # seeds are fixed: a correct program passes for good, and this was not tuned to pass


@pytest.fixture(scope="module")
def manila():
    return SimulatedQpu(FakeManilaV2())


@pytest.fixture(scope="module")
def guadalupe():
    return SimulatedQpu(FakeGuadalupeV2())


def _compiled(circuit, backend, layout=None):
    return transpile(
        circuit,
        target=backend.target,
        optimization_level=1,
        seed_transpiler=7,
        scheduling_method="alap",
        initial_layout=layout,
    )


def _volume(width, seed=1):
    circuit = quantum_volume(width, seed=seed)
    circuit.measure_all()
    return circuit


def _aer(backend):
    calibrated = backend._calibrated
    return AerSimulator(method="density_matrix", noise_model=calibrated._get_noise_model_from_backend_v2())


def _aer_probabilities(circuit, backend):
    """Exact probabilities before readout over all qubits, by Aer on the whole circuit at once."""
    bare = QuantumCircuit(*circuit.qregs)
    for instruction in circuit.data:
        if instruction.name not in ("measure", "barrier"):
            bare.append(instruction.operation, instruction.qubits)
    bare.save_probabilities()
    return _aer(backend).run(bare).result().data()["probabilities"]


def _chi_square_p(counts, probabilities):
    """p-value of counts against probabilities, rare outcomes pooled until every cell expects 5."""
    shots = sum(counts.values())
    cells, pooled_seen, pooled_expected = [], 0.0, 0.0
    for outcome, probability in enumerate(probabilities):
        if probability * shots >= 5:
            cells.append((counts.get(outcome, 0), probability * shots))
        else:
            pooled_seen += counts.get(outcome, 0)
            pooled_expected += probability * shots
    if pooled_expected >= 5:
        cells.append((pooled_seen, pooled_expected))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    return chi2.sf(statistic, len(cells) - 1)


def _tally(bits):
    return Counter((bits.astype(int) @ (1 << np.arange(bits.shape[1]))).tolist())


def test_sweep_equals_the_whole_density_matrix(manila):
    circuit = _compiled(_volume(5), manila)
    assert "delay" in circuit.count_ops()
    (component,) = split_components(circuit)
    blocks = sweep_blocks(component, manila.noise)
    axes, probabilities = outcome_probabilities(blocks, {q: np.eye(2) for q in range(5)})
    ours = probabilities.transpose([axes.index(q) for q in reversed(range(5))]).reshape(-1)
    assert np.abs(ours - _aer_probabilities(circuit, manila)).max() < 1e-8


@pytest.mark.parametrize("shots", [1, 200_000])
def test_trajectories_follow_the_density_matrix(manila, shots):
    circuit = _compiled(_volume(5), manila)
    (component,) = split_components(circuit)
    blocks = sweep_blocks(component, manila.noise)
    columns = {q: q for q in range(5)}
    rng = np.random.default_rng(11)
    bits = sample_trajectories(blocks, prepare_jumps(blocks), columns, shots, rng)
    assert bits.shape == (shots, 5)
    if shots > 1:
        assert _chi_square_p(_tally(bits), _aer_probabilities(circuit, manila)) > ALPHA


def test_small_batches_change_nothing_but_the_draw(manila, monkeypatch):
    from qrex.twin import trajectories

    monkeypatch.setattr(trajectories, "_BATCH_AMPLITUDES", 64)
    circuit = _compiled(_volume(4), manila)
    (component,) = split_components(circuit)
    blocks = sweep_blocks(component, manila.noise)
    columns = {q: q for q in sorted(component.measured.values())}
    columns = {q: i for i, q in enumerate(columns)}
    bits = sample_trajectories(blocks, prepare_jumps(blocks), columns, 20_000, np.random.default_rng(2))
    axes, exact = outcome_probabilities(blocks, {q: np.eye(2) for q in columns})
    order = sorted(columns, key=columns.get, reverse=True)
    exact = exact.transpose([axes.index(q) for q in order]).reshape(-1)
    assert _chi_square_p(_tally(bits), exact) > ALPHA


def test_counts_follow_aers_counts_with_readout(manila):
    """Two samples, ours and the plain fake backend's, under the two-sample chi-square test."""
    circuit = _compiled(_volume(4, seed=5), manila)
    ours = manila.run(circuit, shots=20_000, seed_simulator=3).result().get_counts()
    plain = manila._calibrated.run(circuit, shots=20_000, seed_simulator=4).result().get_counts()
    both = [(ours.get(k, 0), plain.get(k, 0)) for k in ours.keys() | plain.keys()]
    cells = [(a, b) for a, b in both if a + b >= 10]
    statistic = sum((a - b) ** 2 / (a + b) for a, b in cells)
    assert chi2.sf(statistic, len(cells) - 1) > ALPHA


def test_decay_over_a_delay_is_exponential(manila):
    """P(1) after X and a delay: T1 decay and readout, nothing else but the X gate's own small error."""
    delays_us = [0, 30, 100, 250]
    circuits = []
    for delay in delays_us:
        circuit = QuantumCircuit(5, 1)
        circuit.x(3)
        circuit.delay(delay, 3, unit="us")
        circuit.measure(3, 0)
        circuits.append(circuit)
    shots = 40_000
    result = manila.run(circuits, shots=shots, seed_simulator=9).result()
    t1 = manila.target.qubit_properties[3].t1
    read = manila.noise.readout_confusion(3)
    for index, delay in enumerate(delays_us):
        excited = math.exp(-delay * 1e-6 / t1)
        expected = read[1, 1] * excited + read[1, 0] * (1 - excited)
        seen = result.get_counts(index).get("1", 0) / shots
        gate = 2 * manila.target["x"][(3,)].error
        assert abs(seen - expected) < gate + 5 * math.sqrt(expected * (1 - expected) / shots)


def test_readout_flips_are_the_calibrated_ones(guadalupe):
    circuit = QuantumCircuit(16, 16)
    circuit.measure(range(16), range(16))
    shots = 40_000
    bits = sample_circuit(circuit, guadalupe.noise, shots, (5,))
    properties = guadalupe.properties()
    for qubit in range(16):
        expected = properties.qubit_property(qubit, "prob_meas1_prep0")[0]
        assert abs(bits[:, qubit].mean() - expected) < 5 * math.sqrt(expected * (1 - expected) / shots)


def test_idle_without_delays_is_free(manila):
    """Waiting costs fidelity with an explicit delay and nothing without: the model's stated limit."""
    short, padded = (QuantumCircuit(5, 1) for _ in range(2))
    for circuit in (short, padded):
        circuit.x(0)
    padded.delay(100, 0, unit="us")
    for circuit in (short, padded):
        circuit.measure(0, 0)
    result = manila.run([short, padded], shots=4000, seed_simulator=1).result()
    assert result.get_counts(0)["1"] > 3700 > result.get_counts(1)["1"]


def test_parallel_pairs_split_and_join_independently(guadalupe):
    pairs = [(0, 1), (2, 3), (5, 8), (12, 15)]
    circuit = QuantumCircuit(16, 8)
    for index, (a, b) in enumerate(pairs):
        circuit.sx(a)
        circuit.cx(a, b)
        circuit.measure([a, b], [2 * index, 2 * index + 1])
    components = split_components(circuit)
    assert [c.qubits for c in components] == pairs
    bits = sample_circuit(circuit, guadalupe.noise, 20_000, (8,)).astype(float)
    correlation = np.corrcoef(bits.T)
    for i, j in itertools.combinations(range(8), 2):
        if i // 2 == j // 2:
            assert correlation[i, j] > 0.7
        else:
            assert abs(correlation[i, j]) < 5 / math.sqrt(20_000)


def test_a_component_does_not_hear_its_neighbors(guadalupe):
    alone = QuantumCircuit(16, 4)
    alone.sx(0)
    alone.cx(0, 1)
    alone.measure([0, 1], [0, 1])
    beside = alone.copy()
    beside.sx(12)
    beside.cx(12, 15)
    beside.measure([12, 15], [2, 3])
    first = _tally(sample_circuit(alone, guadalupe.noise, 500, (1,))[:, :2])
    second = _tally(sample_circuit(beside, guadalupe.noise, 500, (1,))[:, :2])
    assert first == second


def test_what_is_not_read_is_left_out(guadalupe):
    circuit = QuantumCircuit(16, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    circuit.cx(1, 2)
    (component,) = split_components(circuit)
    assert component.qubits == (0,)
    chain = QuantumCircuit(16, 1)
    chain.cx(0, 1)
    chain.cx(1, 2)  # later than what qubit 0 hears of
    chain.measure(0, 0)
    (component,) = split_components(chain)
    blocks = sweep_blocks(component, guadalupe.noise)
    assert [b.qubits for b in blocks] == [(0, 1)]


def test_unmeasured_qubits_are_traced_out(manila):
    circuit = _compiled(_volume(4, seed=9), manila, [0, 1, 2, 3])
    full = circuit.copy()
    partial = QuantumCircuit(*circuit.qregs, ClassicalRegister(2, "c"))
    physical = {}
    for instruction in full.data:
        if instruction.name == "measure":
            physical[full.find_bit(instruction.clbits[0]).index] = instruction.qubits[0]
        elif instruction.name != "barrier":
            partial.append(instruction.operation, instruction.qubits)
    partial.measure([physical[0], physical[2]], [0, 1])
    everything = _tally(sample_circuit(full, manila.noise, 30_000, (1,))[:, [0, 2]])
    (component,) = split_components(partial)
    blocks = sweep_blocks(component, manila.noise)
    columns = {q: i for i, q in enumerate(component.measured[c] for c in (0, 1))}
    swept = _tally(sample_circuit(partial, manila.noise, 30_000, (2,)))
    rng = np.random.default_rng(3)
    sampled = _tally(sample_trajectories(blocks, prepare_jumps(blocks), columns, 30_000, rng))
    for outcome in range(4):
        error = 5 * math.sqrt(2 * everything[outcome])
        assert abs(everything[outcome] - swept[outcome]) < error
        # Without readout errors the second may differ by a few per cent of the shots.
        assert abs(everything[outcome] - sampled[outcome]) < error + 0.06 * 30_000


def test_ghz_needs_a_narrow_sweep(guadalupe):
    circuit = QuantumCircuit(16)
    circuit.h(0)
    for qubit in range(15):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    compiled = _compiled(circuit, guadalupe)
    (component,) = split_components(compiled)
    # Sixteen routed qubits; the spread of the tree under the measured ones is what is held at once.
    assert max(sweep_widths(sweep_blocks(component, guadalupe.noise))) <= 10
    counts = guadalupe.run(compiled, shots=1000, seed_simulator=1).result().get_counts()
    assert counts.get("0" * 16, 0) + counts.get("1" * 16, 0) > 250


def _conditional(if_one):
    """Reads half-excited qubit 0, then flips qubit 1 if it read `if_one`; qubit 2 stands apart."""
    qubits, a, b, c = QuantumRegister(5), *(ClassicalRegister(1, name) for name in "abc")
    circuit = QuantumCircuit(qubits, a, b, c)
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.if_test((a, if_one)):
        circuit.x(1)
    circuit.measure(1, 1)
    circuit.x(2)
    circuit.measure(2, 2)
    return circuit


@pytest.mark.parametrize("if_one", [0, 1])
def test_conditions_are_not_split(manila, if_one):
    circuit = _conditional(if_one)
    components = split_components(circuit)
    assert [(c.qubits, c.is_dynamic) for c in components] == [((0, 1), True), ((2,), False)]
    bits = sample_circuit(circuit, manila.noise, 4000, (6,))
    agree = (bits[:, 0] == bits[:, 1]) if if_one else (bits[:, 0] != bits[:, 1])
    assert agree.mean() > 0.85
    assert 0.4 < bits[:, 0].mean() < 0.6
    expected = manila.noise.readout_confusion(2)[1, 1]
    assert bits[:, 2].mean() == pytest.approx(expected, abs=0.03)


def test_conditions_follow_the_plain_fake_backend(manila):
    circuit = _conditional(1)
    ours = manila.run(circuit, shots=20_000, seed_simulator=3).result().get_counts()
    plain = manila._calibrated.run(circuit, shots=20_000, seed_simulator=4).result().get_counts()
    cells = [(ours.get(k, 0), plain.get(k, 0)) for k in ours.keys() | plain.keys()]
    cells = [(a, b) for a, b in cells if a + b >= 10]
    assert len(cells) >= 6
    statistic = sum((a - b) ** 2 / (a + b) for a, b in cells)
    assert chi2.sf(statistic, len(cells) - 1) > ALPHA


def test_measuring_again_after_a_gate_is_dynamic(manila):
    circuit = QuantumCircuit(5, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 1)
    (component,) = split_components(circuit)
    assert component.is_dynamic
    bits = sample_circuit(circuit, manila.noise, 2000, (1,))
    assert bits[:, 0].mean() > 0.9 > 0.1 > bits[:, 1].mean()


def test_a_delay_after_the_last_measurement_changes_nothing(manila):
    circuit = QuantumCircuit(5, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.delay(1, 0, unit="ms")
    (component,) = split_components(circuit)
    assert not component.is_dynamic
    assert sample_circuit(circuit, manila.noise, 1000, (1,)).mean() > 0.9


def test_reset_in_the_middle(manila):
    circuit = QuantumCircuit(5, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.reset(0)
    circuit.measure([0, 1], [0, 1])
    (component,) = split_components(circuit)
    assert not component.is_dynamic
    bits = sample_circuit(circuit, manila.noise, 4000, (1,))
    assert bits[:, 0].mean() < 0.08
    assert 0.4 < bits[:, 1].mean() < 0.6
    blocks = sweep_blocks(component, manila.noise)
    drawn = sample_trajectories(blocks, prepare_jumps(blocks), {0: 0, 1: 1}, 4000, np.random.default_rng(1))
    assert drawn[:, 0].mean() < 0.01
    assert 0.4 < drawn[:, 1].mean() < 0.6


def test_equal_seeds_equal_counts_and_others_differ(guadalupe):
    circuits = [_compiled(_volume(10, seed=s), guadalupe) for s in (1, 2)]
    plan = plan_component(split_components(circuits[0])[0], guadalupe.noise, 300)
    assert plan.method == "trajectories"
    first = guadalupe.run(circuits, shots=300, seed_simulator=5).result()
    again = guadalupe.run(circuits, shots=300, seed_simulator=5).result()
    other = guadalupe.run(circuits, shots=300, seed_simulator=6).result()
    assert first.get_counts(0) == again.get_counts(0)
    assert first.get_counts(1) == again.get_counts(1)
    assert first.get_counts(0) != other.get_counts(0)
    assert first.get_memory(0) == again.get_memory(0)


def test_run_refuses_what_the_device_has_not(manila):
    wrong = QuantumCircuit(5, 1)
    wrong.cx(0, 4)
    with pytest.raises(InputError, match=r"uses cx on \(0, 4\)"):
        manila.run(wrong)
    inside = QuantumCircuit(5, 1)
    inside.measure(0, 0)
    with inside.if_test((0, 1)):
        inside.h(3)
    with pytest.raises(InputError, match=r"uses h on \(3,\)"):
        manila.run(inside)
    with pytest.raises(InputError, match="6 qubits"):
        manila.run(QuantumCircuit(6))
    with pytest.raises(InputError, match="at least 1"):
        manila.run(QuantumCircuit(1), shots=0)
