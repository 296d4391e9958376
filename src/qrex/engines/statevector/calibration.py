"""Cost constants of the state-vector engine, measured here.

In: the number of threads. Out: the constants that `costs` multiplies with, from small runs, best of a few: about a
second in all.
"""

from __future__ import annotations

import os

import numpy as np

from qrex import _kernels
from qrex.circuits.program import OPCODES, Program
from qrex.engines.constants import best_seconds
from qrex.engines.statevector.costs import BLOCK_BITS

__all__ = ["CONSTANT_NAMES", "measured_constants"]

CONSTANT_NAMES = (
    "fixed_seconds",  # the smallest circuit, all in
    "seconds_per_instruction",  # lowering, fusing and planning, on one thread
    "seconds_per_amplitude_pass",  # one gather and scatter, thread-seconds
    "seconds_per_amplitude_gate",  # one dense two-qubit gate, thread-seconds
    "seconds_per_shot",  # drawing and counting
    "calibrated_threads",
)
_CHUNK_BITS = 6


def measured_constants(threads: int) -> dict[str, float]:
    """Measure `CONSTANT_NAMES` with `threads` threads (at most the processors here), in about a second."""
    threads = max(1, min(threads, os.cpu_count() or 1))
    positions = 21
    re, im = _kernels.allocate_state(positions)
    re[:] = 2.0 ** (-positions / 2)
    im[:] = 0.0
    high = positions - (BLOCK_BITS - _CHUNK_BITS)
    local = [*range(_CHUNK_BITS), *range(high, positions)]
    gather = _kernels.Stage(positions, local)
    swept = best_seconds(lambda: gather.run(re, im, threads))
    dense = _kernels.Stage(positions, local)
    matrix = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4, 2)) @ np.array([1, 1j]))[0]
    gates = 12
    for k in range(gates):
        dense.two(local[k], local[k + 3], matrix)
    computed = best_seconds(lambda: dense.run(re, im, threads)) - swept

    small, long = _layered(3, 1), _layered(4, 500)
    fixed = best_seconds(lambda: _run(small, 1))
    lowered = best_seconds(lambda: _run(long, 1))
    shots = 20_000
    drawn = best_seconds(lambda: _run(small, shots)) - fixed
    share = threads / float(1 << positions)
    return {
        "fixed_seconds": fixed,
        "seconds_per_instruction": lowered / len(long),
        "seconds_per_amplitude_pass": swept * share,
        "seconds_per_amplitude_gate": max(computed, 1e-6) / gates * share,
        "seconds_per_shot": max(drawn, 1e-6) / shots,
        "calibrated_threads": float(threads),
    }


def _layered(num_qubits: int, layers: int) -> Program:
    """Layers of RY on every qubit and CX on neighbors."""
    opcode: list[int] = []
    qubits: list[int] = []
    start, params, param_start = [0], [], [0]
    for _ in range(layers):
        for qubit in range(num_qubits):
            opcode.append(OPCODES["ry"])
            qubits.append(qubit)
            params.append(0.3)
            start.append(len(qubits))
            param_start.append(len(params))
        for qubit in range(num_qubits - 1):
            opcode.append(OPCODES["cx"])
            qubits += [qubit, qubit + 1]
            start.append(len(qubits))
            param_start.append(len(params))
    rows = len(opcode)
    return Program(
        num_qubits,
        num_qubits,
        np.array(opcode, dtype=np.uint8),
        np.array(start, dtype=np.int32),
        np.array(qubits, dtype=np.int32),
        np.array(param_start, dtype=np.int32),
        np.array(params, dtype=np.float64),
        np.full(rows, -1, dtype=np.int32),
        np.full(rows, -1, dtype=np.int32),
    )


def _run(program: Program, shots: int) -> None:
    running = _kernels.DenseRun(program, shots, 1, 1, 1 << 30)
    while not running.advance(1.0):
        pass
    running.counts()
