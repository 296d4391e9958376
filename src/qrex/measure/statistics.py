"""Intervals for proportions and medians, and how counts become numbers.

In: counts mappings (joint bit strings, classical bit 0 rightmost) and arrays of repeats. Out: 95 % intervals.
All cost is linear in the number of distinct outcomes. References: E. B. Wilson, JASA 22, 209 (1927);
B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qrex.errors import InputError
from qrex.evidence import Measurement, Source

__all__ = [
    "Z95",
    "bit_table",
    "measurement_from_draws",
    "median_measurement",
    "parity_expectations",
    "wilson_interval",
]

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a proportion; it keeps its coverage at 0 and at 1.

    >>> low, high = wilson_interval(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.037)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(
            f"{successes} of {trials} is not a proportion; 0 <= successes <= trials, trials >= 1"
        )
    share = successes / trials
    scale = 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / scale
    half = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    low = 0.0 if successes == 0 else float(center - half)
    high = 1.0 if successes == trials else float(center + half)
    return low, high


def bit_table(counts: Mapping[str, int], num_bits: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes as bits, shape (distinct outcomes, num_bits), column i for classical bit i; and their counts.

    Raises InputError where the counts are empty or the keys have another width than `num_bits`.
    """
    if not counts:
        raise InputError("an empty counts mapping holds no shots; run the circuit with at least one shot")
    keys = [key.replace(" ", "") for key in counts]
    width = len(keys[0])
    if any(len(key) != width for key in keys) or (num_bits is not None and width != num_bits):
        raise InputError(
            f"the counts have bit strings of width {sorted({len(key) for key in keys})}; "
            f"the circuit measures {width if num_bits is None else num_bits} bits: hand back its own counts"
        )
    flat = np.frombuffer("".join(keys).encode("ascii"), dtype=np.uint8).reshape(len(keys), width)
    return (flat[:, ::-1] - ord("0")).astype(np.int8), np.fromiter(counts.values(), dtype=np.int64)


def parity_expectations(
    counts: Mapping[str, int], groups: Sequence[Sequence[int]], num_bits: int | None = None
) -> tuple[np.ndarray, int]:
    """Mean of (-1)**(parity of the bits) for each group of classical bits, and the number of shots.

    >>> values, shots = parity_expectations({"01": 3, "11": 1}, [[0], [1], [0, 1]])
    >>> values.tolist(), shots
    ([-1.0, 0.5, -0.5], 4)
    """
    bits, weights = bit_table(counts, num_bits)
    shots = int(weights.sum())
    signs = 1 - 2 * bits
    means = [
        float(weights @ np.prod(signs[:, list(group)], axis=1, dtype=np.int64)) / shots for group in groups
    ]
    return np.array(means), shots


def measurement_from_draws(
    value: float,
    draws: np.ndarray,
    *,
    unit: str = "",
    n: int,
    seed: int | None,
    method: str,
    source: Source,
    limits: tuple[float, float] = (-np.inf, np.inf),
    detail: Mapping[str, object] | None = None,
) -> Measurement:
    """A Measurement whose interval spans the 2.5 and 97.5 percentiles of bootstrap `draws`.

    The value and the interval are clipped to `limits`, and the interval is widened to hold the value.
    """
    low, high = np.percentile(draws, [2.5, 97.5])
    value, low, high = (float(np.clip(x, *limits)) for x in (value, low, high))
    return Measurement(
        value, min(low, value), max(high, value), unit, n, seed, method, source, dict(detail or {})
    )


def median_measurement(
    values: Sequence[float],
    *,
    errors: Sequence[float] | None = None,
    unit: str = "",
    n: int | None = None,
    seed: int,
    method: str,
    source: Source,
    percentile: float = 50.0,
    resamples: int = 2000,
    limits: tuple[float, float] = (-np.inf, np.inf),
    detail: Mapping[str, object] | None = None,
) -> Measurement:
    """The median (or another percentile) of `values` with a bootstrap interval.

    Members are drawn with replacement and, where `errors` (one standard error each) are given, moved by
    them: the interval then speaks of both the members and their own uncertainty, and is a little wide.
    `detail["members_fixed"]` is the interval from the errors alone, for before/after on the same members.
    """
    data = np.asarray(values, dtype=float)
    if data.size == 0:
        raise InputError("a median needs at least one value; none was handed in")
    noise = np.zeros_like(data) if errors is None else np.asarray(errors, dtype=float)
    rng = np.random.default_rng([seed, 50])
    chosen = rng.integers(0, data.size, (resamples, data.size))
    moved = rng.normal(size=chosen.shape)
    draws = np.percentile(data[chosen] + moved * noise[chosen], percentile, axis=1)
    fixed = np.percentile(data + moved * noise, percentile, axis=1)
    extra = (
        {"members_fixed": [float(x) for x in np.percentile(fixed, [2.5, 97.5])]} if errors is not None else {}
    )
    return measurement_from_draws(
        float(np.percentile(data, percentile)), draws, unit=unit, n=n or data.size, seed=seed,
        method=method, source=source, limits=limits, detail={**extra, **(detail or {})},
    )  # fmt: skip
