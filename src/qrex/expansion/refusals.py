"""Why a circuit cannot run, in the words of who asked: what of the memory given is a process's own, how much more
would do, and which engine would take the circuit where one was asked for that cannot.

In: the planner's refusal, the session. Out: one sentence. Pure but for asking the planner once more.
"""

from __future__ import annotations

from collections.abc import Callable

from qrex.balance import Plan
from qrex.errors import InfeasibleError, NoEngineError
from qrex.expansion.session import Session
from qrex.units import format_bytes

__all__ = ["enough_memory", "refusal"]

_ROUNDING = 1.01  # sizes are written with three digits


def refusal(session: Session, error: InfeasibleError, engine: str | None, otherwise: Callable[[], Plan]) -> str:
    """`engine` is what was asked for, if anything was; `otherwise` plans the same circuit without that."""
    if not isinstance(error, NoEngineError):
        return str(error)
    if engine is not None:
        told = f"engine {engine!r} was asked for and cannot run {error.what}: {error.reasons.get(engine, error)}"
        if engine in error.needs:
            told += f" ({_room(session)}); {_enough(session, error, engine)}"
        return f"{told}; {_otherwise(otherwise)}" if session.room_bytes else told
    if error.needs:
        name, least = min(error.needs.items(), key=lambda entry: (entry[1], entry[0]))
        return (
            f"no engine can run {error.what} in {format_bytes(session.room_bytes)} ({_room(session)}); {name} needs "
            f"the least, {format_bytes(least)}; {_enough(session, error, name)}"
        )
    return str(error)


def _enough(session: Session, error: NoEngineError, engine: str) -> str:
    """What of the memory or the disk would have to be more."""
    told = enough_memory(session, error.needs[engine])
    if engine not in error.disk_needs:
        return told
    disk = f"--disk {format_bytes(_ROUNDING * error.disk_needs[engine]).replace(' ', '')}"
    where = "" if session.scratch_room[0] else " with a folder for it (--scratch)"
    return f"{disk}{where}, or {told}"


def enough_memory(session: Session, run_bytes: int) -> str:
    """What to give so that a run may use `run_bytes`: the process that it runs in takes some itself."""
    given = _ROUNDING * (run_bytes + session.process_bytes) if run_bytes < 1e18 else run_bytes
    if given <= session.host.memory_bytes:
        return f"--memory {format_bytes(given).replace(' ', '')} would do"
    has = format_bytes(session.host.memory_bytes)
    return f"a host with {format_bytes(given)} of memory would do; this one has {has}"


def _room(session: Session) -> str:
    given, own = format_bytes(session.memory_bytes), format_bytes(session.process_bytes)
    if not session.room_bytes:
        return f"a worker process itself takes {own} of the {given}"
    return f"{given} − {own} for its worker process = {format_bytes(session.room_bytes)}"


def _otherwise(plan_freely: Callable[[], Plan]) -> str:
    try:
        plan = plan_freely()
    except InfeasibleError:
        return "no other engine can run it either"
    if plan.guarded:
        return f"without --engine, {' and '.join(plan.tried)} would try it, not certain to fit"
    return f"without --engine, {plan.engine} would run it in {format_bytes(plan.cost.peak_bytes)}"
