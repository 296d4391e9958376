"""A folder that keeps named, versioned records made of blocks of bytes; equal blocks are kept once.

In: a record's blocks, one after the other. Out: the same. `index.db` says which blocks make up which record and where
in `blocks.bin` they lie. A record is written in one transaction of the index: its blocks go to free places first, are
flushed, and are entered last. Killed anywhere before that, the record does not exist and its places are still free.

Every read verifies: a record's digests cover what it is and what it is made of, and each block has its checksum.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from qrex import _kernels
from qrex.errors import InputError, StoreError
from qrex.store.block_file import HEADER_BYTES, BlockFile, Holes
from qrex.store.block_index import BlockIndex
from qrex.store.block_record import ZEROS, Place, Record, content_of, digest_of, packed, root_of, unpacked
from qrex.store.paths import path_from
from qrex.units import format_bytes, parse_bytes

__all__ = ["BlockFolder"]

_IDS_PER_QUERY = 500  # SQLite takes 999 values at least
_RECORD = "id, name, version, kind, created_at, metadata, form, new_bytes, content, root"


class _Closed:
    """In place of the index of a folder that was closed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getattr__(self, _name: str) -> Any:
        raise StoreError(f"the snapshots in {self._path} were closed; open them again")


class BlockFolder:
    """The open folder at `path`, made where it is not there. `limit_bytes` bounds the blocks' file.

    Raises StoreError where it is somebody else's, was written by a newer qrex, or a part of it is missing.
    """

    def __init__(self, path: str | Path, limit_bytes: int | str | None = None) -> None:
        self.path = path_from(path, "the folder of snapshots")
        self.limit_bytes = None if limit_bytes is None else parse_bytes(limit_bytes)
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"snapshots are kept in a folder; {str(path)!r} is none; name another")
        index, blocks = self.path / "index.db", self.path / "blocks.bin"
        if blocks.exists() and blocks.stat().st_size and not index.exists():
            raise StoreError(f"{blocks} is there without its index {index}; bring that back, or name another folder")
        self._index: Any = BlockIndex(index)
        try:
            used = bool(self._index.rows("SELECT 1 FROM blocks LIMIT 1"))
            self._file = BlockFile(blocks, self._index.identity, make=not used)
        except BaseException:
            self._index.close()
            raise
        self._index.tidy(self._trim)

    def close(self) -> None:
        if isinstance(self._index, _Closed):
            return
        self._index.close()
        self._file.close()
        self._index = _Closed(self.path)

    # Writing -----------------------------------------------------------------------------------------

    def keep(
        self, name: str, kind: str, metadata: Any, blocks: Iterable[Any], form: Callable[[], Mapping[str, Any]]
    ) -> Record:
        """Keep `blocks` (buffers; None is one of zeros, which takes no space) as the next version of `name`. `form` is
        asked once all blocks were taken.

        Raises InputError where the name or the metadata cannot be kept, StoreError where the disk or another process
        refuses, and whatever `blocks` raises; nothing is kept then.
        """
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError(f"asked to keep something as {name!r}; a name is printable text: choose another")
        try:
            metadata_text = json.dumps({} if metadata is None else metadata, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"the metadata of {name!r} cannot be written as JSON: {error}") from error
        try:
            with self._index.transaction(f"save {name!r}") as writer:
                placed, new_bytes = self._place_all(writer, blocks)
                self._file.sync()
                row = writer.execute("SELECT last_version FROM names WHERE name = ?", (name,)).fetchone()
                version = row[0] + 1 if row else 1
                writer.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, version))
                content = content_of(digest for _, digest in placed)
                form_text = json.dumps(form(), sort_keys=True)
                values = (name, version, kind, time.time(), metadata_text, form_text, new_bytes, content)
                ids = packed(number for number, _ in placed)
                stored = writer.execute(
                    "INSERT INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, root_of(values), ids)
                )
        finally:
            self._index.tidy(self._trim)
        return Record(stored.lastrowid or 0, name, version, kind, values[3], json.loads(metadata_text),
                      json.loads(form_text), new_bytes, content)  # fmt: skip

    def _place_all(self, writer: sqlite3.Connection, blocks: Iterable[Any]) -> tuple[list[tuple[int, bytes]], int]:
        """([(id, digest), …], bytes added)."""
        holes = Holes(writer.execute("SELECT position, bytes FROM blocks ORDER BY position"))
        newest = writer.execute("SELECT coalesce(max(id), 0) FROM blocks").fetchone()[0]
        placed, new_bytes = [], 0
        for content in blocks:
            if content is None:
                placed.append((0, ZEROS))
                continue
            digest, count = digest_of(content), memoryview(content).nbytes
            found = "SELECT id, position, bytes, crc, digest FROM blocks WHERE digest = ?"
            row = writer.execute(found, (digest,)).fetchone()
            # Nothing is built on a block that is damaged: it is written anew, for every record that uses it.
            if row and (row[0] > newest or self._content(Place(*row[1:])) is not None):
                placed.append((row[0], digest))
                continue
            position = holes.take(count)
            if self.limit_bytes is not None and holes.end > self.limit_bytes:
                raise StoreError(
                    f"no room for {format_bytes(count)} more: the snapshots in {self.path} may take "
                    f"{format_bytes(self.limit_bytes)}; delete versions that are not needed, or raise the limit"
                )
            self._file.write(position, content)
            stored = writer.execute(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
                (row[0] if row else None, digest, position, count, _kernels.crc32c(content)),
            )
            placed.append((stored.lastrowid or 0, digest))
            new_bytes += count
        return placed, new_bytes

    def delete(self, name: str, version: int) -> None:
        """Forget that version; blocks that nothing else uses are free. Raises InputError where it is not there."""
        with self._index.transaction(f"delete {name!r} version {version}") as writer:
            there = "SELECT id, blocks FROM records WHERE name = ? AND version = ?"
            row = writer.execute(there, (name, version)).fetchone()
            if not row:
                raise self._absent(name, version)
            try:
                free = set(unpacked(row[1]))
            except (TypeError, ValueError):  # damaged
                free = {id_ for (id_,) in writer.execute("SELECT id FROM blocks")}
            for (blocks,) in writer.execute("SELECT blocks FROM records WHERE id != ?", row[:1]):
                with suppress(TypeError, ValueError):
                    free.difference_update(unpacked(blocks))
            writer.executemany("DELETE FROM blocks WHERE id = ?", [(id_,) for id_ in free])
            writer.execute("DELETE FROM records WHERE id = ?", row[:1])
        self._index.tidy(self._trim)

    def _trim(self, writer: sqlite3.Connection) -> None:
        """Gives back what lies behind the last block: of deleted versions, and of saves that did not end."""
        ((end,),) = writer.execute("SELECT max(position + bytes) FROM blocks").fetchall()
        self._file.trim(end or HEADER_BYTES)

    # Reading -----------------------------------------------------------------------------------------

    def records(self, name: str | None = None) -> list[Record]:
        """Of that name, or all, oldest first."""
        where, values = ("1", ()) if name is None else ("name = ?", (name,))
        rows = self._index.rows(f"SELECT {_RECORD} FROM records WHERE {where} ORDER BY id", values)
        return [self._record(row) for row in rows]

    def record(self, name: str, version: int | None = None) -> Record:
        """That version, or the newest one. Raises InputError where it is not there."""
        where, values = ("1", (name,)) if version is None else ("version = ?", (name, version))
        sql = f"SELECT {_RECORD} FROM records WHERE name = ? AND {where} ORDER BY version DESC LIMIT 1"
        if not (rows := self._index.rows(sql, values)):
            raise self._absent(name, version)
        return self._record(rows[0])

    def blocks(self, record: Record, first: int = 0, stop: int | None = None) -> Iterator[bytes | None]:
        """Blocks `first` to `stop` of a record, verified; None is one of zeros. Raises StoreError where one is
        damaged, or was deleted meanwhile."""
        ids = self._ids(record)
        places = self._places(record, ids)
        for number in range(first, len(ids) if stop is None else min(stop, len(ids))):
            yield self._read(record, number, places[ids[number]]) if ids[number] else None

    def _record(self, row: Sequence[Any]) -> Record:
        try:
            *values, root = row
            if root_of(values[1:]) == root:
                values[5:7] = json.loads(values[5]), json.loads(values[6])
                return Record(*values)
        except (TypeError, ValueError):
            pass
        raise StoreError(f"the index of {row[1]!r} version {row[2]} in {self.path} is damaged; delete that version")

    def _ids(self, record: Record) -> array[int]:
        try:
            return unpacked(self._index.rows("SELECT blocks FROM records WHERE id = ?", (record.id,))[0][0])
        except (IndexError, TypeError, ValueError) as error:
            raise self._lost(record, f"the list of blocks of {record}") from error

    def _places(self, record: Record, ids: Sequence[int]) -> dict[int, Place]:
        """Where the blocks lie, by id. Raises StoreError where they are not those that were saved."""
        places: dict[int, Place] = {}
        distinct = sorted(set(ids) - {0})
        for start in range(0, len(distinct), _IDS_PER_QUERY):
            some = distinct[start : start + _IDS_PER_QUERY]
            marks = ",".join("?" * len(some))
            rows = self._index.rows(f"SELECT id, position, bytes, crc, digest FROM blocks WHERE id IN ({marks})", some)
            places.update((row[0], Place(*row[1:])) for row in rows)
        try:
            sound = content_of(places[id_].digest if id_ else ZEROS for id_ in ids) == record.content
        except (KeyError, TypeError):
            sound = False
        if not sound:
            raise self._lost(record, f"the list of blocks of {record}")
        return places

    def _read(self, record: Record, number: int, place: Place) -> bytes:
        content = self._content(place)
        if content is None:
            raise self._lost(record, f"block {number} of {record}")
        return content

    def _content(self, place: Place) -> bytes | None:
        """What lies there; None where that is not what was written."""
        if not all(type(value) is int for value in place[:3]):
            return None
        content = self._file.read(place.position, place.length)
        return content if len(content) == place.length and _kernels.crc32c(content) == place.crc else None

    def _lost(self, record: Record, what: str) -> StoreError:
        if not self._index.rows("SELECT 1 FROM records WHERE id = ?", (record.id,)):
            return StoreError(f"{record} was deleted from {self.path} while it was read")
        return StoreError(
            f"{what} in {self.path} is damaged and cannot be restored; save the same again, which mends it, or delete "
            "that version"
        )

    def _absent(self, name: str, version: int | None) -> InputError:
        versions = [str(row[0]) for row in self._index.rows("SELECT version FROM records WHERE name = ?", (name,))]
        if versions:
            return InputError(f"{name!r} has no version {version} in {self.path}; there are {', '.join(versions)}")
        names = [row[0] for row in self._index.rows("SELECT DISTINCT name FROM records ORDER BY name LIMIT 20")]
        return InputError(f"nothing is kept as {name!r} in {self.path}; kept are {names or 'no names yet'}")

    # Figures -----------------------------------------------------------------------------------------

    def stored_bytes(self, record: Record) -> tuple[int, int]:
        """(bytes of its distinct blocks, bytes of those that nothing else uses: what deleting it frees)."""
        ids = self._ids(record)
        places = self._places(record, ids)
        alone = set(places)
        for (blocks,) in self._index.rows("SELECT blocks FROM records WHERE id != ?", (record.id,)):
            alone.difference_update(unpacked(blocks))
        return sum(place.length for place in places.values()), sum(places[id_].length for id_ in alone)

    def physical_bytes(self) -> int:
        """What all files of the folder really take on the disk."""
        with os.scandir(self.path) as entries:
            return sum(entry.stat().st_blocks * 512 for entry in entries if entry.is_file(follow_symlinks=False))

    def damage(self) -> list[str]:
        """One sentence for everything in the folder that is not as it was saved, found by reading all of it."""
        found = []
        for name, version in self._index.rows("SELECT name, version FROM records ORDER BY id"):
            try:
                record = self.record(name, version)
                ids = self._ids(record)
                places = self._places(record, ids)
            except StoreError as error:
                found.append(str(error))
                continue
            for number, id_ in enumerate(ids):
                content = self._content(places[id_]) if id_ else None
                if id_ and (content is None or digest_of(content) != places[id_].digest):
                    found.append(str(self._lost(record, f"block {number} of {record}")))
        return found

