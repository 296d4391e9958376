"""Fits of y(m) = A·α^m + B, the curve of every randomized benchmarking protocol.

In: successes and shots per circuit and its depth m. Out: α, A and B with standard errors and bootstrap draws.
Weighted least squares with binomial weights; where the points scatter more than their shots explain, all
errors grow by that factor. Circuits that answer different bit strings see a different readout: linear
`covariates` take that up. Everything but α is linear and solved in closed form, so the least cost is sought
over a grid of α, for the data and all bootstrap draws at once: about 10 ms, and no local minima. References:
Magesan, Gambetta, Emerson, arXiv:1109.6887; Harper et al., arXiv:1901.00535; Golub and Pereyra, SIAM J.
Numer. Anal. 10, 413 (1973) (variable projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qrex.errors import InputError

__all__ = ["DecayFit", "fit_decay"]

_READOUT_ASYMMETRY = 0.05
"""Prior standard deviation of a covariate's coefficient: half the difference of p(1|0) and p(0|1)."""
_AMPLITUDE_SPREAD = 0.3
"""Prior standard deviation of A around 1 - B; it only matters where α is too small for A to be seen."""
_LOSS_EXPONENT = np.linspace(-6.5, 0.0, 521)  # log10(1 - α); α = 1 is tried as well


@dataclass(frozen=True, slots=True)
class DecayFit:
    """Parameters of a decay. `draws` holds bootstrap values of α, shape (resamples,).

    `dispersion` is the variance of the points over what shot noise explains, at least 1. `covariance` has
    rows α, A, then B where it was fitted, then the covariates.
    """

    alpha: float
    amplitude: float
    offset: float
    covariance: np.ndarray = field(repr=False, compare=False)
    dispersion: float
    draws: np.ndarray = field(repr=False, compare=False)

    @property
    def alpha_error(self) -> float:
        """One standard error of α."""
        return float(np.sqrt(self.covariance[0, 0]))


@dataclass(frozen=True)
class _Problem:
    """Fixed depths, weights and priors; linear parameters are A[, B], then one per covariate."""

    depths: np.ndarray
    weights: np.ndarray
    offset: float | None
    covariates: np.ndarray  # (points, k)

    def columns(self, alpha: np.ndarray) -> np.ndarray:
        """Unweighted design, shape (alphas, points, linear parameters)."""
        decay = alpha[:, None] ** self.depths
        parts = [decay[..., None]] + ([np.ones((*decay.shape, 1))] if self.offset is None else [])
        fixed = np.broadcast_to(self.covariates, (len(alpha), *self.covariates.shape))
        return np.concatenate([*parts, fixed], axis=-1)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision (square root) and mean of each linear parameter."""
        base = 0.5 if self.offset is None else self.offset
        spread = [_AMPLITUDE_SPREAD, *([1.0] if self.offset is None else [])]
        mean = [1 - base, *([base] if self.offset is None else [])]
        extra = self.covariates.shape[1]
        return 1 / np.array(spread + [_READOUT_ASYMMETRY] * extra), np.array(mean + [0.0] * extra)

    def design(self, alpha: np.ndarray) -> np.ndarray:
        """Weighted design with the prior's rows below."""
        rows = self.columns(alpha) * self.weights[:, None]
        prior = np.broadcast_to(np.diag(self.prior()[0]), (len(alpha), rows.shape[-1], rows.shape[-1]))
        return np.concatenate([rows, prior], axis=1)

    def data(self, shares: np.ndarray) -> np.ndarray:
        """Weighted data with the prior's means after them, shape (..., points + linear parameters)."""
        precision, mean = self.prior()
        rows = (shares - (self.offset or 0.0)) * self.weights
        return np.concatenate(
            [rows, np.broadcast_to(precision * mean, (*rows.shape[:-1], len(mean)))], axis=-1
        )

    def best_alpha(self, shares: np.ndarray) -> np.ndarray:
        """α of least cost for each row of `shares`."""
        alphas = np.append(1 - 10 ** _LOSS_EXPONENT[::-1], 1.0)  # rising
        basis, _ = np.linalg.qr(self.design(alphas))
        explained = ((np.swapaxes(basis, 1, 2) @ self.data(shares).T) ** 2).sum(axis=1)  # (alphas, rows)
        best = np.argmax(explained, axis=0)
        inner = np.clip(best, 1, len(alphas) - 3)
        left, middle, right = (explained[inner + step, np.arange(len(best))] for step in (-1, 0, 1))
        bend = left - 2 * middle + right
        shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)
        step = _LOSS_EXPONENT[1] - _LOSS_EXPONENT[0]
        refined = 1 - 10 ** (_LOSS_EXPONENT[::-1][inner] - np.clip(shift, -1, 1) * step)
        return np.where(best == inner, refined, alphas[best])


def fit_decay(
    depths: Sequence[int],
    successes: Sequence[int],
    shots: Sequence[int],
    *,
    offset: float | None,
    seed: int,
    covariates: np.ndarray | None = None,
    resamples: int = 400,
) -> DecayFit:
    """Fit A·α^m + B to one point per circuit.

    `offset` fixes B (1/2**n where the final Pauli is randomized), None fits it, which needs three depths.
    `covariates`, shape (points, k), are nuisance columns. α is held to [0, 1]. Raises InputError where there
    are fewer distinct depths than parameters.

    >>> fit = fit_decay([0, 10, 20], [10000, 7993, 6797], [10000] * 3, offset=0.5, seed=1)
    >>> round(fit.alpha, 2), round(fit.amplitude, 2)
    (0.95, 0.5)
    """
    m, k, n = (np.asarray(x, dtype=float) for x in (depths, successes, shots))
    extra = np.zeros((len(m), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    needed = 2 if offset is not None else 3
    if len(set(m.tolist())) < needed:
        raise InputError(
            f"a decay with {needed} free parameters was asked from {len(set(m.tolist()))} depths; "
            f"give at least {needed} different depths"
        )
    share = k / n
    # Variance from the share of all circuits of the same depth: where they scatter, a circuit's own would weigh those
    # more that happened to do well. Pulled slightly inward, so that 0 or n successes do not get infinite weight.
    together = m[:, None] == m[None, :]
    inward = (together @ k + 1) / (together @ n + 2)
    problem = _Problem(m, 1 / np.sqrt(inward * (1 - inward) / n), offset, extra)
    alpha = problem.best_alpha(share[None, :])
    design, data = problem.design(alpha)[0], problem.data(share)
    linear = np.linalg.lstsq(design, data, rcond=None)[0]
    residual = data - design @ linear
    freedom = len(m) - needed
    freedom -= extra.shape[1] if freedom > extra.shape[1] else 0
    dispersion = max(1.0, float(residual @ residual) / freedom) if freedom > 0 else 1.0

    slope = linear[0] * m * alpha[0] ** np.maximum(m - 1, 0) * problem.weights
    jacobian = np.column_stack([np.concatenate([slope, np.zeros(len(linear))]), design])
    fitted = problem.columns(alpha)[0] @ linear + (offset or 0.0)
    chance = np.clip(fitted, 0.5 / n, 1 - 0.5 / n)
    rng = np.random.default_rng([seed, 41])
    noise = rng.normal(size=(resamples, len(m))) * np.sqrt(dispersion * chance * (1 - chance) / n)
    return DecayFit(
        alpha=float(alpha[0]),
        amplitude=float(linear[0]),
        offset=float(linear[1]) if offset is None else float(offset),
        covariance=np.linalg.pinv(jacobian.T @ jacobian) * dispersion,
        dispersion=dispersion,
        draws=problem.best_alpha(fitted + noise),
    )
