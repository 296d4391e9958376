"""A final state on its way into an .npy file.

In: a path, the number of qubits, a hash of what the amplitudes depend on. Out: a memory map of zeros, or of what a
stopped run of the same state left. Until `finish` the file lies beside the path as `.NAME.IDENTITY.TOKEN.part`; the
token is made with the file, so that one that was deleted is never taken for another.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from qrex.errors import InfeasibleError, InputError, StoreError
from qrex.store.blocks import NO_ROOM
from qrex.store.paths import path_from
from qrex.units import format_bytes

__all__ = ["StateFile", "check_state_path"]

_AMPLITUDE_BYTES = 8
_OPENED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def check_state_path(path: str | os.PathLike[str]) -> None:
    """InputError where no state can be written to `path`, or something is there already."""
    target = path_from(path, "the file of the final state")
    if target.suffix != ".npy":
        raise InputError(f"the final state is written as .npy and was to go to '{target}'; name a file that ends so")
    if os.path.lexists(target):
        raise InputError(f"the final state was to go to '{target}', which exists; delete it or name another file")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
        raise InputError(f"the final state was to go to '{target}'; there is no folder that can be written to; make it")


class StateFile:
    """The file while it is written; use as a context manager. `array`: complex64, 2^num_qubits amplitudes. `name` is
    that of the file now. Where the block ends with an error the file is removed, unless `keep` says that what is in it
    will be needed to go on.

    Raises InputError as `check_state_path` does, StoreError where another process writes it or the disk fails.
    """

    def __init__(self, path: str | os.PathLike[str], num_qubits: int, identity: str):
        check_state_path(path)
        self.path = Path(path)
        self.keep = False
        stem = f".{self.path.name}.{identity}."
        left = sorted(self.path.parent.glob(f"{glob.escape(stem)}*.part"))
        self._part = left[0] if left else self.path.parent / f"{stem}{uuid.uuid4().hex[:8]}.part"
        try:
            self._handle = os.open(self._part, _OPENED, 0o666)
            self.array = self._mapped(1 << num_qubits, fresh=not left)
        except OSError as error:
            if not left:
                with suppress(OSError):
                    self._part.unlink(missing_ok=True)
            raise StoreError(f"cannot write '{self._part}': {error.strerror}; name another --final-state") from error

    def _mapped(self, amplitudes: int, *, fresh: bool) -> np.memmap:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise StoreError(f"another process is writing '{self.path}'; wait for it, or name another file") from None
        if not fresh:
            try:
                size = os.fstat(self._handle).st_size  # before it is mapped, which makes it as long as it should be
                found = open_memmap(self._part, mode="r+")
                whole = found.offset + found.nbytes == size
                if whole and found.shape == (amplitudes,) and found.dtype == np.complex64:
                    return found
            except (ValueError, OSError):
                pass  # it was stopped before its header was written
            self._part.unlink()
            os.close(self._handle)
            self._part = self._part.with_suffix("").with_suffix(f".{uuid.uuid4().hex[:8]}.part")
            self._handle = os.open(self._part, _OPENED, 0o666)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return open_memmap(self._part, mode="w+", dtype=np.complex64, shape=(amplitudes,))

    @property
    def name(self) -> str:
        return self._part.name

    def reserve(self) -> None:
        """Take the room on the disk now: where it ran out under a memory map, the process would be killed.
        InfeasibleError where there is not so much."""
        try:
            os.posix_fallocate(self._handle, 0, os.fstat(self._handle).st_size)
        except OSError as error:
            if error.errno in NO_ROOM:
                needed = format_bytes(self.array.size * _AMPLITUDE_BYTES)
                raise InfeasibleError(
                    f"the final state takes {needed} in '{self.path.parent}', which has not so much; make room or name "
                    "another folder"
                ) from error
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EBADF):
                raise StoreError(f"cannot write '{self._part}': {error.strerror}") from error

    def finish(self) -> None:
        """All of it is there: give it its name."""
        self.array.flush()
        try:
            os.rename(self._part, self.path)
        except OSError as error:
            raise StoreError(f"cannot rename '{self._part}' to '{self.path}': {error.strerror}") from error

    def __enter__(self) -> StateFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        if kind is not None and not self.keep:
            self._part.unlink(missing_ok=True)
        os.close(self._handle)
