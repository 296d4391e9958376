"""The report in short on a terminal: the verdict, the compared figures, thresholds.

In: `Summary` and a rich console. Out: text on that console. Names from outside are shown as plain text, never
read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qrex.report.wording import change_text, clean, interval_text, value_text

if TYPE_CHECKING:
    from qrex.evidence import Comparison, Measurement
    from qrex.report.summary import Summary

__all__ = ["print_summary"]

_EXPLAINED = ("makespan", "makespan_finished")  # figures that mislead without their note
_STYLES = {"improved": "green", "worse": "red"}


def _cell(m: Measurement | None, definition: str) -> Text:
    text = Text(value_text(m, definition), style="" if m else "dim")
    return text.append(f" {interval_text(m, definition)}", style="dim") if m else text


def _change(c: Comparison) -> Text:
    moved = c.verdict in ("improved", "worse", "changed")
    return Text(f"{change_text(c)} {c.verdict}" if moved else c.verdict, style=_STYLES.get(c.verdict, "dim"))


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the verdict and the tables in short; about one line per figure."""
    console = console or Console()
    console.print(Text(summary.verdict, style="bold"))
    groups = ("classical", "quantum", "implications", "outlook")
    for title in groups:
        figures = getattr(summary, title)
        if not figures:
            continue
        table = Table(title=Text(title.capitalize()), title_justify="left", box=None, pad_edge=False)
        for column in ("", "before", "after", "change"):
            table.add_column(column)
        for c in figures:
            sides = (_cell(m, c.definition) for m in (c.before, c.after))
            table.add_row(Text(clean(c.title, 48)), *sides, _change(c))
        console.print()
        console.print(table)
        for c in figures:
            if c.key in _EXPLAINED and c.note:
                console.print(Text(f"{clean(c.title, 60)}: {clean(c.note, 600)}", style="dim"))
    if summary.thresholds:
        console.print()
    for row in summary.thresholds:
        result = "not measured" if row.measured is None else "passed" if row.passed else "missed"
        measured = f"{value_text(row.measured)} {interval_text(row.measured)}".strip()
        line = f"{clean(row.call, 60)}: {result} ({clean(row.title, 48)} {measured}"
        if row.measured is not None:
            line += f", its lower bound {row.measured.low:.3g}"
        line += f", asked {row.asked:g})"
        console.print(Text(line, style="" if result == "passed" else "dim"))
