"""Samples a noisy component by quantum trajectories that share what they have in common.

In: `Block`s, shots, a generator. Out: one bit string per shot, before readout errors. All shots start as one
state with multiplicity `shots`. At each block the heaviest Kraus operator acts on every state at once; the
binomially few shots that take another one split off. A qubit is measured as soon as its last block is past,
which halves the state. Both are exact: they only group equal histories and reorder commuting steps. The cost
is about Σ (distinct histories) · 2^live over the blocks, at most shots · 2^live each.
Reference: the Monte Carlo wave function, Mølmer, Castin and Dalibard, JOSA B 10, 524 (1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qrex.twin.blocks import Block, sweep_widths
from qrex.twin.channels import kraus_operators

__all__ = ["Jumps", "prepare_jumps", "sample_trajectories", "trajectory_cost"]

# Amplitudes (complex64) worked on at once: 2 MiB, near a core's share of cache, so that a block's passes stay
# off the memory bus; smaller batches lose to the cost of calls (measured: 2^18 best of 2^15 to 2^20).
_BATCH_AMPLITUDES = 1 << 18
_SLICE = 1 << 12  # amplitudes of each pair state multiplied in one call
_FAINT = 1e-6  # squared norm below which a state is brought back to size, far above float32's range


@dataclass(frozen=True, slots=True)
class Jumps:
    """A block's Kraus operators: the one most shots take, the others, and the others' K†K for their odds."""

    stay: NDArray[np.complex64]
    leave: NDArray[np.complex64]  # (k, d, d)
    odds: NDArray[np.complex64]  # (k, d·d), transposed so that odds · vec(ρ) is the probability

    def exchanged(self, qubits: tuple[int, ...]) -> tuple:
        """(qubits, stay, leave, odds) with the two qubits' roles exchanged."""
        swap = [0, 2, 1, 3]
        pairs = [4 * i + j for i in swap for j in swap]
        return (
            qubits[::-1],
            np.ascontiguousarray(self.stay[np.ix_(swap, swap)]),
            self.leave[:, swap][:, :, swap],
            self.odds[:, pairs],
        )


@dataclass
class _Batch:
    """States that have come equally far: row r stands for multiplicity[r] shots that read bits[r] so far."""

    position: int
    live: list[int]  # qubit of each axis, slowest first
    states: NDArray[np.complex64]  # (rows, 2^live)
    norms: NDArray[np.float64]  # squared norm of every row
    multiplicity: NDArray[np.int64]
    bits: NDArray[np.uint8]  # (rows, columns)

    def rows(self, chosen: slice) -> _Batch:
        return _Batch(
            self.position,
            list(self.live),
            self.states[chosen],
            self.norms[chosen],
            self.multiplicity[chosen],
            self.bits[chosen],
        )


def prepare_jumps(blocks: Sequence[Block]) -> list[Jumps]:
    """Kraus operators of every block, ready for `sample_trajectories`."""
    prepared = []
    for block in blocks:
        kraus = kraus_operators(block.matrix).astype(np.complex64)
        others = kraus[1:]
        products = np.matmul(others.conj().transpose(0, 2, 1), others)
        odds = products.transpose(0, 2, 1).reshape(len(others), -1)
        prepared.append(Jumps(np.ascontiguousarray(kraus[0]), others, odds))
    return prepared


def trajectory_cost(blocks: Sequence[Block], shots: int) -> tuple[float, int]:
    """(amplitudes passed over, largest number of amplitudes of one state), an upper estimate."""
    work, rows, risk = 0.0, 1.0, 0.0
    widths = sweep_widths(blocks)
    for block, width in zip(blocks, widths, strict=True):
        # Tr(RᵀR)/d² is the sum of squared Kraus weights, so its root is close to the heaviest one.
        risk += 1 - math.sqrt(min(1.0, float(np.sum(block.matrix**2)) / len(block.matrix)))
        jumped = shots * (1 - math.exp(-max(0.0, min(risk, 50.0))))
        work += min(shots, max(rows, jumped)) * 2.0**width
        rows = min(shots, rows * 2 ** len(block.leaves))
    return work, 2 ** max(widths, default=0)


def sample_trajectories(
    blocks: Sequence[Block],
    jumps: Sequence[Jumps],
    columns: dict[int, int],
    shots: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Bits of shape (shots, len(columns)); column columns[q] reads qubit q. Shots come grouped."""
    start = _Batch(
        0,
        [],
        np.ones((1, 1), dtype=np.complex64),
        np.ones(1),
        np.array([shots], dtype=np.int64),
        np.zeros((1, len(columns)), dtype=np.uint8),
    )
    stack, finished = [start], []
    while stack:
        batch = stack.pop()
        while batch.position < len(blocks):
            block = blocks[batch.position]
            for qubit in block.enters:
                _enter(batch, qubit)
            rows = len(batch.multiplicity)
            if rows > 1 and batch.states.size > _BATCH_AMPLITUDES:
                # Depth first by halves: memory stays near the batch size however many histories there are.
                _leave_entry(batch, block.enters)
                stack.append(batch.rows(slice(rows // 2, rows)))
                batch = batch.rows(slice(0, rows // 2))
                continue
            _apply(batch, block, jumps[batch.position], rng)
            for qubit in block.leaves:
                _measure(batch, qubit, columns.get(qubit), rng)
            batch.position += 1
        finished.append(np.repeat(batch.bits, batch.multiplicity, axis=0))
    return np.concatenate(finished)


def _enter(batch: _Batch, qubit: int) -> None:
    rows, size = batch.states.shape
    states = np.zeros((rows, 2, size), dtype=np.complex64)
    states[:, 0] = batch.states
    batch.states = states.reshape(rows, 2 * size)
    batch.live.insert(0, qubit)


def _leave_entry(batch: _Batch, qubits: Sequence[int]) -> None:
    """Undoes `_enter`, so that the halves of a batch can start the block again."""
    for _ in qubits:
        batch.states = batch.states[:, : batch.states.shape[1] // 2]
        batch.live.pop(0)


def _to_front(batch: _Batch, qubits: Sequence[int]) -> NDArray[np.complex64]:
    """States of shape (rows, 2^len(qubits), rest) with `qubits` slowest, in the order given."""
    rows = len(batch.multiplicity)
    if batch.live[: len(qubits)] != list(qubits):
        order = [batch.live.index(q) for q in qubits]
        order += [axis for axis in range(len(batch.live)) if axis not in order]
        tensor = batch.states.reshape(rows, *(2,) * len(batch.live))
        batch.states = tensor.transpose(0, *(axis + 1 for axis in order)).reshape(rows, -1)
        batch.live = [batch.live[axis] for axis in order]
    return batch.states.reshape(rows, 2 ** len(qubits), -1)


def _squares(states: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Squared norm of every row."""
    flat = np.ascontiguousarray(states).reshape(len(states), -1).view(np.float32)
    return np.vecdot(flat, flat).astype(np.float64)


def _multiply(operator: NDArray[np.complex64], states: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """operator @ states for every row, in slices that a threaded BLAS leaves on one thread (see `exact`)."""
    rows, dimension, rest = states.shape
    if rest <= _SLICE:
        return np.matmul(operator, states)
    product = np.empty_like(states)
    sliced = [array.reshape(rows, dimension, -1, _SLICE).swapaxes(1, 2) for array in (states, product)]
    np.matmul(operator, sliced[0], out=sliced[1])
    return product


def _apply(batch: _Batch, block: Block, jumps: Jumps, rng: np.random.Generator) -> None:
    qubits, stay, leave, odds = block.qubits, jumps.stay, jumps.leave, jumps.odds
    if batch.live[:2] == [*reversed(qubits)]:
        # Exchanging two slowest axes is the one transposition that copies slowly; exchange the operators'.
        qubits, stay, leave, odds = jumps.exchanged(qubits)
    before = _to_front(batch, qubits)
    after = _multiply(stay, before)
    # States are left unnormalised: `batch.norms` holds their squared norms, and only ratios are used.
    norms = _squares(after)
    if norms.min() < _FAINT:
        after *= (1.0 / np.sqrt(norms)).astype(np.float32)[:, None, None]
        batch.norms, norms = batch.norms / norms, np.ones(len(norms))
    leaving = np.zeros_like(batch.multiplicity)
    if len(leave):
        leaving = rng.binomial(batch.multiplicity, np.clip(1.0 - norms / batch.norms, 0.0, 1.0))
    jumped = np.flatnonzero(leaving)
    if len(jumped) == 0:
        batch.states, batch.norms = after.reshape(len(after), -1), norms
        return
    staying = batch.multiplicity - leaving
    keep = slice(None) if staying.all() else np.flatnonzero(staying)
    origin = before[jumped]
    density = np.matmul(origin, origin.conj().transpose(0, 2, 1)).reshape(len(jumped), -1)
    chances = np.maximum((density @ odds.T).real.astype(np.float64), 0.0)
    chances /= chances.sum(axis=1, keepdims=True)
    chosen = rng.multinomial(leaving[jumped], chances)
    row, operator = np.nonzero(chosen)
    branched = np.matmul(leave[operator], origin[row])
    new_norms = _squares(branched)
    # A branch may be faint; float32 keeps its digits only if it is brought back to size.
    branched *= (1.0 / np.sqrt(new_norms)).astype(np.float32)[:, None, None]
    batch.states = np.concatenate([after[keep], branched]).reshape(-1, batch.states.shape[1])
    batch.norms = np.concatenate([norms[keep], np.ones(len(row))])
    batch.multiplicity = np.concatenate([staying[keep], chosen[row, operator]])
    batch.bits = np.concatenate([batch.bits[keep], batch.bits[jumped[row]]])


def _measure(batch: _Batch, qubit: int, column: int | None, rng: np.random.Generator) -> None:
    """Reads `qubit` and drops it. Without a column the reading is forgotten, which traces the qubit out."""
    tensor = _to_front(batch, (qubit,))
    weights = [_squares(tensor[:, value]) for value in (0, 1)]
    odds = np.clip(weights[1] / (weights[0] + weights[1]), 0.0, 1.0)
    reads_one = rng.binomial(batch.multiplicity, odds)
    parts = []
    for value, count in ((0, batch.multiplicity - reads_one), (1, reads_one)):
        chosen = np.flatnonzero(count)
        norms = weights[value][chosen]
        states = tensor[chosen, value] * (1.0 / np.sqrt(norms)).astype(np.float32)[:, None]
        bits = batch.bits[chosen]
        if column is not None:
            bits[:, column] = value
        parts.append((states, np.ones(len(chosen)), count[chosen], bits))
    batch.live.pop(0)
    batch.states, batch.norms, batch.multiplicity, batch.bits = (
        np.concatenate(both) for both in zip(*parts, strict=True)
    )
