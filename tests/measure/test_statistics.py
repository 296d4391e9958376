import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from qrex.errors import InputError
from qrex.measure.statistics import bit_table, median_measurement, parity_expectations, wilson_interval


@given(st.integers(1, 5000), st.data())
@settings(max_examples=60, deadline=None)
def test_wilson_is_scipys(trials, data):
    successes = data.draw(st.integers(0, trials))
    oracle = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_wilson_covers(rng):
    hits = [
        low <= 0.03 <= high
        for low, high in (wilson_interval(int(k), 400) for k in rng.binomial(400, 0.03, 500))
    ]
    assert 0.92 < np.mean(hits) < 0.98


def test_bits_are_little_endian():
    bits, weights = bit_table({"001": 2, "1 10": 3})
    assert bits.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert weights.tolist() == [2, 3]


@given(st.lists(st.integers(0, 15), min_size=1, max_size=60), st.sets(st.integers(0, 3), min_size=1))
@settings(max_examples=60, deadline=None)
def test_parities_equal_a_loop_over_shots(outcomes, group):
    counts: dict[str, int] = {}
    for value in outcomes:
        counts[f"{value:04b}"] = counts.get(f"{value:04b}", 0) + 1
    loop = np.mean([(-1) ** sum((value >> bit) & 1 for bit in group) for value in outcomes])
    values, shots = parity_expectations(counts, [sorted(group)])
    assert values[0] == pytest.approx(loop)
    assert shots == len(outcomes)


def test_bad_counts_are_refused():
    with pytest.raises(InputError, match="at least one shot"):
        bit_table({})
    with pytest.raises(InputError, match="2 bits"):
        bit_table({"000": 1}, 2)
    with pytest.raises(InputError, match="proportion"):
        wilson_interval(3, 2)


def test_median_interval_covers_the_population_median(rng):
    inside = 0
    for trial in range(200):
        found = median_measurement(
            rng.normal(3, 1, 40), seed=trial, method="m", source="model", resamples=300
        )
        inside += found.low <= 3 <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def test_fixed_members_leave_only_their_errors():
    found = median_measurement([1.0, 5.0, 9.0], errors=[0.1] * 3, seed=1, method="m", source="model")
    low, high = found.detail["members_fixed"]
    assert low == pytest.approx(5 - 0.196, abs=0.03)
    assert high == pytest.approx(5 + 0.196, abs=0.03)
    assert found.high - found.low > 3  # three members say little of a population


def test_tenth_percentile_is_numpys(rng):
    values = rng.random(30)
    found = median_measurement(values, percentile=10, seed=1, method="m", source="model")
    assert found.value == pytest.approx(np.percentile(values, 10))
    assert found.low <= found.value <= found.high
