"""The ideal outcome distribution of a small circuit: what fidelities are judged against.

In: a Qiskit circuit. Out: `Reference`, exact where the circuit is unitary up to its last measurements
(2^n amplitudes in double precision by Qiskit's Statevector), else sampled with many shots by Aer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import Statevector

__all__ = ["MAX_REFERENCE_QUBITS", "Reference", "reference_distribution"]

MAX_REFERENCE_QUBITS = 16
_MAX_AMPLITUDE_GATES = 2e8  # some seconds
_SAMPLES = 20_000
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Reference:
    """Probabilities by bit string (classical bit 0 rightmost, registers joined without spaces).

    `samples` is None where the distribution is exact, else how many shots it was estimated from.
    """

    probabilities: Mapping[str, float]
    samples: int | None

    @property
    def label(self) -> str:
        return "exact ideal distribution" if self.samples is None else f"ideal distribution from {self.samples} shots"


def reference_distribution(circuit: QuantumCircuit, seed: int) -> Reference | None:
    """Ideal distribution of `circuit`, or None where it is too wide (over MAX_REFERENCE_QUBITS in use) or too long to
    simulate in seconds."""
    used = sorted({circuit.find_bit(q).index for item in circuit.data for q in item.qubits})
    if len(used) > MAX_REFERENCE_QUBITS or not used or circuit.num_clbits == 0:
        return None
    if circuit.size() * 2.0 ** len(used) > _MAX_AMPLITUDE_GATES:
        return None
    unitary, measured = _split_terminal_measurements(circuit)
    if unitary is None:
        return _sampled(circuit, seed)
    return Reference(_exact(unitary, measured, circuit.num_clbits, used), None)


def _split_terminal_measurements(circuit: QuantumCircuit) -> tuple[QuantumCircuit | None, dict[int, int]]:
    """The circuit without its measurements, and {clbit: qubit}; (None, {}) where it is not of that form."""
    unitary = circuit.copy_empty_like()
    measured: dict[int, int] = {}
    closed: set[int] = set()
    for item in circuit.data:
        qubits = [circuit.find_bit(q).index for q in item.qubits]
        name = item.operation.name
        if name in ("barrier", "delay"):
            continue
        if name == "measure":
            measured[circuit.find_bit(item.clbits[0]).index] = qubits[0]
            closed.add(qubits[0])
        elif name in ("reset", "initialize") or item.clbits or closed.intersection(qubits):
            return None, {}
        else:
            unitary.append(item.operation, item.qubits)
    return unitary, measured


def _exact(unitary: QuantumCircuit, measured: Mapping[int, int], num_clbits: int, used: list[int]) -> dict[str, float]:
    place = {qubit: index for index, qubit in enumerate(used)}
    small = QuantumCircuit(len(used))
    for item in unitary.data:
        small.append(item.operation, [place[unitary.find_bit(q).index] for q in item.qubits])
    probabilities = np.abs(Statevector(small).data) ** 2
    support = np.flatnonzero(probabilities > _NEGLIGIBLE)
    # Outcomes as rows of classical bits, summed over the qubits that nothing reads.
    bits = np.zeros((len(support), num_clbits), dtype=np.uint8)
    for clbit, qubit in measured.items():
        bits[:, num_clbits - 1 - clbit] = (support >> place[qubit]) & 1
    rows, inverse = np.unique(bits, axis=0, return_inverse=True)
    totals = np.bincount(inverse.ravel(), weights=probabilities[support])
    return {"".join(map(str, row)): float(total) for row, total in zip(rows.tolist(), totals, strict=True)}


def _sampled(circuit: QuantumCircuit, seed: int) -> Reference:
    from qiskit_aer import AerSimulator

    simulator = AerSimulator()
    result = simulator.run(
        transpile(circuit, simulator, optimization_level=0), shots=_SAMPLES, seed_simulator=seed
    ).result()
    counts = {key.replace(" ", ""): count / _SAMPLES for key, count in result.get_counts().items()}
    return Reference(counts, _SAMPLES)
