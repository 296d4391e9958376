"""How true simulated counts are: against the ideal distribution, exact amplitudes, or the other side.

In: one circuit's counts before and after. Out: a fidelity for each side where one can be had, and a p-value
that both were drawn from one distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qrex.circuits import Circuit
from qrex.engines.reference import reference_distribution
from qrex.evidence import Measurement
from qrex.measure.fidelity import agreement_pvalue, fidelity_of_counts

__all__ = ["JudgeRequest", "judge_simulation"]

_Z95 = 1.959963984540054
_LEAST_CONTRAST = 0.1  # collision probability over that of a flat distribution, minus 1


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """`before` and `after` are counts or None. `probabilities` are exact ones of outcomes seen, and
    `collision` is Σ p² of the exact distribution, where an engine that holds all amplitudes gave them."""

    circuit: Circuit
    before: Mapping[str, int] | None
    after: Mapping[str, int] | None
    probabilities: Mapping[str, float]
    collision: float | None
    seed: int


def judge_simulation(request: JudgeRequest, _progress: Callable[[float], None]) -> dict[str, Any]:
    """{"before", "after": {"fidelity", "kind", "perfect"} or None, "agreement": p-value or None}."""
    agreement = None
    if request.before is not None and request.after is not None:
        agreement = agreement_pvalue(request.before, request.after, seed=request.seed)
    reference = reference_distribution(request.circuit.quantum_circuit, request.seed)
    answer: dict[str, Any] = {"agreement": agreement}
    for side, counts in (("before", request.before), ("after", request.after)):
        answer[side] = None
        if counts is None:
            continue
        if reference is not None:
            fidelity, kind, perfect = fidelity_of_counts(counts, reference.probabilities, request.seed, "host")
            fidelity = replace(fidelity, method=f"{fidelity.method}; {reference.label}")
            answer[side] = {"fidelity": fidelity.to_dict(), "kind": kind, "perfect": perfect}
        else:
            answer[side] = _by_amplitudes(counts, request)
    return answer


def _by_amplitudes(counts: Mapping[str, int], request: JudgeRequest) -> dict[str, Any] | None:
    """Normalized linear cross entropy from the exact probabilities of the outcomes seen."""
    if request.collision is None or any(key not in request.probabilities for key in counts):
        return None
    floor = 2.0 ** -len(next(iter(counts)))
    contrast = request.collision - floor
    if contrast < _LEAST_CONTRAST * floor:
        return None
    weights = np.fromiter(counts.values(), dtype=float)
    seen = np.array([request.probabilities[key] for key in counts])
    shots = weights.sum()
    mean = float(weights @ seen) / shots
    half = _Z95 * float(np.sqrt(max(weights @ seen**2 / shots - mean**2, 0.0) / shots)) / contrast
    value = (mean - floor) / contrast
    fidelity = Measurement(
        value, value - half, value + half, "", int(shots), request.seed,
        "normalized linear cross-entropy against exact amplitudes of qrex's state vector", "host",
    )  # fmt: skip
    return {"fidelity": fidelity.to_dict(), "kind": "normalized linear cross-entropy", "perfect": None}
