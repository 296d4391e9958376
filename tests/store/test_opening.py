"""Whose file it is, before anything is written into it."""

import sqlite3

import pytest

from qrex.errors import StoreError
from qrex.store import Store
from qrex.store.opening import APPLICATION_ID, SCHEMA_VERSION


def _pragma(path, *statements):
    file = sqlite3.connect(path, isolation_level=None)
    try:
        return [file.execute(statement).fetchone() for statement in statements]
    finally:
        file.close()


def test_a_new_store_is_marked(tmp_path):
    Store(tmp_path / "s.db").close()
    found = _pragma(tmp_path / "s.db", "PRAGMA application_id", "PRAGMA user_version")
    assert found == [(APPLICATION_ID,), (SCHEMA_VERSION,)]


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "s.db").touch()
    with Store(tmp_path / "s.db") as store:
        store.keep_unit("k", "t", 1, "s")
        assert store.unit("k").payload == 1


def test_a_store_from_before_the_mark_opens_and_is_marked(tmp_path):
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.keep_unit("k", "t", 1, "s")
    _pragma(path, "PRAGMA application_id = 0", "PRAGMA user_version = 0")
    with Store(path) as store:
        assert store.unit("k").payload == 1
    assert _pragma(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE t (a)", "CREATE TABLE units (a)", "PRAGMA user_version = 999", "PRAGMA application_id = 7"],
)
def test_somebody_elses_file_is_refused_and_not_a_byte_of_it_changed(tmp_path, statement):
    path = tmp_path / "theirs.db"
    _pragma(path, "CREATE TABLE runs_of_theirs (a)" if statement.startswith("PRAGMA") else "SELECT 1", statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"theirs\.db is an SQLite file, but no store of qrex.*--store"):
        Store(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["theirs.db"]


def test_a_store_of_a_newer_release_is_refused(tmp_path):
    Store(tmp_path / "s.db").close()
    _pragma(tmp_path / "s.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=r"newer qrex \(schema 2; this one reads 1\); update qrex"):
        Store(tmp_path / "s.db")


def test_names_that_are_no_file_are_called_so(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="an empty name"):
        Store("")


def test_a_damaged_file_is_one_clear_error(tmp_path):
    path = tmp_path / "s.db"
    with Store(path) as store:
        for n in range(200):
            store.keep_unit(f"k{n}", "t", "x" * 2000, "s")
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    words = r"the store .*s\.db is damaged \(.*\); move it away or name another"
    with pytest.raises(StoreError, match=words), Store(path) as store:
        store.units([f"k{n}" for n in range(200)])
