"""Metrics of a finished job as a Prometheus text file, for the node exporter's textfile collector.

In: `MetricsSnapshot`, plain data. Out: a file written aside and renamed. Names follow the official naming
rules: one prefix, base units as plural suffixes, `_total` on counters, ratios from 0 to 1, timestamps
rather than ages. Labels hold an engine, an outcome, a side or a stage, never a run or a circuit. A known
series starts at zero; a figure that was not measured has no series, since zero would be a value.
docs/metrics.md lists every name. Reference: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from qrex.errors import InputError
from qrex.evidence import Measurement

__all__ = [
    "DURATION_BUCKETS_SECONDS",
    "OUTCOMES",
    "BeforeAfter",
    "MetricsSnapshot",
    "RunRecord",
    "metric_families",
    "write_metrics",
]

OUTCOMES = ("ran", "unsupported", "failed", "not_run")

DURATION_BUCKETS_SECONDS = (
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0,
)  # fmt: skip
"""1 ms to 1 day, about a factor of three apart."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One circuit run: `outcome` is one of OUTCOMES (spaces are read as underscores)."""

    engine: str
    outcome: str
    seconds: float | None = None
    predicted_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """A figure before and after; None is a side that was not measured."""

    before: Measurement | None = None
    after: Measurement | None = None


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """What one job leaves for a monitoring system. Seconds, bytes, Unix times; ratios from 0 to 1."""

    version: str
    finished_at: float  # Unix time
    runs: tuple[RunRecord, ...] = ()
    engines: tuple[str, ...] = ()  # engines known, so that those without a run stand at zero
    calibrated_at: Mapping[str, float] = field(default_factory=dict)  # engine -> Unix time
    prediction_error: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """engine -> median and 90th percentile of |log2(actual / predicted seconds)|"""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    coherence: BeforeAfter = BeforeAfter()
    entanglement_density: BeforeAfter = BeforeAfter()
    cpu_usage: BeforeAfter = BeforeAfter()
    gpu_usage: BeforeAfter = BeforeAfter()
    peak_memory: BeforeAfter = BeforeAfter()
    makespan: BeforeAfter = BeforeAfter()
    thresholds: Mapping[str, bool] = field(default_factory=dict)  # call -> passed


_FIGURES = (
    # field, name without bound, unit suffix, help
    ("coherence", "qrex_coherence", "ratio", "Quantum coherence Q of an idle window"),
    ("entanglement_density", "qrex_entanglement_density", "ebits", "Entanglement density E, ebits per qubit"),
    ("cpu_usage", "qrex_cpu_usage", "ratio", "Busy time of the job's processes over cores times wall time"),
    ("gpu_usage", "qrex_gpu_usage", "ratio", "Busy time of the GPU over wall time"),
    ("peak_memory", "qrex_memory_peak", "bytes", "Largest resident memory of the job's processes"),
    ("makespan", "qrex_makespan", "seconds", "Wall time from the first run's start to the last one's end"),
)


def _figure_families(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    for attribute, name, unit, text in _FIGURES:
        pair: BeforeAfter = getattr(snapshot, attribute)
        for middle, pick, words in (
            ("", "value", ""),
            ("_lower_bound", "low", ", lower end of the 95 % interval"),
            ("_upper_bound", "high", ", upper end of the 95 % interval"),
        ):
            family = GaugeMetricFamily(f"{name}{middle}_{unit}", f"{text}{words}.", labels=["side"])
            for side, measured in (("before", pair.before), ("after", pair.after)):
                if measured is not None:
                    family.add_metric([side], getattr(measured, pick))
            yield family


def _checked_outcome(record: RunRecord) -> str:
    outcome = record.outcome.replace(" ", "_")
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome {record.outcome!r} is none of: {', '.join(OUTCOMES)}")
    return outcome


def _run_families(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    engines = sorted({*snapshot.engines, *(record.engine for record in snapshot.runs)})
    counts = {(engine, outcome): 0 for engine in engines for outcome in OUTCOMES}
    durations: dict[str, list[float]] = {engine: [] for engine in engines}
    predicted = dict.fromkeys(engines, 0.0)
    actual = dict.fromkeys(engines, 0.0)
    for record in snapshot.runs:
        counts[record.engine, _checked_outcome(record)] += 1
        if record.outcome == "ran" and record.seconds is not None:
            durations[record.engine].append(record.seconds)
            if record.predicted_seconds is not None:  # a sum without its partner could not be divided
                predicted[record.engine] += record.predicted_seconds
                actual[record.engine] += record.seconds
    runs = CounterMetricFamily(
        "qrex_runs", "Circuit runs by engine and outcome.", labels=["engine", "outcome"]
    )
    for (engine, outcome), count in counts.items():
        runs.add_metric([engine, outcome], count)
    yield runs
    histogram = HistogramMetricFamily(
        "qrex_run_duration_seconds", "Wall time of the runs that finished.", labels=["engine"]
    )
    for engine, seconds in durations.items():
        edges = [*DURATION_BUCKETS_SECONDS, math.inf]
        buckets = [(_edge(edge), float(sum(s <= edge for s in seconds))) for edge in edges]
        histogram.add_metric([engine], buckets, sum(seconds))
    yield histogram
    for name, sums, text in (
        ("qrex_plan_predicted_seconds", predicted, "Wall time predicted for the runs that finished."),
        ("qrex_plan_actual_seconds", actual, "Wall time that the runs with a prediction took."),
    ):
        counter = CounterMetricFamily(name, text, labels=["engine"])
        for engine, total in sums.items():
            counter.add_metric([engine], total)
        yield counter


def _edge(edge: float) -> str:
    return "+Inf" if math.isinf(edge) else repr(edge)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def metric_families(snapshot: MetricsSnapshot) -> tuple[Metric, ...]:
    """All families, in the order of docs/metrics.md; a family without a series is there as well."""
    build = InfoMetricFamily("qrex_build", "The qrex that ran the job.", value={"version": snapshot.version})
    finished = GaugeMetricFamily(
        "qrex_job_finished_timestamp_seconds", "Unix time when the job ended.", value=snapshot.finished_at
    )
    return (
        build,
        finished,
        *_run_families(snapshot),
        _labelled(
            "qrex_calibration_timestamp_seconds", "Unix time of an engine's cost calibration.", "engine",
            snapshot.calibrated_at,
        ),
        _labelled(
            "qrex_prediction_error_median_doublings",
            "Median of |log2(actual / predicted)| over the stored runs; 1 is a factor of two.", "engine",
            {engine: median for engine, (median, _) in snapshot.prediction_error.items()},
        ),
        _labelled(
            "qrex_prediction_error_upper_doublings",
            "90th percentile of |log2(actual / predicted)| over the stored runs.", "engine",
            {engine: upper for engine, (_, upper) in snapshot.prediction_error.items()},
        ),
        _labelled(
            "qrex_stage_duration_seconds", "Wall time of a stage of the job.", "stage", snapshot.stage_seconds
        ),
        *_figure_families(snapshot),
        _labelled(
            "qrex_threshold_passed", "1 where a threshold was reached, 0 where it was missed.", "threshold",
            snapshot.thresholds,
        ),
    )  # fmt: skip


class _Once(Collector):
    def __init__(self, families: Iterable[Metric]):
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def write_metrics(path: str | Path, snapshot: MetricsSnapshot) -> None:
    """Write the metrics of `snapshot` to `path`, atomically.

    Raises `InputError` where the file cannot be written.
    """
    registry = CollectorRegistry()
    registry.register(_Once(metric_families(snapshot)))
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise InputError(
            f"the metrics file {str(path)!r} cannot be written ({error.strerror or error}); "
            "name a file in a folder that exists and that you may write"
        ) from error
