"""One- and two-qubit channels as Pauli transfer matrices, and their Kraus operators.

In: unitaries, relaxation times, error probabilities. Out: real matrices R with R[i, j] = Tr(P_i E(P_j)) / d
over the Paulis I, X, Y, Z. Two-qubit matrices are 16 × 16 with index 4·a + b, where a belongs to the first
qubit of the pair. Composition is the matrix product, so noise of any kind fuses into the gates around it.
Reference: D. Greenbaum, arXiv:1509.02921, sections 2 and 3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "IDENTITY_1Q",
    "RESET",
    "average_relaxation_fidelity",
    "depolarizing",
    "kraus_operators",
    "on_first",
    "on_second",
    "relaxation",
    "rotation_z",
    "tensor",
    "unitary_channel",
]

Matrix = NDArray[np.float64]

_PAULIS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=np.complex128
)
# Columns are row-major vec(P)/sqrt(d): the unitary change between matrix units and normalised Paulis.
_BASIS = {
    2: _PAULIS.reshape(4, 4).T / math.sqrt(2),
    4: np.array([np.kron(a, b).reshape(16) for a in _PAULIS for b in _PAULIS]).T / 2,
}
IDENTITY_1Q: Matrix = np.eye(4)
RESET: Matrix = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
_NEGLIGIBLE = 1e-12  # Kraus weights below this are rounding of the eigenvalue solver


def unitary_channel(unitary: NDArray[np.complex128]) -> Matrix:
    """Transfer matrix of ρ → UρU†; for two qubits the first one is most significant in `unitary`."""
    basis = _BASIS[unitary.shape[0]]
    return np.ascontiguousarray((basis.conj().T @ np.kron(unitary, unitary.conj()) @ basis).real)


def rotation_z(angle: float) -> Matrix:
    """Transfer matrix of RZ(angle), in closed form since circuits hold so many of them."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0, 0, 0], [0, cosine, -sine, 0], [0, sine, cosine, 0], [0, 0, 0, 1]])


def relaxation(seconds: float, t1: float, t2: float) -> Matrix:
    """Transfer matrix of `seconds` of relaxation to |0⟩ with T1 and T2 (T2 ≤ 2·T1) at zero temperature."""
    keep, coherence = math.exp(-seconds / t1), math.exp(-seconds / t2)
    return np.array(
        [[1.0, 0, 0, 0], [0, coherence, 0, 0], [0, 0, coherence, 0], [1 - keep, 0, 0, keep]]
    )


def depolarizing(probability: float, num_qubits: int) -> Matrix:
    """Transfer matrix of ρ → (1 − p)ρ + p·I/d."""
    diagonal = np.full(4**num_qubits, 1.0 - probability)
    diagonal[0] = 1.0
    return np.diag(diagonal)


def average_relaxation_fidelity(seconds: float, times: list[tuple[float, float]]) -> float:
    """Average gate fidelity of independent relaxation of qubits with (T1, T2) over `seconds`."""
    process = 1.0
    for t1, t2 in times:
        process *= (1 + math.exp(-seconds / t1) + 2 * math.exp(-seconds / t2)) / 4
    dimension = 2 ** len(times)
    return (dimension * process + 1) / (dimension + 1)


def tensor(first: Matrix, second: Matrix) -> Matrix:
    """Transfer matrix of two one-qubit channels side by side."""
    return (first[:, None, :, None] * second[None, :, None, :]).reshape(16, 16)


def on_first(channel: Matrix, matrix: Matrix) -> Matrix:
    """`channel` on the first qubit, after the two-qubit transfer matrix `matrix`."""
    return (channel @ matrix.reshape(4, 64)).reshape(16, 16)


def on_second(channel: Matrix, matrix: Matrix) -> Matrix:
    """`channel` on the second qubit, after the two-qubit transfer matrix `matrix`."""
    return np.matmul(channel, matrix.reshape(4, 4, 16)).reshape(16, 16)


def kraus_operators(matrix: Matrix) -> NDArray[np.complex128]:
    """Canonical Kraus operators, shape (k, d, d), heaviest first (eigenvectors of the Choi matrix).

    Canonical means orthogonal: the first operator then carries the largest weight any Kraus form can give,
    so a trajectory leaves it as seldom as possible.
    """
    size = matrix.shape[0]
    dimension = math.isqrt(size)
    basis = _BASIS[dimension]
    superoperator = basis @ matrix @ basis.conj().T
    choi = superoperator.reshape((dimension,) * 4).transpose(0, 2, 1, 3).reshape(size, size)
    weights, vectors = np.linalg.eigh(choi)
    heavy = weights[::-1] > _NEGLIGIBLE * dimension
    scaled = vectors.T[::-1][heavy] * np.sqrt(weights[::-1][heavy])[:, None]
    return scaled.reshape(-1, dimension, dimension)
