"""What finished circuits say about the cost models, kept for the plans to come.

In: a circuit's work unit, what it took, and how it had been planned. Out: rows of the store: what was predicted
beside what the worker took (memory: of its whole process), and, where one engine ran one part alone, what its model
had said of that part on the threads that it was given beside what the part took. Only of the latter is learned: after
a race, a retry or with several parts no single model can be held to account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qrex.balance import Plan
from qrex.engines import Cost, Engine
from qrex.engines.asking import ask_cost
from qrex.engines.registry import available_engines
from qrex.errors import EngineError
from qrex.execute import WorkUnit
from qrex.execute.solving import Prepared
from qrex.expansion.session import Session
from qrex.store import NewPrediction

__all__ = ["WHEN_SAID", "keep_predictions", "when_said"]

WHEN_SAID = ("before anything ran", "after the first round of a race", "after a race")
"""When a prediction was made; its place here is the feature "said" of the stored row."""

_LEAST_TOLD_BYTES = 16 << 20
"""Growth below this says nothing of what a run needed: a warm worker reuses memory that it holds."""


@dataclass(frozen=True, slots=True)
class _Alone:
    """One engine, one part, no race: what the model said for the threads granted, and what the part took."""

    model: Cost
    said: Cost
    seconds: float


def keep_predictions(
    session: Session,
    units: Sequence[WorkUnit],
    payloads: Mapping[str, Mapping[str, Any]],
    prepared: Mapping[str, Prepared],
) -> None:
    """Keep a row for every circuit in `payloads` that finished and whose time had been predicted."""
    engines = available_engines(session.constants.values)
    scope, rows = session.predictions_scope, []
    for unit in units:
        payload, planned = payloads[unit.task.id], prepared.get(unit.task.id)
        value = payload["value"]
        if planned is None or value is None or not value["certain"] or payload["kept"]:
            continue
        alone = _alone(session, engines, planned, payload)
        # Planned here: what the worker took to look at the plan was measured, not predicted.
        seconds = value["predicted_seconds"] - value["reading_seconds"] - value["decision_seconds"]
        bound = _is_bound(value["parts"], planned.plan)
        if alone is not None:
            # The plan had all cores in mind; the run was granted what was free.
            seconds += alone.said.seconds - value["parts"][0]["predicted_seconds"]
        grown = payload["peak_bytes"]
        rows.append(NewPrediction(
            key=unit.key,
            engine=value["engine"],
            circuit_id=unit.task.id,
            predicted_seconds=seconds,
            predicted_bytes=payload["base_rss_bytes"] + value["predicted_bytes"],
            actual_seconds=payload["seconds"],
            actual_bytes=payload["peak_rss_bytes"],
            model_seconds=alone.model.seconds if alone else None,
            model_bytes=alone.model.peak_bytes if alone else None,
            engine_seconds=alone.seconds if alone else None,
            engine_bytes=grown if alone and grown >= _LEAST_TOLD_BYTES else None,
            upper_bound=bound,
            features=_features(planned, payload),
            host=session.host.hostname_hash,
            scope=scope,
        ))  # fmt: skip
    session.store.keep_predictions(rows)
    session.store.keep_names({circuit.id: circuit.name for circuit in session.simulated})


def _alone(
    session: Session, engines: Mapping[str, Engine], planned: Prepared, payload: Mapping[str, Any]
) -> _Alone | None:
    parts, plan = payload["value"]["parts"], planned.plan
    if len(parts) != 1 or len(plan.routes) != 1 or "race" in parts[0] or "failed" in parts[0]:
        return None
    name = plan.routes[0].engine
    allotment = session.allotment(payload["threads"], payload["memory_bytes"])
    try:
        model = ask_cost(name, engines[name], planned.analysis.profiles(plan.whole)[0], allotment)
    except (EngineError, KeyError):
        return None
    return _Alone(model, session.refinement.refined(name, model), parts[0]["seconds"])


def _is_bound(parts: Sequence[Mapping[str, Any]], plan: Plan) -> bool:
    """Whether what was predicted was a bound for a part: one that no race has replaced by a forecast."""
    return any(
        route.cost.upper_bound and part["predicted_seconds"] >= route.cost.seconds
        for part, route in zip(parts, plan.routes, strict=False)
    )


def when_said(row: Mapping[str, Any]) -> str:
    """In words; "" for rows of stores that do not tell."""
    said = row["features"].get("said")
    return "" if said is None else WHEN_SAID[int(said)]


def _said(parts: Sequence[Mapping[str, Any]]) -> int:
    """Of all parts together: a race that was won spoke after its first round, one that was lost when it was over."""
    raced = [part for part in parts if "race" in part]
    if not raced:
        return 0
    won = any(part["engine"] in part["race"] and not part["race"][part["engine"]]["given_up"] for part in raced)
    return 1 if won else 2


def _features(planned: Prepared, payload: Mapping[str, Any]) -> dict[str, float]:
    profiles = planned.analysis.profiles(planned.plan.whole)
    return {
        "rows": sum(profile.instructions for profile in profiles),
        "active_qubits": max((profile.active_qubits for profile in profiles), default=0),
        "shots": planned.analysis.shots,
        "threads": payload["threads"],
        "said": _said(payload["value"]["parts"]),
    }
