"""Races of made-up runs on a made-up clock: who wins, who is given up, what trying may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from qrex.engines import Stage
from qrex.errors import EngineError, MemoryLimitError
from qrex.execute.racing import RACE_LIMIT, race


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Made:
    """Takes `total` seconds; expects `hopes(fraction)` times what is really left; fails at `fails_at` seconds."""

    clock: Clock
    total: float
    hopes: object = lambda fraction: 1.0
    fails_at: float = math.inf
    done: float = field(default=0.0)

    def advance(self, seconds: float) -> Stage:
        step = min(seconds, self.total - self.done)
        self.clock.now += step
        self.done += step
        if self.done >= self.fails_at:
            raise MemoryLimitError("too many amplitudes")
        fraction = self.done / self.total
        left = self.hopes(fraction) * (self.total - self.done)
        return Stage(self.done >= self.total, fraction, 1, 1, left)


def quiet(_fraction: float) -> None:
    pass


def run(clock, runs, certain=math.inf, share=None, keeper=None):
    share = 0.1 * certain if share is None and math.isfinite(certain) else share or 0.0
    return race(runs, certain, share, quiet, keeper, clock)


def test_a_contender_that_is_faster_overtakes():
    clock = Clock()
    winner, _ = run(clock, {"a": Made(clock, 0.05), "b": Made(clock, 30.0)}, certain=1.0)
    assert winner.name == "a" and clock.now < 0.06 + 0.1


def test_hopeless_contenders_get_a_fair_start_and_no_more():
    clock = Clock()
    winner, racers = run(clock, {"a": Made(clock, 100.0), "b": Made(clock, 200.0)}, certain=1.0)
    assert winner is None and clock.now < 0.07
    assert all("longer" in racer.given_up for racer in racers)


def test_a_contender_that_doubts_itself_at_first_may_still_win():
    clock = Clock()
    shy = Made(clock, 0.02, hopes=lambda fraction: 1e6 if fraction < 0.9 else 1.0)
    winner, _ = run(clock, {"shy": shy}, certain=2.0)
    assert winner is not None and winner.name == "shy"


def test_a_contender_that_always_hopes_costs_at_most_the_limit():
    clock = Clock()
    dreamer = Made(clock, 1000.0, hopes=lambda fraction: 1e-4)
    winner, racers = run(clock, {"dreamer": dreamer}, certain=1.0)
    assert winner is None and clock.now <= RACE_LIMIT + 0.6
    assert "used up" in racers[0].given_up


def test_after_the_share_only_the_one_that_expects_to_end_first_goes_on():
    clock = Clock()
    winner, racers = run(clock, {"fast": Made(clock, 3.0), "slow": Made(clock, 9.0)}, certain=10.0, share=0.1)
    assert winner.name == "fast"
    assert racers[1].spent < 0.15


def test_without_a_certain_engine_somebody_ends_and_the_loser_takes_little():
    clock = Clock()
    winner, racers = run(clock, {"a": Made(clock, 40.0), "b": Made(clock, 4.0)})
    assert winner.name == "b" and clock.now < 4.0 * 1.5 + 0.1
    assert racers[0].given_up == "b ended first"


def test_a_failure_leaves_the_others_running_and_is_raised_when_nobody_is_left():
    clock = Clock()
    winner, racers = run(clock, {"a": Made(clock, 1.0, fails_at=0.5), "b": Made(clock, 5.0)})
    assert winner.name == "b" and racers[0].given_up == "too many amplitudes"
    with pytest.raises(EngineError, match="too many"):
        run(clock, {"a": Made(clock, 1.0, fails_at=0.5)})
    winner, _ = run(clock, {"a": Made(clock, 1.0, fails_at=0.001)}, certain=2.0)
    assert winner is None


def test_the_keeper_is_paused_for_a_faster_one_but_never_given_up():
    clock = Clock()
    runs = {"keeper": Made(clock, 2.0), "liar": Made(clock, 50.0, hopes=lambda f: 0.001)}
    winner, _ = run(clock, runs, certain=2.5, keeper="keeper")
    assert winner.name == "keeper" and clock.now < 2.0 + RACE_LIMIT * 2.5 + 0.6
    clock = Clock()
    runs = {"keeper": Made(clock, 2.0), "quick": Made(clock, 0.3)}
    winner, _ = run(clock, runs, certain=2.5, keeper="keeper")
    assert winner.name == "quick" and clock.now < 0.7


def test_progress_may_cancel():
    class Cancelled(Exception):
        pass

    def cancel(_fraction: float) -> None:
        raise Cancelled

    clock = Clock()
    with pytest.raises(Cancelled):
        race({"a": Made(clock, 9.0)}, math.inf, 0.0, cancel, None, clock)
