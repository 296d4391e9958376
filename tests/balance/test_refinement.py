"""Corrections from stored runs: what they learn, and what must not move them. Oracle: made-up runs of known bias."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.balance.accuracy import accuracy
from qrex.balance.refinement import MAX_FACTOR, MIN_CIRCUITS, Observation, Refinement, observations, refine
from qrex.engines import Cost
from qrex.errors import InputError
from qrex.store import NewPrediction, Store


def runs(bias, count=60, noise=0.2, seed=1, engine="e", spread=(-3.0, 1.0)):
    """Runs whose seconds are `bias(predicted)` times the prediction, with log-normal noise."""
    random = np.random.default_rng(seed)
    predicted = 10.0 ** random.uniform(*spread, count)
    return [
        Observation(engine, f"c{k}", p, p * bias(p) * math.exp(random.normal(0, noise)), 1 << 20, 3 << 20)
        for k, p in enumerate(predicted)
    ]


def factor(refinement, seconds, engine="e"):
    return refinement.refined(engine, Cost(seconds, 1 << 20)).seconds / seconds


def share_within_2x(refinement, observed):
    logs = [math.log2(one.actual_seconds / (one.predicted_seconds * factor(refinement, one.predicted_seconds)))
            for one in observed]  # fmt: skip
    return float(np.mean(np.abs(logs) <= 1))


@pytest.mark.parametrize(
    "bias", [lambda p: 3.0, lambda p: 0.25, lambda p: 5 * p**0.25], ids=["slow", "fast", "longer is worse"]
)
def test_runs_never_seen_are_predicted_better(bias):
    learned, fresh = refine(runs(bias, seed=1)), runs(bias, seed=2)
    assert share_within_2x(Refinement(), fresh) < 0.75
    assert share_within_2x(learned, fresh) > 0.9


def test_true_models_are_left_alone():
    learned = refine(runs(lambda p: 1.0, noise=0.1))
    for seconds in (1e-3, 1e-1, 10.0):
        assert factor(learned, seconds) == pytest.approx(1, abs=0.1)


def test_few_data_change_little_and_fewer_nothing():
    biased = [Observation("e", f"c{k}", 1.0, 4.0) for k in range(200)]
    factors = [factor(refine(biased[:count]), 1.0) for count in (MIN_CIRCUITS - 1, MIN_CIRCUITS, 20, 200)]
    assert factors[0] == 1.0
    assert 1 < factors[1] < factors[2] < factors[3] < 4
    assert factors[3] == pytest.approx(4, rel=0.1)


def test_one_circuit_run_often_is_one_observation():
    often = [Observation("e", "the same", 1.0, 6.0)] * 500
    assert refine(often).seconds == {}
    calm = [Observation("e", f"c{k}", 1.0, 1.0) for k in range(20)]
    assert factor(refine(often + calm), 1.0) == pytest.approx(1, abs=0.05)


def test_outliers_move_nothing_far():
    calm = runs(lambda p: 1.0, count=40, noise=0.1)
    wild = [Observation("e", f"w{k}", 0.1, 1000.0) for k in range(5)]
    assert factor(refine(calm + wild), 0.1) < 1.2


def test_factors_are_bounded_and_the_line_is_not_extended():
    learned = refine(runs(lambda p: 1e4, noise=0.0))
    assert factor(learned, 1.0) == pytest.approx(MAX_FACTOR)
    steep = refine(runs(lambda p: p**0.4, noise=0.0, spread=(-2.0, 0.0)))
    assert factor(steep, 1e-9) == pytest.approx(factor(steep, 10 ** steep.seconds["e"].low))
    assert factor(steep, 1e9) == pytest.approx(factor(steep, 10 ** steep.seconds["e"].high))


def test_bounds_teach_nothing_and_are_not_corrected():
    low = [Observation("e", f"c{k}", 1.0, 0.01, upper_bound=True) for k in range(50)]
    assert refine(low) == Refinement()
    learned = refine(runs(lambda p: 3.0))
    bound = Cost(1.0, 1 << 20, upper_bound=True)
    assert learned.refined("e", bound) == bound
    assert learned.refined("another engine", Cost(1.0, 5)) == Cost(1.0, 5)


def test_bytes_grow_and_never_shrink():
    more = refine(runs(lambda p: 1.0))  # three times the bytes that were predicted
    assert more.refined("e", Cost(1.0, 1 << 20)).peak_bytes == pytest.approx(3 << 20, rel=0.15)
    less = refine([Observation("e", f"c{k}", 1.0, 1.0, 1 << 20, 1 << 16) for k in range(50)])
    assert less.bytes["e"].typical() < 0.5
    assert less.refined("e", Cost(1.0, 1 << 20)).peak_bytes == 1 << 20


def test_the_interval_holds_the_true_factor_as_often_as_it_says():
    held = 0
    for seed in range(200):
        low, high = refine(runs(lambda p: 1.3, count=80, noise=0.3, seed=seed)).seconds["e"].interval(0.1)
        held += low <= 1.3 <= high
    # 95 % nominal, less the pull towards 1 and the approximation of the variance.
    assert held >= 170
    one = refine(runs(lambda p: 1.3, count=80)).seconds["e"]
    low, high = one.interval(10**one.center)
    assert low < one.typical() < high


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(1e-5, 1e4), st.floats(1e-5, 1e4)), min_size=MIN_CIRCUITS, max_size=30),
    st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=8),
)
def test_corrections_keep_the_order_and_stay_in_bounds(pairs, asked):
    learned = refine([Observation("e", str(k), p, a, 1000, 3000) for k, (p, a) in enumerate(pairs)])
    said = [learned.refined("e", Cost(seconds, 1 << 24)) for seconds in sorted(asked)]
    for seconds, cost in zip(sorted(asked), said, strict=True):
        assert 1 / MAX_FACTOR * 0.999 <= cost.seconds / seconds <= MAX_FACTOR * 1.001
        assert 1 <= cost.peak_bytes / (1 << 24) <= MAX_FACTOR * 1.001
    assert [cost.seconds for cost in said] == sorted(cost.seconds for cost in said)
    assert Refinement.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


def test_another_shape_is_refused():
    with pytest.raises(InputError, match="no corrections"):
        Refinement.from_dict({"seconds": {"e": {"circuits": 3}}, "bytes": {}})


def test_rows_of_the_store_become_observations(tmp_path):
    with Store(tmp_path / "s.db") as store:
        for k in range(12):
            store.keep_predictions([NewPrediction(
                f"k{k}", engine="e", circuit_id=f"c{k}", predicted_seconds=2.0, predicted_bytes=100,
                actual_seconds=4.5, actual_bytes=110, model_seconds=1.0 if k else None, model_bytes=80,
                engine_seconds=4.0, engine_bytes=90, features={"rows": 7}, host="h", scope="s",
            )])  # fmt: skip
        found = observations(store.predictions(host="h", scope="s"))
    assert len(found) == 11  # of one nothing is to be learned
    assert found[0] == Observation("e", "c1", 1.0, 4.0, 80, 90, False)
    assert 2 < factor(refine(found), 1.0) < 4


def test_accuracy_counts_predictions_and_bounds_apart():
    def row(predicted, actual, bound=False, said=100, held=100, engine="e"):
        return {"engine": engine, "predicted_seconds": predicted, "actual_seconds": actual, "upper_bound": bound,
                "predicted_bytes": said, "actual_bytes": held}  # fmt: skip

    rows = [row(1, 1), row(1, 2), row(1, 4, held=None), row(1, 0.5, said=130), row(9, 1, bound=True),
            row(1, 3, bound=True), row(None, 1), row(1, 1, bound=True, engine="only bounds")]  # fmt: skip
    one, bounds = accuracy(rows)
    assert (one.engine, one.runs, one.within_2x, one.bounds, one.bounds_held) == ("e", 4, 0.75, 2, 0.5)
    assert one.median_ratio == pytest.approx(1.5) and one.median_log2 == pytest.approx(1)
    assert (one.bytes_runs, one.bytes_within_20) == (3, pytest.approx(2 / 3))
    assert one.low_ratio < 0.6 and one.high_ratio > 3
    assert (bounds.runs, bounds.median_ratio, bounds.within_2x, bounds.bounds_held) == (0, None, None, 1.0)
    json.dumps([one.to_dict(), bounds.to_dict()])
