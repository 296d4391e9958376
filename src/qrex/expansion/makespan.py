"""How long a pass over the circuits took, compared where both sides did the same work.

In: passes before and after. Out: `Measurement`s and `Comparison`s. A pass that did not finish every circuit took at
least its makespan: how long depends on the time limit that stopped it, so the figure is marked as a lower bound and
no verdict is made of it. The verdict is made over the circuits that both sides finished.
"""

from __future__ import annotations

from collections.abc import Sequence

from qrex.circuits import Circuit
from qrex.evidence import LOWER_BOUND, Comparison, Measurement
from qrex.expansion.simulation import SimulationStage
from qrex.expansion.timing import union_seconds
from qrex.report.wording import clean
from qrex.units import format_seconds

__all__ = ["both_finished", "compared_makespan", "finished_seconds", "makespan_rows", "seconds_measurement"]

_DEFINITION = "cpu-and-gpu-usage"
_MAKESPAN = "Makespan"
_NAMED = 4
_INTERVAL = "interval: 95 % range of a fixed computation repeated on this host right before and after"


def both_finished(before: SimulationStage, after: SimulationStage) -> tuple[Circuit, ...]:
    """Circuits of different content that have an answer on both sides."""
    after_ids = {circuit.id for circuit in after.finished()}
    return tuple({c.id: c for c in before.finished() if c.id in after_ids}.values())


def not_finished(stage: SimulationStage) -> tuple[Circuit, ...]:
    return tuple(circuit for circuit in stage.circuits if stage.counts(circuit) is None)


def finished_seconds(stage: SimulationStage, circuits: Sequence[Circuit]) -> float:
    """The time in which any of `circuits` was going on, and what deciding took for all."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for circuit in circuits:
        payload = stage.payloads[circuit.id]
        spans.setdefault(payload["session"], []).append((payload["start"], payload["finish"]))
    return sum(map(union_seconds, spans.values())) + stage.decision_seconds


def seconds_measurement(stage: SimulationStage, circuits: Sequence[Circuit] | None = None) -> Measurement:
    """The makespan, of `circuits` or of the whole pass. One pass has no spread of its own: the interval is that of a
    fixed computation repeated on this host right before and after it; a lower bound has none."""
    detail = {"sessions": stage.sessions, "decision_seconds": stage.decision_seconds}
    value, count = stage.makespan_seconds, len(stage.finished())
    what, interval = "one pass over the circuits, deciding included", _INTERVAL
    low, high = stage.timing_spread
    if circuits is not None:
        value, count = finished_seconds(stage, circuits), len(circuits)
        what = "one pass, while any of the circuits was running, and deciding"
    elif not_finished(stage):
        detail[LOWER_BOUND] = True
        low = high = 1.0
        interval = "a lower bound, since not all were finished"
    return Measurement(
        value, value * min(low, 1.0), value * max(high, 1.0), "s", count or 1, None,
        f"wall time of {what}; n counts circuits; {interval}", "host", detail,
    )  # fmt: skip


def compared_makespan(key: str, title: str, before: SimulationStage, after: SimulationStage, note: str) -> Comparison:
    """The makespans of the whole passes, or where a side did not finish, over the circuits that both finished."""
    if not not_finished(before) and not not_finished(after):
        return Comparison(
            key, title, seconds_measurement(before), seconds_measurement(after), "lower", _DEFINITION, note
        )
    both = both_finished(before, after)
    title += f"{' of' if title == _MAKESPAN else ','} {len(both)} circuit{'s' * (len(both) != 1)} that both finished"
    sides = (seconds_measurement(before, both), seconds_measurement(after, both)) if both else (None, None)
    left = "; ".join(
        f"not finished {side}: {_names(stage)}"
        for side, stage in (("before", before), ("after", after))
        if not_finished(stage)
    )
    return Comparison(key, title, *sides, "lower", _DEFINITION, f"{note}; {left}" if note else left)


def makespan_rows(before: SimulationStage, after: SimulationStage, note: str = "") -> tuple[Comparison, ...]:
    """One row where both sides finished everything. Else two: over the circuits that both finished, and of the whole
    passes, which did different work. `note` is added to the first one's."""
    if not before.circuits:
        return (Comparison("makespan", "Makespan of simulations", None, None, "lower", _DEFINITION,
                           "no circuit of the workload is to be simulated"),)  # fmt: skip
    total = len(before.circuits)
    counted = (
        f"{len(before.finished())} of {total} circuits finished before, {len(after.finished())} after; "
        f"{_included(before, after)}{note}"
    )
    if not not_finished(before) and not not_finished(after):
        return (compared_makespan("makespan", "Makespan of simulations", before, after, counted),)
    whole = Comparison(
        "makespan", "Makespan of all circuits", seconds_measurement(before), seconds_measurement(after),
        "neither", _DEFINITION,
        "neither better nor worse: a side that did not finish every circuit did other work, and how long it took is "
        "set by the time limit",
    )  # fmt: skip
    return compared_makespan("makespan_finished", _MAKESPAN, before, after, counted), whole


def _included(before: SimulationStage, after: SimulationStage) -> str:
    """What else is in the times; how much of them transpiling took, where it was recorded."""
    values = [before.payloads[c.id]["value"] for c in both_finished(before, after)]
    told = [value["metadata"].get("transpile_seconds") for value in values]
    share = f" ({format_seconds(sum(told))} of it)" if told and None not in told else ""
    side, then = ("before includes", "; after includes deciding") if after.routes else ("both sides include", "")
    return f"{side} transpiling for Aer{share}, as a plain user pays it{then}"


def _names(stage: SimulationStage) -> str:
    circuits = not_finished(stage)
    named = [f"{clean(c.name, 60)} ({_why(stage, c)})" for c in circuits[:_NAMED]]
    rest = len(circuits) - _NAMED
    return ", ".join(named) + (f" and {rest} more" if rest > 0 else "")


def _why(stage: SimulationStage, circuit: Circuit) -> str:
    if circuit.id in stage.refused:
        return "no engine"
    payload = stage.payloads.get(circuit.id)
    return clean(payload["error"], 80) if payload else "not run"
