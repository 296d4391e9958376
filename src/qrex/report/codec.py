"""A `Summary` as plain JSON values, and back.

In: `Summary`. Out: dicts, lists, text, numbers, booleans and None, in the form that docs/summary.schema.json
describes; `FORMAT` names that form and is checked on the way back. Linear in the size of the summary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from qrex.errors import InputError
from qrex.evidence import Comparison, Measurement
from qrex.report.coherence_section import CoherenceSection, DeviceLink, QubitCoherence, WindowPoint
from qrex.report.summary import CircuitRow, MechanismRow, Side, Summary, ThresholdRow

__all__ = ["FORMAT", "summary_from_dict", "summary_to_dict"]

FORMAT = "qrex-summary-1"

_COMPARISONS = ("classical", "quantum", "implications", "outlook")
_FREE_FORM = ("qpu", "host", "unreadable", "conditions", "timings")
_PLAIN = ("workload", "platform", "created_at", "qrex_version", "seed", "command")


def _plain(value: Any) -> Any:
    """`value` with only JSON types; numbers that are not finite become None, since JSON has none."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_plain(item) for item in items]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    return str(value)


def _side_to_dict(side: Side) -> dict[str, Any]:
    data = {f.name: getattr(side, f.name) for f in fields(side)}
    data["fidelity"] = side.fidelity.to_dict() if side.fidelity else None
    return data


def _circuit_to_dict(row: CircuitRow) -> dict[str, Any]:
    data = {f.name: getattr(row, f.name) for f in fields(row)}
    return data | {"before": _side_to_dict(row.before), "after": _side_to_dict(row.after)}


def _mechanism_to_dict(row: MechanismRow) -> dict[str, Any]:
    data = {f.name: getattr(row, f.name) for f in fields(row)}
    return data | {"contributions": [c.to_dict() for c in row.contributions]}


def _threshold_to_dict(row: ThresholdRow) -> dict[str, Any]:
    data = {f.name: getattr(row, f.name) for f in fields(row)}
    return data | {"measured": row.measured.to_dict() if row.measured else None}


def _coherence_to_dict(section: CoherenceSection | None) -> dict[str, Any] | None:
    if section is None:
        return None
    data = {f.name: getattr(section, f.name) for f in fields(section)}
    return data | {
        "links": [asdict(link) for link in section.links],
        "qubits": [asdict(row) for row in section.qubits],
        "curve": [
            {
                "window_seconds": point.window_seconds,
                "before": point.before.to_dict(),
                "after": point.after.to_dict() if point.after else None,
            }
            for point in section.curve
        ],
        "figures": [c.to_dict() for c in section.figures],
        "closure": section.closure.to_dict() if section.closure else None,
        "window_ratio": section.window_ratio.to_dict() if section.window_ratio else None,
    }


def summary_to_dict(summary: Summary) -> dict[str, Any]:
    """The JSON form of `summary`; verdicts are for readers and are ignored on the way back."""
    data: dict[str, Any] = {"format": FORMAT, "verdict": summary.verdict}
    data |= {name: getattr(summary, name) for name in _PLAIN + _FREE_FORM}
    data |= {name: [c.to_dict() for c in getattr(summary, name)] for name in _COMPARISONS}
    data["mechanisms"] = [_mechanism_to_dict(row) for row in summary.mechanisms]
    data["thresholds"] = [_threshold_to_dict(row) for row in summary.thresholds]
    data["circuits"] = [_circuit_to_dict(row) for row in summary.circuits]
    data["notes"] = list(summary.notes)
    data["coherence"] = _coherence_to_dict(summary.coherence)
    return _plain(data)


def _measurement(data: Mapping[str, Any] | None) -> Measurement | None:
    return None if data is None else Measurement.from_dict(data)


def _comparison(data: Mapping[str, Any]) -> Comparison:
    stored = {key: value for key, value in data.items() if key != "verdict"}
    return Comparison(
        **(stored | {"before": _measurement(data["before"]), "after": _measurement(data["after"])})
    )


def _side(data: Mapping[str, Any]) -> Side:
    return Side(**(dict(data) | {"fidelity": _measurement(data.get("fidelity"))}))


def _circuit(data: Mapping[str, Any]) -> CircuitRow:
    return CircuitRow(**(dict(data) | {"before": _side(data["before"]), "after": _side(data["after"])}))


def _mechanism(data: Mapping[str, Any]) -> MechanismRow:
    contributions = tuple(_comparison(item) for item in data["contributions"])
    return MechanismRow(**(dict(data) | {"contributions": contributions}))


def _threshold(data: Mapping[str, Any]) -> ThresholdRow:
    return ThresholdRow(**(dict(data) | {"measured": _measurement(data["measured"])}))


def _coherence(data: Mapping[str, Any] | None) -> CoherenceSection | None:
    if data is None:
        return None
    rows = [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in data["qubits"]]
    sides = [{name: _measurement(point[name]) for name in ("before", "after")} for point in data["curve"]]
    read = {
        "links": tuple(DeviceLink(**link) for link in data["links"]),
        "qubits": tuple(QubitCoherence(**row) for row in rows),
        "curve": tuple(WindowPoint(**(p | s)) for p, s in zip(data["curve"], sides, strict=True)),
        "figures": tuple(_comparison(item) for item in data["figures"]),
        "closure": _measurement(data["closure"]),
        "window_ratio": _measurement(data["window_ratio"]),
    }
    return CoherenceSection(**(dict(data) | read))


def summary_from_dict(data: Mapping[str, Any]) -> Summary:
    """The `Summary` that `data` describes. Raises `InputError` where it is of another form."""
    found = data.get("format")
    if found != FORMAT:
        raise InputError(
            f"this summary has format {found!r}; this version reads {FORMAT!r}: make the report again"
        )
    try:
        return Summary(
            **{name: data[name] for name in _PLAIN + _FREE_FORM},
            **{name: tuple(_comparison(item) for item in data[name]) for name in _COMPARISONS},
            mechanisms=tuple(_mechanism(item) for item in data["mechanisms"]),
            thresholds=tuple(_threshold(item) for item in data["thresholds"]),
            circuits=tuple(_circuit(item) for item in data["circuits"]),
            notes=tuple(data["notes"]),
            coherence=_coherence(data.get("coherence")),  # summaries of before this section have none
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"this summary cannot be read ({error}): make the report again") from error
