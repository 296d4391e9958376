"""What a stabilizer run costs, from constants measured on this machine.

In: the sizes of a run. Out: seconds and bytes. Seconds, n being the qubits, m the measurements, w the classical
bits, d the distinct outcomes and ways ≥ 1 how many circuits are sampled:
  fixed + row · rows
  + ways · (way + cell · rows · n + collapse · m · n)
  + bit · shots · m + frame · shots · rows                                    (sampling)
  + shot · shots + seen · shots · m + (outcome + letter · w) · d                             (counting)
Of d only a bound is known: shots, 2^w, and the support of the state where all is measured at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from qrex.engines.protocol import Cost
from qrex.profile import Profile

__all__ = ["CONSTANT_NAMES", "Sizes", "chunk_shots", "estimate", "run_bytes", "seconds", "sizes_of"]

CONSTANT_NAMES = (
    "fixed", "row", "way", "cell", "collapse", "bit", "frame", "shot", "seen", "outcome", "letter",
)  # fmt: skip

_CHUNK_BITS = 1 << 23  # drawn and counted at once: some 20 ms
_CHUNK_STEPS = 1 << 33
_LEAST_CHUNK = 256
_BASE_BYTES = 4 << 20
_BYTES_PER_ROW = 64  # text, stim's circuit, and what marks the row
_STRING_HEAD = 49
_TABLE_BITS = 256  # stim's tables are padded to whole vectors


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a run's cost depends on. `forks`: measurements and resets after which shots may part ways;
    `log2_outcomes`: bound on log2 of the number of distinct outcomes."""

    rows: int
    qubits: int
    records: int
    width: int
    shots: int
    forks: int = 0
    log2_outcomes: float = math.inf

    @property
    def distinct(self) -> float:
        """Distinct outcomes to expect of `shots` over the outcomes there can be."""
        log2_outcomes = min(self.log2_outcomes, self.records, self.width)
        if log2_outcomes > 40:
            return self.shots
        outcomes = 2.0**log2_outcomes
        return -outcomes * math.expm1(-self.shots / outcomes)

    @property
    def ways(self) -> float:
        """Circuits to sample, at most."""
        return min(self.shots, 2.0 ** min(self.forks, 60))


def sizes_of(profile: Profile) -> Sizes:
    return Sizes(
        profile.instructions,
        profile.num_qubits,
        profile.measurements,
        profile.num_clbits,
        profile.shots,
        profile.stabilizer_forks,
        profile.log2_support if profile.terminal_measurements_only else math.inf,
    )


def chunk_shots(sizes: Sizes) -> int:
    """Shots to draw at once."""
    by_bits = _CHUNK_BITS // max(sizes.records, sizes.width, _TABLE_BITS)
    return max(_LEAST_CHUNK, min(by_bits, _CHUNK_STEPS // max(sizes.rows, 1)))


def estimate(c: Mapping[str, float], sizes: Sizes) -> Cost:
    """Predicted cost. An upper bound where shots may part ways: how many ways they take shows only then."""
    return Cost(seconds(c, sizes), run_bytes(sizes), upper_bound=sizes.forks > 0)


def seconds(c: Mapping[str, float], sizes: Sizes) -> float:
    """The sum in the module's words."""
    rows, n, m, w, shots = sizes.rows, sizes.qubits, sizes.records, sizes.width, sizes.shots
    return (
        c["fixed"]
        + c["row"] * rows
        + sizes.ways * (c["way"] + c["cell"] * rows * n + c["collapse"] * m * n)
        + c["bit"] * shots * m
        + c["frame"] * shots * rows
        + (c["shot"] + c["seen"] * m) * shots
        + (c["outcome"] + c["letter"] * w) * sizes.distinct
    )


def run_bytes(sizes: Sizes) -> int:
    """Bytes at the peak: one chunk being drawn and counted, and all outcomes with their counts."""
    chunk = min(sizes.shots, chunk_shots(sizes))
    tables = chunk * (3 * _padded(sizes.records) + 2 * sizes.qubits) / 8
    fresh = min(chunk, sizes.distinct)
    counting = fresh * (sizes.records + 2 * sizes.width) + _dictionary_bytes(fresh, sizes.width) + 72 * chunk
    kept = _dictionary_bytes(sizes.distinct, sizes.width)
    return _BASE_BYTES + _BYTES_PER_ROW * sizes.rows + int(tables + counting + kept)


def _padded(records: int) -> int:
    return -(-max(1, records) // _TABLE_BITS) * _TABLE_BITS


def _dictionary_bytes(entries: float, width: int) -> float:
    """Bytes of a dictionary of `entries` bit strings: CPython's strings, and a table that doubles when two thirds
    of it are in use, with 4 bytes for each place and 16 for each that may be used."""
    places = 2.0 ** math.ceil(math.log2(max(8.0, 1.5 * entries)))
    return entries * (-(-(_STRING_HEAD + width) // 16) * 16) + places * (4 + 16 * 2 / 3)
