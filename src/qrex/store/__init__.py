"""Store: what outlives the process. Finished work, in SQLite in WAL mode, one file; and scratch areas, the blocks of
jobs that are larger than memory.

In: JSON-able results under content keys; blocks and commits of them. Out: the same, so that no work is done twice and
a killed process loses nothing that was finished.
"""

from __future__ import annotations

from qrex.store.claim import StaleArea, stale_areas
from qrex.store.database import NewPrediction, NewUnit, Run, Store, Unit, content_key, default_store_path
from qrex.store.scratch import ScratchArea, remove_area

__all__ = [
    "NewPrediction",
    "NewUnit",
    "Run",
    "ScratchArea",
    "StaleArea",
    "Store",
    "Unit",
    "content_key",
    "default_store_path",
    "remove_area",
    "stale_areas",
]
