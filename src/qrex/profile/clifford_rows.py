"""What a stabilizer simulation makes of a program: which rows are Clifford, which conditions it can follow.

In: a `Program`. Out: `CliffordRows`. O(rows) in compiled code, and some 2 µs for each distinct gate, guarded
row and, where there are guards, measurement. Paulis under one measured bit are followed for all shots at once.
Any other row under measured bits makes the shots part ways: the measurements and resets before it are counted
in `forks`; there are at most 2 to that power ways, and never more than shots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qrex import _kernels
from qrex.circuits.program import OPERATIONS, Program
from qrex.profile.clifford import Operations, clifford_of_matrix, clifford_operations, is_pauli
from qrex.profile.feedback import resolve_guard

__all__ = ["MEASURE_GATE", "PLAIN", "SKIP", "CliffordRows", "Followed", "follow_guards", "read_clifford"]

MEASURE_GATE = -1
SKIP, PLAIN = -1, 0
_NONE = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Rows from `begin` on, with their conditions resolved.

    action[row]: SKIP, PLAIN, or 2 · record + value + 1 for a Pauli that acts where that record holds the value;
    empty where all rows are plain. `columns`: the record that each classical bit holds in the end. `branching_row`
    is the last row that makes shots part ways, -1 if none; actions and records beyond it mean nothing.
    """

    action: np.ndarray
    columns: Mapping[int, int]
    records: int
    branching_row: int
    forks: int


@dataclass(frozen=True, slots=True, eq=False)
class CliffordRows:
    """gate[row] numbers equal gates (-1 a measurement, -2 a reset); `operations[gate]` are its stim operations on
    its own qubits, or None where it is not Clifford. `non_clifford` counts rows; `obstacle` is why a stabilizer
    simulation cannot run the program, "" if it can."""

    gate: np.ndarray
    operations: tuple[Operations | None, ...]
    followed: Followed
    non_clifford: int
    obstacle: str


def read_clifford(program: Program) -> CliffordRows:
    """Recognize every gate of `program` and resolve its conditions.

    >>> from qiskit import QuantumCircuit
    >>> from qrex.circuits.flattening import flatten
    >>> bell = QuantumCircuit(2)
    >>> bell.h(0); bell.cx(0, 1); bell.rz(0.1, 1)  # doctest: +ELLIPSIS
    <...>
    <...>
    <...>
    >>> read_clifford(flatten(bell)).obstacle
    'rz(0.1) is not a Clifford gate'
    """
    gate, first = _kernels.distinct_gates(program)
    operations = tuple(_operations(program, row) for row in first.tolist())
    followed = follow_guards(program, gate, operations)
    bad = np.array([found is None for found in operations] + [False, False])
    foreign = bad[gate]  # measurements and resets index the two at the end
    if len(followed.action):
        foreign &= followed.action != SKIP
    obstacle = program.obstacle
    if not obstacle and foreign.any():
        obstacle = f"{_shown(program, int(np.argmax(foreign)))} is not a Clifford gate"
    return CliffordRows(gate, operations, followed, int(np.count_nonzero(foreign)), obstacle)


def follow_guards(
    program: Program,
    gate: np.ndarray,
    operations: tuple[Operations | None, ...],
    begin: int = 0,
    known: Mapping[int, int] | None = None,
) -> Followed:
    """Resolve the conditions of rows from `begin` on; `known` are the bits written before, with their values.
    Records are counted from 0 at `begin`."""
    measured = np.flatnonzero(gate[begin:] == MEASURE_GATE) + begin
    guarded = np.flatnonzero(program.guard[begin:] >= 0) + begin
    if not len(guarded):
        columns = dict(zip(program.clbit[measured].tolist(), range(len(measured)), strict=True))
        return Followed(_NONE, columns, len(measured), -1, 0)
    action = np.zeros(len(program), dtype=np.int32)
    values: dict[int, int | None] = dict(known or {})
    columns = {}
    records, branching_row = 0, -1
    resolved: dict[tuple[int, int], tuple] = {}
    guards, clbits, kinds = program.guard.tolist(), program.clbit.tolist(), gate.tolist()
    live = 0  # bits that became unknown: what a guard comes down to changes only with it
    for row in np.union1d(measured, guarded).tolist():
        guard, kind = guards[row], kinds[row]
        if guard >= 0:
            key = (guard, live)
            if key not in resolved:
                resolved[key] = resolve_guard(program.guards[guard], values)
            bit, value, single = resolved[key]
            if single and bit is None:
                if not value:
                    action[row] = SKIP
                    continue
            elif single and kind >= 0 and (found := operations[kind]) is not None and is_pauli(found):
                action[row] = 2 * columns[bit] + value + 1
            else:
                branching_row = row
        if kind == MEASURE_GATE:
            clbit = clbits[row]
            if values.get(clbit, 0) is not None:
                values[clbit] = None
                live += 1
            columns[clbit] = records
            records += 1
    forks = int(np.count_nonzero(gate[begin : max(begin, branching_row)] < 0))
    return Followed(action, columns, records, branching_row, forks)


def _operations(program: Program, row: int) -> Operations | None:
    name = program.name_of(row)
    width = len(program.qubits_of(row))
    if width > 2:
        return None
    if OPERATIONS[program.opcode[row]].num_qubits < 0:  # controlled by any number, or a matrix
        return clifford_of_matrix(_kernels.row_matrix(program, row))
    return clifford_operations(name, program.params_of(row))


def _shown(program: Program, row: int) -> str:
    params = program.params_of(row)
    angles = f"({', '.join(f'{value:.6g}' for value in params)})" if 0 < len(params) <= 4 else ""
    width = len(program.qubits_of(row))
    return f"{program.name_of(row)}{angles}" + (f" on {width} qubits" if width > 2 else "")
