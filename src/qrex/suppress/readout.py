"""Readout mitigation: the distribution before independent readout errors, from measured ones.

In: counts and the confusion matrices of the qubits behind their bits. Out: a `Mitigated` distribution, always labelled
as such: what is mitigated is no plain result (quantum volume, for one, must not use it). The confusion of all bits, the
product of those of each, is inverted within the outcomes that were seen, its columns normalized there (Nation et al.,
arXiv:2108.12518, eq. 4), iteratively, so that no matrix over all 2**n outcomes is made. Cost: outcomes² a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from qrex.errors import InfeasibleError, InputError
from qrex.measure.statistics import bit_table

__all__ = ["LABEL", "Mitigated", "mitigate_readout"]

LABEL = "readout-mitigated"
_MOST_OUTCOMES = 8192
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Mitigated:
    """`quasi` adds up to 1, its entries may be negative; `probabilities` is the distribution nearest to it.

    `overhead` bounds the factor by which the variance of an expectation value grows: shots are worth so much less.
    """

    quasi: Mapping[str, float]
    probabilities: Mapping[str, float]
    overhead: float
    shots: int
    label: str = LABEL


def mitigate_readout(counts: Mapping[str, int], confusion: Sequence[np.ndarray]) -> Mitigated:
    """`confusion[i]`, shape (2, 2) with entry [read, prepared], belongs to classical bit i, the i-th from the right.

    Raises InputError for matrices that are none or cannot be inverted, InfeasibleError for too many outcomes.
    """
    matrices = np.array(confusion, dtype=float)
    if matrices.shape != (len(confusion), 2, 2) or not len(confusion):
        raise InputError(f"confusion matrices of shape {matrices.shape}; give one of shape (2, 2) for each bit")
    if (matrices < 0).any() or not np.allclose(matrices.sum(axis=1), 1):
        raise InputError("a confusion matrix has entries [read, prepared], not negative, its columns adding up to 1")
    determinants = np.linalg.det(matrices)
    if (np.abs(determinants) < 1e-3).any():
        bad = np.flatnonzero(np.abs(determinants) < 1e-3).tolist()
        raise InputError(f"bits {bad} are read at random; leave them out, their readout cannot be undone")
    bits, weights = bit_table(counts, len(confusion))
    if len(bits) > _MOST_OUTCOMES:
        raise InfeasibleError(
            f"{len(bits):,} different outcomes; readout is undone for up to {_MOST_OUTCOMES:,}: mitigate marginals"
        )
    seen = _between(bits, matrices)
    seen /= seen.sum(axis=0)
    shares = weights / weights.sum()
    operator = LinearOperator(seen.shape, matvec=lambda v: seen @ v, dtype=float)
    diagonal = LinearOperator(seen.shape, matvec=lambda v: v / np.diag(seen), dtype=float)
    solved, failed = gmres(operator, shares, x0=shares, M=diagonal, rtol=_TOLERANCE, maxiter=200)
    if failed:
        raise InfeasibleError("undoing the readout did not converge: its errors are too large for these outcomes")
    keys = [key.replace(" ", "") for key in counts]
    nearest = nearest_distribution(solved)
    # The one-norm of the inverse, of each bit on its own: what a sum over outcomes can grow by.
    norms = np.abs(np.linalg.inv(matrices)).sum(axis=1).max(axis=1)
    return Mitigated(
        dict(zip(keys, solved.tolist(), strict=True)), dict(zip(keys, nearest.tolist(), strict=True)),
        float(math.prod(norms**2)), int(weights.sum()),
    )  # fmt: skip


def _between(bits: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Probability of reading outcome i where j was prepared, shape (outcomes, outcomes)."""
    total = np.ones((len(bits), len(bits)))
    for place, matrix in enumerate(matrices):
        column = bits[:, place].astype(int)
        total *= matrix[column[:, None], column[None, :]]
    return total


def nearest_distribution(quasi: np.ndarray) -> np.ndarray:
    """The probabilities nearest to `quasi` in the Euclidean norm (Smolin et al., arXiv:1106.5458).

    >>> nearest_distribution(np.array([0.7, 0.5, -0.2])).round(6).tolist()
    [0.6, 0.4, 0.0]
    """
    falling = np.sort(quasi)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(quasi) + 1)
    kept = int(np.flatnonzero(falling > excess)[-1])
    return np.maximum(quasi - excess[kept], 0.0)
