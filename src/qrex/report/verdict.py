"""The report in one sentence, made from its comparisons.

In: `Summary`. Out: text that names what improved and by how much, what got worse (always, wherever it
stands), what shows no significant difference and what was not measured. Nothing is weighed or left out by
taste: figures come in the order of the tables, and those past the limit are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrex.evidence import Comparison
from qrex.report.wording import change_text, clean, value_text

if TYPE_CHECKING:
    from qrex.report.summary import Summary

__all__ = ["verdict_sentence"]

_NAMED = 2


def _movement(c: Comparison) -> str:
    rose = c.after.value > c.before.value
    return (
        f"{clean(c.title, 60)} {'rose' if rose else 'fell'} from {value_text(c.before, c.definition)} "
        f"to {value_text(c.after, c.definition)} ({change_text(c)})"
    )


def _listed(parts: list[str], rest: int = 0) -> str:
    parts = parts + ([f"{rest} more"] if rest else [])
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _titles(group: list[Comparison]) -> str:
    return _listed([clean(c.title, 60) for c in group[:_NAMED]], max(0, len(group) - _NAMED))


def _runs(summary: Summary) -> str:
    before = sum(row.before.outcome == "ran" for row in summary.circuits)
    after = sum(row.after.outcome == "ran" for row in summary.circuits)
    if before == after == len(summary.circuits):
        return ""
    text = f"{after} of {len(summary.circuits)} circuit runs finished, {before} before"
    missing = [
        f"not finished {side}: {_listed(names[:_NAMED], max(0, len(names) - _NAMED))}"
        for side, names in (("before", _unfinished(summary, "before")), ("after", _unfinished(summary, "after")))
        if names
    ]
    return f"{text} ({'; '.join(missing)})"


def _unfinished(summary: Summary, side: str) -> list[str]:
    return [
        clean(row.name, 40) + " on the QPU" * (row.target == "qpu")
        for row in summary.circuits
        if getattr(row, side).outcome != "ran"
    ]


def verdict_sentence(summary: Summary) -> str:
    """One sentence, e.g. "Makespan fell from 45.2 s to 21.3 s (÷2.12); worse: Peak memory (+62 %)." """
    tables = summary.classical + summary.quantum
    improved = [c for c in tables if c.verdict == "improved"]
    worse = [c for c in summary.comparisons if c.verdict == "worse"]
    same = [c for c in tables if c.verdict == "no significant difference"]
    missing = [c for c in tables if c.verdict == "not measured"]
    clauses = []
    if improved:
        rest = len(improved) - _NAMED
        more = [f"{rest} more figure{'s' * (rest > 1)} improved"] if rest > 0 else []
        clauses.append(_listed([_movement(c) for c in improved[:_NAMED]] + more))
    else:
        clauses.append("No figure improved beyond its 95 % interval")
    if runs := _runs(summary):
        clauses.append(runs)
    if worse:
        rest = len(worse) - _NAMED
        more = f" and {rest} more" if rest > 0 else ""
        clauses.append(
            "worse: " + _listed([f"{clean(c.title, 60)} ({change_text(c)})" for c in worse[:_NAMED]]) + more
        )
    if same:
        clauses.append("no significant difference in " + _titles(same))
    if missing:
        clauses.append("not measured: " + _titles(missing))
    sentence = "; ".join(clauses) + "."
    return sentence[0].upper() + sentence[1:]
