"""What is served from the store and what is tried again. Tasks are module-level functions: workers import them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time

import pytest

from qrex.errors import EngineError, InfeasibleError, InputError, MemoryLimitError
from qrex.execute import Pool, Task, UnitRunner, WorkUnit
from qrex.store import Store


def refuse(marker, _progress):
    marker.touch()
    raise InputError("there is no such gate")


def fail_once(marker, kind, _progress):
    if marker.exists():
        return "answer"
    marker.touch()
    if kind == "death":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "time":
        time.sleep(30)
    raise {
        "memory": MemoryLimitError("too much"),
        "exception": ZeroDivisionError("a plug-in's own"),
        "engine": EngineError("no licence"),
        "pool": InfeasibleError("needs more than the pool has"),
    }[kind]


def echo(value, _progress):
    return value


@pytest.fixture(scope="module")
def pool():
    with Pool(cores=2, memory_bytes=2 * 10**9) as pool:
        yield pool


@pytest.mark.parametrize("kind", ["memory", "exception", "engine", "pool", "death", "time"])
def test_a_failure_that_may_not_happen_again_is_tried_again(pool, tmp_path, kind):
    limit = 2.0 if kind == "time" else None
    unit = WorkUnit("test", {"n": 1}, Task("t", fail_once, (tmp_path / "marker", kind), wall_seconds=limit))
    with Store(tmp_path / "s.db") as store:
        first = UnitRunner(store, pool).run([unit])["t"]
        assert first["error"] and first["value"] is None
        second = UnitRunner(store, pool).run([unit])["t"]
        assert second["value"] == "answer" and not second["kept"]
        assert UnitRunner(store, pool).run([unit])["t"]["kept"]


def test_that_a_measured_unit_did_not_fit_in_memory_is_a_result(pool, tmp_path):
    with Store(tmp_path / "s.db") as store:
        for kind, kept in (("memory", True), ("exception", False)):
            task = Task("t", fail_once, (tmp_path / kind, kind))
            unit = WorkUnit("test", {"kind": kind}, task, measured=True)
            assert UnitRunner(store, pool).run([unit])["t"]["error"]
            assert UnitRunner(store, pool).run([unit])["t"]["kept"] == kept


def test_a_verdict_on_the_input_is_served(pool, tmp_path):
    unit = WorkUnit("test", {"n": 1}, Task("t", refuse, (tmp_path / "marker",)))
    with Store(tmp_path / "s.db") as store:
        assert not UnitRunner(store, pool).run([unit])["t"]["kept"]
        (tmp_path / "marker").unlink()
        again = UnitRunner(store, pool).run([unit])["t"]
    assert again["kept"] and again["error"] == "there is no such gate" and not (tmp_path / "marker").exists()


def _changed(path, change):
    with sqlite3.connect(path) as file:
        text = file.execute("SELECT payload FROM units").fetchone()[0]
        file.execute("UPDATE units SET payload = ?", (change(text),))
    file.close()


def test_a_failure_that_an_earlier_release_kept_is_not_served(pool, tmp_path):
    unit = WorkUnit("test", {"n": 1}, Task("t", echo, ("answer",)))
    failed = {"value": None, "error": "boom", "error_type": "EngineError"}
    with Store(tmp_path / "s.db") as store:
        UnitRunner(store, pool).run([unit])
        _changed(store.path, lambda text: json.dumps(json.loads(text) | failed))
        again = UnitRunner(store, pool).run([unit])["t"]
        assert again["value"] == "answer" and not again["kept"]
        assert UnitRunner(store, pool).run([unit])["t"]["kept"]


@pytest.mark.parametrize(
    "change",
    [lambda text: "{}", lambda text: "[]", lambda text: text[:40], lambda text: text.replace('"seconds": ', '"s": '),
     lambda text: text.encode()[:20] + b"\xff" + text.encode()[21:]],
)  # fmt: skip
def test_a_damaged_result_is_computed_again_and_replaced(pool, tmp_path, change):
    unit = WorkUnit("test", {"n": 1}, Task("t", echo, ("answer",)))
    told = []
    with Store(tmp_path / "s.db", told.append) as store:
        UnitRunner(store, pool).run([unit])
        _changed(store.path, change)
        again = UnitRunner(store, pool).run([unit])["t"]
        assert again["value"] == "answer" and not again["kept"]
        assert UnitRunner(store, pool).run([unit])["t"]["kept"]
    assert len(told) == 1 and "s.db is damaged in places (a result of kind 'test')" in told[0]


def test_on_a_full_disk_results_are_given_all_the_same(pool, tmp_path):
    units = [WorkUnit("test", {"n": n}, Task(str(n), echo, ("x" * 50_000,))) for n in range(40)]
    told = []
    with Store(tmp_path / "s.db", told.append) as store:
        store._connection.execute("PRAGMA max_page_count = 100")  # SQLite's own full disk
        payloads = UnitRunner(store, pool).run(units)
        assert store.unkept == "database or disk is full"
    assert all(payload["value"] == "x" * 50_000 for payload in payloads.values())
    assert len(told) == 1 and "could not be kept" in told[0] and "database or disk is full" in told[0]
