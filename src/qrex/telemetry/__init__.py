"""Telemetry: how busy the machine was, how far the job is, and metrics for a monitoring system.

In: a running process tree, and what it held while its jobs ran; stages and steps as a job goes through them;
figures of a finished job. Out: `Utilization` (busy fraction, peak memory, disk traffic), progress on a terminal
or as events, and a Prometheus text file. This room knows nothing of reports or circuits. `prometheus` is imported
by those who write metrics.
"""

from __future__ import annotations

from qrex.telemetry.peak_memory import Stretch
from qrex.telemetry.progress import (
    Note,
    PlainProgress,
    ProgressEvent,
    SilentProgress,
    Stage,
    StageAdvanced,
    StageFinished,
    StageProgress,
    StageRunning,
    StageStarted,
    TerminalProgress,
    open_progress,
    time_left_seconds,
)
from qrex.telemetry.utilization import Sample, Utilization, UtilizationSampler

__all__ = [
    "Note",
    "PlainProgress",
    "ProgressEvent",
    "Sample",
    "SilentProgress",
    "Stage",
    "StageAdvanced",
    "StageFinished",
    "StageProgress",
    "StageRunning",
    "StageStarted",
    "Stretch",
    "TerminalProgress",
    "Utilization",
    "UtilizationSampler",
    "open_progress",
    "time_left_seconds",
]
