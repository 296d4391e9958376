"""The trains that a window may get, and what their pulses themselves cost.

In: a window, a pulse length and the granule, in ticks; a pulse's errors. Out: start ticks, one row per candidate, and
the process infidelity of the pulses of each sequence. Axes are chosen apart from times: which axes cancel the pulses'
own errors best does not depend on when they act.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations

import numpy as np

from qrex.measure.sequences import AXES, even_centers, uhrig_centers

__all__ = ["COUNTS", "axes_cost", "best_axes", "candidate_starts", "nearby_starts", "timing_name"]

COUNTS = (2, 4, 6, 8, 12, 16)
"""How many pulses a window may get; twelve and sixteen are two rounds of six and of eight."""

_GRID = 16
_GRID_OF_ROUNDS = 8
_LEAST_PULSE_COST = 1e-5  # process infidelity: a calibration does not vouch for less
_NODES = ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6))  # Gauss-Hermite, of a Gaussian detuning


def _axes_of(count: int) -> dict[str, tuple[float, ...]]:
    whole = {name: axes for name, axes in AXES.items() if len(axes) == count}
    if not whole:
        whole = {f"2×{name}": 2 * axes for name, axes in AXES.items() if 2 * len(axes) == count}
    return whole


@lru_cache(maxsize=4096)
def axes_cost(axes: tuple[float, ...], angle: float, probability: float, turn: float) -> float:
    """Process infidelity of pulses about `axes` (quarter turns): each turns by π + `angle`, depolarizes with
    `probability`, and gathers a phase of Gaussian width `turn` (rad) from a detuning while it lasts.

    >>> abs(axes_cost((0, 0), 0.05, 0.0, 0.0) - math.sin(0.05) ** 2) < 3e-5
    True
    >>> axes_cost((0, 2), 0.05, 0.0, 0.0) < 3e-5
    True
    """
    kept = 0.0
    for node, weight in _NODES:
        total = np.eye(2, dtype=complex)
        for axis in axes:
            total = _pulse(axis, angle, node * turn) @ total
        kept += weight * abs(np.trace(total)) ** 2 / 4
    return 1 - float(kept) * (1 - max(0.75 * probability, _LEAST_PULSE_COST)) ** len(axes)


def _pulse(axis: float, angle: float, turn: float) -> np.ndarray:
    rotation = np.array([
        (math.pi + angle) * math.cos(axis * math.pi / 2), (math.pi + angle) * math.sin(axis * math.pi / 2), turn
    ])  # fmt: skip
    size = float(np.linalg.norm(rotation))
    x, y, z = rotation / size
    generator = np.array([[z, x - 1j * y], [x + 1j * y, -z]])
    return math.cos(size / 2) * np.eye(2) - 1j * math.sin(size / 2) * generator


@lru_cache(maxsize=4096)
def best_axes(count: int, angle: float, probability: float, turn: float) -> tuple[str, tuple[float, ...], float]:
    """Name, axes and cost of the cheapest sequence of `count` pulses."""
    costs = [(axes_cost(axes, angle, probability, turn), name, axes) for name, axes in _axes_of(count).items()]
    cost, name, axes = min(costs)
    return name, axes, cost


@lru_cache(maxsize=512)
def _centers(count: int) -> np.ndarray:
    """Times to try as shares of the window, shape (candidates, count)."""
    rows = [even_centers(count), uhrig_centers(count)]
    rows += [tuple((k + shift) / count for k in range(count)) for shift in (0.25, 0.75, 1.0, 0.0)]
    if count == 2:
        rows += list(combinations([k / _GRID for k in range(_GRID + 1)], 2))
    else:  # rounds of one pair
        rounds = count // 2
        grid = [k / _GRID_OF_ROUNDS for k in range(_GRID_OF_ROUNDS + 1)]
        rows += [
            tuple((r + share) / rounds for r in range(rounds) for share in pair) for pair in combinations(grid, 2)
        ]
    return np.array(rows)


def timing_name(starts: np.ndarray, window: int, pulse: int, granule: int) -> str:
    """How the times of a train are called: "even", "Uhrig", or "placed" for any others."""
    shares = (np.asarray(starts) + pulse / 2) / window
    for name, centers in (("even", even_centers(len(starts))), ("Uhrig", uhrig_centers(len(starts)))):
        if np.abs(shares - np.array(centers)).max() * window <= granule:
            return name
    return "placed"


def candidate_starts(
    count: int, window: int, pulse: int, granule: int, cuts: tuple[int, ...], marks: tuple[int, ...] = ()
) -> np.ndarray:
    """Start ticks inside a window, shape (candidates, count), int64, possibly none. `cuts` are instants that no pulse
    may straddle; `marks` instants at which something happens next to the qubit: pairs of pulses are tried there."""
    if count * pulse > window:
        return np.empty((0, count), dtype=np.int64)
    centers = _centers(count) * window
    if count == 2 and marks:
        places = sorted({*marks, *(window * k / 8 for k in range(9))})[:24]
        centers = np.concatenate([centers, np.array(list(combinations(places, 2)))])
    return _legal(centers - pulse / 2, window, pulse, granule, cuts)


def nearby_starts(starts: np.ndarray, step: int, window: int, pulse: int, granule: int, cuts: tuple[int, ...]):
    """`starts` with one pulse, or all of them, moved by `step` ticks either way."""
    count = len(starts)
    moves = np.concatenate([np.eye(count), -np.eye(count), np.ones((1, count)), -np.ones((1, count))])
    return _legal(starts + step * moves, window, pulse, granule, cuts)


def _legal(wanted: np.ndarray, window: int, pulse: int, granule: int, cuts: tuple[int, ...]) -> np.ndarray:
    starts = np.clip(np.floor(wanted / granule + 0.5) * granule, 0, (window - pulse) // granule * granule)
    fits = (np.diff(starts, axis=1) >= pulse).all(axis=1)
    for cut in cuts:
        fits &= ((starts + pulse <= cut) | (starts >= cut)).all(axis=1)
    return starts[fits].astype(np.int64)
