"""Gate fusion: neighbors on the same wires become one matrix where that is cheaper.

In: one- and two-qubit unitaries in order. Out: kernel gates in order. A block holds the gates met so far on
one wire or a pair of wires, as a list of segments; a new gate is multiplied onto as many of the last segments
as lower the modelled cost (`gates.modelled_cost`). Only the flags are looked at to decide, so a gate costs
a constant time: O(gates).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qrex.engines.statevector.gates import (
    CONTROLS_HIGH,
    CONTROLS_LOW,
    DIAGONAL_HIGH,
    DIAGONAL_LOW,
    Gate,
    modelled_cost,
    to_gates,
)

__all__ = ["Fuser"]

_LOW = DIAGONAL_LOW | CONTROLS_LOW
_HIGH = DIAGONAL_HIGH | CONTROLS_HIGH


@dataclass(slots=True)
class _Block:
    wires: tuple[int, ...]
    flags: list[int] = field(default_factory=list)
    matrices: list[np.ndarray] = field(default_factory=list)

    def push(self, flags: int, matrix: np.ndarray) -> None:
        width = len(self.wires)
        separate, product = modelled_cost(flags, width), flags
        best_saving, best_start = 0.0, len(self.flags)
        for start in range(len(self.flags) - 1, -1, -1):
            separate += modelled_cost(self.flags[start], width)
            product &= self.flags[start]
            saving = separate - modelled_cost(product, width)
            if saving > best_saving or (saving == best_saving and best_start == start + 1):
                best_saving, best_start = saving, start
        for earlier in reversed(range(best_start, len(self.flags))):
            matrix = matrix @ self.matrices[earlier]
            flags &= self.flags[earlier]
        del self.flags[best_start:], self.matrices[best_start:]
        self.flags.append(flags)
        self.matrices.append(matrix)


class Fuser:
    """Takes gates by `one`, `two` and `other`; `finish` returns the kernel gates."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []
        self._open: dict[int, _Block] = {}

    def one(self, wire: int, flags: int, matrix: np.ndarray) -> None:
        """A snapped 2x2 `matrix` with its `flags`."""
        block = self._open.get(wire)
        if block is None:
            block = self._open[wire] = _Block((wire,))
        if len(block.wires) == 1:
            block.push(flags, matrix)
        else:
            block.push(*_widened(flags, matrix, block.wires.index(wire)))

    def two(self, wires: tuple[int, int], flags: int, matrix: np.ndarray) -> None:
        """A snapped 4x4 `matrix` with its `flags`; wires[0] is the low bit of its index."""
        block = self._open.get(wires[0])
        other = self._open.get(wires[1])
        if block is None or block is not other:
            opened = _Block(wires)
            for place, earlier in enumerate((block, other)):
                if earlier is None:
                    continue
                if len(earlier.wires) == 1:
                    for known, part in zip(earlier.flags, earlier.matrices, strict=True):
                        opened.push(*_widened(known, part, place))
                else:
                    self._close(earlier)
            self._open[wires[0]] = self._open[wires[1]] = block = opened
        if block.wires != wires:
            flags, matrix = _exchanged(flags, matrix)
        block.push(flags, matrix)

    def other(self, gate: Gate) -> None:
        """A gate on more wires: it is not fused, and closes the blocks that it meets."""
        touched = gate.dense | gate.zed
        for block in list({id(b): b for w, b in self._open.items() if touched >> w & 1}.values()):
            self._close(block)
        self._gates.append(gate)

    def finish(self) -> list[Gate]:
        for block in list({id(b): b for b in self._open.values()}.values()):
            self._close(block)
        return self._gates

    def _close(self, block: _Block) -> None:
        for flags, matrix in zip(block.flags, block.matrices, strict=True):
            self._gates.extend(to_gates(matrix, flags, block.wires))
        for wire in block.wires:
            del self._open[wire]


def _widened(flags: int, matrix: np.ndarray, place: int) -> tuple[int, np.ndarray]:
    """A one-wire gate as one on two wires, itself on wire `place`."""
    out = np.zeros((4, 4), dtype=complex)
    if place == 0:
        out[:2, :2] = out[2:, 2:] = matrix
        return flags & ~_HIGH | DIAGONAL_HIGH, out
    out[0::2, 0::2] = out[1::2, 1::2] = matrix
    diagonal = DIAGONAL_HIGH if flags & DIAGONAL_LOW else 0
    return flags & ~(_LOW | _HIGH) | DIAGONAL_LOW | diagonal, out


def _exchanged(flags: int, matrix: np.ndarray) -> tuple[int, np.ndarray]:
    """The same gate with its two wires named in the other order."""
    order = [0, 2, 1, 3]
    return flags & ~(_LOW | _HIGH) | (flags & _LOW) << 1 | (flags & _HIGH) >> 1, matrix[order][:, order]
