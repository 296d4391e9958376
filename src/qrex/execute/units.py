"""Units of work: a task whose result is kept under a content key, so that it is done once.

In: `WorkUnit`s. Out: their payloads by name, from the store where they are finished, else from the pool; each
is kept the moment it is there.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrex.execute.pool import Outcome, Pool, Task
from qrex.store import Store, content_key

__all__ = ["UnitRunner", "WorkUnit"]


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """`task.function` must return something JSON-able. `parts` name everything that determines the result."""

    kind: str
    parts: Mapping[str, Any]
    task: Task

    @property
    def key(self) -> str:
        return content_key(self.kind, self.parts)


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
    ) -> dict[str, dict[str, Any]]:
        """Payload per task id: {"value", "error", "error_type", "seconds", "start", "finish", "peak_bytes",
        "lost", "session", "kept"}.

        `start` and `finish` are seconds since this call began. `kept` says that it came from the store. An
        error is kept as well where it is the engine's verdict on the circuit; a worker that died, or was stopped
        at its time limit, leaves nothing, and the unit is tried again next time.
        """
        payloads: dict[str, dict[str, Any]] = {}
        todo: dict[str, WorkUnit] = {}
        for unit in units:
            found = self.store.unit(unit.key)
            if found is None:
                todo[unit.task.id] = unit
            else:
                payloads[unit.task.id] = found.payload | {"session": found.session, "kept": True}
                on_done(unit.task.id, payloads[unit.task.id])
        began = time.monotonic()

        def keep(outcome: Outcome) -> None:
            unit = todo[outcome.id]
            payload = {
                "value": outcome.value,
                "error": str(outcome.error) if outcome.error else None,
                "error_type": type(outcome.error).__name__ if outcome.error else None,
                "seconds": outcome.seconds,
                "start": outcome.started - began,
                "finish": outcome.finished - began,
                "peak_bytes": outcome.peak_bytes,
                "lost": outcome.lost,
            }
            if not outcome.lost:
                self.store.keep_unit(unit.key, unit.kind, payload, self.session)
            payloads[outcome.id] = payload | {"session": self.session, "kept": False}
            on_done(outcome.id, payloads[outcome.id])

        if todo:
            self.pool.run([unit.task for unit in todo.values()], keep, side_by_side=side_by_side)
        return {unit.task.id: payloads[unit.task.id] for unit in units}
