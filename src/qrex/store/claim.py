"""A folder that one process at a time works in: made, locked, listed and removed.

In: a parent folder (`--scratch`) and an identity. Out: a `Claim` on `<parent>/qrex-<identity>`, through which its
files are opened, or why it cannot be had. The lock is one of the system (flock): it ends with the process, however
that ends. Nothing is followed (links) and nothing is removed that is not one of `FILES`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from qrex.errors import StoreError

__all__ = ["BLOCKS", "FILES", "MANIFEST", "MARK", "NEW_MANIFEST", "Claim", "StaleArea", "area_path", "stale_areas"]

MANIFEST, NEW_MANIFEST, MARK, BLOCKS, _LOCK = "manifest", "manifest.new", "committed", "blocks", "lock"
FILES = (MANIFEST, NEW_MANIFEST, MARK, BLOCKS, _LOCK)
"""All that may lie in an area, in the order of removal: the manifest first, since without it the rest means nothing,
and the lock last, since until then nobody else may begin."""

_PREFIX = "qrex-"
_ANOTHER = "name another folder with --scratch"
# A killed process gives its memory back before its locks: tens of gigabytes take seconds.
_PATIENCE_SECONDS, _RETRY_SECONDS = 3.0, 0.05


def area_path(parent: str | Path, identity: str) -> Path:
    """Where the area of `identity` (letters, digits, - and _) lies. Raises ValueError for another identity."""
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", identity):
        raise ValueError(f"{identity!r} is no identity: 1 to 128 letters, digits, - or _")
    return Path(parent) / (_PREFIX + identity)


@dataclass(frozen=True, slots=True)
class StaleArea:
    """An area that no living process holds. `disk_bytes`: what it takes on the disk; `age_seconds`: since it was last
    written to."""

    identity: str
    path: Path
    disk_bytes: int
    age_seconds: float


class Claim:
    """The folder at `path`, this process's own until `close`; `folder` is its descriptor.

    Every descriptor opened here is closed on exec and by `close`.
    """

    def __init__(self, path: Path, folder: int, lock: int) -> None:
        self.path = path
        self.folder = folder
        # The lock goes last: by then nothing of this process is open in the folder.
        self._handles = [lock, folder]

    @classmethod
    def take(cls, path: Path, *, make: bool = True) -> Claim:
        """The claim on `path`; with `make` it is made, readable by this user alone, where it is not there.

        Raises StoreError where a living process holds it, where it is not a folder of this user alone or holds
        other files, and where the system refuses.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                if make:
                    _make(path)
                return _attempt(path, os.O_CREAT if make else 0, sign=True)
            except OSError as error:
                # Held, or removed at this moment by the one who held it: both may pass.
                passing = isinstance(error, BlockingIOError) or (make and isinstance(error, FileNotFoundError))
                if not passing or time.monotonic() >= until:
                    raise StoreError(_refusal(path, error, make)) from error
            time.sleep(_RETRY_SECONDS)

    def open(self, name: str, flags: int) -> int:
        """A descriptor of the regular file `name`. Raises OSError as `os.open`, also for a link."""
        handle = os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self.folder)
        self._handles.append(handle)
        return handle

    def close_file(self, handle: int) -> None:
        self._handles.remove(handle)
        os.close(handle)

    def close(self) -> None:
        """Everything is closed, the lock with it; the folder stays."""
        while self._handles:
            os.close(self._handles.pop())

    def clear(self) -> None:
        """Remove the area's files but the lock."""
        self._unlink(MANIFEST)
        os.fsync(self.folder)  # no crash brings back a manifest whose blocks are gone
        for name in FILES[1:-1]:
            self._unlink(name)
        os.fsync(self.folder)

    def remove(self) -> None:
        """Remove the area and close; the folder stays where there are other files in it."""
        self.clear()
        self._unlink(_LOCK)
        try:
            os.rmdir(self.path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        self.close()

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.folder)


def stale_areas(parent: str | Path) -> list[StaleArea]:
    """Areas of this user in `parent` that no living process holds, by name; none where there is no such folder."""
    found = []
    for path in sorted(Path(parent).glob(_PREFIX + "*")):
        try:
            claim = _attempt(path, 0, sign=False)
        except (OSError, StoreError):
            continue
        try:
            kept = [os.stat(name, dir_fd=claim.folder) for name in os.listdir(claim.folder) if name in FILES]
        finally:
            claim.close()
        age = time.time() - max(one.st_mtime for one in kept)
        disk_bytes = sum(one.st_blocks * 512 for one in kept)
        found.append(StaleArea(path.name.removeprefix(_PREFIX), path, disk_bytes, max(0.0, age)))
    return found


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _attempt(path: Path, creation: int, *, sign: bool) -> Claim:
    """Raises BlockingIOError where another holds it, FileNotFoundError where it is not there or is being removed,
    StoreError where it is not an area of this user's."""
    with contextlib.ExitStack() as stack:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                wrong = f"{path} must be a folder, not a file or a link; move it away or {_ANOTHER}"
                raise StoreError(wrong) from error
            raise
        stack.callback(os.close, folder)
        _check_own(path, folder)
        lock = os.open(_LOCK, os.O_RDWR | creation | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        stack.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have removed the area, and another begun one: then this is the lock of nothing.
        if not os.path.samestat(os.stat(_LOCK, dir_fd=folder, follow_symlinks=False), os.fstat(lock)):
            raise FileNotFoundError(path)
        if sign:
            # Only for others to be told. In place and of one length: a full disk has room for it.
            with contextlib.suppress(OSError):
                os.pwrite(lock, b"%-20d\n" % os.getpid(), 0)
        stack.pop_all()
    return Claim(path, folder, lock)


def _check_own(path: Path, folder: int) -> None:
    if not path.name.startswith(_PREFIX):
        raise StoreError(f"{path} is no scratch area: its name does not begin with {_PREFIX}")
    found = os.fstat(folder)
    if found.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to another user; {_ANOTHER}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise StoreError(f"{path} is open to others (mode {mode:04o}); make it private (chmod 700) or {_ANOTHER}")
    names = os.listdir(folder)
    if names and _LOCK not in names:
        raise StoreError(f"{path} is no scratch area: it holds {min(names)}; move it away or {_ANOTHER}")
    for name in set(names).intersection(FILES):
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise StoreError(f"{path / name} must be a file, not a folder or a link; remove it or {_ANOTHER}")


def _refusal(path: Path, error: OSError, make: bool) -> str:
    """What to tell whoever cannot have the area at `path`."""
    if isinstance(error, FileNotFoundError) and not make:
        return f"there is no scratch area {path}"
    if not isinstance(error, BlockingIOError):
        return f"cannot use {path} for scratch: {error.strerror or 'it is being removed'}; {_ANOTHER}"
    who = "another process"
    with contextlib.suppress(OSError, ValueError, OverflowError):
        pid = int((path / _LOCK).read_bytes())
        os.kill(pid, 0)  # one that was killed may have left a child that still holds the lock
        who = f"process {pid}"
    return f"the scratch area {path} is in use by {who}: wait until it ends, or end it, or {_ANOTHER}"
