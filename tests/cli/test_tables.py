"""Tables and sentences on terminals of any width; the verbs that print them."""

from __future__ import annotations

import pytest

from qrex.cli.plan import _grouped
from qrex.cli.tables import print_table, print_wrapped

ROWS = [("a_circuit_with_a_rather_long_name", "12", "a remark of some words"), ("short", "3", "")]


def _printed(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(("circuit", "qubits", "remark"), ROWS, right=("qubits",))
    return capsys.readouterr().out.splitlines()


def test_a_table_that_fits_is_not_folded(capsys, monkeypatch):
    lines = _printed(capsys, monkeypatch, 80)
    assert len(lines) == 3 and lines[1] == "a_circuit_with_a_rather_long_name      12  a remark of some words"


def test_columns_close_up_before_cells_are_folded(capsys, monkeypatch):
    lines = _printed(capsys, monkeypatch, 63)
    assert len(lines) == 3 and lines[1] == "a_circuit_with_a_rather_long_name     12 a remark of some words"


@pytest.mark.parametrize("width", [40, 50, 62])
def test_text_is_folded_and_numbers_are_not(capsys, monkeypatch, width):
    lines = _printed(capsys, monkeypatch, width)
    assert max(map(len, lines)) <= width and len(lines) > 3
    assert [line for line in lines if " 12 " in line] and lines[-1].split() == ["short", "3"]
    # Nothing is lost: the name reads on below, in its column.
    name = "".join(line.split(" ")[0] for line in lines[1:-1])
    assert name == "a_circuit_with_a_rather_long_name"


def test_long_sentences_are_wrapped_and_indented(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    print_wrapped("why: " + "word " * 30 + "\x1b[31m", indent="  ", hanging="  ")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 50 and lines[0].startswith("  why")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "\x1b" not in "".join(lines)


def test_engines_with_one_reason_share_a_line():
    found = _grouped({
        "aer-mps": "slower: bound of the model 9 s, mps 1 s",
        "sparse": "slower: bound of the model 2 s, mps 1 s; it races, since it may stay far below its bound",
        "statevector": "slower: predicted 3 s, mps 1 s",
        "aer-stabilizer": "t is not a Clifford gate",
        "stabilizer": "t is not a Clifford gate",
        "dense": "needs 3 GB; 1 GB allotted",
        "denser": "needs 6 GB; 1 GB allotted",
    })  # fmt: skip
    assert found == [
        "aer-mps (bound of the model 9 s), statevector (predicted 3 s): slower, mps 1 s",
        "sparse (bound of the model 2 s): slower, mps 1 s; it races, since it may stay far below its bound",
        "aer-stabilizer, stabilizer: t is not a Clifford gate",
        "dense (needs 3 GB), denser (needs 6 GB): 1 GB allotted",
    ]


def test_the_tables_of_verbs_fit_80_columns(qrex, constants, bell, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    long = bell.parent / "a_circuit_with_a_name_that_is_long_for_a_table.qasm"
    long.write_text(bell.read_text().replace("h q[0];", "ry(0.3) q[0]; reset q[1];"))
    qrex("run", bell, long, "--shots", 64, "-q")
    for asked in (("profile", bell, long), ("plan", bell, long), ("show", "--predictions")):
        shown = qrex(*asked)
        assert shown.code == 0 and "bell" in shown.out
        assert max(map(len, shown.out.splitlines())) <= 80, asked
