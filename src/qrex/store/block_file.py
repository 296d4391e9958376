"""One file of blocks of any length, without gaps between them, and the free places in it.

In: bytes and where they go. Out: the same bytes. The file itself knows nothing of what is free: that is what the
index beside it does not cover. So what a killed process wrote without having entered it there is free by itself.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable
from pathlib import Path

from qrex.errors import StoreError

__all__ = ["HEADER_BYTES", "BlockFile", "Holes"]

HEADER_BYTES = 64
_MAGIC = b"qrex blocks 1\n\0\0"
_IDENTITY_BYTES = 16


class BlockFile:
    """The open file at `path`, whose header carries `identity` (16 bytes).

    With `make`, a file that is not there or shorter than its header is begun. Raises StoreError where the file is not
    there, is somebody else's or belongs to another index, or the system refuses.
    """

    def __init__(self, path: Path, identity: bytes, *, make: bool) -> None:
        self.path = path
        header = (_MAGIC + identity).ljust(HEADER_BYTES, b"\0")
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o666)
        except OSError as error:
            raise StoreError(f"cannot open the blocks {path}: {error.strerror}; name another folder") from error
        try:
            found = os.pread(self._handle, HEADER_BYTES, 0)
            if make and len(found) < HEADER_BYTES and header.startswith(found):
                self.write(0, header)
                self.sync()
                found = header
        except BaseException:
            self.close()
            raise
        if found != header:
            self.close()
            raise StoreError(
                f"the blocks {path} "
                + ("belong to another index than the one beside them" if found.startswith(_MAGIC) else "are not qrex's")
                + "; nothing was written into them; bring the file back that was there, or name another folder"
            )

    def close(self) -> None:
        os.close(self._handle)

    def write(self, position: int, content: bytes | memoryview) -> None:
        """All of `content` at `position`. Raises StoreError where the disk is full or fails."""
        view = memoryview(content).cast("B")
        try:
            while view:
                done = os.pwrite(self._handle, view, position)
                view, position = view[done:], position + done
        except OSError as error:
            raise self._refused(error) from error

    def read(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`; fewer where the file ends before."""
        try:
            content = os.pread(self._handle, count, position)
            while 0 < len(content) < count:  # the system may give less than is there
                if not (more := os.pread(self._handle, count - len(content), position + len(content))):
                    break
                content += more
        except (OSError, OverflowError, MemoryError, ValueError):
            return b""  # a place that cannot be: the caller knows whose it is
        return content

    def sync(self) -> None:
        """Returns when all that was written lies on the disk."""
        try:
            getattr(os, "fdatasync", os.fsync)(self._handle)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write into {self.path}: {error.strerror}; make room there, or name another folder")

    def trim(self, end: int) -> None:
        """Gives back what lies behind `end`."""
        if os.fstat(self._handle).st_size > end:
            os.ftruncate(self._handle, end)


class Holes:
    """Free places, given the used ones as (position, bytes) in ascending order. `end` is where the last one ends.

    >>> holes = Holes([(64, 10), (90, 10)])
    >>> holes.take(10), holes.take(10), holes.take(6), holes.end
    (74, 100, 84, 110)
    """

    def __init__(self, used: Iterable[tuple[int, int]]) -> None:
        self.end = HEADER_BYTES
        self._others: list[tuple[int, int]] = []  # heap of (-bytes, position)
        self._position = self._left = 0  # the hole in use: what is saved together lies together
        for position, count in used:
            if position > self.end:
                self._others.append((self.end - position, self.end))
            self.end = max(self.end, position + count)
        heapq.heapify(self._others)

    def take(self, count: int) -> int:
        """Position of `count` bytes that nothing else gets."""
        if count > self._left:
            if not self._others or -self._others[0][0] < count:
                self.end += count
                return self.end - count
            if self._left:
                heapq.heappush(self._others, (-self._left, self._position))
            largest, self._position = heapq.heappop(self._others)
            self._left = -largest
        self._position += count
        self._left -= count
        return self._position - count
