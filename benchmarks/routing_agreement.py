"""Whether sampled distributions agree with an independent engine, on every family up to 20 qubits.

In: qrex's counts and Aer's, with fixed seeds. Out: a verdict per family, by two-sample chi-square tests. Aer's
counts come from its automatic choice with ten times the shots or, where circuits measure on their way, its MPS.
The outcomes that Aer saw most are one bin each and the rest is one more; then come the parities of random sets of
bits, which see what is spread too thinly for that. Each circuit's tests share one level, by Bonferroni. The test
itself is tested: counts of which a tenth is replaced by one outcome must not pass.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from routing_children import Child
from routing_record import Record
from routing_set import Item
from scipy.stats import chi2

__all__ = ["LEVEL", "MAX_QUBITS", "SHOTS", "agreement_figures", "measure", "p_value", "spoiled"]

LEVEL = 1e-4
SHOTS = 10_000
MAX_QUBITS = 20
_BINS = 64
_PARITY_SETS, _BITS_PER_SET = 8, 4
_LEAST_EXPECTED = 5.0
_SPOILED_SHARE = 0.1
_REFERENCE_SECONDS = 300.0  # nobody's time is measured here
PART = "agreement"


def p_value(counts: Mapping[str, int], reference: Mapping[str, int], seed: int = 0) -> float:
    """Smallest of the tests' p-values times their number: small where two samples come from different
    distributions. Keys are bit strings of one width."""
    chosen_by, reference = _halves(reference, seed)  # bins chosen by what is then tested would look too full
    common = sorted(chosen_by, key=lambda key: (-chosen_by[key], key))[:_BINS]
    of = {key: place for place, key in enumerate(common)}
    samples = [
        (np.array([of.get(key, _BINS) for key in sample]), _bits(sample), np.array(list(sample.values()), dtype=float))
        for sample in (counts, reference)
    ]
    found = [_homogeneity(*(np.bincount(places, times, _BINS + 1) for places, _, times in samples))]
    chance = np.random.default_rng(seed)
    for _ in range(_PARITY_SETS):
        sets = chance.integers(0, 2, (samples[0][1].shape[1], _BITS_PER_SET))
        weights = 1 << np.arange(_BITS_PER_SET)
        binned = (np.bincount((bits @ sets & 1) @ weights, times, 2**_BITS_PER_SET) for _, bits, times in samples)
        found.append(_homogeneity(*binned))
    return min(1.0, min(found) * len(found))


def _halves(sample: Mapping[str, int], seed: int) -> tuple[dict[str, int], dict[str, int]]:
    """The sample's shots dealt into two at random."""
    times = np.array(list(sample.values()))
    first = np.random.default_rng(seed).multivariate_hypergeometric(times, int(times.sum()) // 2)
    both = (dict(zip(sample, part.tolist(), strict=True)) for part in (first, times - first))
    one, other = ({key: number for key, number in part.items() if number} for part in both)
    return one, other


def _bits(sample: Mapping[str, int]) -> np.ndarray:
    """One row per outcome, one column per character."""
    characters = np.frombuffer("".join(sample).encode(), dtype=np.uint8) & 1
    return characters.reshape(len(sample), -1).astype(np.int64)


def _homogeneity(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value of two samples over the same bins; bins too rare for the chi-square are put together."""
    shares = np.array([one.sum(), other.sum()]) / (one.sum() + other.sum())
    both = one + other
    rare = both * shares.min() < _LEAST_EXPECTED
    table = np.array([one[~rare], other[~rare]])
    if rare.any():
        table = np.column_stack([table, [one[rare].sum(), other[rare].sum()]])
    expected = np.outer(shares, table.sum(axis=0))
    seen = expected.min(axis=0) > 0
    if seen.sum() < 2:
        return 1.0
    statistic = float(((table - expected)[:, seen] ** 2 / expected[:, seen]).sum())
    return float(chi2.sf(statistic, seen.sum() - 1))


def spoiled(counts: Mapping[str, int], seed: int = 1) -> dict[str, int]:
    """The counts with a share of the shots replaced by one outcome: of a few drawn at random, the rarest."""
    width = len(next(iter(counts)))
    chance = np.random.default_rng(seed)
    drawn = ["".join(map(str, chance.integers(0, 2, width))) for _ in range(16)]
    rarest = min(drawn, key=lambda key: counts.get(key, 0))
    shots = sum(counts.values())
    replaced = int(_SPOILED_SHARE * shots)
    order = np.repeat(np.arange(len(counts)), list(counts.values()))
    kept = np.bincount(chance.choice(order, shots - replaced, replace=False), minlength=len(counts))
    out = {key: int(number) for key, number in zip(counts, kept, strict=True)}
    out[rarest] = out.get(rarest, 0) + replaced
    return out


def measure(items: Sequence[Item], ours: Child, reference: Child, quick_reference: Child, record: Record) -> None:
    """`reference` samples circuits that end in their measurements, `quick_reference` (fewer shots) the others."""
    from routing_forms import is_unitary
    from routing_set import load

    for item in items:
        if max(item.qubits, item.size) > MAX_QUBITS or item.name in record.part(PART):
            continue
        other = reference if is_unitary(load(item)) else quick_reference
        sampled = [child.prepare(item.path, _REFERENCE_SECONDS) for child in (ours, other)]
        for place, (child, seed) in enumerate(((ours, 11), (other, 12))):
            if sampled[place].state == "ok":
                sampled[place] = child.run(seed, _REFERENCE_SECONDS, want_counts=True)
        record.keep(PART, item.name, {"family": item.family} | _verdict(*sampled))
        print(f"agreement {item.name}: {record.part(PART)[item.name]}", file=sys.stderr, flush=True)


def _verdict(ours, other) -> dict[str, Any]:
    if ours.state != "ok" or other.state != "ok":
        missing = ours if ours.state != "ok" else other
        return {"agrees": False, "why": f"{'qrex' if missing is ours else 'reference'} {missing.state}: {missing.why}"}
    p, p_spoiled = p_value(ours.counts, other.counts), p_value(spoiled(ours.counts), other.counts)
    return {"agrees": p >= LEVEL, "p": p, "spoiled_noticed": p_spoiled < LEVEL, "shots": sum(ours.counts.values())}


def agreement_figures(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    families: dict[str, bool] = {}
    for one in found.values():
        families[one["family"]] = families.get(one["family"], True) and one["agrees"]
    return {
        "agreement_families_ok": sum(families.values()),
        "agreement_families": len(families),
        "agreement_level": LEVEL,
        "agreement_spoiled_noticed": sum(bool(one.get("spoiled_noticed")) for one in found.values()),
        "agreement_circuits": len(found),
        "agreement_failed": {name: one.get("why", one.get("p")) for name, one in found.items() if not one["agrees"]},
    }
