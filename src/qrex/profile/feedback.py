"""Conditions on measured bits, reduced to what a stabilizer simulation can follow.

In: the guards that a step stands under, and the classical bits that may differ from 0 by then. Out: a
constant, or a single bit, or the reason why neither will do. A comparison of a register stays a single bit
where its other bits were never written; one that needs several measured bits at once is not linear.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from qrex.profile.steps import Guard

__all__ = ["Condition", "resolve_guards"]


class Condition(NamedTuple):
    """The step runs if `bit` holds `value`; with no bit, always (`value` 1) or never (0). A nonempty
    `obstacle` says why the guards do not come down to one bit."""

    bit: int | None
    value: int
    obstacle: str = ""


def resolve_guards(guards: Sequence[Guard], written: Set[int]) -> Condition:
    """All of `guards` as one condition."""
    combined = Condition(None, 1)
    for guard in guards:
        one = _resolve(guard, written)
        if one.obstacle:
            return one
        if one.bit is None:
            if not one.value:
                return one
        elif combined.bit is None:
            combined = one
        elif combined.bit == one.bit:
            if combined.value != one.value:
                return Condition(None, 0)
        else:
            return Condition(None, 0, f"a condition on bits {combined.bit} and {one.bit} together")
    return combined


def _resolve(guard: Guard, written: Set[int]) -> Condition:
    if guard.bits is None:
        return Condition(None, 0, f"{guard.text} cannot be followed")
    holds = 0 if guard.negated else 1
    if guard.value >> len(guard.bits):
        return Condition(None, 1 - holds)
    live = []
    for place, bit in enumerate(guard.bits):
        wanted = guard.value >> place & 1
        if bit in written:
            live.append((bit, wanted))
        elif wanted:
            return Condition(None, 1 - holds)
    if not live:
        return Condition(None, holds)
    if len(live) > 1:
        return Condition(None, 0, f"a condition on {len(live)} measured bits at once ({guard.text})")
    bit, wanted = live[0]
    return Condition(bit, wanted if holds else 1 - wanted)
