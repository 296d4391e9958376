"""A circuit as arrays: one row per operation, ready for compiled code, quick to send to a worker.

In: rows. Out: `Program`. Loops are unrolled, definitions opened, barriers, delays, identities and global
phases left out. `OPERATIONS` lists what a row can be; src/cpp/circuit.hpp numbers them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = ["MEASURE", "OPCODES", "OPERATIONS", "RESET", "Condition", "Operation", "Program"]


class Operation(NamedTuple):
    """A kind of row: how many qubits and parameters it has, -1 where a row says so itself."""

    name: str
    num_qubits: int
    num_params: int


OPERATIONS: tuple[Operation, ...] = (
    Operation("measure", 1, 0),
    Operation("reset", 1, 0),
    *(Operation(name, 1, 0) for name in ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg")),
    *(Operation(name, 1, 1) for name in ("rx", "ry", "rz", "p")),
    Operation("r", 1, 2),
    Operation("u", 1, 3),
    *(Operation(name, 2, 0) for name in ("cx", "cy", "cz", "ch", "cs", "csdg", "csx")),
    *(Operation(name, 2, 1) for name in ("cp", "crx", "cry", "crz")),
    Operation("cu", 2, 4),
    *(Operation(name, 2, 0) for name in ("swap", "iswap", "ecr", "dcx")),
    *(Operation(name, 2, 1) for name in ("rxx", "ryy", "rzz", "rzx")),
    *(Operation(name, 2, 2) for name in ("xx_minus_yy", "xx_plus_yy")),
    *(Operation(name, 3, 0) for name in ("ccx", "ccz", "cswap")),
    Operation("mcx", -1, 0),  # controls, then the target
    Operation("mcp", -1, 1),  # a phase where all its qubits are 1
    Operation("mcu", -1, 8),  # controls, then the target; the target's 2 × 2 matrix
    Operation("unitary", -1, -1),  # 2^k × 2^k matrix, row by row, real and imaginary parts alternating
    Operation("diagonal", -1, -1),  # 2^k entries, real and imaginary parts alternating
)
OPCODES: Mapping[str, int] = {operation.name: code for code, operation in enumerate(OPERATIONS)}
MEASURE, RESET = OPCODES["measure"], OPCODES["reset"]


class Condition(NamedTuple):
    """Classical bits `bits` (least significant first) hold `value`, or, if `negated`, do not."""

    bits: tuple[int, ...]
    value: int
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Rows 0 to len-1 in program order, all qubits and classical bits starting in 0.

    Row i is operation `OPERATIONS[opcode[i]]` on qubits `qubits[qubit_start[i]:qubit_start[i + 1]]` (the first
    one least significant in a matrix, as in Qiskit) with parameters `params[param_start[i]:param_start[i + 1]]`.
    `clbit[i]` is the bit that a measurement writes, else -1. `guard[i]` is -1, or the row runs only where all
    conditions of `guards[guard[i]]` hold when it is reached.

    Arrays: opcode uint8; qubit_start, qubits, param_start, clbit, guard int32; params float64.
    `num_qubits` may be more than the circuit has: the last ones hold what is measured into a bit that an if
    statement tests, until the statement ends.
    `obstacle` says what of the circuit no row can express ("" if nothing): then only an engine that reads the
    circuit itself can run it.
    """

    num_qubits: int
    num_clbits: int
    opcode: np.ndarray
    qubit_start: np.ndarray
    qubits: np.ndarray
    param_start: np.ndarray
    params: np.ndarray
    clbit: np.ndarray
    guard: np.ndarray
    guards: tuple[tuple[Condition, ...], ...] = ()
    obstacle: str = ""

    def __len__(self) -> int:
        return len(self.opcode)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.opcode, self.qubit_start, self.qubits, self.param_start, self.params, self.clbit, self.guard)
        return sum(array.nbytes for array in arrays)

    def qubits_of(self, row: int) -> tuple[int, ...]:
        """Qubits of one row; for many rows use the arrays."""
        return tuple(self.qubits[self.qubit_start[row] : self.qubit_start[row + 1]].tolist())

    def params_of(self, row: int) -> tuple[float, ...]:
        """Parameters of one row."""
        return tuple(self.params[self.param_start[row] : self.param_start[row + 1]].tolist())

    def name_of(self, row: int) -> str:
        """Name of one row's operation."""
        return OPERATIONS[self.opcode[row]].name

    def guard_arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`guards` for compiled code: (set_start, negated, bit_start, bits, wanted).

        Guard g has conditions set_start[g] to set_start[g + 1]; condition k compares bits
        bits[bit_start[k]:bit_start[k + 1]] with `wanted` and is turned around where `negated[k]`.
        """
        set_start, negated, bit_start, bits, wanted = [0], [], [0], [], []
        for conditions in self.guards:
            for condition in conditions:
                negated.append(condition.negated)
                bits.extend(condition.bits)
                wanted.extend(condition.value >> place & 1 for place in range(len(condition.bits)))
                # A value that the bits cannot hold never compares equal: an impossible pair says so.
                if condition.value >> len(condition.bits):
                    bits.extend((condition.bits or (0,))[:1] * 2)
                    wanted.extend((0, 1))
                bit_start.append(len(bits))
            set_start.append(len(negated))
        return (
            np.array(set_start, dtype=np.int32),
            np.array(negated, dtype=np.uint8),
            np.array(bit_start, dtype=np.int32),
            np.array(bits, dtype=np.int32),
            np.array(wanted, dtype=np.uint8),
        )
