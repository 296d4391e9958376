"""Sampled bits as count dictionaries, quickly.

In: a matrix of sampled bits. Out: `{bit string: count}` with classical bit 0 rightmost
and no spaces. One byte of scratch per bit and distinct row; callers draw at most `CHUNK_BITS` bits at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

__all__ = ["CHUNK_BITS", "count_packed_rows"]

CHUNK_BITS = 1 << 27


def count_packed_rows(packed: np.ndarray, columns: Mapping[int, int], width: int) -> Counter[str]:
    """Counts of the rows of `packed`, shape (shots, ⌈records / 8⌉), bit r % 8 of byte r // 8 being record r.

    Classical bit k, of `width` in all, takes record `columns[k]`, or 0 where it has none.

    >>> rows = np.array([[0b01], [0b01], [0b10]], dtype=np.uint8)
    >>> dict(count_packed_rows(rows, {0: 0, 2: 1}, 3))
    {'001': 2, '100': 1}
    """
    if width == 0 or packed.shape[1] == 0:
        return Counter({"0" * width: len(packed)})
    # Bytes are counted first: text is only made for rows that differ.
    distinct, times = _distinct_rows(packed)
    records = np.unpackbits(distinct, axis=1, bitorder="little")
    order = [columns.get(bit, -1) for bit in range(width)]
    if order == list(range(width)):  # measured in order, as nearly always: one pass, no gather
        bits = records[:, :width][:, ::-1]
    else:
        bits = np.zeros((len(distinct), width), dtype=np.uint8)
        bits[:, [width - 1 - bit for bit in columns]] = records[:, list(columns.values())]
    joined = (bits + np.uint8(ord("0"))).tobytes().decode("ascii")
    counts: Counter[str] = Counter()
    for index, count in enumerate(times):
        counts[joined[index * width : (index + 1) * width]] += count
    return counts


def _distinct_rows(packed: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The rows that differ, and how often each occurs."""
    shots, size = packed.shape
    if size <= 2:
        numbers = packed[:, 0].astype(np.uint16)
        if size == 2:
            numbers |= packed[:, 1].astype(np.uint16) << 8
        times = np.bincount(numbers, minlength=1)
        values = np.flatnonzero(times)
        return values.astype("<u2").view(np.uint8).reshape(-1, 2)[:, :size], times[values].tolist()
    if size <= 8:
        padded = np.zeros((shots, 8), dtype=np.uint8)
        padded[:, :size] = packed
        values, times = np.unique(padded.view("<u8").ravel(), return_counts=True)
        return values.view(np.uint8).reshape(-1, 8)[:, :size], times.tolist()
    rows = Counter(np.ascontiguousarray(packed).view(f"V{size}").ravel().tolist())
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), size), list(rows.values())
