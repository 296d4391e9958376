"""No worker past its limit, as the operating system measures it; and one that is stopped takes nobody along.

The tasks here are module-level functions: workers import them by name."""

import ctypes
import os
import signal
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from qrex.errors import MemoryLimitError
from qrex.execute import Pool, Task
from qrex.execute.memory import SLACK_BYTES, WORKER_BYTES, highest_resident_bytes, resident_bytes
from qrex.telemetry import UtilizationSampler

MB = 2**20


def touch(megabytes, _progress):
    return int(np.ones(megabytes * MB, dtype=np.uint8)[-1])


def grow(megabytes, _progress):
    held = [bytearray(MB) for _ in range(megabytes)]
    return len(held)


def grow_with_malloc(megabytes, _progress):
    """As native code does it: small blocks, and nobody looks whether there was one."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(megabytes * 16):
        ctypes.memset(ctypes.c_void_p(libc.malloc(MB // 16)), 1, MB // 16)


def fill_reserved(megabytes, _progress):
    """Shared memory is no data to the operating system: only the watch on resident memory sees it."""
    import mmap

    block = mmap.mmap(-1, megabytes * MB)
    for start in range(0, megabytes * MB, MB):
        block[start : start + MB] = b"x" * MB
        time.sleep(0.002)
    return megabytes


def decompose(side, _progress):
    return float(np.linalg.svd(np.eye(side), compute_uv=False)[0])


def fail(name, _progress):
    os.kill(os.getpid(), getattr(signal, name))


def fails_to_converge(_progress):
    raise np.linalg.LinAlgError("SVD did not converge")


def leak(megabytes, _progress):
    globals()["_leaked"] = np.ones(megabytes * MB, dtype=np.uint8)
    return os.getpid()


def pid(_progress):
    return os.getpid()


@pytest.fixture(scope="module")
def pool():
    with Pool(cores=2, memory_bytes=3000 * MB) as pool:
        pool.warm()
        yield pool


class Watch:
    """Reads every worker's own high-water mark until the block ends, as another program would."""

    def __init__(self, pool):
        self.pool, self.highest, self.sums, self._stop = pool, 0, [], threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.005):
            pids = [worker.process.pid for worker in list(self.pool._workers)]
            self.sums.append(sum(resident_bytes(one) for one in pids))
            self.highest = max([self.highest, *(highest_resident_bytes(one) for one in pids)])


@pytest.mark.parametrize(
    "task",
    [
        Task("at once", touch, (900,), memory_bytes=200 * MB),
        Task("in small steps", grow, (900,), memory_bytes=200 * MB),
        Task("native", grow_with_malloc, (900,), memory_bytes=200 * MB),
        Task("library", decompose, (4000,), memory_bytes=50 * MB),
        Task("unseen", fill_reserved, (900,), memory_bytes=200 * MB),
    ],
    ids=lambda task: task.id,
)
def test_a_breach_ends_that_task_alone_and_the_limit_holds(pool, task):
    with Watch(pool) as watch:
        outcomes = pool.run([task, Task("neighbour", touch, (150,), memory_bytes=200 * MB)])
    breached = outcomes[task.id]
    assert breached.breach and breached.error is not None
    assert isinstance(breached.error, MemoryLimitError) or breached.lost
    assert outcomes["neighbour"].value == 1 and not outcomes["neighbour"].breach
    assert watch.highest <= WORKER_BYTES + task.memory_bytes + SLACK_BYTES


def test_within_the_limit_nothing_is_stopped(pool):
    outcomes = pool.run([Task(str(n), touch, (190,), memory_bytes=200 * MB) for n in range(6)])
    assert [outcome.value for outcome in outcomes.values()] == [1] * 6
    for outcome in outcomes.values():
        assert 180 * MB <= outcome.peak_bytes <= 200 * MB + SLACK_BYTES
        assert outcome.peak_rss_bytes == outcome.base_rss_bytes + outcome.peak_bytes
        assert 20 * MB < outcome.base_rss_bytes < WORKER_BYTES + SLACK_BYTES


def test_all_workers_together_stay_within_the_memory():
    budget = 2 * (WORKER_BYTES + SLACK_BYTES) + 500 * MB
    with Pool(cores=2, memory_bytes=budget) as small, Watch(small) as watch:
        tasks = [Task(str(n), touch, (240 if n % 3 else 400,), memory_bytes=(245 if n % 3 else 405) * MB)
                 for n in range(12)]  # fmt: skip
        outcomes = small.run(tasks)
    assert all(outcome.value == 1 for outcome in outcomes.values())
    assert max(watch.sums) <= budget


def test_a_batch_of_bombs_leaves_the_neighbours(pool):
    """Every third of a batch goes past its limit, every third takes its worker with it."""
    kinds = [(touch, (1,)), (touch, (900,)), (fail, ("SIGKILL",))]
    tasks = [
        Task(str(n), *kinds[n % 3], memory_bytes=50 * MB, seconds={1: 1e-3}) for n in range(18)
    ]
    outcomes = pool.run(tasks)
    assert [outcomes[str(n)].value for n in range(0, 18, 3)] == [1] * 6
    assert all(outcomes[str(n)].breach for n in range(1, 18, 3))
    assert all(outcomes[str(n)].lost for n in range(2, 18, 3))


def test_deaths_that_native_code_dies_for_want_of_memory_are_told_from_others(pool):
    names = ("SIGSEGV", "SIGABRT", "SIGKILL", "SIGTERM")
    outcomes = pool.run([Task(name, fail, (name,), memory_bytes=50 * MB) for name in names])
    assert {name: outcomes[name].breach for name in names} == {
        "SIGSEGV": True, "SIGABRT": True, "SIGKILL": False, "SIGTERM": False,
    }  # fmt: skip
    assert all(outcome.lost for outcome in outcomes.values())
    assert pool.run([Task("lapack", fails_to_converge, (), memory_bytes=50 * MB)])["lapack"].breach


def test_a_worker_that_keeps_much_is_replaced():
    with Pool(cores=1, memory_bytes=2000 * MB) as small:
        first = small.run([Task("a", leak, (20,), memory_bytes=400 * MB)])["a"].value
        second = small.run([Task("b", leak, (300,), memory_bytes=400 * MB)])["b"].value
        third = small.run([Task("c", pid, (), memory_bytes=MB)])["c"].value
    assert first == second != third


@dataclass(frozen=True)
class Request:
    threads: int = 0
    memory_bytes: int = 0

    def granted(self, threads, memory_bytes):
        return replace(self, threads=threads, memory_bytes=memory_bytes)


def tell(request, _progress):
    return request.threads, request.memory_bytes


def test_what_was_granted_reaches_the_arguments(pool):
    wide = Task("wide", tell, (Request(),), memory_bytes=100 * MB, seconds={1: 10.0, 2: 6.0})
    unknown = Task("unknown", tell, (Request(),))
    everything = Task("everything", tell, (Request(),), memory_bytes=3000 * MB)
    assert pool.run([wide])["wide"].value == (2, 100 * MB)
    assert pool.run([unknown])["unknown"].value == (1, pool.share_bytes)
    assert pool.run([everything])["everything"].value == (1, pool.room_bytes)
    assert pool.share_bytes == 1500 * MB - WORKER_BYTES - SLACK_BYTES
    pool.warm()
    outcomes = pool.run([replace(wide, id=name) for name in ("a", "b")])
    assert [outcomes[name].value for name in "ab"] == [(1, 100 * MB)] * 2
    assert all(outcome.grant.threads == 1 for outcome in outcomes.values())


def look(name, _progress):
    return Task(name, tell, (Request(),), memory_bytes=300 * MB, seconds={2: 0.5})


def look_too_far(name, _progress):
    return Task(name, tell, (Request(),), threads=3)


def test_a_task_may_go_on_as_another_when_it_has_looked(pool):
    outcomes = pool.run([Task(name, look, (name,), memory_bytes=MB, seconds={1: 0.001}) for name in "abc"])
    assert [outcomes[name].value for name in "abc"] == [(2, 300 * MB)] * 3
    assert outcomes["a"].started < outcomes["a"].finished
    refused = pool.run([Task("d", look_too_far, ("d",))])["d"]
    assert refused.value is None and "3 threads" in str(refused.error)


def hold(megabytes, seconds, _progress):
    held = np.ones(megabytes * MB, dtype=np.uint8)
    time.sleep(seconds)
    return int(held[-1])


def go_on(task, _progress):
    return replace(task, function=touch, arguments=(20,))


def test_each_outcome_says_which_worker_held_what_and_when(pool):
    began = time.monotonic()
    one = pool.run([Task("one", touch, (150,), memory_bytes=200 * MB)])["one"]
    (stretch,) = one.stretches
    assert stretch.pid != os.getpid() and stretch.pid in {worker.process.pid for worker in pool._workers}
    assert began <= stretch.started <= stretch.finished <= time.monotonic()
    assert stretch.peak_bytes - stretch.base_bytes == one.peak_bytes == pytest.approx(150 * MB, rel=0.1)
    assert stretch.left_bytes < stretch.peak_bytes - 100 * MB


def test_a_task_that_went_on_and_one_that_was_stopped_have_their_stretches_too(pool):
    went_on = pool.run([Task("on", go_on, (Task("on", touch, (20,)),))])["on"]
    assert went_on.value == 1 and len(went_on.stretches) == 2
    stopped = pool.run([Task("slow", hold, (150, 60), memory_bytes=200 * MB, wall_seconds=1.0)])["slow"]
    (stretch,) = stopped.stretches
    assert stopped.lost and stretch.finished - stretch.started >= 1.0
    assert stretch.peak_bytes - stretch.base_bytes > 100 * MB and stretch.left_bytes == 0


@pytest.mark.parametrize("side_by_side", [False, True])
def test_peak_memory_of_a_pool_adds_up_only_what_is_held_together(pool, side_by_side):
    pool.warm()
    tasks = [Task(name, hold, (150, 0.4), memory_bytes=200 * MB) for name in "ab"]
    with UtilizationSampler(cores=2) as sampler:
        for outcome in pool.run(tasks, side_by_side=side_by_side).values():
            for stretch in outcome.stretches:
                sampler.held(stretch)
    peak = sampler.utilization.peak_memory
    grown = peak.value - sampler.utilization.samples[0].rss_bytes
    assert grown == pytest.approx((300 if side_by_side else 150) * MB, abs=40 * MB)
    assert peak.low >= peak.value - 40 * MB
