"""Plain state vector: the whole state in RAM, gates applied block by block in cache.

In: a job's program. Out: counts, exact up to float32. Lowering, fusion, planning and the gates themselves are
compiled (src/cpp: `lowering`, `fusion`, `staging`, `stage`, joined by `dense`); `engine` puts them under the
engines' protocol, `costs` says what a run takes, `calibration` measures its constants.
"""

from __future__ import annotations

from qrex.engines.statevector.engine import StateVectorEngine

__all__ = ["StateVectorEngine"]
