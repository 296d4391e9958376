"""Exact noisy outcome distribution of a component by sweeping its Pauli vector.

In: `Block`s, readout confusion. Out: the joint probability of every outcome, readout errors included.
A live qubit has dimension 4 (I, X, Y, Z), a qubit not yet entered 1, and a qubit that has left 2: its
readout. So the cost is Σ 4^live · 2^left over the blocks instead of 4^n, and a wide circuit of narrow live
width (GHZ, Bernstein–Vazirani, parallel pairs) is exact for next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qrex.twin.blocks import Block

__all__ = ["exact_cost", "outcome_probabilities"]

# Rows turn the I and Z components of a qubit into P(0) and P(1).
_POPULATIONS = np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, -0.5]])
_TRACE = np.array([[1.0, 0, 0, 0]])
_SLICE = 512  # 16 × 16 × 512 multiplications; OpenBLAS goes to threads at twice that
_START = np.array([1.0, 0, 0, 1.0])  # |0⟩⟨0| = (I + Z)/2; the halves are taken when a qubit leaves


def exact_cost(blocks: Sequence[Block], measured: set[int]) -> tuple[float, int]:
    """(multiplications, largest number of float64 held at once) of `outcome_probabilities`."""
    size, work, peak = 1.0, 0.0, 1.0
    for block in blocks:
        held = 4 ** (len(block.qubits) - len(block.enters))
        after = 4 ** (len(block.qubits) - len(block.leaves)) * 2 ** len(measured.intersection(block.leaves))
        work += size * after
        peak = max(peak, 2 * size + size / held * after)
        size = size / held * after
    return work, int(min(peak, 2**62))


def outcome_probabilities(
    blocks: Sequence[Block], confusion: Mapping[int, NDArray[np.float64]]
) -> tuple[list[int], NDArray[np.float64]]:
    """(qubits, probabilities): axis k of the array, of length 2, is the readout of qubits[k].

    `confusion` holds a matrix [read, prepared] for every measured qubit; the others are traced out.
    """
    axes: list[int] = []
    state = np.ones(())
    for block in blocks:
        held = [q for q in block.qubits if q not in block.enters]
        kept = [q for q in block.qubits if q not in block.leaves or q in confusion]
        matrix = _reduced(block, confusion)
        positions = [axes.index(q) for q in held]
        others = [axis for axis in range(state.ndim) if axis not in positions]
        columns = state.transpose(positions + others).reshape(4 ** len(held), -1)
        shape = [4 if q not in block.leaves else 2 for q in kept] + [state.shape[axis] for axis in others]
        state = _multiply(matrix.reshape(-1, 4 ** len(held)), columns).reshape(shape)
        axes = kept + [axes[axis] for axis in others]
    return axes, state


def _multiply(matrix: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """matrix @ columns in slices small enough that a threaded BLAS stays on one thread.

    Several circuits are simulated at once; a BLAS that spins up a thread per core for each small product
    costs far more (fifty times, measured on two busy cores) than it saves.
    """
    product = np.empty((matrix.shape[0], columns.shape[1]))
    for start in range(0, columns.shape[1], _SLICE):
        part = slice(start, start + _SLICE)
        np.matmul(matrix, columns[:, part], out=product[:, part])
    return product


def _reduced(block: Block, confusion: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The block's matrix with |0⟩ put in for qubits that enter and the readout for those that leave."""
    count = len(block.qubits)
    tensor = block.matrix.reshape((4,) * (2 * count))
    for axis in reversed(range(count)):
        if block.qubits[axis] in block.enters:
            tensor = np.tensordot(tensor, _START, axes=(count + axis, 0))
    for axis, qubit in enumerate(block.qubits):
        if qubit in block.leaves:
            last = confusion[qubit] @ _POPULATIONS if qubit in confusion else _TRACE
            tensor = np.moveaxis(np.tensordot(last, tensor, axes=(1, axis)), 0, axis)
    return tensor
