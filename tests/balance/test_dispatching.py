"""Deciding what starts now: never past cores or memory, never stuck, and against the shape that never changes."""

import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.balance import Task, pack
from qrex.balance.dispatching import Filler, Running, dispatch


def wide(name, seconds, cores=2, parallel=0.9, peak=1):
    """Amdahl's law."""
    return Task(name, {t: seconds * (1 - parallel + parallel / t) for t in range(1, cores + 1)}, peak)


def threads_of(decision):
    return {start.task_id: start.threads for start in decision.starts}


def test_a_large_one_alone_gets_all_threads():
    assert threads_of(dispatch([wide("a", 10, 8)], [], 8, 10)) == {"a": 8}


def test_threads_that_bring_nothing_are_not_taken():
    assert threads_of(dispatch([Task("a", {1: 1.0, 2: 0.99, 4: 1.2}, 1)], [], 4, 10)) == {"a": 1}


def test_many_equal_ones_run_one_per_core():
    decision = dispatch([wide(f"t{n}", 1.0, 4) for n in range(40)], [], 4, 100)
    assert sorted(threads_of(decision).values()) == [1, 1, 1, 1]


def test_the_last_ones_get_the_idle_cores():
    assert threads_of(dispatch([wide("a", 5, 8), wide("b", 5, 8)], [], 8, 10)) == {"a": 4, "b": 4}


def test_a_long_one_is_widened_so_that_it_is_not_the_last():
    tasks = [wide("long", 40, 4), *(wide(f"t{n}", 1.0, 4) for n in range(30))]
    decision = dispatch(tasks, [], 4, 100)
    assert threads_of(decision)["long"] > 1


def test_where_memory_lets_only_one_run_it_gets_the_cores():
    tasks = [wide(f"t{n}", 3.0, peak=60) for n in range(4)]
    assert list(threads_of(dispatch(tasks, [], 2, 100)).values()) == [2]


def test_one_thread_now_or_two_later_whichever_ends_first():
    task = wide("a", 10.0, parallel=0.95)
    assert threads_of(dispatch([task], [Running(1, 1, 1.0)], 2, 10)) == {}
    assert threads_of(dispatch([task], [Running(1, 1, 20.0)], 2, 10)) == {"a": 1}


def test_short_ones_fill_what_placed_ones_leave():
    filler = Filler(500, 5.0, 1)
    decision = dispatch([wide("a", 3.0, parallel=0.0)], [], 2, 10, filler)
    assert (threads_of(decision), decision.filler_cores) == ({"a": 1}, 1)
    assert dispatch([], [Running(1, 1, 1.0)], 2, 10, filler).filler_cores == 1
    assert dispatch([], [], 4, 3, filler).filler_cores == 3, "memory for three"
    # One that takes every core waits for them, and they for nothing.
    decision = dispatch([wide("a", 60.0)], [], 2, 10, filler)
    assert (threads_of(decision), decision.filler_cores) == ({}, 2)


def test_more_threads_than_there_are_for_now():
    task = Task("a", {4: 1.0}, 1)
    assert threads_of(dispatch([task], [], 2, 10)) == {"a": 4}
    assert threads_of(dispatch([task], [Running(1, 1, 1.0)], 2, 10)) == {}


tasks_drawn = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(0, 1), st.integers(0, 90)), max_size=16)
running_drawn = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 60), st.floats(0, 100)), max_size=3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tasks_drawn, running_drawn, st.integers(1, 6), st.integers(0, 200), st.integers(0, 5))
def test_never_past_cores_or_memory_and_never_stuck(drawn, busy, cores, memory, short):
    tasks = [wide(f"t{n}", s, 8, p, peak) for n, (s, p, peak) in enumerate(drawn)]
    running = [Running(*one) for one in busy]
    filler = Filler(short, 0.1 * short, 10)
    decision = dispatch(tasks, running, cores, memory, filler)
    by_id = {task.id: task for task in tasks}
    started = threads_of(decision)
    assert len(started) == len(decision.starts) and decision.filler_cores <= short
    taken = sum(started.values()) + decision.filler_cores
    if taken:
        assert taken + sum(one.threads for one in running) <= cores
        held = sum(by_id[name].peak_bytes for name in started) + 10 * decision.filler_cores
        assert held + sum(one.peak_bytes for one in running) <= memory
    if not running and any(peak <= memory for peak in [task.peak_bytes for task in tasks] + [10] * (short > 0)):
        assert taken
    assert decision == dispatch(tasks, running, cores, memory, filler)


def fixed_shape(tasks, actual, cores, memory):
    """The makespan where threads are chosen once, for all, and whatever fits is started in that order."""
    placements = sorted(pack(tasks, cores, memory).placements, key=lambda placement: placement.start_seconds)
    waiting = [(placement.task_id, placement.threads, placement.peak_bytes) for placement in placements]
    running, now = [], 0.0
    while waiting or running:
        for one in list(waiting):
            threads, held = sum(r[1] for r in running), sum(r[2] for r in running)
            if threads + one[1] <= cores and held + one[2] <= memory:
                waiting.remove(one)
                running.append((now + actual(one[0], one[1]), one[1], one[2]))
        now = min(one[0] for one in running)
        running = [one for one in running if one[0] > now]
    return now


def decided_as_it_runs(tasks, actual, cores, memory):
    waiting, running, now = {task.id: task for task in tasks}, [], 0.0
    while waiting or running:
        seen = [Running(t, peak, due - now if due > now else 0.1 * (now - began)) for _, t, peak, due, began in running]
        for start in dispatch(list(waiting.values()), seen, cores, memory).starts:
            task, threads = waiting.pop(start.task_id), start.threads
            end, due = now + actual(task.id, threads), now + task.seconds[threads]
            running.append((end, threads, task.peak_bytes, due, now))
        now = min(one[0] for one in running)
        running = [one for one in running if one[0] > now]
    return now


@pytest.mark.parametrize("noise", [0.0, 0.5], ids=["predicted exactly", "predicted within about 1.4x"])
@pytest.mark.parametrize("cores", [2, 4, 16])
@pytest.mark.parametrize("most", [6, 30, 120])
@pytest.mark.parametrize("tight", [False, True], ids=["", "little memory"])
def test_against_the_shape_that_never_changes(cores, most, tight, noise):
    draw = random.Random(f"{cores} {most} {tight} {noise}")
    ratios = []
    for _ in range(300 // most):
        tasks = [
            wide(f"t{n}", 10 ** draw.uniform(-1, 2), cores, draw.choice([0, 0.5, 0.9, 0.97]),
                 draw.randint(1, 60) if tight else 1)
            for n in range(draw.randint(max(1, most // 4), most))
        ]  # fmt: skip
        by_id = {task.id: task for task in tasks}
        off = {task.id: 2 ** draw.gauss(0, noise) for task in tasks}

        def actual(name, threads, by_id=by_id, off=off):
            return by_id[name].seconds[threads] * off[name]

        ratios.append(decided_as_it_runs(tasks, actual, cores, 100) / fixed_shape(tasks, actual, cores, 100))
    assert statistics.geometric_mean(ratios) <= 1.02
    if noise == 0.0:
        assert max(ratios) <= 1.3
