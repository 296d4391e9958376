"""Figures in words: value, interval, change, samples and source, for every form of the report.

In: `Measurement`, `Comparison`. Out: short text. A value and its interval share one unit, and the interval's
width decides how many digits are worth showing.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qrex.evidence import Comparison, Measurement

if TYPE_CHECKING:
    from qrex.report.summary import Side

__all__ = [
    "SOURCES",
    "Scale",
    "change_interval_text",
    "change_text",
    "clean",
    "evidence_text",
    "interval_text",
    "number_text",
    "perfect_text",
    "scale_for",
    "triple_text",
    "value_parts",
    "value_text",
]

SOURCES = {"hardware": "hardware", "simulated": "simulated", "model": "model", "host": "this host"}

_PERCENT_DEFINITIONS = ("cpu-and-gpu-usage",)
_SECONDS = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_PLAIN_FROM = 1e-3
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXES = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"))


@dataclass(frozen=True, slots=True)
class Scale:
    """Shown number = value / `factor`, followed by `unit`."""

    factor: float
    unit: str


def _is_percentage(unit: str, definition: str) -> bool:
    return unit == "" and definition.rpartition("#")[2].startswith(_PERCENT_DEFINITIONS)


def clean(text: str, limit: int = 200) -> str:
    """`text` on one line, without control or direction-changing characters, and not endlessly long.

    >>> clean("a\\nb\\u202ec")
    'a b\\ufffdc'
    """
    spaced = " ".join(str(text).split())
    shown = "".join(
        "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") else char for char in spaced
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def scale_for(magnitude: float, unit: str, definition: str = "") -> Scale:
    """A readable scale for numbers of size `magnitude` in `unit`.

    >>> scale_for(2.5e9, "B"), scale_for(0.004, "s"), scale_for(0.65, "", "cpu-and-gpu-usage")
    (Scale(factor=1000000000.0, unit='GB'), Scale(factor=0.001, unit='ms'), Scale(factor=0.01, unit='%'))
    """
    size = abs(magnitude)
    if _is_percentage(unit, definition):
        return Scale(0.01, "%")
    if unit == "s":
        if size >= 7200:
            return Scale(3600.0, "h")
        if size >= 600:
            return Scale(60.0, "min")
        smallest = _SECONDS[0] if size else (1.0, "s")
        return Scale(*next((pair for pair in reversed(_SECONDS) if size >= pair[0]), smallest))
    if unit in ("B", "B/s", "Hz"):
        factor, prefix = next(((f, p) for f, p in reversed(_PREFIXES) if size >= f), _PREFIXES[0])
        return Scale(factor, prefix + unit)
    if unit in ("", "1"):
        if size >= _PLAIN_FROM or not size:
            return Scale(1.0, "")
        exponent = 3 * math.floor(math.log10(size) / 3)  # the number shown lies between 1 and 1000
        return Scale(10.0**exponent, f"×10{str(exponent).translate(_SUPERSCRIPT)}")
    return Scale(1.0, unit)


def number_text(shown: float, width: float = 0.0, most: int = 4) -> str:
    """`shown` with the digits that an interval of full width `width` (same scale) makes worth reading: one
    digit of its half, two where that starts with 1 or 2; never more than `most` in all.

    >>> number_text(0.68412, 0.026), number_text(45.234), number_text(3, 0), number_text(12345.6, 900)
    ('0.684', '45.2', '3', '12,300')
    """
    if shown == int(shown) and abs(shown) < 1e15 and not width:
        return f"{int(shown):,}"
    size = math.floor(math.log10(abs(shown))) if shown else 0
    if width > 0:
        half = width / 2
        digits = -math.floor(math.log10(half))
        digits += half * 10.0**digits < 3  # a second digit only where the first is small
    else:
        digits = 2 - size
    digits = min(digits, most - 1 - size) if shown else min(digits, 3)
    if size < -4 or size > 6:
        return f"{shown:.3g}"
    rounded = round(shown, digits) + 0.0  # no minus before a zero
    return f"{rounded:,.{max(digits, 0)}f}"


def _scaled(m: Measurement, definition: str) -> tuple[Scale, float]:
    scale = scale_for(m.value or m.high, m.unit, definition)
    return scale, (m.high - m.low) / scale.factor


def value_parts(m: Measurement, definition: str = "") -> tuple[str, str]:
    """The value's digits and its unit."""
    scale, width = _scaled(m, definition)
    number = number_text(m.value / scale.factor, width)
    return f"at least {number}" if m.is_lower_bound else number, scale.unit


def value_text(m: Measurement | None, definition: str = "") -> str:
    """The value with its unit, or "not measured"."""
    if m is None:
        return "not measured"
    return " ".join(part for part in value_parts(m, definition) if part)


def interval_text(m: Measurement | None, definition: str = "") -> str:
    """The 95 % interval in the unit of the value, e.g. ``[0.671, 0.697]``; a lower bound has none."""
    if m is None or m.is_lower_bound:
        return ""
    if m.low == m.high:
        return "no spread"
    scale, width = _scaled(m, definition)
    low, high = (number_text(x / scale.factor, width) for x in (m.low, m.high))
    return f"[{low}, {high}]"


def triple_text(found: tuple[float, float, float] | None) -> str:
    """A pure number and its interval, e.g. ``0.684 [0.671, 0.697]``; a dash where there is none.

    >>> triple_text((0.684, 0.671, 0.697)), triple_text(None)
    ('0.684 [0.671, 0.697]', '–')
    """
    if found is None:
        return "–"
    value, low, high = (number_text(x, found[2] - found[1]) for x in found)
    return f"{value} [{low}, {high}]"


def evidence_text(m: Measurement | None) -> str:
    """Samples and source, e.g. ``n = 4,000, simulated``."""
    return "" if m is None else f"n = {m.n:,}, {SOURCES[m.source]}"


def perfect_text(side: Side) -> str:
    """A perfect sampler's score of the same kind as the side's fidelity, with its interval at these shots where that
    is known; "" where there is no score."""
    if side.fidelity is None or side.perfect_sampler is None:
        return ""
    text = f"perfect sampler {side.perfect_sampler:.3f}"
    low, high = (side.fidelity.detail.get(end) for end in ("perfect_low", "perfect_high"))
    return text if low is None or high is None else f"{text} [{low:.3f}, {high:.3f}]"


def _ratio_text(ratio: float) -> str:
    if ratio >= 1.995:
        return f"×{ratio:.3g}"
    if ratio <= 0.5012:
        return f"÷{1 / ratio:.3g}"
    percent = (ratio - 1) * 100
    shown = f"{abs(percent):.1f}" if abs(percent) < 9.95 else f"{abs(percent):.0f}"
    return "±0 %" if float(shown) == 0 else f"{'+' if percent > 0 else '−'}{shown} %"


def _signed(difference: float, unit: str) -> str:
    shown = f"{abs(difference):.3g}"
    sign = "±" if float(shown) == 0 else "+" if difference > 0 else "−"
    return f"{sign}{shown}{' ' + unit if unit else ''}"


def change_text(c: Comparison) -> str:
    """How much the figure changed: a factor, per cent, or points where the figure itself is a percentage.

    Empty where a side was not measured, or where both are only lower bounds.
    """
    if c.before is None or c.after is None or (c.before.is_lower_bound and c.after.is_lower_bound):
        return ""
    rose = c.after.value > c.before.value
    if c.before.is_lower_bound or c.after.is_lower_bound:
        return f"at {'least' if rose == c.after.is_lower_bound else 'most'} {_change(c.before, c.after, c.definition)}"
    return _change(c.before, c.after, c.definition)


def _change(before: Measurement, after: Measurement, definition: str) -> str:
    if _is_percentage(after.unit, definition):
        return _signed(round((after.value - before.value) * 100, 1), "points")
    if before.value > 0 and after.value > 0:
        return _ratio_text(after.value / before.value)
    scale = scale_for(max(abs(after.value), abs(before.value)), after.unit, definition)
    return _signed((after.value - before.value) / scale.factor, scale.unit)


def change_interval_text(c: Comparison) -> str:
    """The widest change that both intervals allow, e.g. ``×1.9 to ×2.4``: wider than a joint interval.

    Empty where a side was not measured or is only a lower bound.
    """
    if c.before is None or c.after is None or c.before.is_lower_bound or c.after.is_lower_bound:
        return ""
    if _is_percentage(c.after.unit, c.definition):
        ends = [(c.after.low - c.before.high) * 100, (c.after.high - c.before.low) * 100]
        return " to ".join(_signed(round(end, 1), "points") for end in ends)
    if c.before.low > 0 and c.after.low > 0:
        return " to ".join(
            _ratio_text(ratio) for ratio in (c.after.low / c.before.high, c.after.high / c.before.low)
        )
    scale = scale_for(max(abs(c.after.value), abs(c.before.value)), c.after.unit, c.definition)
    ends = [(c.after.low - c.before.high) / scale.factor, (c.after.high - c.before.low) / scale.factor]
    return " to ".join(_signed(end, scale.unit) for end in ends)
