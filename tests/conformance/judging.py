"""How sampled counts are judged against an exact distribution."""

from __future__ import annotations

from collections.abc import Mapping

from scipy.stats import chi2

__all__ = ["LEVEL", "SHOTS", "chi_square_p"]

SHOTS = 4000
LEVEL = 1e-6  # false alarms: some 300 comparisons with fixed seeds


def chi_square_p(counts: Mapping[str, int], expected: Mapping[str, float], shots: int) -> float:
    """p-value of the counts under the exact distribution; rare outcomes are pooled to expect 5 or more."""
    assert set(counts) <= {text for text, p in expected.items() if p > 1e-12}, (
        "an impossible outcome was drawn"
    )
    common = {text for text, p in expected.items() if p * shots >= 5}
    cells = [(counts.get(text, 0), expected[text] * shots) for text in sorted(common)]
    rare = shots - sum(seen for seen, _ in cells), shots - sum(want for _, want in cells)
    if rare[1] > 1e-6:
        cells.append(rare)
    statistic = sum((seen - want) ** 2 / want for seen, want in cells)
    return float(chi2.sf(statistic, len(cells) - 1)) if len(cells) > 1 else 1.0
