"""Measures the cost constants of matrix product runs with small circuits.

In: how many threads a run will get. Out: the constants of `costs`, in well under a second on a quiet machine. Each run
is dominated by one term of the model; what the others cost is subtracted.
"""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit

from qrex.circuits.flattening import flatten
from qrex.circuits.program import Program
from qrex.engines.constants import best_seconds
from qrex.engines.mps.run import SLICE_SECONDS, MatrixProductRun
from qrex.engines.protocol import Allotment, Job

__all__ = ["measured_constants"]

_SMALLEST = 1e-12  # seconds: a difference of two noisy times must not turn into a negative constant
_SHOTS = 400


def measured_constants(threads: int) -> dict[str, float]:
    fixed = _seconds(_brickwork(2, 1), threads, 1)
    alone = _brickwork(20, 100, bricks=False)
    row = _positive(_seconds(alone, threads, 1) - fixed) / len(alone)
    flat = _brickwork(60, 4)
    once, often = _seconds(flat, threads, 1), _seconds(flat, threads, 1 + _SHOTS)
    site = _positive(often - once) / (_SHOTS * 60)
    update = _positive(once - fixed - row * len(flat)) / (4 * 59 / 2)
    wide, layers = 12, 14
    deep = _brickwork(wide, layers)
    deep_once, deep_often = _seconds(deep, threads, 1), _seconds(deep, threads, 1 + _SHOTS)
    sides = [min(cut, wide - cut) for cut in range(wide)]
    # The bonds fill up over the layers: charge each layer with what it can have reached.
    work = sum(8.0 ** min(side, layer) for layer in range(1, layers + 1) for side in sides[1:]) / 2
    squares = sum(4.0**side for side in sides)
    spent = fixed + row * len(deep) + update * layers * (wide - 1) / 2
    return {
        "fixed": fixed,
        "row": row,
        "update": update,
        "work": _positive(deep_once - spent) / work,
        "site": site,
        "element": _positive((deep_often - deep_once) / _SHOTS - site * wide) / squares,
    }


def _positive(seconds: float) -> float:
    return max(_SMALLEST, seconds)


def _seconds(program: Program, threads: int, shots: int) -> float:
    job = Job(None, shots, 1, (), program, "calibration")
    allotment = Allotment(threads=threads, memory_bytes=1 << 30)

    def whole() -> None:
        run = MatrixProductRun(job, allotment, 0.0)
        while not run.advance(SLICE_SECONDS).done:
            pass
        run.finish(lambda fraction: None)

    return best_seconds(whole)


def _brickwork(num_qubits: int, layers: int, *, bricks: bool = True) -> Program:
    """Layers of one-qubit gates and CX bricks, measured: the same circuit at every call."""
    random = np.random.default_rng(7)
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.u(*random.uniform(0.3, 2.8, 3), qubit)
        for left in range(layer % 2, num_qubits - 1, 2) if bricks else ():
            circuit.cx(left, left + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return flatten(circuit)
