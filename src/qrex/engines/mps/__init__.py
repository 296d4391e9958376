"""Matrix product states: circuits whose entanglement stays small, at any width."""

from __future__ import annotations

from qrex.engines.mps.engine import MAX_INFIDELITY, MatrixProductEngine

__all__ = ["MAX_INFIDELITY", "MatrixProductEngine"]
