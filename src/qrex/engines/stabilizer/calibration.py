"""Measures the cost constants of the stabilizer engine with small runs, about 0.3 s.

Each constant is what one run of two takes longer than the other, over what it does more.
"""

from __future__ import annotations

import numpy as np
import stim

from qrex.circuits.program import OPCODES, Program
from qrex.engines.bits import count_packed_rows
from qrex.engines.constants import best_seconds
from qrex.engines.stabilizer.conversion import to_stim

__all__ = ["measured_constants"]

_SMALLEST = 1e-13  # seconds: a difference of two noisy times must not turn into a negative constant


def measured_constants() -> dict[str, float]:
    """The constants by name, in seconds."""
    little, wide, deep, bare = _brickwork(2, 1), _brickwork(200, 8), _brickwork(200, 40), _brickwork(400, 0)
    fixed = best_seconds(lambda: _answer(little, 1), 5)
    row = _over(lambda: to_stim(deep), lambda: to_stim(wide), len(deep) - len(wide))
    little_circuit, circuit, deep_circuit, measures = (to_stim(p)[0] for p in (little, wide, deep, bare))
    way = best_seconds(lambda: little_circuit.compile_sampler(seed=1), 5)
    cells = 200 * (len(deep) - len(wide))
    cell = _over(lambda: deep_circuit.compile_sampler(seed=1), lambda: circuit.compile_sampler(seed=1), cells)
    collapse = best_seconds(lambda: measures.compile_sampler(seed=1), 5) / 400**2
    shots = 8192
    draw, deep_draw = (_draw(c, shots) for c in (circuit, deep_circuit))
    frame = max(_SMALLEST, (deep_draw - draw) / (shots * (len(deep) - len(wide))))
    bit = max(_SMALLEST, draw - frame * shots * len(wide)) / (shots * 200)
    counting = _counting()
    shot = counting["shot"] + max(0.0, _draw(little_circuit, 8 * shots) / (8 * shots) - 2 * bit)
    return {
        "fixed": fixed,
        "row": row,
        "way": way,
        "cell": cell,
        "collapse": collapse,
        "bit": bit,
        "frame": frame,
        **counting,
        "shot": shot,
    }


def _counting() -> dict[str, float]:
    """Rows of one value, narrow and wide, and of all different values, narrow and wide."""
    random = np.random.default_rng(1)
    shots, narrow, wide = 4096, 80, 480
    same, tiny = np.zeros((shots, wide // 8), dtype=np.uint8), np.zeros((8 * shots, 1), dtype=np.uint8)
    alone = _count(tiny) / (8 * shots)
    few, many = (random.integers(0, 256, (shots, width // 8), dtype=np.uint8) for width in (narrow, wide))
    seen, small, large = (_count(packed) / shots for packed in (same, few, many))
    seen = max(_SMALLEST, seen - alone) / wide
    letter = max(_SMALLEST, (large - small) / (wide - narrow) - seen)
    outcome = max(_SMALLEST, small - alone - (seen + letter) * narrow)
    return {"shot": alone, "seen": seen, "outcome": outcome, "letter": letter}


def _count(packed: np.ndarray) -> float:
    width = 8 * packed.shape[1]
    columns = {bit: bit for bit in range(width)}
    return best_seconds(lambda: count_packed_rows(packed, columns, width), 5)


def _answer(program: Program, shots: int) -> None:
    circuit, columns = to_stim(program)
    count_packed_rows(circuit.compile_sampler(seed=1).sample_bit_packed(shots), columns, program.num_clbits)


def _draw(circuit: stim.Circuit, shots: int) -> float:
    sampler = circuit.compile_sampler(seed=1)
    return best_seconds(lambda: sampler.sample_bit_packed(shots))


def _over(longer, shorter, units: int) -> float:
    return max(_SMALLEST, (best_seconds(longer, 5) - best_seconds(shorter, 5)) / units)


def _brickwork(num_qubits: int, layers: int) -> Program:
    """Layers of one-qubit gates that change along the row, as in most circuits, and of CX; all measured."""
    rows: list[tuple[str, tuple[int, ...], int]] = []
    for layer in range(layers):
        rows += [(("h", "s", "sx")[qubit % 3], (qubit,), -1) for qubit in range(num_qubits)]
        rows += [("cx", (left, left + 1), -1) for left in range(layer % 2, num_qubits - 1, 2)]
    rows += [("measure", (qubit,), qubit) for qubit in range(num_qubits)]
    starts = np.cumsum([0] + [len(qubits) for _, qubits, _ in rows])
    return Program(
        num_qubits,
        num_qubits,
        np.array([OPCODES[name] for name, _, _ in rows], dtype=np.uint8),
        starts.astype(np.int32),
        np.array([qubit for _, qubits, _ in rows for qubit in qubits], dtype=np.int32),
        np.zeros(len(rows) + 1, dtype=np.int32),
        np.zeros(0),
        np.array([clbit for _, _, clbit in rows], dtype=np.int32),
        np.full(len(rows), -1, dtype=np.int32),
    )
