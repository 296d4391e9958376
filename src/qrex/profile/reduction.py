"""A program cut down to what must be simulated: certain bits, independent coins, and parts apart.

In: a `Program`. Out: `Reduced`, from `reduce`; the parts' counts become the program's counts in `join`.
Gates are followed forward while qubits are known one by one (constants, swaps, phase kickback), rows that no
measurement can see are dropped backward, and what is left falls into connected parts whose qubits are put in an
order that keeps bonds small. Compiled (src/cpp/reduction.cpp), O(rows): a few milliseconds for 10,000 rows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qrex import _kernels
from qrex.circuits.program import Condition, Program

__all__ = ["Part", "Reduced", "join", "join_bytes", "reduce"]

_CHUNK = 1 << 20  # entries that are drawn, or written out as characters, at a time


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An independent piece: `program` on its own numbers; its qubit i (bit i) was `qubits[i]` (`clbits[i]`).

    Qubits stand in an order that keeps the bonds of a matrix product state small. A renamed qubit (after a swap)
    carries the number of the place where its state is.
    """

    program: Program
    qubits: tuple[int, ...]
    clbits: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """What is left of a program.

    `constants` are classical bits that are certain, by value; a bit in none of `constants`, `coin_bits` and the
    parts is 0. Constants go before parts: a part may write such a bit on the way. `coin_bits[i]` is 1 with
    probability `coin_ones[i]`, independent of everything else.
    `folded` rows were worked out beforehand, `relabelled` swaps became renamings, `unseen` rows reach no
    measurement. Where the program has an `obstacle`, nothing is done and the one part is the program.
    """

    num_clbits: int
    constants: Mapping[int, int]
    coin_bits: np.ndarray
    coin_ones: np.ndarray
    parts: tuple[Part, ...]
    rows_before: int
    rows_after: int
    qubits_before: int
    qubits_after: int
    folded: int = 0
    relabelled: int = 0
    unseen: int = 0

    @property
    def widest_part(self) -> int:
        return max((part.program.num_qubits for part in self.parts), default=0)


def reduce(program: Program) -> Reduced:
    """`program` without what can be known before it runs; see `Reduced`."""
    rows, width = len(program), program.num_qubits
    if program.obstacle:
        whole = Part(program, tuple(range(width)), tuple(range(program.num_clbits)))
        return Reduced(
            program.num_clbits, {}, np.zeros(0, np.int32), np.zeros(0), (whole,), rows, rows, width, width
        )
    found = _kernels.reduce_program(program)
    written = np.zeros(program.num_clbits, dtype=bool)
    written[program.clbit[program.clbit >= 0]] = True
    certain = np.flatnonzero(written & (found["bit"] >= 0))
    return Reduced(
        num_clbits=program.num_clbits,
        constants=dict(zip(certain.tolist(), found["bit"][certain].tolist(), strict=True)),
        coin_bits=found["coin_bits"],
        coin_ones=found["coin_ones"],
        parts=tuple(_part(*one) for one in found["parts"]),
        rows_before=rows,
        rows_after=found["rows_after"],
        qubits_before=width,
        qubits_after=found["qubits_after"],
        folded=found["folded"],
        relabelled=found["relabelled"],
        unseen=found["unseen"],
    )


def _part(arrays: tuple[np.ndarray, ...], guards: tuple, qubits: list[int], clbits: list[int]) -> Part:
    conditions = tuple(
        tuple(
            Condition(bits, sum(wanted << place for place, wanted in enumerate(values)), negated)
            for bits, values, negated in guard
        )
        for guard in guards
    )
    return Part(Program(len(qubits), len(clbits), *arrays, conditions), tuple(qubits), tuple(clbits))


def join(reduced: Reduced, part_counts: Sequence[Mapping[str, int]], shots: int, seed: int) -> dict[str, int]:
    """Counts of the whole program from those of its parts (in order, `shots` each, in the parts' own bits).

    Parts are independent, so their shots are paired at random. ValueError where a part has other shots.
    """
    if len(part_counts) != len(reduced.parts):
        raise ValueError(f"{len(part_counts)} counts for {len(reduced.parts)} parts")
    for counts in part_counts:
        if sum(counts.values()) != shots:
            raise ValueError(f"a part has {sum(counts.values())} shots of {shots}")
    width = reduced.num_clbits
    ones = [width - 1 - bit for bit, value in reduced.constants.items() if value]
    if not width or (not len(reduced.coin_bits) and len(part_counts) <= 1):
        return _placed(reduced, part_counts, shots, ones)
    random = np.random.default_rng([seed, 0x6A01])
    # One row of bits per string position: strings are made of those that differ.
    bits = np.zeros((width, shots), dtype=np.uint8)
    step = max(1, _CHUNK // shots)
    for first in range(0, len(reduced.coin_bits), step):
        some = slice(first, first + step)
        drawn = random.random((len(reduced.coin_bits[some]), shots))
        bits[width - 1 - reduced.coin_bits[some]] = drawn < reduced.coin_ones[some, None]
    for index, (part, counts) in enumerate(zip(reduced.parts, part_counts, strict=True)):
        keys = _characters(counts, len(part.clbits)) - np.uint8(ord("0"))
        which = np.repeat(np.arange(len(keys)), np.fromiter(counts.values(), dtype=np.int64, count=len(keys)))
        if index:  # one of them may stay sorted: only how they meet matters
            random.shuffle(which)
        rows, columns = _columns(reduced, part)
        for row, column in zip(rows, columns, strict=True):
            bits[row] = keys[:, column][which]
    bits[ones] = 1
    packed = np.zeros((shots, -(-width // 64) * 8), dtype=np.uint8)
    packed[:, : -(-width // 8)] = np.packbits(bits, axis=0).T
    del bits
    if width <= 64:
        codes, tally = np.unique(packed.view(np.uint64), return_counts=True)
        distinct, numbers = codes.view(np.uint8).reshape(len(codes), -1), tally
    else:
        counted = Counter(packed.view(f"V{packed.shape[1]}").ravel().tolist())
        distinct = np.frombuffer(b"".join(counted), dtype=np.uint8).reshape(len(counted), -1)
        numbers = np.fromiter(counted.values(), dtype=np.int64, count=len(counted))
        del counted
    del packed
    return _named(distinct, numbers, width)


def join_bytes(reduced: Reduced, distinct: float, shots: int) -> int:
    """What `join` takes and its result, sent away: `distinct` outcomes of `shots`. Measured with CPython 3.11 and
    NumPy 2: a string takes 49 bytes and its characters, its place in the dictionary up to 110, its copy on
    the way up to 1.5 times its characters."""
    width = reduced.num_clbits
    packed = -(-width // 64) * 8
    counted = 120 if width > 64 else 0
    pairing = 0
    if len(reduced.coin_bits) or len(reduced.parts) > 1:
        pairing = shots * (max(width + packed, 2 * packed + counted) + 24) + 16 * _CHUNK
    return max(pairing, int(distinct * (2.5 * width + packed + counted + 160)))


def _named(distinct: np.ndarray, numbers: np.ndarray, width: int) -> dict[str, int]:
    """Counts by string, from packed rows; made in chunks, since the characters of all would be held twice."""
    named: dict[str, int] = {}
    step = max(1, _CHUNK // width)
    for first in range(0, len(distinct), step):
        some = np.unpackbits(distinct[first : first + step], axis=1, count=width)
        text = (some + np.uint8(ord("0"))).tobytes().decode("ascii")
        for row, count in enumerate(numbers[first : first + step].tolist()):
            named[text[row * width : (row + 1) * width]] = count
    return named


def _placed(reduced: Reduced, part_counts: Sequence[Mapping[str, int]], shots: int, ones: list[int]) -> dict[str, int]:
    """One part at most and no coins: no pairing is needed."""
    counts = part_counts[0] if part_counts else {"": shots}
    if not reduced.num_clbits:
        return {"": shots}
    clbits = reduced.parts[0].clbits if reduced.parts else ()
    width = reduced.num_clbits
    rows, columns = _columns(reduced, reduced.parts[0]) if clbits else ([], [])
    result: Counter[str] = Counter()  # bits that are constant in the end may have told strings apart
    items = iter(counts.items())
    while some := dict(itertools.islice(items, max(1, _CHUNK // width))):
        text = np.full((len(some), width), ord("0"), dtype=np.uint8)
        if clbits:
            text[:, rows] = _characters(some, len(clbits))[:, columns]
        text[:, ones] = ord("1")
        joined = text.tobytes().decode("ascii")
        for index, count in enumerate(some.values()):
            result[joined[index * width : (index + 1) * width]] += count
    return dict(result)


def _columns(reduced: Reduced, part: Part) -> tuple[list[int], list[int]]:
    """Where the bits of a part go: string positions of the whole, and of the part, constants left out."""
    kept = [(local, bit) for local, bit in enumerate(part.clbits) if bit not in reduced.constants]
    width, own = reduced.num_clbits, len(part.clbits)
    return [width - 1 - bit for _, bit in kept], [own - 1 - local for local, _ in kept]


def _characters(counts: Mapping[str, int], width: int) -> np.ndarray:
    """The keys as characters, shape (keys, width)."""
    return np.frombuffer("".join(counts).encode("ascii"), dtype=np.uint8).reshape(len(counts), width)
