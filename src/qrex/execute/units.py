"""Units of work: a task whose result is kept under a content key, so that it is done once.

In: `WorkUnit`s. Out: their payloads by name, from the store where they are finished, else from the pool. Results
are written as they come; where they come faster than that, together, at least every 0.2 s, and always before
`run` returns or raises.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from qrex.errors import CircuitError, InputError, MemoryLimitError, PlatformError
from qrex.execute.pool import Pool
from qrex.execute.task import Outcome, Task
from qrex.store import NewUnit, Store, Unit, content_key
from qrex.telemetry import Stretch

__all__ = ["UnitRunner", "WorkUnit", "can_change"]

_FLUSH_SECONDS = 0.2
_TOLD_SECONDS = 0.2

_VERDICTS = frozenset(error.__name__ for error in (InputError, CircuitError, PlatformError))
"""Errors that the same work meets again; any other may be gone next time, with more memory or a mended engine."""

_NUMBERS = ("seconds", "start", "finish", "peak_bytes", "base_rss_bytes", "peak_rss_bytes", "threads", "memory_bytes")


@dataclass(frozen=True)
class WorkUnit:
    """`task.function` must return something JSON-able. `parts` name everything that determines the result.

    `measured`: it belongs to a pass that is reported as it went, so that what did not fit in memory is a result.
    """

    kind: str
    parts: Mapping[str, Any]
    task: Task
    measured: bool = False

    @cached_property
    def key(self) -> str:
        return content_key(self.kind, self.parts)


@dataclass(slots=True)
class _Writer:
    """Collects finished units and writes them in one transaction when the last one was a while ago."""

    store: Store
    units: list[NewUnit] = field(default_factory=list)
    written_at: float = 0.0

    def keep(self, unit: NewUnit) -> None:
        self.units.append(unit)
        self.write_if_due()

    def write_if_due(self) -> None:
        if self.units and time.monotonic() - self.written_at >= _FLUSH_SECONDS:
            self.write()

    def write(self) -> None:
        if self.units:
            self.store.keep_units(self.units)
            self.units.clear()  # only what is written is forgotten
        self.written_at = time.monotonic()


@dataclass(slots=True)
class UnitRunner:
    """Runs units through a pool and keeps their results. `session` names this process in the store."""

    store: Store
    pool: Pool
    session: str = field(default_factory=lambda: f"{os.getpid()}-{uuid.uuid4().hex[:12]}")

    def run(
        self,
        units: Sequence[WorkUnit],
        on_done: Callable[[str, Mapping[str, Any]], None] = lambda _id, _payload: None,
        *,
        side_by_side: bool = True,
        on_running: Callable[[Mapping[str, float]], None] = lambda _began: None,
        on_held: Callable[[Stretch], None] = lambda _stretch: None,
    ) -> dict[str, dict[str, Any]]:
        """Payload per task id: {"value", "error", "error_type", "seconds", "start", "finish", "peak_bytes",
        "base_rss_bytes", "peak_rss_bytes", "threads", "memory_bytes", "lost", "breach", "session", "kept"}.

        `on_running` is told, up to five times a second, the ids of the tasks that are going on and since when.

        `start` and `finish` are seconds since this call began; the others are those of `Outcome`, `threads` and
        `memory_bytes` what was granted. `kept` says that it came from the store. An error is kept as well where the
        input is at fault (see `can_change`); after any other, of memory, of an engine, a worker's death or a time
        limit, the unit is tried again next time. `on_held` is told what workers held in each run of now.
        """
        keys = {unit.task.id: unit.key for unit in units}
        found = self._kept(units)
        payloads: dict[str, dict[str, Any]] = {}
        todo: dict[str, WorkUnit] = {}
        for unit in units:
            name = unit.task.id
            if (kept := found.get(keys[name])) is None:
                todo[name] = unit
            else:
                payloads[name] = kept.payload | {"session": kept.session, "kept": True}
                on_done(name, payloads[name])
        began = time.monotonic()
        writer = _Writer(self.store)

        def keep(outcome: Outcome) -> None:
            payload = _payload(outcome, began)
            for stretch in outcome.stretches:
                on_held(stretch)
            unit = todo[outcome.id]
            if not can_change(payload, unit.measured):
                writer.keep(NewUnit(unit.key, unit.kind, payload, self.session))
            payloads[outcome.id] = payload | {"session": self.session, "kept": False}
            on_done(outcome.id, payloads[outcome.id])

        told_at = 0.0

        def tick() -> None:
            nonlocal told_at
            writer.write_if_due()
            now = time.monotonic()
            if now - told_at >= _TOLD_SECONDS:
                told_at = now
                on_running(self.pool.running)

        if todo:
            try:
                self.pool.run(
                    [unit.task for unit in todo.values()], keep, side_by_side=side_by_side,
                    on_tick=tick,
                )  # fmt: skip
            finally:
                writer.write()
        return {unit.task.id: payloads[unit.task.id] for unit in units}

    def _kept(self, units: Sequence[WorkUnit]) -> dict[str, Unit]:
        """What is kept, whole, and may be served."""
        measured = {unit.key: unit.measured for unit in units}
        found = {}
        for key, unit in self.store.units(list(measured)).items():
            if not _is_whole(unit.payload):
                self.store.leave_aside(f"a result of kind {unit.kind!r}", key)
            elif can_change(unit.payload, measured[key]):
                self.store.replace(key)  # kept before such failures were told apart
            else:
                found[key] = unit
        return found


def can_change(payload: Mapping[str, Any], measured: bool = False) -> bool:
    """Whether the same work might end otherwise another time: after a failure that is not the input's, nor, where it
    is `measured`, that it did not fit in the memory that its key names."""
    if payload["error"] is None:
        return False
    if payload["lost"]:
        return True
    if measured and payload["error_type"] == MemoryLimitError.__name__:
        return False
    return payload["breach"] or payload["error_type"] not in _VERDICTS


def _is_whole(payload: Any) -> bool:
    """Whether it holds what `_payload` makes: what was kept may have been damaged since."""
    return (
        isinstance(payload, dict)
        and all(isinstance(payload.get(name), int | float) for name in _NUMBERS)
        and all(isinstance(payload.get(name), bool) for name in ("lost", "breach"))
        and all(name in payload for name in ("value", "error_type"))
        and isinstance(payload.get("error", 0), str | None)
    )


def _payload(outcome: Outcome, began: float) -> dict[str, Any]:
    return {
        "value": outcome.value,
        "error": str(outcome.error) if outcome.error else None,
        "error_type": type(outcome.error).__name__ if outcome.error else None,
        "seconds": outcome.seconds,
        "start": outcome.started - began,
        "finish": outcome.finished - began,
        "peak_bytes": outcome.peak_bytes,
        "base_rss_bytes": outcome.base_rss_bytes,
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "threads": outcome.grant.threads,
        "memory_bytes": outcome.grant.memory_bytes,
        "lost": outcome.lost,
        "breach": outcome.breach,
    }
