"""Cost constants of every engine, measured on this machine.

In: the threads that one run may get, and a budget of seconds. Out: `CostConstants`, dated, JSON-able. Each
engine measures its own constants with tiny runs; passes over all engines are repeated while the budget lasts
and the median of each constant is kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from qrex.engines.registry import engine_calibrations
from qrex.errors import InputError

__all__ = ["CostConstants", "calibrate"]


@dataclass(frozen=True, slots=True)
class CostConstants:
    """`values` by engine and constant, in seconds per unit of work as each engine defines it.

    `measured_at` is ISO 8601 in UTC; `host` tells machines apart; `failures` says why an engine has none.
    """

    values: Mapping[str, Mapping[str, float]]
    measured_at: str
    threads: int
    host: str = ""
    passes: int = 1
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "values": {engine: dict(constants) for engine, constants in self.values.items()},
            "measured_at": self.measured_at,
            "threads": self.threads,
            "host": self.host,
            "passes": self.passes,
            "failures": dict(self.failures),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CostConstants:
        """The inverse of `to_dict`; raises InputError on another shape."""
        try:
            return cls(**data)
        except TypeError as error:
            raise InputError(f"these are not cost constants ({error}); measure them with `qrex calibrate`") from None


def calibrate(threads: int, budget_seconds: float = 6.0, host: str = "") -> CostConstants:
    """Measure every engine's constants with up to `threads` threads.

    At least one pass is made, however small the budget. An engine that fails is listed in `failures` and gets
    no constants, so that nothing is predicted for it.
    """
    if threads < 1:
        raise InputError(f"asked to calibrate for {threads} threads; at least 1 is needed")
    samples: dict[str, dict[str, list[float]]] = {}
    failures: dict[str, str] = {}
    began, passes = time.monotonic(), 0
    while passes == 0 or (time.monotonic() - began) * (passes + 1) / passes < budget_seconds:
        for name, measure in engine_calibrations(threads):
            if name in failures:
                continue
            try:
                measured = measure()
            except Exception as error:  # one engine's fault must not leave the others without constants
                failures[name] = f"{type(error).__name__}: {error}"
                continue
            for engine, constants in measured.items():
                for constant, value in constants.items():
                    samples.setdefault(engine, {}).setdefault(constant, []).append(float(value))
        passes += 1
    values = {
        engine: {constant: median(found) for constant, found in constants.items()}
        for engine, constants in samples.items()
    }
    return CostConstants(values, datetime.now(UTC).isoformat(timespec="seconds"), threads, host, passes, failures)
