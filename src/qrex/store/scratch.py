"""The scratch area of a running job: blocks on a disk that outlive the process that wrote them.

In: blocks, written by whoever has `fd` (slot i lies at byte i × `slot_bytes`), and commits that say which blocks
count from now on. Out: after a kill, a full disk or a power cut, the area as it was after its last commit. Nothing is
written twice for that: what replaces a block goes into another slot, and the old slot is used again only when the
commit that frees it is on the disk. The price is room for what lies between two commits, and three flushes per
commit, milliseconds each, whatever the size of a block.

One folder per job: `blocks`, all its room taken beforehand (see `blocks.py`); `manifest`, a line for each commit, and
`committed` (see `manifest.py`); `lock` (see `claim.py`).
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qrex.errors import InfeasibleError, StoreError
from qrex.store.blocks import ALIGNMENT, NO_ROOM, free_bytes, open_blocks, reserve_blocks
from qrex.store.claim import BLOCKS, Claim, area_path
from qrex.store.manifest import Commit, Header, Manifest, Unusable
from qrex.store.slots import SlotTable
from qrex.units import format_bytes

__all__ = ["ScratchArea", "remove_area"]


class ScratchArea:
    """An open area; use as a context manager, or call `close`. In a forked child it is closed.

    `fd` is the block file's descriptor and `direct` whether it is O_DIRECT: then addresses, lengths and offsets are
    multiples of 4096 bytes. `resumed`: another process began it, and `records()` is what it committed. `note` is what
    the user may want to know of how it was opened, "" where there is nothing. Threads may share an area; taking slots
    does not wait for a commit.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ScratchArea.open(folder, "0123", slot_bytes=4096, slots=8) as area:
    ...         slots = area.take(2)
    ...         number = area.commit({"stage": 0, "slots": slots}, holds=slots)
    ...     with ScratchArea.open(folder, "0123", slot_bytes=4096, slots=8) as area:
    ...         area.resumed, area.free_slots, area.records()
    (True, 6, [{'stage': 0, 'slots': [0, 1]}])
    """

    def __init__(self, claim: Claim, manifest: Manifest, table: SlotTable, *, resumed: bool, note: str) -> None:
        self.path = claim.path
        self.slot_bytes, self.slots = manifest.header.slot_bytes, manifest.header.slots
        self.resumed = resumed
        self.note = note
        self.fd, self.direct = open_blocks(claim)
        self._claim, self._manifest, self._table = claim, manifest, table
        self._committing, self._changing = threading.Lock(), threading.Lock()
        self._closed = False
        self._trouble = ""  # why there are no more commits
        _close_in_children(self)

    @classmethod
    def open(cls, parent: str | Path, identity: str, slot_bytes: int, slots: int) -> ScratchArea:
        """The area `<parent>/qrex-<identity>`: taken up where another process left it, else new, with room for all
        its slots. One that is damaged, of another version or of another size is begun anew, and `note` says why.

        `identity` is a hash of all that determines what the blocks mean; `slot_bytes` is a multiple of 4096.

        Raises InfeasibleError where the disk has not got the room, StoreError where a living process holds the area
        or the folder cannot be used, ValueError for a size or an identity that is none.
        """
        path = area_path(parent, identity)
        if slot_bytes <= 0 or slot_bytes % ALIGNMENT or slots <= 0:
            raise ValueError(f"{slots} slots of {slot_bytes} bytes; at least one, of a multiple of {ALIGNMENT} bytes")
        with contextlib.ExitStack() as stack:
            claim = Claim.take(path)
            stack.callback(claim.close)
            try:
                area = cls._opened(claim, Header(identity, slot_bytes, slots))
            except OSError as error:
                raise StoreError(
                    f"cannot open the scratch area {path}: {error.strerror}; remove it, or name another folder with "
                    "--scratch"
                ) from error
            stack.pop_all()
        return area

    @classmethod
    def _opened(cls, claim: Claim, wanted: Header) -> ScratchArea:
        try:
            manifest, table = _left_behind(claim, wanted)
        except Unusable as reason:
            anew = f"the scratch area {claim.path} is begun anew: {reason}" if str(reason) else ""
            manifest, unreserved = _begun(claim, wanted)
            note = "; ".join(one for one in (anew, unreserved) if one)
            return cls(claim, manifest, SlotTable(wanted.slots), resumed=False, note=note)
        return cls(claim, manifest, table, resumed=True, note=manifest.note)

    def __enter__(self) -> ScratchArea:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def free_slots(self) -> int:
        """How many slots `take` could give."""
        return self._table.free

    @property
    def first(self) -> int:
        """Number of the first record that is kept: 0 until `compact` drops some."""
        return self._manifest.header.first

    def records(self) -> list[dict[str, Any]]:
        """What was committed, in order, beginning with record number `first`."""
        return [commit.record for commit in self._manifest.commits()]

    def take(self, count: int) -> list[int]:
        """`count` free slots to write blocks into, ascending, in as few pieces as possible.

        Raises StoreError where there are not so many.
        """
        with self._changing:
            self._check_open()
            if count > self._table.free:
                raise StoreError(
                    f"{count} slots of the scratch area {self.path} were asked for; {self._table.free} of {self.slots} "
                    "are free; commit what frees some, give back what is not used, or open it with more slots"
                )
            return self._table.take(count)

    def give_back(self, slots: Iterable[int]) -> None:
        """Taken slots that hold nothing that counts, such as blocks of zeros: free at once.

        Raises ValueError for slots that are not taken.
        """
        with self._changing:
            self._check_open()
            self._table.give_back(slots)

    def commit(self, record: Mapping[str, Any], *, holds: Iterable[int] = (), frees: Iterable[int] = ()) -> int:
        """From now on `record` is kept, whatever happens; returns its number.

        `holds`: the slots taken before that it refers to, whose blocks are written. `frees`: slots that earlier
        commits hold and that nothing refers to any more; they are free when this returns.

        Raises ValueError or TypeError, and nothing has happened, where `record` is not JSON-able or a slot is not
        what is said of it. Raises StoreError where the disk refuses: then the area takes no more commits until it
        is opened again, and goes on after the last one that returned, or after this one.
        """
        with self._committing:
            self._check_usable()
            with self._changing:
                held, freed = self._table.checked(holds, frees)
            number = self._manifest.count
            line = self._manifest.line(Commit(dict(record), held, freed))
            with self._lasting(len(line)):
                os.fdatasync(self.fd)
                self._manifest.append(line)
                with self._changing:
                    self._table.apply(held, freed)
            return number

    def compact(self, keep_from: int) -> None:
        """Forget the records before number `keep_from`; slots that they hold stay held until a commit frees them.

        Raises ValueError where there is no such number, StoreError as `commit` does.
        """
        with self._committing:
            self._check_usable()
            header = self._manifest.header
            if not header.first <= keep_from <= self._manifest.count:
                raise ValueError(f"records {header.first} to {self._manifest.count} can be kept from, not {keep_from}")
            held = _replayed(self._manifest, until=keep_from).held()
            with self._lasting(0):
                self._manifest.rewrite(Header(header.identity, self.slot_bytes, self.slots, keep_from, held))

    def close(self) -> None:
        """Let go of the area and keep it: whoever opens it next goes on."""
        with self._committing, self._changing:
            self._close()

    def remove(self) -> None:
        """Delete the area. Files in its folder that are not its own stay. Raises StoreError where that fails."""
        with self._committing, self._changing:
            self._check_open()
            _remove(self._claim)
            self._close()

    def _close(self) -> None:
        self._closed = True
        self.fd = -1
        self._claim.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the scratch area {self.path} is closed")

    def _check_usable(self) -> None:
        self._check_open()
        if self._trouble:
            raise StoreError(self._trouble)

    @contextlib.contextmanager
    def _lasting(self, asked_bytes: int) -> Iterator[None]:
        """Whatever goes wrong inside is the end of commits: after a failed flush nobody knows what is on the disk, and
        the system forgets that it failed."""
        self._trouble = f"a commit to the scratch area {self.path} was interrupted; run again to resume"
        try:
            yield
        except OSError as error:
            self._trouble = self._failure(error, asked_bytes)
            raise StoreError(self._trouble) from error
        self._trouble = ""

    def _failure(self, error: OSError, asked_bytes: int) -> str:
        kept = f"{self._manifest.count} commits are kept"
        if error.errno not in NO_ROOM:
            return (
                f"the disk under the scratch area {self.path} failed in a commit ({error.strerror}); {kept}; run again "
                "to resume, or name another folder with --scratch"
            )
        return (
            f"no room for a commit of {format_bytes(asked_bytes)} to the scratch area {self.path} ({error.strerror}); "
            f"{format_bytes(free_bytes(self._claim))} are free; {kept}; make room there and run again: it resumes"
        )


def remove_area(path: str | Path) -> None:
    """Delete an area that no process holds, such as `stale_areas` lists. Files that are not its own stay.

    Raises StoreError where a living process holds it, where it is not an area, or where it cannot be deleted.
    """
    claim = Claim.take(Path(path), make=False)
    try:
        _remove(claim)
    finally:
        claim.close()


def _remove(claim: Claim) -> None:
    try:
        claim.remove()
    except OSError as error:
        raise StoreError(f"cannot remove the scratch area {claim.path}: {error.strerror}; remove it by hand") from error


def _left_behind(claim: Claim, wanted: Header) -> tuple[Manifest, SlotTable]:
    """What another process left. Raises Unusable where nothing of it can be used."""
    manifest = Manifest.read(claim, wanted)
    try:
        found = os.stat(BLOCKS, dir_fd=claim.folder, follow_symlinks=False)
    except FileNotFoundError:
        raise Unusable("its blocks are gone") from None
    size = wanted.slot_bytes * wanted.slots
    if found.st_size != size:
        raise Unusable(f"its blocks are {format_bytes(found.st_size)} and not {format_bytes(size)}")
    table = _replayed(manifest)
    manifest.settle()
    return manifest, table


def _replayed(manifest: Manifest, until: int | None = None) -> SlotTable:
    """The slots after the commits before number `until`. Raises Unusable where these contradict each other."""
    header = manifest.header
    try:
        table = SlotTable(header.slots, header.held)
        for number, commit in enumerate(manifest.commits(), header.first):
            if number == until:
                break
            table.restore(commit.holds, commit.frees)
    except (ValueError, TypeError) as error:
        raise Unusable(f"its commits contradict each other ({error})") from error
    return table


def _begun(claim: Claim, wanted: Header) -> tuple[Manifest, str]:
    """A new area in place of whatever is there, and what there is to say about its room. Where there is none, nothing
    is left behind."""
    claim.clear()
    try:
        unreserved = reserve_blocks(claim, wanted.slot_bytes * wanted.slots)
        return Manifest.create(claim, wanted), unreserved
    except (OSError, InfeasibleError):
        claim.remove()
        raise


def _close_in_children(area: ScratchArea) -> None:
    """A forked child closes what it inherits: it would hold the lock for as long as it lives."""
    reference = weakref.ref(area)

    def close() -> None:
        if (inherited := reference()) is not None:
            inherited._close()

    os.register_at_fork(after_in_child=close)
