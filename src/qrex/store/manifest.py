"""The manifest of a scratch area: which commits happened, in a file that says itself how far it can be believed.

In: JSON-able commits. Out: the same, in order, after whatever ended the process. Every line is a checksum, a blank
and JSON; the checksum (BLAKE2b, 128 bits) is of the line before it too, so that no line counts out of its place. The
first line says what the area is.

A line that does not check ends what can be read. Was it never finished, or was it finished and damaged since? In the
first case its commit never happened, and what was there before it is whole. In the second, slots that it freed may
have been written over: then nothing that is left can be trusted. The *mark*, a file of one sector that is written in
place once a line is on the disk and before anything that it frees is used, tells the two apart. One damaged place in
one of the files therefore never costs more than starting anew; see `tests/store/test_scratch_damage.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qrex.store.claim import MANIFEST, MARK, NEW_MANIFEST, Claim

__all__ = ["Commit", "Header", "Manifest", "Unusable", "write_all"]

_FORMAT, _LAYOUT = "qrex scratch area", 1
_CHECKSUM_BYTES = 16
_MARK_DIGITS = 16


class Unusable(Exception):
    """Why an area cannot be resumed; "" where there is nothing that could be."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an area is. `first` is the number of the first commit that is kept, `held` the slots held before it."""

    identity: str
    slot_bytes: int
    slots: int
    first: int = 0
    held: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """One line: the slots that `record` refers to from now on, and those that nothing does any more."""

    record: Any
    holds: list[int]
    frees: list[int]


class Manifest:
    """The manifest of a claimed area. `note` says what was dropped when it was read, "" where nothing was.

    Raises OSError where the disk refuses: what is then on it is read by the next process, and no more may be appended.
    """

    def __init__(self, claim: Claim, header: Header, handle: int, mark: int) -> None:
        self.header = header
        self.note = ""
        self._claim = claim
        self._handle, self._mark = handle, mark
        self._bodies: list[bytes] = []
        self._checksum, self._end = b"", 0

    @classmethod
    def create(cls, claim: Claim, header: Header) -> Manifest:
        """A manifest without commits, on the disk. All else of the area must be there already."""
        mark = claim.open(MARK, os.O_RDWR | os.O_CREAT)
        manifest = cls(claim, header, -1, mark)
        manifest._make_mark()
        manifest._write_new(header, [])
        return manifest

    @classmethod
    def read(cls, claim: Claim, wanted: Header) -> Manifest:
        """The manifest that another process left. Raises Unusable where it is not of `wanted` or is damaged."""
        try:
            handle = claim.open(MANIFEST, os.O_RDWR)
        except FileNotFoundError:
            raise Unusable("") from None
        mark = claim.open(MARK, os.O_RDWR | os.O_CREAT)
        text = _read_all(handle)
        lines = _sound_lines(text)
        first = next(lines, None)
        if first is None:
            raise Unusable("its header is damaged")
        manifest = cls(claim, _header(first[0], wanted), handle, mark)
        _, manifest._checksum, manifest._end = first
        for body, checksum, end in lines:
            manifest._bodies.append(body)
            manifest._checksum, manifest._end = checksum, end
        manifest._judge(damaged=manifest._end < len(text))
        return manifest

    @property
    def count(self) -> int:
        """Commits that ever happened: the number of the next one."""
        return self.header.first + len(self._bodies)

    def commits(self) -> Iterator[Commit]:
        """The kept ones in order, from number `header.first` on. Raises Unusable where a line is no commit."""
        for number, body in enumerate(self._bodies, self.header.first):
            try:
                line = json.loads(body)
                if line.pop("number") != number:
                    raise ValueError
                yield Commit(**line)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise Unusable(f"commit {number} is none") from None

    def settle(self) -> None:
        """What was read is on the disk and is all that is: called before any slot that it frees is written to."""
        os.ftruncate(self._handle, self._end)
        os.fdatasync(self._handle)
        os.fsync(self._claim.folder)
        self._make_mark()

    def line(self, commit: Commit) -> bytes:
        """What `append` takes. Raises TypeError or ValueError where `commit` is not JSON-able."""
        return _json({"number": self.count, "record": commit.record, "holds": commit.holds, "frees": commit.frees})

    def append(self, body: bytes) -> None:
        """One more commit. When this returns it is on the disk, and is known to be."""
        line, checksum = _line(self._checksum, body)
        write_all(self._handle, line, self._end)
        os.fdatasync(self._handle)
        self._bodies.append(body)
        self._checksum = checksum
        self._end += len(line)
        self._make_mark()

    def rewrite(self, header: Header) -> None:
        """Only the commits from number `header.first` on are kept. A crash leaves the old manifest or the new one."""
        old = self._handle
        self._write_new(header, self._bodies[header.first - self.header.first :])
        self._claim.close_file(old)

    def _write_new(self, header: Header, bodies: list[bytes]) -> None:
        first = {"format": _FORMAT, "layout": _LAYOUT, **asdict(header)}
        lines: list[bytes] = []
        checksum = b""
        for body in (_json(first), *bodies):
            line, checksum = _line(checksum, body)
            lines.append(line)
        text = b"".join(lines)
        handle = self._claim.open(NEW_MANIFEST, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        write_all(handle, text, 0)
        os.fdatasync(handle)
        folder = self._claim.folder
        os.rename(NEW_MANIFEST, MANIFEST, src_dir_fd=folder, dst_dir_fd=folder)
        self.header, self._handle, self._bodies = header, handle, bodies
        self._checksum, self._end = checksum, len(text)
        os.fsync(folder)

    def _make_mark(self) -> None:
        write_all(self._mark, _mark(self.header, self.count), 0)
        os.fdatasync(self._mark)

    def _judge(self, *, damaged: bool) -> None:
        """Raises Unusable unless every commit that is known to have been on the disk was read."""
        marked = _marked(_read_all(self._mark), self.header)
        if damaged and marked is None:
            raise Unusable("its manifest and its mark are damaged")
        if marked is not None and self.count < marked:
            raise Unusable(f"its manifest is damaged after commit {self.count} of {marked}")
        if damaged:
            self.note = f"commit {self.count} was not finished and is done again"


def write_all(handle: int, content: bytes, offset: int) -> None:
    """All of `content`, however many writes the system makes of it."""
    view = memoryview(content)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _read_all(handle: int) -> bytes:
    parts: list[bytes] = []
    offset = 0
    while part := os.pread(handle, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=_CHECKSUM_BYTES).hexdigest().encode()


def _line(previous: bytes, body: bytes) -> tuple[bytes, bytes]:
    checksum = _digest(previous, body)
    return checksum + b" " + body + b"\n", checksum


def _sound_lines(text: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """(JSON, checksum, where the line ends) of each line up to the first that does not check."""
    checksum, begin = b"", 0
    while (stop := text.find(b"\n", begin)) >= 0:
        body = text[begin + 2 * _CHECKSUM_BYTES + 1 : stop]
        line, checksum = _line(checksum, body)
        if text[begin : stop + 1] != line:
            return
        begin = stop + 1
        yield body, checksum, begin


def _header(body: bytes, wanted: Header) -> Header:
    try:
        found = json.loads(body)
        if found.pop("format") != _FORMAT:
            raise ValueError
        layout = found.pop("layout")
        if layout != _LAYOUT:
            raise Unusable(f"another version of qrex made it (layout {layout}; this one reads {_LAYOUT})")
        header = Header(**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unusable("its header is that of something else") from None
    if header.identity != wanted.identity:
        raise Unusable("it is of another job")
    if (header.slot_bytes, header.slots) != (wanted.slot_bytes, wanted.slots):
        raise Unusable(
            f"it has {header.slots} slots of {header.slot_bytes} bytes; "
            f"{wanted.slots} of {wanted.slot_bytes} bytes are wanted"
        )
    return header


def _mark(header: Header, count: int) -> bytes:
    number = b"%0*d" % (_MARK_DIGITS, count)
    return number + b" " + _digest(header.identity.encode(), number) + b"\n"


def _marked(text: bytes, header: Header) -> int | None:
    """How many commits the mark says are on the disk; None where it is damaged."""
    number = text[:_MARK_DIGITS]
    return int(number) if number.isdigit() and text == _mark(header, int(number)) else None
