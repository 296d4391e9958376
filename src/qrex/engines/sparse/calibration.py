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
    "per_amplitude_branching",  # a row that combines amplitudes, per amplitude, in cache
    "per_amplitude_pass",  # the same where the state is larger than a cache
    "per_shot",  # drawing one shot from 2048 amplitudes, by bisection
    "per_outcome_bit",  # a classical bit of one distinct outcome
    "calibrated_threads",
)

# Rows that combine amplitudes, unless their angle makes them permutations, by their cost against a one-qubit row.
_ONE = ("h", "sx", "sxdg", "rx", "ry", "r", "u", "u2", "u3", "ch", "csx", "crx", "cry", "cu", "cu3", "mcu")
_TWO = ("ecr", "rxx", "ryy", "rzx", "xx_minus_yy", "xx_plus_yy", "unitary")
_BRANCHING = dict.fromkeys(_ONE, 1.0) | dict.fromkeys(_TWO, 2.5)
_BYTES_PER_ROW = 150
_SCRATCH_BYTES = 500_000  # of one thread, where states are partitioned
_CHUNK = 2048  # amplitudes, as in the compiled code
_MOST_LOG2 = 60.0
_CACHE_LOG2 = 11.5  # larger states are partitioned
_DRAWN_LOG2 = 11.0  # size of the state that `per_shot` is measured on


def result_bytes(width: int, shots: int) -> int:
    """Bytes of the counts of `shots` shots, all of them different where `width` bits can tell them apart."""
    distinct = min(shots, 1 << min(width, 40))
    return 8 * shots + distinct * (2 * width + 250)


def modelled_cost(constants: Mapping[str, float], profile: Profile, threads: int) -> tuple[float, int]:
    """Seconds and bytes for the largest state that the bound on nonzero amplitudes allows."""
    log2_size = max(0.0, min(profile.log2_support, float(profile.active_qubits), _MOST_LOG2))
    size = 2.0**log2_size
    rows = float(profile.instructions or sum(profile.gate_counts.values()))
    counts = profile.gate_counts
    branching = float(sum(counts.get(name, 0) for name in _BRANCHING))
    combined = float(sum(counts.get(name, 0) * share for name, share in _BRANCHING.items()))
    gates = float(profile.one_qubit_gates + profile.two_qubit_gates + profile.many_qubit_gates)
    combining = constants["per_amplitude_pass" if log2_size > _CACHE_LOG2 else "per_amplitude_branching"]
    swept = size * (constants["per_amplitude_row"] * max(gates - branching, 0.0) + combining * combined)
    seconds = constants["fixed"] + constants["per_row"] * rows
    outcomes = size
    if profile.needs_trajectories:
        # Every shot may part from the others at the first random outcome.
        outcomes = 2.0 ** min(profile.measurements + profile.resets, _MOST_LOG2)
        parts = min(float(profile.shots), outcomes)
        seconds += (constants["per_row_again"] * rows + swept) * parts
    else:
        seconds += swept / min(float(max(threads, 1)), max(1.0, size / 2**14))
    distinct = min(float(profile.shots), outcomes, 2.0 ** min(profile.num_clbits, _MOST_LOG2))
    draws = profile.shots * min(log2_size, _DRAWN_LOG2) / _DRAWN_LOG2  # none from a basis state
    seconds += constants["per_shot"] * draws + constants["per_outcome_bit"] * distinct * profile.num_clbits
    counting = result_bytes(profile.num_clbits, profile.shots)
    return seconds, int(_BYTES_PER_ROW * rows + _state_bytes(size, profile.active_qubits, threads) + counting)


def _state_bytes(size: float, num_qubits: int, threads: int) -> float:
    """Chunks of amplitudes, taken in growing groups, and the records of a partitioned pass."""
    amplitude = 8 * math.ceil(max(num_qubits, 1) / 64) + 16
    if size <= _CHUNK:
        return 2.0 * _CHUNK * amplitude
    chunks = size / _CHUNK + 1.0
    return (chunks + min(0.15 * chunks, 64.0)) * _CHUNK * amplitude + 1.25 * size * amplitude + threads * _SCRATCH_BYTES


def measured_constants(threads: int) -> dict[str, float]:
    """Measure `CONSTANT_NAMES`, in about a fifth of a second. Sweeps are measured on one thread; `modelled_cost`
    divides them."""
    h, cx, ccx, ry = (OPCODES[name] for name in ("h", "cx", "ccx", "ry"))
    wide = 40
    copies = [(cx, (k % 12, 12 + k % 28)) for k in range(400)]

    tiny = _program(2, 2, [(h, (0,)), (cx, (0, 1)), (MEASURE, (0,)), (MEASURE, (1,))])
    classical = _program(wide, 0, [(ccx, (k % 13, 13 + k % 11, 24 + k % 16)) for k in range(4000)])
    fixed = best_seconds(lambda: _run(tiny, 1), repeats=10)
    rows = best_seconds(lambda: _run(classical, 1)) - fixed

    split = [row for k in range(8) for row in ((h, (0,)), (MEASURE, (0,)))]
    branches, again = 256, 200
    short = _program(wide, 8, split)
    long = _program(wide, 8, [*split, *copies[:again], (h, (39,)), (MEASURE, (39,)), (h, (39,))])
    shots = 20 * branches
    parted = best_seconds(lambda: _run(long, shots)) - best_seconds(lambda: _run(short, shots))

    spread = [(h, (k,)) for k in range(10)]
    swept = best_seconds(lambda: _run(_program(wide, 0, spread + copies), 1))
    swept -= best_seconds(lambda: _run(_program(wide, 0, spread), 1)) + rows / 4000 * len(copies)
    branching = [(ry, (k % 10,)) if k % 2 else (cx, (k % 10, (k + 3) % 10)) for k in range(120)]
    mixed = best_seconds(lambda: _run(_program(wide, 0, spread + branching), 1))
    # Ring after ring of controlled flips keeps one-qubit rows from being multiplied.
    layer = [row for k in range(15) for row in ((ry, (k,)), (cx, (k, (k + 1) % 15)))]
    filled = best_seconds(lambda: _run(_program(wide, 0, layer), 1))
    passed = best_seconds(lambda: _run(_program(wide, 0, 2 * layer), 1)) - filled

    bits = [(h, (k,)) for k in range(11)] + [(MEASURE, (k % 11,)) for k in range(200)]
    few, many = _program(11, 1, bits[:12]), _program(11, 200, bits)
    drawn = best_seconds(lambda: _run(few, 20_000)) - best_seconds(lambda: _run(few, 1))
    outcomes = 800  # of 1000 draws from 2048
    told = best_seconds(lambda: _run(many, 1000)) - best_seconds(lambda: _run(many, 1))
    found = {
        "fixed": fixed,
        "per_row": rows / 4000,
        "per_row_again": parted / (branches * (again + 3)),
        "per_amplitude_row": swept / (400 << 10),
        "per_amplitude_branching": mixed / (60 << 10),
        "per_amplitude_pass": passed / (15 << 15),
        "per_shot": drawn / 20_000,
        "per_outcome_bit": told / (outcomes * 200),
    }
    return {name: max(value, 1e-12) for name, value in found.items()} | {"calibrated_threads": float(threads)}


def _run(program: Program, shots: int) -> None:
    run = _kernels.SparseRun(program, shots, 1, 1 << 28)
    while run.advance(1.0) == 0:
        pass
    run.counts()


def _program(num_qubits: int, num_clbits: int, rows: list[tuple[int, tuple[int, ...]]]) -> Program:
    """A program of unconditional rows; the angle of row k is 0.1 + k, measurements write bits in order."""
    opcode = np.array([code for code, _ in rows], dtype=np.uint8)
    widths = [len(qubits) for _, qubits in rows]
    turns = opcode == OPCODES["ry"]
    measured = opcode == MEASURE
    clbit = np.where(measured, (np.cumsum(measured) - 1) % max(num_clbits, 1), -1)
    return Program(
        num_qubits,
        num_clbits,
        opcode,
        np.concatenate([[0], np.cumsum(widths)]).astype(np.int32),
        np.array([qubit for _, qubits in rows for qubit in qubits], dtype=np.int32),
        np.concatenate([[0], np.cumsum(turns)]).astype(np.int32),
        0.1 + np.flatnonzero(turns).astype(np.float64),
        clbit.astype(np.int32),
        np.full(len(rows), -1, dtype=np.int32),
    )
