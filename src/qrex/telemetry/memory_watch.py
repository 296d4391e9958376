"""Peak memory of a process tree over a stretch of work, as a Measurement.

In: readings of the tree as the work goes on, and what each of its jobs held. Out: the highest sum of resident memory,
with its bounds (see `peak_memory`). Where the system cannot start high-water marks anew, what samples happened to
see is all there is; `by_high_water` tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qrex.evidence import Measurement
from qrex.telemetry.peak_memory import Presence, Stretch, peak_together
from qrex.telemetry.process_tree import ProcessMemory, read_tree, reset_high_water

__all__ = ["MemoryWatch"]


@dataclass(slots=True)
class _Seen:
    """One process: when it was seen, and its resident memory and high-water mark then."""

    first: float
    last: float
    smallest_bytes: int
    largest_bytes: int
    first_high_water: int
    high_water: int


class MemoryWatch:
    """Watches process `root` and its descendants from now on; their marks are started anew, that of `root` is its
    owner's and is left alone."""

    def __init__(self, root: int) -> None:
        self.by_high_water = os.access("/proc/self/clear_refs", os.W_OK)
        self._anew = reset_high_water(read_tree(root).memory.keys() - {root})
        self._seen: dict[int, _Seen] = {}
        self._stretches: list[Stretch] = []

    def see(self, memory: Mapping[int, ProcessMemory], now: float) -> None:
        """A reading of the tree, at `now` of `time.monotonic`."""
        for pid, held in memory.items():
            rss, high = held.rss_bytes, held.high_water_bytes
            seen = self._seen.setdefault(pid, _Seen(now, now, rss, rss, high, high))
            seen.last = now
            seen.smallest_bytes = min(seen.smallest_bytes, rss)
            seen.largest_bytes = max(seen.largest_bytes, rss)
            seen.high_water = max(seen.high_water, high)

    def held(self, stretch: Stretch) -> None:
        """A job that a process of the tree ran and that has ended; its mark was started anew for it."""
        self._stretches.append(stretch)

    def peak(self, samples: Sequence[tuple[int, int | None]]) -> Measurement:
        """The figure in bytes; `samples` are (resident, proportional) sizes of the whole tree at one moment each."""
        sampled = max(resident for resident, _ in samples)
        proportional = [shared_once for _, shared_once in samples if shared_once is not None]
        detail = {
            "sampled_peak_bytes": sampled,
            "samples": len(samples),
            "peak_pss_bytes": max(proportional, default=None),
        }
        return self._exact(sampled, detail) if self.by_high_water else self._sampled(sampled, detail)

    def _exact(self, sampled: int, detail: dict[str, Any]) -> Measurement:
        bounds = peak_together(self._presences(), self._stretches)
        value = max(bounds.value_bytes, sampled)
        return Measurement(
            value=float(value), low=float(max(bounds.low_bytes, sampled)), high=float(max(value, bounds.high_bytes)),
            unit="B", n=len(self._stretches) or 1, seed=None,
            method="highest sum over the process tree of what each process held at most at that moment: the kernel's "
            "high-water mark of resident memory, started anew for each of n jobs, and at the beginning for processes "
            "without one; lower end: one job's mark and the least that all other processes were seen holding, or the "
            "largest sampled sum",
            source="host", detail=detail,
        )  # fmt: skip

    def _sampled(self, sampled: int, detail: dict[str, Any]) -> Measurement:
        high = max(sampled, sum(seen.high_water for seen in self._seen.values()))
        return Measurement(
            value=float(sampled), low=float(sampled), high=float(high), unit="B", n=detail["samples"], seed=None,
            method="largest sum of resident memory over the process tree in n samples; the upper end adds up each "
            "process's own high-water mark, which may lie before this stretch",
            source="host", detail=detail,
        )  # fmt: skip

    def _presences(self) -> dict[int, Presence]:
        began = min(seen.first for seen in self._seen.values())
        ended = max(seen.last for seen in self._seen.values())
        there = {}
        for pid, seen in self._seen.items():
            # A mark that was not started anew tells of this stretch only where it rose in it.
            ours = pid in self._anew or seen.first > began or seen.high_water > seen.first_high_water
            most = seen.high_water if ours else seen.largest_bytes
            stays = seen.first == began and seen.last == ended
            there[pid] = Presence(seen.first, seen.last, seen.smallest_bytes, most, seen.high_water, stays)
        return there
