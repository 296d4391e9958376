"""Plain aligned tables for a terminal, a pipe or a file.

In: a header and rows of text. Out: lines on stdout, columns two spaces apart, no trailing spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import click

__all__ = ["plain", "print_table"]


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print `rows` under `header`; the columns named in `right` are aligned to the right."""
    lines = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    sides = [">" if name in right else "<" for name in header]
    for line in lines:
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def plain(text: str) -> str:
    """`text` on one line. Names come from outside: no escape sequence of theirs reaches the terminal.

    >>> plain("a\\x1b[31mb")
    'a\ufffd[31mb'
    """
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
