"""Conditions on measured bits, reduced to what a stabilizer simulation can follow by itself.

In: the conditions that a row stands under, and what is known of each classical bit by then. Out: a constant,
or a single bit, or neither. A comparison of a register stays a single bit where its other bits are known; one
that depends on several unknown bits at once is not linear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from qrex.circuits.program import Condition

__all__ = ["Resolved", "resolve_guard"]


class Resolved(NamedTuple):
    """The row runs if `bit` holds `value`; with no bit, always (`value` 1) or never (0). `single` is false where
    the conditions do not come down to one bit."""

    bit: int | None
    value: int
    single: bool = True


NEVER, ALWAYS, SEVERAL = Resolved(None, 0), Resolved(None, 1), Resolved(None, 0, single=False)


def resolve_guard(conditions: Sequence[Condition], values: Mapping[int, int | None]) -> Resolved:
    """All of `conditions` as one. `values` holds what a bit is known to be, or None for a bit that a measurement
    wrote; a bit that is not in it was never written and is 0.

    >>> both = Condition((0, 1), 2, negated=False)
    >>> resolve_guard([both], {1: None})
    Resolved(bit=1, value=1, single=True)
    >>> resolve_guard([both], {0: None, 1: None}).single
    False
    """
    combined = ALWAYS
    several = False
    for condition in conditions:
        one = _resolve(condition, values)
        if not one.single:
            several = True
        elif one.bit is None:
            if not one.value:
                return NEVER
        elif combined.bit is None:
            combined = one
        elif combined.bit != one.bit:
            several = True
        elif combined.value != one.value:
            return NEVER
    return SEVERAL if several else combined


def _resolve(condition: Condition, values: Mapping[int, int | None]) -> Resolved:
    holds = 0 if condition.negated else 1
    if condition.value >> len(condition.bits):
        return ALWAYS if condition.negated else NEVER
    unknown: list[tuple[int, int]] = []
    for place, bit in enumerate(condition.bits):
        wanted = condition.value >> place & 1
        held = values.get(bit, 0)
        if held is None:
            unknown.append((bit, wanted))
        elif held != wanted:
            return ALWAYS if condition.negated else NEVER
    if not unknown:
        return NEVER if condition.negated else ALWAYS
    if len(unknown) > 1:
        return SEVERAL
    bit, wanted = unknown[0]
    return Resolved(bit, wanted if holds else 1 - wanted)
