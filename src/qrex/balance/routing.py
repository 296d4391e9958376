"""Which engine runs a circuit: the one that is predicted to finish it first within memory and fidelity.

In: a profile, engines with measured constants, an allotment. Out: a `Route` with the reason for the choice
and the reason why each other engine was passed over. Pure: the same inputs give the same route.

Some costs are only upper bounds (a matrix product state's, from Schmidt ranks; a sparse state's, from the
number of branching gates). A bound that fits the allotment is a certificate and competes as it stands. Below
its bound such an engine may still be the fastest: where it can be stepped, it is named as a contender and
races within a small share of the certain time; what the race takes is part of the cost. Where nothing is certain
to fit, contenders run until one ends, guarded by the memory limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from qrex.engines import Allotment, Cost, Engine
from qrex.engines.asking import ask_cost, ask_support
from qrex.errors import EngineError, NoEngineError
from qrex.profile import Profile
from qrex.units import format_bytes, format_seconds

__all__ = ["DEFAULT_MAX_INFIDELITY", "RACE_SHARE", "Route", "route"]

DEFAULT_MAX_INFIDELITY = 1e-3
RACE_SHARE = 0.1
"""Share of the certain engine's time that contenders may take before they show that they are faster."""

_RACE_FROM_SECONDS = 0.004  # nothing is won by racing against less
_LONGEST_SHOWN_SECONDS = 1e9

Refine = Callable[[str, Cost, Profile], Cost]


@dataclass(frozen=True, slots=True)
class Route:
    """`ranked` holds every engine that could run the circuit with its predicted cost, best first.

    `contenders` race against `engine` before it starts, for `race_seconds` in all unless one shows that it ends
    first. `guarded`: no cost is certain to fit; contenders run until one ends or the limits stop them, and the
    cost is the whole allotment rather than a prediction. `grounds` is `reason` without predicted seconds: for where
    those of the run itself stand.
    """

    circuit_id: str
    engine: str
    cost: Cost
    reason: str
    passed_over: Mapping[str, str]
    ranked: tuple[tuple[str, Cost], ...]
    guarded: bool = False
    contenders: tuple[str, ...] = ()
    race_seconds: float = 0.0
    grounds: str = ""


def route(
    profile: Profile,
    engines: Mapping[str, Engine],
    allotment: Allotment,
    max_infidelity: float = DEFAULT_MAX_INFIDELITY,
    refine: Refine | None = None,
) -> Route:
    """The fastest predicted engine that stays within `allotment` and `max_infidelity`; ties go by name.

    `refine` corrects a cost by what earlier runs took. An engine that fails when it is asked is passed over. Raises
    NoEngineError, saying what would make it feasible, where no engine can.
    """
    passed: dict[str, str] = {}
    fitting: list[tuple[float, str, Cost]] = []
    uncertain: list[tuple[float, str, Cost]] = []
    memory_wanted: dict[str, int] = {}
    disk_wanted: dict[str, int] = {}
    for name in sorted(engines):
        cost = _cost(name, profile, engines, allotment, refine, passed)
        if cost is None:
            continue
        if cost.infidelity > max_infidelity and not cost.upper_bound:
            finer = "" if allotment.codec == "float32" else f"; a finer --codec than {allotment.codec} loses less"
            passed[name] = f"infidelity may reach {cost.infidelity:.2g}; {max_infidelity:.2g} is allowed{finer}"
        elif cost.disk_bytes > allotment.disk_bytes:
            allotted = format_bytes(allotment.disk_bytes)
            passed[name] = f"needs {format_bytes(cost.disk_bytes)} of disk; {allotted} allotted"
        elif cost.peak_bytes <= allotment.memory_bytes:
            fitting.append((cost.seconds, name, cost))
        elif cost.upper_bound:
            uncertain.append((cost.seconds, name, cost))
            passed[name] = f"not certain to fit: {_bound(name, profile)}"
        else:
            _wanting(name, cost, allotment, memory_wanted, disk_wanted, passed)
    fitting.sort(key=lambda entry: entry[:2])
    uncertain.sort(key=lambda entry: entry[:2])
    if fitting:
        return _fastest(profile, engines, fitting, uncertain, passed)
    if uncertain:
        return _guarded(profile, engines, uncertain, passed, allotment)
    what = f"{profile.num_qubits} qubits with {profile.instructions} instructions"
    told = _why_infeasible(what, passed, memory_wanted, allotment)
    raise NoEngineError(told, what, passed, memory_wanted, disk_wanted)


def _cost(name, profile, engines, allotment, refine: Refine | None, passed: dict[str, str]) -> Cost | None:
    engine = engines[name]
    try:
        support = ask_support(name, engine, profile)
    except EngineError as error:
        passed[name] = str(error)
        return None
    if getattr(engine, "delegates", False) and len(engines) > 1:
        # It would only choose among engines that are ranked here themselves, later and for a fee. Asked
        # for by name it stands alone, and runs.
        passed[name] = support.reason or "chooses among methods that are ranked here by name"
        return None
    if not support.supported:
        passed[name] = support.reason or "does not take it, and does not say why"
        return None
    try:
        cost = ask_cost(name, engine, profile, allotment)
    except EngineError as error:
        passed[name] = str(error)
        return None
    return cost if refine is None else refine(name, cost, profile)


def _wanting(
    name: str, cost: Cost, allotment: Allotment, memory_wanted: dict[str, int], disk_wanted: dict[str, int],
    passed: dict[str, str],
) -> None:  # fmt: skip
    """What of memory and disk an engine lacks."""
    needs, room = [format_bytes(cost.peak_bytes)], [format_bytes(allotment.memory_bytes)]
    memory_wanted[name] = cost.peak_bytes
    for other in cost.instead:
        needs.append(f"{format_bytes(other.peak_bytes)} with {format_bytes(other.disk_bytes)} of disk")
        if other.disk_bytes <= allotment.disk_bytes:
            memory_wanted[name] = min(memory_wanted[name], other.peak_bytes)
        if other.peak_bytes <= allotment.memory_bytes:
            disk_wanted[name] = min(disk_wanted.get(name, other.disk_bytes), other.disk_bytes)
    if cost.instead:
        room.append(f"{format_bytes(allotment.disk_bytes)} of disk")
    passed[name] = f"needs {' or '.join(dict.fromkeys(needs))}; {' and '.join(room)} allotted"


def _fastest(profile: Profile, engines, order, uncertain, passed: dict[str, str]) -> Route:
    best_seconds, best, best_cost = order[0]
    race = best_seconds > _RACE_FROM_SECONDS
    contenders = [
        name
        for _, name, cost in order + uncertain
        if race and cost.upper_bound and hasattr(engines[name], "start")
    ]
    for seconds, name, cost in order[1:]:
        what = "bound of the model" if cost.upper_bound else "predicted"
        passed[name] = f"slower: {what} {_duration(seconds)}, {best} {_duration(best_seconds)}"
    for name in contenders:
        if name != best:
            passed[name] = f"{passed[name]}; it races, since it may stay far below its bound"
    how = "bound of the model" if best_cost.upper_bound else "predicted"
    proof = f" ({_bound(best, profile)})" if best_cost.upper_bound else ""
    reason = f"fastest of {len(order)}: {how} {_duration(best_seconds)}{proof}"
    grounds = f"fastest of {len(order)}{proof}"
    others = [name for name in contenders if name != best]
    if others:
        overtaking = f"; {' and '.join(others)} may overtake it"
        reason += f"{overtaking} within {_duration(RACE_SHARE * best_seconds)}"
        grounds += overtaking
    ranked = tuple((name, cost) for _, name, cost in order)
    return Route(
        profile.circuit_id, best, best_cost, reason, dict(sorted(passed.items())), ranked, False, tuple(contenders),
        RACE_SHARE * best_seconds if others else 0.0, grounds,
    )  # fmt: skip


def _guarded(profile: Profile, engines, order, passed: dict[str, str], allotment: Allotment) -> Route:
    contenders = [name for _, name, _ in order if hasattr(engines[name], "start")]
    best = contenders[0] if contenders else order[0][1]
    bound = next(cost for _, name, cost in order if name == best)
    del passed[best]
    seconds = bound.seconds if allotment.wall_seconds is None else min(bound.seconds, allotment.wall_seconds)
    cost = replace(bound, seconds=seconds, peak_bytes=allotment.memory_bytes)
    tried = " and ".join(contenders) if contenders else best
    reason = (
        f"no engine is certain to fit ({'; '.join(_bound(name, profile) for name in contenders or [best])}), the state "
        f"may: {tried} {'race' if len(contenders) > 1 else 'tries'} within {format_bytes(allotment.memory_bytes)}"
    )
    ranked = tuple((name, cost) for _, name, cost in order)
    return Route(
        profile.circuit_id, best, cost, reason, dict(sorted(passed.items())), ranked, True, tuple(contenders),
        grounds=reason,
    )  # fmt: skip


def _bound(name: str, profile: Profile) -> str:
    """What proves, or fails to prove, that an engine with a bounded cost fits."""
    if "mps" in name:
        return f"bonds at most 2^{profile.max_log2_schmidt:.0f}"
    support = min(profile.log2_support, float(profile.active_qubits))
    return f"nonzero amplitudes at most 2^{support:.0f}"


def _why_infeasible(
    what: str, passed: Mapping[str, str], wanted: Mapping[str, int], allotment: Allotment
) -> str:
    if len(passed) == 1:
        name, why = next(iter(passed.items()))
        return f"engine {name!r} cannot run {what}: {why}"
    asked = f"no engine can run {what}"
    if wanted:
        name, least = min(wanted.items(), key=lambda entry: (entry[1], entry[0]))
        return (
            f"{asked} in {format_bytes(allotment.memory_bytes)}; {name} needs the least: {format_bytes(least)} "
            "besides what its process takes; allow more with --memory"
        )
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(passed.items()))
    return f"{asked} ({reasons or 'no engine is installed'}); see `qrex engines` for what can be added"


def _duration(seconds: float) -> str:
    return "over 30 years" if seconds > _LONGEST_SHOWN_SECONDS else format_seconds(seconds)
