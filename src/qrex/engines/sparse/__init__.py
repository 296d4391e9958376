"""Sparse state: a map of the nonzero amplitudes, for circuits that keep few of them.

In: a job of any width, with measurements, resets and conditions anywhere. Out: counts, exact up to double
precision. The work is done by compiled code (src/cpp/sparse_*): rows are lowered to steps, which keep the number
of amplitudes, and blocks, which combine those that differ in a few bits. `engine` joins it under the engines'
protocol, `calibration` measures its cost constants.
"""

from __future__ import annotations

from qrex.engines.sparse.engine import SparseEngine, nonzero_amplitudes

__all__ = ["SparseEngine", "nonzero_amplitudes"]
