"""What a dense run takes: seconds and bytes from a `Profile`.

In: a profile, measured constants, threads. Out: seconds, peak bytes, a bound on the infidelity. The model: a fixed
part; lowering per instruction; each gate its share of a dense two-qubit gate on every amplitude; passes that read
and write the state where it is larger than a block; sampling.
"""

from __future__ import annotations

from collections.abc import Mapping

from qrex.profile import Profile

__all__ = ["BLOCK_BITS", "estimated_bytes", "infidelity_bound", "modelled_seconds", "run_bytes"]

BLOCK_BITS = 15  # 2^15 amplitudes, 256 KiB: half of a common second-level cache
_SAMPLING_BYTES_PER_SHOT = 40  # uniforms, indices, groups
_TABLE_BYTES = 8 << 20  # gates of one chunk and the coefficients of one pass

# Cost of a gate against a dense two-qubit gate: as written, the gates that are lighter than others of their
# width. Diagonal gates share a sweep, X and SWAP are renamings.
_PHASE = 0.06
_LIGHT_ONE = dict.fromkeys(("z", "s", "sdg", "t", "tdg", "rz", "p", "u1"), _PHASE) | {"x": 0.0, "id": 0.0}
_LIGHT_TWO = dict.fromkeys(("cz", "cp", "cu1", "crz", "rzz", "cs", "csdg"), _PHASE) | {
    "swap": 0.0,
    "cx": 0.17,
    "cy": 0.3,
    "ch": 0.3,
    "crx": 0.3,
    "cry": 0.3,
}
_ONE_QUBIT, _MANY_QUBIT = 0.45, 3.0


def infidelity_bound(gates: int) -> float:
    """Bound on the infidelity that float32 leaves after `gates` kernel gates, at most 1.

    Independent roundings add up linearly, those of one gate repeated add up coherently. Both factors are
    about seven times what was found with up to 20,000 gates.
    """
    return min(1.0, 1e-14 * gates + 1e-16 * gates**2)


def run_bytes(amplitudes: float, wires: int, threads: int, shots: int, width: int) -> int:
    """Bytes that a run with `amplitudes` held at once allocates: they, a block per thread, tables, norms, samples,
    and a row of `width` characters per outcome."""
    positions = max(wires, 4)
    block = 0 if positions <= BLOCK_BITS else 8 << BLOCK_BITS
    diagonals = 8 * (BLOCK_BITS + 2) << 8
    distinct = min(shots, 1 << min(wires, 40))
    norms = 16 << max(positions - 12, 0)
    buffers = max(threads, 1) * (block + diagonals) + _TABLE_BYTES
    return int(8 * amplitudes) + norms + buffers + _SAMPLING_BYTES_PER_SHOT * shots + distinct * (2 * width + 250)


def estimated_bytes(profile: Profile, threads: int) -> int:
    """The same from a profile: one state of all active qubits."""
    wires = profile.active_qubits
    return run_bytes(2.0 ** max(wires, 4), wires, threads, profile.shots, profile.num_clbits)


def modelled_seconds(constants: Mapping[str, float], profile: Profile, threads: int) -> float:
    """Seconds of one run on `threads` threads; gates and passes are taken to scale with threads."""
    wires = max(profile.active_qubits, 4)
    amplitudes = 2.0**wires
    work = _work(profile)
    blocks = max(1.0, 2.0 ** (wires - BLOCK_BITS))
    usable = min(float(max(threads, 1)), blocks)
    if blocks == 1:
        passes = 0.0
    else:  # each pass completes about what its local wires can, in layers over all wires
        passes = 2.0 + profile.two_qubit_gates * max(wires - BLOCK_BITS, 0) / (2.0 * wires * BLOCK_BITS)
    gate, sweep = constants["seconds_per_amplitude_gate"], constants["seconds_per_amplitude_pass"]
    swept = amplitudes * (work * gate + passes * sweep)
    instructions = profile.instructions or sum(profile.gate_counts.values())
    return (
        constants["fixed_seconds"]
        + constants["seconds_per_instruction"] * instructions
        + swept / usable
        + constants["seconds_per_shot"] * profile.shots
    )


def _work(profile: Profile) -> float:
    """Gates of `profile` in units of one dense two-qubit gate."""
    one, two = float(profile.one_qubit_gates) * _ONE_QUBIT, float(profile.two_qubit_gates)
    for name, count in profile.gate_counts.items():
        one -= count * (_ONE_QUBIT - _LIGHT_ONE.get(name, _ONE_QUBIT))
        two -= count * (1.0 - _LIGHT_TWO.get(name, 1.0))
    many = _MANY_QUBIT * profile.many_qubit_gates
    # A block of merged neighbors never costs more than a dense gate.
    return max(0.0, min(one + two, float(profile.fused_blocks))) + many
