"""Quantum volume: ideal outputs against Qiskit, known heavy-output probabilities, coverage of the interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

from qrex.errors import InputError
from qrex.measure.quantum_volume import ModelCircuit, QuantumVolume, bootstrap_means, heavy_outputs


def untouched(circuits, _target):
    return list(circuits)


def plan(width=3, number=100, seed=1):
    return QuantumVolume(width, number, seed, untouched)


def counts_of(heavy_shares, models, shots, rng):
    """Counts of devices that give a heavy output with the chance of each circuit, uniform among heavy and light."""
    counts = []
    for share, model in zip(heavy_shares, models, strict=True):
        chosen = heavy_outputs(model.probabilities())
        hits = int(rng.binomial(shots, share))
        heavy, light = np.flatnonzero(chosen), np.flatnonzero(~chosen)
        drawn = np.concatenate([rng.choice(heavy, hits), rng.choice(light, shots - hits)])
        values, times = np.unique(drawn, return_counts=True)
        width = model.width
        counts.append({format(v, f"0{width}b"): int(t) for v, t in zip(values, times, strict=True)})
    return counts


@pytest.mark.parametrize("width", [2, 3, 4, 5])
def test_ideal_outputs_are_those_of_qiskit(width):
    for model in plan(width, 3).models():
        state = Statevector(model.circuit("one").remove_final_measurements(inplace=False))
        assert np.allclose(model.probabilities(), state.probabilities(), atol=1e-12)


def test_layers_pair_every_qubit_at_most_once():
    for width in (4, 5):
        model = plan(width, 2).models()[0]
        assert len(model.layers) == width
        for layer in model.layers:
            flat = [q for a, b, _ in layer for q in (a, b)]
            assert len(layer) == width // 2 and len(set(flat)) == len(flat)
            for _, _, matrix in layer:
                assert np.allclose(matrix @ matrix.conj().T, np.eye(4))
                assert np.linalg.det(matrix) == pytest.approx(1)


def test_gates_are_haar_random():
    rng = np.random.default_rng(3)
    model = ModelCircuit.random(8, rng)
    matrices = np.array([m for layer in model.layers for _, _, m in layer])
    more = np.array([m for k in range(30) for layer in ModelCircuit.random(8, rng).layers for _, _, m in layer])
    matrices = np.concatenate([matrices, more])
    # Haar: E|U_ij|² = 1/4, E|U_ij|⁴ = 2/(4·5); E|tr U|² = 1
    moments = (np.abs(matrices) ** 2).mean(axis=(1, 2)), (np.abs(matrices) ** 4).mean(axis=(1, 2))
    assert moments[0].mean() == pytest.approx(0.25)
    assert moments[1].mean() == pytest.approx(0.1, abs=4 * moments[1].std() / len(matrices) ** 0.5)
    traces = np.abs(np.trace(matrices, axis1=1, axis2=2)) ** 2
    assert traces.mean() == pytest.approx(1, abs=4 * traces.std() / len(traces) ** 0.5)


def test_scrambled_outputs_have_the_known_heavy_output_probability():
    """Porter-Thomas statistics give (1 + ln 2)/2; square circuits of few qubits lie a little above."""
    square, deep = [], []
    for one, two in itertools.pairwise(plan(9, 31).models()):
        for found, model in ((square, one), (deep, ModelCircuit(9, (*one.layers, *two.layers)))):
            p = model.probabilities()
            found.append(p[heavy_outputs(p)].sum())
    assert np.mean(deep) == pytest.approx((1 + math.log(2)) / 2, abs=0.004)
    assert np.mean(square) == pytest.approx((1 + math.log(2)) / 2, abs=0.015)


def test_a_device_that_forgets_everything_gives_one_half():
    protocol = plan(3, 100)
    even = {format(v, "03b"): 10 for v in range(8)}
    result = protocol.analyze([even] * 100, "simulated")
    assert result.hop.value == 0.5 and not result.passed and result.more_circuits is None
    assert "not above 2/3" in result.verdict and result.counts[0] == even
    assert result.hop.n == 8000 and result.hop.seed == 1 and result.hop.source == "simulated"


def test_the_interval_covers_and_is_shorter_than_the_original():
    """Baldwin et al.: with hundreds of shots the bootstrap keeps its level; the original interval is far too wide."""
    rng = np.random.default_rng(11)
    mean, spread, repeats, inside, below, widths = 0.7, 0.06, 300, 0, 0, []
    for seed in range(repeats):
        shares = np.clip(rng.normal(mean, spread, 100), 0, 1)
        heavy = rng.binomial(300, shares)
        value = (heavy / 300).mean()
        means = bootstrap_means(heavy, np.full(100, 300), seed, 600)
        low, high = 2 * value - np.quantile(means, [0.975, 0.025])
        inside += low <= mean <= high
        bound = 2 * value - np.quantile(means, 0.9772)
        below += bound <= mean
        widths.append((value - bound) / (2 * math.sqrt(value * (1 - value) / 100)))
    assert 0.92 * repeats <= inside <= 0.99 * repeats
    assert below >= 0.955 * repeats
    assert np.mean(widths) < 0.25


def test_the_verdict_says_how_many_circuits_are_missing():
    rng = np.random.default_rng(5)
    few = plan(3, 100)
    result = few.analyze(counts_of(rng.normal(0.69, 0.08, 100), few.models(), 200, rng), "simulated")
    assert result.hop.value > 2 / 3 and not result.passed and 0 < result.more_circuits < 4000
    assert str(result.more_circuits) in result.verdict
    # The bound at so many circuits of the same kind: the distance to the mean shrinks with their root.
    number = 100 + result.more_circuits
    distance = (result.hop.value - result.lower) * math.sqrt(100 / number)
    assert result.hop.value - distance == pytest.approx(2 / 3, abs=2e-4)
    h, original = result.hop.value, 100 + result.more_circuits_original
    assert h - 2 * math.sqrt(h * (1 - h) / original) == pytest.approx(2 / 3, abs=1e-4)


def test_fewer_than_a_hundred_circuits_cannot_pass():
    rng = np.random.default_rng(6)
    few = plan(3, 40)
    result = few.analyze(counts_of(np.full(40, 0.9), few.models(), 300, rng), "simulated")
    assert result.lower > 2 / 3 and not result.passed and result.more_circuits == 60
    enough = plan(3, 100)
    result = enough.analyze(counts_of(np.full(100, 0.9), enough.models(), 300, rng), "simulated")
    assert result.passed and result.passed_original and result.verdict == "passed"


def test_the_same_seed_gives_the_same_model_circuits(make_target):
    target = make_target(3, [(0, 1), (1, 2)])
    one = QuantumVolume.plan(target, width=2, seed=4, compile=untouched, circuits=5)
    other = QuantumVolume.plan(target, width=2, seed=4, compile=lambda cs, _t: list(cs), circuits=5)
    for a, b in zip(one.models(), other.models(), strict=True):
        assert np.array_equal(a.probabilities(), b.probabilities())
    assert [c.name for c in one.circuits(target)] == [f"volume_n2_{k}" for k in range(5)]


def test_what_cannot_be_is_refused(make_target):
    target = make_target(3, [(0, 1), (1, 2)])
    for width in (1, 13):
        with pytest.raises(InputError, match="give 2 to 12"):
            plan(width)
    with pytest.raises(InputError, match="device of 3 qubits"):
        QuantumVolume.plan(target, width=4, seed=1, compile=untouched)
    with pytest.raises(InputError, match="do not make an interval"):
        plan(3, 1)
    with pytest.raises(InputError, match="hand back one for each"):
        plan(3, 5).analyze([{"000": 1}], "simulated")
    short = QuantumVolume(3, 5, 1, lambda cs, _t: list(cs)[:2])
    with pytest.raises(InputError, match="one for each"):
        short.circuits(target)
