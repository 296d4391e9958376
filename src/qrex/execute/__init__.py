"""Execute: carries decisions out on this host, in worker processes with enforced memory limits.

In: tasks with their threads and bytes. Out: outcomes, in the order they finish; the store keeps each one at
once.
"""

from __future__ import annotations

from qrex.execute.dispatch import dispatch_constants
from qrex.execute.pool import Outcome, Pool, Task
from qrex.execute.units import UnitRunner, WorkUnit

__all__ = ["Outcome", "Pool", "Task", "UnitRunner", "WorkUnit", "dispatch_constants"]
