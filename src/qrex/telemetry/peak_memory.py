"""The most that several processes held together, from what the kernel says of each.

In: when each process was there and what it was seen holding (`Presence`), and what it held while it ran each of its
jobs (`Stretch`, from the kernel's high-water mark, reset at the job's start). Out: `PeakMemory`.

No kernel tells the highest sum over several processes, but it is bounded. Above: at every moment, what each process
held at most, its own high-water mark of the job that it was running or what it held between two jobs, added up.
Below: when a job reached its high-water mark, every other process held at least the least that it was ever seen
holding. Where jobs run one at a time both meet, since only one process changes. Complexity: O(n log n) in the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["PeakMemory", "Presence", "Stretch", "peak_together"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One job of process `pid` between two times of `time.monotonic`, in seconds.

    Resident memory in bytes: `base_bytes` right before it, `peak_bytes` at most, `left_bytes` right after it.
    """

    pid: int
    started: float
    finished: float
    base_bytes: int
    peak_bytes: int
    left_bytes: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A process, there from `first_seen` to `last_seen` at least, in seconds of `time.monotonic`.

    `smallest_bytes` is the least that it was seen holding; `high_water_bytes` the most that is known to have been
    held in this time, and `bound_bytes` never less than what was: more where its high-water mark may lie before.
    `stays`: it was there all the time.
    """

    first_seen: float
    last_seen: float
    smallest_bytes: int
    high_water_bytes: int
    bound_bytes: int
    stays: bool


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Bytes that all processes together held at most: at least `low_bytes`, at most `high_bytes`."""

    low_bytes: int
    value_bytes: int
    high_bytes: int


_Level = tuple[float, float, int]  # from, to, bytes


def peak_together(presences: Mapping[int, Presence], stretches: Sequence[Stretch]) -> PeakMemory:
    """Bounds of the highest sum over processes.

    >>> there = Presence(0.0, 9.0, 10, 10, 10, True)
    >>> jobs = [Stretch(1, 1.0, 2.0, 10, 70, 10), Stretch(2, 2.0, 3.0, 10, 50, 10)]
    >>> peak_together({1: there, 2: there}, jobs)
    PeakMemory(low_bytes=80, value_bytes=80, high_bytes=80)
    """
    jobs: dict[int, list[Stretch]] = {}
    for one in sorted(stretches, key=lambda one: one.started):
        jobs.setdefault(one.pid, []).append(one)
    levels: list[_Level] = []
    for pid, mine in jobs.items():
        levels += _levels(mine, presences.get(pid))
    idle = [presence for pid, presence in presences.items() if pid not in jobs]
    value = _highest(levels + [(p.first_seen, p.last_seen, p.high_water_bytes) for p in idle])
    high = _highest(levels + [(p.first_seen, p.last_seen, p.bound_bytes) for p in idle])
    floors = {
        pid: min([p.smallest_bytes, *(min(one.base_bytes, one.left_bytes) for one in jobs.get(pid, ()))])
        for pid, p in presences.items()
        if p.stays
    }
    together = sum(floors.values())
    low = max((one.peak_bytes + together - floors.get(one.pid, 0) for one in stretches), default=together)
    return PeakMemory(min(low, value), value, max(value, high))


def _levels(jobs: Sequence[Stretch], presence: Presence | None) -> Iterator[_Level]:
    """What a process held at most, job by job and between two of them."""
    if presence is not None and presence.first_seen < jobs[0].started:
        yield presence.first_seen, jobs[0].started, jobs[0].base_bytes
    for job, following in pairwise(jobs):
        yield job.started, job.finished, job.peak_bytes
        yield job.finished, following.started, max(job.left_bytes, following.base_bytes)
    last = jobs[-1]
    yield last.started, last.finished, last.peak_bytes
    if presence is not None and presence.last_seen > last.finished:
        yield last.finished, presence.last_seen, last.left_bytes


def _highest(levels: Sequence[_Level]) -> int:
    """The highest sum of levels at one moment. Levels that only touch do not add up."""
    changes = [(start, held) for start, end, held in levels if end > start]
    changes += [(end, -held) for start, end, held in levels if end > start]
    highest = total = 0
    for _, change in sorted(changes):
        total += change
        highest = max(highest, total)
    return highest
