"""Report: a before/after `Summary` as Markdown, one HTML page, a chart and JSON.

In: a `Summary`. Out: report.md, report.html, summary.json, circuits.csv and
Resource_Metrics_Comparison_<timestamp>.png. This room stands above `expansion`, which fills the summary in:
it owns the types its caller needs. `check_writable` tries the output folder before anything is measured.
"""

from __future__ import annotations

from qrex.report.coherence_section import CoherenceSection, DeviceLink, QubitCoherence, WindowPoint
from qrex.report.files import check_writable
from qrex.report.summary import CircuitRow, MechanismRow, Side, Status, Summary, ThresholdRow

__all__ = [
    "CircuitRow",
    "CoherenceSection",
    "DeviceLink",
    "MechanismRow",
    "QubitCoherence",
    "Side",
    "Status",
    "Summary",
    "ThresholdRow",
    "WindowPoint",
    "check_writable",
]
