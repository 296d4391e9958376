"""Expansion: the pipeline. Baseline, mechanisms, validation, summary.

In: a workload and a platform. Out: a `Summary` whose every figure was measured before and after.
"""

from __future__ import annotations

from qrex.expansion.pipeline import DEFAULT_SEED, Expansion
from qrex.expansion.whole import resource_expansion

__all__ = ["DEFAULT_SEED", "Expansion", "resource_expansion"]
