"""What a process and all its descendants have used so far: CPU time, memory, disk traffic.

In: the id of the root process. Out: `TreeUsage`. Finished children count too: when a parent waits for a
child, the operating system adds the child's CPU time and disk traffic to the parent's, so the sum over the
living tree keeps them. What escapes: a process whose parent ended before it, and children of a parent that
ignores SIGCHLD.

Cost: four small reads under /proc for each process of the tree, whatever else runs on the machine. Without
/proc, psutil walks the process table instead, which costs more. Reference: proc(5), fields utime … cstime
of /proc/pid/stat; /proc/pid/io.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["TreeUsage", "read_tree"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Sums over a process tree.

    `cpu_seconds` includes finished children. `rss_bytes` counts pages shared between processes once for each.
    `high_water_bytes` adds up every living process's own highest RSS: the processes alive now never held more
    at once. `pss_bytes` counts shared pages once; None where it was not asked for.
    """

    cpu_seconds: float
    rss_bytes: int
    high_water_bytes: int
    pss_bytes: int | None
    read_bytes: int
    written_bytes: int
    processes: int


@dataclass(slots=True)
class _Process:
    cpu_seconds: float
    rss_bytes: int
    high_water_bytes: int
    read_bytes: int
    written_bytes: int


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return found


def _tree(root: int) -> Iterator[int]:
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        yield root
        yield from (child.pid for child in psutil.Process(root).children(recursive=True))
        return
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            waiting += _children(pid)


def _fields(path: str, wanted: dict[bytes, str]) -> dict[str, int]:
    """Numbers after the names in `wanted` in a "name: number" file of /proc."""
    found = dict.fromkeys(wanted.values(), 0)
    for line in Path(path).read_bytes().splitlines():
        name, _, rest = line.partition(b":")
        if name in wanted:
            found[wanted[name]] = int(rest.split()[0])
    return found


def _read_proc(pid: int) -> _Process:
    # The command name, in parentheses, may hold spaces and parentheses: the fields follow the last one.
    stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    ticks = sum(map(int, stat[11:15]))
    memory = _fields(f"/proc/{pid}/status", {b"VmRSS": "rss", b"VmHWM": "high"})
    traffic = {"read": 0, "written": 0}
    with contextlib.suppress(PermissionError):
        traffic = _fields(f"/proc/{pid}/io", {b"read_bytes": "read", b"write_bytes": "written"})
    return _Process(
        ticks / _TICKS_PER_SECOND,
        memory["rss"] * 1024,
        memory["high"] * 1024,
        traffic["read"],
        traffic["written"],
    )


def _read_psutil(pid: int) -> _Process:
    process = psutil.Process(pid)
    with process.oneshot():
        times, rss = process.cpu_times(), process.memory_info().rss
    cpu = (
        times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    )
    return _Process(cpu, rss, rss, 0, 0)


def _pss_bytes(pid: int) -> int:
    return _fields(f"/proc/{pid}/smaps_rollup", {b"Pss": "pss"})["pss"] * 1024


def read_tree(root: int, pss: bool = False) -> TreeUsage:
    """Usage of process `root` and its living descendants, with finished children's CPU time.

    A process that ends while the tree is read would be missed or counted twice (by itself and by its
    parent), so the reading is repeated until the tree stood still, at most three times.
    """
    read = _read_proc if os.path.exists("/proc/self/stat") else _read_psutil
    for _ in range(_ATTEMPTS):
        pids, usages, vanished = list(_tree(root)), [], False
        for pid in pids:
            try:
                usages.append(read(pid))
            except (OSError, psutil.Error):
                vanished = True
        if not vanished and set(_tree(root)) == set(pids):
            break
    shared: int | None = None
    if pss:
        shared = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                shared += _pss_bytes(pid)
    return TreeUsage(
        cpu_seconds=sum(u.cpu_seconds for u in usages),
        rss_bytes=sum(u.rss_bytes for u in usages),
        high_water_bytes=sum(u.high_water_bytes for u in usages),
        pss_bytes=shared or None,
        read_bytes=sum(u.read_bytes for u in usages),
        written_bytes=sum(u.written_bytes for u in usages),
        processes=len(usages),
    )
