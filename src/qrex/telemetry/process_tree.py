"""What a process and all its descendants have used so far: CPU time, memory, disk traffic.

In: the id of the root process. Out: `TreeUsage`. Finished children count too: when a parent waits for a
child, the operating system adds the child's CPU time and disk traffic to the parent's, so the sum over the
living tree keeps them. What escapes: a process whose parent ended before it, and children of a parent that
ignores SIGCHLD.

A living process's CPU time is read from its CPU clock, in nanoseconds; that of finished children is told in
whole ticks (10 ms as a rule) only. High-water marks of memory can be started anew, so that they say what was held
since.

Cost: four small reads under /proc for each process of the tree, whatever else runs on the machine. Without
/proc, psutil walks the process table instead, which costs more. Reference: proc(5), fields utime … cstime
of /proc/pid/stat, /proc/pid/io, /proc/pid/clear_refs; clock_getcpuclockid(3).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["ProcessMemory", "TreeUsage", "read_tree", "reset_high_water"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Resident memory of one process now, and the most since its high-water mark was last reset."""

    rss_bytes: int
    high_water_bytes: int


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Sums over a process tree.

    `cpu_seconds` includes finished children; at most `rounded_seconds` of it are lost to rounding down to whole
    ticks. `tick_seconds` is the same in ticks throughout: the other account that the system keeps, for comparison.
    `rss_bytes` counts pages shared between processes once for each. `pss_bytes` counts shared pages once; None
    where it was not asked for. `memory` is of each process by its id.
    """

    cpu_seconds: float
    rounded_seconds: float
    tick_seconds: float
    rss_bytes: int
    pss_bytes: int | None
    read_bytes: int
    written_bytes: int
    memory: Mapping[int, ProcessMemory]

    @property
    def processes(self) -> int:
        return len(self.memory)


@dataclass(slots=True)
class _Process:
    cpu_seconds: float
    rounded_seconds: float
    tick_seconds: float
    memory: ProcessMemory
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


def _cpu_clock_seconds(pid: int) -> float | None:
    """CPU time of all threads of a process, ended ones too; None where the system has no such clock."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of Linux
    except OSError:
        return None


def _read_proc(pid: int) -> _Process:
    # The command name, in parentheses, may hold spaces and parentheses: the fields follow the last one.
    stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    user, system, *children = (int(field) / _TICKS_PER_SECOND for field in stat[11:15])
    own = _cpu_clock_seconds(pid)
    rounded_fields = sum(map(bool, children)) + (2 if own is None else 0)
    memory = _fields(f"/proc/{pid}/status", {b"VmRSS": "rss", b"VmHWM": "high"})
    traffic = {"read": 0, "written": 0}
    with contextlib.suppress(PermissionError):
        traffic = _fields(f"/proc/{pid}/io", {b"read_bytes": "read", b"write_bytes": "written"})
    return _Process(
        (user + system if own is None else own) + sum(children),
        rounded_fields / _TICKS_PER_SECOND,
        user + system + sum(children),
        ProcessMemory(memory["rss"] * 1024, memory["high"] * 1024),
        traffic["read"],
        traffic["written"],
    )


def _read_psutil(pid: int) -> _Process:
    process = psutil.Process(pid)
    with process.oneshot():
        times, rss = process.cpu_times(), process.memory_info().rss
    fields = [times.user, times.system]
    fields += [getattr(times, "children_user", 0.0), getattr(times, "children_system", 0.0)]
    rounded = sum(map(bool, fields)) / _TICKS_PER_SECOND
    return _Process(sum(fields), rounded, sum(fields), ProcessMemory(rss, rss), 0, 0)


def reset_high_water(pids: Iterable[int]) -> set[int]:
    """Start the high-water marks of processes anew; returns those where the system did so."""
    done = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_bytes(b"5")
            done.add(pid)
    return done


def _pss_bytes(pid: int) -> int:
    return _fields(f"/proc/{pid}/smaps_rollup", {b"Pss": "pss"})["pss"] * 1024


def read_tree(root: int, pss: bool = False) -> TreeUsage:
    """Usage of process `root` and its living descendants, with finished children's CPU time.

    A process that ends while the tree is read would be missed or counted twice (by itself and by its
    parent), so the reading is repeated until the tree stood still, at most three times.
    """
    read = _read_proc if os.path.exists("/proc/self/stat") else _read_psutil
    for _ in range(_ATTEMPTS):
        pids, usages, vanished = list(_tree(root)), {}, False
        for pid in pids:
            try:
                usages[pid] = read(pid)
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
    read_now = usages.values()
    return TreeUsage(
        cpu_seconds=sum(u.cpu_seconds for u in read_now),
        rounded_seconds=sum(u.rounded_seconds for u in read_now),
        tick_seconds=sum(u.tick_seconds for u in read_now),
        rss_bytes=sum(u.memory.rss_bytes for u in read_now),
        pss_bytes=shared or None,
        read_bytes=sum(u.read_bytes for u in read_now),
        written_bytes=sum(u.written_bytes for u in read_now),
        memory={pid: u.memory for pid, u in usages.items()},
    )
