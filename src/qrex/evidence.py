"""A number that may be printed: its interval, samples, seed, method and source; and two of them compared.

In: what a protocol or a sampler measured. Out: `Measurement`, and `Comparison` with its verdict. A report
prints no figure that is not one of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["LOWER_BOUND", "Better", "Comparison", "Measurement", "Source", "Verdict"]

Source = Literal["hardware", "simulated", "model", "host"]
"""Where a number comes from: a device, a simulated device, a formula, or this computer."""

Better = Literal["higher", "lower", "neither"]
Verdict = Literal["improved", "worse", "no significant difference", "changed", "not measured"]


LOWER_BOUND = "lower_bound"
"""Key of `Measurement.detail`: true where the figure is at least the value, such as a pass that was stopped."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured figure.

    `low` and `high` bound the 95 % interval. `unit` is SI ("s", "B", "Hz") or "" for a pure number. `n` is
    the sample count (shots, circuits or repeats: `method` says which). `seed` is None where nothing random
    took part. `detail` holds JSON-able values behind the figure, such as a curve or per-qubit values.
    """

    value: float
    low: float
    high: float
    unit: str
    n: int
    seed: int | None
    method: str
    source: Source
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.value, self.low, self.high)):
            raise ValueError(f"a measurement needs finite numbers, got {self.value}, [{self.low}, {self.high}]")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} lies outside its interval [{self.low}, {self.high}]")
        if self.n < 1:
            raise ValueError("a measurement needs at least one sample")
        if not self.method:
            raise ValueError("a measurement names its method")

    @property
    def is_lower_bound(self) -> bool:
        """Whether the figure is at least the value, nobody knows how much more."""
        return bool(self.detail.get(LOWER_BOUND))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure before and after, under one definition.

    `key` is the stable name in summary.json; `definition` is an anchor of docs/definitions.md; `seed_claim`
    is what the founding text says of it, for the reader to compare, or "".
    """

    key: str
    title: str
    before: Measurement | None
    after: Measurement | None
    better: Better
    definition: str
    note: str = ""
    seed_claim: str = ""

    @property
    def verdict(self) -> Verdict:
        """Improved, worse or changed only where the 95 % intervals do not overlap; figures without a spread
        (one sample tells none) only where they also differ by more than 1 %. A side that is a lower bound has no
        upper end: its interval reaches on."""
        if self.before is None or self.after is None:
            return "not measured"
        pointlike = self.before.low == self.before.high or self.after.low == self.after.high
        if pointlike and abs(self.after.value - self.before.value) <= 0.01 * abs(self.before.value):
            return "no significant difference"
        before_high, after_high = (math.inf if m.is_lower_bound else m.high for m in (self.before, self.after))
        if self.after.low <= before_high and self.before.low <= after_high:
            return "no significant difference"
        if self.better == "neither":
            return "changed"
        rose = self.after.value > self.before.value
        return "improved" if rose == (self.better == "higher") else "worse"

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
            "better": self.better,
            "verdict": self.verdict,
            "definition": self.definition,
            "note": self.note,
            "seed_claim": self.seed_claim,
        }
