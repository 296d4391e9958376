"""Balance: pure decisions about where and when circuits run.

In: profiles, engines, measured cost constants, predicted times and sizes. Out: a `Route` per circuit and a
`Schedule` for many. Only `calibrate` runs anything: it measures the constants.
"""

from __future__ import annotations

from qrex.balance.calibration import CostConstants, calibrate
from qrex.balance.packing import Placement, Schedule, Task, pack
from qrex.balance.routing import DEFAULT_MAX_INFIDELITY, Route, route

__all__ = [
    "DEFAULT_MAX_INFIDELITY",
    "CostConstants",
    "Placement",
    "Route",
    "Schedule",
    "Task",
    "calibrate",
    "pack",
    "route",
]
