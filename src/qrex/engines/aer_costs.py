"""What a run by Aer costs, from constants measured on this machine.

In: a profile, an allotment and the constants of one method. Out: `Cost`. The models add to
`fixed + step · instructions`, n being the active qubits:
  state vector     (block · B + diagonal · D) · 2^n + draw · shots; 16 · 2^n bytes
  density matrix   entry · 4^n · fused blocks + draw · shots; 16 · 4^n bytes
  matrix product   update · updates + work · Σ bond³ + (site · n + element · Σ bond²) · shots
  stabilizer       cell · shots · measurements · n
B and D share the fused blocks out as the gates on several qubits are diagonal or not: Aer merges diagonal ones
further. A circuit whose shots must be run one by one pays the gates for each shot. Matrix product costs use the
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
    "density_matrix_bytes",
    "estimate",
    "is_aer_clifford",
    "statevector_bytes",
    "truncation_infidelity",
]

_DENSE = ("fixed", "step", "block_one_thread", "block_all_threads", "diagonal", "draw")
_BASELINE_STABILIZER = ("cell",)
CONSTANT_NAMES: Mapping[str, tuple[str, ...]] = {
    "automatic": _DENSE + _BASELINE_STABILIZER,
    "statevector": _DENSE,
    "density-matrix": ("fixed", "step", "entry", "draw"),
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
_DIAGONAL_NAMES = ("cz", "cs", "csdg", "cp", "cu1", "crz", "rzz", "ccz", "mcp", "mcphase", "diagonal")
_LARGEST_LOG2 = 60.0
_HOPELESS_QUBITS = 900  # more bytes than a float can say


def is_aer_clifford(profile: Profile) -> bool:
    """Whether Aer's own stabilizer method takes the circuit."""
    return profile.is_clifford and _STABILIZER_NAMES.issuperset(profile.gate_counts)


def statevector_bytes(profile: Profile) -> int:
    """Resident bytes of Aer's double-precision state vector."""
    return _BASE_BYTES + (_AMPLITUDE_BYTES << min(profile.active_qubits, _HOPELESS_QUBITS))


def density_matrix_bytes(profile: Profile) -> int:
    """Resident bytes of Aer's density matrix."""
    return _BASE_BYTES + (_AMPLITUDE_BYTES << min(2 * profile.active_qubits, _HOPELESS_QUBITS))


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
    if method == "density-matrix":
        # Resets and noise are part of the one run: only what follows a measurement is done for each shot.
        repeats = 1 if profile.terminal_measurements_only else profile.shots
        passes = profile.fused_blocks + profile.many_qubit_gates + profile.resets
        gates = c["entry"] * 4.0 ** min(profile.active_qubits, 450) * passes
        drawn = profile.shots if repeats == 1 else profile.shots * profile.instructions
        seconds = overhead + repeats * gates + c["draw"] * drawn
        return Cost(seconds, density_matrix_bytes(profile), upper_bound=repeats > 1)
    block = c["block_one_thread"] if allotment.threads == 1 else c["block_all_threads"]
    passes = profile.fused_blocks + profile.many_qubit_gates
    diagonal = _diagonal_share(profile)
    each = diagonal * min(c["diagonal"], block) + (1 - diagonal) * block
    gates = each * passes * 2.0 ** min(profile.active_qubits, 900)
    # A shot that is a run of its own also pays for walking over the instructions.
    walking = c["draw"] * profile.instructions * profile.shots if repeats > 1 else c["draw"] * profile.shots
    return Cost(overhead + repeats * gates + walking, statevector_bytes(profile))


def _diagonal_share(profile: Profile) -> float:
    """Which part of the gates on several qubits is diagonal."""
    several = profile.two_qubit_gates + profile.many_qubit_gates
    return sum(profile.gate_counts.get(name, 0) for name in _DIAGONAL_NAMES) / several if several else 0.0
