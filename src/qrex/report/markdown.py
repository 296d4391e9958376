"""The report as Markdown for GitHub and its like.

In: `Summary`. Out: Markdown text with the same sections as the page. Every value that a template prints is
escaped by the environment itself, so that a file name can make neither a table cell, a link, HTML nor a
mention.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qrex.evidence import Comparison, Measurement
from qrex.report.coherence_section import opening
from qrex.report.definitions import definition_anchor, definitions
from qrex.report.sections import flat_items, function_rows, headline_counts, source_line
from qrex.report.wording import (
    change_text,
    clean,
    evidence_text,
    interval_text,
    perfect_text,
    triple_text,
    value_text,
)
from qrex.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from qrex.report.summary import Side, Summary

__all__ = ["escape_markdown", "render_markdown"]


class _Raw(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape_markdown(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line, also inside a table cell.

    >>> escape_markdown("a|b <i> [x](y) snake_case @you")
    'a\\\\|b &lt;i&gt; \\\\[x\\\\](y) snake_case &#64;you'
    """
    text = clean(text, 1000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", text)
    text = re.sub(r"^([#+-])", r"\\\1", text)
    text = text.replace("@", "&#64;").replace("://", "&#58;//")
    return re.sub(r"\b(www)\.", r"\1&#46;", text)


def _finalize(value: Any) -> str:
    return value if isinstance(value, _Raw) else escape_markdown(str(value))


def _measured(m: Measurement | None, definition: str = "") -> _Raw:
    if m is None:
        return _Raw("not measured")
    value, *rest = (
        escape_markdown(text)
        for text in (value_text(m, definition), interval_text(m, definition), evidence_text(m))
    )
    return _Raw("<br>".join([f"**{value}**", *rest]))


def _titled(c: Comparison) -> _Raw:
    anchor = definition_anchor(c.definition)
    title = escape_markdown(clean(c.title, 80))
    text = f"[{title}](#{anchor})" if anchor else title
    if c.seed_claim:
        text += f"<br>founding text: {escape_markdown(c.seed_claim)}"
    return _Raw(text)


def _changed(c: Comparison) -> _Raw:
    moved = c.verdict in ("improved", "worse", "changed")
    text = f"{change_text(c)}, {c.verdict}" if moved else c.verdict
    return _Raw(escape_markdown(text) + (f"<br>{escape_markdown(c.note)}" if c.note else ""))


def _method(c: Comparison) -> _Raw:
    methods: dict[str, list[str]] = {}
    for label, m in (("before", c.before), ("after", c.after)):
        if m:
            seed = "none" if m.seed is None else m.seed
            methods.setdefault(f"{m.method} (seed {seed})", []).append(label)
    lines = (f"{' and '.join(who)}: {escape_markdown(how)}" for how, who in methods.items())
    return _Raw("<br>".join(lines) or "–")


def _amount(side: Side, name: str) -> _Raw:
    show = format_seconds if name == "seconds" else format_bytes
    actual = side.seconds if name == "seconds" else side.peak_bytes
    predicted = side.predicted_seconds if name == "seconds" else side.predicted_bytes
    text = "–" if actual is None else show(actual)
    return _Raw(text + ("" if predicted is None else f" (predicted {show(predicted)})"))


def _fidelity(side: Side) -> _Raw:
    if side.fidelity is None:
        return _Raw("–")
    text = f"{value_text(side.fidelity)} {interval_text(side.fidelity)}"
    text += f", {side.fidelity_kind or 'kind not stated'}, {side.fidelity.source}"
    if perfect := perfect_text(side):
        text += f"; {perfect}"
    return _Raw(escape_markdown(text))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,  # `finalize` escapes instead: Markdown needs other escapes than HTML
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "measured": _measured,
        "titled": _titled,
        "changed": _changed,
        "method": _method,
        "amount": _amount,
        "fidelity": _fidelity,
        "seconds": format_seconds,
        "opening": opening,
        "value": value_text,
        "interval": interval_text,
        "triple": triple_text,
        "items_of": lambda data: list(flat_items(data)),
        "raw": _Raw,
    }
    return environment


def render_markdown(summary: Summary, chart_name: str) -> str:
    """The whole report; the chart is linked as the file `chart_name` beside it."""
    return (
        _environment()
        .get_template("report.md.j2")
        .render(
            s=summary,
            chart_name=chart_name,
            functions=function_rows(summary),
            counts=headline_counts(summary),
            source=source_line(summary),
            definitions=definitions(),
        )
    )
