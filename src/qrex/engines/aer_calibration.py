"""Measures the cost constants of Aer's methods with small runs.

In: how many threads a run will get. Out: constants by engine name, as `aer_costs` uses them. About three
seconds on a quiet machine. Methods that share code share its measurement.
"""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit

from qrex.circuits import Circuit
from qrex.engines.aer import AerEngine, AerMethod
from qrex.engines.aer_costs import CONSTANT_NAMES
from qrex.engines.constants import best_seconds
from qrex.engines.protocol import Allotment, Job

__all__ = ["calibrate_aer"]

_SMALLEST = 1e-12  # seconds: a difference of two noisy times must not turn into a negative constant


def calibrate_aer(threads: int) -> dict[str, dict[str, float]]:
    """Constants of every Aer engine, e.g. {"aer-mps": {"fixed": …}}."""
    dense, tableau = _dense(threads), _tableau()
    matrix = _density_matrix(dense["draw"])
    shared = {"automatic": dense | tableau, "statevector": dense, "density-matrix": matrix, "stabilizer": tableau}
    shared["mps"] = {}
    measured: dict[str, dict[str, float]] = {}
    for method, constants in shared.items():
        overhead = _overhead(method)
        own = _matrix_product(overhead) if method == "mps" else constants
        both = own | overhead
        measured[f"aer-{method}"] = {name: both[name] for name in CONSTANT_NAMES[method]}
    return measured


def _overhead(method: AerMethod) -> dict[str, float]:
    """Seconds of a run of next to nothing, and of each further instruction."""
    # The transpiler, which only the baseline calls, takes long; the first call also loads it.
    repeats = 2 if method == "automatic" else 3
    fixed = _seconds(method, _brickwork(2, 1, clifford=True), 1, 1, repeats)
    # Bricks keep the transpiler from merging everything; a matrix product state pays for them elsewhere.
    steps = _brickwork(4, 50, clifford=True, bricks=method != "mps")
    return {"fixed": fixed, "step": _positive(_seconds(method, steps, 1, 1, repeats) - fixed) / len(steps.data)}


def _dense(threads: int) -> dict[str, float]:
    """Ladders of CX stand between the gates that Aer's fusion merges best and those that it cannot merge."""
    wide, layers = 17, 3
    empty, ladders, phases = _brickwork(wide, 0), _ladders(wide, layers), _phases(wide, layers)
    bare = _seconds("statevector", empty, 1, 1)
    amplitude_blocks = layers * (wide - 1) * 2**wide
    one = _positive(_seconds("statevector", ladders, 1, 1) - bare)
    many = _positive(_seconds("statevector", ladders, threads, 1) - bare) if threads > 1 else one
    pairs = sum(wide - 1 - layer for layer in range(layers))
    diagonal = _positive(_seconds("statevector", phases, 1, 1) - bare) / (pairs * 2**wide)
    small, shots = _brickwork(8, 4), 4000
    drawn = _seconds("statevector", small, 1, shots) - _seconds("statevector", small, 1, 1)
    return {
        "block_one_thread": one / amplitude_blocks,
        "block_all_threads": many / amplitude_blocks,
        "diagonal": diagonal,
        "draw": _positive(drawn) / shots,
    }


def _density_matrix(draw: float) -> dict[str, float]:
    wide, layers = 8, 3
    spent = _seconds("density-matrix", _ladders(wide, layers), 1, 1) - _seconds(
        "density-matrix", _brickwork(wide, 0), 1, 1
    )
    return {"entry": _positive(spent) / (layers * (wide - 1) * 4**wide), "draw": draw}


def _tableau() -> dict[str, float]:
    qubits, shots = 60, 200
    circuit = _brickwork(qubits, 2, clifford=True)
    drawn = _seconds("stabilizer", circuit, 1, 1 + shots) - _seconds("stabilizer", circuit, 1, 1)
    return {"cell": _positive(drawn) / (shots * qubits * qubits)}


def _matrix_product(overhead: dict[str, float]) -> dict[str, float]:
    """Four runs of one gate family, each dominated by one term of the model."""
    shots = 400
    flat = _brickwork(60, 4)
    once, often = _seconds("mps", flat, 1, 1), _seconds("mps", flat, 1, 1 + shots)
    site = _positive(often - once) / (shots * 60)
    update = _positive(once - overhead["fixed"] - overhead["step"] * len(flat.data)) / (4 * 59 / 2)
    wide, layers = 14, 16
    deep = _brickwork(wide, layers)
    deep_once, deep_often = _seconds("mps", deep, 1, 1), _seconds("mps", deep, 1, 1 + shots)
    sides = [min(cut, wide - cut) for cut in range(wide)]
    # The bonds fill up over the layers: charge each layer with what it can have reached.
    work = sum(8 ** min(side, layer) for layer in range(1, layers + 1) for side in sides[1:]) / 2
    squares = sum(4**side for side in sides)
    spent = overhead["fixed"] + overhead["step"] * len(deep.data) + update * layers * (wide - 1) / 2
    return {
        "update": update,
        "work": _positive(deep_once - spent) / work,
        "site": site,
        "element": _positive((deep_often - deep_once) / shots - site * wide) / squares,
    }


def _positive(seconds: float) -> float:
    return max(_SMALLEST, seconds)


def _seconds(method: AerMethod, circuit: QuantumCircuit, threads: int, shots: int, repeats: int = 3) -> float:
    named = Circuit("calibration", "calibration", "<python>", "Qiskit", circuit, shots=shots)
    engine = AerEngine({}, method)
    allotment = Allotment(threads=threads, memory_bytes=1 << 32)
    return best_seconds(lambda: engine.run(Job(named, shots, 1), allotment, lambda fraction: None), repeats)


def _brickwork(
    num_qubits: int, layers: int, *, clifford: bool = False, bricks: bool = True
) -> QuantumCircuit:
    """Layers of one-qubit gates and CX bricks, measured: the same circuit at every call."""
    random = np.random.default_rng(7)
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            if clifford:
                circuit.h(qubit)
            else:
                circuit.u(*random.uniform(0.3, 2.8, 3), qubit)
        for left in range(layer % 2, num_qubits - 1, 2) if bricks else ():
            circuit.cx(left, left + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def _ladders(num_qubits: int, layers: int) -> QuantumCircuit:
    """Layers of one-qubit gates and a CX from each qubit to the next, measured."""
    random = np.random.default_rng(7)
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for _ in range(layers):
        for qubit in range(num_qubits):
            circuit.u(*random.uniform(0.3, 2.8, 3), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def _phases(num_qubits: int, layers: int) -> QuantumCircuit:
    """The first layers of a Fourier transform, measured."""
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        circuit.h(layer)
        for qubit in range(layer + 1, num_qubits):
            circuit.cp(np.pi / 2 ** (qubit - layer), layer, qubit)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit
