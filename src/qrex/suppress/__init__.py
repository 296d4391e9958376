"""Suppress: errors that need not happen.

In: compiled circuits. Out: the same circuits with their idle windows decoupled, and a record of what was
filled and why. `ZZAwareDecoupling` is the same as a pass for any Qiskit pass manager. Beside it: Pauli twirling, and
readout mitigation, which labels what it gives.
"""

from __future__ import annotations

from qrex.suppress.decoupling import SEQUENCES, ZZ_AWARE, Decoupled, DecouplingRecord, decouple
from qrex.suppress.noise import IdleNoise
from qrex.suppress.passes import Decoupler, ZZAwareDecoupling, choose_idle, plan_idle, window_sequence
from qrex.suppress.readout import Mitigated, mitigate_readout
from qrex.suppress.twirling import twirl

__all__ = [
    "SEQUENCES",
    "ZZ_AWARE",
    "Decoupled",
    "Decoupler",
    "DecouplingRecord",
    "IdleNoise",
    "Mitigated",
    "ZZAwareDecoupling",
    "choose_idle",
    "decouple",
    "mitigate_readout",
    "plan_idle",
    "twirl",
    "window_sequence",
]
