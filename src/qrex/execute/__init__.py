"""Execute: carries decisions out on this host, in worker processes with enforced memory limits.

In: tasks with their predicted seconds by threads and their bytes. Out: outcomes, in the order they finish; the
store keeps each one within a fifth of a second.
"""

from __future__ import annotations

from qrex.execute.dispatch import dispatch_constants
from qrex.execute.pool import Pool
from qrex.execute.task import Grant, Grantable, Outcome, Task, WarmUp
from qrex.execute.units import UnitRunner, WorkUnit, can_change

__all__ = [
    "Grant",
    "Grantable",
    "Outcome",
    "Pool",
    "Task",
    "UnitRunner",
    "WarmUp",
    "WorkUnit",
    "can_change",
    "dispatch_constants",
]
