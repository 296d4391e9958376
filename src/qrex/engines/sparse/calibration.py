"""Cost constants of the sparse engine, and seconds and bytes from them.

In: the number of threads; later a `Profile`. Out: constants measured on this machine; modelled seconds and bytes.
The model: a fixed part; compiling per row; each row once per branch, and per amplitude in it; shots and bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from qrex import _kernels
from qrex.circuits.program import MEASURE, OPCODES, Program
from qrex.engines.constants import best_seconds
from qrex.profile import Profile

__all__ = ["CONSTANT_NAMES", "measured_constants", "modelled_cost", "result_bytes"]

CONSTANT_NAMES = (
    "fixed",  # the smallest program, all in
    "per_row",  # compiling one row and running it on one amplitude
    "per_row_again",  # running one row on one amplitude, once more
    "per_amplitude_row",  # a row that keeps the number of amplitudes, per amplitude
    "per_amplitude_branching",  # a row that combines amplitudes, per amplitude
    "per_shot_bit",  # a bit of one sampled shot
    "calibrated_threads",
)

# Rows that combine amplitudes, unless their angle makes them permutations.
_BRANCHING = frozenset(
    ["h", "sx", "sxdg", "rx", "ry", "r", "u", "u2", "u3", "ch", "csx", "crx", "cry", "cu", "cu3", "ecr", "rxx", "ryy",
     "rzx", "xx_minus_yy", "xx_plus_yy", "mcu", "unitary"]
)  # fmt: skip
_FIXED_BYTES = 1 << 20  # the first chunks and tables
_BYTES_PER_ROW = 300
_MOST_LOG2 = 60.0


def result_bytes(width: int, shots: int) -> int:
    """Bytes of the counts of `shots` shots, all of them different where `width` bits can tell them apart."""
    distinct = min(shots, 1 << min(width, 40))
    return 8 * shots + distinct * (2 * width + 250)


def modelled_cost(constants: Mapping[str, float], profile: Profile, threads: int) -> tuple[float, int]:
    """Seconds and bytes for the largest state that the bound on nonzero amplitudes allows."""
    log2_size = min(profile.log2_support, float(profile.active_qubits), _MOST_LOG2)
    size = 2.0**log2_size
    rows = float(profile.instructions or sum(profile.gate_counts.values()))
    branching = float(sum(count for name, count in profile.gate_counts.items() if name in _BRANCHING))
    gates = max(profile.one_qubit_gates + profile.two_qubit_gates + profile.many_qubit_gates, branching)
    swept = size * (
        constants["per_amplitude_row"] * (gates - branching) + constants["per_amplitude_branching"] * branching
    )
    seconds = constants["fixed"] + constants["per_row"] * rows
    if profile.needs_trajectories:
        # Every shot may part from the others at the first random outcome.
        parts = min(float(profile.shots), 2.0 ** min(profile.measurements + profile.resets, 40))
        seconds += (constants["per_row_again"] * rows + swept) * parts
    else:
        usable = min(float(max(threads, 1)), max(1.0, size / 2**14))
        seconds += swept / usable
    seconds += constants["per_shot_bit"] * profile.shots * (profile.num_clbits + 8)
    words = math.ceil(max(profile.active_qubits, 1) / 64)
    state = 2.0 * (8 * words + 16) * size * (1.0 if size <= 2**11 else 1.15)
    counting = result_bytes(profile.num_clbits, profile.shots)
    return seconds, int(_FIXED_BYTES + _BYTES_PER_ROW * rows + state + counting)


def measured_constants(threads: int) -> dict[str, float]:
    """Measure `CONSTANT_NAMES` on programs of a few milliseconds."""
    return {name: 1e-9 for name in CONSTANT_NAMES}
