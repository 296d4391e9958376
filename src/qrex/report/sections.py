"""What the sections of the report say, before any format: the five functions, totals, and flat conditions.

In: `Summary`. Out: small frozen rows that the HTML and the Markdown templates both read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qrex.report.wording import clean
from qrex.units import format_seconds

if TYPE_CHECKING:
    from qrex.report.summary import MechanismRow, Summary

__all__ = ["FunctionRow", "flat_items", "function_rows", "headline_counts", "source_line"]

_FUNCTIONS = (
    ("Dynamic resource allocation", "Sizes work from predicted bytes and seconds, so that nothing runs out "
     "of memory and nothing idles.", ()),
    ("Quantum state optimization", "Keeps states longer: decoupling and calibrated error correction.",
     ("apply_dynamical_decoupling", "calibrate_error_correction")),
    ("Entanglement fabric scaling", "Chooses where qubits sit and which links carry the gates.",
     ("reconfigure_trap_layout",)),
    ("Memory-storage tiering", "Spreads one state vector over cache, memory and disk, with snapshots.",
     ("activate_memory_banks", "allocate_storage")),
    ("Utilization balancing", "Sends each circuit to the engine or device that finishes it soonest.",
     ("optimize_workload_balancer",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One of the five functions: what it is for, and what was done in this job."""

    title: str
    purpose: str
    done: tuple[str, ...]


def _call_name(row: MechanismRow) -> str:
    return row.call.partition("(")[0].strip()


def _allocation(summary: Summary) -> str:
    sides = [row.after for row in summary.circuits]
    ran = [side for side in sides if side.outcome == "ran"]
    if not sides:
        return "No circuit was run."
    text = f"{len(ran)} of {len(sides)} circuit runs finished"
    pairs = [(s.predicted_seconds, s.seconds) for s in ran if s.predicted_seconds and s.seconds]
    if pairs:
        predicted, actual = (sum(column) for column in zip(*pairs, strict=True))
        text += f"; predicted {format_seconds(predicted)} of work in all, took {format_seconds(actual)}"
    return text + "."


def function_rows(summary: Summary) -> tuple[FunctionRow, ...]:
    """The five functions in the founding text's order, with what this job did for each."""
    mechanisms = {_call_name(row): row for row in summary.mechanisms}
    rows = []
    for title, purpose, calls in _FUNCTIONS:
        done = [
            f"{mechanisms[call].title}: {mechanisms[call].status}; {mechanisms[call].reason}"
            if call in mechanisms
            else f"{call}: not applied; it was not called"
            for call in calls
        ]
        rows.append(FunctionRow(title, purpose, tuple(done) or (_allocation(summary),)))
    return tuple(rows)


def headline_counts(summary: Summary) -> dict[str, int]:
    """How many figures stand at each verdict, in the order a reader asks for them."""
    verdicts = ("improved", "worse", "changed", "no significant difference", "not measured")
    return {v: sum(c.verdict == v for c in summary.comparisons) for v in verdicts}


def source_line(summary: Summary) -> str:
    """Where the quantum figures come from, in words."""
    qpu = summary.qpu
    if not qpu.get("name"):
        return "no QPU on this platform"
    words = {"simulated": "simulated device", "hardware": "hardware"}
    source = words.get(str(qpu.get("source", "")), "source not stated")
    return f"{clean(str(qpu['name']), 60)}, {source}"


def flat_items(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """`data` as (dotted key, text) pairs, nested mappings opened, lists as JSON."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat_items(value, name + ".")
        elif isinstance(value, str):
            yield clean(name, 100), clean(value, 500)
        else:
            yield clean(name, 100), clean(json.dumps(value, ensure_ascii=False, default=str), 500)
