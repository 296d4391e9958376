"""The Bell witness of every link: F = (1 + <XX> - <YY> + <ZZ>)/4, state preparation and readout included.

In: a Target. Out: three circuits per color class, and from their counts one fidelity per link.
The Bell state takes one native gate and one-qubit Cliffords found by search. It stands beside the fidelity
of direct randomized benchmarking and is the lower of the two. Reference: Guhne and Toth, arXiv:0811.2803.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import ONE_QUBIT, pair_cliffords
from qrex.measure.entanglement import Link
from qrex.measure.links import LinkQuality
from qrex.measure.schedule import Timeline, native_pair
from qrex.measure.statistics import Z95, parity_expectations

__all__ = ["BellWitness"]

_AXES = ("X", "Y", "Z")
_SIGNS = {"X": 1.0, "Y": -1.0, "Z": 1.0}
_TO_Z = {
    # Quarter turns of rz and a pulse that bring the axis to z: sx turns y to z, rz by a quarter x to y.
    "X": (1, "sx"),
    "Y": (0, "sx"),
    "Z": (0, ""),
}


@lru_cache(maxsize=8)
def _bell_locals(gate: str) -> tuple[int, int, int]:
    """One-qubit elements (first and second before the gate, first after it) that make (|00> + |11>)/√2."""
    group = pair_cliffords(gate)
    bell = np.array([1, 0, 0, 1]) / np.sqrt(2)
    by_pulses = sorted(range(24), key=lambda index: bool(ONE_QUBIT.words[index][1]))
    for first in by_pulses:
        for second in by_pulses:
            state = group.gate_matrix @ group.local(first, second)[:, 0]
            for after in by_pulses:
                if abs(np.vdot(bell, group.local(after, 0) @ state)) > 1 - 1e-9:
                    return first, second, after
    raise AssertionError(f"{gate} makes no Bell state")


@dataclass(frozen=True, slots=True)
class BellWitness:
    """Bell-state fidelity of every link, one color class at a time; circuits class by class, XX, YY, ZZ."""

    classes: tuple[tuple[Link, ...], ...]

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        links: Sequence[Link] | None = None,
        zz_hertz: Mapping[Link, float] | None = None,
    ) -> BellWitness:
        """The same color classes as `LinkQuality.plan` makes."""
        return cls(LinkQuality.plan(target, seed=0, links=links, zz_hertz=zz_hertz).classes)

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        made = []
        for number, group in enumerate(self.classes):
            for axis in _AXES:
                line = Timeline(target)
                measured: list[int] = []
                for link in group:
                    gate, pair = native_pair(target, link)
                    first, second, after = _bell_locals(gate)
                    ONE_QUBIT.apply(line, pair[0], first)
                    ONE_QUBIT.apply(line, pair[1], second)
                    line.gate(gate, pair)
                    ONE_QUBIT.apply(line, pair[0], after)
                    turns, pulse = _TO_Z[axis]
                    for qubit in pair:
                        line.rz(qubit, turns)
                        if pulse:
                            line.pulse(pulse, qubit)
                    measured.extend(pair)
                made.append(line.circuit(measured, f"bell_c{number}_{axis}{axis}"))
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> dict[Link, Measurement]:
        """One fidelity per link; the interval is normal, from the binomial variance of the three parities."""
        if len(counts) != 3 * len(self.classes):
            raise InputError(
                f"{len(counts)} counts for {3 * len(self.classes)} circuits; hand back one for each"
            )
        found: dict[Link, Measurement] = {}
        for number, group in enumerate(self.classes):
            pairs = [(2 * place, 2 * place + 1) for place in range(len(group))]
            means = {}
            shots = {}
            for position, axis in enumerate(_AXES):
                answer = counts[3 * number + position]
                means[axis], shots[axis] = parity_expectations(answer, pairs, 2 * len(group))
            for place, link in enumerate(group):
                values = {axis: float(means[axis][place]) for axis in _AXES}
                fidelity = (1 + sum(_SIGNS[axis] * values[axis] for axis in _AXES)) / 4
                # One shot is added on each side so that perfect correlation keeps an interval.
                variance = sum(
                    (1 - (values[a] * shots[a] / (shots[a] + 2)) ** 2) / (16 * shots[a]) for a in _AXES
                )
                half = Z95 * variance**0.5
                found[link] = Measurement(
                    fidelity, fidelity - half, max(fidelity, min(1.0, fidelity + half)), "", sum(shots.values()), None,
                    "Bell witness from XX, YY and ZZ, state preparation and readout included", source,
                    {"link": list(link), **{axis * 2: values[axis] for axis in _AXES}},
                )  # fmt: skip
        return dict(sorted(found.items()))
