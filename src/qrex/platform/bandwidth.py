"""Sequential bandwidth of RAM and of a scratch disk, measured in a few seconds.

In: a number of threads, a folder. Out: `Measurement`s in B/s with the 95 % t-interval of the mean over
repeats. RAM: every thread copies its own array, and bytes read and bytes written both count. Disk: one
unlinked temporary file, so nothing stays behind whatever happens; O_DIRECT where the file system has it,
so that the page cache does not answer instead of the disk.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from qrex.evidence import Measurement

__all__ = ["measure_disk_bandwidth", "measure_ram_bandwidth"]

_RAM_BYTES_PER_THREAD = 64 << 20  # past the caches of today's cores, yet small beside any RAM
_RAM_BYTES_MOST = 1 << 30
_RAM_REPEATS = 7
_DISK_REQUEST = 16 << 20
_DISK_REQUESTS = 8  # per repeat: 128 MiB
_DISK_REPEATS = 5


def measure_ram_bandwidth(threads: int, budget_seconds: float = 1.0) -> Measurement:
    """Bytes read plus written per second while `threads` threads each copy an array of their own."""
    import numpy as np

    threads = max(1, min(threads, _RAM_BYTES_MOST // (2 * _RAM_BYTES_PER_THREAD)))
    words = _RAM_BYTES_PER_THREAD // 8
    pairs = [(np.ones(words), np.zeros(words)) for _ in range(threads)]
    moved = 2 * threads * _RAM_BYTES_PER_THREAD
    with ThreadPoolExecutor(threads) as pool:

        def copy_all() -> int:
            for future in [pool.submit(np.copyto, target, source) for source, target in pairs]:
                future.result()
            return moved

        copy_all()  # touches every page first
        rates = _rates(copy_all, _RAM_REPEATS, budget_seconds)
    method = f"copy of {_RAM_BYTES_PER_THREAD >> 20} MiB per thread, {threads} threads, read + written bytes"
    return _as_measurement(rates, method)


def measure_disk_bandwidth(
    folder: str, budget_seconds: float = 3.0
) -> tuple[Measurement, Measurement] | None:
    """(read, write) bandwidth of the file system under `folder`, or None where it cannot be written to."""
    try:
        handle, path = tempfile.mkstemp(prefix=".qrex-probe-", dir=folder)
    except OSError:
        return None
    try:
        os.unlink(path)  # first of all: the file dies with its last descriptor
        return _measure_file(handle, budget_seconds)
    except OSError:
        return None
    finally:
        os.close(handle)


def _measure_file(handle: int, budget_seconds: float) -> tuple[Measurement, Measurement]:
    direct = _try_direct(handle)
    # An anonymous map is page-aligned, as O_DIRECT asks; random bytes defeat compressing file systems.
    with mmap.mmap(-1, _DISK_REQUEST) as buffer:
        buffer[:] = os.urandom(1 << 20) * (_DISK_REQUEST >> 20)
        with memoryview(buffer) as view:

            def write_all() -> int:
                for index in range(_DISK_REQUESTS):
                    if os.pwrite(handle, view, index * _DISK_REQUEST) != _DISK_REQUEST:
                        raise OSError("short write: the scratch disk is full")
                if not direct:
                    os.fdatasync(handle)
                return _DISK_REQUESTS * _DISK_REQUEST

            def read_all() -> int:
                if not direct and hasattr(os, "posix_fadvise"):
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                return sum(
                    os.preadv(handle, [view], index * _DISK_REQUEST) for index in range(_DISK_REQUESTS)
                )

            write_all()  # allocates the blocks
            how = "O_DIRECT" if direct else "buffered, flushed and dropped from cache"
            size = f"{_DISK_REQUESTS} × {_DISK_REQUEST >> 20} MiB requests, {how}"
            writes = _rates(write_all, _DISK_REPEATS, budget_seconds / 2)
            reads = _rates(read_all, _DISK_REPEATS, budget_seconds / 2)
    return (
        _as_measurement(reads, f"sequential read, {size}"),
        _as_measurement(writes, f"sequential write, {size}"),
    )


def _try_direct(handle: int) -> bool:
    """Switches O_DIRECT on; False where the system or the file system (tmpfs, overlays) has none."""
    import fcntl

    flag = getattr(os, "O_DIRECT", 0)
    if not flag:
        return False
    flags = fcntl.fcntl(handle, fcntl.F_GETFL)
    try:
        fcntl.fcntl(handle, fcntl.F_SETFL, flags | flag)
        with mmap.mmap(-1, 4096) as page, memoryview(page) as view:
            os.pwrite(handle, view, 0)
    except OSError:
        fcntl.fcntl(handle, fcntl.F_SETFL, flags)
        return False
    return True


def _rates(work: Callable[[], int], repeats: int, budget_seconds: float) -> list[float]:
    """Bytes per second of up to `repeats` runs, at least two, stopping once the budget is spent."""
    rates: list[float] = []
    begin = time.perf_counter()
    while len(rates) < repeats and (len(rates) < 2 or time.perf_counter() - begin < budget_seconds):
        start = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - start))
    return rates


# Two-sided 95 % quantiles of Student's t for 1 to 9 degrees of freedom (any table of it).
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def _as_measurement(rates: Sequence[float], method: str) -> Measurement:
    count = len(rates)
    mean = math.fsum(rates) / count
    spread = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates) / (count - 1))
    half = _T95[min(count - 1, len(_T95)) - 1] * spread / math.sqrt(count)
    return Measurement(
        value=mean,
        low=max(0.0, mean - half),
        high=mean + half,
        unit="B/s",
        n=count,
        seed=None,
        method=f"{method}; mean of repeats, t interval",
        source="host",
    )
