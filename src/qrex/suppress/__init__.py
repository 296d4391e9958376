"""Suppress: errors that need not happen.

In: compiled circuits. Out: the same circuits with their idle windows decoupled, and a record of what was
filled.
"""

from __future__ import annotations

from qrex.suppress.decoupling import SEQUENCES, Decoupled, DecouplingRecord, Sequence, decouple

__all__ = ["SEQUENCES", "Decoupled", "DecouplingRecord", "Sequence", "decouple"]
