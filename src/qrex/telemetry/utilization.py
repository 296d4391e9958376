"""How busy a stretch of work kept its cores, how much memory it held, what it read and wrote.

In: whatever runs inside ``with UtilizationSampler() as sampler:``, worker processes that start and end
included, and, for those that run jobs, what each job held (`UtilizationSampler.held`). Out: `sampler.utilization`,
with the busy fraction and peak memory as Measurements, and the samples behind them.

The busy fraction is CPU time over (cores × wall time), from the operating system's own accounting at both
ends, so sampling error does not enter it and it holds for work of any length; its interval is a circular block
bootstrap over the samples, which says how steady the load was, and never narrower than what the accounting leaves
open. Peak memory is from the kernel's high-water marks, started anew at the beginning (see `peak_memory`); the
samples say only what was seen.

Cost: one reading of /proc per sample in a thread; the pause between samples starts short, for work that is, and
stretches to where all readings take under 1 % of one core. Reference: Politis and Romano, "A circular block-
resampling procedure for stationary data" (1992).
"""

from __future__ import annotations

import os
import random
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from qrex.evidence import Measurement
from qrex.telemetry.memory_watch import MemoryWatch
from qrex.telemetry.peak_memory import Stretch
from qrex.telemetry.process_tree import TreeUsage, read_tree

__all__ = ["Sample", "Utilization", "UtilizationSampler", "block_bootstrap_ratio"]

_OVERHEAD = 0.008  # of one core
_FIRST_PAUSE_SECONDS = 0.005  # the next ones are each twice as long, up to the usual one
_LONGEST_PAUSE_SECONDS = 0.5
_PSS_EVERY = 5
_PSS_SECONDS = 0.004  # dearer than this, the proportional size is read no more
_REPLICATES = 1000
_TICK_SECONDS = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """The tree's state at `at_seconds` after the start; times and bytes count from the start."""

    at_seconds: float
    cpu_seconds: float
    machine_busy_seconds: float
    rss_bytes: int
    pss_bytes: int | None
    read_bytes: int
    written_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class Utilization:
    """What one stretch of work used.

    `busy` is CPU time of the process tree over (`cores` × wall time); `machine_busy` is the same for
    everything on the machine over all its cores; `peak_memory` is in bytes, and `peak_is_sampled` where the system
    could not start high-water marks anew, so that it is no more than what samples happened to see. `read_bytes` and
    `written_bytes` are disk traffic of the tree. `overhead_fraction` is the sampler's own CPU time over wall time.
    """

    wall_seconds: float
    cores: int
    cpu_seconds: float
    busy: Measurement
    machine_busy: Measurement
    peak_memory: Measurement
    peak_is_sampled: bool
    read_bytes: int
    written_bytes: int
    overhead_fraction: float
    samples: tuple[Sample, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Utilization:
        """The inverse of `to_dict`."""
        made = {name: Measurement.from_dict(data[name]) for name in ("busy", "machine_busy", "peak_memory")}
        return cls(**(dict(data) | made | {"samples": tuple(Sample(**s) for s in data["samples"])}))


def block_bootstrap_ratio(
    parts: Sequence[float], wholes: Sequence[float], seed: int, replicates: int = _REPLICATES
) -> tuple[float, float]:
    """95 % interval of Σ parts / Σ wholes, by circular block bootstrap with blocks of n^(1/3) neighbours.

    With fewer than five pairs there is nothing to resample: the smallest and largest single ratio are given.
    """
    pairs = [(p, w) for p, w in zip(parts, wholes, strict=True) if w > 0]
    n = len(pairs)
    if n < 5:
        ratios = [p / w for p, w in pairs] or [0.0]
        return min(ratios), max(ratios)
    block = max(1, round(n ** (1 / 3)))
    ring = pairs + pairs[: block - 1]
    sums = [tuple(map(sum, zip(*ring[i : i + block], strict=True))) for i in range(n)]
    draw = random.Random(seed)
    ratios = []
    for _ in range(replicates):
        chosen = [sums[draw.randrange(n)] for _ in range(-(-n // block))]
        ratios.append(sum(p for p, _ in chosen) / sum(w for _, w in chosen))
    ratios.sort()
    return ratios[int(0.025 * replicates)], ratios[int(0.975 * replicates) - 1]


def _machine_busy_seconds() -> float:
    times = psutil.cpu_times()
    # Guest time is part of user time already; waiting for a disk is not work.
    idle = times.idle + getattr(times, "iowait", 0.0)
    return sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0) - idle


def _rusage_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


class UtilizationSampler:
    """Samples this process and its descendants while the ``with`` block runs.

    `cores` is what the work was allowed to use (default: this process's affinity mask). `rate_hz` is the
    rate aimed at; it falls by itself where a reading is dear. `seed` is for the bootstrap.

    >>> with UtilizationSampler(cores=1) as sampler:
    ...     total = sum(range(100_000))
    >>> 0 <= sampler.utilization.busy.value
    True
    """

    def __init__(self, *, cores: int | None = None, rate_hz: float = 5.0, seed: int = 0):
        if rate_hz <= 0 or (cores is not None and cores < 1):
            raise ValueError(
                f"a sampler needs a rate above 0 and at least one core, got {rate_hz} Hz, {cores} cores"
            )
        self._cores = cores or len(os.sched_getaffinity(0))
        self._pause = 1.0 / rate_hz
        self._seed = seed
        self._stop = threading.Event()
        self._samples: list[Sample] = []
        self._overhead_seconds = 0.0
        self._read_pss = True
        self._result: Utilization | None = None
        self._thread = threading.Thread(target=self._run, name="qrex-utilization", daemon=True)

    def __enter__(self) -> UtilizationSampler:
        self._pid = os.getpid()
        self._memory = MemoryWatch(self._pid)
        began = time.monotonic()
        self._first = read_tree(self._pid)
        self._rusage_first = _rusage_seconds()
        self._machine_first = _machine_busy_seconds()
        self._started = time.monotonic()
        self._edge_seconds = self._started - began
        self._keep(self._first, self._started)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        rusage = _rusage_seconds() - self._rusage_first
        began = time.monotonic()
        last = self._take(pss=False)
        self._edge_seconds += time.monotonic() - began
        self._result = self._summed_up(last, rusage)

    def held(self, stretch: Stretch) -> None:
        """A job has ended that a process of this tree ran since this began; it started its mark anew for it."""
        self._memory.held(stretch)

    @property
    def latest(self) -> Sample:
        """The newest sample: for a live view while the work runs."""
        return self._samples[-1]

    @property
    def utilization(self) -> Utilization:
        """The result; raises `RuntimeError` before the block has ended."""
        if self._result is None:
            raise RuntimeError(
                "the utilization is known when the with block has ended; `latest` is there before"
            )
        return self._result

    def _run(self) -> None:
        count = 0
        pause = min(self._pause, _FIRST_PAUSE_SECONDS)
        while not self._stop.wait(pause):
            count += 1
            before = time.thread_time()
            self._take(pss=self._read_pss and count % _PSS_EVERY == 0)
            spent = time.thread_time() - before
            self._overhead_seconds += spent
            # Short work must be seen as well: however dear a reading is, there are two a second.
            usual = max(self._pause, min(spent / _OVERHEAD - spent, _LONGEST_PAUSE_SECONDS))
            pause = min(2 * pause, usual)

    def _take(self, pss: bool) -> TreeUsage:
        started = time.thread_time()
        usage = read_tree(self._pid, pss=pss)
        if pss and (usage.pss_bytes is None or time.thread_time() - started > _PSS_SECONDS):
            self._read_pss = False
        self._keep(usage, time.monotonic())
        return usage

    def _keep(self, usage: TreeUsage, now: float) -> None:
        first = self._first
        self._memory.see(usage.memory, now)
        self._samples.append(
            Sample(
                at_seconds=now - self._started,
                cpu_seconds=usage.cpu_seconds - first.cpu_seconds,
                machine_busy_seconds=_machine_busy_seconds() - self._machine_first,
                rss_bytes=usage.rss_bytes,
                pss_bytes=usage.pss_bytes,
                read_bytes=max(0, usage.read_bytes - first.read_bytes),
                written_bytes=max(0, usage.written_bytes - first.written_bytes),
                processes=usage.processes,
            )
        )

    def _summed_up(self, usage: TreeUsage, rusage_seconds: float) -> Utilization:
        samples = self._samples
        last = samples[-1]
        wall = max(last.at_seconds, 1e-9)
        # getrusage is a cross-check only: a worker that lived before this stretch and ended in it brings all
        # its past into RUSAGE_CHILDREN, while the tree's first reading has subtracted that past.
        cpu = max(0.0, last.cpu_seconds)
        # Rounding of what is told in whole ticks, and what ran while the tree was read at either end.
        open_seconds = max(self._first.rounded_seconds, usage.rounded_seconds) + self._edge_seconds
        machine_cores = psutil.cpu_count() or self._cores
        return Utilization(
            wall_seconds=wall,
            cores=self._cores,
            cpu_seconds=cpu,
            busy=self._busy(
                cpu, "cpu_seconds", self._cores, open_seconds,
                "CPU time of the process tree, by its processes' own CPU clocks at both ends, over cores × wall time",
                {
                    "cpu_seconds": cpu,
                    "wall_seconds": wall,
                    "tick_cpu_seconds": usage.tick_seconds - self._first.tick_seconds,
                    "getrusage_cpu_seconds": rusage_seconds,
                },
            ),
            machine_busy=self._busy(
                max(0.0, last.machine_busy_seconds), "machine_busy_seconds", machine_cores, 2 * _TICK_SECONDS,
                "busy time of all cores of the machine over cores × wall time", {},
            ),
            peak_memory=self._memory.peak([(sample.rss_bytes, sample.pss_bytes) for sample in samples]),
            peak_is_sampled=not self._memory.by_high_water,
            read_bytes=last.read_bytes,
            written_bytes=last.written_bytes,
            overhead_fraction=self._overhead_seconds / wall,
            samples=tuple(samples),
        )  # fmt: skip

    def _busy(
        self, total: float, name: str, cores: int, open_seconds: float, what: str, detail: dict[str, Any]
    ) -> Measurement:
        """`open_seconds`: so far may `total` be off; no interval is narrower than that."""
        pairs = list(zip(self._samples, self._samples[1:], strict=False))
        used = [getattr(b, name) - getattr(a, name) for a, b in pairs]
        room = [cores * (b.at_seconds - a.at_seconds) for a, b in pairs]
        whole = max(sum(room), 1e-9)
        value, off = total / whole, open_seconds / whole
        low, high = block_bootstrap_ratio(used, room, self._seed)
        low, high = max(0.0, min(low, value - off)), max(value, min(1.0, max(high, value + off)))
        return Measurement(
            value=value, low=low, high=high, unit="", n=len(pairs), seed=self._seed,
            method=f"{what} ({cores} cores); 95 % interval by circular block bootstrap over n samples, no narrower "
            "than the accounting's own error",
            source="host", detail=detail | {"cores": cores, "open_seconds": open_seconds},
        )  # fmt: skip
