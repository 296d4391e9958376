"""The workload simulated exactly: as a plain user would, and with engines chosen and circuits side by side.

In: a session. Out: a `SimulationStage`: what every circuit cost and answered, the makespan, the utilization.
The makespan counts deciding as well: profiling, routing and packing are part of the expanded time. A stage
that was interrupted and went on has the sum of its sessions' spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from time import monotonic
from types import MappingProxyType
from typing import Any

from qrex.balance import Plan, seconds_on
from qrex.circuits import Circuit
from qrex.engines import Allotment, Engine, Job
from qrex.engines.registry import available_engines
from qrex.errors import EngineError, InfeasibleError
from qrex.execute import Task, WorkUnit, can_change
from qrex.execute.jobs import COMPILERS
from qrex.execute.solving import Prepared, SolveRequest, explained, prepare, solve
from qrex.expansion.predictions import keep_predictions
from qrex.expansion.refusals import refusal
from qrex.expansion.session import Session, shows_running
from qrex.expansion.timing import spread, time_fixed_work
from qrex.store import content_key
from qrex.telemetry import Utilization, UtilizationSampler

__all__ = [
    "BASELINE_ENGINE",
    "PlannedRoutes",
    "SimulationStage",
    "plan_routes",
    "run_baseline",
    "run_expanded",
]

BASELINE_ENGINE = "aer-automatic"
_STAGE_KIND = "simulation stage"
_WATCHED = "CPU clocks, high-water marks"
"""How a pass is measured: one that was measured otherwise is not set beside it."""


@dataclass(frozen=True, slots=True)
class SimulationStage:
    """One pass over the simulated circuits.

    `payloads` by circuit id: {"value": {"counts", "probabilities", "metadata"} or None, "error", "seconds",
    "peak_bytes", …}. `routes` by circuit id where an engine was chosen; `refused` by circuit id where none
    could be. `predictions` by circuit id as the store has them, where something was predicted. `timing_spread`
    is the 95 % range of a fixed computation, repeated right before and after the pass, over its median; NaN where
    the pass was not timed.
    """

    title: str
    circuits: tuple[Circuit, ...]
    payloads: Mapping[str, Mapping[str, Any]]
    routes: Mapping[str, Plan]
    refused: Mapping[str, str]
    makespan_seconds: float
    decision_seconds: float
    sessions: int
    timing_spread: tuple[float, float]
    utilization: Utilization | None
    predictions: Mapping[str, Mapping[str, Any]]

    def finished(self) -> tuple[Circuit, ...]:
        return tuple(c for c in self.circuits if self.counts(c) is not None)

    def counts(self, circuit: Circuit) -> Mapping[str, int] | None:
        payload = self.payloads.get(circuit.id)
        return payload["value"]["counts"] if payload and payload["value"] else None


def run_baseline(session: Session) -> SimulationStage:
    """One circuit at a time on Aer's automatic method, with all cores: what a plain user gets."""
    allotment = Allotment(threads=session.cores, memory_bytes=session.memory_bytes)
    circuits = _distinct(session.simulated)
    owner = _pass_id(circuits)
    units = [
        _unit(session, circuit, _baseline_request(session, circuit, allotment), BASELINE_ENGINE, "alone", owner)
        for circuit in circuits
    ]
    return _run(session, "Simulate, baseline", units, {}, {}, 0.0, side_by_side=False)


def _baseline_request(session: Session, circuit: Circuit, allotment: Allotment) -> SolveRequest:
    return SolveRequest(
        _job(session, circuit), session.constants.values, allotment, session.settings.infidelity, BASELINE_ENGINE
    )


def run_expanded(
    session: Session,
    *,
    side_by_side: bool,
    probes: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    engine: str | None = None,
    timed: bool = True,
) -> SimulationStage:
    """Every circuit on the engine that is predicted to finish it first; together where `side_by_side`.

    Where it is not `timed`, circuits that other workloads finished are taken over and the makespan means
    nothing; a timed pass takes over only its own, from before an interruption.

    `probes` asks for the exact probabilities of bit strings by circuit id; see `Job.probe`. `engine` leaves
    no choice. Raises InputError where there is no such engine.
    """
    _ = session.pool  # its workers start in nobody's time
    began = monotonic()
    planned = plan_routes(session, _distinct(session.simulated), engine)
    circuits = [c for c in planned.circuits if c.id in planned.prepared]
    title, mode = ("Simulate, engines chosen, side by side", "side by side") if side_by_side else (
        "Simulate, engines chosen", "alone"
    )  # fmt: skip
    owner = _pass_id(circuits) if timed else ""
    built = available_engines(session.constants.values)

    def unit(
        circuit: Circuit, found: Prepared, excluded: tuple[str, ...] = (), memory_bytes: int | None = None
    ) -> WorkUnit:
        seconds = _seconds_by_threads(session, found, built) if side_by_side else None
        probe = probes.get(circuit.id, ())
        limit = _limit(session, found.plan) if memory_bytes is None else memory_bytes
        return _planned_unit(session, circuit, found, limit, mode, engine, excluded, probe, owner, seconds)

    longest_first = sorted(circuits, key=lambda c: -planned.prepared[c.id].plan.cost.seconds)
    units = [unit(circuit, planned.prepared[circuit.id]) for circuit in longest_first]
    decision_seconds = monotonic() - began

    def again(name: str, payload: Mapping[str, Any]) -> WorkUnit | None:
        """What went past its memory: once more with all there is, then on engines that its first plan did not try.
        What an engine itself notices is tried on others at once, in the worker."""
        if not payload["breach"]:
            return None
        circuit = next(c for c in circuits if c.id == name)
        if payload["memory_bytes"] < min(session.room_bytes, session.pool.room_bytes):
            return unit(circuit, planned.prepared[name], memory_bytes=session.room_bytes)
        if not payload["lost"]:
            return None
        tried = planned.prepared[name].plan.tried
        try:
            found = prepare(_to_plan(session, circuit, engine, tried))
        except (InfeasibleError, EngineError):
            return None
        return unit(circuit, found, tried)

    return _run(
        session, title, units, planned.prepared, planned.refused, decision_seconds, again,
        side_by_side=side_by_side, timed=timed,
    )  # fmt: skip


def _to_plan(session: Session, circuit: Circuit, engine: str | None, excluded: tuple[str, ...] = ()) -> SolveRequest:
    whole = session.allotment(session.cores, session.room_bytes)
    job = Job(circuit, session.shots_of(circuit), 0)
    return SolveRequest(
        job, session.constants.values, whole, session.settings.infidelity, engine, excluded,
        refinement=session.refinement,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedRoutes:
    """Decisions only: reduction and plan by circuit id, or why no engine can run it."""

    circuits: tuple[Circuit, ...]
    prepared: Mapping[str, Prepared]
    refused: Mapping[str, str]

    @property
    def routes(self) -> dict[str, Plan]:
        return {name: found.plan for name, found in self.prepared.items()}


def plan_routes(session: Session, circuits: Sequence[Circuit], engine: str | None = None) -> PlannedRoutes:
    """Reduce every circuit and choose its engines, or `engine`, with all cores and memory at hand."""
    prepared: dict[str, Prepared] = {}
    refused: dict[str, str] = {}

    def freely(circuit: Circuit) -> Plan:
        return prepare(_to_plan(session, circuit, None)).plan

    _ = session.room_bytes  # more memory than there is refuses the whole workload, not its circuits
    for circuit in circuits:
        try:
            prepared[circuit.id] = prepare(_to_plan(session, circuit, engine))
        except InfeasibleError as error:
            refused[circuit.id] = refusal(session, error, engine, partial(freely, circuit))
    return PlannedRoutes(tuple(circuits), prepared, refused)


def explain_routes(session: Session, circuit: Circuit, prepared: Prepared) -> list[str]:
    """How the engines chosen would go about the parts of `circuit`, where they say so, each in lines of text."""
    return [text for text in explained(_to_plan(session, circuit, None), prepared) if text]


def _pass_id(circuits: Sequence[Circuit]) -> str:
    """When a circuit began and ended is told from the start of its pass, so it means nothing in another one."""
    return content_key("pass", {"circuits": sorted(circuit.id for circuit in circuits), "watched": _WATCHED})


def _distinct(circuits: tuple[Circuit, ...]) -> tuple[Circuit, ...]:
    """Circuits of equal content are run once; each still has its row."""
    return tuple({circuit.id: circuit for circuit in circuits}.values())


_SHORT_SECONDS = 0.02


def _seconds_by_threads(session: Session, found: Prepared, engines: Mapping[str, Engine]) -> dict[int, float]:
    """What the pool decides the number of threads by; a short run gets one."""
    if found.plan.cost.seconds < _SHORT_SECONDS:
        return {1: found.plan.cost.seconds}
    seconds = {session.cores: found.plan.cost.seconds}
    for threads in range(1, session.cores):
        with suppress(EngineError):  # it gives no estimate for so many: then it is not run on them
            allotment = session.allotment(threads, session.room_bytes)
            seconds[threads] = seconds_on(allotment, found.plan, found.analysis, engines)
    return seconds


_TRIALS = 3
_LIMIT_FACTOR = 1.5
_LIMIT_FLOOR_BYTES = 256 * 2**20


def _limit(session: Session, chosen: Plan) -> int:
    """Memory allotted to a run: its predicted peak with room for error, never more than there is. A state that needs
    the disk gets all of it: nothing else runs beside it, and claims the same disk."""
    if chosen.cost.disk_bytes:
        return session.room_bytes
    return min(session.room_bytes, int(_LIMIT_FACTOR * chosen.cost.peak_bytes) + _LIMIT_FLOOR_BYTES)


def _planned_unit(
    session: Session,
    circuit: Circuit,
    prepared: Prepared,
    memory_bytes: int,
    mode: str,
    engine: str | None,
    excluded: tuple[str, ...],
    probe: tuple[str, ...],
    owner: str,
    seconds: Mapping[int, float] | None,
) -> WorkUnit:
    """A circuit that was planned here. Its parts travel as arrays; the circuit itself only where it runs whole."""
    allotment = session.allotment(session.cores, memory_bytes)
    job = _job(session, circuit, probe)
    if not prepared.plan.whole:
        job = replace(job, circuit=None, label=circuit.name)
    request = SolveRequest(
        job, session.constants.values, allotment, session.settings.infidelity, engine, excluded, prepared
    )
    return _unit(session, circuit, request, prepared.plan.engine, mode, owner, seconds)


def _job(session: Session, circuit: Circuit, probe: tuple[str, ...] = ()) -> Job:
    return Job(circuit, session.shots_of(circuit), session.seed_for("simulate", circuit.id), probe)


def _unit(
    session: Session,
    circuit: Circuit,
    request: SolveRequest,
    engine: str,
    mode: str,
    owner: str = "",
    seconds: Mapping[int, float] | None = None,
) -> WorkUnit:
    allotment, job = request.allotment, request.job
    parts = {
        "circuit": circuit.id,
        "engine": engine,
        "shots": job.shots,
        "seed": job.seed,
        "threads": allotment.threads,
        "memory": allotment.memory_bytes,
        "mode": mode,
        "owner": owner,
        "probe": content_key("probe", {"strings": list(job.probe)}),
    }
    if request.prepared is not None and request.prepared.plan.cost.disk_bytes:
        parts["codec"] = allotment.codec
    # A plug-in may run what is left to choose from, or what another engine could not.
    foreign = {name: v for name, v in session.foreign_versions.items() if request.engine in (None, name)}
    if foreign:
        parts["foreign"] = foreign
    # The budget names the work; what it gets is what the pool has, which may be less where memory is short now.
    task = Task(
        circuit.id, solve, (request,), allotment.threads, min(allotment.memory_bytes, session.pool.memory_bytes),
        session.settings.wall_seconds, seconds, None if _runs_on_our_own(request) else COMPILERS,
    )  # fmt: skip
    return session.unit("simulate", parts, task, measured=bool(owner))


_OURS = frozenset(["statevector", "stabilizer", "sparse", "mps"])
"""Engines that read programs and never call the transpiler."""


def _runs_on_our_own(request: SolveRequest) -> bool:
    """Whether the transpiler is sure not to be called, or would be only after a failure that nobody expects."""
    found = request.prepared
    return found is not None and not found.plan.guarded and not found.plan.whole and _OURS.issuperset(found.plan.tried)


def _run(
    session, title, units, prepared: Mapping[str, Prepared], refused, decision_seconds, again=None, *,
    side_by_side, timed=True,
) -> SimulationStage:  # fmt: skip
    routes = {name: found.plan for name, found in prepared.items()}
    names = {circuit.id: circuit.name for circuit in session.simulated}
    key = content_key(_STAGE_KIND, {"title": title, "units": [unit.key for unit in units], "watched": _WATCHED})
    kept = _kept_record(session, key)
    # A guarded route's seconds are the whole allotment, not a prediction.
    certain = [chosen.cost.seconds for chosen in routes.values() if not chosen.guarded]
    expected = sum(certain) if certain and len(certain) == len(routes) else None
    left = session.start_workers(units)  # before the clock does, on both sides
    steadiness = time_fixed_work() if timed and not kept else []
    with (
        session.stage(title, len(units), expected if left else None) as stage,
        UtilizationSampler(cores=session.cores) as sampler,
    ):
        payloads = session.runner.run(
            units, lambda name, _payload: stage.advance(1, note=names[name]), side_by_side=side_by_side,
            on_running=shows_running(stage, names),
            on_held=sampler.held,
        )  # fmt: skip
        for _ in range(_TRIALS - 1 if again is not None else 0):
            once_more = [unit for name, payload in payloads.items() if (unit := again(name, payload))]
            if not once_more:
                break
            ended = max(payload["finish"] for payload in payloads.values())
            later = session.runner.run(
                once_more, side_by_side=side_by_side, on_running=shows_running(stage, names), on_held=sampler.held
            )
            # Its times count from its own beginning; the pass began before.
            payloads |= {
                name: one if one["kept"] else one | {"start": ended + one["start"], "finish": ended + one["finish"]}
                for name, one in later.items()
            }
    if kept:
        record = kept
    else:
        if timed:
            steadiness += time_fixed_work()
        steady = spread(steadiness) if timed else (nan, nan)
        record = _record(payloads, sampler.utilization, decision_seconds, steady)
        # What may end otherwise is tried again next time: then this pass is not the one that is reported.
        if not any(can_change(payload, timed) for payload in payloads.values()):
            session.store.keep_unit(key, _STAGE_KIND, record, session.runner.session)
        keep_predictions(session, units, payloads, prepared)
    said = session.store.predictions_of([unit.key for unit in units])
    return SimulationStage(
        title, session.simulated, payloads, routes, refused, record["makespan_seconds"],
        record["decision_seconds"], record["sessions"], tuple(record["spread"]),
        Utilization.from_dict(record["utilization"]) if record["utilization"] else None,
        {unit.task.id: said[unit.key] for unit in units if unit.key in said},
    )  # fmt: skip


_OF_A_RECORD = ("makespan_seconds", "decision_seconds", "sessions", "spread", "utilization")


def _kept_record(session: Session, key: str) -> Mapping[str, Any] | None:
    kept = session.store.unit(key)
    if kept is None:
        return None
    record = kept.payload
    if isinstance(record, dict) and all(name in record for name in _OF_A_RECORD):
        return record
    session.store.leave_aside("the figures of a pass", key)
    return None


def _record(
    payloads, seen: Utilization, decision_seconds: float, timing_spread: tuple[float, float]
) -> dict[str, Any]:
    spans: dict[str, float] = {}
    for payload in payloads.values():
        spans[payload["session"]] = max(spans.get(payload["session"], 0.0), payload["finish"])
    # What was finished in an earlier session was not watched by this one's sampler, and usage of the rest is not
    # that of the same workload.
    watched = bool(payloads) and not any(payload["kept"] for payload in payloads.values())
    return {
        "makespan_seconds": sum(spans.values()) + decision_seconds,
        "decision_seconds": decision_seconds,
        "sessions": len(spans),
        "spread": list(timing_spread),
        "utilization": seen.to_dict() if watched else None,
    }
