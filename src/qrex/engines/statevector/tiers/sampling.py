"""Samples of a state that is seen once, sub-state by sub-state, and then dropped.

In: the sub-states of the last stage, in ascending order. Out: counts. All shots are drawn beforehand, as ascending
uniforms; each sub-state answers those that fall into its share of the probability.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qrex import _kernels
from qrex.engines.bits import CHUNK_BITS, count_packed_rows
from qrex.engines.statevector.tiers.blocks import Placement, SubState

__all__ = ["StreamingSampler"]


class StreamingSampler:
    """`shots` samples of the classical bits, drawn with `seed`: an `Output`."""

    name = "samples"
    recorded = True

    def __init__(self, shots: int, seed: int, threads: int):
        self._threads = threads
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._uniforms = np.sort(self._random.random(shots))
        self._sources: Sequence[tuple[int, bool]] = ()
        self._stage: Placement | None = None
        self._last = 0
        self.norm = 0.0
        self.counts: Counter[str] = Counter()

    def request(self, segment: Any) -> None:
        """Samples need nothing but the last stage."""

    def prepare(self, segment: Any, placed: Sequence[Placement]) -> None:
        """Where the classical bits are read: `segment.next` tells."""
        self._sources, self._last, self._stage = segment.next.sources, len(placed) - 1, placed[-1]

    def wants(self, stage: int) -> bool:
        """The last stage alone."""
        return stage == self._last

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        """Sample sub-state number `value`: its norm, and the counts of the shots that fall into it."""
        norms = _kernels.block_norms(state.re, state.im, self._threads)
        share = float(norms.sum())
        low, high = np.searchsorted(self._uniforms, (self.norm, self.norm + share))
        counts: Counter[str] = Counter()
        if high > low:
            inside = (self._uniforms[low:high] - self.norm) / share
            inside = np.clip(inside, 0.0, np.nextafter(1.0, 0.0))
            counts = self._read(value, _kernels.sample(state.re, state.im, norms, inside, self._threads))
        record = {"norm": share, "counts": dict(counts)}
        self.enter(record)
        return record

    def enter(self, record: Mapping[str, Any]) -> None:
        """Count what `take` returned."""
        self.norm += record["norm"]
        self.counts.update(record["counts"])

    def finish(self) -> Counter[str]:
        """All counts. A shot beyond the computed norm, which rounding leaves a little short of 1, repeats another."""
        missing = len(self._uniforms) - self.counts.total()
        if missing and self.counts:
            texts = list(self.counts)
            weights = np.array([self.counts[text] for text in texts], dtype=np.float64)
            for k in self._random.choice(len(texts), size=missing, p=weights / weights.sum()):
                self.counts[texts[k]] += 1
        return self.counts

    def _read(self, value: int, drawn: np.ndarray) -> Counter[str]:
        assert self._stage is not None
        index = drawn | np.uint64(value << self._stage.bits)
        width = len(self._sources)
        counts: Counter[str] = Counter()
        step = max(CHUNK_BITS // max(width, 1), 1)
        for first in range(0, len(index), step):
            part = index[first : first + step]
            bits = np.zeros((len(part), width), dtype=np.uint8)
            for c, (wire, inverted) in enumerate(self._sources):
                if wire >= 0:
                    bits[:, c] = (part >> np.uint64(self._stage.position_of[wire])) & np.uint64(1)
                bits[:, c] ^= inverted
            packed = np.packbits(bits, axis=1, bitorder="little")
            counts.update(count_packed_rows(packed, {c: c for c in range(width)}, width))
        return counts
