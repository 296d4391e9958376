"""A store that cannot take or give what it should stops no results."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from qrex.store import database
from qrex.store.opening import open_database

pytestmark = pytest.mark.usefixtures("constants")

WIDE = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{n}];\ncreg c[{n}];\nh q;\nmeasure q -> c;\n'


@pytest.fixture
def own(store, tmp_path):
    """A calibrated store of this test alone."""
    path = tmp_path / "own" / "s.db"
    path.parent.mkdir()
    with sqlite3.connect(store) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    shutil.copy(store, path)
    return path


@pytest.fixture
def full(monkeypatch):
    """Stores have room for some 100 kB more."""

    def opened(path):
        connection = open_database(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 25}")
        return connection

    monkeypatch.setattr(database, "open_database", opened)


@pytest.fixture
def folder(tmp_path):
    for n in (2, 30, 31, 32):
        (tmp_path / f"coins_{n}.qasm").write_text(WIDE.format(n=n))
    return tmp_path


@pytest.mark.usefixtures("full")
def test_on_a_full_disk_everything_is_printed_then_told(qrex, folder, own):
    shown = qrex("run", folder, "--shots", 20000, "-q", "--store", own, "--json")
    assert [sum(row["counts"].values()) for row in shown.json] == [20000] * 4
    assert shown.code == 1
    assert shown.err.count("qrex: ") == 1 and "database or disk is full" in shown.err and str(own) in shown.err
    shown = qrex("run", folder, "--shots", 20000, "-q", "--store", own)
    assert shown.code == 1 and shown.out.count("20,000 shots") == 4 and "could not be kept" in shown.err


def _change(path, *statements):
    with sqlite3.connect(path) as file:
        for statement in statements:
            file.execute(statement)
    file.close()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE units SET payload = '{}'", "UPDATE units SET payload = substr(payload, 1, 40)",
     "UPDATE calibrations SET payload = '[]' WHERE kind = 'host'",
     "UPDATE calibrations SET payload = '[]' WHERE kind = 'costs'"],
)  # fmt: skip
def test_what_is_damaged_is_done_again_with_one_line(qrex, bell, own, damage):
    first = qrex("run", bell, "-q", "--store", own, "--json")
    _change(own, damage)
    again = qrex("run", bell, "-q", "--store", own, "--json")
    assert again.code == 0 and again.json[0]["counts"] == first.json[0]["counts"]
    assert again.err.count("\n") == 1 and "is damaged in places" in again.err
    third = qrex("run", bell, "-q", "--store", own, "--json")
    assert third.json[0]["kept"] and third.err == ""


def test_a_damaged_file_is_one_error(qrex, bell, own):
    content = bytearray(own.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    own.write_bytes(content)
    for verb in ("run", "plan"):
        shown = qrex(verb, bell, "-q", "--store", own)
        assert shown.code == 1 and shown.out == "" and shown.err.count("\n") == 1
        assert f"the store {own} is damaged (" in shown.err and "move it away or name another with --store" in shown.err
