"""The index of a folder of blocks: an SQLite file with two connections, one that writes and one that reads.

In: statements. Out: rows, or a StoreError that says what is wrong. A transaction is also the lock against other
writers, in this process and in others; readers never wait for it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qrex.errors import StoreError
from qrex.store.opening import FileKind, is_damage, is_full, is_locked, open_database

__all__ = ["INDEX", "BlockIndex"]

INDEX = FileKind("index of snapshots", 0x71727873, 1, "snapshots.sql", "name another folder")

_BUSY_MILLISECONDS = 30_000


class BlockIndex:
    """The open index at `path`. Raises StoreError as `open_database` does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()  # of the connection that writes
        self._reading = threading.Lock()
        self._writer = open_database(path, INDEX)
        try:
            # What is deleted may be written over at once: a deletion must not come back after a power failure.
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.execute("PRAGMA journal_size_limit=0")
            self._reader = open_database(path, INDEX)
            if not self.rows("SELECT 1 FROM folder"):
                with self.transaction("begin a folder") as writer:  # one process begins it, others find it begun
                    begin = "INSERT INTO folder SELECT ? WHERE NOT EXISTS (SELECT 1 FROM folder)"
                    writer.execute(begin, (os.urandom(16),))
        except BaseException:
            self._writer.close()
            raise
        self.identity: bytes = self.rows("SELECT identity FROM folder")[0][0]

    def close(self) -> None:
        with self._lock, self._reading:
            self._reader.close()
            self._writer.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What is entered; not what a transaction under way has written."""
        try:
            # Statements that overlap on one connection would see what the first of them saw.
            with self._reading:
                return self._reader.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise self._failure("read", error) from error

    @contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """What is written through the connection is entered at the end, or where anything is raised, not at all.

        Raises StoreError where the disk or another process refuses, and within another one of the same thread.
        """
        with self._lock:
            if self._writer.in_transaction:
                raise StoreError(f"asked to {what} in {self.path.parent} within another save; let that end first")
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._failure(what, error) from error
                raise

    def tidy(self, task: Callable[[sqlite3.Connection], None]) -> None:
        """Does `task` within a transaction that enters nothing, and empties the index's log; neither where that would
        have to wait for somebody."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            with suppress(sqlite3.Error, OSError):
                self._tidy(task)
        finally:
            self._lock.release()

    def _tidy(self, task: Callable[[sqlite3.Connection], None]) -> None:
        if self._writer.in_transaction:
            return
        self._writer.execute("PRAGMA busy_timeout = 0")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                task(self._writer)
            finally:
                self._writer.execute("ROLLBACK")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")

    def _failure(self, what: str, error: sqlite3.Error) -> StoreError:
        folder = self.path.parent
        if is_damage(error):
            return StoreError(f"the index {self.path} is damaged ({error}); move its folder away or name another")
        if is_full(error):
            return StoreError(f"cannot {what} in {folder}: {error}; make room there, or name another folder")
        if is_locked(error):
            return StoreError(f"cannot {what} in {folder}: another process writes there; wait until it is done")
        return StoreError(f"cannot {what} in {folder}: {error}")
