"""Bounds of what several processes held together: against a brute-force sum over every moment."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.telemetry import Stretch, UtilizationSampler, memory_watch, utilization
from qrex.telemetry.peak_memory import Presence, peak_together
from qrex.telemetry.process_tree import read_tree, reset_high_water

MB = 2**20
LENGTH = 12


@st.composite
def held_by_one(draw):
    """What one process holds in each of `LENGTH` equal times, and its jobs (start, end), which do not overlap."""
    held = draw(st.lists(st.integers(1, 50), min_size=LENGTH, max_size=LENGTH))
    edges = sorted(draw(st.lists(st.integers(1, LENGTH - 1), unique=True, max_size=6)))
    jobs = list(zip(edges[::2], edges[1::2], strict=False))
    # Between jobs nothing changes: a worker that waits holds what its last job left.
    resting = held[0]
    for time_ in range(LENGTH):
        if not any(start <= time_ < end for start, end in jobs):
            held[time_] = resting
    return held, jobs


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(held_by_one(), min_size=1, max_size=4))
def test_the_true_peak_lies_between_the_bounds(processes):
    truth = max(sum(held[moment] for held, _ in processes) for moment in range(LENGTH))
    presences, stretches = {}, []
    for pid, (held, jobs) in enumerate(processes):
        presences[pid] = Presence(0.0, LENGTH, min(held), max(held), max(held), True)
        stretches += [
            Stretch(pid, start, end, held[start - 1], max(held[start:end]), held[end] if end < LENGTH else held[0])
            for start, end in jobs
        ]
    bounds = peak_together(presences, stretches)
    assert bounds.low_bytes <= truth <= bounds.value_bytes <= bounds.high_bytes


def test_jobs_one_after_the_other_do_not_add_up_and_side_by_side_they_do():
    there = {pid: Presence(0.0, 9.0, 10, 10, 10, True) for pid in (1, 2)}
    first = Stretch(1, 1.0, 3.0, 10, 70, 10)
    after, beside = Stretch(2, 3.0, 5.0, 10, 50, 10), Stretch(2, 2.0, 5.0, 10, 50, 10)
    alone, together = peak_together(there, [first, after]), peak_together(there, [first, beside])
    assert (alone.low_bytes, alone.value_bytes, alone.high_bytes) == (80, 80, 80)
    assert (together.low_bytes, together.value_bytes) == (80, 120)


def test_a_worker_that_was_replaced_is_not_held_beside_the_new_one():
    there = {1: Presence(0.0, 2.0, 10, 10, 10, False), 2: Presence(3.0, 9.0, 10, 10, 10, False)}
    jobs = [Stretch(1, 1.0, 2.0, 10, 500, 400), Stretch(2, 4.0, 5.0, 10, 300, 10)]
    assert peak_together(there, jobs).value_bytes == 500


def test_a_mark_that_may_lie_before_widens_the_upper_end_only():
    bounds = peak_together({1: Presence(0.0, 1.0, 10, 20, 90, True)}, [])
    assert (bounds.low_bytes, bounds.value_bytes, bounds.high_bytes) == (10, 20, 90)


SPIKE = """
import time
from qrex.execute.memory import reset_own_peak, own_peak_bytes, resident_bytes
print(flush=True)
input()
base, started = reset_own_peak(), time.monotonic()
held = bytearray(b"x") * {size}
del held
print(started, time.monotonic(), base, own_peak_bytes(), resident_bytes(), flush=True)
input()
"""


def spiking(size):
    child = subprocess.Popen([sys.executable, "-c", SPIKE.format(size=size)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)  # fmt: skip
    child.stdout.readline()
    return child


def told_by(child):
    child.stdin.write("\n")
    child.stdin.flush()
    started, finished, *sizes = child.stdout.readline().split()
    return Stretch(child.pid, float(started), float(finished), *map(int, sizes))


@pytest.fixture
def no_samples_between(monkeypatch):
    monkeypatch.setattr(utilization, "_FIRST_PAUSE_SECONDS", 60.0)
    return {"cores": 1, "rate_hz": 0.01}


def test_a_spike_that_no_sample_saw_counts(no_samples_between):
    child = spiking(150 * MB)
    with UtilizationSampler(**no_samples_between) as sampler:
        sampler.held(told_by(child))
    child.communicate("\n")
    peak = sampler.utilization.peak_memory
    assert len(sampler.utilization.samples) == 2
    assert peak.value - peak.detail["sampled_peak_bytes"] == pytest.approx(150 * MB, rel=0.1)
    assert peak.low - peak.detail["sampled_peak_bytes"] == pytest.approx(150 * MB, rel=0.1)
    assert peak.n == 1 and "high-water" in peak.method and not sampler.utilization.peak_is_sampled


def test_a_spike_of_a_process_without_jobs_counts(no_samples_between):
    child = spiking(150 * MB)
    with UtilizationSampler(**no_samples_between) as sampler:
        told_by(child)
    child.communicate("\n")
    peak = sampler.utilization.peak_memory
    assert peak.value - peak.detail["sampled_peak_bytes"] == pytest.approx(150 * MB, rel=0.1)


def test_a_spike_before_the_stretch_does_not_count(no_samples_between):
    child = spiking(150 * MB)
    told_by(child)
    own = read_tree(os.getpid()).memory[os.getpid()]
    with UtilizationSampler(**no_samples_between) as sampler:
        time.sleep(0.01)
    child.communicate("\n")
    peak = sampler.utilization.peak_memory
    past_of_this_process = own.high_water_bytes - own.rss_bytes
    assert peak.value == pytest.approx(peak.detail["sampled_peak_bytes"], rel=0.05)
    assert peak.high - peak.value <= past_of_this_process + 20 * MB


def test_the_mark_of_the_calling_process_is_left_alone():
    held = bytearray(b"x") * (100 * MB)
    del held
    before = read_tree(os.getpid()).memory[os.getpid()].high_water_bytes
    with UtilizationSampler(cores=1):
        pass
    assert read_tree(os.getpid()).memory[os.getpid()].high_water_bytes >= before


def test_marks_start_anew():
    child = spiking(150 * MB)
    told_by(child)
    before = read_tree(child.pid).memory[child.pid]
    assert before.high_water_bytes - before.rss_bytes > 100 * MB
    assert reset_high_water([child.pid, 2**22 + 1]) == {child.pid}  # the other one does not exist
    after = read_tree(child.pid).memory[child.pid]
    child.communicate("\n")
    assert after.high_water_bytes - after.rss_bytes < 10 * MB


def test_where_marks_cannot_be_reset_the_figure_says_that_it_is_sampled(no_samples_between, monkeypatch):
    monkeypatch.setattr(memory_watch.os, "access", lambda *_: False)
    monkeypatch.setattr(memory_watch, "reset_high_water", lambda _pids: set())
    child = spiking(150 * MB)
    with UtilizationSampler(**no_samples_between) as sampler:
        sampler.held(told_by(child))
    child.communicate("\n")
    u = sampler.utilization
    assert u.peak_is_sampled and u.peak_memory.n == len(u.samples) == 2
    assert u.peak_memory.value == u.peak_memory.detail["sampled_peak_bytes"] < u.peak_memory.high
