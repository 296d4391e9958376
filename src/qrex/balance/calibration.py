"""Cost constants of every engine, measured on this machine.

In: the threads that one run may get, and a budget of seconds. Out: `CostConstants`, dated, JSON-able. Each engine
measures its own constants with tiny runs. Every engine is measured once, whatever the budget; then those that
still fit into it are measured again, each at most `_MOST_PASSES` times. The median of each constant is kept,
beside the range over the passes. What every run pays, whichever engine it is on, stands under `RUN`; only who holds
the workers can measure that, so it is handed in. O(engines × passes).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from statistics import median
from typing import Any, Literal

from qrex.engines.constants import waited_seconds
from qrex.engines.registry import available_engines, engine_calibrations
from qrex.errors import InputError

__all__ = ["FIRST_USE_SECONDS", "RUN", "CostConstants", "calibrate", "constant_unit", "uncalibrated"]

FIRST_USE_SECONDS = 6.0
"""The budget where somebody waits for something else: one pass over every engine, and a second one of the quick."""

RUN = "run"
"""Where `CostConstants.values` holds what every run pays: `dispatch` (seconds from the parent to a worker and back)
and `resident_bytes` (of a warm worker before it is given anything)."""

_MOST_PASSES = 7
Measurement = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class CostConstants:
    """`values` by engine and constant, in seconds per unit of work as each engine defines it (see `constant_unit`).

    `measured_at` is ISO 8601 in UTC; `host` tells machines apart; `failures` says why a calibration gave nothing.
    `ranges` are the least and the largest value over the passes of those constants that were measured more than
    once; `passes` is the largest number of them, `seconds` what the measuring took. `busy` is the share of that time
    in which other work had the processors.
    """

    values: Mapping[str, Mapping[str, float]]
    measured_at: str
    threads: int
    host: str = ""
    passes: int = 1
    failures: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    seconds: float = 0.0
    busy: float = 0.0

    @property
    def engines(self) -> tuple[str, ...]:
        """Those that have constants, by name."""
        return tuple(sorted(set(self.values) - {RUN}))

    @property
    def dispatch_seconds(self) -> float:
        """From the parent to a worker and back; 0 where it was not measured."""
        return self.values.get(RUN, {}).get("dispatch", 0.0)

    @property
    def resident_bytes(self) -> int:
        """Of a warm worker that has nothing to do; 0 where it was not measured."""
        return int(self.values.get(RUN, {}).get("resident_bytes", 0))

    def age_seconds(self, now: datetime | None = None) -> float:
        """Since it was measured, never below 0."""
        measured = datetime.fromisoformat(self.measured_at)
        measured = measured if measured.tzinfo else measured.replace(tzinfo=UTC)
        return max(0.0, ((now or datetime.now(UTC)) - measured).total_seconds())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, and the same after a trip through JSON."""
        return {
            "values": {engine: dict(constants) for engine, constants in self.values.items()},
            "measured_at": self.measured_at,
            "threads": self.threads,
            "host": self.host,
            "passes": self.passes,
            "failures": dict(self.failures),
            "ranges": {
                engine: {name: list(ends) for name, ends in constants.items()}
                for engine, constants in self.ranges.items()
            },
            "seconds": self.seconds,
            "busy": self.busy,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CostConstants:
        """The inverse of `to_dict`; raises InputError on another shape."""
        known = {one.name for one in fields(cls)}
        if not isinstance(data, Mapping) or set(data) - known:
            raise InputError("these are not cost constants; measure them with `qrex calibrate`")
        ranges = {
            engine: {name: (ends[0], ends[1]) for name, ends in constants.items()}
            for engine, constants in data.get("ranges", {}).items()
        }
        try:
            return cls(**{**data, "ranges": ranges})
        except TypeError as error:
            raise InputError(f"these are not cost constants ({error}); measure them with `qrex calibrate`") from None


def calibrate(
    threads: int,
    budget_seconds: float = FIRST_USE_SECONDS,
    host: str = "",
    run: Measurement | None = None,
) -> CostConstants:
    """Measure every engine's constants with up to `threads` threads, and with `run` what every run pays.

    What fails is listed in `failures`: its engines get no constants, so that nothing is predicted for them.
    """
    if threads < 1:
        raise InputError(f"asked to calibrate for {threads} threads; at least 1 is needed")
    began, waited = time.monotonic(), waited_seconds()
    samples: dict[str, dict[str, list[float]]] = {}
    failures: dict[str, str] = {}
    took: dict[str, float] = {}
    measurements = dict(_measurements(threads, run))
    pending = list(measurements)
    for number in range(1, _MOST_PASSES + 1):
        again = []
        for name in pending:
            started = time.monotonic()
            # A measurement takes as long as the one before it, or less: the first one also loads the engine.
            if number > 1 and started - began + took[name] > budget_seconds:
                continue
            try:
                _add(samples, measurements[name]())
            except Exception as error:  # one engine's fault must not leave the others without constants
                if number == 1:
                    failures[name] = f"{type(error).__name__}: {error}"
                continue
            took[name] = time.monotonic() - started
            again.append(name)
        pending = again
    seconds = time.monotonic() - began
    return CostConstants(
        values={engine: {name: median(found) for name, found in named.items()} for engine, named in samples.items()},
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        threads=threads,
        host=host,
        passes=max((len(found) for named in samples.values() for found in named.values()), default=0),
        failures=failures,
        ranges={
            engine: {name: (min(found), max(found)) for name, found in named.items() if len(found) > 1}
            for engine, named in samples.items()
        },
        seconds=seconds,
        busy=min(1.0, (waited_seconds() - waited) / seconds) if seconds > 0 else 0.0,
    )


def _measurements(
    threads: int, run: Measurement | None
) -> Iterable[tuple[str, Callable[[], Mapping[str, Mapping[str, float]]]]]:
    yield from engine_calibrations(threads)
    if run is not None:
        yield RUN, lambda: {RUN: run()}


def _add(samples: dict[str, dict[str, list[float]]], measured: Mapping[str, Mapping[str, float]]) -> None:
    """Take over one measurement, or nothing of it where a value cannot be a cost."""
    values = {engine: {name: float(value) for name, value in named.items()} for engine, named in measured.items()}
    for engine, named in values.items():
        wrong = [f"{name} = {value}" for name, value in named.items() if not 0 <= value < math.inf]
        if wrong:
            raise ValueError(f"{engine} measured {', '.join(wrong)}")
    for engine, named in values.items():
        for name, value in named.items():
            samples.setdefault(engine, {}).setdefault(name, []).append(value)


def uncalibrated(constants: CostConstants) -> tuple[str, ...]:
    """Engines that work here and lack constants without having failed: they were added after the calibration."""
    missing = []
    for name, engine in available_engines(constants.values).items():
        needed = getattr(engine, "constant_names", ())
        failed = any(name == other or name.startswith(f"{other}-") for other in constants.failures)
        if not failed and set(needed) - set(constants.values.get(name, {})):
            missing.append(name)
    return tuple(missing)


def constant_unit(name: str) -> Literal["s", "B", ""]:
    """The unit of a constant, told by its name: bytes, a pure number (a condition of the measurement), or seconds.

    >>> constant_unit("resident_bytes"), constant_unit("calibrated_threads"), constant_unit("per_bit")
    ('B', '', 's')
    """
    words = name.split("_")
    if "bytes" in words:
        return "B"
    return "" if words[0] == "calibrated" else "s"
