"""A state as a zarr v3 array, written chunk by chunk.

In: a snapshot and its blocks. Out: a folder that any zarr reader opens: complex64, 2^n amplitudes, with the snapshot's
figures as attributes. It appears at its path when it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from qrex.errors import InputError, StoreError
from qrex.store.figures import Snapshot

__all__ = ["write_zarr"]

_CHUNK_BITS = 20  # 8 MiB: every chunk is a file


def write_zarr(path: Path, snapshot: Snapshot, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Path:
    """Write (re, im) `blocks` at `path`. Chunks of zeros take no file.

    Raises InputError where something is at `path` or zarr is not installed, StoreError where it cannot be written.
    """
    try:
        import zarr

        create_array = zarr.create_array  # zarr 2 has none
    except (ImportError, AttributeError) as error:
        raise InputError(f"export to zarr needs zarr 3 ({error}): pip install 'qrex[zarr]'") from error
    if path.exists():
        raise InputError(f"asked to export to {path}, where something is already; name a path that is free")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    chunk = 1 << min(snapshot.qubits, max(_CHUNK_BITS, snapshot.block_bits))
    try:
        array = create_array(
            store=str(partial),
            shape=(1 << snapshot.qubits,),
            chunks=(chunk,),
            dtype="complex64",
            zarr_format=3,
            dimension_names=["basis_state"],
            attributes=_attributes(snapshot),
        )
        for number, amplitudes in enumerate(_chunks(blocks, chunk)):
            array[number * chunk : (number + 1) * chunk] = amplitudes
        os.rename(partial, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; make room there, or name another path") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _chunks(blocks: Iterable[tuple[np.ndarray, np.ndarray]], size: int) -> Iterator[np.ndarray]:
    chunk, filled = np.empty(size, np.complex64), 0
    for re, im in blocks:
        chunk.real[filled : filled + re.size] = re
        chunk.imag[filled : filled + re.size] = im
        filled += re.size
        if filled == size:
            yield chunk
            filled = 0


def _attributes(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "name": snapshot.name,
        "version": snapshot.version,
        "created_at": datetime.fromtimestamp(snapshot.created_at, UTC).isoformat(),
        "qubits": snapshot.qubits,
        "qubit_order": "qubit 0 is the least significant bit of the index",
        "codec": snapshot.codec,
        "infidelity": snapshot.infidelity,
        "norm": snapshot.norm,
        "metadata": snapshot.metadata,
    }
