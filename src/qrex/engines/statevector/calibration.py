"""Cost constants of the state-vector engine, and seconds from them.

In: the number of threads; later a `Profile`. Out: constants measured on this machine, and modelled seconds.
The model: a fixed part; Python's part per instruction; a pass reads and writes the state; a gate costs its
share of a dense two-qubit gate; a shot costs a constant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from qiskit import QuantumCircuit

from qrex import _kernels
from qrex.engines.constants import best_seconds
from qrex.engines.statevector.lowering import lower
from qrex.engines.statevector.planning import BLOCK_BITS, CHUNK_BITS, plan
from qrex.engines.statevector.simulation import simulate
from qrex.profile import Profile

__all__ = ["CONSTANT_NAMES", "measured_constants", "modelled_seconds"]

CONSTANT_NAMES = (
    "fixed_seconds",  # the smallest circuit, all in
    "seconds_per_instruction",  # lowering, fusing and planning, on one thread
    "seconds_per_amplitude_pass",  # one gather and scatter, thread-seconds
    "seconds_per_amplitude_gate",  # one dense two-qubit gate, thread-seconds
    "seconds_per_shot",  # drawing and counting
    "calibrated_threads",
)

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


def measured_constants(threads: int) -> dict[str, float]:
    """Measure `CONSTANT_NAMES` with `threads` threads (at most the processors here), in about a second."""
    threads = max(1, min(threads, os.cpu_count() or 1))
    positions = 21
    re, im = _kernels.allocate_state(positions)
    re[:] = 2.0 ** (-positions / 2)
    im[:] = 0.0
    high = positions - (BLOCK_BITS - CHUNK_BITS)
    local = [*range(CHUNK_BITS), *range(high, positions)]
    gather = _kernels.Stage(positions, local)
    swept = best_seconds(lambda: gather.run(re, im, threads))
    dense = _kernels.Stage(positions, local)
    matrix = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4, 2)) @ np.array([1, 1j]))[0]
    gates = 12
    for k in range(gates):
        dense.two(local[k], local[k + 3], matrix)
    computed = best_seconds(lambda: dense.run(re, im, threads)) - swept

    small, long = _layered(3, 1), _layered(10, 200)
    fixed = best_seconds(lambda: _all_of_it(small))
    python = best_seconds(lambda: plan((found := lower(long)).gates, found.num_wires), repeats=2)
    lowered = lower(small)
    state = simulate(plan(lowered.gates, lowered.num_wires), 1)
    shots = 20_000
    drawn = best_seconds(lambda: state.sample(shots, 1, 1))
    share = threads / float(1 << positions)
    return {
        "fixed_seconds": fixed,
        "seconds_per_instruction": python / len(long.data),
        "seconds_per_amplitude_pass": swept * share,
        "seconds_per_amplitude_gate": max(computed, 1e-6) / gates * share,
        "seconds_per_shot": drawn / shots,
        "calibrated_threads": float(threads),
    }


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


def _layered(num_qubits: int, layers: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(0.1 + layer, qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def _all_of_it(circuit: QuantumCircuit) -> None:
    lowered = lower(circuit)
    simulate(plan(lowered.gates, lowered.num_wires), 1).sample(1, 1, 1)
