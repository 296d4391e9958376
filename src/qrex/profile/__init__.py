"""Profile: what a circuit needs, read off it before it runs.

In: a `Circuit`. Out: a `Profile` from `profile_circuit`. Beside it, for the engines: `read_clifford` tells which
rows of a program are Clifford gates, written as rotations or matrices too, and `resolve_guard` reduces conditions
on measured bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrex.profile.profile import Profile

if TYPE_CHECKING:
    from qrex.circuits import Circuit

__all__ = ["Profile", "profile_circuit"]


def profile_circuit(circuit: Circuit, shots: int | None = None) -> Profile:
    """What `circuit` needs for `shots` (None: its own); see `Profile`. Raises InputError on unbound
    parameters and endless unrolling."""
    # The pass needs Qiskit and stim; the type alone must not load them.
    from qrex.profile.analysis import profile_circuit as analyze

    return analyze(circuit, shots)
