"""Calibration: what is kept of made-up engines' measurements, and that real ones give what their engines need."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from qrex.balance import calibration
from qrex.balance.calibration import RUN, CostConstants, calibrate, constant_unit, uncalibrated
from qrex.engines.registry import available_engines
from qrex.errors import EngineError, InputError
from qrex.execute import Pool, dispatch_constants


class Clock:
    """Time that passes only where an engine is measured."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def made_up(monkeypatch):
    """Set engines by name: (seconds that a measurement takes, values it gives in turn)."""
    clock = Clock()
    monkeypatch.setattr(calibration.time, "monotonic", clock.monotonic)

    def engines(**described):
        calls = dict.fromkeys(described, 0)

        def measurement(name, seconds, values):
            def measure():
                clock.now += seconds
                calls[name] += 1
                value = values[(calls[name] - 1) % len(values)]
                if isinstance(value, Exception):
                    raise value
                return {name: {"fixed": value}}

            return measure

        found = [(name, measurement(name, *how)) for name, how in described.items()]
        monkeypatch.setattr(calibration, "engine_calibrations", lambda threads: iter(found))
        return calls

    return engines


def test_the_median_over_passes_is_kept_beside_the_range(made_up):
    calls = made_up(quick=(0.1, [1.0, 9.0, 2.0]))
    found = calibrate(2, 0.35)
    assert calls == {"quick": 3}
    assert found.values == {"quick": {"fixed": 2.0}} and found.ranges == {"quick": {"fixed": (1.0, 9.0)}}
    assert (found.passes, found.seconds) == (3, pytest.approx(0.3))


def test_every_engine_is_measured_once_and_only_the_quick_again(made_up):
    calls = made_up(slow=(5.0, [1.0]), quick=(0.2, [1.0]))
    found = calibrate(2, 6.0)
    assert calls["slow"] == 1 and calls["quick"] == 4
    assert found.seconds <= 6.0
    assert found.ranges["slow"] == {}
    assert calibrate(2, 0.0).values.keys() == {"slow", "quick"}


def test_passes_end_where_more_would_tell_nothing(made_up):
    calls = made_up(quick=(0.001, [1.0]))
    calibrate(1, 60.0)
    assert calls["quick"] == calibration._MOST_PASSES


def test_a_failure_is_listed_and_the_others_are_measured(made_up):
    made_up(bad=(0.1, [EngineError("no luck")]), worse=(0.1, [-1.0]), odd=(0.1, ["text"]), good=(0.1, [1.0]))
    found = calibrate(1, 1.0)
    assert set(found.values) == {"good"} and set(found.failures) == {"bad", "worse", "odd"}
    assert "no luck" in found.failures["bad"] and "-1" in found.failures["worse"]


def test_an_engine_that_fails_later_keeps_what_it_gave(made_up):
    made_up(moody=(0.1, [3.0, EngineError("not again")]))
    found = calibrate(1, 1.0)
    assert found.values == {"moody": {"fixed": 3.0}} and found.failures == {}


def test_what_every_run_pays_stands_under_a_name_of_its_own(made_up):
    made_up(good=(0.1, [1.0]))
    found = calibrate(1, 0.2, run=lambda: {"dispatch": 2e-4, "resident_bytes": 2.5e8})
    assert (found.dispatch_seconds, found.resident_bytes) == (2e-4, 250_000_000)
    assert found.engines == ("good",) and RUN in found.values
    bare = calibrate(1, 0.2)
    assert (bare.dispatch_seconds, bare.resident_bytes) == (0.0, 0)


def test_constants_come_back_through_json(made_up):
    made_up(quick=(0.1, [1.0, 2.0]), bad=(0.1, [EngineError("no")]))
    found = calibrate(2, 0.35, "here")
    assert CostConstants.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    earlier = {name: found.to_dict()[name] for name in ("values", "measured_at", "threads", "host")}
    assert CostConstants.from_dict(earlier).values == found.values
    for wrong in ({"values": {}}, {"a": 1}, []):
        with pytest.raises(InputError, match="qrex calibrate"):
            CostConstants.from_dict(wrong)


def test_age_is_told_from_the_date():
    found = CostConstants({}, "2025-07-23T10:00:00+00:00", 2)
    noon = datetime(2025, 7, 23, 12, tzinfo=UTC)
    assert found.age_seconds(noon) == 7200
    assert found.age_seconds(noon - timedelta(days=1)) == 0


def test_units_are_told_by_names():
    names = ("fixed", "block_all_threads", "seconds_per_shot", "resident_bytes", "calibrated_threads")
    assert [constant_unit(name) for name in names] == ["s", "s", "s", "B", ""]


def test_no_threads_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        calibrate(0)


@pytest.fixture(scope="module")
def real():
    return calibrate(2, 0.0)


def test_real_engines_get_all_that_they_need(real):
    assert real.failures == {}
    for name, engine in available_engines(real.values).items():
        assert set(getattr(engine, "constant_names", ())) <= set(real.values.get(name, {})), name
    assert uncalibrated(real) == ()


def test_an_engine_added_later_is_noticed_and_a_failed_one_is_not(real):
    values = {name: named for name, named in real.values.items() if name != "stabilizer"}
    without = CostConstants(values, real.measured_at, 2)
    assert uncalibrated(without) == ("stabilizer",)
    assert uncalibrated(CostConstants(values, real.measured_at, 2, failures={"stabilizer": "no"})) == ()
    no_aer = {name: named for name, named in real.values.items() if not name.startswith("aer-")}
    assert uncalibrated(CostConstants(no_aer, real.measured_at, 2, failures={"aer": "no"})) == ()
    assert "aer-mps" in uncalibrated(CostConstants(no_aer, real.measured_at, 2))


def test_the_way_to_a_worker_is_measured_on_a_real_one():
    with Pool(1, 1 << 30) as pool:
        found = dispatch_constants(pool)
    assert set(found) == {"dispatch", "resident_bytes"}
    assert 1e-6 < found["dispatch"] < 1.0
    assert 2e7 < found["resident_bytes"] < 2e9  # an interpreter with its modules


def test_the_share_of_time_that_other_work_took_is_told(made_up, monkeypatch):
    made_up(quick=(1.0, [1.0]))
    told = iter([5.0, 5.5])
    monkeypatch.setattr(calibration, "waited_seconds", lambda: next(told))
    assert calibrate(1, 1.5).busy == pytest.approx(0.5)
