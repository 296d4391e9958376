"""Which circuits each contender finishes, how long each takes, and how far qrex is from the fastest of all engines.

In: the set, one child per contender and per engine of qrex. Out: findings per circuit, kept at once.
A contender that is stopped at the limit is not tried on larger sizes of that family: those count as not finished
and are listed as assumed. Contenders take turns, in rotated order; five repeats below 5 s, one above; medians. An
engine asked for by name is stopped at twice qrex's own time. An answer above 20 qubits is verified by its mirror
circuit, on the same settings, untimed; a peer that took over a second for it, or to prepare, is taken at its word.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from routing_children import Child, Outcome
from routing_forms import is_unitary
from routing_ours import MAX_INFIDELITY, OURS
from routing_record import Record
from routing_set import Item, load

__all__ = ["LIMIT_SECONDS", "FLOOR_SECONDS", "PART", "measure"]

LIMIT_SECONDS = 60.0
FLOOR_SECONDS = 0.02
REPEATS = 5
REPEATED_BELOW_SECONDS = 5.0
_NEAR = 1.5  # an engine slower than this after one run is not the fastest, and not run again
_PREPARE_SECONDS = 60.0
_VERIFIED_ABOVE_QUBITS = 20
_VERIFIED = 0.99
_MIRROR_FACTOR, _MIRROR_EXTRA_SECONDS = 4.0, 5.0
_PEERS_VERIFIED_BELOW_SECONDS = 1.0
# These never leave anything out, whatever they answer: dense or stabilizer states in double or single precision.
_EXACT = frozenset(["aer-automatic", "qsim"])
PART = "circuits"


def measure(
    items: Sequence[Item], contenders: Mapping[str, Child], engines: Mapping[str, Child], record: Record
) -> None:
    """Run what the record does not hold yet."""
    began = time.monotonic()
    for number, item in enumerate(items):
        if item.name in record.part(PART):
            continue
        found = _Circuit(item, contenders, engines, _assumed(item, record), number).measured()
        record.keep(PART, item.name, found)
        spent = time.monotonic() - began
        progress = f"[{number + 1}/{len(items)} {spent / 60:.1f} min]"
        print(f"{progress} {item.name}: {_line(found)}", file=sys.stderr, flush=True)


def _assumed(item: Item, record: Record) -> dict[str, str]:
    """Contenders that ran into the limit at a smaller size of this family, with that circuit's name."""
    out: dict[str, str] = {}
    for name, found in record.part(PART).items():
        if found["family"] == item.family and found["size"] < item.size:
            for who, outcome in found["contenders"].items():
                if outcome["state"] in ("stopped", "unprepared"):
                    out.setdefault(who, name)
    return out


class _Circuit:
    """One circuit's turn."""

    def __init__(self, item: Item, contenders, engines, assumed: Mapping[str, str], number: int) -> None:
        self.item, self.children, self.number = item, {**contenders, **engines}, number
        self.contenders, self.engines = list(contenders), list(engines)
        self.assumed = assumed
        self.outcomes: dict[str, list[Outcome]] = {}
        self.preparing_seconds: dict[str, float] = {}

    def measured(self) -> dict[str, Any]:
        self._first_runs(self.contenders, LIMIT_SECONDS)
        ours = self._seconds(OURS)
        if ours is not None:
            self._first_runs(self.engines, min(LIMIT_SECONDS, 2 * ours + FLOOR_SECONDS))
        for repeat in range(1, REPEATS):
            for who in self._rotated(self.contenders + self.engines, repeat):
                if self._worth_repeating(who):
                    limit = LIMIT_SECONDS if who in self.contenders else 2 * self._seconds(OURS) + FLOOR_SECONDS
                    self.outcomes[who].append(self.children[who].run(1000 * repeat + self.number, limit))
        unitary = is_unitary(load(self.item))
        found = {who: self._summary(who) for who in self.outcomes}
        if unitary and self.item.qubits > _VERIFIED_ABOVE_QUBITS:
            for who in self.contenders:
                self._verify(who, found[who])
        return {
            "family": self.item.family,
            "size": self.item.size,
            "qubits": self.item.qubits,
            "gates": self.item.gates,
            "unitary": unitary,
            "contenders": {who: found[who] for who in self.contenders},
            "engines": {who: found[who] for who in self.engines if who in found},
        }

    def _rotated(self, names: Sequence[str], repeat: int) -> list[str]:
        shift = (self.number + repeat) % max(1, len(names))
        return list(names[shift:]) + list(names[:shift])

    def _first_runs(self, names: Sequence[str], limit_seconds: float) -> None:
        for who in self._rotated(names, 0):
            if who in self.assumed:
                self.outcomes[who] = [Outcome("assumed", why=f"stopped at {self.assumed[who]}")]
                continue
            began = time.monotonic()
            prepared = self.children[who].prepare(self.item.path, _PREPARE_SECONDS)
            self.preparing_seconds[who] = time.monotonic() - began
            if prepared.state == "ok":
                prepared = self.children[who].run(self.number, limit_seconds)
            elif prepared.state == "stopped":
                prepared = Outcome("unprepared", why=prepared.why)
            self.outcomes[who] = [prepared]

    def _seconds(self, who: str) -> float | None:
        times = [outcome.seconds for outcome in self.outcomes.get(who, ()) if outcome.seconds is not None]
        return statistics.median(times) if times else None

    def _worth_repeating(self, who: str) -> bool:
        runs = self.outcomes.get(who, ())
        if not runs or any(outcome.state != "ok" for outcome in runs) or self._seconds(who) >= REPEATED_BELOW_SECONDS:
            return False
        ours = self._seconds(OURS)
        return who in self.contenders or runs[0].seconds <= _NEAR * max(ours, FLOOR_SECONDS)

    def _summary(self, who: str) -> dict[str, Any]:
        runs = self.outcomes[who]
        last = next((run for run in reversed(runs) if run.state != "ok"), runs[-1])
        summary: dict[str, Any] = {"state": last.state, "seconds": self._seconds(who) if last.state == "ok" else None}
        if last.why:
            summary["why"] = last.why
        if last.state == "ok":
            facts = [run.facts for run in runs]
            summary |= {
                "runs": [round(run.seconds, 6) for run in runs],
                "infidelity": max((run.infidelity for run in runs if run.infidelity is not None), default=None),
                "peak_bytes": int(statistics.median(run.peak_bytes for run in runs)),
                "facts": facts[0],
            }
            if "decision_seconds" in facts[0]:
                summary["decision_seconds"] = statistics.median(f["decision_seconds"] for f in facts)
            if who == OURS or who in self.engines:
                stated = summary["infidelity"]
                if stated is None or stated > MAX_INFIDELITY:
                    summary |= {"state": "inaccurate", "why": f"states an infidelity of {stated}"}
        return summary

    def _verify(self, who: str, found: dict[str, Any]) -> None:
        """Adds "mirror": the share of zeros that the mirror circuit gave, or why it gave none. Zeros too rare, or for
        qrex none at all, and the answer does not count."""
        if found["state"] != "ok" or who in _EXACT:
            return
        if who != OURS and max(found["seconds"], self.preparing_seconds[who]) > _PEERS_VERIFIED_BELOW_SECONDS:
            found["mirror"] = "taken at its word"
            return
        child = self.children[who]
        limit = min(LIMIT_SECONDS, _MIRROR_FACTOR * found["seconds"] + _MIRROR_EXTRA_SECONDS)
        hint = found["facts"].get("settings", "")
        outcome = child.prepare(self.item.path, _PREPARE_SECONDS, mirrored=True, hint=hint)
        if outcome.state == "ok":
            outcome = child.run(7, limit)
        if outcome.state == "ok":
            found["mirror"] = outcome.zeros
            if outcome.zeros < _VERIFIED:
                found |= {"state": "wrong", "why": f"its mirror circuit returns with probability {outcome.zeros:.3f}"}
        else:
            found["mirror"] = f"{outcome.state}: {outcome.why}"
            if who == OURS:
                found |= {"state": "unverified", "why": f"mirror {found['mirror']}"}


def _line(found: Mapping[str, Any]) -> str:
    def one(outcome: Mapping[str, Any]) -> str:
        return f"{outcome['seconds']:.3g} s" if outcome["state"] == "ok" else outcome["state"]

    return ", ".join(f"{who} {one(outcome)}" for who, outcome in found["contenders"].items())
