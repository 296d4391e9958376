"""Named, versioned snapshots of states that share unchanged blocks; arrays and texts beside them. One folder.

In: a state of 2^n amplitudes, planar complex64, as a whole or block by block, so that it may be larger than RAM.
Out: the same, bit for bit (codec float32) or within the infidelity that was measured when it was saved (int16, int8).

A state is cut into blocks of 2^block_bits amplitudes, which are coded one by one and kept once however many versions
have them; blocks of zeros are not kept. Coding depends on nothing but the block, so equal blocks stay equal, and a
state that was restored and saved again adds nothing.

The default of 2^14 amplitudes: a gate that acts on part of a state, by controls or after a measurement, leaves whole
ranges of the higher index bits as they were, and blocks that small find nearly all of them; about 100 bytes of index
per block are 0.3 % of it in int8, 0.15 % in int16, where 2^12 would cost 1.2 and 0.6 % of every state that shares
nothing. From 31 qubits on blocks grow, so that a state has no more than 2^16 of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, overload

import numpy as np

from qrex import _kernels
from qrex.errors import InputError, StoreError
from qrex.store.block_folder import BlockFolder
from qrex.store.block_record import Record
from qrex.store.compressed import array_from_pieces, array_pieces, array_shape_of, text_from_pieces, text_pieces
from qrex.store.figures import Snapshot, Usage, snapshot_of

__all__ = ["CODECS", "SnapshotStore", "default_block_bits"]

CODECS = ("float32", "int16", "int8")
MOST_QUBITS = 48

_SMALLEST_BLOCK_BITS = 14
_MOST_BLOCKS_BITS = 16
_READ_WITH = {"state": "restore or blocks", "array": "load_array", "text": "load_text"}

Planes = tuple[np.ndarray, np.ndarray]  # real and imaginary parts, float32


def default_block_bits(qubits: int) -> int:
    """log2 of the amplitudes in a block of a state of so many qubits."""
    return min(qubits, max(_SMALLEST_BLOCK_BITS, qubits - _MOST_BLOCKS_BITS))


class SnapshotStore:
    """Snapshots in `folder`, which is made where it is not there. Use as a context manager, or call `close`.

    `limit_bytes` bounds what blocks may take. Several processes may use one folder: one writes at a time, the others
    wait up to 30 s for it; readers wait for nobody. A version is saved entirely or not at all, also where the process
    is killed; the space of what did not end is used again.

    Raises StoreError where the folder is somebody else's or was written by a newer qrex, where something in it is
    damaged (that says which block of which version), and where the disk is full; InputError where names, versions,
    codecs or states are not what they must be.
    """

    def __init__(self, folder: str | Path, *, limit_bytes: int | str | None = None) -> None:
        self._folder = BlockFolder(folder, limit_bytes)

    def __enter__(self) -> SnapshotStore:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._folder.close()

    # States ------------------------------------------------------------------------------------------

    def save(
        self,
        name: str,
        state: np.ndarray | Planes,
        *,
        codec: str = "float32",
        metadata: Any = None,
        block_bits: int | None = None,
    ) -> Snapshot:
        """Save a state as the next version of `name`.

        `state` is complex64 of 2^n amplitudes, qubit 0 least significant in their index, or its real and imaginary
        parts as two float32 arrays; a memory map will do. `metadata` is anything JSON can hold: the program's id, say,
        and the step.
        """
        re, im = _planes(state, f"to be saved as {name!r}")
        if isinstance(state, np.ndarray) and state.dtype != np.complex64:
            raise InputError(f"asked to save a state of {state.dtype}; it must be complex64: convert it with .astype")
        qubits = int(re.size).bit_length() - 1
        if re.ndim != 1 or re.shape != im.shape or re.size != 1 << max(qubits, 0):
            raise InputError(f"asked to save {re.shape} amplitudes as {name!r}; a state is one row of 2^n of them")
        bits = default_block_bits(qubits) if block_bits is None else block_bits
        step = 1 << max(bits, 0) if isinstance(bits, Integral) else 1
        parts = ((re[at : at + step], im[at : at + step]) for at in range(0, re.size, step))
        return self.save_blocks(name, qubits, parts, codec=codec, metadata=metadata, block_bits=bits)

    def save_blocks(
        self,
        name: str,
        qubits: int,
        pieces: Iterable[Planes],
        *,
        codec: str = "float32",
        metadata: Any = None,
        block_bits: int | None = None,
    ) -> Snapshot:
        """Save a state that comes in pieces as the next version of `name`: consecutive (re, im), float32, each of any
        multiple of 2^block_bits amplitudes, 2^qubits together. Holds one piece at a time, and 200 bytes per block.

        `pieces` may read this store, but not write into it. What it raises is passed on, and nothing is kept.
        """
        bits = default_block_bits(qubits) if block_bits is None else block_bits
        if codec not in CODECS:
            raise InputError(f"asked for the codec {codec!r}; there are {', '.join(CODECS)}")
        whole = isinstance(qubits, Integral) and isinstance(bits, Integral)
        if not whole or not 0 <= qubits <= MOST_QUBITS or not 0 <= bits <= qubits:
            raise InputError(
                f"asked to save {qubits} qubits in blocks of 2^{bits} amplitudes; there may be up to {MOST_QUBITS} "
                "qubits, and blocks no larger than the state"
            )
        sums = {"norm": 0.0, "kept_norm": 0.0, "error": 0.0}
        form: dict[str, Any] = {"qubits": int(qubits), "block_bits": int(bits), "codec": codec, "zero_blocks": 0}

        def coded() -> Iterator[np.ndarray | None]:
            blocks = _cut(name, qubits, 1 << bits, pieces)
            for number, (re, im) in enumerate(blocks):
                try:
                    content, *measured = _kernels.encode_amplitudes(re, im, codec)
                except ValueError as error:
                    raise InputError(f"block {number} of what was to be saved as {name!r}: {error}") from error
                for key, value in zip(sums, measured, strict=True):
                    sums[key] += value
                # The sign of a zero counts: float32 is kept bit for bit.
                zero = measured[1] == 0 and not content.any()
                form["zero_blocks"] += zero
                yield None if zero else content

        return snapshot_of(self._folder.keep(name, "state", metadata, coded(), lambda: form | sums))

    def snapshots(self, name: str | None = None) -> list[Snapshot]:
        """All versions of `name`, or of everything, oldest first."""
        return [snapshot_of(record) for record in self._folder.records(name) if record.kind == "state"]

    def snapshot(self, name: str, version: int | None = None) -> Snapshot:
        """That version of `name`, or the newest."""
        return snapshot_of(self._record(name, version, "state"))

    def blocks(
        self, name: str, version: int | None = None, *, first: int = 0, stop: int | None = None
    ) -> Iterator[Planes]:
        """Blocks `first` to `stop` of a state, by default all: (re, im), float32, 2^block_bits amplitudes each."""
        return self._decoded(self._record(name, version, "state"), first, stop)

    def _decoded(self, record: Record, first: int, stop: int | None) -> Iterator[Planes]:
        count = 1 << record.form["block_bits"]
        for number, content in enumerate(self._folder.blocks(record, first, stop), first):
            if content is None:
                yield np.zeros(count, np.float32), np.zeros(count, np.float32)
                continue
            re, im = _kernels.decode_amplitudes(content, record.form["codec"])
            if re.size != count:
                raise StoreError(f"block {number} of {record} holds {re.size} amplitudes, not {count}; it is damaged")
            yield re, im

    @overload
    def restore(self, name: str, version: int | None = None, out: np.ndarray | None = None) -> np.ndarray: ...

    @overload
    def restore(self, name: str, version: int | None = None, *, out: Planes) -> Planes: ...

    def restore(
        self, name: str, version: int | None = None, out: np.ndarray | Planes | None = None
    ) -> np.ndarray | Planes:
        """The state as complex64, or written into `out`, an array or memory map of complex64 or two of float32."""
        snapshot = self.snapshot(name, version)
        size, step = 1 << snapshot.qubits, 1 << snapshot.block_bits
        target = np.empty(size, np.complex64) if out is None else out
        planes = _planes(target, "to restore into")
        kinds = [target.dtype, np.complex64] if isinstance(target, np.ndarray) else [planes[0].dtype, planes[1].dtype]
        wanted = np.complex64 if isinstance(target, np.ndarray) else np.float32
        fits = all(plane.shape == (size,) and plane.flags.writeable for plane in planes)
        if not fits or any(kind != wanted for kind in kinds):
            raise InputError(
                f"{name!r} version {snapshot.version} has {size} amplitudes; `out` must be that many in complex64, or "
                "two arrays of float32, that can be written to"
            )
        for number, (re, im) in enumerate(self.blocks(name, snapshot.version)):
            planes[0][number * step : (number + 1) * step] = re
            planes[1][number * step : (number + 1) * step] = im
        return target

    def export_zarr(self, path: str | Path, name: str, version: int | None = None) -> Path:
        """Write a state as a zarr array of complex64 at `path`, which must not exist yet; needs `qrex[zarr]`."""
        from qrex.store.zarr_export import write_zarr

        snapshot = self.snapshot(name, version)
        return write_zarr(Path(path), snapshot, self.blocks(name, snapshot.version))

    # Arrays and texts --------------------------------------------------------------------------------

    def save_array(self, name: str, array: np.ndarray, *, metadata: Any = None) -> int:
        """Keep an array of booleans or numbers, lossless, as the next version of `name`: detection events, say.
        Returns the version."""
        form = array_shape_of(array)
        return self._folder.keep(name, "array", metadata, array_pieces(array), lambda: form).version

    def load_array(self, name: str, version: int | None = None) -> np.ndarray:
        """What `save_array` kept, with its shape and type."""
        record = self._record(name, version, "array")
        try:
            return array_from_pieces(record.form, _all_there(self._folder.blocks(record)))
        except (ValueError, zlib.error) as error:
            raise StoreError(f"{record} is damaged: {error}") from error

    def save_text(self, name: str, text: str, *, metadata: Any = None) -> int:
        """Keep a text, such as an error model, as the next version of `name`. Returns the version."""
        if not isinstance(text, str):
            raise InputError(f"asked to keep {type(text).__name__} as the text {name!r}; give a str")
        try:
            form = {"bytes": len(text.encode())}
        except UnicodeEncodeError as error:
            raise InputError(f"the text to be kept as {name!r} is no Unicode: {error}") from error
        return self._folder.keep(name, "text", metadata, text_pieces(text), lambda: form).version

    def load_text(self, name: str, version: int | None = None) -> str:
        """What `save_text` kept."""
        record = self._record(name, version, "text")
        try:
            return text_from_pieces(_all_there(self._folder.blocks(record)))
        except (ValueError, zlib.error) as error:
            raise StoreError(f"{record} is damaged: {error}") from error

    # All kinds ---------------------------------------------------------------------------------------

    def versions(self, name: str) -> list[int]:
        """Versions that are kept of `name`, of whatever kind, oldest first."""
        return [record.version for record in self._folder.records(name)]

    def metadata(self, name: str, version: int | None = None) -> Any:
        """What was given with that version, or the newest."""
        return self._folder.record(name, version).metadata

    def delete(self, name: str, version: int) -> None:
        """Forget that version for good; its number is not given out again. Blocks that nothing else has are free."""
        self._folder.delete(name, version)

    def stored_bytes(self, name: str, version: int | None = None) -> tuple[int, int]:
        """(bytes of that version's distinct blocks, bytes that deleting it would free), without the index."""
        return self._folder.stored_bytes(self._folder.record(name, version))

    def usage(self) -> Usage:
        """Figures of the whole folder."""
        records = self._folder.records()
        states = [snapshot_of(record) for record in records if record.kind == "state"]
        return Usage(
            snapshots=len(states),
            logical_bytes=sum(state.logical_bytes for state in states),
            logical_bytes_complex64=sum(state.logical_bytes_complex64 for state in states),
            other_bytes=sum(record.form["bytes"] for record in records if record.kind != "state"),
            physical_bytes=self._folder.physical_bytes(),
            worst_infidelity=max((state.infidelity for state in states), default=0.0),
        )

    def damage(self) -> list[str]:
        """Reads everything; a sentence for each block or version that is not as it was saved."""
        return self._folder.damage()

    def _record(self, name: str, version: int | None, kind: str) -> Record:
        record = self._folder.record(name, version)
        if record.kind != kind:
            raise InputError(f"asked for the {kind} {name!r}; {record} is kept: read it with {_READ_WITH[record.kind]}")
        return record


def _planes(state: Any, what: str) -> Planes:
    """Real and imaginary parts. Raises InputError where `state` is neither an array nor two."""
    if isinstance(state, np.ndarray):
        return state.real, state.imag
    pair = isinstance(state, tuple | list) and len(state) == 2
    if not pair or not all(isinstance(part, np.ndarray) for part in state):
        raise InputError(
            f"the state {what} is a {type(state).__name__}; give an array of complex64, or its real and imaginary "
            "parts as two arrays of float32"
        )
    return state[0], state[1]


def _all_there(pieces: Iterable[bytes | None]) -> Iterator[bytes]:
    for piece in pieces:
        if piece is None:
            raise ValueError("a piece is missing")
        yield piece


def _cut(name: str, qubits: int, count: int, pieces: Iterable[Planes]) -> Iterator[Planes]:
    """Blocks of `count` amplitudes of `pieces`, 2^qubits together. Raises InputError where they are not that."""
    left = 1 << qubits
    for re, im in pieces:
        fits = re.ndim == 1 and re.shape == im.shape and re.size % count == 0 and 0 < re.size <= left
        if not fits or re.dtype != np.float32 or im.dtype != np.float32:
            raise InputError(
                f"asked to save {re.shape} real parts of {re.dtype} and {im.shape} imaginary ones of {im.dtype} as a "
                f"piece of {name!r}, which lacks {left} of 2^{qubits}; pass float32 in multiples of {count}"
            )
        left -= re.size
        for at in range(0, re.size, count):
            yield np.ascontiguousarray(re[at : at + count]), np.ascontiguousarray(im[at : at + count])
    if left:
        raise InputError(f"asked to save 2^{qubits} amplitudes as {name!r}; {left} of them were not given")
