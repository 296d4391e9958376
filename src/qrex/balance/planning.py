"""The plan of one circuit: what is left of it after reduction, and the engine of each independent part.

In: an `Analysis`, engines with measured constants, an allotment. Out: a `Plan`. Pure. Parts run one after the
other in one worker, so their seconds add up and the largest peak counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qrex.balance.routing import DEFAULT_MAX_INFIDELITY, Refine, Route, route
from qrex.engines import Allotment, Cost, Engine
from qrex.engines.asking import ask_cost
from qrex.profile.reduction import join_bytes

if TYPE_CHECKING:
    from qrex.profile.analysis import Analysis

__all__ = ["CLASSICAL", "Plan", "plan_circuit", "seconds_on"]

CLASSICAL = "classical"
"""Named as the engine where every outcome is certain or an independent coin, so that none is needed."""

_BASE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """`engine`, `reason`, `grounds` and `passed_over` are those of the costliest part; `routes` has one entry per part.

    `whole`: the circuit runs as it was written, not reduced. `cost` is that of all parts together. `guarded`: a
    part is not certain to fit (see `Route`). `answer_bytes`: what the counts of all parts together take, and joining
    them; in `cost` too.
    """

    circuit_id: str
    engine: str
    cost: Cost
    reason: str
    passed_over: Mapping[str, str]
    routes: tuple[Route, ...]
    whole: bool
    guarded: bool
    answer_bytes: int = 0
    grounds: str = ""

    @property
    def tried(self) -> tuple[str, ...]:
        """Every engine that takes part."""
        return tuple(dict.fromkeys(name for found in self.routes for name in (found.engine, *found.contenders)))


def plan_circuit(
    analysis: Analysis,
    engines: Mapping[str, Engine],
    allotment: Allotment,
    max_infidelity: float = DEFAULT_MAX_INFIDELITY,
    refine: Refine | None = None,
) -> Plan:
    """The plan for the circuit that was analyzed.

    A circuit that no program can say (`obstacle`), and one for an engine that is asked for by name and chooses
    for itself, go as they were written. Raises NoEngineError where a part fits no engine.
    """
    only = next(iter(engines.values())) if len(engines) == 1 else None
    obstacle = analysis.profile is not None and analysis.profile.obstacle
    if obstacle or getattr(only, "delegates", False):
        found = route(*analysis.profiles(whole=True), engines, allotment, max_infidelity, refine)
        return _plan(analysis, (found,), whole=True)
    share = max_infidelity / max(1, len(analysis.part_profiles))
    routes = tuple(
        route(profile, engines, allotment, share, refine) for profile in analysis.part_profiles
    )
    return _plan(analysis, routes, whole=False)


def seconds_on(allotment: Allotment, plan: Plan, analysis: Analysis, engines: Mapping[str, Engine]) -> float:
    """Predicted seconds of the same plan within another allotment. Raises EngineError where an engine says none."""
    profiles = analysis.profiles(plan.whole)
    return sum(
        ask_cost(found.engine, engines[found.engine], profile, allotment).seconds
        for found, profile in zip(plan.routes, profiles, strict=True)
    )


def _plan(analysis: Analysis, routes: tuple[Route, ...], *, whole: bool) -> Plan:
    joined = _BASE_BYTES + join_bytes(analysis.reduced, _distinct(analysis), analysis.shots)
    if not routes:
        reason = "every outcome is certain or an independent coin: no state is needed"
        return Plan(analysis.circuit_id, CLASSICAL, Cost(0.0, joined), reason, {}, (), whole, False, joined, reason)
    costliest = max(routes, key=lambda found: found.cost.seconds)
    cost = Cost(
        seconds=sum(found.cost.seconds for found in routes),
        peak_bytes=joined + max(found.cost.peak_bytes for found in routes),
        disk_bytes=max(found.cost.disk_bytes for found in routes),
        infidelity=min(1.0, sum(found.cost.infidelity for found in routes)),
        upper_bound=any(found.cost.upper_bound for found in routes),
    )
    reduction = "" if whole else _told_reduction(analysis, routes)
    return Plan(
        analysis.circuit_id,
        costliest.engine,
        cost,
        reduction + costliest.reason,
        costliest.passed_over,
        routes,
        whole,
        any(found.guarded for found in routes),
        joined,
        reduction + costliest.grounds,
    )


def _distinct(analysis: Analysis) -> float:
    """Outcomes to expect of all shots, at most: of the coins, and of each part as many as its state has amplitudes."""
    log2 = len(analysis.reduced.coin_bits) + sum(profile.log2_outcomes for profile in analysis.part_profiles)
    outcomes = 2.0 ** min(log2, 60.0)
    return -outcomes * math.expm1(-analysis.shots / outcomes)


def _told_reduction(analysis: Analysis, routes: tuple[Route, ...]) -> str:
    """What is left, where something was left out."""
    reduced = analysis.reduced
    widest = reduced.widest_part
    if widest == reduced.qubits_before and reduced.rows_after >= 0.9 * reduced.rows_before:
        return ""
    parts = f" in {len(routes)} independent parts" if len(routes) > 1 else ""
    return (
        f"{reduced.rows_after:,} of {reduced.rows_before:,} operations on at most {widest} of "
        f"{reduced.qubits_before} qubits left{parts}; "
    )
