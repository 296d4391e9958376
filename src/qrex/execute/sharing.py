"""Several pools on one machine: each takes an equal part of the cores and of the memory, as long as it wants it.

In: what this pool wants and holds. Out: its `Share`, asked for again whenever something is to be started. Nothing
that runs is stopped: where a second pool begins, the first one starts less until it is down to its part, and it
grows back when the other ends.

The pools tell each other by one small file in a folder of the user, under a lock (flock) that is held only to
read it and write it. A process that was killed leaves a record whose process id and start time no longer exist:
it drops out at the next reading. A file that cannot be read counts as empty, since every pool writes its own record
again whenever it asks. A lock that is not had within 20 ms is gone without: the last known share is used.

Division is max-min fair: who wants less than an equal part gets what it wants, and the rest is divided again.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from qrex.platform.cgroup import memory_limit

__all__ = ["Lease", "Share", "Turn", "divide", "runtime_folder"]

_LOCK_SECONDS, _RETRY_SECONDS = 0.02, 0.001
_MEMORY_PART = 0.9
"""Of the machine's memory, for all pools: the rest is the parents' and the system's."""

_numbers = itertools.count()


def divide(wants: Sequence[int], capacity: int) -> list[int]:
    """Max-min fair parts of `capacity`, whole numbers; what does not divide goes to the first.

    >>> divide([4, 4], 4), divide([1, 8, 8], 8), divide([2, 2], 8)
    ([2, 2], [1, 4, 3], [2, 2])
    """
    parts = [0] * len(wants)
    left = capacity
    for number, place in enumerate(sorted(range(len(wants)), key=lambda p: (wants[p], -p))):
        # The smallest want first: what it leaves is divided among the larger ones.
        parts[place] = min(wants[place], left // (len(wants) - number))
        left -= parts[place]
    return parts


@dataclass(frozen=True, slots=True)
class Share:
    """What this pool may hold now, running tasks included. `pools`: how many run, this one among them. `free_bytes`:
    what no pool holds or this one does. `idle_elsewhere`: no other pool runs anything at this moment."""

    cores: int
    memory_bytes: int
    pools: int
    free_bytes: int
    idle_elsewhere: bool


@dataclass(slots=True)
class Turn:
    """Held while a pool decides: what it then holds is known to the others before they decide."""

    share: Share
    cores: int = 0
    memory_bytes: int = 0

    def hold(self, cores: int, memory_bytes: int) -> None:
        self.cores, self.memory_bytes = cores, memory_bytes


def runtime_folder() -> Path:
    """$XDG_RUNTIME_DIR/qrex, else a folder of this user among the temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "qrex" if runtime else Path(tempfile.gettempdir()) / f"qrex-{os.getuid()}"


class Lease:
    """One pool's place among those that run. `machine_cores` and `machine_bytes` are what all of them divide."""

    def __init__(
        self,
        cores: int,
        memory_bytes: int,
        *,
        folder: Path | None = None,
        machine_cores: int | None = None,
        machine_bytes: int | None = None,
    ) -> None:
        self._cores, self._memory_bytes = cores, memory_bytes
        # A lease never gives less than a pool alone asks for: more cores than there are is the user's decision.
        self._machine_cores = max(cores, machine_cores or len(os.sched_getaffinity(0)))
        self._machine_bytes = max(memory_bytes, machine_bytes or _machine_bytes())
        self._key = f"{os.getpid()}-{next(_numbers)}"
        self._own = {"pid": os.getpid(), "started": _start_time(os.getpid())}
        self._path = _lease_file(folder or runtime_folder())
        self._last = Share(cores, memory_bytes, 1, self._machine_bytes, True)

    @contextlib.contextmanager
    def turn(self, want_cores: int, want_bytes: int) -> Iterator[Turn]:
        """Decide inside; call `hold` with all that is then held."""
        with self._records() as records:
            if records is None:
                yield Turn(self._last)
                return
            records.setdefault(self._key, {"at": time.time(), "held": [0, 0]})
            records[self._key] |= self._own | {
                "want": [min(want_cores, self._cores), min(want_bytes, self._memory_bytes)]
            }
            self._last = self._share(records)
            turn = Turn(self._last)
            yield turn
            records[self._key]["held"] = [turn.cores, turn.memory_bytes]

    def leave(self) -> None:
        """This pool runs nothing any more."""
        with self._records() as records:
            if records is not None:
                records.pop(self._key, None)
        self._last = Share(self._cores, self._memory_bytes, 1, self._machine_bytes, True)

    def _share(self, records: dict[str, Any]) -> Share:
        order = sorted(records, key=lambda key: (records[key]["at"], key))
        mine = order.index(self._key)
        cores = divide([records[key]["want"][0] for key in order], self._machine_cores)[mine]
        memory = divide([records[key]["want"][1] for key in order], self._machine_bytes)[mine]
        others = [records[key]["held"] for key in order if key != self._key]
        free = self._machine_bytes - sum(held[1] for held in others)
        return Share(
            max(1, cores), min(memory, max(0, free)), len(order), min(self._memory_bytes, max(0, free)),
            not any(held[0] for held in others),
        )  # fmt: skip

    @contextlib.contextmanager
    def _records(self) -> Iterator[dict[str, Any] | None]:
        """The records of living pools, written back if they were changed; None where there is no lock to be had."""
        with contextlib.ExitStack() as stack:
            descriptor = self._locked(stack)
            if descriptor is None:
                yield None
                return
            text = os.pread(descriptor, 1 << 20, 0)
            records = _parsed(text)
            yield records
            written = json.dumps(records, separators=(",", ":")).encode()
            if written != text.rstrip():
                with contextlib.suppress(OSError):  # a full disk: the others see what was there before
                    # Blanks to the old end: cutting a file costs milliseconds, JSON does not mind them.
                    os.pwrite(descriptor, written.ljust(len(text)), 0)

    def _locked(self, stack: contextlib.ExitStack) -> int | None:
        if self._path is None:
            return None
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        stack.callback(os.close, descriptor)
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except OSError:
                if time.monotonic() >= until:
                    return None
                time.sleep(_RETRY_SECONDS)


def _lease_file(folder: Path) -> Path | None:
    """None where there is no folder that belongs to this user alone: then every pool thinks it is the only one."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        # Process ids mean something only within one namespace: containers may share a temporary folder.
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder / f"pools-{space}.json" if private else None


def _parsed(text: bytes) -> dict[str, Any]:
    """Records of processes that live; a file that makes no sense is empty."""
    try:
        records = json.loads(text) if text else {}
        return {
            key: record
            for key, record in records.items()
            if _start_time(record["pid"]) == record["started"]
            and all(isinstance(number, int) for number in (*record["want"], *record["held"]))
            and len(record["want"]) == len(record["held"]) == 2
            and isinstance(record["at"], float)
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _start_time(pid: int) -> int:
    """In clock ticks since the machine started; 0 where there is no such process, or it is dead and not yet reaped."""
    try:
        with open(f"/proc/{int(pid)}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def _machine_bytes() -> int:
    limit = memory_limit()
    total = psutil.virtual_memory().total
    return int(_MEMORY_PART * (min(total, limit.bytes) if limit else total))
