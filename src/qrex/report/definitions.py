"""The page of definitions, cut into sections that a report can carry with it.

In: `definitions.md` beside this file (the same file as docs/definitions.md). Out: sections with stable
anchors, as text and as HTML. An anchor is the heading before its parenthesis: "Q, quantum coherence (seed:
…)" is ``q-quantum-coherence``; the anchor that a web view of docs/definitions.md makes of the whole heading
is understood as well. Only the Markdown that the page uses is read: headings, bullets, bold and code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrex.report.summary import Summary

__all__ = ["Definition", "definition_anchor", "definitions", "unknown_definitions"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One section: `anchor` and `title` are short, `heading` is the whole heading, `markdown` its text."""

    anchor: str
    title: str
    heading: str
    markdown: str

    @property
    def html(self) -> str:
        """The text as HTML; everything that is not our Markdown is escaped."""
        return _to_html(self.markdown)


def _slug(heading: str) -> str:
    """The anchor that web views make of a heading: lower case, no punctuation, spaces to hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _inline(text: str) -> str:
    text = escape(text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


def _to_html(markdown: str) -> str:
    blocks: list[str] = []
    bullets: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("- "):
            bullets.append(f"<li>{_inline(line[2:])}</li>")
            continue
        if bullets:
            blocks.append("<ul>" + "".join(bullets) + "</ul>")
            bullets = []
        if line.strip():
            blocks.append(f"<p>{_inline(line.strip())}</p>")
    return "\n".join(blocks)


@cache
def definitions() -> tuple[Definition, ...]:
    """All sections, in the order of the page."""
    text = Path(__file__).with_name("definitions.md").read_text(encoding="utf-8")
    sections = re.split(r"^## +", text, flags=re.MULTILINE)[1:]
    made = []
    for section in sections:
        heading, _, body = section.partition("\n")
        title = heading.split(" (")[0].strip()
        made.append(Definition(_slug(title), title, heading.strip(), body.strip()))
    return tuple(made)


def definition_anchor(text: str) -> str | None:
    """The anchor of the section that `text` names, or None.

    >>> definition_anchor("#quantum-volume"), definition_anchor("docs/definitions.md#quantum-volume")
    ('quantum-volume', 'quantum-volume')
    """
    wanted = text.rpartition("#")[2].strip().lower()
    for section in definitions():
        if wanted in (section.anchor, _slug(section.heading)):
            return section.anchor
    return None


def unknown_definitions(summary: Summary) -> dict[str, str]:
    """Comparisons whose definition is no section of the page: ``{key: definition}``; empty is good."""
    rows = [*summary.comparisons, *(c for m in summary.mechanisms for c in m.contributions)]
    return {c.key: c.definition for c in rows if definition_anchor(c.definition) is None}
