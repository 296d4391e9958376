"""Fuses gates and their noise into two-qubit channels, and orders them for a narrow sweep.

In: the steps of one component, the device's noise. Out: `Block`s such that (1) all that happens on a pair
between meetings with other qubits is one channel; (2) nothing outside the light cone of the measured qubits
is left; (3) qubits enter late and leave early. A qubit enters when the first block touches it (it is |0⟩
until then) and leaves after the last one, so a sweep's cost follows the live width, not the circuit's.
Fusing is linear in the gates, ordering quadratic in the qubits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qrex.twin.channels import on_first, on_second, tensor
from qrex.twin.components import Component
from qrex.twin.noise import DeviceNoise

__all__ = ["Block", "sweep_blocks", "sweep_widths"]


@dataclass(frozen=True, slots=True)
class Block:
    """One fused channel. `matrix` is its transfer matrix, the first of `qubits` most significant; `enters`
    and `leaves` are those of its qubits that it touches first and last."""

    qubits: tuple[int, ...]
    matrix: NDArray[np.float64]
    enters: tuple[int, ...]
    leaves: tuple[int, ...]


class _Pair:
    """A pair's channel as it grows; one-qubit channels wait until a two-qubit gate or the end needs them."""

    def __init__(self, qubits: tuple[int, int], waiting: dict[int, NDArray[np.float64]]):
        self.qubits = qubits
        self.matrix: NDArray[np.float64] | None = None
        self.waiting = [waiting.pop(q, None) for q in qubits]

    def append_single(self, qubit: int, channel: NDArray[np.float64]) -> None:
        side = self.qubits.index(qubit)
        before = self.waiting[side]
        self.waiting[side] = channel if before is None else channel @ before

    def append_pair(self, qubits: tuple[int, int], channel: NDArray[np.float64]) -> None:
        if qubits != self.qubits:
            channel = channel.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
        self._absorb()
        self.matrix = channel if self.matrix is None else channel @ self.matrix

    def finish(self) -> NDArray[np.float64]:
        self._absorb()
        assert self.matrix is not None
        return self.matrix

    def _absorb(self) -> None:
        first, second = self.waiting
        if self.matrix is None:
            if first is not None or second is not None:
                identity = np.eye(4)
                self.matrix = tensor(
                    identity if first is None else first, identity if second is None else second
                )
        else:
            if first is not None:
                self.matrix = on_first(first, self.matrix)
            if second is not None:
                self.matrix = on_second(second, self.matrix)
        self.waiting = [None, None]


def sweep_blocks(component: Component, noise: DeviceNoise) -> list[Block]:
    """Blocks of a component without dynamic parts, in an order that can be simulated."""
    fused = _fuse(component, noise)
    needed = set(component.measured.values())
    cone = []
    for qubits, matrix in reversed(fused):
        if not needed.isdisjoint(qubits):
            needed.update(qubits)
            cone.append((qubits, matrix))
    cone.reverse()
    ordered = [cone[i] for i in _narrow_order([qubits for qubits, _ in cone])]
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, (qubits, _) in enumerate(ordered):
        for qubit in qubits:
            first.setdefault(qubit, index)
            last[qubit] = index
    return [
        Block(
            qubits,
            matrix,
            tuple(q for q in qubits if first[q] == index),
            tuple(q for q in qubits if last[q] == index),
        )
        for index, (qubits, matrix) in enumerate(ordered)
    ]


def sweep_widths(blocks: Sequence[Block]) -> list[int]:
    """Live qubits while each block acts."""
    widths, live = [], 0
    for block in blocks:
        live += len(block.enters)
        widths.append(live)
        live -= len(block.leaves)
    return widths


def _fuse(component: Component, noise: DeviceNoise) -> list[tuple[tuple[int, ...], NDArray[np.float64]]]:
    waiting: dict[int, NDArray[np.float64]] = {}
    open_pair: dict[int, _Pair] = {}
    pairs: list[_Pair] = []
    read = set()
    for instruction, qubits, _ in component.steps:
        if instruction.name == "measure":
            read.add(qubits[0])
            continue
        if qubits[0] in read:
            continue  # only a delay can stand here; nothing of it is seen any more
        channel = noise.channel(instruction.operation, qubits)
        if len(qubits) == 1:
            qubit = qubits[0]
            if qubit in open_pair:
                open_pair[qubit].append_single(qubit, channel)
            else:
                waiting[qubit] = channel @ waiting[qubit] if qubit in waiting else channel
            continue
        first, second = qubits
        pair = open_pair.get(first)
        if pair is None or open_pair.get(second) is not pair:
            pair = _Pair((first, second), waiting)
            pairs.append(pair)
            open_pair[first] = open_pair[second] = pair
        pair.append_pair((first, second), channel)
    fused: list[tuple[tuple[int, ...], NDArray[np.float64]]] = [(p.qubits, p.finish()) for p in pairs]
    fused.extend(((q,), channel) for q, channel in waiting.items())
    touched = {q for qubits, _ in fused for q in qubits}
    # A qubit that is measured untouched still has to enter the sweep.
    fused.extend(((q,), np.eye(4)) for q in set(component.measured.values()) - touched)
    return fused


def _narrow_order(supports: Sequence[tuple[int, ...]]) -> list[int]:
    """An order of blocks that obeys each qubit's own order and keeps few qubits live.

    Again and again the qubit that can be finished by bringing in the fewest new ones is finished.
    """
    per_qubit: dict[int, list[int]] = {}
    parents: list[set[int]] = []
    for index, qubits in enumerate(supports):
        parents.append({per_qubit[q][-1] for q in qubits if q in per_qubit})
        for qubit in qubits:
            per_qubit.setdefault(qubit, []).append(index)
    done: set[int] = set()
    live: set[int] = set()
    order: list[int] = []
    unfinished = set(per_qubit)

    def remaining_cone(qubit: int) -> set[int]:
        stack, cone = [per_qubit[qubit][-1]], set()
        while stack:
            index = stack.pop()
            if index not in done and index not in cone:
                cone.add(index)
                stack.extend(parents[index])
        return cone

    while unfinished:
        best: tuple[tuple[int, int, int], set[int]] | None = None
        for qubit in sorted(unfinished):
            cone = remaining_cone(qubit)
            new = {q for index in cone for q in supports[index]} - live
            rank = (len(new), len(cone), qubit)
            if best is None or rank < best[0]:
                best = (rank, cone)
        assert best is not None
        for index in sorted(best[1]):  # creation order obeys every qubit's own order
            order.append(index)
            done.add(index)
            live.update(supports[index])
        finished = {q for q in unfinished if per_qubit[q][-1] in done}
        unfinished -= finished
        live -= finished
    return order
