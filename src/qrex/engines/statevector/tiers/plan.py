"""Which stages, how large a sub-state, how many bytes and seconds: known before anything runs.

In: a lowered segment of a program and a `Budget`. Out: a `TierPlan`, or InfeasibleError with what would make it
feasible. All feasible sizes of the first sub-state and of the later ones are planned, and the plan of least modelled
time is taken: per stage the larger of arithmetic and traffic, and what of the traffic cannot overlap (the first
sub-state read, the last one written).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from qrex import _kernels
from qrex.errors import EngineError, InfeasibleError
from qrex.units import format_bytes, format_seconds

__all__ = [
    "ALIGNMENT", "CODECS", "IO_THREADS", "LEAST_LOCAL", "MOST_SPARE", "SIZES_TRIED", "Branches", "Budget", "StagePlan",
    "TierPlan", "most_block_bytes", "plan_later", "plan_tiers",
]  # fmt: skip

CODECS = ("float32", "int16", "int8")
ALIGNMENT = 4096  # bytes: what direct I/O asks for
IO_THREADS = 4  # transfers at a time in each direction
_AMPLITUDE_BYTES = 8
_MOST_BLOCK_BYTES = 4 << 20
LEAST_LOCAL = 16  # wires: a smaller sub-state would be all overhead
_LEAST_BLOCK = 4  # bits: a vector of amplitudes
_MOST_OUTSIDE = 10  # qubits: beyond, no disk would hold it, and no one wait for it
SIZES_TRIED = 4  # below the largest sub-state that fits
_DENSE_COST = 16.0  # of a dense two-qubit gate
_DESK_SHARE = 0.06  # of the memory, for blocks that are being coded
MOST_SPARE = 2  # sub-states
_HUGE_PAGE = 2 << 20  # bytes: coded blocks lie in such pages
_TILE_BYTES = 1 << 17  # of amplitudes that are being coded, per thread
_BYTES_PER_SHOT = 200  # uniforms, indices, counts
_FIXED_BYTES = 32 << 20  # tables, buffers of the kernels, what the interpreter makes of it


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use. `disk_bytes` 0 means that no scratch folder was given.

    `sizes`: pairs of qubits in the first sub-state and in the later ones, to be tried instead of what the memory
    suggests. `cache`: log2 of the amplitudes in a block of the kernels, in its pieces, in the first-level cache.
    """

    memory_bytes: int
    disk_bytes: int
    threads: int
    codec: str = "float32"
    disk_bytes_per_second: float = 1e9
    io_threads: int = IO_THREADS
    sizes: tuple[tuple[int, int], ...] = ()
    block_bytes: int = _MOST_BLOCK_BYTES
    cache: tuple[int, int, int] = (15, 6, 11)


@dataclass(frozen=True, slots=True)
class Branches:
    """Of a program in which outcomes are needed, whatever they are: the most wires of any segment, the most amplitudes
    of all branches together, how many outcomes are needed in a branch, how many branches wait at a time."""

    wires: int
    amplitudes: float
    outcomes: int
    waiting: int


@dataclass(frozen=True, slots=True)
class StagePlan:
    """`local`: mask of its wires in the sub-state. `gates` of the kernels, `cost` of them (a dense two-qubit gate is
    16), `passes` over a sub-state in memory. Seconds are modelled; bytes are exact but for blocks of zeros, which are
    not moved."""

    local: int
    bits: int
    gates: int
    cost: float
    passes: int
    sub_states: int
    read_bytes: int
    written_bytes: int
    arithmetic_seconds: float
    traffic_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TierPlan:
    """Stages of one segment, and what they take together."""

    wires: int
    first: int
    rest: int
    codec: str
    block_bits: int
    slot_bytes: int
    slots: int
    spare: int  # sub-states in memory beyond those that are read, worked on and written: they even out the three
    stages: tuple[StagePlan, ...]
    memory_bytes: int
    seconds: float
    outcomes: int = 0  # that are needed in the course of a branch: memory and disk are what all branches take

    @property
    def disk_bytes(self) -> int:
        """Scratch space taken while it runs."""
        return self.slots * self.slot_bytes

    @property
    def traffic_bytes(self) -> int:
        """Bytes of state read from and written to the disk."""
        return sum(stage.read_bytes + stage.written_bytes for stage in self.stages)

    def explain(self) -> str:
        """The plan in words, a line per stage."""
        lines = [
            f"{self.wires} qubits in {len(self.stages)} stages, {format_bytes(self.memory_bytes)} of memory, "
            f"{format_bytes(self.disk_bytes)} of disk ({self.codec}), about {format_seconds(self.seconds)}"
        ]
        for number, stage in enumerate(self.stages, 1):
            moved = [
                f"{verb} {format_bytes(amount)}"
                for verb, amount in (("reads", stage.read_bytes), ("writes", stage.written_bytes)) if amount
            ]  # fmt: skip
            traffic = f"{' and '.join(moved)} ({format_seconds(stage.traffic_seconds)})" if moved else "no disk"
            places = "one sub-state" if stage.sub_states == 1 else f"each of {stage.sub_states} sub-states"
            lines.append(
                f"  stage {number}: {stage.gates} gates in {stage.passes} passes over {places} of {stage.bits} qubits "
                f"({format_seconds(stage.arithmetic_seconds)}); {traffic}"
            )
        if self.outcomes:
            often = "once" if self.outcomes == 1 else f"at most {self.outcomes} times in a row"
            lines.append(
                f"  then the shots are split by an outcome, and each part goes on in stages of its own: {often}; the "
                "seconds are those before, memory and disk are for all"
            )
        return "\n".join(lines)


def plan_tiers(
    segment: Any, budget: Budget, constants: Mapping[str, float], *, shots: int = 0,
    branches: Branches | None = None,
) -> TierPlan:  # fmt: skip
    """The plan of least modelled time for `segment` (a `_kernels.Segment`), which begins in |0...0>, to be sampled
    `shots` times.

    `branches`: where it ends with an outcome that is needed, what all that follows may take; then `plan_later` finds
    a plan for each segment that follows, whatever the outcomes. Leaves `segment` planned accordingly. Raises
    InfeasibleError where nothing fits the memory and disk of `budget`.
    """
    wires = int(segment.used).bit_count()
    most_wires = wires if branches is None else max(wires, branches.wires)
    found: list[TierPlan] = []
    refused: list[TierPlan] = []
    reason = ""
    room = budget.memory_bytes - _FIXED_BYTES - _BYTES_PER_SHOT * shots
    for first, rest in budget.sizes or _sizes(wires, room // _AMPLITUDE_BYTES, branches is not None):
        if most_wires - rest > _MOST_OUTSIDE:
            continue
        try:
            stages = segment.plan(max(first, 4), max(rest, 4), 0)
        except ValueError as error:  # a gate is dense on more wires
            reason = f": {error}"
            continue
        plan = _costed(segment, stages, (first, rest), budget, constants, shots, branches)
        if plan is not None:
            fits = plan.memory_bytes + _BYTES_PER_SHOT * shots <= budget.memory_bytes
            (found if fits and plan.disk_bytes <= budget.disk_bytes else refused).append(plan)
    if not found:
        raise InfeasibleError(_refusal(most_wires, budget, shots, refused, branches is not None) + reason)
    if branches is not None:  # what follows is not planned yet: the larger the sub-states, the fewer stages
        found = [plan for plan in found if plan.rest == max(plan.rest for plan in found)]
    best = min(found, key=lambda plan: (plan.seconds, plan.memory_bytes))
    segment.plan(max(best.first, 4), max(best.rest, 4), 0)
    return best


def _refusal(wires: int, budget: Budget, shots: int, refused: Sequence[TierPlan], branching: bool) -> str:
    """What would do instead of `budget`."""
    beside = _FIXED_BYTES + _BYTES_PER_SHOT * shots
    smallest = _AMPLITUDE_BYTES << max(wires - _MOST_OUTSIDE, min(LEAST_LOCAL, wires))
    least = beside + (3 if branching else 1) * smallest
    ways = [f"{format_bytes(beside + (_AMPLITUDE_BYTES << wires))} of memory"] if not branching else []
    for plan in sorted(refused, key=lambda plan: plan.disk_bytes)[:1]:
        needed = f"{format_bytes(plan.memory_bytes + _BYTES_PER_SHOT * shots)} of memory"
        ways.append(f"{needed} with {format_bytes(plan.disk_bytes)} of disk ({budget.codec})")
    if not refused and budget.memory_bytes < least < beside + (_AMPLITUDE_BYTES << wires):
        ways.append(f"in stages more than {format_bytes(least)} of memory")
    room = f"{format_bytes(budget.memory_bytes)} of memory and {format_bytes(budget.disk_bytes)} of disk may be used"
    return f"a state of {wires} qubits needs {', or '.join(ways) or 'more'}; {room}"


def plan_later(
    segment: Any, budget: Budget, constants: Mapping[str, float], before: TierPlan, start: int, shots: int
) -> TierPlan:  # fmt: skip
    """The plan of a segment that goes on, after an outcome, from a state on disk; `start` is the mask of the wires
    within its blocks, `before` what `plan_tiers` found for the first segment, whose memory and disk it keeps to."""
    stages = segment.plan(max(before.rest, 4), max(before.rest, 4), start)
    plan = _costed(segment, stages, (before.rest, before.rest), budget, constants, shots, None, before)
    if plan is None:
        raise EngineError(f"the plan of the first segment does not hold for a later one: {before.explain()}")
    return plan


def _sizes(wires: int, amplitudes: int, branching: bool) -> list[tuple[int, int]]:
    """Qubits of the first sub-state and of the later ones to be tried; of the whole state alone where that fits and is
    never on disk."""
    largest = max(amplitudes, 1).bit_length() - 1
    if largest >= wires and not branching:
        return [(wires, wires)]
    sizes = []
    for rest in range(largest, max(largest - SIZES_TRIED, LEAST_LOCAL) - 1, -1):
        first = max(amplitudes - (1 << rest), 1).bit_length() - 1
        sizes += [(min(size, wires), rest) for size in (first, first - 1) if size >= min(LEAST_LOCAL, wires)]
    return sizes


def _costed(
    segment: Any, stages: Sequence[tuple[int, int, float]], sizes: tuple[int, int], budget: Budget,
    constants: Mapping[str, float], shots: int, branches: Branches | None, before: TierPlan | None = None,
) -> TierPlan | None:  # fmt: skip
    """The plan of `stages`; None where two of them, or of those that may follow, share too few wires for a block."""
    wires, last, resident = int(segment.used).bit_count(), len(stages) - 1, before is None
    masks = [int(local) for local, _, _ in stages]
    reads = [not resident or number >= 2 for number in range(last + 1)]
    writes = [number < last and (number >= 1 or not resident) for number in range(last + 1)]
    writes[last] = segment.collapsing >= 0
    most = _most_block_bits(budget) if before is None else before.block_bits
    if branches is not None:  # any two stages of any segment share so many wires, and one of them may be gone
        most = min(most, 2 * sizes[1] - max(branches.wires, sizes[1]) - 1)
    block_bits = min([most, wires] + [(a & b).bit_count() for a, b in pairwise(masks[resident:])])
    if block_bits < _LEAST_BLOCK and (last > 1 or (branches is not None and sizes[1] < branches.wires)):
        return None
    if before is None:
        slot_bytes = -(-_kernels.encoded_bytes(budget.codec, 1 << block_bits) // ALIGNMENT) * ALIGNMENT
    else:
        slot_bytes = before.slot_bytes
    state_bytes = slot_bytes << (wires - block_bits)
    planned = []
    for number, (local, gates, cost) in enumerate(stages):
        bits = int(local).bit_count()
        passes = segment.stage(number, *budget.cache).passes
        worked = 2.0 ** (bits if resident and number == 0 else wires)
        arithmetic = (
            worked / max(budget.threads, 1)
            * (
                cost / _DENSE_COST * constants.get("seconds_per_amplitude_gate", 0.0)
                + (passes + 1) * constants.get("seconds_per_amplitude_pass", 0.0)
            )
        )  # fmt: skip
        sub_states = 1 if resident and number == 0 else 1 << max(wires - bits, 0)
        read, written = state_bytes * reads[number], state_bytes * writes[number]
        traffic = (read + written) / budget.disk_bytes_per_second
        seconds = max(arithmetic, traffic) + traffic / sub_states  # the first read and the last write overlap nothing
        planned.append(
            StagePlan(int(local), bits, gates, cost, passes, sub_states, read, written, arithmetic, traffic, seconds)
        )
    slots = 0
    if any(writes):
        slots = 1 << (wires - block_bits)
        if any(r and w for r, w in zip(reads, writes, strict=True)):
            slots += 2 << max(sizes[1] - block_bits, 0)  # two are written before what they were made of is freed
    if branches is not None:
        largest = min(sizes[1], branches.wires)
        slots = math.ceil(branches.amplitudes / (1 << block_bits)) + (2 << max(largest - block_bits, 0))
        slots += branches.waiting + 2  # some may be smaller than a block
    elif before is not None:
        slots = before.slots
    limit = budget.memory_bytes - _BYTES_PER_SHOT * shots
    spare, memory = _memory(planned, reads, writes, budget, slot_bytes, limit)
    if branches is not None:  # later stages read and write
        later = dataclasses.replace(planned[0], bits=min(sizes[1], branches.wires))
        memory = max(memory, _memory([later], [True], [True], budget, slot_bytes, limit)[1])
    seconds = sum(stage.seconds for stage in planned) + constants.get("fixed_seconds", 0.0)
    return TierPlan(
        wires, *sizes, budget.codec, block_bits, slot_bytes, slots, spare, tuple(planned), memory, seconds,
        branches.outcomes if branches is not None else 0,
    )  # fmt: skip


def most_block_bytes(memory_bytes: int, io_threads: int = IO_THREADS) -> int:
    """Of the largest block on disk: what its coding takes is a small part of the memory."""
    return min(_MOST_BLOCK_BYTES, int(_DESK_SHARE * memory_bytes / (2 * io_threads)))


def _most_block_bits(budget: Budget) -> int:
    """log2 of the amplitudes in the largest block."""
    coded = _kernels.encoded_bytes(budget.codec, 64) / 64
    most = min(budget.block_bytes, most_block_bytes(budget.memory_bytes, budget.io_threads)) / coded
    return int(most).bit_length() - 1


def _memory(
    stages: Sequence[StagePlan], reads: Sequence[bool], writes: Sequence[bool], budget: Budget, slot_bytes: int,
    limit: int,
) -> tuple[int, int]:  # fmt: skip
    """Spare sub-states, as many as `limit` allows; the most bytes that are held at once: see `segment_run` for who
    holds what."""
    sizes = [_AMPLITUDE_BYTES << max(stage.bits, 4) for stage in stages]
    held = [size * (1 + r + w) for size, r, w in zip(sizes, reads, writes, strict=True)]
    if len(stages) > 1 and not reads[1]:
        held[1] += sizes[0]  # from which it is read
    coded = slot_bytes if 2 * slot_bytes < _HUGE_PAGE else -(-slot_bytes // _HUGE_PAGE) * _HUGE_PAGE
    desks = 2 * budget.io_threads * (_TILE_BYTES + coded) if any(writes) or any(reads) else 0
    norms = 16 * (max(sizes) // _AMPLITUDE_BYTES // 4096)
    beside = desks + norms + _FIXED_BYTES
    moving = [k for k in range(len(stages)) if reads[k] or writes[k]]
    spare = min([MOST_SPARE] + [(limit - beside - held[k]) // sizes[k] for k in moving]) if moving else 0
    spare = max(spare, 0)
    return spare, max(bytes_ + spare * sizes[k] * (k in moving) for k, bytes_ in enumerate(held)) + beside
