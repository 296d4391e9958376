"""One circuit answered: reduced, split into parts, each part on the engine that ends first, the parts joined.

In: a `SolveRequest`. Out: a JSON-able dictionary: counts, probabilities of the probed strings, which engine ran
each part, and what had been predicted. Where the caller has planned already, its plan travels along instead of the
circuit. A part whose engine fails, for memory or by its own fault, is tried again on the next engine that may run it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from qrex.balance import CLASSICAL, DEFAULT_MAX_INFIDELITY, Plan, Refinement, Route, plan_circuit, route
from qrex.engines import Allotment, Counts, Engine, Job, SteppedEngine
from qrex.engines.asking import ask_explanation
from qrex.engines.registry import available_engines
from qrex.errors import EngineError, InfeasibleError
from qrex.execute.answering import GuardedRun, run_checked
from qrex.execute.racing import Racer, race
from qrex.profile import analyze
from qrex.profile.analysis import Analysis
from qrex.profile.reduction import Reduced, join, reduce
from qrex.units import format_seconds

__all__ = ["Prepared", "SolveRequest", "engines_of", "explained", "prepare", "solve"]

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A circuit's reduction and plan, made where it was loaded."""

    analysis: Analysis
    plan: Plan


@dataclass(frozen=True, slots=True)
class SolveRequest:
    """Sample `job` within `allotment`, on `engine` or the one that ends first except those in `excluded`.

    `prepared`: what the caller has planned. The job needs its circuit only where the plan says `whole`.
    """

    job: Job
    constants: Mapping[str, Mapping[str, float]]
    allotment: Allotment
    max_infidelity: float = DEFAULT_MAX_INFIDELITY
    engine: str | None = None
    excluded: tuple[str, ...] = ()
    prepared: Prepared | None = None
    refinement: Refinement | None = None

    def granted(self, threads: int, memory_bytes: int) -> SolveRequest:
        """The same within what the pool grants."""
        return replace(self, allotment=replace(self.allotment, threads=threads, memory_bytes=memory_bytes))


def prepare(request: SolveRequest, reduced: Reduced | None = None) -> Prepared:
    """Analyze and plan, from what is left of the circuit where the caller has reduced it.

    Raises InfeasibleError where a part fits no engine, EngineError where the engine that was asked for is not there.
    """
    engines = engines_of(request)
    assert request.job.circuit is not None  # what is not loaded cannot be planned
    delegating = request.engine is not None and getattr(engines[request.engine], "delegates", False)
    analysis = analyze(request.job.circuit, request.job.shots, as_written=delegating, reduced=reduced)
    refine = request.refinement.refined if request.refinement is not None else None
    return Prepared(analysis, plan_circuit(analysis, engines, request.allotment, request.max_infidelity, refine))


def solve(request: SolveRequest, progress: Progress) -> dict[str, Any]:
    """The answer: "counts", "probabilities", "metadata", "engine", "parts" (engine, seconds and what became of the
    race of each), "predicted_seconds", "predicted_bytes", "certain" (whether the seconds were predicted before
    anything ran), "note", "reading_seconds" (from the circuit's objects to what is left of it), "decision_seconds".

    Raises what the engine of a part raises once no other is left.
    """
    began = time.perf_counter()
    engines = engines_of(request)
    if request.engine is not None and getattr(engines[request.engine], "delegates", False):
        return _as_written(request.engine, engines[request.engine], request, progress)
    rest = None
    if request.prepared is None and request.job.circuit is not None:
        rest = reduce(request.job.circuit.program)  # that much every engine needs, also one that is asked for by name
    read = time.perf_counter()
    prepared = request.prepared or prepare(request, rest)
    before = (read - began, time.perf_counter() - read)
    plan, job = prepared.plan, request.job
    if plan.whole:
        solver = _Solver(engines, request, [job], progress)
        whole = solver.part(0, *prepared.analysis.profiles(whole=True), plan.routes[0])
        return _answer(plan, whole, dict(whole.counts), dict(whole.probabilities), [whole], (), solver, before)
    reduced = prepared.analysis.reduced
    jobs = _part_jobs(job, reduced)
    solver = _Solver(engines, request, jobs, progress)
    answers = [
        solver.part(number, profile, chosen)
        for number, (profile, chosen) in enumerate(zip(prepared.analysis.part_profiles, plan.routes, strict=True))
    ]
    counts = join(reduced, [answer.counts for answer in answers], job.shots, job.seed)
    probabilities = _joined_probabilities(job.probe, reduced, answers)
    return _answer(plan, None, counts, probabilities, answers, reduced.coin_ones.tolist(), solver, before)


def _as_written(name: str, engine: Engine, request: SolveRequest, progress: Progress) -> dict[str, Any]:
    """What a plain user gets: nothing is looked at beforehand, so nothing is predicted either."""
    found = run_checked(name, engine, request.job, request.allotment, progress)
    return {
        "counts": dict(found.counts),
        "probabilities": dict(found.probabilities),
        "metadata": dict(found.metadata),
        "engine": name,
        "parts": [],
        "predicted_seconds": None,
        "predicted_bytes": None,
        "certain": False,
        "note": "",
        "reading_seconds": 0.0,
        "decision_seconds": 0.0,
    }


@dataclass(slots=True)
class _Solver:
    """Runs parts one after the other and remembers what happened."""

    engines: Mapping[str, Engine]
    request: SolveRequest
    jobs: Sequence[Job]
    progress: Progress
    records: list[dict[str, Any]] = field(default_factory=list)

    def part(self, number: int, profile, chosen: Route) -> Counts:
        """Part `number` on its chosen engine, or on the next one where that fails."""
        base, share = number / len(self.jobs), 1 / len(self.jobs)

        def within(fraction: float) -> None:
            self.progress(base + share * min(1.0, fraction))

        failed: dict[str, str] = {}
        while True:
            record: dict[str, Any] = {
                "engine": chosen.engine,
                "predicted_seconds": chosen.cost.seconds,
                "predicted_bytes": chosen.cost.peak_bytes,
                "certain": not chosen.guarded,
            }
            began = time.perf_counter()
            try:
                found = self._run(self.jobs[number], chosen, record, failed, within)
                self._check(record["engine"], found, number)
            except EngineError as error:
                failed.setdefault(record["engine"], str(error))
                if chosen.guarded and "race" not in record:  # it was lost by all of them
                    failed = {name: str(error) for name in chosen.contenders} | failed
                chosen = self._next(profile, failed, error)
                continue
            record["seconds"] = time.perf_counter() - began
            if failed:
                record["failed"] = failed
            self.records.append(record)
            return found

    def _run(self, job: Job, chosen: Route, record: dict, failed: dict[str, str], progress: Progress) -> Counts:
        """The answer; `record["engine"]` is at any moment the engine that is to blame, and contenders that did what no
        engine may are in `failed`."""
        if chosen.contenders:
            winner, racers = self._race(job, chosen, failed, progress)
            record["race"] = {racer.name: _told(racer) for racer in racers}
            _predict(record, chosen, winner, racers)
            if winner is not None:
                assert winner.run is not None
                record["engine"] = winner.name
                return winner.run.finish(progress)
        return run_checked(chosen.engine, self.engines[chosen.engine], job, self.request.allotment, progress)

    def _race(
        self, job: Job, chosen: Route, failed: dict[str, str], progress: Progress
    ) -> tuple[Racer | None, list[Racer]]:
        allotment = self.request.allotment
        each = replace(allotment, memory_bytes=allotment.memory_bytes // max(1, len(chosen.contenders)))
        keeper = chosen.engine if chosen.engine in chosen.contenders and not chosen.guarded else None
        runs = {}
        for name in chosen.contenders:
            engine = self.engines[name]
            assert isinstance(engine, SteppedEngine)
            runs[name] = GuardedRun(name, engine, job, allotment if len(chosen.contenders) == 1 else each)
        certain = math.inf if chosen.guarded else chosen.cost.seconds
        try:
            return race(runs, certain, chosen.race_seconds, progress, keeper)
        finally:
            failed.update({name: run.fault for name, run in runs.items() if run.fault})

    def _check(self, name: str, found: Counts, number: int) -> None:
        lost = found.metadata.get("infidelity") or 0.0
        allowed = self.request.max_infidelity / len(self.jobs)
        if lost > allowed:
            raise EngineError(f"{name} may have lost {lost:.2g} of the state; {allowed:.2g} is allowed")

    def _next(self, profile, failed: Mapping[str, str], error: EngineError) -> Route:
        left = {name: engine for name, engine in self.engines.items() if name not in failed}
        if not left:
            raise error
        try:
            return route(profile, left, self.request.allotment, self.request.max_infidelity / len(self.jobs))
        except InfeasibleError:
            raise error from None


def _told(racer: Racer) -> dict[str, Any]:
    stage = racer.stage
    return {
        "seconds": racer.spent,
        "fraction": stage.fraction if stage else 0.0,
        "size": stage.size if stage else 0,
        "given_up": racer.given_up,
    }


def _predict(record: dict, chosen: Route, winner: Racer | None, racers: Sequence[Racer]) -> None:
    """What was expected when the first round of the race was over, or, where the certain engine runs after all, its
    time beside what the race had taken. `certain` is false where the race was over before anything was expected."""
    spent = sum(racer.spent for racer in racers)
    if winner is None:
        record["predicted_seconds"] = chosen.cost.seconds + spent
        return
    record["certain"] = len(winner.forecasts) > 1
    record["predicted_seconds"] = winner.forecasts[0] + spent - winner.spent
    assert winner.stage is not None
    record["predicted_bytes"] = winner.stage.held_bytes


def engines_of(request: SolveRequest) -> Mapping[str, Engine]:
    """The engines that the request leaves to choose from. Raises EngineError where the one asked for is not there."""
    found = _built(tuple((name, tuple(sorted(own.items()))) for name, own in sorted(request.constants.items())))
    if request.engine is not None:
        if request.engine not in found:
            raise EngineError(
                f"engine {request.engine!r} is not installed; there is {', '.join(sorted(found))}; see `qrex engines`"
            )
        return {request.engine: found[request.engine]}
    return {name: engine for name, engine in found.items() if name not in request.excluded}


@lru_cache(maxsize=2)
def _built(constants: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]) -> Mapping[str, Engine]:
    """All engines with these constants; looking for other packages' engines takes milliseconds, so once."""
    return available_engines({name: dict(own) for name, own in constants})


def explained(request: SolveRequest, prepared: Prepared) -> list[str]:
    """What the chosen engine of each part says of how it would run it; "" where it says nothing."""
    engines, plan = engines_of(request), prepared.plan
    jobs = [request.job] if plan.whole else _part_jobs(request.job, prepared.analysis.reduced)
    return [
        ask_explanation(route.engine, engines[route.engine], job, request.allotment)
        for route, job in zip(plan.routes, jobs, strict=True)
    ]


def _part_jobs(job: Job, reduced: Reduced) -> list[Job]:
    jobs = []
    for number, part in enumerate(reduced.parts):
        probe = tuple(sorted({_restricted(text, part.clbits) for text in job.probe}))
        seed = (job.seed + 0x9E3779B1 * number) & 0x7FFFFFFF
        jobs.append(Job(None, job.shots, seed, probe, part.program, job.name))
    return jobs


def _restricted(text: str, clbits: Sequence[int]) -> str:
    """The characters of `text` for `clbits`, the first one rightmost."""
    return "".join(text[-1 - bit] for bit in reversed(clbits))


def _joined_probabilities(probe: Sequence[str], reduced: Reduced, answers: Sequence[Counts]) -> dict[str, float]:
    """Exact probabilities of `probe`, where every part gave its own."""
    out: dict[str, float] = {}
    coins = list(zip(reduced.coin_bits.tolist(), reduced.coin_ones.tolist(), strict=True))
    written = set(reduced.constants) | {bit for bit, _ in coins}
    written |= {bit for part in reduced.parts for bit in part.clbits}
    for text in probe:
        if len(text) != reduced.num_clbits or set(text) - {"0", "1"}:
            out[text] = 0.0
            continue
        possible = all(text[-1 - bit] == str(value) for bit, value in reduced.constants.items())
        possible &= all(text[-1 - bit] == "0" for bit in range(reduced.num_clbits) if bit not in written)
        total = float(possible)
        for bit, one in coins:
            total *= one if text[-1 - bit] == "1" else 1 - one
        for part, answer in zip(reduced.parts, answers, strict=True):
            # A part may write bits that are certain in the end: its own value on the way does not matter.
            own = answer.probabilities.get(_restricted(text, part.clbits))
            if own is None:
                return {}
            total *= own
        out[text] = float(total)
    return out


def _answer(plan: Plan, whole: Counts | None, counts, probabilities, answers, coins, solver: _Solver, before):
    records = solver.records
    names = sorted({record["engine"] for record in records})
    costliest = max(records, key=lambda record: record["seconds"], default=None)
    metadata = dict(whole.metadata) if whole is not None else {
        "method": " + ".join(dict.fromkeys(str(answer.metadata.get("method")) for answer in answers)) or CLASSICAL,
        "infidelity": min(1.0, sum(answer.metadata.get("infidelity") or 0.0 for answer in answers)),
        **_collision(answers, coins),
    }  # fmt: skip
    for answer in answers:  # one part at most is larger than the memory that all of them have
        if "tiers" in answer.metadata:
            metadata["tiers"] = answer.metadata["tiers"]
    return {
        "counts": counts,
        "probabilities": probabilities,
        "metadata": metadata | {"engines": names},
        "engine": costliest["engine"] if costliest else CLASSICAL,
        "parts": records,
        "predicted_seconds": sum(before) + sum(record["predicted_seconds"] for record in records),
        "predicted_bytes": plan.answer_bytes + max((record["predicted_bytes"] for record in records), default=0),
        "certain": all(record["certain"] for record in records),
        "note": _notes(records),
        "reading_seconds": before[0],
        "decision_seconds": before[1],
    }


def _notes(records: Sequence[Mapping[str, Any]]) -> str:
    """How races went and what had to be tried again, "" where all went as planned."""
    notes = []
    for record in records:
        for name, why in record.get("failed", {}).items():
            notes.append(f"{name} did not do: {why}")
        tried = record.get("race", {})
        others = [name for name, told in tried.items() if told["given_up"]]
        if others:
            spent = format_seconds(sum(tried[name]["seconds"] for name in others))
            notes.append(f"{record['engine']} ended first; {' and '.join(others)} tried for {spent}")
    return "; ".join(notes)


def _collision(answers: Sequence[Counts], coins: Sequence[float]) -> dict[str, float]:
    """Σ p² of the whole distribution, where every part gave its own."""
    total = 1.0
    for answer in answers:
        own = answer.metadata.get("collision_probability")
        if own is None:
            return {}
        total *= own
    for one in coins:
        total *= one**2 + (1 - one) ** 2
    return {"collision_probability": float(total)}
