"""Which engine runs a circuit: the one that is predicted to finish it first within memory and fidelity.

In: a profile, engines with measured constants, an allotment. Out: a `Route` with the reason for the choice
and the reason why each other engine was passed over. Pure: the same inputs give the same route.

Some costs are only upper bounds (a matrix product state's, from Schmidt ranks). A bound that fits the
allotment is a certificate and competes as it stands. One that does not fit proves nothing: such an engine is
chosen only where no other can run the circuit at all, and then it runs guarded by the memory limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from qrex.engines import Allotment, Cost, Engine
from qrex.errors import EngineError, InfeasibleError
from qrex.profile import Profile
from qrex.units import format_bytes, format_seconds

__all__ = ["DEFAULT_MAX_INFIDELITY", "Route", "route"]

DEFAULT_MAX_INFIDELITY = 1e-3
_LONGEST_SHOWN_SECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Route:
    """`ranked` holds every engine that could run the circuit with its predicted cost, best first.

    `guarded`: no cost is certain to fit; the run must be held to its limits, may fail, and its cost is the
    whole allotment rather than a prediction.
    """

    circuit_id: str
    engine: str
    cost: Cost
    reason: str
    passed_over: Mapping[str, str]
    ranked: tuple[tuple[str, Cost], ...]
    guarded: bool = False


def route(
    profile: Profile,
    engines: Mapping[str, Engine],
    allotment: Allotment,
    max_infidelity: float = DEFAULT_MAX_INFIDELITY,
) -> Route:
    """The fastest predicted engine that stays within `allotment` and `max_infidelity`; ties go by name.

    Raises InfeasibleError, saying what would make it feasible, where no engine can.
    """
    passed: dict[str, str] = {}
    fitting: list[tuple[float, str, Cost]] = []
    uncertain: list[tuple[float, str, Cost]] = []
    memory_wanted: dict[str, int] = {}
    for name in sorted(engines):
        support = engines[name].supports(profile)
        if getattr(engines[name], "delegates", False) and len(engines) > 1:
            # It would only choose among engines that are ranked here themselves, later and for a fee. Asked
            # for by name it stands alone, and runs.
            passed[name] = support.reason or "chooses among methods that are ranked here by name"
            continue
        if not support.supported:
            passed[name] = support.reason
            continue
        try:
            cost = engines[name].estimate(profile, allotment)
        except EngineError as error:
            passed[name] = str(error)
            continue
        if cost.infidelity > max_infidelity:
            passed[name] = f"infidelity may reach {cost.infidelity:.2g}; {max_infidelity:.2g} is allowed"
        elif cost.disk_bytes > allotment.disk_bytes:
            allotted = format_bytes(allotment.disk_bytes)
            passed[name] = f"needs {format_bytes(cost.disk_bytes)} of disk; {allotted} allotted"
        elif cost.peak_bytes <= allotment.memory_bytes:
            fitting.append((cost.seconds, name, cost))
        elif cost.upper_bound:
            uncertain.append((cost.seconds, name, cost))
            passed[name] = f"not certain to fit: its bond bound is 2^{profile.max_log2_schmidt:.0f}"
        else:
            memory_wanted[name] = cost.peak_bytes
            passed[name] = f"needs {format_bytes(cost.peak_bytes)}; {format_bytes(allotment.memory_bytes)} allotted"
    if fitting:
        return _fastest(profile, sorted(fitting, key=lambda entry: entry[:2]), passed)
    if uncertain:
        return _guarded(profile, sorted(uncertain, key=lambda entry: entry[:2]), passed, allotment)
    raise InfeasibleError(_why_infeasible(profile, passed, memory_wanted, allotment))


def _fastest(profile: Profile, order: list[tuple[float, str, Cost]], passed: dict[str, str]) -> Route:
    best_seconds, best, best_cost = order[0]
    for seconds, name, cost in order[1:]:
        what = "bounded by" if cost.upper_bound else "predicted"
        passed[name] = f"slower: {what} {_duration(seconds)}, {best} {_duration(best_seconds)}"
    how = "at most" if best_cost.upper_bound else "predicted"
    reason = f"fastest of {len(order)}: {how} {_duration(best_seconds)}"
    if best_cost.upper_bound:
        reason += f" (bonds proven at most 2^{profile.max_log2_schmidt:.0f})"
    ranked = tuple((name, cost) for _, name, cost in order)
    return Route(profile.circuit_id, best, best_cost, reason, dict(sorted(passed.items())), ranked)


def _guarded(
    profile: Profile, order: list[tuple[float, str, Cost]], passed: dict[str, str], allotment: Allotment
) -> Route:
    _, best, bound = order[0]
    del passed[best]
    seconds = bound.seconds if allotment.wall_seconds is None else min(bound.seconds, allotment.wall_seconds)
    cost = replace(bound, seconds=seconds, peak_bytes=allotment.memory_bytes)
    reason = (
        f"no other engine can run it; the bond bound 2^{profile.max_log2_schmidt:.0f} does not fit, "
        f"the state may: tried within {format_bytes(allotment.memory_bytes)}"
    )
    ranked = tuple((name, cost) for _, name, cost in order)
    return Route(profile.circuit_id, best, cost, reason, dict(sorted(passed.items())), ranked, guarded=True)


def _why_infeasible(
    profile: Profile, passed: Mapping[str, str], wanted: Mapping[str, int], allotment: Allotment
) -> str:
    asked = f"no engine can run {profile.num_qubits} qubits with {profile.instructions} instructions"
    if wanted:
        name, least = min(wanted.items(), key=lambda entry: (entry[1], entry[0]))
        return (
            f"{asked} in {format_bytes(allotment.memory_bytes)}; {name} needs the least: "
            f"allow {format_bytes(least)} with --memory"
        )
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(passed.items()))
    return f"{asked} ({reasons or 'no engine is installed'}); see `qrex engines` for what can be added"


def _duration(seconds: float) -> str:
    return "over 30 years" if seconds > _LONGEST_SHOWN_SECONDS else format_seconds(seconds)
