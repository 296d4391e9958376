"""Clifford gates, recognized also when they are written as rotations.

In: a gate's name and angles (or its matrix). Out: the same gate as stim operations on local qubit numbers, or
None when it is not Clifford. Angles count as multiples of π/2 within `ANGLE_TOLERANCE`. Recognized gates are
remembered, so a long circuit costs one dictionary look-up per gate.

Method: up to a phase a Clifford unitary has entries of one magnitude whose ratios are powers of i
(Dehaene and De Moor, quant-ph/0304125); entries are snapped to that grid and stim verifies the tableau.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import stim
from qiskit.circuit.library import get_standard_gate_name_mapping

__all__ = ["ANGLE_TOLERANCE", "clifford_of_matrix", "clifford_operations", "is_pauli"]

ANGLE_TOLERANCE = 1e-9

Operations = tuple[tuple[str, tuple[int, ...]], ...]

_FIXED: dict[str, Operations] = {
    "id": (),
    "x": (("X", (0,)),),
    "y": (("Y", (0,)),),
    "z": (("Z", (0,)),),
    "h": (("H", (0,)),),
    "s": (("S", (0,)),),
    "sdg": (("S_DAG", (0,)),),
    "sx": (("SQRT_X", (0,)),),
    "sxdg": (("SQRT_X_DAG", (0,)),),
    "cx": (("CX", (0, 1)),),
    "cy": (("CY", (0, 1)),),
    "cz": (("CZ", (0, 1)),),
    "swap": (("SWAP", (0, 1)),),
    "iswap": (("ISWAP", (0, 1)),),
}
_NEVER = frozenset(["t", "tdg", "ch", "cs", "csdg", "csx", "ccx", "ccz", "cswap", "rccx"])
# A first angle that is no multiple of π/2 rules these out, whatever the others are.
_FIRST_ANGLE_RULES = frozenset(["rx", "ry", "rz", "p", "u1", "r", "u", "u3"]) | frozenset(
    ["rxx", "ryy", "rzz", "rzx", "cp", "cu1", "crx", "cry", "crz", "cu", "cu3"]
)


def clifford_operations(name: str, params: tuple[float, ...]) -> Operations | None:
    """The standard gate `name(*params)` as stim operations on qubits 0, 1, …, or None.

    >>> clifford_operations("rz", (math.pi / 2,))
    (('S', (0,)),)
    >>> clifford_operations("cp", (0.3,)) is None
    True
    """
    fixed = _FIXED.get(name)
    if fixed is not None:
        return fixed
    if name in _NEVER or (params and not _could_be_clifford(name, params)):
        return None
    return _from_standard_gate(name, params)


def _quarter_turns(angle: float) -> int | None:
    turns = angle / (math.pi / 2)
    nearest = round(turns)
    return nearest if abs(turns - nearest) * (math.pi / 2) <= ANGLE_TOLERANCE else None


def _could_be_clifford(name: str, params: tuple[float, ...]) -> bool:
    if name in _FIRST_ANGLE_RULES:
        theta = _quarter_turns(params[0])
        if theta is None:
            return False
        if name in ("u", "u3"):
            if theta % 2:
                return _quarter_turns(params[1]) is not None and _quarter_turns(params[2]) is not None
            return _quarter_turns(params[1] + params[2] * (1 if theta % 4 == 0 else -1)) is not None
    return name != "u2" or None not in (_quarter_turns(params[0]), _quarter_turns(params[1]))


@functools.lru_cache(maxsize=16384)
def _from_standard_gate(name: str, params: tuple[float, ...]) -> Operations | None:
    template = _standard_gates().get(name)
    if template is None or template.num_qubits > 2 or not hasattr(template, "to_matrix"):
        return None
    gate = type(template)(*params) if params else template
    return clifford_of_matrix(np.asarray(gate.to_matrix()))


@functools.cache
def _standard_gates() -> dict:
    return get_standard_gate_name_mapping()


def clifford_of_matrix(matrix: np.ndarray) -> Operations | None:
    """`matrix` (2^k × 2^k, qubit 0 least significant, k ≤ 2) as stim operations up to phase, or None."""
    dimension = matrix.shape[0]
    if dimension > 4:
        return None
    magnitudes = np.abs(matrix)
    filled = magnitudes > 1e-6
    size = 1 / math.sqrt(np.count_nonzero(filled[0]))
    if np.abs(magnitudes[filled] - size).max() > ANGLE_TOLERANCE or magnitudes[~filled].max(initial=0) > 1e-9:
        return None
    pivot = matrix[0][filled[0]][0]
    ratios = matrix / pivot
    snapped = np.round(ratios.real) + 1j * np.round(ratios.imag)
    # An angle that is off by δ moves a ratio by at most 2δ (two half-angle phases on each side).
    if np.abs(ratios - snapped).max() > 2 * ANGLE_TOLERANCE + 1e-12:
        return None
    try:
        tableau = stim.Tableau.from_unitary_matrix((snapped * size).astype(np.complex64), endian="little")
    except ValueError:
        return None
    return (
        tuple(
            (operation.name, tuple(target.value for target in group))
            for operation in tableau.to_circuit()
            for group in operation.target_groups()
        )
        if dimension > 2
        else _shortest_one_qubit(tableau)
    )


def _shortest_one_qubit(tableau: stim.Tableau) -> Operations:
    return _one_qubit_names()[str(tableau)]


@functools.cache
def _one_qubit_names() -> dict[str, Operations]:
    """All 24 one-qubit Cliffords by their tableau, each a single stim gate (none for the identity)."""
    names: dict[str, Operations] = {}
    for name, data in stim.gate_data().items():
        if data.is_unitary and data.is_single_qubit_gate:
            names.setdefault(str(data.tableau), () if name == "I" else ((name, (0,)),))
    return names


def is_pauli(operations: Operations) -> bool:
    """Whether the operations are nothing but Paulis, so that stim can apply them under a measured bit."""
    return all(name in ("I", "X", "Y", "Z") for name, _ in operations)
