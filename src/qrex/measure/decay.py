"""Fits of y(m) = A·α^m + B, the curve of every randomized benchmarking protocol.

In: successes and shots per circuit and its depth m. Out: α, A and B with standard errors and bootstrap draws.
Weighted least squares; the weights are binomial, and where the points scatter more than their shots explain,
all errors grow by that factor. Circuits that answer different bit strings see a different readout: linear
`covariates` take that up, with a weak prior. Cost: a few small fits, and 12 Gauss-Newton steps over all draws
at once. References: Magesan, Gambetta, Emerson, arXiv:1109.6887; Harper et al., arXiv:1901.00535.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from qrex.errors import InputError

__all__ = ["DecayFit", "fit_decay"]

_STEPS = 12
_SMALLEST_ALPHA = 1e-6
_READOUT_ASYMMETRY = 0.05
"""Prior standard deviation of a covariate's coefficient: half the difference of p(1|0) and p(0|1)."""


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
class _Curve:
    """The model over fixed depths: parameters (..., α, A[, B], coefficients), values (..., points)."""

    depths: np.ndarray
    offset: float | None
    covariates: np.ndarray  # (points, coefficients)

    @property
    def linear(self) -> int:
        """Where the covariates' coefficients begin."""
        return 2 if self.offset is not None else 3

    def values(self, theta: np.ndarray) -> np.ndarray:
        base = theta[..., 2:3] if self.offset is None else self.offset
        decay = theta[..., 1:2] * theta[..., 0:1] ** self.depths + base
        return decay + theta[..., self.linear :] @ self.covariates.T

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        alpha, amplitude = theta[..., 0:1], theta[..., 1:2]
        slope = amplitude * self.depths * alpha ** np.maximum(self.depths - 1, 0)
        columns = [slope, alpha**self.depths] + ([np.ones_like(slope)] if self.offset is None else [])
        stacked = np.stack(columns, axis=-1)
        fixed = np.broadcast_to(self.covariates, (*stacked.shape[:-1], self.covariates.shape[1]))
        return np.concatenate([stacked, fixed], axis=-1)

    def prior(self, parameters: int) -> np.ndarray:
        """Diagonal of the prior's precision."""
        return np.r_[np.zeros(self.linear), np.full(parameters - self.linear, _READOUT_ASYMMETRY**-2)]


def _refit(curve: _Curve, shares: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """α of each row of `shares`, by damped Gauss-Newton from one common start."""
    theta = np.repeat(start[None, :], len(shares), axis=0)
    prior = curve.prior(theta.shape[1])
    for _ in range(_STEPS):
        jacobian = curve.jacobian(theta) * weights[:, None]
        residual = (shares - curve.values(theta)) * weights
        normal = np.swapaxes(jacobian, 1, 2) @ jacobian
        # A ridge far below the data's own curvature keeps flat directions (α near 0) from diverging.
        ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(theta.shape[1])
        slope = np.swapaxes(jacobian, 1, 2) @ residual[..., None] - (prior * theta)[..., None]
        theta = theta + np.clip(np.linalg.solve(normal + np.diag(prior) + ridge, slope)[..., 0], -0.25, 0.25)
        theta[:, 0] = np.clip(theta[:, 0], _SMALLEST_ALPHA, 1.0)
        theta[:, 1] = np.clip(theta[:, 1], 0.0, 1.5)
    return theta[:, 0]


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
    curve = _Curve(m, offset, np.zeros((len(m), 0)) if covariates is None else np.asarray(covariates, float))
    if len(set(m.tolist())) < curve.linear:
        raise InputError(
            f"a decay with {curve.linear} free parameters was asked from {len(set(m.tolist()))} depths; "
            f"give at least {curve.linear} different depths"
        )
    share = k / n
    # Variance from a share pulled slightly inward, so that 0 or n successes do not get infinite weight.
    inward = (k + 1) / (n + 2)
    weight = 1 / np.sqrt(inward * (1 - inward) / n)
    nuisance = curve.covariates.shape[1]

    def residual(theta: np.ndarray) -> np.ndarray:
        return np.r_[(curve.values(theta) - share) * weight, theta[curve.linear :] / _READOUT_ASYMMETRY]

    free = [0.0] if offset is None else []
    lower = [_SMALLEST_ALPHA, 0.0, *free, *[-1.0] * nuisance]
    upper = [1.0, 1.5, *[1.0 for _ in free], *[1.0] * nuisance]
    best = None
    for guess in (0.6, 0.95, 0.995, 0.9995):
        floor = float(share.min()) if offset is None else offset
        height = max(1e-3, float(share.max()) - floor)
        start = [guess, height, *[floor for _ in free], *[0.0] * nuisance]
        found = least_squares(residual, np.clip(start, lower, upper), bounds=(lower, upper), x_scale="jac")
        if best is None or found.cost < best.cost:
            best = found
    theta = best.x
    freedom = len(m) - curve.linear
    freedom = freedom - nuisance if freedom > nuisance else freedom
    dispersion = max(1.0, 2 * best.cost / freedom) if freedom > 0 else 1.0

    jacobian = curve.jacobian(theta) * weight[:, None]
    precision = jacobian.T @ jacobian + np.diag(curve.prior(len(theta)))
    fitted = np.clip(curve.values(theta), 0.5 / n, 1 - 0.5 / n)
    rng = np.random.default_rng([seed, 41])
    noise = rng.normal(size=(resamples, len(m))) * np.sqrt(dispersion * fitted * (1 - fitted) / n)
    return DecayFit(
        alpha=float(theta[0]),
        amplitude=float(theta[1]),
        offset=float(theta[2]) if offset is None else float(offset),
        covariance=np.linalg.pinv(precision) * dispersion,
        dispersion=float(dispersion),
        draws=_refit(curve, fitted + noise, weight, theta),
    )
