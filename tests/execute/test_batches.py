"""Short tasks go out together: each is done once, and a bad one spoils nothing for the others."""

import os
import signal
import time
from pathlib import Path

import pytest

from qrex.execute import Pool, Task
from qrex.execute.crew import Waiting
from qrex.execute.queueing import Queue

GB = 10**9


def note(path, number, _progress):
    with open(path, "a") as calls:
        calls.write(f"{number}\n")
    return number


def note_and_die(path, number, _progress):
    note(path, number, _progress)
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_sleep(path, number, seconds, _progress):
    note(path, number, _progress)
    time.sleep(seconds)
    return os.getpid()


def called(path):
    """Which tasks ran. On a machine that stalls, one may run twice: a worker that seems stuck has its batch taken back,
    and may just have begun the next."""
    return sorted({int(line) for line in Path(path).read_text().split()})


@pytest.fixture(scope="module")
def pool():
    with Pool(cores=2, memory_bytes=4 * GB) as pool:
        pool.warm()
        yield pool


def short(name, function, *arguments, **limits):
    return Task(name, function, arguments, memory_bytes=1000, seconds={1: 1e-4}, **limits)


def test_every_task_of_a_batch_has_one_outcome(pool, tmp_path):
    calls = str(tmp_path / "calls")
    outcomes = pool.run([short(str(n), note, calls, n) for n in range(300)])
    assert [outcomes[str(n)].value for n in range(300)] == list(range(300))
    assert called(calls) == list(range(300))
    spans = [(outcome.started, outcome.started + outcome.seconds, outcome.finished) for outcome in outcomes.values()]
    assert all(began <= ended <= told for began, ended, told in spans)


def test_only_the_one_that_was_running_is_to_blame(pool, tmp_path):
    calls = str(tmp_path / "calls")
    tasks = [short(str(n), note_and_die if n in (7, 20) else note, calls, n) for n in range(40)]
    outcomes = pool.run(tasks)
    assert {name for name, outcome in outcomes.items() if outcome.lost} == {"7", "20"}
    assert {name for name, outcome in outcomes.items() if outcome.value is not None} == (
        {str(n) for n in range(40)} - {"7", "20"}
    )
    assert called(calls) == list(range(40))


def test_one_that_runs_past_its_time_is_stopped_alone(pool, tmp_path):
    calls = str(tmp_path / "calls")
    tasks = [
        short(str(n), note_and_sleep, calls, n, 60.0 if n == 3 else 0.0, wall_seconds=2.0) for n in range(20)
    ]
    outcomes = pool.run(tasks)
    assert [name for name, outcome in outcomes.items() if outcome.value is None] == ["3"]
    assert "longer than" in str(outcomes["3"].error)


def test_one_that_takes_far_longer_than_predicted_does_not_hold_the_others_up(pool, tmp_path):
    pool.warm()
    calls = str(tmp_path / "calls")
    tasks = [short(str(n), note_and_sleep, calls, n, 1.5 if n == 0 else 0.0) for n in range(200)]
    outcomes = pool.run(tasks)
    slow = outcomes["0"]
    assert all(outcome.finished < slow.finished for name, outcome in outcomes.items() if name != "0")
    assert called(calls) == list(range(200))


def test_arguments_are_pickled_once():
    class Counted:
        times = 0

        def __reduce__(self):
            Counted.times += 1
            return (int, (3,))

    waiting = Waiting(Task("t", note, (Counted(),)))
    assert waiting.pickled() is waiting.pickled()
    assert Counted.times == 1


def test_batches_shrink_towards_the_end():
    queue = Queue([short(str(n), note, "", n) for n in range(400)], lambda _task: 1)
    sizes = []
    while queue:
        sizes.append(len(queue.batch(2)))
    assert sum(sizes) == 400
    assert max(sizes) == 64 == sizes[0]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-2:] == [1, 1]
