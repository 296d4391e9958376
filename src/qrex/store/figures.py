"""Figures of kept states: what they would take in full, what they take, and what the codec cost.

In: records of a folder. Out: `Snapshot` and `Usage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qrex.store.block_record import Record

__all__ = ["Snapshot", "Usage", "infidelity", "snapshot_of"]

_COMPLEX128_BYTES = 16
_COMPLEX64_BYTES = 8


def infidelity(norm: float, kept_norm: float, error: float) -> float:
    """Upper bound of 1 - |<x|y>|² / (<x|x> <y|y>), given <x|x>, <y|y> and <x-y|x-y>.

    It is exact but for the imaginary part of <x|y>, which is taken as 0; two zero states have none. The product of
    the norms minus the squared real part of <x|y> is written out: it does not cancel where all but 1e-9 is kept.

    >>> round(infidelity(1.0, 1.0, 2e-9), 12), infidelity(1.0, 0.25, 0.25), infidelity(1.0, 0.0, 1.0)
    (2e-09, 0.0, 1.0)
    """
    if not norm or not kept_norm:
        return float(norm != kept_norm)
    apart = error * (norm + kept_norm) / 2 - (error**2 + (norm - kept_norm) ** 2) / 4
    return min(max(apart / (norm * kept_norm), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A kept state of 2^qubits amplitudes, in blocks of 2^block_bits. `norm` is the sum of |amplitude|² as it was
    given, `infidelity` what the codec cost, measured when it was saved (an upper bound). `new_bytes` is what saving it
    added; snapshots of one codec with equal `content` are equal."""

    name: str
    version: int
    created_at: float  # seconds since 1970, UTC
    metadata: Any
    qubits: int
    block_bits: int
    codec: str
    norm: float
    infidelity: float
    blocks: int
    zero_blocks: int
    new_bytes: int
    content: str

    @property
    def logical_bytes(self) -> int:
        """Of the state in complex128."""
        return _COMPLEX128_BYTES << self.qubits

    @property
    def logical_bytes_complex64(self) -> int:
        return _COMPLEX64_BYTES << self.qubits


def snapshot_of(record: Record) -> Snapshot:
    """The state that a record holds."""
    form: Mapping[str, Any] = record.form
    return Snapshot(
        name=record.name,
        version=record.version,
        created_at=record.created_at,
        metadata=record.metadata,
        qubits=form["qubits"],
        block_bits=form["block_bits"],
        codec=form["codec"],
        norm=form["norm"],
        infidelity=infidelity(form["norm"], form["kept_norm"], form["error"]),
        blocks=1 << (form["qubits"] - form["block_bits"]),
        zero_blocks=form["zero_blocks"],
        new_bytes=record.new_bytes,
        content=record.content,
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """A folder as a whole. Logical bytes are of its states, every version in full; `other_bytes` of the arrays and
    texts beside them before compression; physical bytes are what all files of the folder really take on the disk."""

    snapshots: int
    logical_bytes: int  # complex128
    logical_bytes_complex64: int
    other_bytes: int
    physical_bytes: int
    worst_infidelity: float

    @property
    def effective_storage(self) -> float:
        """Logical bytes in complex128 over physical bytes."""
        return self.logical_bytes / self.physical_bytes

    @property
    def effective_storage_complex64(self) -> float:
        return self.logical_bytes_complex64 / self.physical_bytes
