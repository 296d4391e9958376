"""How true simulated counts are: against the ideal distribution, exact amplitudes, or the other side.

In: one circuit's counts before and after. Out: a fidelity for each side where one can be had, and a p-value
that both were drawn from one distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qrex.circuits import Circuit
from qrex.engines.reference import reference_distribution
from qrex.measure.fidelity import (
    CROSS_ENTROPY,
    agreement_pvalue,
    fidelity_of_counts,
    linear_xeb_of_amplitudes,
    perfect_of_kind,
)

__all__ = ["JudgeRequest", "judge_simulation"]

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
    if request.collision is None:
        return None
    fidelity = linear_xeb_of_amplitudes(
        counts, request.probabilities, request.collision, source="host", seed=request.seed
    )
    if fidelity is None:
        return None
    fidelity = replace(fidelity, method=f"{fidelity.method} against exact amplitudes of qrex's state vector")
    return {"fidelity": fidelity.to_dict(), "kind": CROSS_ENTROPY, "perfect": perfect_of_kind(CROSS_ENTROPY, None)}
