"""Engines: ways to run a circuit, one module or room each.

In: a `Job` and its `Allotment`. Out: `Counts`. Cost constants are handed in, never literals here. `registry`
finds engines by name, those of other packages too; engine modules load only when one is asked for.
"""

from __future__ import annotations

from qrex.engines.protocol import (
    Allotment,
    Cost,
    Counts,
    Engine,
    Job,
    Progress,
    Stage,
    SteppedEngine,
    SteppedRun,
    Support,
)
from qrex.engines.registry import EngineStatus, available_engines, engine_status

__all__ = [
    "Allotment",
    "Cost",
    "Counts",
    "Engine",
    "EngineStatus",
    "Job",
    "Progress",
    "Stage",
    "SteppedEngine",
    "SteppedRun",
    "Support",
    "available_engines",
    "engine_status",
]
