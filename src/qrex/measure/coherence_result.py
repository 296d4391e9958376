"""What a coherence protocol found, and what follows from two of them: closure and window ratio.

In: expectation values per qubit and setting. Out: Q with intervals per window; the share η of the gap to the
T1/T2 ceiling that a change closed; the window at which the median Q falls to a level, and how it grew.
Intervals are parametric bootstraps over shots, and over qubits for what is said of the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.statistics import measurement_from_draws, median_measurement

__all__ = [
    "CoherenceResult",
    "WindowCoherence",
    "closure",
    "level_crossing",
    "relaxation_ceiling",
    "window_coherence",
    "window_ratio",
]

_DRAWS = 400
_LEAST_GAP = 0.05
"""Gap between Q and its ceiling below which a closure would divide noise by noise."""
METHOD = "idle-window process tomography, six settings, normalized to a window of 0"


def relaxation_ceiling(t1_seconds: float, t2_seconds: float, window_seconds: float) -> float:
    """Q that T1 and T2 alone allow: (2·exp(-τ/T2) + exp(-τ/T1))/3, T2 no longer than 2·T1.

    >>> round(relaxation_ceiling(100e-6, 100e-6, 10e-6), 4)
    0.9048
    """
    t2 = min(t2_seconds, 2 * t1_seconds)
    return float((2 * np.exp(-window_seconds / t2) + np.exp(-window_seconds / t1_seconds)) / 3)


@dataclass(frozen=True, slots=True)
class WindowCoherence:
    """Q of one window: per qubit, and its median and 10th percentile over the qubits.

    `errors` are standard errors of the per-qubit values. `virtual_z` is the median Q after the best fixed
    virtual Z of each qubit, None where it was not measured; its detail has the angles in radians. `ceiling`
    is Q_c per qubit (only where the device gives T1 and T2), `ceiling_median` its median over those.
    """

    window_seconds: float
    sequence: str
    qubits: Mapping[int, Measurement]
    errors: Mapping[int, float]
    median: Measurement
    tenth_percentile: Measurement
    virtual_z: Measurement | None
    ceiling: Mapping[int, float]
    ceiling_median: float | None


@dataclass(frozen=True, slots=True)
class CoherenceResult:
    """Q over one or more windows, in the order asked for."""

    qubits: tuple[int, ...]
    sequence: str
    windows: tuple[WindowCoherence, ...]

    def curve(self) -> dict[str, list[float | None]]:
        """Median Q with its interval and ceiling against the window, JSON-able."""
        ordered = sorted(self.windows, key=lambda w: w.window_seconds)
        return {
            "window_seconds": [w.window_seconds for w in ordered],
            "median": [w.median.value for w in ordered],
            "low": [w.median.low for w in ordered],
            "high": [w.median.high for w in ordered],
            "ceiling": [w.ceiling_median for w in ordered],
        }


def _diagonal(means: np.ndarray) -> np.ndarray:
    """(…, 6) expectations of ±x, ±y, ±z to (…, 3) diagonal elements."""
    return (means[..., 0:6:2] - means[..., 1:6:2]) / 2


def _values(means: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Q, Q with the best virtual Z, and its angle, from (…, 6 + 6 or 10) expectations."""
    reference = _diagonal(means[..., :6])
    reference = np.where(np.abs(reference) < 0.02, 0.02, reference)  # a dead readout: keep the ratio finite
    ratio = _diagonal(means[..., 6:12]) / reference
    if means.shape[-1] == 12:
        return ratio.mean(axis=-1), None, None
    y_of_x, x_of_y = ((means[..., i] - means[..., i + 1]) / 2 for i in (12, 14))
    turned = (y_of_x / reference[..., 1]) - (x_of_y / reference[..., 0])
    straight = ratio[..., 0] + ratio[..., 1]
    return ratio.mean(axis=-1), (np.hypot(straight, turned) + ratio[..., 2]) / 3, np.arctan2(turned, straight)


def window_coherence(
    window_seconds: float,
    qubits: Sequence[int],
    means: np.ndarray,
    shots: np.ndarray,
    *,
    relaxation: Mapping[int, tuple[float, float]],
    sequence: str,
    seed: int,
    source: Source,
) -> WindowCoherence:
    """Q of one window from expectation values.

    `means` and `shots` have shape (qubits, 12 or 16): six at τ = 0 (+x -x +y -y +z -z), six at τ, and, for
    the virtual Z, x prepared and y measured (+, -), y prepared and x measured (+, -).
    """
    if means.shape not in ((len(qubits), 12), (len(qubits), 16)):
        raise InputError(f"expectations of shape {means.shape}; {len(qubits)} qubits need 12 or 16 columns")
    q, best, angles = _values(means)
    rng = np.random.default_rng([seed, 71])
    chance = ((1 + means) / 2 * shots + 0.5) / (shots + 1)
    draws = 2 * rng.binomial(shots, chance, size=(_DRAWS, *means.shape)) / shots - 1
    q_draws, best_draws, _ = _values(draws)
    q_draws += q - q_draws.mean(axis=0)  # the half count that keeps perfect data uncertain shifts the mean
    total = shots.sum(axis=1)
    errors = q_draws.std(axis=0)
    named = {"window_seconds": window_seconds, "sequence": sequence, "context": "neighbors in |+>"}
    each = {
        qubit: measurement_from_draws(
            float(q[i]), q_draws[:, i], n=int(total[i]), seed=seed, method=METHOD, source=source, detail=named
        )
        for i, qubit in enumerate(qubits)
    }
    per_qubit = {str(qubit): float(q[i]) for i, qubit in enumerate(qubits)}

    def over_qubits(
        values: np.ndarray, spread: np.ndarray, what: str, percentile: float, extra: dict
    ) -> Measurement:
        return median_measurement(
            values, errors=spread, n=int(total.max()), seed=seed,
            method=f"{what} over {len(qubits)} qubits; {METHOD}",
            source=source, percentile=percentile, detail={**named, **extra},
        )  # fmt: skip

    ceiling = {
        qubit: relaxation_ceiling(*relaxation[qubit], window_seconds)
        for qubit in qubits
        if qubit in relaxation
    }
    turned = None
    if best is not None and best_draws is not None and angles is not None:
        extra = {
            "per_qubit": {str(qubit): float(best[i]) for i, qubit in enumerate(qubits)},
            "angle_radians": {str(qubit): float(angles[i]) for i, qubit in enumerate(qubits)},
        }
        what = "median, after the best fixed virtual Z of each qubit,"
        turned = over_qubits(best, best_draws.std(axis=0), what, 50, extra)
    extra = {"per_qubit": per_qubit, "ceiling": {str(qubit): value for qubit, value in ceiling.items()}}
    return WindowCoherence(
        window_seconds, sequence, each, dict(zip(qubits, errors.tolist(), strict=True)),
        over_qubits(q, errors, "median", 50, extra), over_qubits(q, errors, "10th percentile", 10, {}),
        turned, ceiling, float(np.median(list(ceiling.values()))) if ceiling else None,
    )  # fmt: skip


def _shared(before: WindowCoherence, after: WindowCoherence) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Qubits in both, and their (before, after) values and errors, shape (2, qubits)."""
    qubits = [qubit for qubit in before.qubits if qubit in after.qubits]
    values = np.array([[w.qubits[qubit].value for qubit in qubits] for w in (before, after)])
    return qubits, values, np.array([[w.errors[qubit] for qubit in qubits] for w in (before, after)])


def closure(
    before: WindowCoherence, after: WindowCoherence, *, seed: int, source: Source
) -> Measurement | None:
    """η = (Q_after - Q_before)/(Q_c - Q_before) of the medians, on the same qubits and window.

    None where the device gives no T1 and T2, or where Q_c - Q_before is under 0.05. The interval resamples
    qubits, the same on both sides, and shots.
    """
    if abs(before.window_seconds - after.window_seconds) > 1e-3 * before.window_seconds:
        raise InputError(
            f"closure compares one window; before has {before.window_seconds:.4g} s, after "
            f"{after.window_seconds:.4g} s: measure both at the same"
        )
    qubits, values, errors = _shared(before, after)
    if not qubits or any(qubit not in before.ceiling for qubit in qubits):
        return None
    top = np.array([before.ceiling[qubit] for qubit in qubits])
    q_before, q_after, q_top = float(np.median(values[0])), float(np.median(values[1])), float(np.median(top))
    if q_top - q_before < _LEAST_GAP:
        return None
    rng = np.random.default_rng([seed, 72])
    chosen = rng.integers(0, len(qubits), (2000, len(qubits)))
    low, high = (
        np.median(values[i][chosen] + rng.normal(size=chosen.shape) * errors[i][chosen], axis=1)
        for i in (0, 1)
    )
    gap = np.median(top[chosen], axis=1) - low
    draws = (high - low)[gap > _LEAST_GAP / 5] / gap[gap > _LEAST_GAP / 5]
    return measurement_from_draws(
        (q_after - q_before) / (q_top - q_before), draws, n=len(qubits), seed=seed,
        method="closure of the gap to the T1/T2 ceiling, medians over qubits", source=source,
        detail={
            "window_seconds": before.window_seconds, "before": q_before, "after": q_after, "ceiling": q_top,
            "sequence": after.sequence,
        },
    )  # fmt: skip


def _crossings(windows: np.ndarray, curves: np.ndarray, level: float) -> np.ndarray:
    """First window at which each row of `curves` falls to `level`, linear in between; inf where never."""
    times = np.concatenate([[0.0], windows])
    rows = np.concatenate([np.ones((len(curves), 1)), curves], axis=1)
    below = rows <= level
    first = np.argmax(below, axis=1)
    never = ~below.any(axis=1)
    first[never] = 1
    index = np.arange(len(rows))
    high, low = rows[index, first - 1], rows[index, first]
    share = (high - level) / np.where(high - low > 0, high - low, 1.0)
    found = times[first - 1] + share * (times[first] - times[first - 1])
    return np.where(never, np.inf, found)


def _median_curves(
    result: CoherenceResult, seed: int, resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows, the measured median at each, and bootstrap medians (resamples, windows)."""
    ordered = sorted(result.windows, key=lambda w: w.window_seconds)
    values = np.array([[w.qubits[qubit].value for qubit in result.qubits] for w in ordered])
    errors = np.array([[w.errors[qubit] for qubit in result.qubits] for w in ordered])
    rng = np.random.default_rng([seed, 73])
    chosen = rng.integers(0, values.shape[1], (resamples, values.shape[1]))
    moved = rng.normal(size=(resamples, *values.shape)) * errors + values
    picked = np.take_along_axis(moved, np.broadcast_to(chosen[:, None, :], moved.shape), axis=2)
    times = np.array([w.window_seconds for w in ordered])
    return times, np.median(values, axis=1), np.median(picked, axis=2)


def level_crossing(result: CoherenceResult, level: float, *, seed: int, source: Source) -> Measurement | None:
    """The first window, in seconds, at which the median Q falls to `level`; None where it does not.

    Linear between the measured windows, from Q = 1 at 0. `detail` has the bracketing windows and the share
    of resamples that never fell (they count as the longest window).
    """
    windows, medians, draws = _median_curves(result, seed, 1000)
    value = float(_crossings(windows, medians[None, :], level)[0])
    if not np.isfinite(value):
        return None
    spread = _crossings(windows, draws, level)
    beyond = ~np.isfinite(spread)
    spread[beyond] = windows[-1]
    place = int(np.searchsorted(windows, value))
    n = sum(w.median.n for w in result.windows)
    return measurement_from_draws(
        value, spread, unit="s", n=n, seed=seed, method=f"first window with median Q at {level:g}; {METHOD}",
        source=source, limits=(0, np.inf),
        detail={
            "level": level,
            "bracket_seconds": [float(windows[place - 1]) if place else 0.0, float(windows[place])],
            "beyond_share": float(beyond.mean()), "curve": result.curve(),
        },
    )  # fmt: skip


def window_ratio(
    before: CoherenceResult, after: CoherenceResult, *, seed: int, source: Source, level: float = 0.9
) -> Measurement | None:
    """W, how much longer the median Q stays at `level` or above: τ after over τ before.

    None where the curve before never falls to the level. Where the curve after never does, the value is a
    lower bound from its longest window, and the method and `detail["at_least"]` say so.
    """
    old_windows, old_medians, old_draws = _median_curves(before, seed, 1000)
    new_windows, new_medians, new_draws = _median_curves(after, seed, 1000)
    old = float(_crossings(old_windows, old_medians[None, :], level)[0])
    if not np.isfinite(old):
        return None
    new = float(_crossings(new_windows, new_medians[None, :], level)[0])
    bound = not np.isfinite(new)
    tops = [np.where(np.isfinite(x), x, w[-1]) for x, w in (
        (_crossings(new_windows, new_draws, level), new_windows),
        (_crossings(old_windows, old_draws, level), old_windows),
    )]  # fmt: skip
    value = (float(new_windows[-1]) if bound else new) / old
    what = f"window with median Q of {level:g} or more, after over before"
    return measurement_from_draws(
        value, tops[0] / tops[1], n=sum(w.median.n for r in (before, after) for w in r.windows), seed=seed,
        method=f"at least: {what}" if bound else what, source=source, limits=(0, np.inf),
        detail={
            "level": level, "before_seconds": old, "after_seconds": float(new_windows[-1]) if bound else new,
            "at_least": bound, "curve_before": before.curve(), "curve_after": after.curve(),
        },
    )  # fmt: skip
