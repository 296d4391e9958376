"""Engines that can be stepped, raced against each other and against the predicted time of a certain one.

In: runs that were started, and the seconds that the certain engine would take (inf if there is none). Out: the run
that ended, or None: then the certain engine should run. At first every contender gets short slices of work, twice
as long each round, and says what it expects for the rest; once the race has used its share, only the one that
expects to end first goes on. A contender that expects more than the certain engine takes is given up once it has
had a fair start. The certain engine may be one of the runs itself (`keeper`): then it is never given up for
others, only paused.

At worst the race adds `RACE_LIMIT` of the certain time. Where nothing is certain, contenders share the time
according to their forecasts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qrex.engines import Stage, SteppedRun
from qrex.errors import EngineError, MemoryLimitError

__all__ = ["RACE_LIMIT", "Racer", "race"]

RACE_LIMIT = 0.5
"""A contender that keeps expecting to end first may use this share of the certain engine's time."""

_FIRST_SLICE = 0.002
_LONGEST_SLICE = 0.5
_FAIR_SHARE = 0.03  # of the certain time, before a forecast counts: early ones see only how a state grows
_OTHERS_SHARE = 0.25  # of the leader's time, where nothing is certain


@dataclass(slots=True)
class Racer:
    """One contender: what it has used, its last stage, or why it was given up."""

    name: str
    run: SteppedRun | None
    spent: float = 0.0
    stage: Stage | None = None
    given_up: str = ""
    forecasts: list[float] = field(default_factory=list)  # total seconds expected, after each slice

    @property
    def forecast(self) -> float:
        """Seconds that it expects from now on."""
        return self.stage.forecast_seconds if self.stage is not None else 0.0


def race(
    runs: Mapping[str, SteppedRun],
    certain_seconds: float,
    race_seconds: float,
    progress: Callable[[float], None],
    keeper: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Racer | None, list[Racer]]:
    """The contender that is done, or None, and what became of all. `progress` may raise to cancel.

    Raises the last contender's error where no certain engine is left to fall back on.
    """
    racers = [Racer(name, run) for name, run in runs.items()]
    slice_seconds = _FIRST_SLICE
    error: EngineError | None = None
    while live := [racer for racer in racers if racer.run is not None]:
        for racer in _turn(live, certain_seconds, race_seconds, keeper):
            try:
                _advance(racer, slice_seconds, clock)
            except EngineError as raised:
                error = raised
                _give_up(racer, str(raised))
                if racer.name == keeper:
                    certain_seconds = math.inf  # its promise is void
                continue
            assert racer.stage is not None
            if racer.stage.done:
                for other in live:
                    if other is not racer and other.run is not None:
                        _give_up(other, f"{racer.name} ended first")
                return racer, racers
            progress(min(0.9, 0.9 * racer.stage.fraction))
        if math.isfinite(certain_seconds):
            _drop_losers([racer for racer in racers if racer.name != keeper], certain_seconds)
        slice_seconds = min(2 * slice_seconds, _LONGEST_SLICE)
    if keeper is not None or not math.isfinite(certain_seconds):
        raise error if error is not None else MemoryLimitError("no engine was left to run")
    return None, racers


def _turn(live: list[Racer], certain_seconds: float, race_seconds: float, keeper: str | None) -> list[Racer]:
    """Who gets the next slice: all while the race has its share, then whoever expects to end first; where nothing
    is certain, also those that fell far behind."""
    if len(live) == 1 or any(racer.stage is None for racer in live):
        return live
    live = sorted(live, key=lambda racer: (racer.forecast, racer.name != keeper))
    leader = live[0]  # goes first: if it ends now, the others need not go on
    if not math.isfinite(certain_seconds):
        return [racer for racer in live if racer is leader or racer.spent < _OTHERS_SHARE * leader.spent]
    if sum(racer.spent for racer in live if racer.name != keeper) < race_seconds:
        return live
    return [leader]


def _advance(racer: Racer, seconds: float, clock: Callable[[], float]) -> None:
    assert racer.run is not None
    began = clock()
    try:
        racer.stage = racer.run.advance(seconds)
    finally:
        racer.spent += clock() - began
    racer.forecasts.append(racer.spent + racer.stage.forecast_seconds)


def _drop_losers(racers: list[Racer], certain_seconds: float) -> None:
    spent = sum(racer.spent for racer in racers)
    for racer in racers:
        if racer.run is None:
            continue
        if racer.forecast > certain_seconds and racer.spent >= _FAIR_SHARE * certain_seconds:
            _give_up(racer, "expects to take longer than the certain engine")
        elif spent > RACE_LIMIT * certain_seconds:
            _give_up(racer, "used up what may be spent on trying")


def _give_up(racer: Racer, reason: str) -> None:
    racer.run, racer.given_up = None, reason
