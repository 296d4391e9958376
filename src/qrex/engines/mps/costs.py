"""What a run as a matrix product state costs, from constants measured on this machine.

In: a profile, an allotment and constants. Out: `Cost`, an upper bound since a profile only bounds the bonds:
    fixed + row · instructions + update · updates + work · Σ bond³ + (site · n + element · Σ bond²) · shots.
"""

from __future__ import annotations

from collections.abc import Mapping

from qrex.engines.mps.run import BASE_BYTES, BYTES_PER_OUTCOME, TARGET_INFIDELITY
from qrex.engines.protocol import Allotment, Cost
from qrex.profile import Profile

__all__ = ["CONSTANT_NAMES", "estimate"]

CONSTANT_NAMES = ("fixed", "row", "update", "work", "site", "element")
_AMPLITUDE_BYTES = 16
_TENSOR_COPIES = 2  # the chain, and what one update holds besides
_LARGEST_LOG2 = 60.0


def estimate(c: Mapping[str, float], profile: Profile, allotment: Allotment) -> Cost:
    """Predicted cost of `profile.shots` shots."""
    work = 2.0 ** min(profile.log2_mps_work, 900.0)
    squares = 2.0 ** min(profile.log2_mps_elements - 1, 900.0)
    repeats = profile.shots if profile.needs_trajectories else 1
    gates = c["row"] * profile.instructions + c["update"] * profile.mps_updates + c["work"] * work
    draws = (c["site"] * profile.active_qubits + c["element"] * squares) * profile.shots
    elements = 2.0 ** min(profile.log2_mps_elements, _LARGEST_LOG2)
    outcomes = profile.shots * (2 * profile.num_clbits + BYTES_PER_OUTCOME)
    infidelity = min(TARGET_INFIDELITY, profile.mps_updates**2 * 1e-12)
    return Cost(
        c["fixed"] + repeats * gates + draws,
        BASE_BYTES + outcomes + int(_AMPLITUDE_BYTES * elements * _TENSOR_COPIES),
        0,
        infidelity,
        upper_bound=True,
    )
