"""Weighted fits of curves with several parameters, many data sets at once.

In: a model of vectorized parameters, abscissas, values with their errors, starting points. Out: the parameters of least
cost, and bootstrap draws of them. Levenberg-Marquardt on arrays: every starting point and every bootstrap sample is a
row, so that 300 fits of 30 points cost about as much as one by a general routine, 20 ms. Where the points scatter more
than their shots explain, the draws widen by that factor. References: Marquardt, J. SIAM 11, 431 (1963); Efron and
Tibshirani, An Introduction to the Bootstrap (1993).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

__all__ = ["CurveFit", "contrast", "fit_curve"]

Model = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Parameters (rows, k) and abscissas (points,) to values (rows, points)."""

_STEP = 1e-6
_ROUNDS = 60
_STARTS_FOLLOWED = 12


@dataclass(frozen=True, slots=True)
class CurveFit:
    """`parameters` of shape (k,), `draws` of shape (resamples, k); `dispersion` is the variance of the points over what
    shot noise explains, at least 1."""

    parameters: np.ndarray
    draws: np.ndarray = field(repr=False, compare=False)
    dispersion: float


def contrast(ones_high: int, shots_high: int, ones_low: int, shots_low: int) -> tuple[float, float]:
    """Difference of two shares of ones and its standard error; readout that favors one answer drops out.

    >>> value, error = contrast(90, 100, 10, 100)
    >>> round(value, 2), round(error, 3)
    (0.8, 0.044)
    """
    value, variance = ones_high / shots_high - ones_low / shots_low, 0.0
    for ones, shots in ((ones_high, shots_high), (ones_low, shots_low)):
        # A share pulled slightly inward, so that a point without a miss does not get infinite weight.
        share = (ones + 1) / (shots + 2)
        variance += share * (1 - share) / shots
    return value, variance**0.5


def fit_curve(
    model: Model,
    x: np.ndarray,
    y: np.ndarray,
    errors: np.ndarray,
    starts: np.ndarray,
    *,
    seed: int,
    prior: tuple[np.ndarray, np.ndarray] | None = None,
    resamples: int = 300,
) -> CurveFit:
    """Fit `model` from the dozen rows of `starts` that lie best, keep the best fit, and bootstrap around it.

    `prior` gives a mean and a standard deviation (infinite: none) for each parameter.
    """
    k = starts.shape[1]
    mean, spread = (np.zeros(k), np.full(k, np.inf)) if prior is None else prior
    if len(starts) > _STARTS_FOLLOWED:
        rough = (((model(starts, x) - y) / errors) ** 2).sum(axis=1)
        starts = starts[np.argsort(rough, kind="stable")[:_STARTS_FOLLOWED]]
    found, cost = _minimize(model, x, np.broadcast_to(y, (len(starts), len(y))), errors, starts, mean, spread)
    best = found[int(np.argmin(cost))]
    fitted = model(best[None], x)[0]
    free = len(x) - int(np.isinf(spread).sum())
    dispersion = max(1.0, float((((y - fitted) / errors) ** 2).sum()) / free) if free > 0 else 1.0
    rng = np.random.default_rng([seed, 43])
    noise = rng.normal(size=(resamples, len(x))) * errors * dispersion**0.5
    moved = mean + rng.normal(size=(resamples, k)) * np.where(np.isinf(spread), 0.0, spread)
    draws, _ = _minimize(model, x, fitted + noise, errors, np.tile(best, (resamples, 1)), moved, spread)
    return CurveFit(best, draws, dispersion)


def _minimize(
    model: Model, x: np.ndarray, y: np.ndarray, errors: np.ndarray, start: np.ndarray, mean: np.ndarray,
    spread: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Parameters of least cost, row by row, and that cost."""

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return np.concatenate([(model(parameters, x) - y) / errors, (parameters - mean) / spread], axis=1)

    at = np.array(start, dtype=float)
    left = residuals(at)
    cost = (left**2).sum(axis=1)
    damping = np.full(len(at), 1e-2)
    for _ in range(_ROUNDS):
        slope = np.empty((*left.shape, at.shape[1]))
        for column in range(at.shape[1]):
            step = _STEP * np.maximum(1.0, np.abs(at[:, column]))
            moved = at.copy()
            moved[:, column] += step
            slope[..., column] = (residuals(moved) - left) / step[:, None]
        normal = np.einsum("rpi,rpj->rij", slope, slope)
        gradient = np.einsum("rpi,rp->ri", slope, left)
        diagonal = np.einsum("rii->ri", normal)
        lifted = normal + (damping[:, None] * diagonal + 1e-12)[..., None] * np.eye(at.shape[1])
        trial = at - np.linalg.solve(lifted, gradient[..., None])[..., 0]
        with np.errstate(over="ignore", invalid="ignore"):
            tried = residuals(trial)
            new = np.nan_to_num((tried**2).sum(axis=1), nan=np.inf)
        better = new < cost
        shrunk = float(np.max(np.where(better, (cost - new) / np.maximum(cost, 1e-12), 0.0), initial=0.0))
        at[better], left[better], cost[better] = trial[better], tried[better], new[better]
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-9, 1e9)
        if (not better.any() and damping.min() > 1e3) or (better.any() and shrunk < 1e-10):
            break
    return at, cost
