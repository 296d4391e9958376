"""The tasks here are module-level functions: workers import them by name."""

import itertools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from qrex.errors import CircuitError, EngineError, InfeasibleError, MemoryLimitError
from qrex.execute import Pool, Task, UnitRunner, WarmUp, WorkUnit
from qrex.execute.memory import SLACK_BYTES, WORKER_BYTES
from qrex.store import Store

GB = 10**9


def double(number, progress):
    progress(0.5)
    return 2 * number


def allocate(count, _progress):
    block = np.ones(count, dtype=np.uint8)
    return int(block[-1])


def die(_progress):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(_progress):
    raise CircuitError("no such gate", file="a.qasm", line=3, column=7)


def stumble(_progress):
    return {}["missing"]


def sleep(seconds, _progress):
    begin = time.monotonic()
    time.sleep(seconds)
    return begin, time.monotonic()


@pytest.fixture(scope="module")
def pool():
    with Pool(cores=2, memory_bytes=4 * GB) as pool:
        yield pool


def test_values_come_back_by_task(pool):
    outcomes = pool.run([Task(str(n), double, (n,)) for n in range(20)])
    assert {name: outcome.value for name, outcome in outcomes.items()} == {str(n): 2 * n for n in range(20)}


def test_memory_limit_is_enforced_and_the_pool_survives(pool):
    outcomes = pool.run(
        [
            Task("over", allocate, (1_500_000_000,), memory_bytes=500_000_000),
            Task("under", allocate, (300_000_000,), memory_bytes=500_000_000),
        ]
    )
    assert isinstance(outcomes["over"].error, MemoryLimitError)
    assert outcomes["over"].breach and not outcomes["under"].breach
    assert "500 MB" in str(outcomes["over"].error)
    assert outcomes["under"].value == 1
    assert 300_000_000 <= outcomes["under"].peak_bytes < 400_000_000


def test_a_killed_worker_fails_its_own_task_only(pool):
    outcomes = pool.run([Task("dead", die, ()), Task("alive", double, (4,))])
    assert isinstance(outcomes["dead"].error, EngineError)
    assert "SIGKILL" in str(outcomes["dead"].error)
    assert outcomes["alive"].value == 8
    assert pool.run([Task("again", double, (1,))])["again"].value == 2


def test_errors_keep_their_type_and_place(pool):
    outcomes = pool.run([Task("refused", refuse, ()), Task("bug", stumble, ())])
    assert isinstance(outcomes["refused"].error, CircuitError)
    assert outcomes["refused"].error.line == 3
    assert "KeyError" in str(outcomes["bug"].error)


def test_predicted_bytes_never_add_up_beyond_the_pool():
    with Pool(cores=2, memory_bytes=2 * (WORKER_BYTES + SLACK_BYTES) + 1000) as small:
        outcomes = small.run([Task(str(n), sleep, (0.05,), memory_bytes=WORKER_BYTES) for n in range(4)])
        spans = sorted(outcome.value for outcome in outcomes.values())
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(spans))


def test_a_task_larger_than_the_pool_says_what_would_help(pool):
    with pytest.raises(InfeasibleError, match="--memory"):
        pool.run([Task("big", double, (1,), memory_bytes=5 * GB)])


def test_less_memory_than_a_worker_takes_is_refused():
    with pytest.raises(InfeasibleError, match="--memory"):
        Pool(cores=1, memory_bytes=WORKER_BYTES)


def test_a_task_past_its_time_is_stopped(pool):
    outcomes = pool.run([Task("slow", sleep, (30,), wall_seconds=0.3), Task("quick", double, (2,))])
    assert "longer than" in str(outcomes["slow"].error)
    assert outcomes["quick"].value == 4


def count_and_double(path, number, _progress):
    with open(path, "a") as calls:
        calls.write(f"{number}\n")
    return 2 * number


def test_what_is_running_is_told_with_its_beginning(tmp_path):
    told = []
    with Store(tmp_path / "s.db") as store, Pool(1, GB) as pool:
        units = [WorkUnit("t", {"n": n}, Task(f"t{n}", sleep, (0.4,))) for n in range(2)]
        before = time.monotonic()
        UnitRunner(store, pool).run(units, on_running=lambda began: told.append(dict(began)), side_by_side=False)
    running = [began for began in told if began]
    assert [name for name, _ in itertools.groupby(next(iter(began)) for began in running)] == ["t0", "t1"]
    first, second = (next(began[name] for began in running if name in began) for name in ("t0", "t1"))
    assert before <= first <= second - 0.4


def test_units_are_done_once(pool, tmp_path):
    calls = tmp_path / "calls"
    units = [
        WorkUnit("double", {"number": n}, Task(f"task-{n}", count_and_double, (str(calls), n))) for n in range(3)
    ]
    with Store(tmp_path / "s.db") as store:
        first = UnitRunner(store, pool).run(units[:2])
        second = UnitRunner(store, pool).run(units)
    assert [payload["value"] for payload in second.values()] == [0, 2, 4]
    assert [payload["kept"] for payload in second.values()] == [True, True, False]
    assert first["task-0"]["session"] == second["task-0"]["session"]
    assert sorted(calls.read_text().split()) == ["0", "1", "2"]


def test_units_finished_before_an_interrupt_stay(tmp_path):
    calls = tmp_path / "calls"

    def interrupt(name, _payload):
        if name == "task-1":
            raise KeyboardInterrupt

    units = [
        WorkUnit("double", {"number": n}, Task(f"task-{n}", count_and_double, (str(calls), n))) for n in range(4)
    ]
    with Store(tmp_path / "s.db") as store, Pool(cores=1, memory_bytes=GB) as small:
        with pytest.raises(KeyboardInterrupt):
            UnitRunner(store, small).run(units, interrupt)
        again = UnitRunner(store, small).run(units)
    assert [payload["kept"] for payload in again.values()] == [True, True, False, False]


def test_what_is_finished_is_kept_when_the_display_fails(tmp_path):
    """Several results may be at hand when the callback raises: none of them is lost."""
    ran = tmp_path / "ran"

    def fail(_name, _payload):
        raise RuntimeError("display")

    units = [
        WorkUnit("double", {"number": n},
                 Task(f"task-{n}", count_and_double, (str(ran), n), seconds={1: 1e-3}, memory_bytes=1000))
        for n in range(40)
    ]  # fmt: skip
    with Store(tmp_path / "s.db") as store, Pool(cores=2, memory_bytes=GB) as small:
        with pytest.raises(RuntimeError, match="display"):
            UnitRunner(store, small).run(units, fail)
        kept = store.units([unit.key for unit in units])
        again = UnitRunner(store, small).run(units)
    assert kept
    assert [payload["value"] for payload in again.values()] == [2 * n for n in range(40)]
    # What was running when its worker was ended ran twice; everything else once.
    assert len(ran.read_text().split()) <= 40 + 2


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
from qrex.execute import Pool, Task, UnitRunner, WarmUp, WorkUnit
from qrex.store import Store
import time
sys.path.insert(0, sys.argv[2])
from slow_tasks import slow
with Store(sys.argv[1]) as store, Pool(cores=1, memory_bytes=10**9) as pool:
    units = [WorkUnit("slow", {"n": n}, Task(str(n), slow, (n,), seconds={1: 0.01})) for n in range(10_000)]
    def tell(name, _payload):
        print(name, flush=True)
    UnitRunner(store, pool).run(units, tell)
"""


def test_ctrl_c_keeps_everything_that_was_told(tmp_path):
    (tmp_path / "slow_tasks.py").write_text("import time\ndef slow(n, _p):\n    time.sleep(0.005)\n    return n\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    job = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "s.db"), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    told = [job.stdout.readline() for _ in range(30)]
    job.send_signal(signal.SIGINT)
    rest, errors = job.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    told = {line.strip() for line in (*told, *rest.splitlines())}
    with Store(tmp_path / "s.db") as store:
        keys = {name: WorkUnit("slow", {"n": int(name)}, Task(name, double, ())).key for name in told}
        kept = store.units(list(keys.values()))
    assert all(kept[key].payload["value"] == int(name) for name, key in keys.items())


def test_a_script_without_a_main_guard_does_not_start_itself_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from qrex.execute import Pool, Task\n"
        "print('started', flush=True)\n"
        "with Pool(cores=1, memory_bytes=10**9) as pool:\n"
        "    outcome = pool.run([Task('t', isinstance, (1,))])['t']\n"
        "print(outcome.error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.count("started") == 1
    assert "isinstance() arg 2" in done.stdout


def test_what_a_task_prints_is_not_in_the_parents_output():
    code = (
        "import os\n"
        "from qrex.execute import Pool, Task\n"
        "with Pool(cores=1, memory_bytes=10**9) as pool:\n"
        "    pool.run([Task('t', print, ('junk',)), Task('u', os.system, ('echo native',))])\n"
        "    pool.run([Task('v', os.write, (1,))])\n"
        "print('result')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"
    assert "junk" in done.stderr


def warm_slowly():
    time.sleep(1.5)
    os.environ["QREX_TEST_WARM"] = "yes"


def is_warm(_progress):
    return os.environ.get("QREX_TEST_WARM")


def test_warming_up_is_in_no_tasks_time():
    with Pool(cores=1, memory_bytes=GB, warm_up=warm_slowly) as small:
        tasks = [Task("slow", sleep, (30,), wall_seconds=0.2), Task("quick", is_warm, (), wall_seconds=1.0)]
        outcomes = small.run(tasks)
    assert outcomes["slow"].lost
    # The replacement of the worker that was stopped is warm as well, and its warming counted against nothing.
    assert outcomes["quick"].value == "yes"


def test_what_was_stopped_is_tried_again(pool, tmp_path):
    unit = WorkUnit("sleep", {"n": 1}, Task("t", sleep, (30,), wall_seconds=0.2))
    quick = WorkUnit("sleep", {"n": 1}, Task("t", sleep, (0.0,), wall_seconds=5))
    with Store(tmp_path / "s.db") as store:
        assert UnitRunner(store, pool).run([unit])["t"]["lost"]
        again = UnitRunner(store, pool).run([quick])["t"]
    assert again["value"] is not None and not again["kept"]


def warm_at_once():
    os.environ["QREX_TEST_WARM"] = "yes"


def warm_for_more():
    os.environ["QREX_TEST_MORE"] = "yes"


def how_warm(_progress):
    return os.environ.get("QREX_TEST_WARM"), os.environ.get("QREX_TEST_MORE"), os.getpid()


MORE = WarmUp(warm_for_more)


def test_what_a_task_needs_loaded_is_loaded_before_it_and_only_then():
    with Pool(cores=1, memory_bytes=GB, warm_up=warm_at_once) as small:
        (before,) = (one.value for one in small.run([Task("a", how_warm, ())]).values())
        assert before[:2] == ("yes", None)
        needy = [Task("b", how_warm, (), wall_seconds=5, warm_up=MORE), Task("c", how_warm, ())]
        assert small.is_warm([Task("a", how_warm, ())]) and not small.is_warm(needy)
        outcomes = small.run(needy)
        assert {one.value[:2] for one in outcomes.values()} == {("yes", "yes")}
        assert outcomes["b"].value[2] == outcomes["c"].value[2] != before[2]
        assert small.is_warm(needy)


def test_no_more_workers_are_warmed_than_there_are_tasks():
    with Pool(cores=2, memory_bytes=4 * GB) as small:
        small.warm([Task("a", double, (1,))])
        assert len(small._workers) == 1 and small.is_warm([Task("a", double, (1,))])
        assert not small.is_warm()
        small.warm()
        assert len(small._workers) == 2 and small.is_warm()


def loaded(_progress):
    return [name in sys.modules for name in ("qiskit_aer", "qiskit_ibm_runtime")]


@pytest.mark.parametrize(("warm_up", "expected"), [("None", "True False"), ("COMPILERS", "True True")])
def test_only_what_compiles_pays_for_the_transpilers_plugins(warm_up, expected):
    # In a process of its own: what workers are forked from may have loaded more for another test.
    script = (
        "from qrex.execute import Pool, Task\n"
        "from qrex.execute.jobs import COMPILERS, warm_engines\n"
        "from test_pool import loaded\n"
        "with Pool(1, 10**9, warm_engines) as pool:\n"
        f"    print(*pool.run([Task('t', loaded, (), warm_up={warm_up})])['t'].value)\n"
    )
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": here},
    )  # fmt: skip
    assert done.stdout.strip() == expected
