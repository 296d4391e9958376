"""Readout errors of every qubit, measured: P(1 | prepared 0) and P(0 | prepared 1).

In: a Target. Out: two circuits, all qubits in |0⟩ and all in |1⟩, and from their counts a 2x2 confusion matrix of each
qubit with intervals. Preparation errors are part of the figures. What one readout does to another is left out:
all are read at once, so that an average over it is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.schedule import Timeline
from qrex.measure.statistics import bit_table, wilson_interval

__all__ = ["ReadoutCalibration", "ReadoutResult"]

METHOD = "all qubits prepared in |0⟩, then in |1⟩, and read at once"


@dataclass(frozen=True, slots=True)
class ReadoutResult:
    """`one_for_zero[q]` is P(1 | prepared 0) of physical qubit q, `zero_for_one[q]` P(0 | prepared 1)."""

    one_for_zero: Mapping[int, Measurement]
    zero_for_one: Mapping[int, Measurement]

    def confusion(self, qubit: int) -> np.ndarray:
        """Shape (2, 2), entry [read, prepared]; columns add up to 1."""
        if qubit not in self.one_for_zero:
            raise InputError(f"readout of qubit {qubit} was not measured; there are {sorted(self.one_for_zero)}")
        up, down = self.one_for_zero[qubit].value, self.zero_for_one[qubit].value
        return np.array([[1 - up, down], [up, 1 - down]])


@dataclass(frozen=True, slots=True)
class ReadoutCalibration:
    """Two circuits over `qubits`."""

    qubits: tuple[int, ...]
    seed: int

    @classmethod
    def plan(cls, target: Target, *, seed: int, qubits: Sequence[int] | None = None) -> ReadoutCalibration:
        """By default of all qubits."""
        count = target.num_qubits or 0
        chosen = tuple(sorted(set(range(count) if qubits is None else qubits)))
        if not chosen or chosen[0] < 0 or chosen[-1] >= count:
            raise InputError(f"asked for the readout of qubits {list(chosen)}; this device has 0 to {count - 1}")
        return cls(chosen, seed)

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """|0…0⟩, then |1…1⟩."""
        made = []
        for value in (0, 1):
            line = Timeline(target)
            for qubit in self.qubits:
                if value:
                    line.pulse("x", qubit)
            made.append(line.circuit(self.qubits, f"readout_{value}"))
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> ReadoutResult:
        """From the counts of both circuits."""
        if len(counts) != 2:
            raise InputError(f"{len(counts)} counts for 2 circuits; hand back one for each")
        found: list[dict[int, Measurement]] = []
        for prepared, answer in enumerate(counts):
            bits, weights = bit_table(answer, len(self.qubits))
            wrong = (weights[:, None] * (bits != prepared)).sum(axis=0)
            shots = int(weights.sum())
            rates = {}
            for qubit, misread in zip(self.qubits, wrong.tolist(), strict=True):
                low, high = wilson_interval(int(misread), shots)
                rates[qubit] = Measurement(misread / shots, low, high, "", shots, self.seed, METHOD, source)
            found.append(rates)
        return ReadoutResult(*found)
