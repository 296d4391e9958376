"""A `Summary` as the plain figures that `qrex.telemetry.prometheus` writes.

In: `Summary`. Out: `MetricsSnapshot`. Figures are found by their key in the tables; one that is not there
has no series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from qrex.balance import Accuracy
from qrex.report.summary import Summary
from qrex.report.wording import clean
from qrex.telemetry.prometheus import BeforeAfter, MetricsSnapshot, RunRecord

__all__ = ["metrics_snapshot"]


def _runs(summary: Summary) -> Iterator[RunRecord]:
    for row in summary.circuits:
        for side in (row.before, row.after):
            yield RunRecord(
                clean(side.where or "none", 60), side.outcome, side.seconds, side.predicted_seconds
            )


def metrics_snapshot(
    summary: Summary,
    engines: tuple[str, ...] = (),
    calibrated_at: Mapping[str, float] | None = None,
    accuracies: Sequence[Accuracy] = (),
) -> MetricsSnapshot:
    """What a monitoring system should know of `summary`.

    `engines` are all known engines (those without a run stand at zero); `calibrated_at` maps an engine to the
    Unix time of its cost calibration; `accuracies` are those of all stored runs.
    """
    table = {c.key: BeforeAfter(c.before, c.after) for c in summary.comparisons}
    none = BeforeAfter()
    created = datetime.fromisoformat(summary.created_at)
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return MetricsSnapshot(
        version=summary.qrex_version,
        finished_at=created.timestamp(),
        runs=tuple(_runs(summary)),
        engines=engines,
        calibrated_at=calibrated_at or {},
        prediction_error={
            one.engine: (one.median_log2, one.p90_log2)
            for one in accuracies
            if one.median_log2 is not None and one.p90_log2 is not None
        },
        stage_seconds=summary.timings,
        coherence=table.get("coherence", none),
        entanglement_density=table.get("entanglement", none),
        cpu_usage=table.get("cpu_usage", none),
        gpu_usage=table.get("gpu_usage", none),
        peak_memory=table.get("peak_memory", none),
        makespan=table.get("makespan", none),
        thresholds={row.call: row.passed for row in summary.thresholds if row.measured is not None},
    )
