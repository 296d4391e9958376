"""What one protocol found, figure by figure, in the three forms of `qrex measure`.

In: `Reading`s. Out: a table on stdout, CSV, and JSON-able dictionaries.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from qrex.cli.tables import print_table
from qrex.evidence import Measurement

__all__ = ["Reading", "print_readings", "readings_csv"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure `of` a qubit, a link or the device; `x` is where on a curve it was taken, in `x_unit`.

    Readings that are not `shown` (points of a curve) stand in the files only.
    """

    figure: str
    of: str
    measurement: Measurement
    x: float | None = None
    x_unit: str = ""
    shown: bool = True

    def to_dict(self) -> dict[str, Any]:
        place = {} if self.x is None else {"x": self.x, "x_unit": self.x_unit}
        return {"figure": self.figure, "of": self.of, **place, **self.measurement.to_dict()}


def print_readings(readings: Sequence[Reading]) -> None:
    """A line per figure, then how each was measured."""
    from qrex.report.wording import SOURCES, interval_text, value_text
    from qrex.units import format_seconds

    shown = [reading for reading in readings if reading.shown]
    curve = any(reading.x is not None for reading in shown)
    rows = []
    for reading in shown:
        m = reading.measurement
        place = "" if reading.x is None else format_seconds(reading.x) if reading.x_unit == "s" else f"{reading.x:g}"
        values = [value_text(m), interval_text(m), f"{m.n:,}", SOURCES[m.source]]
        rows.append([reading.figure, reading.of, *([place] if curve else []), *values])
    where = "window" if all(reading.x_unit in ("s", "") for reading in shown) else "at"
    header = ["figure", "of", *([where] if curve else []), "value", "95 % interval", "n", "source"]
    print_table(header, rows, right=(where, "n"))
    click.echo()
    methods: dict[str, str] = {}
    for reading in shown:
        methods.setdefault(reading.figure, reading.measurement.method)
    for figure, method in methods.items():
        click.echo(f"{figure}: {method}")


def readings_csv(readings: Sequence[Reading]) -> str:
    """Every reading, one per line, in SI units."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("figure", "of", "x", "x_unit", "value", "low", "high", "unit", "n", "seed", "source", "method")
    writer.writerow(columns)
    for reading in readings:
        m = reading.measurement
        x = "" if reading.x is None else reading.x
        writer.writerow([reading.figure, reading.of, x, reading.x_unit, m.value, m.low, m.high, m.unit, m.n,
                         "" if m.seed is None else m.seed, m.source, m.method])  # fmt: skip
    return text.getvalue()
