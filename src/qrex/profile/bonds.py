"""Upper bounds on the bond dimensions of a circuit's state, and what a matrix product state would cost.

In: effective entangling gates as they come, each with the range of cuts it spans and its operator-Schmidt
log-rank. Out: `BondBounds`. Time is split into at most `SLICES` slices and every slice is charged with the
bounds at its end, so the cost is O(gates + slices × qubits).

A bound holds for every moment up to the end of its slice: ranks of operators multiply, a cut never exceeds
the dimension of its smaller side, and neighboring cuts differ by at most the one qubit between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["SLICES", "BondBounds", "bond_bounds"]

SLICES = 64
_LOG2_CEILING = 300.0  # of a bond; keeps 2**(3 * bound) inside a float


@dataclass(frozen=True, slots=True)
class BondBounds:
    """`max_log2` over cuts and time; `updates` two-site updates, with `log2_work` = log2 Σ bond³ over them;
    `log2_elements` = log2 of the largest total tensor size."""

    max_log2: float
    updates: int
    log2_work: float
    log2_elements: float


def bond_bounds(num_qubits: int, first: list[int], last: list[int], log_rank: list[float]) -> BondBounds:
    """Bounds for gates i that span cuts first[i] … last[i]−1 (cut c lies between qubits c and c+1) and
    multiply the rank of each by at most 2**log_rank[i]; a rank of 0 still costs its updates."""
    cuts = num_qubits - 1
    if cuts < 1 or not first:
        return BondBounds(0.0, 0, 0.0, float(np.log2(2 * max(num_qubits, 1))))
    low, high = np.asarray(first), np.asarray(last)
    rank = np.asarray(log_rank)
    side = np.minimum(np.arange(1, num_qubits), np.arange(num_qubits - 1, 0, -1)).astype(float)
    side = np.minimum(side, _LOG2_CEILING)
    raw = np.zeros(cuts)
    edges = np.linspace(0, len(low), min(SLICES, len(low)) + 1).astype(int)
    work, elements, peak = 0.0, 0.0, 0.0
    for start, stop in pairwise(edges):
        lo, hi = low[start:stop], high[start:stop]
        raw += _spread(cuts, lo, hi, rank[start:stop])
        bound = _smooth(np.minimum(raw, side))
        touched = _spread(cuts, lo, hi, np.ones(stop - start))
        work += float(np.sum(touched * np.exp2(3 * bound)))
        left, right = np.concatenate(([0.0], bound)), np.concatenate((bound, [0.0]))
        elements = max(elements, float(np.sum(np.exp2(left + right + 1))))
        peak = max(peak, float(bound.max()))
    return BondBounds(peak, int(np.sum(high - low)), float(np.log2(max(work, 1.0))), float(np.log2(elements)))


def _spread(cuts: int, low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum of `weight` over the gates that span each cut."""
    steps = np.bincount(low, weights=weight, minlength=cuts + 1)[: cuts + 1]
    steps = steps - np.bincount(high, weights=weight, minlength=cuts + 1)[: cuts + 1]
    return np.cumsum(steps)[:cuts]


def _smooth(bound: np.ndarray) -> np.ndarray:
    """The largest function under `bound` that changes by at most 1 between neighbors."""
    index = np.arange(len(bound))
    forward = np.minimum.accumulate(bound - index) + index
    backward = (np.minimum.accumulate((bound + index)[::-1]))[::-1] - index
    return np.minimum(forward, backward)
