"""Stabilizer room: Clifford circuits, by stim.

In: a `Program` whose gates are Clifford once angles are snapped to multiples of π/2 (within 1e-9), with
measurements, resets and conditions anywhere. Out: exact samples. `StabilizerEngine` is the engine, `to_stim`
the conversion.
"""

from qrex.engines.stabilizer.conversion import to_stim
from qrex.engines.stabilizer.engine import StabilizerEngine

__all__ = ["StabilizerEngine", "to_stim"]
