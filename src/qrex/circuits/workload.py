"""The frozen types of this room: a circuit, and a set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from qrex.errors import CircuitError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qrex.circuits.program import Program

__all__ = ["DEFAULT_SHOTS", "MAX_SHOTS", "RANDOMIZED", "Circuit", "Target", "Workload"]

Target = Literal["auto", "simulate", "qpu", "both"]
"""What is wanted: the exact answer, the device's answer, both, or ("auto") both where a QPU can run it."""

DEFAULT_SHOTS = 1000
MAX_SHOTS = 1_000_000_000

RANDOMIZED = "randomized"
"""Key of a Qiskit circuit's metadata: true where random one-qubit gates stand between all that happens, so that an
average over such circuits knows of a phase between neighbours its strength alone."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit of a workload.

    `id` is a hash of its content (not of its name or place). Bit order is Qiskit's: qubit 0 and classical
    bit 0 are least significant, so they stand rightmost in a bit string. `quantum_circuit` is never changed
    in place.
    """

    id: str
    name: str
    origin: str  # a path, "<stdin>" or "<python>"
    language: Literal["OpenQASM 2", "OpenQASM 3", "Qiskit"]
    quantum_circuit: QuantumCircuit = field(compare=False, repr=False)
    target: Target = "auto"
    shots: int = DEFAULT_SHOTS
    _program: Program | None = field(default=None, compare=False, repr=False)

    @property
    def program(self) -> Program:
        """The circuit as arrays, made at first use and kept. Raises InputError where it unrolls too far."""
        if self._program is None:
            from qrex.circuits.flattening import flatten

            object.__setattr__(self, "_program", flatten(self.quantum_circuit))
        assert self._program is not None
        return self._program

    @property
    def num_qubits(self) -> int:
        return self.quantum_circuit.num_qubits


@dataclass(frozen=True, slots=True)
class Workload:
    """Circuits to run, and the files that could not be read with the reason for each."""

    name: str
    circuits: tuple[Circuit, ...]
    failures: Mapping[str, CircuitError] = field(default_factory=dict)  # origin -> why
