import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from qrex.errors import StoreError
from qrex.store import NewPrediction, Store, content_key


def test_unit_is_kept_and_the_first_result_stays(tmp_path):
    with Store(tmp_path / "s.db") as store:
        assert store.unit("k") is None
        store.keep_unit("k", "simulate", {"counts": {"0": 3}}, "one")
        store.keep_unit("k", "simulate", {"counts": {"0": 4}}, "two")
    with Store(tmp_path / "s.db") as store:
        unit = store.unit("k")
    assert unit.payload == {"counts": {"0": 3}}
    assert unit.session == "one"


def test_content_key_depends_on_kind_and_on_every_part():
    keys = {
        content_key("a", {"x": 1}),
        content_key("b", {"x": 1}),
        content_key("a", {"x": 2}),
        content_key("a", {"x": 1, "y": None}),
    }
    assert len(keys) == 4


def test_calibration_expires(tmp_path):
    with Store(tmp_path / "s.db") as store:
        store.keep_calibration("host", "here", {"cores": 2})
        assert store.calibration("host", "here", max_age_seconds=60) == {"cores": 2}
        assert store.calibration("host", "there", max_age_seconds=60) is None
        assert store.calibration("host", "here", max_age_seconds=-1) is None


def test_runs_are_listed_newest_first_and_found_by_prefix(tmp_path):
    with Store(tmp_path / "s.db") as store:
        store.start_run("abc", "expand", "first", {"workload": "w"})
        store.finish_run("abc", "done", {"out": "o"})
        store.start_run("abd", "run", "second", {})
        assert [run.id for run in store.runs()] == ["abd", "abc"]
        assert store.runs("abc")[0].result == {"out": "o"}
        assert store.runs("%") == []


def test_a_file_that_is_no_store_is_refused_with_advice(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"this is no database, only text that is long enough to look at" * 40)
    with pytest.raises(StoreError, match=r"s\.db is damaged \(.*move it away or name another with --store"):
        Store(path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(StoreError, match="--store"):
        Store(tmp_path)


def test_predictions_stand_beside_actuals(tmp_path):
    with Store(tmp_path / "s.db") as store:
        store.keep_predictions([NewPrediction(
            "k", engine="e", circuit_id="c", predicted_seconds=1.0, predicted_bytes=10, actual_seconds=2.0,
            actual_bytes=20,
        )])  # fmt: skip
        (row,) = store.predictions()
    assert (row["predicted_seconds"], row["actual_seconds"], row["engine"]) == (1.0, 2.0, "e")


def test_predictions_are_found_by_what_they_hold_for_newest_last(tmp_path):
    with Store(tmp_path / "s.db") as store:
        for number in range(6):
            store.keep_predictions([NewPrediction(
                f"k{number}", engine="ab"[number % 2], circuit_id=f"c{number}", predicted_seconds=1.0,
                predicted_bytes=None, actual_seconds=2.0, actual_bytes=None, model_seconds=0.5, engine_seconds=1.5,
                upper_bound=number == 3, features={"rows": number}, host="h" if number else "other", scope="s",
            )])  # fmt: skip
        assert [row["key"] for row in store.predictions(host="h", engines=("a",))] == ["k2", "k4"]
        assert [row["key"] for row in store.predictions(limit=2)] == ["k4", "k5"]
        assert store.predictions(scope="t") == [] and store.predictions(engines=()) == []
        assert store.predictions_of(["k3", "absent"]) == {"k3": store.predictions()[3]}
        rows = store.predictions()
    assert [row["upper_bound"] for row in rows] == [False, False, False, True, False, False]
    assert rows[5]["features"] == {"rows": 5} and rows[5]["model_bytes"] is None


def test_a_store_of_the_first_release_still_opens_and_its_predictions_are_left_alone(tmp_path):
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE predictions (key TEXT PRIMARY KEY, engine TEXT NOT NULL, circuit_id TEXT NOT NULL, "
            "predicted_seconds REAL, predicted_bytes INTEGER, actual_seconds REAL NOT NULL, actual_bytes INTEGER, "
            "created_at REAL NOT NULL)"
        )
        old.execute("INSERT INTO predictions VALUES ('k', 'e', 'c', 1, 2, 3, 4, 5)")
    with Store(path) as store:
        assert store.predictions() == []
        store.keep_predictions([NewPrediction(
            "k", engine="e", circuit_id="c", predicted_seconds=1.0, predicted_bytes=10, actual_seconds=2.0,
            actual_bytes=20,
        )])  # fmt: skip
        assert len(store.predictions()) == 1
    with sqlite3.connect(path) as old:
        assert old.execute("SELECT count(*) FROM predictions").fetchone() == (1,)


def test_kill_in_the_middle_of_writing_leaves_whole_records(tmp_path):
    path = tmp_path / "s.db"
    code = textwrap.dedent(
        """
        import sys
        from qrex.store import Store
        store = Store(sys.argv[1])
        number = 0
        while True:
            store.keep_unit(f"k{number}", "t", {"number": number, "pad": "x" * 20000}, "s")
            number += 1
            print(number, flush=True)
        """
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    while acknowledged < 50:
        acknowledged = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Store(path) as store:
        for number in range(acknowledged):
            assert store.unit(f"k{number}").payload["number"] == number
