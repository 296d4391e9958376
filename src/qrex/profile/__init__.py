"""Profile: what a circuit needs, read off it before it runs.

In: a `Circuit`. Out: a `Profile` from `profile_circuit`; an `Analysis` from `analyze`: beside the profile the
circuit cut down to what must be simulated (`qrex.profile.reduction`), with a profile of each part. For the
engines, `read_clifford` tells which rows of a program are Clifford gates, written as rotations or matrices too,
and `resolve_guard` reduces conditions on measured bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrex.profile.dense import DenseWork, dense_work
from qrex.profile.profile import Profile

if TYPE_CHECKING:
    from qrex.circuits import Circuit
    from qrex.circuits.program import Program
    from qrex.profile.analysis import Analysis
    from qrex.profile.reduction import Reduced

__all__ = ["DenseWork", "Profile", "analyze", "dense_work", "profile_circuit", "profile_program"]


def profile_circuit(circuit: Circuit, shots: int | None = None) -> Profile:
    """What `circuit` needs for `shots` (None: its own); see `Profile`. Raises InputError on unbound
    parameters and endless unrolling."""
    # The pass needs Qiskit; the type alone must not load it.
    from qrex.profile.analysis import profile_circuit as read

    return read(circuit, shots)


def profile_program(program: Program, circuit_id: str, shots: int, reduced: bool = False) -> Profile:
    """What a program needs; `reduced` where it is a part of a reduction."""
    from qrex.profile.analysis import profile_program as read

    return read(program, circuit_id, shots, reduced)


def analyze(
    circuit: Circuit, shots: int | None = None, *, as_written: bool = True, reduced: Reduced | None = None
) -> Analysis:
    """`circuit`'s profile, what is left of it after reduction, and the profiles of its parts. Where only the parts
    matter, not `as_written` leaves the first out."""
    from qrex.profile.analysis import analyze as read

    return read(circuit, shots, as_written=as_written, reduced=reduced)
