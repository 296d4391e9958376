"""How close sampled counts are to an ideal distribution, or to other counts.

In: counts (bit strings, classical bit 0 rightmost) and ideal probabilities. Out: Hellinger fidelity beside
the score that a perfect sampler reaches with the same shots, normalized linear cross entropy, and a
two-sample test that also works where hardly any outcome repeats.
Cost: linear in outcomes times resamples. References: Arute et al., Nature 574, 505 (2019) and Heinrich et
al. arXiv:2105.13504 (cross entropy); Chan et al., arXiv:1308.3946 (repeats as a test of agreement).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.stats import chi2, fisher_exact, norm

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.statistics import Z95, bit_table

__all__ = [
    "FidelityKind",
    "CROSS_ENTROPY",
    "HELLINGER",
    "agreement_pvalue",
    "fidelity_of_counts",
    "hellinger_fidelity",
    "linear_xeb",
    "linear_xeb_of_amplitudes",
    "perfect_of_kind",
    "perfect_sampler_score",
]

FidelityKind = Literal["hellinger", "normalized linear cross-entropy"]
HELLINGER: FidelityKind = "hellinger"
CROSS_ENTROPY: FidelityKind = "normalized linear cross-entropy"

_ENOUGH = 0.95
"""A perfect sampler's score under which Hellinger fidelity says more about the shots than the device."""
_LEAST_CONTRAST = 0.1
"""Σp² over that of a flat distribution, minus 1: 0.1 already costs ten times the shots of a Porter-Thomas
distribution at equal error."""
_RESAMPLES = 300
_MOST_CELLS = 5_000_000  # numbers drawn in all while resampling, though at least 20 samples


def _ideal(probabilities: Mapping[str, float]) -> tuple[list[str], np.ndarray]:
    keys = [key.replace(" ", "") for key in probabilities]
    values = np.fromiter(probabilities.values(), dtype=float)
    if not keys or (values < -1e-9).any() or abs(values.sum() - 1) > 1e-3:
        raise InputError(
            f"ideal probabilities must be non-negative and add to 1 within 0.001; the {len(keys)} given add "
            f"to {values.sum() if keys else 0:.4g}: hand in the whole distribution"
        )
    values = np.clip(values, 0, None)
    return keys, values / values.sum()


def _aligned(counts: Mapping[str, int], keys: list[str]) -> tuple[np.ndarray, int]:
    """Counts on the ideal outcomes, shape (len(keys),), and how many shots fell elsewhere."""
    width = len(keys[0])
    bit_table(counts, width)
    plain = {key.replace(" ", ""): value for key, value in counts.items()}
    on = np.array([plain.get(key, 0) for key in keys], dtype=float)
    return on, int(sum(plain.values()) - on.sum())


def _repeats(outcomes: int) -> int:
    return int(np.clip(_MOST_CELLS // max(outcomes, 1), 20, _RESAMPLES))


def perfect_sampler_score(probabilities: Mapping[str, float], shots: int, seed: int) -> float:
    """Expected Hellinger fidelity of `shots` samples drawn from the ideal distribution itself."""
    _, ideal = _ideal(probabilities)
    rng = np.random.default_rng([seed, 61])
    # One draw at a time: a distribution may have millions of outcomes.
    root = np.sqrt(ideal)
    scores = [
        (np.sqrt(rng.multinomial(shots, ideal) / shots) @ root) ** 2 for _ in range(_repeats(len(ideal)))
    ]
    return float(np.mean(scores))


def hellinger_fidelity(
    counts: Mapping[str, int],
    probabilities: Mapping[str, float],
    *,
    seed: int,
    source: Source,
) -> Measurement:
    """(Σ √(p·q))², with a bootstrap interval; `detail["perfect_sampler"]` is its ceiling at these shots.

    The bootstrap is centered: resampling a sample loses outcomes once more, and that shift is taken out.
    """
    keys, ideal = _ideal(probabilities)
    on, elsewhere = _aligned(counts, keys)
    shots = int(on.sum()) + elsewhere
    root = np.sqrt(ideal)
    value = float((np.sqrt(on / shots) @ root) ** 2)
    seen = on > 0
    rng = np.random.default_rng([seed, 62])
    drawn = rng.multinomial(shots, np.append(on[seen], elsewhere) / shots, size=_repeats(int(seen.sum())))
    draws = (np.sqrt(drawn[:, :-1] / shots) @ root[seen]) ** 2
    shift = value - float(draws.mean())
    low, high = (float(np.clip(x + shift, 0, 1)) for x in np.percentile(draws, [2.5, 97.5]))
    value = min(value, 1.0)
    perfect = perfect_sampler_score(probabilities, shots, seed)
    return Measurement(
        value, min(low, value), max(high, value), "", shots, seed,
        "Hellinger fidelity to the ideal distribution", source,
        {"perfect_sampler": perfect, "ideal_outcomes": len(keys)},
    )  # fmt: skip


def linear_xeb(
    counts: Mapping[str, int], probabilities: Mapping[str, float], *, source: Source, seed: int | None = None
) -> Measurement:
    """Normalized linear cross entropy (mean p(x) - 1/D)/(Σp² - 1/D), D = 2**bits; 1 for a perfect sampler.

    Unbiased, also where no outcome repeats; for white noise it is the weight of the ideal distribution.
    The interval is normal; `detail["perfect_low"]` and `"perfect_high"` bound 95 % of a perfect
    sampler's scores. Raises InputError where the ideal distribution is flat, which leaves nothing to
    tell apart.
    """
    keys, ideal = _ideal(probabilities)
    on, elsewhere = _aligned(counts, keys)
    shots = int(on.sum()) + elsewhere
    floor = 2.0 ** -len(keys[0])
    contrast = float((ideal**2).sum()) - floor
    if contrast <= 1e-3 * floor:
        raise InputError(
            "the ideal distribution is flat, so cross entropy tells nothing; use Hellinger fidelity"
        )
    # A perfect sampler's variance is the least that may be claimed where the sample shows none.
    variance = max(0.0, float((ideal**3).sum() - (ideal**2).sum() ** 2))
    found = _normalized_xeb(on, ideal, shots, floor, contrast, variance / shots, source=source, seed=seed)
    half = Z95 * (variance / shots) ** 0.5 / contrast
    return replace(found, detail={**found.detail, "perfect_low": 1 - half, "perfect_high": 1 + half})


def linear_xeb_of_amplitudes(
    counts: Mapping[str, int],
    probabilities: Mapping[str, float],
    collision: float,
    *,
    source: Source,
    seed: int | None = None,
) -> Measurement | None:
    """`linear_xeb` where only the exact probabilities of the outcomes seen and Σp² are known.

    None where an outcome's probability is missing, or the distribution is too flat to tell anything.
    """
    if any(key not in probabilities for key in counts):
        return None
    floor = 2.0 ** -len(next(iter(counts)))
    contrast = collision - floor
    if contrast < _LEAST_CONTRAST * floor:
        return None
    seen = np.array([probabilities[key] for key in counts])
    on = np.fromiter(counts.values(), dtype=float)
    return _normalized_xeb(on, seen, int(on.sum()), floor, contrast, 0.0, source=source, seed=seed)


def _normalized_xeb(
    on: np.ndarray,
    ideal: np.ndarray,
    shots: int,
    floor: float,
    contrast: float,
    least_variance: float,
    *,
    source: Source,
    seed: int | None,
) -> Measurement:
    """`on[i]` shots fell on the outcome of ideal probability `ideal[i]`."""
    mean = float(on @ ideal) / shots
    spread = max(float(on @ ideal**2) / shots - mean**2, least_variance, 0.0)
    value = (mean - floor) / contrast
    half = Z95 * float(np.sqrt(spread / shots)) / contrast
    return Measurement(
        value, value - half, value + half, "", shots, seed,
        "normalized linear cross-entropy fidelity", source,
        {"contrast": contrast / floor, "standard_error": half / Z95},
    )  # fmt: skip


def fidelity_of_counts(
    counts: Mapping[str, int],
    ideal_probabilities: Mapping[str, float],
    seed: int,
    source: Source = "simulated",
) -> tuple[Measurement, FidelityKind, float]:
    """The fidelity of a run, which kind it is, and a perfect sampler's score of that same kind at these shots.

    Hellinger fidelity, unless a perfect sampler would score below 0.95 with as many shots and the ideal
    distribution is not flat: then normalized linear cross entropy. Outcomes missing from
    `ideal_probabilities` have probability 0.

    >>> run, kind, perfect = fidelity_of_counts({"00": 500, "11": 500}, {"00": 0.5, "11": 0.5}, seed=1)
    >>> run.value, kind, round(perfect, 3)
    (1.0, 'hellinger', 1.0)
    """
    hellinger = hellinger_fidelity(counts, ideal_probabilities, seed=seed, source=source)
    perfect = float(hellinger.detail["perfect_sampler"])
    keys, ideal = _ideal(ideal_probabilities)
    contrast = float((ideal**2).sum()) * 2.0 ** len(keys[0]) - 1
    if perfect >= _ENOUGH or contrast < _LEAST_CONTRAST:
        return hellinger, HELLINGER, perfect
    found = linear_xeb(counts, ideal_probabilities, source=source, seed=seed)
    found = replace(found, detail={**found.detail, "perfect_hellinger": perfect})
    return found, CROSS_ENTROPY, perfect_of_kind(CROSS_ENTROPY, perfect)


def perfect_of_kind(kind: str, hellinger: float | None) -> float | None:
    """A perfect sampler's expected score of `kind`, where its Hellinger score is `hellinger`: cross entropy is
    unbiased, so 1 at any number of shots."""
    return 1.0 if kind == CROSS_ENTROPY else hellinger


def agreement_pvalue(
    first: Mapping[str, int], second: Mapping[str, int], *, seed: int = 0, parities: int = 60
) -> float:
    """Probability of a difference at least this large if both counts came from one distribution.

    Chi-square over the outcomes seen at least ten times in all (the others pooled). Where those hold less
    than 0.8 of the shots, also random parities of the bits with Fisher's test, whether outcomes repeat
    within the two counts more than between them, and whether they repeat more in one than in the other.
    Bonferroni over everything. Small values (below 0.001, say) speak against agreement.

    >>> agreement_pvalue({"0": 500, "1": 500}, {"0": 500, "1": 500})
    1.0
    """
    bits_a, weights_a = bit_table(first)
    bits_b, weights_b = bit_table(second, bits_a.shape[1])
    shots_a, shots_b = int(weights_a.sum()), int(weights_b.sum())
    both = {key.replace(" ", ""): [count, 0] for key, count in first.items()}
    for key, count in second.items():
        both.setdefault(key.replace(" ", ""), [0, 0])[1] += count
    table = np.array(list(both.values()), dtype=float)
    often = table.sum(axis=1) >= 10
    rest = table[~often].sum(axis=0)
    cells = np.vstack([table[often], rest]) if rest.sum() >= 10 else table[often]
    pvalues: list[float] = []
    if len(cells) > 1:
        expected = cells.sum(axis=1, keepdims=True) * np.array([shots_a, shots_b]) / (shots_a + shots_b)
        pvalues.append(float(chi2.sf(((cells - expected) ** 2 / expected).sum(), len(cells) - 1)))
    if table[often].sum() < 0.8 * (shots_a + shots_b):
        pvalues.append(_distance_pvalue(table[~often], shots_a / (shots_a + shots_b)))
        pvalues.append(_purity_pvalue(table))
        width = bits_a.shape[1]
        rng = np.random.default_rng([seed, 63])
        masks = np.vstack([np.eye(width, dtype=np.int64), rng.integers(0, 2, (parities, width))])
        masks = np.unique(masks[masks.any(axis=1)], axis=0)
        odd_a = weights_a @ ((bits_a @ masks.T) % 2)
        odd_b = weights_b @ ((bits_b @ masks.T) % 2)
        pvalues += [
            _share_pvalue(a, shots_a, b, shots_b) for a, b in zip(odd_a.tolist(), odd_b.tolist(), strict=True)
        ]
    return min(1.0, len(pvalues) * min(pvalues)) if pvalues else 1.0


def _share_pvalue(hits_a: int, shots_a: int, hits_b: int, shots_b: int) -> float:
    """Two-sided test of equal shares: Fisher's where hits or misses are few, else the pooled normal test."""
    hits, shots = hits_a + hits_b, shots_a + shots_b
    if min(hits, shots - hits) < 40:
        return float(fisher_exact([[hits_a, shots_a - hits_a], [hits_b, shots_b - hits_b]])[1])
    share = hits / shots
    spread = (share * (1 - share) * (1 / shots_a + 1 / shots_b)) ** 0.5
    return float(2 * norm.sf(abs(hits_a / shots_a - hits_b / shots_b) / spread))


def _distance_pvalue(table: np.ndarray, share: float) -> float:
    """One-sided: Σ (a - t·share)² over outcomes seen t times against its binomial mean and variance."""
    total = table.sum(axis=1)
    mean = total * share * (1 - share)
    variance = float((mean * (1 + (2 * total - 6) * share * (1 - share))).sum())
    # Outcomes seen once always give the same term at equal shots; with no repeats there is nothing to test.
    if not (total > 1).any() or variance <= 0:
        return 1.0
    excess = float((((table[:, 0] - total * share) ** 2) - mean).sum())
    return float(norm.sf(excess / variance**0.5))


def _purity_pvalue(table: np.ndarray) -> float:
    """Two-sided: the difference of the two unbiased estimates of Σp², by their normal approximation."""
    total = table.sum(axis=1)
    shots = total.sum()
    if table.sum(axis=0).min() < 2 or shots < 3:
        return 1.0
    square = float((total * (total - 1)).sum() / (shots * (shots - 1)))
    cube = float((total * (total - 1) * (total - 2)).sum() / (shots * (shots - 1) * (shots - 2)))
    difference, variance = 0.0, 0.0
    for sign, column in zip((1, -1), table.T, strict=True):
        n = column.sum()
        difference += sign * float((column * (column - 1)).sum() / (n * (n - 1)))
        variance += 4 * max(cube - square**2, 0.0) / n + 2 * square / (n * (n - 1))
    return float(2 * norm.sf(abs(difference) / variance**0.5)) if variance > 0 else 1.0
