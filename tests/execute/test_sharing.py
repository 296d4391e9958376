"""Pools of one user divide the machine, whatever becomes of any of them."""

import fcntl
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.execute import Pool, Task
from qrex.execute.sharing import Lease, divide

GB = 10**9


def lease(folder, cores=4, memory=8 * GB, machine=4):
    return Lease(cores, memory, folder=folder, machine_cores=machine, machine_bytes=8 * GB)


def ask(one, cores=4, memory=8 * GB, hold=(0, 0)):
    with one.turn(cores, memory) as turn:
        turn.hold(*hold)
    return turn.share


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(0, 100))
def test_division_is_max_min_fair(wants, capacity):
    parts = divide(wants, capacity)
    assert sum(parts) == min(capacity, sum(wants))
    assert all(part <= want for part, want in zip(parts, wants, strict=True))
    # Nobody who goes short has more than one less than anybody else has.
    for (part, want), (other, _) in itertools.product(zip(parts, wants, strict=True), repeat=2):
        assert part == want or other <= part + 1


def test_alone_a_pool_has_all_and_another_halves_it(tmp_path):
    first, second = lease(tmp_path / "run"), lease(tmp_path / "run")
    assert (ask(first).cores, ask(first).memory_bytes) == (4, 8 * GB)
    assert (ask(second).cores, ask(first).cores, ask(first).memory_bytes) == (2, 2, 4 * GB)
    assert ask(second, cores=1, memory=GB).cores == 1
    assert (ask(first).cores, ask(first).memory_bytes) == (3, 7 * GB)
    second.leave()
    assert (ask(first).cores, ask(first).pools) == (4, 1)


def test_what_others_hold_is_not_given_twice(tmp_path):
    first, second = lease(tmp_path / "run"), lease(tmp_path / "run")
    ask(first, hold=(4, 7 * GB))
    share = ask(second)
    assert share.memory_bytes == share.free_bytes == 1 * GB
    assert not share.idle_elsewhere
    ask(first)
    assert ask(second).idle_elsewhere


def test_a_killed_process_drops_out(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from qrex.execute.sharing import Lease\n"
        "lease = Lease(4, 8 * 10**9, folder=Path(sys.argv[1]), machine_cores=4, machine_bytes=8 * 10**9)\n"
        "with lease.turn(4, 8 * 10**9) as turn: turn.hold(4, 10**9)\n"
        "print('in', flush=True); time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    other.stdout.readline()
    mine = lease(tmp_path / "run")
    assert (ask(mine).cores, ask(mine).free_bytes) == (2, 7 * GB)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (ask(mine).cores, ask(mine).free_bytes) == (4, 8 * GB)


def test_a_lock_that_is_never_let_go_holds_nobody_up(tmp_path):
    mine = lease(tmp_path / "run")
    ask(mine)
    (file,) = (tmp_path / "run").iterdir()
    with open(file) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        assert ask(mine).cores == 4
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"a": 3}', '{"a": {"pid": "x"}}', "\x00" * 50])
def test_a_spoilt_file_counts_as_empty(tmp_path, text):
    mine, other = lease(tmp_path / "run"), lease(tmp_path / "run")
    ask(mine)
    (file,) = (tmp_path / "run").iterdir()
    file.write_text(text)
    assert ask(mine).cores == 4
    assert ask(other).cores == 2


def test_a_folder_open_to_others_is_not_used(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    assert ask(lease(tmp_path / "open")).cores == 4
    assert list((tmp_path / "open").iterdir()) == []


def nap(seconds, _progress):
    time.sleep(seconds)


SCRIPT = """
import sys
from pathlib import Path
from naps import nap
from qrex.execute import Pool, Task
from qrex.execute.sharing import Lease
tasks, seconds = int(sys.argv[2]), float(sys.argv[3])
lease = Lease(2, 10**10, folder=Path(sys.argv[1]), machine_cores=2, machine_bytes=10**10)
with Pool(2, 10**10, lease=lease) as pool:
    pool.warm()
    print("warm", flush=True)
    sys.stdin.readline()
    outcomes = pool.run([Task(str(n), nap, (seconds,)) for n in range(tasks)])
    for outcome in outcomes.values():
        print(outcome.started, outcome.started + outcome.seconds)
"""


def test_two_processes_share_and_the_longer_one_grows_back(tmp_path):
    (tmp_path / "naps.py").write_text("import time\ndef nap(seconds, _p):\n    time.sleep(seconds)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    jobs = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "run"), tasks, "0.1"], text=True,
                         env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for tasks in ("50", "20")
    ]  # fmt: skip
    spans = []
    for job in jobs:
        assert job.stdout.readline() == "warm\n"
    for job in jobs:
        job.stdin.write("go\n")
        job.stdin.flush()
    for job in jobs:
        output, _ = job.communicate(timeout=60)
        spans.append(sorted(tuple(map(float, line.split())) for line in output.splitlines()))
    longer, shorter = spans
    assert (len(longer), len(shorter)) == (50, 20)

    def beside(spans, at):
        return sum(began <= at < ended for began, ended in spans)

    # Both had begun, and what ran before the other came has ended: one each.
    from_, to = max(longer[0][0], shorter[0][0]) + 0.3, shorter[-1][1]
    middle = [began + 0.05 for began, _ in longer if from_ < began < to - 0.3]
    assert len(middle) >= 2
    assert all(beside(longer, at) <= 1 for at in middle)
    assert any(beside(longer, (began + ended) / 2) == 2 for began, ended in longer if began > to + 0.3)


def test_two_pools_that_each_want_more_than_is_free_take_turns(tmp_path):
    def pool():
        return Pool(2, 3 * GB, lease=Lease(2, 3 * GB, folder=tmp_path / "run", machine_bytes=3 * GB))

    with pool() as one, pool() as two:
        # The other one has been running and holds its workers' memory; neither request fits beside it.
        with two._lease.turn(2, 3 * GB) as turn:
            turn.hold(0, GB)
        outcome = one.run([Task("big", nap, (0.01,), memory_bytes=3 * GB)])["big"]
    assert outcome.error is None
