"""SQLite files of ours: opened where they are ours or new, refused with the reason where they are not.

In: a path and what its file must be. Out: a connection in WAL mode with all tables there. A file of ours carries the
application id and its schema's version in its header; stores written before that was so are known by their tables,
and are marked when they are opened. Nothing is written into a file before it is known to be ours, or empty.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from qrex.errors import StoreError

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "STORE",
    "FileKind",
    "is_damage",
    "is_full",
    "is_locked",
    "open_database",
]

APPLICATION_ID = 0x71726578  # "qrex"
SCHEMA_VERSION = 1

_BUSY_SECONDS = 30.0
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CANNOT_BE_MARKED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL)


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is known by, and what its errors call it. `schema` is a file beside this one, `another` how to use
    another file, `abandoned` tables of earlier releases that nothing reads any more."""

    noun: str
    application_id: int
    schema_version: int
    schema: str
    another: str
    abandoned: frozenset[str] = frozenset()


STORE = FileKind(
    "store", APPLICATION_ID, SCHEMA_VERSION, "schema.sql", "name another with --store FILE or $QREX_STORE",
    frozenset({"predictions"}),
)  # fmt: skip


def open_database(path: Path, kind: FileKind = STORE) -> sqlite3.Connection:
    """The opened file at `path`, made with its folder where it is not there.

    Raises StoreError where it cannot be opened, is damaged, is somebody else's, or was written by a newer qrex.
    """
    if path.is_dir():
        raise StoreError(f"the {kind.noun} must be a file; {path} is a folder; {kind.another}")
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.text_factory = _text
        schema = resources.files(__package__).joinpath(kind.schema).read_text()
        marked, tables = _examined(connection, path, schema, kind)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if not marked:
            _mark(connection, schema, kind, empty=not tables)
        connection.executescript(schema)
    except (OSError, sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        if is_damage(error):
            raise StoreError(f"the {kind.noun} {path} is damaged ({error}); move it away or {kind.another}") from error
        raise StoreError(
            f"cannot open the {kind.noun} {path}: {error}; {kind.another}, or move the file away to start afresh"
        ) from error
    return connection


def _text(stored: bytes) -> str | bytes:
    """Damaged text is handed on as bytes, for whoever reads it to find out."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file's content is at fault."""
    return _code(error) in _DAMAGE


def is_full(error: BaseException) -> bool:
    """Whether SQLite says that there is no more room."""
    return _code(error) == sqlite3.SQLITE_FULL


def is_locked(error: BaseException) -> bool:
    """Whether SQLite says that another process kept the file for too long."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0 where it gave none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _examined(connection: sqlite3.Connection, path: Path, schema: str, kind: FileKind) -> tuple[bool, set[str]]:
    """Whether the file is marked as ours, and which tables it holds. Raises StoreError where it is not ours."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables = {name for name in tables if not name.startswith("sqlite_")}
    marked = application == kind.application_id
    if marked and version > kind.schema_version:
        raise StoreError(
            f"the {kind.noun} {path} was written by a newer qrex (schema {version}; this one reads "
            f"{kind.schema_version}); update qrex or {kind.another}"
        )
    ours = _columns_by_table(schema)
    foreign = not marked and (application or version or tables - set(ours) - kind.abandoned)
    if foreign or any(_columns(connection, name) != ours[name] for name in tables & set(ours)):
        raise StoreError(
            f"{path} is an SQLite file, but no {kind.noun} of qrex; nothing was written into it; {kind.another}"
        )
    return marked, tables


def _columns_by_table(schema: str) -> dict[str, list[str]]:
    fresh = sqlite3.connect(":memory:")
    try:
        fresh.executescript(schema)
        return {name: _columns(fresh, name) for name in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", schema)}
    finally:
        fresh.close()


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _mark(connection: sqlite3.Connection, schema: str, kind: FileKind, *, empty: bool) -> None:
    """Tables and mark in one transaction: no other process finds one without the other."""
    mark = f"PRAGMA application_id = {kind.application_id}; PRAGMA user_version = {kind.schema_version};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {schema}; {mark} COMMIT;")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.rollback()
        if empty or _code(error) not in _CANNOT_BE_MARKED:
            raise  # an older store can still be read where it cannot be marked
