"""Balance: pure decisions about where and when circuits run.

In: profiles, engines, measured cost constants, predicted times and sizes, what runs took. Out: a `Route` per circuit,
a `Schedule` for many, corrections of predictions. Only `calibrate` runs anything: it measures the constants.
"""

from __future__ import annotations

from qrex.balance.accuracy import Accuracy, accuracy
from qrex.balance.calibration import CostConstants, calibrate
from qrex.balance.packing import Placement, Schedule, Task, pack
from qrex.balance.planning import CLASSICAL, Plan, plan_circuit, seconds_on
from qrex.balance.refinement import Refinement, refine
from qrex.balance.routing import DEFAULT_MAX_INFIDELITY, Route, route

__all__ = [
    "CLASSICAL",
    "DEFAULT_MAX_INFIDELITY",
    "Accuracy",
    "CostConstants",
    "Placement",
    "Plan",
    "Refinement",
    "Route",
    "Schedule",
    "Task",
    "accuracy",
    "calibrate",
    "pack",
    "plan_circuit",
    "refine",
    "route",
    "seconds_on",
]
