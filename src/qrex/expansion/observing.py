"""Final states of a workload's circuits observed, one after the other, each with all cores and memory.

In: a session, what is wanted of each circuit, the files that final states go to. Out: payloads of `observe_in_worker`
by the circuit's name. They are kept under all that was asked; what has written a file is never served again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from qrex.circuits import Circuit
from qrex.engines.statevector.observing import Wanted
from qrex.execute import Task, WorkUnit
from qrex.execute.observing import ObservationRequest, observe_in_worker
from qrex.expansion.session import Session

__all__ = ["run_observed"]


def run_observed(session: Session, wanted: Mapping[str, Wanted], files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Payload by circuit name, see `UnitRunner.run`. `wanted` and `files` (absolute paths; none may exist) are by
    circuit name as well. Raises what the session's limits raise."""
    units = [_unit(session, one, wanted[one.name], files.get(one.name)) for one in session.simulated]
    return session.run_units("Observe final states", units, None)


def _unit(session: Session, circuit: Circuit, wanted: Wanted, file: str | None) -> WorkUnit:
    allotment = session.allotment(session.cores, session.room_bytes)
    seed = session.seed_for("observe", circuit.id)
    request = ObservationRequest(
        circuit.program, circuit.num_qubits, wanted, allotment, session.constants.values.get("statevector", {}),
        session.shots_of(circuit), seed, file,
    )  # fmt: skip
    parts = {
        "circuit": circuit.id,
        "observables": wanted.observables,
        "marginals": wanted.marginals,
        "probabilities": wanted.probabilities,
        "final_state": None if file is None else [file, uuid.uuid4().hex],  # what is kept would make no file
        "shots": request.shots,
        "seed": seed,
        "threads": allotment.threads,
        "memory": allotment.memory_bytes,
        "codec": allotment.codec,
    }
    memory_bytes = min(allotment.memory_bytes, session.pool.memory_bytes)
    task = Task(
        circuit.name, observe_in_worker, (request,), allotment.threads, memory_bytes, session.settings.wall_seconds
    )
    return session.unit("observation", parts, task)
