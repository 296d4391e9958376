"""Plain state vector: the whole state in RAM, gates applied block by block in cache.

In: a job whose circuit is unitary with measurements at its end. Out: counts, exact up to float32.
`lowering` turns the circuit into kernel gates, `fusion` merges neighbors, `planning` groups them into passes,
`simulation` runs the passes and reads the state, `engine` joins them under the engines' protocol.
"""

from __future__ import annotations

from qrex.engines.statevector.engine import StateVectorEngine

__all__ = ["StateVectorEngine"]
