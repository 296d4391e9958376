"""Corrections of the cost models, learned from the runs that were stored.

In: what engines' models predicted beside what runs took. Out: a `Refinement`, JSON-able: for each engine a factor
on its seconds and one on its bytes. Pure: the same observations give the same factors. O(n log n) to learn, a
microsecond to apply.

Model: ln(actual / predicted) = a + b · (log10 predicted − center), one line per engine, fitted by iterated
reweighting with Huber's weights and a ridge that is worth `_PRIOR_CIRCUITS` circuits which the model predicts
rightly, so that few data change little. Against one factor per engine, factors by decade and lines with more terms
(rows, qubits), the line predicted circuits of families left out best. Nothing that a few runs say counts for much:
runs of one circuit are one observation (their median), an engine with less than `MIN_CIRCUITS` is left alone, no
factor leaves 1/`MAX_FACTOR` … `MAX_FACTOR`, and outside of the predictions seen the line is not extended.

Bytes are never corrected downwards: an engine refuses to start with less than its own formula says, and a worker
that still holds pages of an earlier run grows by less than a run needs.

Reference: Huber, Ann. Math. Statist. 35, 73 (1964).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from qrex.engines import Cost
from qrex.errors import InputError
from qrex.profile import Profile

__all__ = ["MAX_FACTOR", "MIN_CIRCUITS", "Correction", "Observation", "Refinement", "observations", "refine"]

MIN_CIRCUITS = 5
MAX_FACTOR = 8.0

_PRIOR_CIRCUITS = 4.0
_HUBER = 0.4  # in ln(ratio), a factor of 1.5: what departs further pulls with the same force, not more
_LARGEST_LOG = math.log(64.0)
_STEEPEST = 0.5  # of ln(ratio) per unit of ln(predicted): what is predicted to take longer still does afterwards
_ROUNDS = 12
_MAD_TO_SIGMA = 1.4826  # of a normal distribution
_LEAST_SIGMA = 0.05


@dataclass(frozen=True, slots=True)
class Observation:
    """One run: what the engine's model predicted, uncorrected, and what was measured. Bytes are None where one of
    the two is not known. Of an `upper_bound` nothing is learned, since a run may stay far below it."""

    engine: str
    circuit_id: str
    predicted_seconds: float
    actual_seconds: float
    predicted_bytes: int | None = None
    actual_bytes: int | None = None
    upper_bound: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """A factor by predicted value, with the 95 % interval of that factor (not of single runs).

    `low` and `high` are log10 of the least and the largest prediction seen, `center` their median; the line is
    `level + slope · (log10 predicted − center)`. `variance` holds the variances of level and slope and their
    covariance.
    """

    circuits: int
    center: float
    low: float
    high: float
    level: float
    slope: float
    variance: tuple[float, float, float]

    def factor(self, predicted: float) -> float:
        return math.exp(_bounded(self.level + self.slope * self._distance(predicted)))

    def interval(self, predicted: float) -> tuple[float, float]:
        at = self._distance(predicted)
        middle = self.level + self.slope * at
        levels, slopes, both = self.variance
        half = 1.96 * math.sqrt(max(0.0, levels + 2 * at * both + at * at * slopes))
        return math.exp(_bounded(middle - half)), math.exp(_bounded(middle + half))

    def typical(self) -> float:
        """The factor at the median prediction."""
        return math.exp(_bounded(self.level))

    def _distance(self, predicted: float) -> float:
        at = math.log10(predicted) if predicted > 0 else self.low
        return min(max(at, self.low), self.high) - self.center


@dataclass(frozen=True, slots=True)
class Refinement:
    """Corrections by engine; an engine that is not there is taken at its model's word."""

    seconds: Mapping[str, Correction] = field(default_factory=dict)
    bytes: Mapping[str, Correction] = field(default_factory=dict)

    def refined(self, engine: str, cost: Cost, _profile: Profile | None = None) -> Cost:
        """`cost` as runs of `engine` make it likely; a bound stays what it is. This is a `Refine` for `route`, though
        no feature of the circuit has been found to tell more than the prediction itself."""
        if cost.upper_bound:
            return cost
        seconds, held = self.seconds.get(engine), self.bytes.get(engine)
        if seconds is not None:
            cost = replace(cost, seconds=cost.seconds * seconds.factor(cost.seconds))
        if held is not None:
            cost = replace(cost, peak_bytes=math.ceil(cost.peak_bytes * max(1.0, held.factor(cost.peak_bytes))))
        return cost

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            what: {engine: asdict(found) | {"variance": list(found.variance)} for engine, found in table.items()}
            for what, table in (("seconds", self.seconds), ("bytes", self.bytes))
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Refinement:
        """The inverse of `to_dict`; raises InputError on another shape."""
        try:
            return cls(**{
                what: {
                    engine: Correction(**{**found, "variance": tuple(found["variance"])})
                    for engine, found in data[what].items()
                }
                for what in ("seconds", "bytes")
            })  # fmt: skip
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"these are no corrections of cost models ({error!r}); learn them with `refine`") from None


def observations(rows: Iterable[Mapping[str, Any]]) -> list[Observation]:
    """Rows of `Store.predictions` as observations, without those that nothing is to be learned from."""
    return [
        Observation(
            row["engine"], row["circuit_id"], row["model_seconds"], row["engine_seconds"], row["model_bytes"],
            row["engine_bytes"], row["upper_bound"],
        )
        for row in rows
        if row["model_seconds"] is not None and row["engine_seconds"] is not None
    ]  # fmt: skip


def refine(runs: Iterable[Observation]) -> Refinement:
    """What `runs` say about each engine's model."""
    seconds: dict[str, dict[str, list[tuple[float, float]]]] = {}
    held: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for run in runs:
        if run.upper_bound:
            continue
        for table, predicted, actual in (
            (seconds, run.predicted_seconds, run.actual_seconds),
            (held, run.predicted_bytes, run.actual_bytes),
        ):
            if predicted and actual and predicted > 0 and actual > 0:
                table.setdefault(run.engine, {}).setdefault(run.circuit_id, []).append((predicted, actual))
    return Refinement(_corrections(seconds), _corrections(held))


def _corrections(table: Mapping[str, Mapping[str, list[tuple[float, float]]]]) -> dict[str, Correction]:
    found = {}
    for engine, circuits in sorted(table.items()):
        if len(circuits) >= MIN_CIRCUITS:
            places = [median(math.log10(predicted) for predicted, _ in runs) for runs in circuits.values()]
            ratios = [median(math.log(actual / predicted) for predicted, actual in runs) for runs in circuits.values()]
            found[engine] = _line(places, [max(-_LARGEST_LOG, min(_LARGEST_LOG, ratio)) for ratio in ratios])
    return found


def _line(places: list[float], ratios: list[float]) -> Correction:
    """The robust line through (log10 predicted, ln ratio), drawn towards zero."""
    center = median(places)
    x = [place - center for place in places]
    level, slope = median(ratios), 0.0
    steepest = _STEEPEST * math.log(10.0)
    for _ in range(_ROUNDS):
        residuals = [y - level - slope * at for at, y in zip(x, ratios, strict=True)]
        weights = [min(1.0, _HUBER / max(abs(residual), 1e-12)) for residual in residuals]
        s0 = _PRIOR_CIRCUITS + sum(weights)
        s1 = sum(w * at for w, at in zip(weights, x, strict=True))
        s2 = _PRIOR_CIRCUITS + sum(w * at * at for w, at in zip(weights, x, strict=True))
        t0 = sum(w * y for w, y in zip(weights, ratios, strict=True))
        t1 = sum(w * at * y for w, at, y in zip(weights, x, ratios, strict=True))
        determinant = s0 * s2 - s1 * s1
        slope = max(-steepest, min(steepest, (s0 * t1 - s1 * t0) / determinant))
        level = (t0 - slope * s1) / s0
    sigma = max(_LEAST_SIGMA, _MAD_TO_SIGMA * median(abs(residual) for residual in residuals))
    scale = sigma * sigma / determinant
    return Correction(
        len(x), center, min(places), max(places), level, slope, (scale * s2, scale * s0, -scale * s1)
    )


def _bounded(log_factor: float) -> float:
    limit = math.log(MAX_FACTOR)
    return max(-limit, min(limit, log_factor))
