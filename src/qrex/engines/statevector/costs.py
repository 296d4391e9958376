"""What a dense run takes: seconds and bytes from a `Profile`.

In: a profile, measured constants, threads. Out: seconds, peak bytes, a bound on the infidelity. The model is linear in
what `Profile.dense` counts: rows, gates and sweeps have a cost of their own; gates cost their share of a dense
two-qubit gate on every amplitude, passes over states larger than a block a gather and a scatter; every amplitude
held is touched and summed up once; shots are drawn and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qrex.engines.protocol import Allotment, Cost
from qrex.engines.statevector.tiers.plan import LEAST_LOCAL, MOST_SPARE, SIZES_TRIED, most_block_bytes
from qrex.profile import DenseWork, Profile

__all__ = [
    "BLOCK_BITS", "dense_seconds", "estimated_bytes", "infidelity_bound", "least_tiered_costs", "modelled_seconds",
    "run_bytes", "tiered_cost",
]  # fmt: skip

BLOCK_BITS = 15  # 2^15 amplitudes, 256 KiB: half of a common second-level cache
_BLOCK_BYTES = 288 << 10  # a block with its rows apart
_SAMPLING_BYTES_PER_SHOT = 40  # uniforms, indices, groups
_TIER_BYTES = 56 << 20  # tables, buffers of the kernels and of the disk
_TIER_BYTES_PER_SHOT = 200
_MOST_STAGES = 1000
_CODEC_INFIDELITY = {"float32": 0.0, "int16": 2e-9, "int8": 1e-4}  # per stage written: bounds of what was measured
_PER_AMPLITUDE = {"float32": 8.0, "int16": 4.07, "int8": 2.07}  # bytes on disk
_TABLE_BYTES = 4 << 20  # gates of one chunk and the coefficients of one pass


def infidelity_bound(gates: int) -> float:
    """Bound on the infidelity that float32 leaves after `gates` kernel gates, at most 1.

    Independent roundings add up linearly, those of one gate repeated add up coherently. Both factors are about seven
    times what was found with dense two-qubit gates, random or one of them repeated; no others are as inexact.
    """
    return min(1.0, 5e-14 * gates + 2e-15 * gates**2)


def run_bytes(amplitudes: float, wires: int, threads: int, shots: int, width: int) -> int:
    """Bytes that a run with `amplitudes` held at once allocates: they, a block per thread, tables, norms, samples,
    and a row of `width` characters per outcome."""
    positions = max(wires, 4)
    block = 0 if positions <= BLOCK_BITS else _BLOCK_BYTES
    diagonals = 8 * (BLOCK_BITS + 2) << 8
    distinct = min(shots, 1 << min(wires, 40))
    norms = 16 << max(positions - 12, 0)
    buffers = max(threads, 1) * (block + diagonals) + _TABLE_BYTES
    return int(8 * amplitudes) + norms + buffers + _SAMPLING_BYTES_PER_SHOT * shots + distinct * (2 * width + 250)


def estimated_bytes(profile: Profile, threads: int) -> int:
    """The same from a profile: what `run` checks against its allotment."""
    work = _work(profile)
    return run_bytes(work.amplitudes, work.wires, threads, profile.shots, profile.num_clbits)


def modelled_seconds(constants: Mapping[str, float], profile: Profile, threads: int) -> float:
    """Seconds of one run on `threads` threads."""
    return dense_seconds(constants, _work(profile), profile.shots, profile.num_clbits, threads)


def tiered_cost(constants: Mapping[str, float], profile: Profile, allotment: Allotment) -> Cost | None:
    """The same for a run in stages within `allotment`'s memory and disk; None where it cannot be. Bounds on the number
    of stages make it an upper estimate; `tiers.plan_tiers` is exact, and takes longer."""
    room = allotment.memory_bytes - _beside(profile)
    disk = allotment.disk_bytes if allotment.scratch_dir else 0
    costs = [
        _staged_cost(constants, profile, allotment, outside, stages, room)
        for outside, stages in _stage_counts(profile, room)
        if _least_room(profile, outside, stages) <= room and _staged_disk(profile, allotment, outside, stages) <= disk
    ]
    if not costs:
        return None
    # Where outcomes are needed the plan takes the largest sub-states, else the fastest.
    chosen = costs[0] if _work(profile).collapses else min(costs, key=lambda cost: cost.seconds)
    return replace(chosen, disk_bytes=max(cost.disk_bytes for cost in costs))


def least_tiered_costs(constants: Mapping[str, float], profile: Profile, allotment: Allotment) -> tuple[Cost, ...]:
    """Where `tiered_cost` is None: the run in stages that needs the least memory, of those for which the disk is large
    enough, and the one that needs the least disk, of those for which the memory is; where there is neither, the one
    that needs the least memory."""
    room = allotment.memory_bytes - _beside(profile)
    disk = allotment.disk_bytes if allotment.scratch_dir else 0
    options = [
        (_least_room(profile, outside, stages), _staged_disk(profile, allotment, outside, stages), outside, stages)
        for outside, stages in _stage_counts(profile)
    ]
    tried = {outside for outside, _ in _stage_counts(profile, room)}
    for_disk = min((one for one in options if one[1] <= disk), default=None)
    within = (one for one in options if one[0] <= room and one[2] in tried)
    for_memory = min(within, key=lambda one: one[1], default=None)
    if for_disk is None and for_memory is None:
        for_disk = min(options, default=None)
    return tuple(
        _staged_cost(constants, profile, allotment, outside, stages, least)
        for least, _, outside, stages in (one for one in (for_disk, for_memory) if one is not None)
    )


def _stage_counts(profile: Profile, room: int = 0) -> list[tuple[int, int]]:
    """How many qubits are outside a sub-state, and in how many stages at most the circuit then runs. With `room` bytes
    for amplitudes, those alone that the plan is sure to try."""
    work = _work(profile)
    least = max(LEAST_LOCAL, max(room // 8, 1).bit_length() - SIZES_TRIED)
    return [
        (outside, stages) for outside, stages in enumerate(work.outer, 1)
        if stages <= _MOST_STAGES and work.wires - outside >= least
    ]  # fmt: skip


def _beside(profile: Profile) -> int:
    return _TIER_BYTES + _TIER_BYTES_PER_SHOT * profile.shots


def _buffers(work: DenseWork, stages: int) -> int:
    return 3 if work.collapses else 1 if stages == 2 else 2


def _least_room(profile: Profile, outside: int, stages: int) -> int:
    """Bytes of the sub-states that are there at once; the first one may be smaller than the others."""
    work = _work(profile)
    buffers, size = _buffers(work, stages), 8 << work.wires - outside
    return max((buffers + (stages > 3 and buffers < 3)) * size, buffers * size + size // 2 * (buffers < 3))


def _staged_disk(profile: Profile, allotment: Allotment, outside: int, stages: int) -> int:
    work = _work(profile)
    if stages <= 2:
        return 0
    waiting = profile.shots.bit_length() + 2 if work.collapses else 0
    amplitudes = work.amplitudes + (4 << work.wires - outside)  # the plan's sub-states may be twice as large
    return int(_PER_AMPLITUDE[allotment.codec] * amplitudes + waiting * most_block_bytes(allotment.memory_bytes))


def _staged_cost(
    constants: Mapping[str, float], profile: Profile, allotment: Allotment, outside: int, stages: int, room: int
) -> Cost:  # fmt: skip
    """Of `stages` stages with `room` bytes for amplitudes."""
    work = _work(profile)
    gates = profile.one_qubit_gates + profile.two_qubit_gates + profile.many_qubit_gates
    size, buffers = 8 << (work.wires - outside), _buffers(work, stages)
    first = 1 << max(room - buffers * size, 1).bit_length() - 1  # the plan takes the largest first sub-state
    held = max(_least_room(profile, outside, stages), buffers * size + min(first, 8 << work.wires))
    if stages > 2:
        held += min(MOST_SPARE, max(room - held, 0) // size) * size
    moved = 2 * max(stages - 2, 0) * _PER_AMPLITUDE[allotment.codec] * work.amplitudes
    traffic = moved / allotment.disk_bytes_per_second
    arithmetic = dense_seconds(constants, work, profile.shots, profile.num_clbits, allotment.threads)
    copies = stages * work.amplitudes * constants["seconds_per_amplitude_pass"] / max(allotment.threads, 1)
    codecs = max(stages - 2, 0) * _CODEC_INFIDELITY[allotment.codec]
    return Cost(
        seconds=max(arithmetic + copies, traffic) + traffic / (1 << outside),
        peak_bytes=held + _beside(profile),
        disk_bytes=_staged_disk(profile, allotment, outside, stages),
        infidelity=min(1.0, infidelity_bound(gates) + codecs),
    )


def dense_seconds(constants: Mapping[str, float], work: DenseWork, shots: int, width: int, threads: int) -> float:
    """The model itself. Blocks are shared among threads; what is one block is not."""
    blocks = 2.0 ** max(0, work.wires - BLOCK_BITS)
    usable = max(1.0, min(float(threads), blocks))
    swept = (
        work.wide * constants["seconds_per_amplitude_gate"]
        + work.passes * constants["seconds_per_amplitude_pass"]
        + work.sampled * constants["seconds_per_amplitude_held"]
    )
    distinct = min(shots, 2.0 ** min(work.wires, 60))
    return (
        constants["fixed_seconds"]
        + work.rows * constants["seconds_per_row"]
        + work.gates * constants["seconds_per_gate"]
        + (work.branches - 1) * constants["seconds_per_branch"]
        + work.narrow * constants["seconds_per_amplitude_gate_narrow"]
        + work.collapses * constants["seconds_per_amplitude_collapse"]
        + swept / usable
        + shots * constants["seconds_per_shot"]
        + distinct * (1 + width / 64) * constants["seconds_per_outcome"]
    )


def _work(profile: Profile) -> DenseWork:
    """What was counted, or a guess from numbers of gates where nobody did."""
    if profile.dense is not None:
        return profile.dense
    wires = profile.active_qubits
    amplitudes = 2.0 ** max(wires, 4)
    blocks = float(profile.fused_blocks + 3 * profile.many_qubit_gates)
    narrow = wires <= BLOCK_BITS
    passes = 0.0 if narrow else 2.0 + profile.two_qubit_gates * (wires - BLOCK_BITS) / (2.0 * wires * BLOCK_BITS)
    gates = 0.5 * blocks * amplitudes
    return DenseWork(
        wires=wires,
        amplitudes=amplitudes,
        branches=float(profile.shots if profile.needs_trajectories else 1),
        rows=float(profile.instructions or sum(profile.gate_counts.values())),
        gates=blocks,
        stages=max(1.0, passes),
        narrow=gates if narrow else 0.0,
        wide=0.0 if narrow else gates,
        passes=passes * amplitudes,
        collapses=0.0,
        sampled=amplitudes,
    )
