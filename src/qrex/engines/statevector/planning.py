"""Stages: which qubits are local when, and which gates run then.

In: gates on wires, the size of a block. Out: a `Plan`: the place of each wire in the state's index, and for
each pass over the state the local positions and the gates in an order for the cache. A gate moves before
pending gates that it shares no wire with, or shares only wires on which both are diagonal; diagonal gates
need no locality. Local sets are chosen greedily (`_kernels.choose_local`) for a few layouts, and the plan
with the fewest passes is kept. O(gates × layouts) and a bounded search per pass.
Reference: the staging problem of Atlas (arXiv:2408.09055), solved greedily.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qrex import _kernels
from qrex.engines.statevector.gates import Gate, One, Phases, Select

__all__ = ["BLOCK_BITS", "CHUNK_BITS", "INNER_BITS", "Plan", "PlannedStage", "kernel_stage", "plan"]

BLOCK_BITS = 15  # 2^15 amplitudes, 256 KiB: half of a common second-level cache
CHUNK_BITS = 6  # amplitudes in one piece when a block is gathered: 256 bytes
INNER_BITS = 11  # 2^11 amplitudes, 16 KiB: half of a common first-level cache
WINDOW = 4096  # pending gates looked at for one stage: bounds its search and its tables
NARROW_WINDOW = 1024  # the same where the whole state is one block
_UNRUNNABLE = 1 << 62  # a wire that is never local: keeps diagonal gates back until they are wanted


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One pass: local positions, ascending; gates (on wires) in order; positions that are zero before it."""

    local: tuple[int, ...]
    gates: tuple[Gate, ...]
    zero_mask: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`position_of[w]` is the bit of the state's index that wire w has; `num_positions` is at least 4."""

    num_positions: int
    position_of: tuple[int, ...]
    stages: tuple[PlannedStage, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """Masks and weights of gates, one entry each."""

    dense: np.ndarray
    zed: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, gates: Sequence[Gate]) -> _Table:
        count = len(gates)
        return cls(
            np.fromiter((g.dense for g in gates), dtype=np.uint64, count=count),
            np.fromiter((g.zed for g in gates), dtype=np.uint64, count=count),
            np.fromiter((g.cost for g in gates), dtype=np.float64, count=count),
        )

    def reachable(self, chosen: np.ndarray, everything: int, local: int) -> np.ndarray:
        dense, zed, weight = self.dense[chosen], self.zed[chosen], self.weight[chosen]
        return _kernels.reachable(dense, zed, weight, everything, local).astype(bool)


def plan(
    gates: Sequence[Gate],
    num_wires: int,
    block_bits: int = BLOCK_BITS,
    chunk_bits: int = CHUNK_BITS,
    inner_bits: int = INNER_BITS,
) -> Plan:
    """Plan `gates` on `num_wires` wires (0 and more).

    Blocks hold 2^block_bits amplitudes, gathered in pieces of 2^chunk_bits; raises ValueError unless
    4 <= chunk_bits <= block_bits - 2 (a two-qubit gate needs room for both its wires).
    """
    if not 4 <= chunk_bits <= block_bits - 2:
        raise ValueError(f"need 4 <= chunk_bits <= block_bits - 2, got {chunk_bits} and {block_bits}")
    positions = max(num_wires, 4)
    if positions <= block_bits:
        stages = []
        touched = 0
        for start in range(0, len(gates), NARROW_WINDOW):
            part = gates[start : start + NARROW_WINDOW]
            inner = (1 << min(inner_bits, positions)) - 1
            ordered = _in_cache_order(part, positions, inner)
            stages.append(PlannedStage(tuple(range(positions)), ordered, ~touched & ((1 << positions) - 1)))
            touched |= _union(gate.dense for gate in part)
        return Plan(positions, tuple(range(num_wires)), tuple(stages))
    table = _Table.of(gates)
    best: tuple[int, tuple[int, ...], list[tuple[int, np.ndarray]]] | None = None
    for low in _low_wires(table, num_wires, block_bits, chunk_bits):
        passes = list(_passes(table, num_wires, _union(1 << w for w in low), block_bits))
        if best is None or len(passes) < best[0]:
            best = len(passes), low, passes
        if best[0] <= 2:
            break
    assert best is not None
    _, low, passes = best
    return _placed(gates, num_wires, low, passes, inner_bits)


def _passes(table: _Table, num_wires: int, fixed: int, capacity: int) -> Iterator[tuple[int, np.ndarray]]:
    """Local wires and the indices of the gates of each pass."""
    everything = (1 << num_wires) - 1
    pending = np.arange(len(table.dense))
    while len(pending):
        window = pending[:WINDOW]
        local = _kernels.choose_local(
            table.dense[window], table.zed[window], table.weight[window], everything, fixed, capacity
        )
        runs = table.reachable(window, everything, local)
        assert runs.any(), "the first pending gate always fits"
        yield local, window[runs]
        pending = np.concatenate([window[~runs], pending[WINDOW:]])


def _low_wires(table: _Table, num_wires: int, block_bits: int, chunk_bits: int) -> Iterator[tuple[int, ...]]:
    """Candidates for the wires at the lowest positions, which are local in every pass.

    First those that unrestricted passes would want local most often; then both ends of the order as written.
    """
    wanted = np.zeros(num_wires)
    for count, (local, _) in enumerate(_passes(table, num_wires, 0, block_bits)):
        wanted += [local >> wire & 1 for wire in range(num_wires)]
        if count == 16:
            break
    yield tuple(int(w) for w in np.argsort(-wanted, kind="stable")[:chunk_bits])
    yield tuple(range(chunk_bits))
    yield tuple(range(num_wires - chunk_bits, num_wires))


def _placed(
    gates: Sequence[Gate],
    num_wires: int,
    low: Sequence[int],
    passes: Sequence[tuple[int, np.ndarray]],
    inner_bits: int,
) -> Plan:
    # Above the fixed ones, wires that are local often come first, so that they stay in the first-level cache.
    often = [sum(local >> wire & 1 for local, _ in passes) for wire in range(num_wires)]
    rest = sorted(set(range(num_wires)) - set(low), key=lambda wire: (-often[wire], wire))
    order = [*low, *rest]
    position_of = [0] * num_wires
    for position, wire in enumerate(order):
        position_of[wire] = position
    stages = []
    touched = 0
    for local, indices in passes:
        members = sorted((w for w in range(num_wires) if local >> w & 1), key=position_of.__getitem__)
        part = [gates[k] for k in indices]
        inner = _union(1 << wire for wire in members[:inner_bits])
        ordered = _in_cache_order(part, num_wires, inner)
        zero = _union(1 << position_of[w] for w in range(num_wires) if not touched >> w & 1)
        stages.append(PlannedStage(tuple(position_of[w] for w in members), ordered, zero))
        touched |= _union(gate.dense for gate in part)
    return Plan(num_wires, tuple(position_of), tuple(stages))


def _in_cache_order(gates: Sequence[Gate], num_wires: int, inner: int) -> tuple[Gate, ...]:
    """`gates` with those on `inner` wires drawn together and diagonal ones merged where they are wanted."""
    if len(gates) < 2:
        return tuple(gates)
    everything = (1 << num_wires) - 1
    table = _Table.of(gates)
    diagonal = table.dense == 0
    outside = (table.dense & np.uint64(everything & ~inner)) != 0
    inner_only, outer_only = (
        _Table(np.where(held, table.dense | np.uint64(_UNRUNNABLE), table.dense), table.zed, table.weight)
        for held in (diagonal | outside, diagonal | ~outside)
    )
    ordered: list[Gate] = []
    pending = np.arange(len(gates))
    while len(pending):
        before = len(pending)
        for part in (inner_only, outer_only) if outside.any() else (inner_only,):
            runs = part.reachable(pending, everything, everything)
            ordered.extend(gates[k] for k in pending[runs])
            pending = pending[~runs]
        if len(pending) < before:
            continue
        # Only diagonal gates can run: all that no dense gate blocks become one.
        runs = table.reachable(pending, everything, 0)
        ordered.append(_merged([gates[k] for k in pending[runs]]))
        pending = pending[~runs]
    return tuple(ordered)


def _merged(parts: Sequence[Gate]) -> Phases:
    total: dict[int, float] = {}
    for part in parts:
        assert isinstance(part, Phases)
        for mask, angle in zip(part.masks, part.angles, strict=True):
            total[mask] = total.get(mask, 0.0) + angle
    return Phases(tuple(total), tuple(total.values()), 0, _union(total), float(len(parts)))


def _union(masks: Iterable[int]) -> int:
    out = 0
    for mask in masks:
        out |= mask
    return out


def kernel_stage(
    plan: Plan, stage: PlannedStage, instruction_set: str = "", inner_bits: int = INNER_BITS
) -> _kernels.Stage:
    """The compiled form of one stage of `plan`, its gates on positions."""
    position_of = plan.position_of

    def placed(mask: int) -> int:
        out = 0
        while mask:
            lowest = mask & -mask
            out |= 1 << position_of[lowest.bit_length() - 1]
            mask ^= lowest
        return out

    kernel = _kernels.Stage(plan.num_positions, list(stage.local), inner_bits, instruction_set)
    for gate in stage.gates:
        if isinstance(gate, Phases):
            kernel.diagonal([placed(mask) for mask in gate.masks], list(gate.angles))
        elif isinstance(gate, One):
            mask, value = placed(gate.control_mask), placed(gate.control_value)
            kernel.one(position_of[gate.target], gate.matrix, mask, value)
        elif isinstance(gate, Select):
            kernel.select(position_of[gate.selector], position_of[gate.target], gate.matrices)
        else:
            kernel.two(position_of[gate.low], position_of[gate.high], gate.matrix)
    return kernel
