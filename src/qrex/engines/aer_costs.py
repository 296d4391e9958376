"""What a run by Aer costs, from constants measured on this machine.

In: a profile, an allotment and the constants of one method. Out: `Cost`. The models add to
`fixed + step · instructions`, n being the active qubits:
  state vector     block · 2^n · fused blocks + draw · shots; 16 · 2^n bytes
  matrix product   update · updates + work · Σ bond³ + (site · n + element · Σ bond²) · shots
  stabilizer       cell · shots · measurements · n
A circuit whose shots must be run one by one pays the gates for each shot. Matrix product costs use the
Schmidt bounds of the profile, so they are upper bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from qrex.engines.protocol import Allotment, Cost
from qrex.profile import Profile

__all__ = [
    "CONSTANT_NAMES",
    "TRUNCATION_THRESHOLD",
    "bond_limit",
    "estimate",
    "is_aer_clifford",
    "statevector_bytes",
    "truncation_infidelity",
]

_DENSE = ("fixed", "step", "block_one_thread", "block_all_threads", "draw")
_BASELINE_STABILIZER = ("cell",)
CONSTANT_NAMES: Mapping[str, tuple[str, ...]] = {
    "automatic": _DENSE + _BASELINE_STABILIZER,
    "statevector": _DENSE,
    "mps": ("fixed", "step", "update", "work", "site", "element"),
    "stabilizer": ("fixed", "step", "cell"),
}

TRUNCATION_THRESHOLD = 1e-16
"""Largest squared weight that one decomposition may drop (Aer's own default)."""

_BASE_BYTES = 24 << 20
_AMPLITUDE_BYTES = 16
# Tensors, their copies during a decomposition, and its work space.
_TENSOR_COPIES = 4
_LOG_CHARACTERS = 1 << 26
_STABILIZER_NAMES = frozenset(
    ["cx", "cy", "cz", "ecr", "h", "id", "pauli", "rz", "s", "sdg", "swap", "sx", "sxdg", "x", "y", "z"]
) | {"measure", "reset", "delay", "barrier", "store"}
_LARGEST_LOG2 = 60.0


def is_aer_clifford(profile: Profile) -> bool:
    """Whether Aer's own stabilizer method takes the circuit."""
    return profile.is_clifford and _STABILIZER_NAMES.issuperset(profile.gate_counts)


def statevector_bytes(profile: Profile) -> int:
    """Resident bytes of Aer's double-precision state vector."""
    return _BASE_BYTES + (_AMPLITUDE_BYTES << profile.active_qubits)


def truncation_infidelity(profile: Profile) -> float:
    """Bound on the infidelity of a matrix product state without a bond limit: every update may drop weight
    TRUNCATION_THRESHOLD, and in the worst case the amplitudes dropped add up in phase."""
    return min(1.0, profile.mps_updates**2 * TRUNCATION_THRESHOLD)


def bond_limit(profile: Profile, memory_bytes: int) -> int | None:
    """The largest bond that `memory_bytes` has room for, or None where the profile proves that no limit is
    needed, or where what a limit cuts off could not be logged."""
    if _mps_bytes(profile) <= memory_bytes or profile.needs_trajectories:
        return None
    if profile.mps_updates * profile.num_qubits * 4 > _LOG_CHARACTERS:
        return None
    room = max(0, memory_bytes - _BASE_BYTES - 4 * _LOG_CHARACTERS)
    per_square = _AMPLITUDE_BYTES * 2 * max(2, profile.num_qubits) * _TENSOR_COPIES
    return max(2, math.isqrt(room // per_square))


def _mps_bytes(profile: Profile) -> int:
    elements = 2 ** min(profile.log2_mps_elements, _LARGEST_LOG2)
    return _BASE_BYTES + int(_AMPLITUDE_BYTES * elements * _TENSOR_COPIES)


def estimate(method: str, c: Mapping[str, float], profile: Profile, allotment: Allotment) -> Cost:
    """Predicted cost of `profile.shots` shots by `method`."""
    repeats = profile.shots if profile.needs_trajectories else 1
    overhead = c["fixed"] + c["step"] * profile.instructions
    if method == "mps":
        work = 2.0 ** min(profile.log2_mps_work, 900.0)
        squares = 2.0 ** min(profile.log2_mps_elements - 1, 900.0)
        gates = c["update"] * profile.mps_updates + c["work"] * work
        draws = (c["site"] * profile.active_qubits + c["element"] * squares) * profile.shots
        infidelity = truncation_infidelity(profile)
        return Cost(overhead + repeats * gates + draws, _mps_bytes(profile), 0, infidelity, upper_bound=True)
    if method == "stabilizer" or (method == "automatic" and is_aer_clifford(profile)):
        cells = max(1, profile.measurements) * profile.active_qubits
        tableau = profile.instructions * profile.active_qubits if repeats > 1 else 0
        return Cost(overhead + c["cell"] * profile.shots * (cells + tableau), _BASE_BYTES)
    block = c["block_one_thread"] if allotment.threads == 1 else c["block_all_threads"]
    passes = profile.fused_blocks + 2 * profile.many_qubit_gates
    gates = block * 2.0 ** min(profile.active_qubits, 900) * passes
    # A shot that is a run of its own also pays for walking over the instructions.
    walking = c["draw"] * profile.instructions * profile.shots if repeats > 1 else c["draw"] * profile.shots
    return Cost(overhead + repeats * gates + walking, statevector_bytes(profile))
