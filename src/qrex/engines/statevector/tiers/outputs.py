"""What else than samples can be had of a final state that is seen once, sub-state by sub-state.

In: sub-states, as `run` hands them on. Out: expectation values of Pauli sums, marginals, probabilities of bit strings,
the whole state. An expectation value is taken in whichever stage has all wires local that its X and Y act on: the
planner treats it as a gate that does nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qrex import _kernels
from qrex.engines.statevector.tiers.blocks import Placement, SubState, wires_of
from qrex.errors import InfeasibleError, InputError

__all__ = ["SLAB_BYTES", "FinalState", "Marginal", "PauliSum", "Probabilities"]

SLAB_BYTES = 16 << 20

_MOST_MARGINAL = 20  # qubits
_MOST_RECORDED = 8  # qubits of a marginal that a manifest takes for every sub-state


class PauliSum:
    """Expectation value of sum over terms of coefficient × Pauli string: `value` once the run is over.

    Args:
        terms: (string, coefficient); a string has one of I, X, Y, Z per qubit of the circuit, qubit 0 rightmost.

    Raises InputError for other strings. Exact up to float32.
    """

    recorded = True

    def __init__(self, name: str, terms: Sequence[tuple[str, float]], num_qubits: int, threads: int):
        for text, _ in terms:
            if len(text) != num_qubits or set(text) - set("IXYZ"):
                raise InputError(f"{text!r} is no Pauli string on {num_qubits} qubits: one of I, X, Y, Z for each")
        self.name, self._threads = name, threads
        self._terms = list(terms)
        self._masks: list[tuple[int, int, complex] | None] = []
        self._due: list[tuple[int, ...]] = []
        self._numbers: dict[int, int] = {}
        self._placed: Sequence[Placement] = ()
        self.value = 0.0

    def request(self, segment: Any) -> None:
        """Before planning: where the qubits stand, and which wires each term needs local."""
        qubits = segment.next.qubits
        for k, (text, coefficient) in enumerate(self._terms):
            flips, signs, factor = 0, 0, complex(coefficient)
            for qubit, letter in enumerate(reversed(text)):
                wire, inverted = qubits[qubit]
                if letter == "I":
                    continue
                if wire < 0:
                    factor *= 0.0 if letter in "XY" else (-1.0 if inverted else 1.0)
                    continue
                flips |= (letter in "XY") << wire
                signs |= (letter in "YZ") << wire
                factor *= (1j if letter == "Y" else 1.0) * (-1.0 if inverted and letter in "YZ" else 1.0)
            self._masks.append((flips, signs, factor))
            if factor:
                self._numbers[segment.observe(flips, signs)] = k

    def prepare(self, segment: Any, placed: Sequence[Placement]) -> None:
        self._placed = placed
        for stage in range(len(placed)):
            mine = (self._numbers.get(number) for number in segment.observed(stage))
            self._due.append(tuple(term for term in mine if term is not None))

    def wants(self, stage: int) -> bool:
        return bool(self._due[stage])

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        total, place = 0.0, self._placed[stage]
        for term in self._due[stage]:
            flips, signs, factor = self._masks[term]
            inside = sum(1 << place.position_of[wire] for wire in wires_of(signs) if place.local(wire))
            outside = sum(1 << place.number(wire) for wire in wires_of(signs) if not place.local(wire))
            flipped = sum(1 << place.position_of[wire] for wire in wires_of(flips))
            found = _kernels.pauli_sum(state.re, state.im, flipped, inside, self._threads)
            sign = -1.0 if (value & outside).bit_count() & 1 else 1.0
            total += (factor * sign * found).real
        record = {"value": total}
        self.enter(record)
        return record

    def enter(self, record: Mapping[str, Any]) -> None:
        self.value += record["value"]


class _Last:
    """An output of the last stage alone, in terms of what the classical bits or qubits read."""

    recorded = True

    def __init__(self, name: str, threads: int):
        self.name, self._threads = name, threads
        self._last, self._place = 0, Placement(0, ())
        self.bits: list[tuple[int, bool]] = []
        self.qubits: list[tuple[int, bool]] = []

    def request(self, segment: Any) -> None:
        return

    def prepare(self, segment: Any, placed: Sequence[Placement]) -> None:
        self._last, self._place = len(placed) - 1, placed[-1]
        self.bits, self.qubits = segment.next.sources, segment.next.qubits

    def wants(self, stage: int) -> bool:
        return stage == self._last


class Marginal(_Last):
    """Probabilities of all values of some qubits: `table[v]`, bit k of v being qubit `qubits[k]`. At most 20 qubits."""

    def __init__(self, name: str, qubits: Sequence[int], num_qubits: int, threads: int):
        super().__init__(name, threads)
        self.check(qubits, num_qubits)
        self._chosen = tuple(qubits)
        self.table = np.zeros(1 << len(qubits))
        self.recorded = len(qubits) <= _MOST_RECORDED

    @staticmethod
    def check(qubits: Sequence[int], num_qubits: int) -> None:
        """InputError where a circuit of `num_qubits` qubits has no marginal of `qubits`."""
        if not qubits or len(set(qubits)) != len(qubits) or any(not 0 <= qubit < num_qubits for qubit in qubits):
            raise InputError(
                f"a marginal of the qubits {list(qubits)} is asked for; the circuit has {num_qubits} qubits, counted "
                "from 0: name different qubits of these"
            )
        if len(qubits) > _MOST_MARGINAL:
            raise InputError(f"a marginal of {len(qubits)} qubits is asked for; name at most {_MOST_MARGINAL}")

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        place, fixed, shifts, positions = self._place, 0, [], []
        for k, qubit in enumerate(self._chosen):
            wire, inverted = self.qubits[qubit]
            fixed |= inverted << k
            if wire < 0:
                continue
            if place.local(wire):
                shifts.append(k)
                positions.append(place.position_of[wire])
            else:
                fixed ^= (value >> place.number(wire) & 1) << k
        sums = _kernels.marginal(state.re, state.im, positions, self._threads)
        counter = np.arange(len(sums))
        at = np.full(len(sums), fixed)
        for k, shift in enumerate(shifts):
            at ^= (counter >> k & 1) << shift
        self.enter({"at": at, "sums": sums})
        return {"at": at.tolist(), "sums": sums.tolist()} if self.recorded else {}

    def enter(self, record: Mapping[str, Any]) -> None:
        np.add.at(self.table, record["at"], record["sums"])


class Probabilities(_Last):
    """Probabilities of bit strings of the classical bits (bit 0 rightmost): `values[text]`."""

    def __init__(self, name: str, texts: Sequence[str], num_clbits: int, threads: int):
        super().__init__(name, threads)
        for text in texts:
            self.check(text, num_clbits)
        self.values = dict.fromkeys(texts, 0.0)

    @staticmethod
    def check(text: str, num_clbits: int) -> None:
        """InputError where `text` is no outcome of `num_clbits` classical bits."""
        if len(text) == num_clbits and not set(text) - set("01"):
            return
        if not num_clbits:
            raise InputError(
                f"the probability of the outcome {text!r} is asked for; the circuit has no classical bits: measure "
                "into some (--measure-all), or ask for a marginal of qubits"
            )
        raise InputError(
            f"the probability of the outcome {text!r} is asked for; the circuit has {num_clbits} classical bits: write "
            "0 or 1 for each, bit 0 rightmost"
        )

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        found = {text: self._one(text, value, state) for text in self.values}
        record = {"values": {text: share for text, share in found.items() if share}}
        self.enter(record)
        return record

    def enter(self, record: Mapping[str, Any]) -> None:
        for text, share in record["values"].items():
            self.values[text] += share

    def _one(self, text: str, value: int, state: SubState) -> float:
        wanted: dict[int, bool] = {}
        for letter, (wire, inverted) in zip(reversed(text), self.bits, strict=True):
            one = (letter == "1") != inverted
            if wire < 0:
                if one:
                    return 0.0
            elif wanted.setdefault(wire, one) != one:
                return 0.0
        mask = target = 0
        for wire, one in wanted.items():
            if self._place.local(wire):
                mask |= 1 << self._place.position_of[wire]
                target |= one << self._place.position_of[wire]
            elif bool(value >> self._place.number(wire) & 1) != one:
                return 0.0
        return float(_kernels.masked_norm(state.re, state.im, mask, target))


class FinalState(_Last):
    """All amplitudes, complex64, qubit 0 least significant, into `array` of 2^num_qubits, which is zero before. A
    global phase is not kept. What an earlier process wrote into `array` must still be there, unless `name` is another
    one. With `in_file`, `array` is a memory map shared with a file: it is on the disk before a sub-state counts as
    done, and is never resident with more than `SLAB_BYTES`.

    `request` raises InfeasibleError where a qubit is reset that others may be entangled with: the state is mixed then.
    """

    def __init__(
        self, array: np.ndarray, num_qubits: int, threads: int, name: str = "state", *, in_file: bool = False
    ):  # fmt: skip
        super().__init__(name, threads)
        if array.shape != (1 << num_qubits,) or array.dtype != np.complex64:
            raise InputError(
                f"the final state needs a complex64 array of {1 << num_qubits} amplitudes, got {array.dtype} of shape "
                f"{array.shape}"
            )
        if not array.flags.writeable:
            raise InputError("the final state was to go into an array that cannot be written to; give one that can")
        self._array, self._in_file = array, in_file

    def request(self, segment: Any) -> None:
        held = sum(1 << wire for wire, _ in segment.next.qubits if wire >= 0)
        if int(segment.used) & ~held:
            raise InfeasibleError(
                "a qubit is reset at the end, so that the final state may be mixed and no vector; ask for observables, "
                "marginals or counts, or leave the reset out"
            )

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        place = self._place
        count = len(self.qubits)
        view = self._array.reshape((2,) * count)
        at: list[Any] = [0] * count
        axes = []  # positions of the axes that stay, outermost first
        outer = 0  # how many of them lie above one slab
        for qubit in reversed(range(count)):
            wire, inverted = self.qubits[qubit]
            axis = count - 1 - qubit
            if wire < 0:
                at[axis] = int(inverted)
            elif place.local(wire):
                at[axis] = slice(None, None, -1) if inverted else slice(None)
                axes.append(place.position_of[wire])
                outer += 8 << qubit >= SLAB_BYTES
            else:
                at[axis] = int(value >> place.number(wire) & 1) ^ int(inverted)
        if not axes:
            view[tuple(at)] = complex(state.re[0], state.im[0])
            return {}
        bits = len(state.re).bit_length() - 1
        order = [bits - 1 - position for position in axes]
        unused = [axis for axis in range(bits) if axis not in order]  # of states with fewer than 4 wires
        target = view[tuple(at)]
        sources = [plane.reshape((2,) * bits).transpose(unused + order)[(0,) * len(unused)]
                   for plane in (state.re, state.im)]  # fmt: skip
        for slab in np.ndindex((2,) * outer):
            target.real[slab], target.imag[slab] = (source[slab] for source in sources)
            if self._in_file:
                self._array.base.madvise(mmap.MADV_DONTNEED)  # which forgets nothing that is shared with a file
        if self._in_file:
            self._array.flush()
        return {}

    def enter(self, record: Mapping[str, Any]) -> None:
        return
