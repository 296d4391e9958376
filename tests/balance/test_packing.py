"""Packing: never past memory or cores, never below the bound, and right where the answer is known."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.balance import Task, pack
from qrex.errors import InfeasibleError, InputError

task_lists = st.lists(
    st.tuples(st.floats(0.001, 1e3), st.floats(1.0, 2.0), st.integers(0, 100)), min_size=1, max_size=14
)


def tasks_of(drawn):
    return [
        Task(f"t{index}", {1: seconds, 2: seconds / speedup}, peak)
        for index, (seconds, speedup, peak) in enumerate(drawn)
    ]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(task_lists, st.integers(1, 4), st.integers(100, 250))
def test_schedules_are_legal(drawn, cores, memory):
    tasks = tasks_of(drawn)
    schedule = pack(tasks, cores, memory)
    assert sorted(placement.task_id for placement in schedule.placements) == sorted(task.id for task in tasks)
    by_id = {task.id: task for task in tasks}
    for placement in schedule.placements:
        task = by_id[placement.task_id]
        assert placement.end_seconds - placement.start_seconds == pytest.approx(task.seconds[placement.threads])
        together = [
            other for other in schedule.placements if other.start_seconds <= placement.start_seconds < other.end_seconds
        ]
        assert sum(by_id[other.task_id].peak_bytes for other in together) <= schedule.peak_bytes <= memory
        assert sum(other.threads for other in together) <= cores
    assert schedule.makespan_seconds == max(placement.end_seconds for placement in schedule.placements)
    assert schedule.lower_bound_seconds <= schedule.makespan_seconds * (1 + 1e-9)
    assert schedule == pack(tasks, cores, memory)


def best_makespan(tasks, cores, memory):
    """The optimum by trying every order and every thread count, starting each task as early as it may."""
    best = float("inf")
    for order in itertools.permutations(tasks):
        for threads in itertools.product(*[[t for t in task.seconds if t <= cores] for task in order]):
            placed = []
            for task, count in zip(order, threads, strict=True):
                times = sorted({0.0} | {end for _, end, _, _ in placed})
                for start in times:
                    end = start + task.seconds[count]
                    moments = [start] + [s for s, _, _, _ in placed if start < s < end]
                    if all(
                        sum(c for s, e, c, _ in placed if s <= at < e) + count <= cores
                        and sum(m for s, e, _, m in placed if s <= at < e) + task.peak_bytes <= memory
                        for at in moments
                    ):
                        placed.append((start, end, count, task.peak_bytes))
                        break
            best = min(best, max(end for _, end, _, _ in placed))
    return best


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 20), st.floats(1.0, 2.0), st.integers(10, 100)), min_size=1, max_size=4))
def test_close_to_the_optimum_and_the_bound_below_it(drawn):
    tasks = tasks_of(drawn)
    schedule = pack(tasks, 2, 120)
    optimum = best_makespan(tasks, 2, 120)
    assert schedule.lower_bound_seconds <= optimum * (1 + 1e-9)
    assert schedule.makespan_seconds <= 1.5 * optimum + 1e-9


def test_small_ones_go_side_by_side_and_a_large_one_gets_all_threads():
    small = [Task(f"small{index}", {1: 1.0, 2: 0.9}, 1) for index in range(4)]
    large = Task("large", {1: 10.0, 2: 5.0}, 50)
    schedule = pack([*small, large], cores=2, memory_bytes=60)
    threads = {placement.task_id: placement.threads for placement in schedule.placements}
    assert threads["large"] == 2
    assert {threads[task.id] for task in small} == {1}
    assert schedule.makespan_seconds == pytest.approx(7.0)
    assert schedule.lower_bound_seconds == pytest.approx(7.0)


def test_memory_keeps_two_large_ones_apart():
    schedule = pack([Task("a", {1: 3.0}, 60), Task("b", {1: 2.0}, 60)], cores=2, memory_bytes=100)
    assert schedule.makespan_seconds == schedule.lower_bound_seconds == 5.0


def test_endless_estimates_do_not_hinder_the_others():
    schedule = pack([Task("endless", {1: 1e250, 2: 1e250}, 1), Task("b", {1: 2.0}, 1)], 2, 10)
    starts = {placement.task_id: placement.start_seconds for placement in schedule.placements}
    assert starts == {"endless": 0.0, "b": 0.0}


def test_hundreds_of_tasks():
    schedule = pack(
        [Task(f"t{index}", {1: 1 + index % 7, 2: 1.0 + index % 7}, index % 30) for index in range(400)],
        4,
        100,
    )
    assert schedule.makespan_seconds <= 1.1 * schedule.lower_bound_seconds


def test_nothing_to_do():
    assert pack([], 2, 100).makespan_seconds == 0


def test_what_cannot_fit_says_what_would_make_it_fit():
    with pytest.raises(InfeasibleError, match=r"2 GB.*--memory"):
        pack([Task("wide", {1: 1.0}, 2 * 10**9)], 2, 10**9)
    with pytest.raises(InfeasibleError, match="4 threads"):
        pack([Task("many", {4: 1.0}, 1)], 2, 10)
    with pytest.raises(InputError, match="twice"):
        pack([Task("a", {1: 1.0}, 1), Task("a", {1: 1.0}, 1)], 2, 10)
