"""The block file of a scratch area: its room taken beforehand, its transfers past the page cache.

In: a claimed folder and a size in bytes. Out: a file with that much room on the disk, and a descriptor of it, with
O_DIRECT where the file system has that.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os

from qrex.errors import InfeasibleError
from qrex.store.claim import BLOCKS, Claim, stale_areas
from qrex.units import format_bytes

__all__ = ["ALIGNMENT", "NO_ROOM", "free_bytes", "open_blocks", "reserve_blocks"]

ALIGNMENT = 4096
"""Bytes: of what addresses, lengths and offsets of direct transfers are multiples on any of today's disks."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# EBADF: the C library would write to every block instead, which takes hours where it takes anything.
_NOT_RESERVED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EBADF)
_MANIFEST_BYTES = 16 << 20  # some hundred commits of a thousand blocks


def free_bytes(claim: Claim) -> int:
    """What the file system under the claimed folder has left for this user."""
    found = os.fstatvfs(claim.folder)
    return found.f_bavail * found.f_frsize


def reserve_blocks(claim: Claim, size: int) -> str:
    """Make the block file with room for `size` bytes. Returns what the user may want to know where the file system
    cannot set room aside, else "".

    Raises InfeasibleError where there is not enough room for it and for a manifest, OSError where the disk refuses.
    """
    needed = size + _MANIFEST_BYTES
    free = free_bytes(claim)
    if needed > free:
        raise InfeasibleError(_no_room(claim, needed, free))
    # For writing only: a C library that cannot set room aside then says so, where it would write to every block.
    handle = claim.open(BLOCKS, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.posix_fallocate(handle, 0, size)
        note = ""
    except OSError as error:
        if error.errno in NO_ROOM:
            raise InfeasibleError(_no_room(claim, needed, free, f" ({error.strerror})")) from error
        if error.errno not in _NOT_RESERVED:
            raise
        os.ftruncate(handle, size)
        note = f"{claim.path.parent} cannot set room aside: if its disk fills up, the run stops and can be resumed"
    os.fsync(handle)
    claim.close_file(handle)
    return note


def open_blocks(claim: Claim) -> tuple[int, bool]:
    """The block file's descriptor, and whether it is O_DIRECT: not every file system has that."""
    direct = getattr(os, "O_DIRECT", 0)
    if direct:
        with contextlib.suppress(_Refused):
            return _open_directly(claim, direct), True
    return claim.open(BLOCKS, os.O_RDWR), False


class _Refused(Exception):
    """The file system has no direct transfers."""


def _open_directly(claim: Claim, direct: int) -> int:
    handle = -1
    try:
        handle = claim.open(BLOCKS, os.O_RDWR | direct)
        with mmap.mmap(-1, ALIGNMENT) as page:
            os.preadv(handle, [page], 0)  # some accept the flag and refuse the transfer
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        if handle >= 0:
            claim.close_file(handle)
        raise _Refused from error
    return handle


def _no_room(claim: Claim, needed: int, free: int, why: str = "") -> str:
    parent = claim.path.parent
    left = sum(area.disk_bytes for area in stale_areas(parent))
    stale = f" (areas that earlier runs left there take {format_bytes(left)})" if left else ""
    return (
        f"the scratch area needs {format_bytes(needed)}; {format_bytes(free)} are free in {parent}{why}{stale}; "
        "name another folder with --scratch, or allow a coarser codec"
    )
