"""The Prometheus text file: official parser and checker, documentation, naming rules."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qrex.errors import InputError
from qrex.evidence import Measurement
from qrex.telemetry.prometheus import (
    DURATION_BUCKETS_SECONDS,
    OUTCOMES,
    BeforeAfter,
    MetricsSnapshot,
    RunRecord,
    write_metrics,
)

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def m(value):
    return Measurement(value, value - 0.1, value + 0.1, "", 10, 1, "made up", "simulated")


FULL = MetricsSnapshot(
    version="0.1.0",
    finished_at=1_753_231_161.25,
    runs=(
        RunRecord("stim", "ran", 0.002, 0.004),
        RunRecord("stim", "ran", 20.0),
        RunRecord('odd "name"\n\\', "unsupported"),
        RunRecord("stim", "not run"),
        RunRecord("stim", "failed", 3.0, 4.0),
    ),
    engines=("mps", "stim"),
    calibrated_at={"stim": 1_753_000_000.0},
    prediction_error={"stim": (0.25, 1.5)},
    stage_seconds={"Baseline: simulate": 12.5},
    coherence=BeforeAfter(m(0.68), m(0.94)),
    entanglement_density=BeforeAfter(m(1.2), None),
    cpu_usage=BeforeAfter(m(0.65), m(0.78)),
    gpu_usage=BeforeAfter(m(0.72), m(0.89)),
    peak_memory=BeforeAfter(m(1e9), m(2e9)),
    makespan=BeforeAfter(m(60), m(30)),
    thresholds={"validate_coherence_threshold(0.9)": True, "verify_entanglement_fidelity(3.8)": False},
)


def written(tmp_path, snapshot):
    path = tmp_path / "qrex.prom"
    write_metrics(path, snapshot)
    assert [p.name for p in tmp_path.iterdir()] == ["qrex.prom"]
    return path.read_text()


def samples(text):
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_values_come_back_through_the_official_parser(tmp_path):
    found = samples(written(tmp_path, FULL))

    def value(name, **labels):
        return found[name, tuple(sorted(labels.items()))]

    assert value("qrex_build_info", version="0.1.0") == 1
    assert value("qrex_job_finished_timestamp_seconds") == 1_753_231_161.25
    assert value("qrex_runs_total", engine="stim", outcome="ran") == 2
    assert value("qrex_runs_total", engine="stim", outcome="not_run") == 1
    assert value("qrex_runs_total", engine='odd "name"\n\\', outcome="unsupported") == 1
    assert value("qrex_run_duration_seconds_count", engine="stim") == 2
    assert value("qrex_run_duration_seconds_sum", engine="stim") == pytest.approx(20.002)
    assert value("qrex_run_duration_seconds_bucket", engine="stim", le="0.003") == 1
    assert value("qrex_run_duration_seconds_bucket", engine="stim", le="10.0") == 1
    assert value("qrex_run_duration_seconds_bucket", engine="stim", le="+Inf") == 2
    assert value("qrex_plan_predicted_seconds_total", engine="stim") == pytest.approx(0.004)
    assert value("qrex_plan_actual_seconds_total", engine="stim") == pytest.approx(0.002)
    assert value("qrex_prediction_error_median_doublings", engine="stim") == 0.25
    assert value("qrex_prediction_error_upper_doublings", engine="stim") == 1.5
    assert value("qrex_coherence_ratio", side="after") == 0.94
    assert value("qrex_coherence_lower_bound_ratio", side="after") == pytest.approx(0.84)
    assert value("qrex_threshold_passed", threshold="verify_entanglement_fidelity(3.8)") == 0


def test_known_series_start_at_zero_and_unmeasured_ones_do_not_exist(tmp_path):
    found = samples(written(tmp_path, MetricsSnapshot("0.1.0", 0.0, engines=("stim",))))
    for outcome in OUTCOMES:
        assert found["qrex_runs_total", (("engine", "stim"), ("outcome", outcome))] == 0
    assert found["qrex_plan_predicted_seconds_total", (("engine", "stim"),)] == 0
    assert not [name for name, _ in found if "coherence" in name or "usage" in name]


def test_a_side_not_measured_has_no_series(tmp_path):
    found = samples(written(tmp_path, FULL))
    assert ("qrex_entanglement_density_ebits", (("side", "before"),)) in found
    assert ("qrex_entanglement_density_ebits", (("side", "after"),)) not in found


def test_names_follow_the_official_rules(tmp_path):
    text = written(tmp_path, FULL)
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"qrex_[a-z][a-z_]*[a-z]", name)
        assert family.documentation.endswith(".")
        unit = name.removesuffix("_total").rsplit("_", 1)[-1]
        assert unit in {"seconds", "bytes", "ratio", "ebits", "info", "runs", "passed", "doublings"}, name
        assert (family.type == "counter") == name.endswith("_total")
    labels = {label for (_, labels) in samples(text) for label, _ in labels}
    assert labels <= {"version", "engine", "outcome", "side", "stage", "threshold", "le"}


def test_buckets_reach_from_a_millisecond_to_a_day_and_never_fall(tmp_path):
    assert DURATION_BUCKETS_SECONDS[0] == 1e-3 and DURATION_BUCKETS_SECONDS[-1] == 86_400
    assert list(DURATION_BUCKETS_SECONDS) == sorted(set(DURATION_BUCKETS_SECONDS))
    counts = [v for (name, labels), v in samples(written(tmp_path, FULL)).items()
              if name == "qrex_run_duration_seconds_bucket" and ("engine", "stim") in labels]  # fmt: skip
    assert counts == sorted(counts) and len(counts) == len(DURATION_BUCKETS_SECONDS) + 1


def test_documentation_lists_exactly_these_metrics_with_their_types_and_labels(tmp_path):
    documented = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(qrex_\w+)` \| (\w+) \|([^|]*)\|", DOCS.read_text(), re.M)
    }
    real = {}
    for family in text_string_to_metric_families(written(tmp_path, FULL)):
        labels = {label for s in family.samples for label in s.labels} - {"le"}
        real[family.name + ("_total" if family.type == "counter" else "")] = (family.type, frozenset(labels))
    assert documented == real


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_no_complaint(tmp_path):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=written(tmp_path, FULL), text=True, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unwritable_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="metrics file"):
        write_metrics(tmp_path / "missing" / "qrex.prom", FULL)


def test_an_unknown_outcome_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none of"):
        write_metrics(tmp_path / "x.prom", MetricsSnapshot("0", 0.0, (RunRecord("stim", "exploded"),)))
