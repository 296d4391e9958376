"""What is damaged in a store is as if it were not there, and told once."""

import pytest

from qrex.store import NewPrediction, Store

STATEMENTS = {
    "units": "UPDATE units SET payload = '{\"value\": 1'",
    "calibrations": "UPDATE calibrations SET payload = '{'",
    "features": "UPDATE cost_predictions SET features = '[1'",
    "numbers": "UPDATE cost_predictions SET actual_seconds = 'much'",
    "runs": "UPDATE runs SET result = '{', arguments = x'ff'",
}


@pytest.mark.parametrize("where", STATEMENTS)
def test_a_damaged_row_is_left_aside_with_one_warning(tmp_path, where):
    told = []
    with Store(tmp_path / "s.db", told.append) as store:
        store.keep_unit("k", "t", 1, "s")
        store.keep_calibration("host", "here", {"cores": 2})
        store.keep_predictions([NewPrediction("k", "e", "c", 1.0, 1, 1.0, 1)])
        store.start_run("r", "expand", "title", {})
        store.finish_run("r", "done", {"out": "o"})
        store._connection.execute(STATEMENTS[where])
        for _ in range(2):
            found = {
                "units": store.unit("k"),
                "calibrations": store.calibration("host", "here", max_age_seconds=60),
                "features": store.predictions(),
                "numbers": store.predictions(),
                "runs": store.runs()[0].result,
            }
        assert not found.pop(where) and len(told) == 1
        if where not in ("features", "numbers"):
            assert all(found.values())


def test_by_default_trouble_is_a_python_warning(tmp_path):
    with Store(tmp_path / "s.db") as store:
        store._connection.execute("PRAGMA max_page_count = 1")
        with pytest.warns(UserWarning, match="could not be kept in the store .*database or disk is full"):
            store.keep_unit("k", "t", "x" * 10**6, "s")
        assert store.unkept


def test_a_store_that_another_process_holds_loses_no_results(tmp_path):
    told = []
    with Store(tmp_path / "s.db", told.append) as store, Store(tmp_path / "s.db") as other:
        store._connection.execute("PRAGMA busy_timeout = 1")
        other._connection.execute("BEGIN IMMEDIATE")
        store.keep_unit("k", "t", 1, "s")
        assert store.unkept == "database is locked" and len(told) == 1
        other._connection.execute("ROLLBACK")
        store.keep_unit("k", "t", 1, "s")
        assert store.unit("k").payload == 1
