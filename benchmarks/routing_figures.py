"""The figures that the findings add up to.

In: findings per circuit. Out: shares, totals, regret, routing's own time, how good the predictions were.
What a contender does not finish counts as the limit of 60 s in its total and as its time in the regret.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from routing_contenders import PEERS
from routing_finish import FLOOR_SECONDS, LIMIT_SECONDS
from routing_ours import OURS

__all__ = ["BYTES_FLOOR", "finish_figures", "prediction_figures", "regret_figures", "table"]

BYTES_FLOOR = 32 * 2**20
"""Peaks below this count as this: pages and allocator arenas that come and go with any Python call."""

Found = Mapping[str, Mapping[str, Any]]


def finish_figures(circuits: Found) -> dict[str, Any]:
    """Who finished what, and total times."""
    count = len(circuits)
    finished = {who: [name for name, found in circuits.items() if _ok(found, who)] for who in (OURS, *PEERS)}
    union = {name for who in PEERS for name in finished[who]}
    totals = {who: sum(_time(found, who) for found in circuits.values()) for who in (OURS, *PEERS)}
    best = min(PEERS, key=lambda who: totals[who])
    answered = [found for name, found in circuits.items() if name in union or name in finished[OURS]]
    ours_there, best_there = (sum(_time(found, who) for found in answered) for who in (OURS, best))
    ours = {name: found["contenders"][OURS] for name, found in circuits.items()}
    return {
        "circuits": count,
        "finished": round(len(finished[OURS]) / count, 4),
        "finished_union_of_peers": round(len(union) / count, 4),
        "finished_by_contender": {who: len(names) for who, names in finished.items()},
        "finished_by_a_peer_only": sorted(union - set(finished[OURS])),
        "finished_by_qrex_only": sorted(set(finished[OURS]) - union),
        "total_over_best_peer": round(totals[OURS] / totals[best], 4),
        "best_peer": best,
        "total_over_best_peer_where_anyone_finished": round(ours_there / best_there, 4),
        "total_seconds": {who: round(seconds, 2) for who, seconds in totals.items()},
        "out_of_memory": sum(found["state"] == "memory" for found in ours.values()),
        "unfinished": {name: f"{f['state']}: {f.get('why', '')}" for name, f in ours.items() if f["state"] != "ok"},
        "assumed": {
            who: [name for name, found in circuits.items() if found["contenders"][who]["state"] == "assumed"]
            for who in (OURS, *PEERS)
        },
        "wrong_answers": {
            who: sum(found["contenders"][who]["state"] == "wrong" for found in circuits.values())
            for who in (OURS, *PEERS)
        },
    }


def regret_figures(circuits: Found) -> dict[str, Any]:
    """Our time over that of the fastest of all engines, ours by name and the peers, where anyone finished."""
    regret: dict[str, tuple[float, str]] = {}
    for name, found in circuits.items():
        rivals = {who: o["seconds"] for who, o in _all(found) if o["state"] == "ok"}
        if rivals:
            fastest = min(rivals, key=rivals.__getitem__)
            ratio = max(_time(found, OURS), FLOOR_SECONDS) / max(rivals[fastest], FLOOR_SECONDS)
            regret[name] = (max(1.0, ratio), fastest)
    values = sorted(value for value, _ in regret.values())
    ours = [f["contenders"][OURS] for f in circuits.values() if _ok(f, OURS)]
    long = [o["decision_seconds"] / o["seconds"] for o in ours if o["seconds"] > 1.0]
    raced = [
        (o["decision_seconds"] + o["facts"]["lost_race_seconds"]) / o["seconds"] for o in ours if o["seconds"] > 1.0
    ]
    worst = sorted(regret.items(), key=lambda entry: -entry[1][0])[:12]
    return {
        "regret_median": _rounded(_quantile(values, 0.5)),
        "regret_p90": _rounded(_quantile(values, 0.9)),
        "regret_worst": {name: [round(value, 2), who] for name, (value, who) in worst},
        "routing_share_over_1s": _spread(long),
        "routing_and_lost_races_share_over_1s": _spread(raced),
        "routing_ms_median": _rounded(1e3 * statistics.median(o["decision_seconds"] for o in ours) if ours else None),
    }


def prediction_figures(circuits: Found) -> dict[str, Any]:
    """Predicted when the engine was chosen, beside measured; none of these circuits is used for calibration."""
    rows = [
        (name, found["contenders"][OURS], found["contenders"][OURS]["facts"])
        for name, found in circuits.items()
        if _ok(found, OURS)
    ]
    outside: dict[str, Any] = {}
    bytes_good, seconds_good, bytes_raw, seconds_raw = [], [], [], []
    for name, ours, said in rows:
        of_bytes = (said["predicted_bytes"], ours["peak_bytes"])
        of_seconds = (said["predicted_seconds"], ours["seconds"])
        bytes_good.append(_within_fifth(*(max(value, BYTES_FLOOR) for value in of_bytes)))
        seconds_good.append(_within_twice(*(max(value, FLOOR_SECONDS) for value in of_seconds)))
        bytes_raw.append(_within_fifth(*of_bytes))
        seconds_raw.append(_within_twice(*of_seconds))
        if not (bytes_good[-1] and seconds_good[-1]):
            outside[name] = {
                "engine": said["engine"],
                "predicted_and_actual_bytes": list(of_bytes),
                "predicted_and_actual_seconds": [round(value, 4) for value in of_seconds],
            }
    before = [good for good, (_, _, said) in zip(seconds_good, rows, strict=True) if said["certain"]]
    return {
        "predictions": len(rows),
        "predictions_before_anything_ran": len(before),
        "seconds_within_2x_before_anything_ran": _share(before),
        "bytes_within_20pct": _share(bytes_good),
        "seconds_within_2x": _share(seconds_good),
        "bytes_within_20pct_without_floor": _share(bytes_raw),
        "seconds_within_2x_without_floor": _share(seconds_raw),
        "predictions_outside": outside,
    }


def table(circuits: Found) -> str:
    """One line per circuit: each contender's seconds, or why not, and the fastest of all."""
    lines = [f"{'circuit':32}{'qubits':>7}{'gates':>9}" + "".join(f"{who:>15}" for who in (OURS, *PEERS)) + "  fastest"]
    for name, found in circuits.items():
        rivals = {who: o["seconds"] for who, o in _all(found) if o["state"] == "ok"}
        fastest = min(rivals, key=rivals.__getitem__) if rivals else "nobody"
        cells = "".join(f"{_cell(found['contenders'][who]):>15}" for who in (OURS, *PEERS))
        chosen = found["contenders"][OURS].get("facts", {}).get("engine", "")
        shown = f"{fastest} {rivals[fastest]:.3g}" if rivals else fastest
        lines.append(f"{name:32}{found['qubits']:>7}{found['gates']:>9}{cells}  {shown}  ({chosen})")
    return "\n".join(lines)


def _cell(outcome: Mapping[str, Any]) -> str:
    return f"{outcome['seconds']:.4g}" if outcome["state"] == "ok" else outcome["state"]


def _all(found: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    yield from found["contenders"].items()
    yield from found["engines"].items()


def _ok(found: Mapping[str, Any], who: str) -> bool:
    return found["contenders"][who]["state"] == "ok"


def _time(found: Mapping[str, Any], who: str) -> float:
    return found["contenders"][who]["seconds"] if _ok(found, who) else LIMIT_SECONDS


def _within_fifth(predicted: float, actual: float) -> bool:
    return abs(predicted - actual) <= 0.2 * actual


def _within_twice(predicted: float, actual: float) -> bool:
    return actual <= 2 * predicted and predicted <= 2 * actual


def _share(good: list[bool]) -> float | None:
    return round(sum(good) / len(good), 4) if good else None


def _quantile(values: list[float], share: float) -> float | None:
    """By linear interpolation between the sorted `values`."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"max": _rounded(max(values, default=None)), "median": _rounded(_quantile(sorted(values), 0.5))}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
