"""Effective memory: the largest state that was simulated within some memory, over that memory.

In: a session. Out: the mechanism's row. Measured on one named circuit that does need the disk, QAOA with p = 4 on a cubic
graph, in int16, within less than a tenth of the memory that its state takes. The baseline is what Aer accepts in as
much: 16 B per amplitude. See definitions.md, "Effective memory".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrex.engines import Allotment
from qrex.evidence import Comparison, Measurement
from qrex.execute import Task
from qrex.execute.tiering import QAOA_LAYERS, TieringRequest, run_qaoa_in_stages
from qrex.expansion.session import Session
from qrex.report import MechanismRow
from qrex.units import format_bytes

__all__ = ["memory_row"]

_CALL, _TITLE = "activate_memory_banks", "State vectors over cache, RAM and NVMe"
_QUBITS = 27  # a state of 1.07 GB: some seconds
_RATIO = 10.1  # of the state's bytes over the memory given
_AER_BYTES, _BYTES = 16, 8  # per amplitude
_SHOTS = 200


def memory_row(session: Session) -> MechanismRow:
    """Runs the circuit, once per store, and says what came of it."""
    folder, disk_bytes = session.scratch_room
    memory = int((_BYTES << _QUBITS) / _RATIO)
    if folder is None:
        return MechanismRow(_CALL, _TITLE, "not applied", "the scratch folder is in memory: name one with --scratch")
    allotment = session.allotment(session.cores, memory)
    allotment = Allotment(
        allotment.threads, memory, folder, disk_bytes, codec="int16",
        disk_bytes_per_second=allotment.disk_bytes_per_second,
    )  # fmt: skip
    request = TieringRequest(_QUBITS, _SHOTS, session.seed_for("memory banks"), allotment, session.constants.values)
    task = Task("memory banks", run_qaoa_in_stages, (request,), session.cores, min(session.room_bytes, 4 * memory))
    parts = {"qubits": _QUBITS, "memory": memory, "threads": session.cores, "shots": _SHOTS, "seed": request.seed}
    with session.stage("Simulate a state larger than its memory", 1, 10.0) as stage:
        payload = session.runner.run([session.unit("memory banks", parts, task, measured=True)])[task.id]
        stage.advance(1, note=f"{_QUBITS} qubits in {format_bytes(memory)}")
    value = payload["value"]
    if value is None:
        return MechanismRow(_CALL, _TITLE, "not applied", f"the circuit that measures it failed: {payload['error']}")
    return MechanismRow(
        _CALL, _TITLE, "applied",
        "states that do not fit the memory run in stages, over memory and disk, with checkpoints; those that fit are "
        "run in cache-sized blocks as before",
        (_comparison(memory, value, session.seed_for("memory banks")),),
        "the same memory with Aer",
        _details(memory, value, payload),
    )  # fmt: skip


def _comparison(memory: int, value: Mapping[str, Any], seed: int) -> Comparison:
    accepted = (memory // _AER_BYTES).bit_length() - 1
    before = (_BYTES << accepted) / memory
    after = (_BYTES << _QUBITS) / memory
    method = (
        f"QAOA, p = {QAOA_LAYERS}, cubic graph, {_QUBITS} qubits, int16 blocks, infidelity {value['infidelity']:.1g} as "
        f"measured by the codec"
    )
    return Comparison(
        "effective_memory", "Effective memory",
        Measurement(before, before, before, "", 1, None, f"{accepted} qubits at {_AER_BYTES} B per amplitude", "model"),
        Measurement(after, after, after, "", 1, seed, method, "host"),
        "higher", "effective-memory",
        f"bytes of complex64 amplitudes over the {format_bytes(memory)} given, the process itself not counted",
    )  # fmt: skip


def _details(memory: int, value: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    tiers = value["tiers"]
    return {
        "memory given": format_bytes(memory),
        "memory that the run added to its process": format_bytes(payload["peak_bytes"]),
        "state": format_bytes(_BYTES << _QUBITS),
        "stages": tiers["stages"],
        "disk taken": format_bytes(tiers["disk_bytes"]),
        "bytes read and written": format_bytes(tiers["read_bytes"] + tiers["written_bytes"]),
        "seconds": round(payload["seconds"], 2),
    }
