"""Effective storage of two series of snapshots, and the speed of the codecs.

Dense: 20 snapshots of a Trotter evolution (mixed-field Ising chain, open, J = 1, g = 0.9045, h = 0.809, where it is
chaotic; second order, dt = 0.1; from |+i>^n), five steps apart: no two share anything. Branching: the state after 25
steps, and 32 branches of it as a SELECT oracle makes them: branch k turns all qubits of a block by an angle of its own
where the four highest qubits hold k mod 16, so that 15 of 16 parts stay as they were.

Effective storage is logical bytes in complex128, every version in full, over the bytes that all files of the folder
really take. Every snapshot is restored and compared with what was saved: float32 bit for bit, the others by the
infidelity computed in double precision, of which the worst is printed. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from qrex import _kernels
from qrex.store import SnapshotStore
from qrex.store.snapshots import CODECS, default_block_bits

__all__ = ["branching_series", "codec_rates", "dense_series", "effective_storage", "main"]

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
                raise SystemExit(f"version {version} is not what was saved")
            worst = max(worst, _infidelity(state, restored))
        usage = store.usage()
        if worst > usage.worst_infidelity * 1.001 + 1e-15:
            raise SystemExit(f"the infidelity is {worst}, and {usage.worst_infidelity} was stated")
        return {
            "effective_storage": usage.effective_storage,
            "effective_storage_complex64": usage.effective_storage_complex64,
            "infidelity": worst,
            "snapshots": usage.snapshots,
            "physical_bytes": usage.physical_bytes,
            "save_gb_per_s": usage.logical_bytes_complex64 / seconds / 1e9,
            "restore_gb_per_s": usage.logical_bytes_complex64 / back / 1e9,
        }


def codec_rates(bits: int = 17, repeats: int = 30) -> dict[str, float]:
    """GB of float32 amplitudes coded and decoded per second by one core, and of bytes checksummed; medians."""
    rng = np.random.default_rng(0)
    re, im = rng.normal(size=(2, 1 << bits)).astype(np.float32)
    rates = {}

    def rate(work: Callable[[], object], count: int) -> float:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return count / statistics.median(seconds) / 1e9

    for codec in CODECS:
        coded = _kernels.encode_amplitudes(re, im, codec)[0]
        rates[f"encode_{codec}"] = rate(partial(_kernels.encode_amplitudes, re, im, codec), 8 << bits)
        rates[f"decode_{codec}"] = rate(partial(_kernels.decode_amplitudes, coded, codec), 8 << bits)
    rates["crc32c"] = rate(partial(_kernels.crc32c, re), re.nbytes)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=20)
    parser.add_argument("--scratch", help="folder for the snapshots")
    options = parser.parse_args()
    found: dict[str, object] = {"qubits": options.qubits, "codec_gb_per_s": codec_rates()}
    for name, series in (("dense", dense_series), ("branching", branching_series)):
        for codec in CODECS:
            of = effective_storage(partial(series, options.qubits), codec, options.scratch)
            found[f"{name}_{codec}"] = of
            print(
                f"{name:10} {codec:8} {of['effective_storage']:6.2f} × complex128, "
                f"{of['effective_storage_complex64']:6.2f} × complex64, infidelity {of['infidelity']:.2e}, "
                f"save {of['save_gb_per_s']:.2f} GB/s, restore {of['restore_gb_per_s']:.2f} GB/s"
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
