"""One SQLite file that holds finished units of work, predictions beside actuals, calibrations and runs.

In: JSON-able payloads. Out: the same. Every write is one transaction: a process killed at any moment leaves
either the whole record or none of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from qrex.errors import StoreError

__all__ = ["NewPrediction", "NewUnit", "Run", "Store", "Unit", "content_key", "default_store_path"]

_BUSY_SECONDS = 30.0
_PREDICTION = (
    "key", "engine", "circuit_id", "predicted_seconds", "predicted_bytes", "actual_seconds", "actual_bytes",
    "model_seconds", "model_bytes", "engine_seconds", "engine_bytes", "upper_bound", "features", "host", "scope",
    "created_at",
)  # fmt: skip
_KEYS_PER_QUERY = 500  # SQLite takes 999 values at least


def default_store_path() -> Path:
    """$QREX_STORE, else the user's data folder ($XDG_DATA_HOME/qrex/qrex.db)."""
    if explicit := os.environ.get("QREX_STORE"):
        return Path(explicit)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "qrex" / "qrex.db"


def content_key(kind: str, parts: Mapping[str, Any]) -> str:
    """Hash of `kind` and of everything in `parts` (JSON-able), independent of the order of keys.

    >>> content_key("a", {"x": 1, "y": 2}) == content_key("a", {"y": 2, "x": 1})
    True
    """
    text = json.dumps([kind, parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class NewPrediction:
    """What was predicted beside what a run took. `model_…` is what the engine's model said of its own part before any
    correction, `engine_…` what that part took: None where nothing is to be learned from it. `scope` names what the
    model's constants hold for."""

    key: str
    engine: str
    circuit_id: str
    predicted_seconds: float | None
    predicted_bytes: int | None
    actual_seconds: float
    actual_bytes: int | None
    model_seconds: float | None = None
    model_bytes: int | None = None
    engine_seconds: float | None = None
    engine_bytes: int | None = None
    upper_bound: bool = False
    features: Mapping[str, float] = field(default_factory=dict)
    host: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A finished unit of work as it was stored."""

    key: str
    kind: str
    payload: Any
    session: str
    created_at: float


@dataclass(frozen=True, slots=True)
class NewUnit:
    """A finished unit of work to be stored; `payload` is JSON-able."""

    key: str
    kind: str
    payload: Any
    session: str


@dataclass(frozen=True, slots=True)
class Run:
    """One command's run. `result` is what it kept of its outcome, such as the report's folder."""

    id: str
    verb: str
    title: str
    arguments: Mapping[str, Any]
    status: str
    result: Any
    started_at: float
    finished_at: float | None


class Store:
    """An open store. Use as a context manager, or call `close`.

    Raises StoreError where the file cannot be opened, is not a store, or the disk refuses a write.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else default_store_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(resources.files(__package__).joinpath("schema.sql").read_text())
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot open the store {self.path}: {error}; name another with --store FILE or $QREX_STORE, "
                "or move the file away to start afresh"
            ) from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            # One transaction, which takes the lock at once: one that reads first may not get it afterwards.
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise StoreError(f"cannot write to the store {self.path}: {error}; is the disk full?") from error

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the store {self.path}: {error}") from error

    # Units -------------------------------------------------------------------------------------------

    def unit(self, key: str) -> Unit | None:
        return self.units([key]).get(key)

    def units(self, keys: Sequence[str]) -> dict[str, Unit]:
        """Those of `keys` that are there."""
        columns = "key, kind, payload, session, created_at"
        return {
            row[0]: Unit(row[0], row[1], json.loads(row[2]), row[3], row[4]) for row in self._under(columns, keys)
        }

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that are there, without reading what is under them."""
        return {row[0] for row in self._under("key", keys)}

    def _under(self, columns: str, keys: Sequence[str], table: str = "units") -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = tuple(keys[start : start + _KEYS_PER_QUERY])
            marks = ",".join("?" * len(some))
            yield from self._rows(f"SELECT {columns} FROM {table} WHERE key IN ({marks})", some)

    def keep_unit(self, key: str, kind: str, payload: Any, session: str) -> None:
        """Keep a finished unit. The first result under a key stays: a unit is never computed twice."""
        self.keep_units([NewUnit(key, kind, payload, session)])

    def keep_units(self, units: Sequence[NewUnit]) -> None:
        """Keep all of `units` or none, in one transaction; see `keep_unit`."""
        now = time.time()
        rows = [(unit.key, unit.kind, json.dumps(unit.payload), unit.session, now) for unit in units]
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO units (key, kind, payload, session, created_at) VALUES (?, ?, ?, ?, ?)", rows
            )

    # Predictions beside actuals ----------------------------------------------------------------------

    def keep_predictions(self, predictions: Sequence[NewPrediction]) -> None:
        """Keep all of `predictions` or none, in one transaction; one under a key that is there replaces it."""
        now = time.time()
        rows = [
            [*(getattr(one, name) for name in _PREDICTION[:-4]), json.dumps(one.features), one.host, one.scope, now]
            for one in predictions
        ]
        marks = ", ".join("?" * len(_PREDICTION))
        with self._writing() as connection:
            connection.executemany(f"INSERT OR REPLACE INTO cost_predictions VALUES ({marks})", rows)

    def predictions(
        self,
        host: str | None = None,
        engines: Collection[str] | None = None,
        limit: int | None = None,
        scope: str | None = None,
    ) -> list[dict[str, Any]]:
        """The newest `limit` predictions, oldest first; None leaves a choice open."""
        chosen = {"host": None if host is None else [host], "scope": None if scope is None else [scope],
                  "engine": engines}  # fmt: skip
        held = {column: list(values) for column, values in chosen.items() if values is not None}
        conditions = [f"{column} IN ({', '.join('?' * len(values))})" for column, values in held.items()]
        rows = self._rows(
            f"SELECT {', '.join(_PREDICTION)} FROM cost_predictions WHERE {' AND '.join(conditions) or '1'} "
            "ORDER BY created_at DESC, rowid DESC LIMIT ?",
            (*(value for values in held.values() for value in values), -1 if limit is None else limit),
        )
        return [_prediction(row) for row in reversed(rows)]

    def predictions_of(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the units `keys` for which something was predicted, as `predictions` gives them."""
        found: dict[str, dict[str, Any]] = {}
        for row in self._under(", ".join(_PREDICTION), keys, "cost_predictions"):
            found[row[0]] = _prediction(row)
        return found

    def keep_names(self, names: Mapping[str, str]) -> None:
        """What circuits are called, by circuit id."""
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO circuit_names VALUES (?, ?)", names.items())

    def names(self) -> dict[str, str]:
        """Circuits' names by id, where they were kept."""
        return dict(self._rows("SELECT circuit_id, name FROM circuit_names"))

    def held(self) -> dict[str, int]:
        """How many results and predictions are kept."""
        tables = {"results": "units", "predictions": "cost_predictions"}
        return {what: self._rows(f"SELECT count(*) FROM {table}")[0][0] for what, table in tables.items()}

    # Calibrations ------------------------------------------------------------------------------------

    def calibration(self, kind: str, scope: str, *, max_age_seconds: float) -> Any | None:
        """The newest calibration of this kind and scope that is young enough, or None."""
        rows = self._rows(
            "SELECT payload FROM calibrations WHERE kind = ? AND scope = ? AND created_at >= ? "
            "ORDER BY created_at DESC LIMIT 1",
            (kind, scope, time.time() - max_age_seconds),
        )
        return json.loads(rows[0][0]) if rows else None

    def keep_calibration(self, kind: str, scope: str, payload: Any) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO calibrations (kind, scope, payload, created_at) VALUES (?, ?, ?, ?)",
                (kind, scope, json.dumps(payload), time.time()),
            )

    # Runs --------------------------------------------------------------------------------------------

    def start_run(self, run_id: str, verb: str, title: str, arguments: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, 'running', NULL, ?, NULL) "
                "ON CONFLICT (id) DO UPDATE SET status = 'running'",
                (run_id, verb, title, json.dumps(arguments), time.time()),
            )

    def finish_run(self, run_id: str, status: str, result: Any) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE runs SET status = ?, result = ?, finished_at = ? WHERE id = ?",
                (status, json.dumps(result), time.time(), run_id),
            )

    def runs(self, prefix: str = "") -> list[Run]:
        """Runs whose id starts with `prefix`, newest first."""
        rows = self._rows(
            "SELECT id, verb, title, arguments, status, result, started_at, finished_at FROM runs "
            "WHERE substr(id, 1, ?) = ? ORDER BY started_at DESC",
            (len(prefix), prefix),
        )
        return [
            Run(row[0], row[1], row[2], json.loads(row[3]), row[4], json.loads(row[5] or "null"), row[6], row[7])
            for row in rows
        ]


def _prediction(row: tuple[Any, ...]) -> dict[str, Any]:
    found = dict(zip(_PREDICTION, row, strict=True))
    return found | {"upper_bound": bool(found["upper_bound"]), "features": json.loads(found["features"])}
