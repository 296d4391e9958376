"""Effective memory and effective storage, measured in seconds.

In: a session. Out: the rows of two mechanisms. Memory: the largest state that was simulated within some memory, over
that memory, on one named circuit that does need the disk, QAOA with p = 4 on a cubic graph, in int16, within less than
a tenth of what its state takes; the baseline is what Aer accepts in as much: 16 B per amplitude. Storage: logical bytes
of two series of snapshots in complex128 over the bytes that they take on disk. See definitions.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrex.engines import Allotment
from qrex.evidence import Comparison, Measurement
from qrex.execute import Task
from qrex.execute.storing import StorageRequest, measure_storage
from qrex.execute.tiering import QAOA_LAYERS, TieringRequest, run_qaoa_in_stages
from qrex.expansion.session import Session
from qrex.report import MechanismRow
from qrex.units import format_bytes

__all__ = ["memory_row", "storage_row"]

_CALL, _TITLE = "activate_memory_banks", "State vectors over cache, RAM and NVMe"
_QUBITS = 27  # a state of 1.07 GB: some seconds
_RATIO = 10.1  # of the state's bytes over the memory given
_AER_BYTES, _BYTES = 16, 8  # per amplitude
_SHOTS = 200
_STORAGE_CALL, _STORAGE_TITLE = "allocate_storage", "Snapshot blocks on disk"
_STORED_QUBITS, _STORED_CODEC = 17, "int16"


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
        f"QAOA, p = {QAOA_LAYERS}, cubic graph, {_QUBITS} qubits, int16 blocks, infidelity {value['infidelity']:.1g} "
        "as measured by the codec"
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
        "memory given": f"{format_bytes(memory)}, chosen so that the state is {_RATIO} times as large",
        "memory that the run added to its process": format_bytes(payload["peak_bytes"]),
        "state": format_bytes(_BYTES << _QUBITS),
        "stages": tiers["stages"],
        "disk taken": format_bytes(tiers["disk_bytes"]),
        "bytes read and written": format_bytes(tiers["read_bytes"] + tiers["written_bytes"]),
        "seconds": round(payload["seconds"], 2),
    }


def storage_row(session: Session) -> MechanismRow:
    """Keeps, restores and compares two series of snapshots, once per store, and says what they took."""
    folder = session.scratch_room[0] or session.host.scratch_dir
    request = StorageRequest(_STORED_QUBITS, _STORED_CODEC, folder)
    task = Task("storage", measure_storage, (request,), 1, min(session.room_bytes, 1 << 29))
    with session.stage("Keep and restore snapshots", 1, 6.0) as stage:
        parts = {"qubits": _STORED_QUBITS, "codec": _STORED_CODEC}
        payload = session.runner.run([session.unit("storage", parts, task, measured=True)])[task.id]
        stage.advance(1)
    value = payload["value"]
    if value is None:
        return MechanismRow(
            _STORAGE_CALL, _STORAGE_TITLE, "not applied", f"the series that measures it failed: {payload['error']}"
        )
    return MechanismRow(
        _STORAGE_CALL, _STORAGE_TITLE, "applied",
        "states can be kept under a name, version by version; equal blocks are kept once, all are checked when read",
        tuple(_stored(kind, value[kind]) for kind in ("dense", "branching")),
        "the same snapshots in complex128",
        {"qubits": _STORED_QUBITS, "codec": _STORED_CODEC, "snapshots restored and compared": sum(
            one["snapshots"] for one in value.values())},
    )  # fmt: skip


def _stored(kind: str, found: Mapping[str, Any]) -> Comparison:
    what = {"dense": "a dense Trotter series", "branching": "a branching series"}[kind]
    method = f"{what}, {found['snapshots']} snapshots, worst infidelity {found['infidelity']:.1g}"
    count, value = int(found["snapshots"]), found["effective_storage"]
    return Comparison(
        f"effective_storage_{kind}", f"Effective storage, {what}",
        Measurement(1.0, 1.0, 1.0, "", count, None, "complex128, every version in full", "model"),
        Measurement(value, value, value, "", count, None, method, "host"),
        "higher", "effective-storage",
        f"{_STORED_QUBITS} qubits, {_STORED_CODEC}; against complex64: {found['effective_storage_complex64']:.2f}",
    )  # fmt: skip
