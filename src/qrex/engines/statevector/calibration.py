"""Cost constants of the state-vector engine, measured here.

In: the number of threads. Out: the constants that `costs` multiplies with. Each small run is dominated by one of
them; the others' share, as far as known by then, is taken off, most of it at most: other work on the machine must
not make a constant vanish. Best of a few, about a second in all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from qrex import _kernels
from qrex.circuits.program import OPCODES, Program
from qrex.engines.constants import best_seconds
from qrex.engines.statevector.costs import BLOCK_BITS, dense_seconds
from qrex.profile import dense_work

__all__ = ["CONSTANT_NAMES", "measured_constants"]

CONSTANT_NAMES = (
    "fixed_seconds",  # the smallest circuit, all in
    "seconds_per_row",  # lowering and fusing, on one thread
    "seconds_per_gate",  # planning and the tables of a kernel gate, on one thread
    "seconds_per_branch",  # one more branch of shots
    "seconds_per_amplitude_gate_narrow",  # one dense two-qubit gate on a state of one block
    "seconds_per_amplitude_gate",  # the same on larger states, thread-seconds
    "seconds_per_amplitude_pass",  # one gather and scatter, thread-seconds
    "seconds_per_amplitude_held",  # first touched, and summed up at the end, thread-seconds
    "seconds_per_amplitude_collapse",  # read and divided
    "seconds_per_shot",  # drawing
    "seconds_per_outcome",  # counting, of 64 classical bits
    "calibrated_threads",
)
_CHUNK_BITS = 6
_WIDE = 22  # positions: 32 MiB, beyond most third-level caches or a good part of one
_LEAST_SHARE = 0.2  # of a run that was made to measure one constant

Row = tuple[str, tuple[int, ...], tuple[float, ...]]


def measured_constants(threads: int) -> dict[str, float]:
    """Measure `CONSTANT_NAMES` with `threads` threads (at most the processors here), in about a second."""
    threads = max(1, min(threads, os.cpu_count() or 1))
    found = dict.fromkeys(CONSTANT_NAMES, 0.0) | {"calibrated_threads": float(threads)}

    def measure(name: str, program: Program, shots: int = 1, team: int = 1) -> None:
        """Sets `name` to what the run takes beyond the model so far, per unit."""
        work, width = dense_work(program, shots), program.num_clbits
        seconds = best_seconds(partial(_run, program, shots, team))
        known = dense_seconds(found, work, shots, width, team)
        per_unit = dense_seconds(found | {name: 1.0}, work, shots, width, team) - known
        found[name] = max(seconds - known, _LEAST_SHARE * seconds) / per_unit

    measure("fixed_seconds", _program(3, _all_h(3)))
    # Rows that all become one gate; rows that are a gate each; then large matrices on a state in cache.
    measure("seconds_per_row", _program(2, _fusing(3000)))
    measure("seconds_per_gate", _program(6, _chain(6, 1000)))
    measure("seconds_per_amplitude_gate_narrow", _program(13, _matrices(13, 120)))
    found |= _sweep_constants(threads)
    measure("seconds_per_branch", _program(1, [("h", (0,), ())] * 12, range(11)), 500)
    measure("seconds_per_amplitude_collapse", _program(18, _all_h(18), [17]))
    measure("seconds_per_shot", _program(3, _all_h(3), measured=3), 20_000)
    measure("seconds_per_outcome", _program(12, _all_h(12), measured=12), 4000)
    return found


def _sweep_constants(threads: int) -> dict[str, float]:
    """Gates and passes over a state of many blocks, by the kernels themselves."""

    def held() -> None:
        fresh = _kernels.allocate_state(_WIDE)
        for part in fresh:
            part[:: 4096 // part.itemsize] = 0.5  # the first touch of every page
        _kernels.block_norms(*fresh, 1)

    touched = best_seconds(held)
    re, im = _kernels.allocate_state(_WIDE)
    re[:] = 2.0 ** (-_WIDE / 2)
    im[:] = 0.0
    high = _WIDE - (BLOCK_BITS - _CHUNK_BITS)
    local = [*range(_CHUNK_BITS), *range(high, _WIDE)]
    gather = _kernels.Stage(_WIDE, local)
    swept = best_seconds(lambda: gather.run(re, im, threads))
    dense = _kernels.Stage(_WIDE, local)
    gates = 12
    for k in range(gates):
        dense.two(local[k], local[k + 3], _unitary(k))
    computed = best_seconds(lambda: dense.run(re, im, threads)) - swept
    share = threads / float(1 << _WIDE)
    return {
        "seconds_per_amplitude_pass": swept * share,
        "seconds_per_amplitude_gate": max(computed, swept / 10) / gates * share,
        "seconds_per_amplitude_held": touched / float(1 << _WIDE),
    }


def _unitary(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4, 2)) @ np.array([1, 1j]))[0]


def _fusing(rows: int) -> Iterable[Row]:
    for k in range(rows):
        if k % 3 == 2:
            yield "cx", (0, 1), ()
        else:
            yield ("ry", "rz")[k % 2], (k % 2,), (0.1 + k % 7,)


def _all_h(num_qubits: int) -> list[Row]:
    return [("h", (qubit,), ()) for qubit in range(num_qubits)]


def _chain(num_qubits: int, rows: int) -> Iterable[Row]:
    """Gates that share no pair with their neighbors."""
    yield from _all_h(num_qubits)
    for k in range(rows):
        qubit = k % num_qubits
        yield ("cry", "rzz", "cx")[k % 3], (qubit, (qubit + 1) % num_qubits), () if k % 3 == 2 else (0.3 + k % 5,)


def _matrices(num_qubits: int, gates: int) -> Iterable[Row]:
    for k in range(gates):
        entries = _unitary(k).ravel().view(np.float64)
        yield "unitary", (k % num_qubits, (k * 5 + 3) % num_qubits), tuple(entries.tolist())


def _program(num_qubits: int, rows: Iterable[Row], collapsed: Sequence[int] = (), measured: int = 0) -> Program:
    """A program of `rows`; after those in `collapsed` qubit 0 is measured and acted on, and at the end the first
    `measured` qubits are."""
    opcode: list[int] = []
    start, param_start, qubits, params, clbit = [0], [0], [], [], []

    def add(name: str, on: tuple[int, ...], values: tuple[float, ...] = (), bit: int = -1) -> None:
        opcode.append(OPCODES[name])
        qubits.extend(on)
        params.extend(values)
        start.append(len(qubits))
        param_start.append(len(params))
        clbit.append(bit)

    for k, row in enumerate(rows):
        if len(set(row[1])) == len(row[1]):
            add(*row)
        if k in collapsed:
            add("measure", (0,), (), 0)
            add("ry", (0,), (0.8,))
    for qubit in range(measured):
        add("measure", (qubit,), (), qubit)
    return Program(
        num_qubits,
        max(measured, 1),
        np.array(opcode, dtype=np.uint8),
        np.array(start, dtype=np.int32),
        np.array(qubits, dtype=np.int32),
        np.array(param_start, dtype=np.int32),
        np.array(params, dtype=np.float64),
        np.array(clbit, dtype=np.int32),
        np.full(len(opcode), -1, dtype=np.int32),
    )


def _run(program: Program, shots: int, threads: int) -> None:
    """As `StateVectorEngine.run` does it."""
    _kernels.dense_outline(program, shots)
    running = _kernels.DenseRun(program, shots, 1, threads, 1 << 40)
    while not running.advance(0.02):
        pass
    running.counts()
