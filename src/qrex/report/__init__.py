"""Report: a before/after `Summary` as Markdown, one HTML page, a chart and JSON.

In: a `Summary`. Out: report.md, report.html, summary.json and Resource_Metrics_Comparison_<timestamp>.png.
This room stands above `expansion`, which fills the summary in: it owns the types its caller needs.
"""

from __future__ import annotations

from qrex.report.summary import CircuitRow, MechanismRow, Side, Status, Summary, ThresholdRow

__all__ = ["CircuitRow", "MechanismRow", "Side", "Status", "Summary", "ThresholdRow"]
