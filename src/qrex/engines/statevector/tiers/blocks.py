"""A state between two stages: as one sub-state in memory, or as blocks on disk.

In: sub-states of one stage. Out: sub-states of the next one, whose local wires are others. On disk the index is made
of the wires that both stages have local, lowest first in the reader's order, then the others; a block is 2^block_bits
amplitudes over the lowest of them, so that every sub-state of either stage is a set of whole blocks. Blocks are
written to free slots, and the slots of what they were made from are freed once they are safe: nothing is overwritten
that a crash would need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from qrex import _kernels
from qrex.errors import EngineError, StoreError

__all__ = [
    "BlockSource", "BlockTable", "Boundary", "KeptState", "MemorySource", "Placement", "Source", "SubState",
    "ZeroSource", "boundary", "enter", "wires_of", "write_sub_state",
]  # fmt: skip

UNKNOWN = -2  # slot of a block that was not written yet
ZERO = -1  # slot of a block of zeros
_LINE_BITS = 6  # of the kernels: positions whose amplitudes share a cache line or two


class SubState:
    """Planar amplitudes over the local wires of a stage: 8 B each."""

    def __init__(self, bits: int):
        self.re, self.im = _kernels.allocate_state(max(bits, 4))

    def clear(self) -> None:
        self.re.fill(0.0)
        self.im.fill(0.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a stage has its wires: `position_of[wire]`, below `bits` in the sub-state, above it in its number."""

    bits: int
    position_of: tuple[int, ...]

    @classmethod
    def of(cls, stage: Any) -> Placement:
        return cls(stage.bits, tuple(stage.position_of))

    def local(self, wire: int) -> bool:
        return 0 <= self.position_of[wire] < self.bits

    def number(self, wire: int) -> int:
        """Bit of the sub-state's number that a wire is not local on."""
        return self.position_of[wire] - self.bits


@dataclass(frozen=True, slots=True)
class Boundary:
    """`order[k]` is the wire at bit k of the index on disk; the lowest `block_bits` are in the block."""

    order: tuple[int, ...]
    block_bits: int

    @property
    def blocks(self) -> int:
        return 1 << (len(self.order) - self.block_bits)

    def members(
        self, stage: Placement, value: int, settled: Mapping[int, int] = MappingProxyType({})
    ) -> tuple[np.ndarray, np.ndarray]:
        """Blocks of a stage's sub-state number `value`, ascending, and where each stands in the sub-state. `settled`:
        wires that the stage has not got any more, and their outcomes."""
        upper = self.order[self.block_bits :]
        fixed, free = 0, []
        for bit, wire in enumerate(upper):
            if wire in settled:
                fixed |= settled[wire] << bit
            elif stage.local(wire):
                free.append((bit, stage.position_of[wire]))
            elif value >> stage.number(wire) & 1:
                fixed |= 1 << bit
        counter = np.arange(1 << len(free), dtype=np.uint64)
        blocks = np.full(len(counter), fixed, dtype=np.uint64)
        offsets = np.zeros(len(counter), dtype=np.uint64)
        for k, (bit, position) in enumerate(free):
            taken = counter >> np.uint64(k) & np.uint64(1)
            blocks |= taken << np.uint64(bit)
            offsets |= taken << np.uint64(position)
        return blocks.astype(np.int64), offsets

    def bits(self, stage: Placement) -> list[int]:
        """Positions in a stage's sub-state of the bits of a block."""
        return [stage.position_of[wire] for wire in self.order[: self.block_bits]]


def wires_of(mask: int) -> list[int]:
    return [wire for wire in range(mask.bit_length()) if mask >> wire & 1]


def boundary(writer: Placement, reader: Placement, used: int, block_bits: int, gone: int | None = None) -> Boundary:
    """Between a stage and the next one; smaller blocks where they share few wires. `gone`: a wire that the next stage
    has not got any more.

    Lowest are the wires that share a cache line with others in either sub-state: a tile of a block has whole lines.
    """
    common = [wire for wire in wires_of(used) if writer.local(wire) and reader.local(wire) and wire != gone]
    block_bits = min(block_bits, len(common))
    common.sort(key=lambda wire: (min(reader.position_of[wire], writer.position_of[wire]) >= _LINE_BITS,
                                  reader.position_of[wire]))  # fmt: skip
    low = common[:block_bits]
    rest = sorted((wire for wire in wires_of(used) if wire not in low), key=lambda wire: reader.position_of[wire])
    return Boundary((*low, *rest), block_bits)


@dataclass(slots=True)
class BlockTable:
    """Slots and checksums of the blocks at a boundary, and what the codec did to them so far."""

    boundary: Boundary
    slots: np.ndarray = field(init=False)
    crcs: np.ndarray = field(init=False)
    norm: float = 0.0
    kept_norm: float = 0.0
    error: float = 0.0

    def __post_init__(self) -> None:
        self.slots = np.full(self.boundary.blocks, UNKNOWN, dtype=np.int64)
        self.crcs = np.zeros(self.boundary.blocks, dtype=np.uint32)

    def leave_zero(self, writer: Placement, value: int) -> None:
        """Nothing of the writer's sub-state number `value` will be written: it is zero."""
        blocks, _ = self.boundary.members(writer, value)
        self.slots[blocks] = ZERO

    def slots_where(self, wire: int, outcome: int) -> list[int]:
        """Slots of the half of the state in which `wire`, none of those within a block, reads `outcome`."""
        bit = self.boundary.order.index(wire) - self.boundary.block_bits
        slots = self.slots[(np.arange(len(self.slots)) >> bit & 1) == outcome]
        return slots[slots >= 0].tolist()

    @property
    def scale(self) -> float:
        """What brings the state back to norm 1, where a coarse codec changed it."""
        return 1.0 if self.error == 0.0 or self.kept_norm <= 0.0 else self.kept_norm**-0.5

    @property
    def infidelity(self) -> float:
        """Of the state as coded against the state as computed, from measured errors."""
        if self.error == 0.0:
            return 0.0
        overlap = (self.norm + self.kept_norm - self.error) / 2
        return max(0.0, 1.0 - overlap * overlap / (self.norm * self.kept_norm))


@dataclass(frozen=True, slots=True)
class KeptState:
    """A state on disk: all of it, or what is left once wires were found in an outcome, to be scaled to norm 1."""

    table: BlockTable
    settled: Mapping[int, int] = field(default_factory=dict)
    scale: float = 1.0

    @property
    def fixed(self) -> int:
        """Mask of the wires that whoever reads it needs local: those within a block."""
        return sum(1 << wire for wire in self.table.boundary.order[: self.table.boundary.block_bits])


class Source(Protocol):
    """Gives the next stage its sub-states."""

    def load(self, value: int, into: SubState) -> None: ...


class ZeroSource:
    """Every wire in |0>: what the first stage starts from."""

    def load(self, value: int, into: SubState) -> None:
        into.re[0] = 1.0  # it is zero when it is made


class MemorySource:
    """The first stage's sub-state, of which those of the second are made: wires that it has not got are in |0>."""

    def __init__(self, state: SubState, writer: Placement, reader: Placement, used: int, threads: int):
        self._state, self._writer, self._reader, self._threads = state, writer, reader, threads
        self._wires = wires_of(used)

    def load(self, value: int, into: SubState) -> None:
        from_bits, to_bits, offset, whole, empty = [], [], 0, True, False
        for wire in self._wires:
            if self._reader.local(wire):
                if self._writer.local(wire):
                    from_bits.append(self._writer.position_of[wire])
                    to_bits.append(self._reader.position_of[wire])
                else:
                    whole = False
            elif value >> self._reader.number(wire) & 1:
                if self._writer.local(wire):
                    offset |= 1 << self._writer.position_of[wire]
                else:
                    empty = True
        if empty or not whole or len(into.re) > 1 << len(self._wires):
            into.clear()
        if not empty:
            _kernels.permute(
                self._state.re, self._state.im, into.re, into.im, from_bits, to_bits, offset, 0, 1.0, self._threads
            )


class BlockSource:
    """A state on disk. Wires of `used` that it has not got are in |0>."""

    def __init__(self, area: Any, kept: KeptState, reader: Placement, codec: str, used: int, threads: int):
        self._area, self._kept, self._reader, self._codec = area, kept, reader, codec
        self._desks = _kernels.Desks(threads)
        self._table = kept.table
        self._bits = self._table.boundary.bits(reader)
        old = [wire for wire in self._table.boundary.order if wire not in kept.settled]
        self._new = [wire for wire in wires_of(used) if wire not in old]  # a settled one may be in use again

    def load(self, value: int, into: SubState) -> None:
        if self._new:
            into.clear()
            if any(not self._reader.local(wire) and value >> self._reader.number(wire) & 1 for wire in self._new):
                return
        blocks, offsets = self._table.boundary.members(self._reader, value, self._kept.settled)
        slots = self._table.slots[blocks]
        if (slots == UNKNOWN).any():
            raise EngineError(f"sub-state {value} is read before all of its blocks were written")
        damaged = _kernels.fetch_blocks(
            self._area.fd, self._area.slot_bytes, self._codec, self._bits, slots, offsets, self._table.crcs[blocks],
            self._table.scale * self._kept.scale, into.re, into.im, self._desks,
        )  # fmt: skip
        if damaged.any():
            bad = blocks[damaged.astype(bool)]
            raise StoreError(
                f"{self._area.path}: block {int(bad[0])} (slot {int(self._table.slots[bad[0]])}) does not agree with "
                f"its checksum, nor do {len(bad) - 1} others: the disk returned other bytes than were written; remove "
                "the folder and run again, on another disk with --scratch if it happens again"
            )

    def slots_of(self, value: int) -> list[int]:
        """Slots that sub-state `value` is read from: they are free once it was dealt with."""
        blocks, _ = self._table.boundary.members(self._reader, value, self._kept.settled)
        slots = self._table.slots[blocks]
        return slots[slots >= 0].tolist()


def write_sub_state(
    area: Any, table: BlockTable, writer: Placement, value: int, state: SubState, codec: str, desks: Any
) -> tuple[Sequence[int], dict[str, Any]]:
    """Write a stage's sub-state to free slots of `area`. The slots, and what a manifest has to know of them."""
    blocks, offsets = table.boundary.members(writer, value)
    taken = area.take(len(blocks))
    slots = np.array(taken, dtype=np.int64)
    try:
        crcs, zero, norms, kept, errors = _kernels.put_blocks(
            area.fd, area.slot_bytes, codec, table.boundary.bits(writer), slots, offsets, state.re, state.im, desks
        )
    except OSError as error:
        area.give_back(taken)
        raise StoreError(
            f"{area.path}: {error}; free space on that disk, or name another folder with --scratch, and run again: "
            "it goes on from the last sub-state that was written"
        ) from error
    unused = zero.astype(bool)
    area.give_back(slots[unused].tolist())
    slots[unused] = ZERO
    record = {
        "slots": slots.tolist(), "crcs": crcs.tolist(), "norm": float(norms.sum()), "kept": float(kept.sum()),
        "error": float(errors.sum()),
    }  # fmt: skip
    return slots[~unused].tolist(), record


def enter(table: BlockTable, writer: Placement, value: int, record: dict[str, Any]) -> None:
    """Put what `write_sub_state` recorded into the table."""
    blocks, _ = table.boundary.members(writer, value)
    table.slots[blocks] = record["slots"]
    table.crcs[blocks] = record["crcs"]
    table.norm += record["norm"]
    table.kept_norm += record["kept"]
    table.error += record["error"]
