"""What a dense simulation of a program has to do, counted without doing it.

In: a program and its shots. Out: `DenseWork`. Gates are lowered, fused and planned as a run would (src/cpp/work.cpp),
one microsecond per row and `MOST_ROWS` rows at most: what follows is taken to be like them. Where measurements in
the middle split the shots, one branch is followed and counted as often as branches are expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrex.circuits.program import Program

__all__ = ["MOST_ROWS", "DenseWork", "dense_work"]

MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class DenseWork:
    """`wires` (qubits that have amplitudes at once) and `amplitudes` (held at once) are upper bounds for all outcomes.

    The others are sums over the branches that are expected: `rows` lowered, kernel `gates`, `stages` (sweeps over a
    state), gates times amplitudes in units of a dense two-qubit gate while the state is one block (`narrow`) and
    while it is larger (`wide`), `passes` over states larger than a block times their amplitudes, `collapses` times
    amplitudes, `sampled` amplitudes of final states.

    `outer[k]`: in how many stages the circuit runs, at most, if all but k + 1 qubits are in memory at once (see
    `engines.statevector.tiers`); empty for small states. Where outcomes are needed in the middle, those of all branches
    that are expected, each by its part of a whole state.
    """

    wires: int
    amplitudes: float
    branches: float
    rows: float
    gates: float
    stages: float
    narrow: float
    wide: float
    passes: float
    collapses: float
    sampled: float
    outer: tuple[int, ...] = ()


def dense_work(program: Program, shots: int) -> DenseWork:
    """The work of `program`; ValueError where it is not the whole circuit."""
    from qrex import _kernels  # the type alone must not load it

    if program.obstacle:
        raise ValueError(f"the program is not the whole circuit: {program.obstacle}")
    return DenseWork(**_kernels.dense_work(program, shots, MOST_ROWS))
