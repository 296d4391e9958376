"""The geometry of one small before/after axis, shared by the picture and the page.

In: `Comparison`. Out: `Bars`: two bars with error bars on an axis that starts at zero, in readable units. A
side that was not measured has no bar; nothing stands for it at height zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qrex.evidence import Comparison, Measurement, Verdict
from qrex.report.wording import Scale, change_text, clean, number_text, scale_for

__all__ = ["Bar", "Bars", "bars_for", "nice_ceiling"]


@dataclass(frozen=True, slots=True)
class Bar:
    """Heights in axis units; `label` is the value as printed above the bar."""

    value: float
    low: float
    high: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """One small axis: `bottom` and `top` bound it, `unit` names it, None is a side not measured."""

    title: str
    unit: str
    bottom: float
    top: float
    before: Bar | None
    after: Bar | None
    verdict: Verdict
    change: str


def nice_ceiling(value: float) -> float:
    """The smallest of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 times a power of ten that is at least `value`.

    >>> nice_ceiling(0.94), nice_ceiling(47), nice_ceiling(320), nice_ceiling(0)
    (1.0, 50.0, 400.0, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10):
        if step * power >= value * (1 - 1e-9):
            return step * power
    return 10 * power


def _bar(m: Measurement | None, scale: Scale, width: float) -> Bar | None:
    if m is None:
        return None
    value, low, high = (x / scale.factor for x in (m.value, m.low, m.high))
    label = number_text(value, width, most=3)
    return Bar(value, low, high, f"≥ {label}" if m.is_lower_bound else label)


def bars_for(c: Comparison) -> Bars:
    """The axis of one comparison. Both sides share one unit, chosen for the larger of them."""
    sides = [m for m in (c.before, c.after) if m is not None]
    largest = max((max(abs(m.low), abs(m.high)) for m in sides), default=0.0)
    scale = scale_for(largest, sides[0].unit if sides else "", c.definition)
    top = max([m.high / scale.factor for m in sides] + [0.0])
    bottom = min([m.low / scale.factor for m in sides] + [0.0])
    # Both labels carry the digits of the sharper side: "52.3" beside "91.3", not "52".
    width = min((m.high - m.low for m in sides if m.high > m.low), default=0.0) / scale.factor
    return Bars(
        title=clean(c.title, 60),
        unit=clean(scale.unit, 24),
        bottom=-nice_ceiling(-bottom) if bottom < 0 else 0.0,
        top=nice_ceiling(top) if top > 0 or bottom >= 0 else 0.0,
        before=_bar(c.before, scale, width),
        after=_bar(c.after, scale, width),
        verdict=c.verdict,
        change=change_text(c),
    )
