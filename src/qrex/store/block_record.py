"""What a record of a folder of blocks is, and the digests that cover it.

In: what is to be kept. Out: digests that change with any of it, and the packed form of its list of blocks.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["ZEROS", "Place", "Record", "content_of", "digest_of", "packed", "root_of", "unpacked"]

ZEROS = bytes(16)  # stands for the digest of a block of zeros, which is not kept


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under a name and a version. `form` says how to read it, `new_bytes` is what saving it added;
    records with equal `content` have equal blocks."""

    id: int
    name: str
    version: int
    kind: str
    created_at: float
    metadata: Any
    form: Mapping[str, Any]
    new_bytes: int
    content: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} version {self.version}"


class Place(NamedTuple):
    """Where a block lies in the block file, and what is known of its content."""

    position: int
    length: int  # bytes
    crc: int
    digest: bytes


def digest_of(block: Any) -> bytes:
    """Of any buffer: so strong that equal digests mean equal content."""
    return hashlib.sha256(block).digest()[:16]


def content_of(digests: Iterable[bytes]) -> str:
    """`Record.content`, given the digests of the blocks in order."""
    return digest_of(b"".join(digests)).hex()


def root_of(values: Sequence[Any]) -> bytes:
    """Digest of a record's columns from `name` to `content`."""
    return digest_of(json.dumps(list(values)).encode())


def packed(ids: Iterable[int]) -> bytes:
    """Ids of blocks as the index keeps them: int64, little-endian as everything that is compiled here."""
    return array("q", ids).tobytes()


def unpacked(blocks: bytes) -> array[int]:
    """The ids again. Raises ValueError or TypeError where that is no list of ids."""
    ids = array("q")
    ids.frombytes(blocks)
    return ids
