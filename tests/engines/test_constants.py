"""Timing of small runs: the least of several, other work taken off."""

import itertools
import threading
import time

from qrex.engines import constants
from qrex.engines.constants import best_seconds, waited_seconds


def test_the_smallest_of_several_counts(monkeypatch):
    durations = itertools.chain([0.05, 0.02, 0.09], itertools.repeat(0.01))
    now = [0.0]
    monkeypatch.setattr(constants.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(constants.time, "thread_time", lambda: 0.0)
    monkeypatch.setattr(constants, "waited_seconds", lambda: 0.0)

    def action():
        now[0] += next(durations)

    assert abs(best_seconds(action) - 0.02) < 1e-9
    assert abs(now[0] - 0.16) < 1e-9  # three times: more did not fit


def test_short_actions_are_repeated_more_often(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr(constants.time, "perf_counter", lambda: now[0])

    def action():
        calls.append(1)
        now[0] += 1e-3

    best_seconds(action)
    assert 10 <= len(calls) <= 12
    calls.clear()
    best_seconds(lambda: calls.append(1))
    assert len(calls) == 25


def test_what_takes_long_is_run_twice(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr(constants.time, "perf_counter", lambda: now[0])

    def action():
        calls.append(1)
        now[0] += 1.0

    best_seconds(action)
    assert len(calls) == 2


def test_waiting_for_a_processor_is_taken_off_and_work_is_not(monkeypatch):
    now, waited, worked = [0.0], [0.0], [0.0]
    monkeypatch.setattr(constants.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(constants.time, "thread_time", lambda: worked[0])
    monkeypatch.setattr(constants, "waited_seconds", lambda: waited[0])

    def action():
        now[0] += 1.0
        waited[0] += 0.75
        worked[0] += 0.25

    assert abs(best_seconds(action) - 0.25) < 1e-9

    def told_too_much():
        action()
        waited[0] += 0.2

    assert abs(best_seconds(told_too_much) - 0.25) < 1e-9


def test_sleep_is_not_waiting_for_a_processor_and_waiting_only_grows():
    assert best_seconds(lambda: time.sleep(0.05), 1) >= 0.02
    before = waited_seconds()
    rivals = [threading.Thread(target=lambda: sum(range(200_000))) for _ in range(4)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert waited_seconds() >= before >= 0
