"""Utilization against what is known: CPU time burnt on purpose, memory held on purpose, closed forms."""

import json
import os
import random
import resource
import subprocess
import sys
import time

import pytest

from qrex.telemetry import Utilization, UtilizationSampler
from qrex.telemetry.process_tree import read_tree
from qrex.telemetry.utilization import block_bootstrap_ratio

TICK = 1 / os.sysconf("SC_CLK_TCK")


def burn(cpu_seconds):
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass
    return time.process_time()


BURN = "import time\nwhile time.process_time() < {}: pass\n"


def test_cpu_time_of_this_process_agrees_with_getrusage():
    first = resource.getrusage(resource.RUSAGE_SELF)
    with UtilizationSampler(cores=1, rate_hz=20) as sampler:
        burn(0.4)
    last = resource.getrusage(resource.RUSAGE_SELF)
    spent = last.ru_utime + last.ru_stime - first.ru_utime - first.ru_stime
    u = sampler.utilization
    assert u.cpu_seconds == pytest.approx(spent, abs=4 * TICK)
    assert u.busy.value == pytest.approx(u.cpu_seconds / u.wall_seconds, rel=1e-6)
    assert u.busy.low <= u.busy.value <= u.busy.high
    assert u.busy.source == "host" and u.busy.n == len(u.samples) - 1


def test_children_that_start_and_end_are_counted():
    with UtilizationSampler(cores=2, rate_hz=10) as sampler:
        for _ in range(3):
            pair = [subprocess.Popen([sys.executable, "-c", BURN.format(0.2)]) for _ in range(2)]
            for child in pair:
                assert child.wait() == 0
    u = sampler.utilization
    # Every child burns 0.2 s at least, in its own clock; all six have ended and been waited for.
    assert u.cpu_seconds >= 6 * 0.2 - 6 * 2 * TICK
    assert u.cpu_seconds == pytest.approx(u.busy.detail["getrusage_cpu_seconds"], abs=16 * TICK)
    assert max(s.processes for s in u.samples) >= 2


CLOCKED = """
import time
while input():
    began = time.process_time()
    while time.process_time() < began + 0.033: pass
    print(time.process_time(), flush=True)
"""


def test_a_pass_of_a_few_ticks_is_accounted_in_full():
    child = subprocess.Popen([sys.executable, "-c", CLOCKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def work():
        child.stdin.write("go\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    first = work()
    own = time.process_time()
    with UtilizationSampler(cores=2) as sampler:
        last = work()
    own = time.process_time() - own
    child.communicate("\n")
    u = sampler.utilization
    # By the child's own clock, which began a little before; and whatever this process did meanwhile.
    assert last - first >= 0.033
    assert last - first - 0.002 <= u.cpu_seconds <= last - first + own + 0.002
    assert u.busy.value == pytest.approx(u.cpu_seconds / (2 * u.wall_seconds), rel=1e-6)
    assert u.busy.low <= u.busy.value - 0.5 * u.busy.detail["open_seconds"] / (2 * u.wall_seconds)
    assert u.cpu_seconds == pytest.approx(u.busy.detail["tick_cpu_seconds"], abs=2 * 2 * TICK + 0.005)


def test_short_work_is_sampled_in_between():
    with UtilizationSampler(cores=1) as sampler:
        time.sleep(0.1)
    assert len(sampler.utilization.samples) >= 4
    assert sampler.utilization.samples[1].at_seconds < 0.05


def test_workers_that_others_take_the_place_of():
    spent = 0.0
    with UtilizationSampler(cores=2) as sampler:
        for _ in range(2):
            pair = [subprocess.Popen([sys.executable, "-c", BURN.format(0.2)]) for _ in range(2)]
            spent += sum(0.2 for child in pair if child.wait(60) == 0)
    assert spent == pytest.approx(0.8)
    assert sampler.utilization.cpu_seconds >= spent - 8 * 2 * TICK


def test_past_of_a_worker_that_ends_during_the_stretch_is_not_charged():
    child = subprocess.Popen([sys.executable, "-c", BURN.format(0.6) + "print(flush=True)\ninput()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    child.stdout.readline()
    with UtilizationSampler(cores=1) as sampler:
        child.communicate(b"\n")
    u = sampler.utilization
    assert u.busy.detail["getrusage_cpu_seconds"] >= 0.6
    assert u.cpu_seconds < 0.5


def test_grandchildren_and_memory_are_seen():
    code = (
        "import subprocess, sys, time\n"
        "held = bytearray(80_000_000)\n"
        "inner = 'held = bytearray(60_000_000); print(flush=True); input()'\n"
        "p = subprocess.Popen([sys.executable, '-c', inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); print(flush=True); input(); p.communicate(b'\\n')\n"
    )
    before = read_tree(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with UtilizationSampler(cores=1) as sampler:
        child.stdout.readline()
        usage = read_tree(os.getpid(), pss=True)
        sampler._take(pss=False)
        child.communicate(b"\n")
    assert usage.processes == before.processes + 2
    assert usage.rss_bytes - before.rss_bytes > 140_000_000
    assert usage.pss_bytes is None or 140_000_000 < usage.pss_bytes <= usage.rss_bytes * 1.05
    peak = sampler.utilization.peak_memory
    assert usage.rss_bytes * 0.9 <= peak.value <= peak.high and peak.unit == "B"


def test_disk_traffic_of_children_counts(tmp_path):
    code = (
        f"import os\nf = open({str(tmp_path / 'f')!r}, 'wb')\n"
        "f.write(bytes(3_000_000))\nf.flush()\nos.fsync(f.fileno())"
    )
    with UtilizationSampler(cores=1) as sampler:
        subprocess.run([sys.executable, "-c", code], check=True)
    written = sampler.utilization.written_bytes
    assert written == 0 or written >= 3_000_000  # 0: a file system in memory writes to no disk


def test_an_exception_passes_through_and_the_result_is_there():
    with pytest.raises(KeyError), UtilizationSampler(cores=1) as sampler:
        raise KeyError
    assert sampler.utilization.wall_seconds > 0
    assert not sampler._thread.is_alive()


def test_result_is_not_there_before_the_end():
    with UtilizationSampler(cores=1) as sampler:
        with pytest.raises(RuntimeError, match="latest"):
            _ = sampler.utilization
        assert sampler.latest.processes >= 1


@pytest.mark.parametrize("bad", [{"rate_hz": 0}, {"cores": 0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="sampler needs"):
        UtilizationSampler(**bad)


def test_round_trip_through_json():
    with UtilizationSampler(cores=1) as sampler:
        burn(0.02)
    u = sampler.utilization
    assert Utilization.from_dict(json.loads(json.dumps(u.to_dict()))) == u


def test_bootstrap_covers_the_mean_of_independent_draws():
    # Independent uniforms: the ratio's standard error is known, sqrt(1/12/n).
    hits, n = 0, 100
    for seed in range(60):
        draw = random.Random(seed)
        low, high = block_bootstrap_ratio([draw.random() for _ in range(n)], [1.0] * n, seed, 300)
        hits += low <= 0.5 <= high
        assert high - low == pytest.approx(2 * 1.96 * (1 / 12 / n) ** 0.5, rel=0.5)
    assert hits >= 48  # 57 expected of 60; fewer than 48 has a chance below 1e-4


def test_bootstrap_widens_for_loads_that_come_in_runs():
    steady = [0.0, 1.0] * 60
    runs = ([0.0] * 10 + [1.0] * 10) * 6
    width = [high - low for low, high in (block_bootstrap_ratio(x, [1.0] * 120, 3) for x in (steady, runs))]
    assert width[1] > 3 * width[0]


def test_bootstrap_of_few_samples_is_their_range():
    assert block_bootstrap_ratio([0.2, 0.9], [1.0, 1.0], 0) == (0.2, 0.9)
    assert block_bootstrap_ratio([], [], 0) == (0.0, 0.0)
