"""Engines: ways to run a circuit, one module or room each.

In: a `Job` and its `Allotment`. Out: `Counts`. Cost constants are handed in, never literals here.
"""

from __future__ import annotations

from qrex.engines.protocol import Allotment, Cost, Counts, Engine, Job, Progress, Support

__all__ = ["Allotment", "Cost", "Counts", "Engine", "Job", "Progress", "Support"]
