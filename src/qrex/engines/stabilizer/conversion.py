"""Programs as stim circuits.

In: a program and what `read_clifford` says of it. Out: stim circuits of any stretch of its rows, and for each
classical bit the measurement record that it holds. Some 0.3 µs per row, half of it stim's parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np
import stim

from qrex import _kernels
from qrex.circuits.program import Program
from qrex.errors import EngineError
from qrex.profile.clifford import Operations
from qrex.profile.clifford_rows import CliffordRows, read_clifford

__all__ = ["Conversion", "to_stim"]

_PAULI_UNDER_RECORD = {"X": "CX", "Y": "CY", "Z": "CZ"}


class Conversion:
    """Writes rows of one program for stim."""

    def __init__(self, program: Program, rows: CliffordRows):
        """Raises EngineError where the program is not Clifford."""
        if rows.obstacle:
            raise EngineError(f"stabilizer: {rows.obstacle}")
        self._program = program
        self._gate = rows.gate
        # A gate that only stands where it never runs may be anything: no row of it is written.
        operations: tuple[Operations, ...] = tuple(found or () for found in rows.operations)
        flat = list(chain.from_iterable(operations))
        self._names = sorted({name for name, _ in flat})
        number = {name: index for index, name in enumerate(self._names)}
        self._controlled = [_PAULI_UNDER_RECORD.get(name, "") for name in self._names]
        self._start = _integers([0, *np.cumsum([len(found) for found in operations], dtype=int)])
        self._name = _integers([number[name] for name, _ in flat])
        self._first = _integers([places[0] for _, places in flat])
        self._second = _integers([places[1] if len(places) > 1 else -1 for _, places in flat])

    def text(self, action: np.ndarray, begin: int, end: int, records: int) -> str:
        """Rows `begin` to `end` after `records` measurements; `action` as in `Followed`."""
        return _kernels.stim_text(
            self._program, self._gate, self._names, self._controlled, self._start, self._name, self._first,
            self._second, action, begin, end, records,
        )  # fmt: skip


def to_stim(program: Program) -> tuple[stim.Circuit, Mapping[int, int]]:
    """`program` for stim, and for each classical bit written the measurement record that it holds last.

    Raises EngineError on a gate that is not Clifford, and where shots must part ways (`branching`): no one
    circuit of stim holds such a program.
    """
    rows = read_clifford(program)
    conversion = Conversion(program, rows)
    if rows.followed.branching_row >= 0:
        name = program.name_of(rows.followed.branching_row)
        raise EngineError(f"stabilizer: {name} under measured bits makes shots part ways: there is no one circuit")
    return stim.Circuit(conversion.text(rows.followed.action, 0, len(program), 0)), rows.followed.columns


def _integers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int32)
