"""The one- and two-qubit Clifford groups in a device's own gates.

In: a random generator, a native gate name. Out: elements as 4x4 (2x2) unitaries and as words of pulses, and
inverses. One-qubit elements are rz·pulse·rz with at most one pulse (24 of them, 20/24 pulses on average).
Two-qubit elements are (local Cliffords)·(one of 20 coset representatives); a breadth-first search writes the
representatives with the fewest native gates (1.5 on average, 11,520 elements). Sampling is uniform and costs
microseconds; an inverse costs about 0.1 ms. Reference for the cosets: Corcoles et al., arXiv:1210.7011.
Matrices act on (first, second) qubit with the first least significant: kron(second, first).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from qrex.measure.schedule import ENTANGLERS, Timeline

__all__ = ["ONE_QUBIT", "OneQubitCliffords", "PairCliffords", "Word", "pair_cliffords"]

Word = tuple[int, str, int]
"""Quarter turns of rz, then a pulse ("", "sx" or "x"), then quarter turns of rz."""

_PULSE_MATRIX = {
    "": np.eye(2, dtype=complex),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
}
_PAULIS = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
_PAIR_PAULIS = np.array([np.kron(b, a) for b in _PAULIS for a in _PAULIS])  # index 4*second + first
_GENERATORS = _PAIR_PAULIS[[1, 3, 4, 12]]


def _turn(quarters: int) -> np.ndarray:
    angle = quarters * np.pi / 4
    return np.diag([np.exp(-1j * angle), np.exp(1j * angle)])


class OneQubitCliffords:
    """The 24 elements: `words[i]` and `matrices[i]`, i = 0 the identity; `pauli[b]` the index of X**b."""

    def __init__(self) -> None:
        words: list[Word] = [(turns, "", 0) for turns in range(4)]
        words += [(before, "sx", after) for before in range(4) for after in range(4)]
        words += [(turns, "x", 0) for turns in range(4)]
        self.words = tuple(words)
        self.matrices = np.array(
            [_turn(after) @ _PULSE_MATRIX[p] @ _turn(before) for before, p, after in words]
        )

    def index(self, unitary: np.ndarray) -> int:
        """The element equal to `unitary` up to phase."""
        overlap = np.abs(np.einsum("kij,ij->k", self.matrices.conj(), unitary))
        found = int(np.argmax(overlap))
        assert overlap[found] > 2 - 1e-6, "not a Clifford"
        return found

    def apply(self, line: Timeline, qubit: int, index: int) -> None:
        """Append element `index` to the timeline."""
        before, pulse, after = self.words[index]
        line.rz(qubit, before)
        if pulse:
            line.pulse(pulse, qubit)
        line.rz(qubit, after)


ONE_QUBIT = OneQubitCliffords()


@dataclass(frozen=True)
class _Coset:
    """Representative U = G·L_k … G·L_1; `locals` are index pairs (first, second), L_1 first."""

    locals: tuple[tuple[int, int], ...]
    unitary: np.ndarray = field(compare=False)


def _coset_key(unitary: np.ndarray) -> tuple[int, ...]:
    """What local Cliffords applied afterwards cannot change: the images' Paulis, renamed by appearance."""
    images = unitary @ _GENERATORS @ unitary.conj().T
    overlap = np.abs(np.einsum("qij,pji->pq", _PAIR_PAULIS, images))
    key: list[int] = []
    names: tuple[dict[int, int], dict[int, int]] = ({0: 0}, {0: 0})
    for index in np.argmax(overlap, axis=1).tolist():
        for side, pauli in enumerate((index % 4, index // 4)):
            key.append(names[side].setdefault(pauli, len(names[side])))
    return tuple(key)


class PairCliffords:
    """The two-qubit Clifford group written in one native gate (`cx`, `ecr` or `cz`, in that gate's order)."""

    def __init__(self, gate: str):
        self.gate = gate
        self.gate_matrix = np.asarray(ENTANGLERS[gate]().to_matrix())
        # Up to Paulis, which move no coset, a local Clifford is one of six; words with fewest pulses first.
        axes: dict[tuple[int, ...], int] = {}
        for index, matrix in enumerate(ONE_QUBIT.matrices):
            images = matrix @ _PAULIS[1:] @ matrix.conj().T
            axes.setdefault(
                tuple(np.argmax(np.abs(np.einsum("qij,pji->pq", _PAULIS, images)), axis=1)), index
            )
        cosets = {_coset_key(np.eye(4)): _Coset((), np.eye(4, dtype=complex))}
        frontier = list(cosets.values())
        while frontier:
            reached = []
            for coset in frontier:
                for first in axes.values():
                    for second in axes.values():
                        unitary = self.gate_matrix @ self.local(first, second) @ coset.unitary
                        key = _coset_key(unitary)
                        if key not in cosets:
                            cosets[key] = _Coset((*coset.locals, (first, second)), unitary)
                            reached.append(cosets[key])
            frontier = reached
        self.cosets = tuple(cosets.values())
        self._by_key = dict(cosets)

    @staticmethod
    def local(first: int, second: int) -> np.ndarray:
        """Matrix of one-qubit elements `first` and `second` side by side."""
        return np.kron(ONE_QUBIT.matrices[second], ONE_QUBIT.matrices[first])

    def sample(self, rng: np.random.Generator) -> tuple[_Coset, int, int]:
        """A uniformly random element."""
        coset, first, second = rng.integers(0, (len(self.cosets), 24, 24)).tolist()
        return self.cosets[coset], first, second

    def matrix(self, element: tuple[_Coset, int, int]) -> np.ndarray:
        coset, first, second = element
        return self.local(first, second) @ coset.unitary

    def element(self, unitary: np.ndarray) -> tuple[_Coset, int, int]:
        """The element equal to `unitary` up to phase."""
        coset = self._by_key[_coset_key(unitary)]
        rest = (unitary @ coset.unitary.conj().T).reshape(2, 2, 2, 2)  # second', first', second, first
        row, col = np.unravel_index(np.argmax(np.abs(rest[:, 0, :, 0]) + np.abs(rest[:, 1, :, 0])), (2, 2))
        first = rest[row, :, col, :]
        first = first / np.sqrt(abs(np.linalg.det(first)))
        second = np.einsum("aibj,ij->ab", rest, first.conj()) / 2
        return coset, ONE_QUBIT.index(first), ONE_QUBIT.index(second)

    def apply(self, line: Timeline, pair: tuple[int, int], element: tuple[_Coset, int, int]) -> None:
        """Append an element to the timeline; `pair` in the native gate's order."""
        coset, *last = element
        for step in coset.locals:
            self.apply_local(line, pair, step)
            line.gate(self.gate, pair)
        self.apply_local(line, pair, (last[0], last[1]))

    @staticmethod
    def apply_local(line: Timeline, pair: tuple[int, int], indices: tuple[int, int]) -> None:
        for qubit, index in zip(pair, indices, strict=True):
            ONE_QUBIT.apply(line, qubit, index)


@lru_cache(maxsize=len(ENTANGLERS))
def pair_cliffords(gate: str) -> PairCliffords:
    """The group written in `gate`; built once (tens of milliseconds)."""
    return PairCliffords(gate)
