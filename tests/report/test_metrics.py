"""A summary's figures on their way to the metrics file."""

from dataclasses import replace

from qrex.balance import accuracy
from qrex.report.metrics import metrics_snapshot


def test_figures_are_found_by_key_and_runs_counted_on_both_sides(summary, made_up):
    snapshot = metrics_snapshot(summary, engines=("mps",), calibrated_at={"stim": 5.0})
    assert snapshot.finished_at == 1_753_231_161  # 2025-07-23T00:39:21Z
    assert snapshot.coherence.after == made_up.QUANTUM[1].after
    assert snapshot.entanglement_density.before == made_up.QUANTUM[2].before
    assert snapshot.gpu_usage.before is None
    assert len(snapshot.runs) == 2 * len(summary.circuits)
    assert snapshot.thresholds["verify_entanglement_fidelity(3.8)"] is False
    assert snapshot.calibrated_at == {"stim": 5.0} and snapshot.engines == ("mps",)


def test_errors_of_predictions_are_told_by_engine_and_bounds_are_none(summary):
    def row(engine, actual, bound=False):
        return {"engine": engine, "predicted_seconds": 1.0, "actual_seconds": actual, "upper_bound": bound,
                "predicted_bytes": None, "actual_bytes": None}  # fmt: skip

    accuracies = accuracy([row("stim", 4.0), row("stim", 0.25), row("mps", 0.1, bound=True)])
    assert metrics_snapshot(summary, accuracies=accuracies).prediction_error == {"stim": (2.0, 2.0)}


def test_missing_figures_have_no_series(summary):
    bare = replace(summary, quantum=(), classical=())
    assert metrics_snapshot(bare).coherence.before is None


def test_snapshot_can_be_written(summary, tmp_path):
    from qrex.telemetry.prometheus import write_metrics

    write_metrics(tmp_path / "q.prom", metrics_snapshot(summary))
    assert 'qrex_makespan_seconds{side="after"} 27.9' in (tmp_path / "q.prom").read_text()
