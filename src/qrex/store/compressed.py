"""Arrays and texts as compressed pieces, lossless.

In: an array (detection events, say: booleans are packed to bits) or a text. Out: pieces of bytes of bounded size,
zlib each, and the same array or text again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from qrex.errors import InputError

__all__ = ["array_from_pieces", "array_pieces", "array_shape_of", "text_from_pieces", "text_pieces"]

_PIECE_BYTES = 1 << 20  # before compression: enough for zlib's 32 KiB window, little to hold at once
_LEVEL = 6


def array_shape_of(array: np.ndarray) -> dict[str, Any]:
    """What `array_from_pieces` needs to know. Raises InputError where elements are no plain numbers or booleans."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"asked to keep {type(array).__name__} as an array; convert it with numpy.asarray")
    if array.dtype.kind not in "?biufc":
        raise InputError(f"asked to keep an array of {array.dtype}; booleans and numbers can be kept: convert it")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "bytes": array.nbytes}


def array_pieces(array: np.ndarray) -> Iterator[bytes]:
    """The elements in C order, compressed; eight booleans to a byte, the first in the highest bit."""
    flat = np.ascontiguousarray(array).reshape(-1)
    is_bool = flat.dtype.kind == "b"
    step = _PIECE_BYTES * 8 if is_bool else max(_PIECE_BYTES // flat.itemsize, 1)
    for start in range(0, flat.size, step):
        some = flat[start : start + step]
        yield zlib.compress(np.packbits(some).tobytes() if is_bool else some.tobytes(), _LEVEL)


def array_from_pieces(form: Mapping[str, Any], pieces: Iterable[bytes]) -> np.ndarray:
    """The array again. Raises ValueError where the pieces do not make it up."""
    array = np.empty(tuple(form["shape"]), dtype=form["dtype"])
    flat, filled = array.reshape(-1), 0
    for piece in pieces:
        raw = np.frombuffer(zlib.decompress(piece), dtype=np.uint8)
        some = np.unpackbits(raw, count=min(raw.size * 8, flat.size - filled)) if array.dtype.kind == "b" else raw
        some = some.view(array.dtype)
        flat[filled : filled + some.size] = some
        filled += some.size
    if filled != flat.size:
        raise ValueError(f"{filled} of {flat.size} elements are there")
    return array


def text_pieces(text: str) -> Iterator[bytes]:
    """UTF-8, compressed."""
    raw = text.encode()
    for start in range(0, len(raw), _PIECE_BYTES):
        yield zlib.compress(raw[start : start + _PIECE_BYTES], _LEVEL)


def text_from_pieces(pieces: Iterable[bytes]) -> str:
    """The text again."""
    return b"".join(zlib.decompress(piece) for piece in pieces).decode()
