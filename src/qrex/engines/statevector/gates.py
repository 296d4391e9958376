"""Gates as the kernels know them, and what each costs.

In: 2x2 and 4x4 unitaries. Out: `Phases`, `One`, `Select` and `Two`, each with the wires that must be local
(`dense`) and those it is diagonal on (`zed`) as bit masks. Matrix index bit j belongs to the j-th wire of the
gate, the first least significant. A global phase is dropped wherever it appears.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "CONTROLS_HIGH",
    "CONTROLS_LOW",
    "CROSS",
    "DIAGONAL_HIGH",
    "DIAGONAL_LOW",
    "PERMUTATION",
    "REAL",
    "Gate",
    "One",
    "Phases",
    "Select",
    "Two",
    "matrix_flags",
    "modelled_cost",
    "snapped",
    "to_gates",
]

# Properties that a product has when both factors have them: a product's flags are the AND of its factors'.
DIAGONAL_LOW, DIAGONAL_HIGH = 1, 2  # diagonal on the first, on the second wire
REAL = 4
CROSS = 8  # entry (r, c) is real when r and c differ in an even number of bits, imaginary otherwise (RX)
CONTROLS_LOW, CONTROLS_HIGH = 16, 32  # identity where the first (second) wire is 0, and diagonal on it
PERMUTATION = 64

_ZERO = 1e-12  # five decades under float32's rounding


@dataclass(frozen=True, slots=True)
class Phases:
    """exp(i Σ angles[k] · [x contains masks[k]])."""

    masks: tuple[int, ...]
    angles: tuple[float, ...]
    dense: int
    zed: int
    cost: float


@dataclass(frozen=True, slots=True)
class One:
    """`matrix` (2x2) on `target` where (x & control_mask) == control_value."""

    target: int
    matrix: np.ndarray
    control_mask: int
    control_value: int
    dense: int
    zed: int
    cost: float


@dataclass(frozen=True, slots=True)
class Select:
    """`matrices[b]` (2x2) on `target` where the bit of `selector` is b."""

    selector: int
    target: int
    matrices: np.ndarray
    dense: int
    zed: int
    cost: float


@dataclass(frozen=True, slots=True)
class Two:
    """`matrix` (4x4) on wires `low` and `high`."""

    low: int
    high: int
    matrix: np.ndarray
    dense: int
    zed: int
    cost: float


Gate = Phases | One | Select | Two


def _cost_of_flags(flags: int, two_wires: bool) -> float:
    # Multiply-adds per amplitude and the traffic between cache and registers, in the same unit: measured on
    # AVX2, where a dense two-qubit gate is 16. Only ratios matter, and only to choose what to fuse.
    cheap = bool(flags & (REAL | CROSS))
    if flags & DIAGONAL_LOW and (flags & DIAGONAL_HIGH or not two_wires):
        return 1.0  # it shares one sweep with its neighbors
    if not two_wires:
        return 6.8 if cheap else 9.3
    if flags & (DIAGONAL_LOW | DIAGONAL_HIGH):
        if flags & (CONTROLS_LOW | CONTROLS_HIGH):
            return 2.6 if flags & PERMUTATION else 3.8 if cheap else 5.0
        return 7.4 if cheap else 9.8
    return 10.0 if flags & REAL else 16.0


_COSTS = tuple(tuple(_cost_of_flags(flags, two_wires) for flags in range(128)) for two_wires in (False, True))


def modelled_cost(flags: int, num_wires: int) -> float:
    """Cost of a gate with `flags` on `num_wires` (1 or 2) wires; a dense complex two-qubit gate costs 16."""
    return _COSTS[num_wires - 1][flags]


def snapped(matrix: np.ndarray) -> np.ndarray:
    """`matrix` with its first nonzero entry made real and positive, and entries below 1e-12 made zero."""
    lead = next(value for value in matrix[0].tolist() if abs(value) > 1e-6)
    out = matrix * (abs(lead) / lead)
    out.real[np.abs(out.real) < _ZERO] = 0.0
    out.imag[np.abs(out.imag) < _ZERO] = 0.0
    return out


def matrix_flags(matrix: np.ndarray) -> int:
    """Flags of a snapped 2x2 (second wire's flags unset) or 4x4 matrix."""
    # Plain Python: at this size one NumPy call costs more than the whole loop.
    rows = matrix.tolist()
    size = len(rows)
    flags = REAL | CROSS | PERMUTATION | DIAGONAL_LOW | (DIAGONAL_HIGH if size == 4 else 0)
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if value == 0:
                continue
            differ = r ^ c
            if value.imag:
                flags &= ~(REAL | PERMUTATION)
            elif value != 1:
                flags &= ~PERMUTATION
            if (value.real if differ in (1, 2) else value.imag) != 0:
                flags &= ~CROSS
            flags &= ~differ  # DIAGONAL_LOW is bit 0 and DIAGONAL_HIGH bit 1, as the bits of an index
    if size == 4:
        if flags & DIAGONAL_LOW and _is_identity(rows[0][0], rows[0][2], rows[2][0], rows[2][2]):
            flags |= CONTROLS_LOW
        if flags & DIAGONAL_HIGH and _is_identity(rows[0][0], rows[0][1], rows[1][0], rows[1][1]):
            flags |= CONTROLS_HIGH
    return flags


def _is_identity(a: complex, b: complex, c: complex, d: complex) -> bool:
    return abs(a - 1) < _ZERO and abs(b) < _ZERO and abs(c) < _ZERO and abs(d - 1) < _ZERO


def _phases(terms: list[tuple[int, float]]) -> list[Gate]:
    kept = [(mask, angle) for mask, angle in terms if abs(math.remainder(angle, math.tau)) > _ZERO]
    if not kept:
        return []
    zed = 0
    for mask, _ in kept:
        zed |= mask
    return [Phases(tuple(m for m, _ in kept), tuple(a for _, a in kept), 0, zed, 1.0)]


def to_gates(matrix: np.ndarray, flags: int, wires: tuple[int, ...]) -> list[Gate]:
    """The kernels' form of a snapped matrix with `flags` on one or two `wires`: no gate for the identity."""
    cost = modelled_cost(flags, len(wires))
    if len(wires) == 1:
        (wire,) = wires
        if flags & DIAGONAL_LOW:
            return _phases([(1 << wire, cmath.phase(matrix[1, 1]) - cmath.phase(matrix[0, 0]))])
        return [One(wire, matrix, 0, 0, 1 << wire, 0, cost)]
    low, high = 1 << wires[0], 1 << wires[1]
    if flags & DIAGONAL_LOW and flags & DIAGONAL_HIGH:
        p = [cmath.phase(matrix[k, k]) for k in range(4)]
        return _phases([(low, p[1] - p[0]), (high, p[2] - p[0]), (low | high, p[3] - p[2] - p[1] + p[0])])
    if flags & DIAGONAL_LOW:
        return [_selected(matrix[0::2, 0::2], matrix[1::2, 1::2], wires[0], wires[1], cost)]
    if flags & DIAGONAL_HIGH:
        return [_selected(matrix[:2, :2], matrix[2:, 2:], wires[1], wires[0], cost)]
    return [Two(wires[0], wires[1], matrix, low | high, 0, cost)]


def _selected(zero: np.ndarray, one: np.ndarray, selector: int, target: int, cost: float) -> Gate:
    control, dense = 1 << selector, 1 << target
    if np.abs(zero - one).max() <= _ZERO:
        return One(target, np.ascontiguousarray(one), 0, 0, dense, 0, cost)
    if _is_identity(*zero.ravel().tolist()):
        return One(target, np.ascontiguousarray(one), control, control, dense, control, cost)
    if _is_identity(*one.ravel().tolist()):
        return One(target, np.ascontiguousarray(zero), control, 0, dense, control, cost)
    return Select(selector, target, np.array([zero, one]), dense, control, cost)
