"""qrex: quantum resource expansion.

In: OpenQASM circuits and a platform. Out: what the platform does for them before and after expansion, with
the evidence. Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrex.circuits import Circuit, Workload, load_workload
    from qrex.engines.statevector.observing import Observation
    from qrex.evidence import Comparison, Measurement
    from qrex.execute.observing import observe
    from qrex.expansion import Expansion, resource_expansion
    from qrex.platform import Platform, load_platform
    from qrex.report import Summary

__version__ = "0.1.0"

_HOMES = {
    "Circuit": "qrex.circuits",
    "Comparison": "qrex.evidence",
    "Expansion": "qrex.expansion",
    "Measurement": "qrex.evidence",
    "Observation": "qrex.engines.statevector.observing",
    "Platform": "qrex.platform",
    "Summary": "qrex.report",
    "Workload": "qrex.circuits",
    "load_platform": "qrex.platform",
    "load_workload": "qrex.circuits",
    "observe": "qrex.execute.observing",
    "resource_expansion": "qrex.expansion",
}

__all__ = [
    "Circuit",
    "Comparison",
    "Expansion",
    "Measurement",
    "Observation",
    "Platform",
    "Summary",
    "Workload",
    "load_platform",
    "load_workload",
    "observe",
    "resource_expansion",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'qrex' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
