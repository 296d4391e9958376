"""Effective storage: series of snapshots, kept, restored and compared.

In: a series of states, a codec, a folder. Out: logical over physical bytes, and the worst infidelity. Dense: a Trotter
evolution of the mixed-field Ising chain (open, J = 1, g = 0.9045, h = 0.809, where it is chaotic; second order,
dt = 0.1; from |+i>^n), five steps from snapshot to snapshot: no two share anything. Branching: the state after 25
steps, and branches of it as a SELECT oracle makes them: branch k turns all qubits of a block by an angle of its own
where the four highest qubits hold k mod 16, so that 15 of 16 parts stay as they were. See
definitions.md, "Effective storage".
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from qrex.errors import EngineError
from qrex.store import SnapshotStore
from qrex.store.snapshots import default_block_bits

__all__ = ["StorageRequest", "branching_series", "dense_series", "effective_storage", "measure_storage"]

_FIELD_X, _FIELD_Z, _STEP = 0.9045, 0.809, 0.1


def _turn(state: np.ndarray, qubit: int, angle: float) -> None:
    """exp(-i angle X) on `qubit`, in place."""
    low, high = np.moveaxis(state.reshape(-1, 2, 1 << qubit), 1, 0)
    cosine, sine = np.complex64(np.cos(angle)), np.complex64(-1j * np.sin(angle))
    kept = low.copy()
    low *= cosine
    low += sine * high
    high *= cosine
    high += sine * kept


def _evolution(qubits: int) -> Iterator[np.ndarray]:
    """The state after every Trotter step, beginning with none; one array, changed in place."""
    signs = 1 - 2 * (np.arange(1 << qubits)[:, None] >> np.arange(qubits) & 1).astype(np.int8)
    energy = (signs[:, :-1] * signs[:, 1:]).sum(1, dtype=np.float32) + _FIELD_Z * signs.sum(1, dtype=np.float32)
    half = np.exp(-0.5j * _STEP * energy).astype(np.complex64)
    ones = (signs < 0).sum(1)
    state = (1j**ones / 2 ** (qubits / 2)).astype(np.complex64)
    while True:
        yield state
        state *= half
        for qubit in range(qubits):
            _turn(state, qubit, _FIELD_X * _STEP)
        state *= half


def dense_series(qubits: int, count: int = 20) -> Iterator[np.ndarray]:
    """States five Trotter steps apart, the first after five."""
    for step, state in enumerate(_evolution(qubits)):
        if step and step % 5 == 0:
            yield state
        if step == 5 * count:
            return


def branching_series(qubits: int, count: int = 32) -> Iterator[np.ndarray]:
    """A state, and branches of it that differ in one of sixteen parts."""
    base = next(state for step, state in enumerate(_evolution(qubits)) if step == 25)
    yield base
    part = base.size >> 4
    for branch in range(count):
        state = base.copy()
        chosen = state[branch % 16 * part : (branch % 16 + 1) * part]
        for qubit in range(min(default_block_bits(qubits), qubits - 4)):
            _turn(chosen, qubit, 0.1 * (branch + 1))
        yield state


def _infidelity(given: np.ndarray, kept: np.ndarray) -> float:
    """1 - |<given|kept>|² of the normalised states, by the part of `kept` that is orthogonal to `given`."""
    given, kept = given.astype(complex), kept.astype(complex)
    along = np.vdot(given, kept) / np.vdot(given, given).real
    apart = kept - along * given
    return float(np.vdot(apart, apart).real / np.vdot(kept, kept).real)


def effective_storage(series: Callable[[], Iterator[np.ndarray]], codec: str, scratch: str | None) -> dict[str, float]:
    """Save a series, restore and compare all of it. `series` is run twice instead of being held."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder, SnapshotStore(folder) as store:
        seconds = 0.0
        for state in series():
            start = time.perf_counter()
            store.save("series", state, codec=codec)
            seconds += time.perf_counter() - start
        worst, back = 0.0, 0.0
        for version, state in enumerate(series(), 1):
            start = time.perf_counter()
            restored = store.restore("series", version)
            back += time.perf_counter() - start
            if codec == "float32" and restored.tobytes() != state.tobytes():
                raise EngineError(f"snapshot {version} is not what was saved")
            worst = max(worst, _infidelity(state, restored))
        usage = store.usage()
        if worst > usage.worst_infidelity * 1.001 + 1e-15:
            raise EngineError(f"the infidelity is {worst}, and {usage.worst_infidelity} was stated")
        return {
            "effective_storage": usage.effective_storage,
            "effective_storage_complex64": usage.effective_storage_complex64,
            "infidelity": worst,
            "snapshots": usage.snapshots,
            "physical_bytes": usage.physical_bytes,
            "save_gb_per_s": usage.logical_bytes_complex64 / seconds / 1e9,
            "restore_gb_per_s": usage.logical_bytes_complex64 / back / 1e9,
        }


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """Both series on so many qubits, in `codec`, in a folder of its own under `folder`."""

    qubits: int
    codec: str
    folder: str


def measure_storage(request: StorageRequest, progress: Callable[[float], None]) -> dict[str, Any]:
    """Figures of both series: see `effective_storage`."""
    found = {}
    for number, (name, series) in enumerate((("dense", dense_series), ("branching", branching_series))):
        found[name] = effective_storage(partial(series, request.qubits), request.codec, request.folder)
        progress((number + 1) / 2)
    return found
