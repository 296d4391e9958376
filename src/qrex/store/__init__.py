"""Store: finished work, kept.

In: JSON-able results under content keys; states, arrays and texts under a name. Out: the same results, so that no work
is done twice and a killed process loses nothing that was finished; any version of a state, from blocks that versions
share. Results lie in one SQLite file, snapshots in a folder of their own. Names of the latter are loaded when first
used: they need NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from qrex.store.database import NewPrediction, NewUnit, Run, Store, Unit, content_key, default_store_path

if TYPE_CHECKING:
    from qrex.store.figures import Snapshot, Usage
    from qrex.store.snapshots import SnapshotStore

_LATER = {"Snapshot": "qrex.store.figures", "SnapshotStore": "qrex.store.snapshots", "Usage": "qrex.store.figures"}

__all__ = [
    "NewPrediction",
    "NewUnit",
    "Run",
    "Snapshot",
    "SnapshotStore",
    "Store",
    "Unit",
    "Usage",
    "content_key",
    "default_store_path",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'qrex.store' has no attribute {name!r}")
