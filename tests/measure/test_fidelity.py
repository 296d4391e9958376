from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import hellinger_fidelity as qiskit_hellinger

from qrex.errors import InputError
from qrex.measure.fidelity import (
    agreement_pvalue,
    fidelity_of_counts,
    hellinger_fidelity,
    linear_xeb,
    linear_xeb_of_amplitudes,
    perfect_sampler_score,
)


def as_dict(values, bits):
    return {f"{i:0{bits}b}": v for i, v in enumerate(values) if v}


def sample(rng, probabilities, shots, bits):
    return {k: int(v) for k, v in as_dict(rng.multinomial(shots, probabilities), bits).items()}


def porter_thomas(rng, bits):
    weights = rng.exponential(size=2**bits)
    return weights / weights.sum()


@given(st.lists(st.integers(0, 40), min_size=8, max_size=8).filter(any), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_hellinger_is_qiskits(hits, seed):
    ideal = porter_thomas(np.random.default_rng(seed), 3)
    counts = as_dict(hits, 3)
    ours = hellinger_fidelity(counts, as_dict(ideal, 3), seed=1, source="simulated").value
    assert ours == pytest.approx(qiskit_hellinger(counts, as_dict(ideal, 3)), abs=1e-9)


def test_perfect_sampler_of_1000_shots_over_1024_outcomes(rng):
    # DEFINITIONS: about 0.69 there. Poisson statistics of a Porter-Thomas distribution give the mean.
    score = perfect_sampler_score(as_dict(porter_thomas(rng, 10), 10), 1000, seed=1)
    assert score == pytest.approx(0.69, abs=0.02)
    flat = perfect_sampler_score(as_dict(np.full(1024, 1 / 1024), 10), 1024, seed=1)
    poisson_root = sum(
        np.sqrt(k) * np.exp(-1) / np.prod(np.arange(1, k + 1, dtype=float)) for k in range(1, 20)
    )
    assert flat == pytest.approx(poisson_root**2, abs=0.01)


def test_hellinger_interval_holds_the_score_of_other_runs(rng):
    ideal = np.array([0.5, 0.2, 0.2, 0.1])
    noisy = 0.8 * ideal + 0.2 / 4
    truth = float(np.sqrt(ideal * noisy).sum() ** 2)
    inside = 0
    for trial in range(200):
        found = hellinger_fidelity(
            sample(rng, noisy, 1000, 2), as_dict(ideal, 2), seed=trial, source="simulated"
        )
        inside += found.low <= truth <= found.high
    assert 0.90 <= inside / 200 <= 0.99


@pytest.mark.parametrize("weight", [1.0, 0.6])
def test_cross_entropy_is_unbiased_for_white_noise(weight, rng):
    ideal = porter_thomas(rng, 12)
    noisy = weight * ideal + (1 - weight) / 2**12
    found = [
        linear_xeb(sample(rng, noisy, 1000, 12), as_dict(ideal, 12), source="simulated") for _ in range(150)
    ]
    values = np.array([m.value for m in found])
    assert values.mean() == pytest.approx(weight, abs=4 * values.std() / np.sqrt(150))
    assert 0.90 <= np.mean([m.low <= weight <= m.high for m in found]) <= 0.99
    assert values.std() == pytest.approx(np.mean([m.detail["standard_error"] for m in found]), rel=0.2)


def test_a_perfect_samplers_cross_entropy_lies_in_its_stated_interval_19_times_of_20(rng):
    ideal = porter_thomas(rng, 10)
    found = [linear_xeb(sample(rng, ideal, 300, 10), as_dict(ideal, 10), source="simulated") for _ in range(300)]
    low, high = found[0].detail["perfect_low"], found[0].detail["perfect_high"]
    assert (low + high) / 2 == pytest.approx(1) and low > 0.5
    assert 0.91 <= np.mean([low <= m.value <= high for m in found]) <= 0.985


def test_the_kind_follows_the_perfect_sampler(rng):
    narrow = porter_thomas(rng, 3)
    run, kind, perfect = fidelity_of_counts(sample(rng, narrow, 2000, 3), as_dict(narrow, 3), 1)
    assert kind == "hellinger" and perfect > 0.99 and run.value > 0.98
    wide = porter_thomas(rng, 12)
    run, kind, perfect = fidelity_of_counts(sample(rng, wide, 2000, 12), as_dict(wide, 12), 1)
    assert kind == "normalized linear cross-entropy" and perfect == 1
    assert run.detail["perfect_hellinger"] < 0.95
    assert run.low <= 1 <= run.high
    flat = np.full(2**12, 2.0**-12)
    run, kind, perfect = fidelity_of_counts(sample(rng, flat, 2000, 12), as_dict(flat, 12), 1)
    assert kind == "hellinger"  # nothing else can tell; the perfect sampler's score stands beside it
    assert run.value == pytest.approx(perfect, abs=0.02)
    with pytest.raises(InputError, match="flat"):
        linear_xeb(sample(rng, flat, 100, 12), as_dict(flat, 12), source="simulated")


def test_incomplete_ideal_distribution_is_refused():
    with pytest.raises(InputError, match="whole distribution"):
        fidelity_of_counts({"00": 10}, {"00": 0.6}, 1)


@pytest.mark.parametrize(("bits", "shots"), [(3, (500, 900)), (10, (1000, 1000)), (40, (800, 1000))])
def test_agreement_keeps_its_level(bits, shots, rng):
    def draw(number):
        if bits <= 20:
            return sample(rng, ideal, number, bits)
        rows = ["".join(row) for row in rng.integers(0, 2, (number, bits)).astype(str)]
        return Counter(rows)

    ideal = porter_thomas(rng, min(bits, 12))
    values = [
        agreement_pvalue(draw(shots[0]), draw(shots[1]), seed=i) for i in range(80 if bits < 40 else 30)
    ]
    assert np.mean(np.array(values) < 0.05) <= 0.12
    assert min(values) > 1e-5


def test_agreement_sees_real_differences(rng):
    narrow = porter_thomas(rng, 3)
    worse = 0.7 * narrow + 0.3 / 8
    assert agreement_pvalue(sample(rng, narrow, 4000, 3), sample(rng, worse, 4000, 3)) < 1e-4
    wide = porter_thomas(rng, 10)
    white = 0.4 * wide + 0.6 / 1024
    assert agreement_pvalue(sample(rng, wide, 2000, 10), sample(rng, white, 2000, 10)) < 1e-3
    # Huge outcome space, nothing repeats: one bit is biased.
    rows = rng.integers(0, 2, (2, 2000, 60))
    rows[1, :, 17] = rng.random(2000) < 0.62
    first, second = ({"".join(row): 1 for row in side.astype(str)} for side in rows)
    assert agreement_pvalue(first, second) < 1e-6


def test_cross_entropy_from_amplitudes_is_that_of_the_whole_distribution():
    weights = np.random.default_rng(4).exponential(size=256)
    ideal = {format(i, "08b"): float(w) for i, w in enumerate(weights / weights.sum())}
    drawn = np.random.default_rng(5).multinomial(3000, list(ideal.values()))
    counts = {key: int(n) for key, n in zip(ideal, drawn, strict=True) if n}
    collision = sum(p * p for p in ideal.values())
    seen = {key: ideal[key] for key in counts}
    partly = linear_xeb_of_amplitudes(counts, seen, collision, source="host")
    assert partly.value == pytest.approx(linear_xeb(counts, ideal, source="host").value)
    assert linear_xeb_of_amplitudes(counts, {}, collision, source="host") is None
    assert linear_xeb_of_amplitudes(counts, seen, 1 / 256, source="host") is None
