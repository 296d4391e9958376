"""How true predictions were: what was said before the runs beside what they took.

In: rows as `Store.predictions` gives them. Out: one `Accuracy` per engine. Ratios are actual over predicted; a
prediction is within a factor of two where the ratio is from 1/2 to 2. Bounds are no predictions and are counted
apart: of them only can be said how many held. O(n log n).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Accuracy", "accuracy"]

_NEAR_BYTES = 0.2


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of one engine. `low_ratio` and `high_ratio` enclose 90 % of the runs' ratios of seconds; `median_log2` and
    `p90_log2` are of |log2(ratio)|. `bytes_within_20` is the share of the `bytes_runs` runs whose predicted peak is
    within 20 % of the measured one. What there are no runs for is None."""

    engine: str
    runs: int
    within_2x: float | None
    median_ratio: float | None
    low_ratio: float | None
    high_ratio: float | None
    median_log2: float | None
    p90_log2: float | None
    bytes_runs: int
    bytes_within_20: float | None
    bounds: int
    bounds_held: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values under the field names."""
        return asdict(self)


def accuracy(rows: Iterable[Mapping[str, Any]]) -> tuple[Accuracy, ...]:
    """Accuracy of every engine in `rows`, by name."""
    by_engine: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["predicted_seconds"] and row["actual_seconds"] > 0:
            by_engine.setdefault(row["engine"], []).append(row)
    return tuple(_of_one(engine, found) for engine, found in sorted(by_engine.items()))


def _of_one(engine: str, rows: list[Mapping[str, Any]]) -> Accuracy:
    said = [row for row in rows if not row["upper_bound"]]
    bounds = [row["actual_seconds"] <= row["predicted_seconds"] for row in rows if row["upper_bound"]]
    ratios = np.array([row["actual_seconds"] / row["predicted_seconds"] for row in said])
    near = [
        abs(row["predicted_bytes"] / row["actual_bytes"] - 1) <= _NEAR_BYTES
        for row in said
        if row["predicted_bytes"] and row["actual_bytes"]
    ]
    low, middle, high = np.percentile(ratios, [5, 50, 95]).tolist() if said else (None, None, None)
    half, most = np.percentile(np.abs(np.log2(ratios)), [50, 90]).tolist() if said else (None, None)
    return Accuracy(
        engine, len(said), _share((ratios >= 0.5) & (ratios <= 2.0)), middle, low, high, half, most, len(near),
        _share(near), len(bounds), _share(bounds),
    )  # fmt: skip


def _share(held) -> float | None:
    return float(np.mean(held)) if len(held) else None
