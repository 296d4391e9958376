"""Plain aligned tables and wrapped text for a terminal, a pipe or a file.

In: a header and rows of text, or a sentence. Out: lines on stdout, columns two spaces apart, no trailing spaces. What
is wider than the terminal (80 columns where there is none; $COLUMNS decides) loses a space between columns, then has
the cells of its widest text columns folded.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Sequence
from itertools import zip_longest

import click

__all__ = ["plain", "print_table", "print_wrapped"]

_LEAST_WIDTH = 8  # of a folded column


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print `rows` under `header`; the columns named in `right` are aligned to the right."""
    lines = [list(header), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    sides = [">" if name in right else "<" for name in header]
    room = shutil.get_terminal_size().columns
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= room else 1
    _narrow(widths, [i for i, side in enumerate(sides) if side == "<"], room - gap * (len(widths) - 1))
    for line in lines:
        folded = (_folded(cell, width) for cell, width in zip(line, widths, strict=True))
        for parts in zip_longest(*folded, fillvalue=""):
            cells = (f"{cell:{side}{width}}" for cell, side, width in zip(parts, sides, widths, strict=True))
            click.echo((" " * gap).join(cells).rstrip())


def _narrow(widths: list[int], foldable: Sequence[int], room: int) -> None:
    """Take from the widest of the `foldable` columns until all fit into `room`, or nothing is left to take."""
    while sum(widths) > room and foldable:
        widest = max(foldable, key=lambda i: widths[i])
        if widths[widest] <= _LEAST_WIDTH:
            return
        widths[widest] -= 1


def _folded(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)


def print_wrapped(text: str, indent: str = "", hanging: str = "") -> None:
    """Print `text` on as many lines as it needs; those after the first are indented by `hanging` more."""
    width = max(40, shutil.get_terminal_size().columns)
    lines = textwrap.wrap(
        plain(text), width, initial_indent=indent, subsequent_indent=indent + hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    for line in lines or [""]:
        click.echo(line)


def plain(text: str) -> str:
    """`text` on one line. Names come from outside: no escape sequence of theirs reaches the terminal.

    >>> plain("a\\x1b[31mb")
    'a\ufffd[31mb'
    """
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
