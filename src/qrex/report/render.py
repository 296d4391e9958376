"""The report as one self-contained HTML page, and its head as a notebook fragment.

In: `Summary` and the chart's bytes. Out: HTML text with its style, drawings and definitions inside: no
script, no request to anywhere. Every value is escaped by the template engine; names of files are hostile
until proven dull.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qrex.report import wording
from qrex.report.bars import bars_for
from qrex.report.coherence_section import opening
from qrex.report.definitions import definition_anchor, definitions
from qrex.report.sections import flat_items, function_rows, headline_counts, source_line
from qrex.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from qrex.report.summary import Summary

__all__ = ["render_fragment", "render_html"]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clean": wording.clean,
        "bytes": format_bytes,
        "seconds": format_seconds,
        "value": wording.value_text,
        "number": lambda m, definition: wording.value_parts(m, definition)[0],
        "unit": lambda m, definition: wording.value_parts(m, definition)[1],
        "interval": wording.interval_text,
        "evidence": wording.evidence_text,
        "perfect": wording.perfect_text,
        "change": wording.change_text,
        "change_interval": wording.change_interval_text,
        "anchor": definition_anchor,
        "bars": bars_for,
        "opening": opening,
        "triple": wording.triple_text,
        "items_of": lambda data: list(flat_items(data)),
    }
    return environment


def render_html(summary: Summary, chart: bytes, chart_name: str) -> str:
    """The whole page; `chart` is embedded as the picture `chart_name`."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            s=summary,
            chart_data=base64.b64encode(chart).decode(),
            chart_name=chart_name,
            functions=function_rows(summary),
            counts=headline_counts(summary),
            source=source_line(summary),
            definitions=definitions(),
            pictures=_pictures(summary),
            links=True,
        )
    )


def _pictures(summary: Summary) -> dict[str, str]:
    """Pictures of the coherence section, base 64 by name."""
    if summary.coherence is None:
        return {}
    from qrex.report.coherence_plots import coherence_pngs

    return {name: base64.b64encode(png).decode() for name, png in coherence_pngs(summary.coherence).items()}


def render_fragment(summary: Summary) -> str:
    """Verdict, chart and the two tables, for a notebook cell; links to definitions are left out."""
    return (
        _environment()
        .get_template("fragment.html.j2")
        .render(s=summary, source=source_line(summary), links=False)
    )
