"""Store: finished work, kept. SQLite in WAL mode, one file.

In: JSON-able results under content keys. Out: the same results, so that no work is done twice and a killed
process loses nothing that was finished.
"""

from __future__ import annotations

from qrex.store.database import NewPrediction, NewUnit, Run, Store, Unit, content_key, default_store_path

__all__ = ["NewPrediction", "NewUnit", "Run", "Store", "Unit", "content_key", "default_store_path"]
