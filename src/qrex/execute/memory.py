"""What processes hold, and how the memory of a pool is shared out.

In: process ids. Out: resident bytes as the operating system counts them, and the constants of the accounting.

The accounting. The memory of a pool (what --memory says) is what all its worker processes together may hold
resident (RSS, so that a page shared by two workers counts twice: never an underestimate). At every moment

    Σ over workers of base + Σ over running tasks of (allotment + `SLACK_BYTES`) ≤ memory,

where base is what a worker holds before its task starts: measured, and taken as `WORKER_BYTES` for a worker that
is not there yet. An idle worker whose base is in the way is ended.

Two limits hold a task to its part. RLIMIT_DATA makes the allocation that goes too far fail inside the task; it
counts address space, so it allows for stacks and arenas that are reserved and never touched (`DATA_SLACK_BYTES`,
`STACK_BYTES` for each thread, allotted or a helper). And the parent samples the resident size and kills what passes
base + allotment + slack: memory that was reserved before the task began is not seen by the first limit.
"""

from __future__ import annotations

import ctypes
import os
import resource

__all__ = [
    "DATA_SLACK_BYTES",
    "HELPER_THREADS",
    "SLACK_BYTES",
    "STACK_BYTES",
    "WORKER_BYTES",
    "data_bytes",
    "highest_resident_bytes",
    "own_peak_bytes",
    "reset_own_peak",
    "resident_bytes",
    "return_freed_memory",
    "wants_memory",
]

WORKER_BYTES = 256 * 2**20
"""A warm worker: Python with Qiskit, Aer, stim, our kernels and the transpiler's plugins is 240 MB resident, 130 MB of
it its own; one that compiles nothing does without the plugins and holds less."""

SLACK_BYTES = 32 * 2**20
"""Resident memory that no estimate counts: touched stacks, allocator arenas, Python objects, LAPACK's buffers;
measured, up to 12 MiB."""

DATA_SLACK_BYTES = 32 * 2**20
"""Address space that no estimate counts, thread stacks aside: measured, 8 MiB for LAPACK's buffers, none for Aer's
and our own state vectors, whose arenas are reserved when the worker is warm."""

STACK_BYTES = 9 * 2**20
"""Address space of one more thread: its stack, and the guard and bookkeeping around it."""

HELPER_THREADS = 12
"""The most threads that an engine starts beside those allotted, to wait for a disk: the tiers have a reader, a writer
and a committer, and four transfers at a time in each direction."""

_WANT_OF_MEMORY = ("bad_alloc", "out of memory", "cannot allocate", "unable to allocate", "insufficient memory",
                   "can't start new thread", "memory allocation")  # fmt: skip

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _statm(pid: int | str, field: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            return int(statm.read().split()[field]) * _PAGE
    except (OSError, IndexError):
        return 0  # it has gone


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process now; 0 where it has gone."""
    return _statm(pid, 1)


def data_bytes() -> int:
    """What RLIMIT_DATA counts of this process, and its stack."""
    return _statm("self", 5)


def highest_resident_bytes(pid: int) -> int:
    """The most that a process has held since its peak was last reset; 0 where it has gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def reset_own_peak() -> int:
    """Start a new peak of this process's resident memory; returns what is resident now."""
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as clear:
            clear.write(b"5")
    except OSError:
        # Without it the peak includes earlier tasks: an overestimate, never an underestimate.
        return own_peak_bytes()
    return resident_bytes()


def own_peak_bytes() -> int:
    """The most that this process has held since `reset_own_peak`."""
    # Not ru_maxrss where it can be helped: a process started by a large one has its size in it, whatever is reset.
    return highest_resident_bytes(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def return_freed_memory() -> None:
    """Give free heap pages back to the operating system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def wants_memory(error: BaseException) -> bool:
    """Whether an exception, ours or of compiled code, says that memory could not be had."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _WANT_OF_MEMORY)
