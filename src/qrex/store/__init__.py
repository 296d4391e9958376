"""Store: what outlives the process. Finished work, snapshots of states, and scratch areas of jobs larger than memory.

In: JSON-able results under content keys; states, arrays and texts under a name; blocks, and commits of them. Out: the
same results, so that no work is done twice and a killed process loses nothing that was finished; any version of a
state, from blocks that versions share. Results lie in one SQLite file, snapshots in a folder of their own, a scratch
area in a folder for each job. Names of snapshots are loaded when first used: they need NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from qrex.store.claim import StaleArea, stale_areas
from qrex.store.database import NewPrediction, NewUnit, Run, Store, Unit, content_key, default_store_path
from qrex.store.scratch import ScratchArea, remove_area

if TYPE_CHECKING:
    from qrex.store.figures import Snapshot, Usage
    from qrex.store.snapshots import SnapshotStore

_LATER = {"Snapshot": "qrex.store.figures", "SnapshotStore": "qrex.store.snapshots", "Usage": "qrex.store.figures"}

__all__ = [
    "NewPrediction",
    "NewUnit",
    "Run",
    "ScratchArea",
    "Snapshot",
    "SnapshotStore",
    "StaleArea",
    "Store",
    "Unit",
    "Usage",
    "content_key",
    "default_store_path",
    "remove_area",
    "stale_areas",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'qrex.store' has no attribute {name!r}")
