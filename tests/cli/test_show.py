"""What `qrex show` lists: runs, and what is kept where none is listed."""

from __future__ import annotations

import pytest

from qrex.store import NewPrediction, NewUnit, Store


@pytest.fixture
def own(tmp_path):
    return tmp_path / "own.db"


def test_runs_are_listed_and_shown_by_circuit(qrex, constants, bell):
    (bell.parent / "wrong_engine.qasm").write_text(bell.read_text().replace("h q[0];", "h q[0]; t q[0]; h q[0];"))
    asked = ("run", bell.parent, "--engine", "stabilizer", "--shots", 70, "-q")
    assert qrex(*asked).code == 3
    first = [run for run in qrex("show", "--json").json if run["verb"] == "run" and " --shots 70" in str(run)]
    assert len(first) == 1
    run = first[0]
    assert run["status"] == "done" and "2 circuits, on stabilizer" in run["title"]
    assert {c["name"]: c["outcome"] for c in run["result"]["circuits"]} == {"bell": "ran", "wrong_engine": "infeasible"}
    assert run["id"][:12] in qrex("show").out
    shown = qrex("show", run["id"][:10]).out
    assert "--engine stabilizer --shots 70" in shown and "stabilizer     70" in shown and "wrong_engine: " in shown
    qrex(*asked)
    again = [run for run in qrex("show", "--json").json if run["verb"] == "run" and " --shots 70" in str(run)]
    assert len(again) == 1, "the same command is the same run"


def test_predictions_are_shown_by_the_circuits_names(qrex, constants, bell):
    qrex("run", bell, "--shots", 71, "-q")
    shown = qrex("show", "--predictions").out
    (identity,) = {row["circuit_id"] for row in qrex("show", "--predictions", "--json").json["runs"]
                   if row["circuit"] == "bell"}  # fmt: skip
    assert "  bell  " in shown and identity[:12] not in shown


def test_a_store_without_runs_says_what_it_keeps(qrex, own):
    assert "nothing kept yet" in qrex("show", "--store", own).out
    with Store(own) as store:
        store.keep_units([NewUnit(f"k{number}", "simulate", {}, "s") for number in range(1200)])
        store.keep_predictions([NewPrediction("k", engine="e", circuit_id="abcdef0123456789", predicted_seconds=1.0,
                                              predicted_bytes=1, actual_seconds=1.0, actual_bytes=1)])  # fmt: skip
    shown = qrex("show", "--store", own).out
    assert "1,200 results and 1 prediction are kept" in shown and "nothing kept" not in shown
    assert "abcdef012345" in qrex("show", "--predictions", "--store", own).out  # nothing is known of its name
