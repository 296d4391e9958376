"""Process tomography of one-qubit gates, all qubits at once.

In: a Target and a gate. Out: 12 circuits (four states, three axes) that give the whole Pauli transfer matrix,
or 6 that give the elements that the process fidelity of a Clifford gate needs; and from their counts the
process fidelity of each qubit, preparation and readout included.
Linear inversion, which is unbiased, gives the fidelity; the nearest completely positive and trace-preserving
map is reported beside it (Dykstra's alternating projections, 4x4 per qubit). References: Chuang and Nielsen,
quant-ph/9610001; Knee et al., arXiv:1803.10062 (projection).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import ONE_QUBIT
from qrex.measure.coherence import append_measurement, append_preparation
from qrex.measure.schedule import Timeline
from qrex.measure.statistics import measurement_from_draws, median_measurement, parity_expectations

__all__ = ["ProcessResult", "ProcessTomography", "QubitProcess", "nearest_channel", "transfer_matrix"]

_PAULIS = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=complex)
_FULL = tuple(
    (prep, sign, axis) for prep, sign in (("Z", 1), ("Z", -1), ("X", 1), ("Y", 1)) for axis in "XYZ"
)
_GATES: dict[str, tuple[int, str, int]] = {
    # Rz quarter turns, pulse, rz quarter turns; all Clifford, so that six circuits suffice.
    "x": (0, "x", 0),
    "sx": (0, "sx", 0),
    "h": (1, "sx", 1),
    "id": (0, "", 0),
}
_DRAWS = 400


def transfer_matrix(unitary: np.ndarray) -> np.ndarray:
    """Pauli transfer matrix of a 2x2 unitary, R[i, j] = tr(P_i U P_j U†)/2."""
    images = unitary @ _PAULIS @ unitary.conj().T
    return np.einsum("iab,jba->ij", _PAULIS, images).real / 2


def _choi(transfer: np.ndarray) -> np.ndarray:
    """Choi matrix of trace 1, first factor the input."""
    return np.einsum("ij,jba,icd->acbd", transfer, _PAULIS, _PAULIS).reshape(4, 4) / 4


def _from_choi(choi: np.ndarray) -> np.ndarray:
    return np.einsum("acbd,jab,idc->ij", choi.reshape(2, 2, 2, 2), _PAULIS, _PAULIS).real


def nearest_channel(transfer: np.ndarray, steps: int = 500) -> np.ndarray:
    """The completely positive, trace-preserving map nearest in the Frobenius norm, as a transfer matrix.

    >>> import numpy as np
    >>> np.round(nearest_channel(np.diag([1, 1.02, 1.01, 1.03])), 6).diagonal().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    current = np.array(transfer, dtype=float)
    current[0] = (1, 0, 0, 0)
    correction = np.zeros((4, 4), dtype=complex)
    for _ in range(steps):
        raised = _choi(current) + correction
        values, vectors = np.linalg.eigh(raised)
        positive = (vectors * np.clip(values, 0, None)) @ vectors.conj().T
        correction = raised - positive
        # The trace-preserving maps are an affine set, so it needs no correction of its own.
        following = _from_choi(positive)
        following[0] = (1, 0, 0, 0)
        moved = float(np.abs(following - current).max())
        current = following
        if moved < 1e-10:
            break
    return current


@dataclass(frozen=True, slots=True)
class QubitProcess:
    """One qubit's process fidelity; for the full protocol also the transfer matrix, raw and projected."""

    qubit: int
    fidelity: Measurement
    transfer: np.ndarray | None = field(repr=False, compare=False)
    channel: np.ndarray | None = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """Every qubit, and the median process fidelity over them."""

    gate: str
    qubits: tuple[QubitProcess, ...]
    median: Measurement


@dataclass(frozen=True, slots=True)
class ProcessTomography:
    """Tomography of `gate` ("x", "sx", "h" or "id", a gate of no duration) on `qubits` at once."""

    qubits: tuple[int, ...]
    gate: str
    kind: Literal["full", "diagonal"]
    seed: int

    def __post_init__(self) -> None:
        if self.gate not in _GATES:
            raise InputError(f"tomography of {self.gate!r} was asked; there is {', '.join(sorted(_GATES))}")
        if self.kind not in ("full", "diagonal"):
            raise InputError(f"tomography {self.kind!r} was asked; there is full and diagonal")
        if not self.qubits or len(set(self.qubits)) != len(self.qubits):
            raise InputError(f"tomography needs distinct qubits, at least one; got {self.qubits}")

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        gate: str = "sx",
        qubits: Sequence[int] | None = None,
        kind: Literal["full", "diagonal"] = "full",
    ) -> ProcessTomography:
        """All qubits by default. The seed drives the bootstrap only: the circuits are fixed."""
        return cls(tuple(range(target.num_qubits)) if qubits is None else tuple(qubits), gate, kind, seed)

    @property
    def _ideal(self) -> np.ndarray:
        return transfer_matrix(ONE_QUBIT.matrices[ONE_QUBIT.words.index(_GATES[self.gate])])

    def _settings(self) -> list[tuple[str, int, str]]:
        if self.kind == "full":
            return list(_FULL)
        # ±P prepared, and measured along the axis that the ideal gate turns P to.
        images = np.argmax(np.abs(self._ideal[1:, 1:]), axis=0)
        return [(axis, sign, "XYZ"[images[i]]) for i, axis in enumerate("XYZ") for sign in (1, -1)]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """12 circuits, or 6 for the diagonal kind."""
        made = []
        before, pulse, after = _GATES[self.gate]
        for prepared, sign, measured in self._settings():
            line = Timeline(target)
            for qubit in self.qubits:
                append_preparation(line, qubit, prepared, sign)
                line.rz(qubit, before)
                if pulse:
                    line.pulse(pulse, qubit)
                line.rz(qubit, after)
                append_measurement(line, qubit, measured)
            name = f"tomography_{self.gate}_{prepared}{'+' if sign > 0 else '-'}{measured}"
            made.append(line.circuit(self.qubits, name))
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> ProcessResult:
        """Process fidelity, F = tr(R_ideal^T R)/4, from one counts mapping per circuit."""
        settings = self._settings()
        if len(counts) != len(settings):
            raise InputError(f"{len(counts)} counts for {len(settings)} circuits; hand back one for each")
        singles = [[place] for place in range(len(self.qubits))]
        rows = [parity_expectations(answer, singles, len(self.qubits)) for answer in counts]
        means = np.array([row[0] for row in rows]).T  # (qubits, circuits)
        shots = np.array([row[1] for row in rows])
        rng = np.random.default_rng([self.seed, 81])
        chance = ((1 + means) / 2 * shots + 0.5) / (shots + 1)
        draws = 2 * rng.binomial(shots, chance, size=(_DRAWS, *means.shape)) / shots - 1
        values, spread = self._fidelity(means), self._fidelity(draws)
        spread += values - spread.mean(axis=0)
        method = f"process tomography of {self.gate} ({self.kind}, linear inversion), readout included"
        found = []
        for i, qubit in enumerate(self.qubits):
            transfer = channel = None
            detail: dict[str, object] = {"qubit": qubit, "gate": self.gate}
            if self.kind == "full":
                transfer = _invert(means[i])
                channel = nearest_channel(transfer)
                detail["channel_fidelity"] = float((self._ideal * channel).sum() / 4)
                detail["transfer_matrix"] = transfer.tolist()
            fidelity = measurement_from_draws(
                float(values[i]), spread[:, i], n=int(shots.sum()), seed=self.seed, method=method,
                source=source, detail=detail,
            )  # fmt: skip
            found.append(QubitProcess(qubit, fidelity, transfer, channel))
        median = median_measurement(
            values, errors=spread.std(axis=0), n=int(shots.sum()), seed=self.seed,
            method=f"median over {len(self.qubits)} qubits of {method}", source=source,
            detail={"per_qubit": {str(q): float(v) for q, v in zip(self.qubits, values, strict=True)}},
        )  # fmt: skip
        return ProcessResult(self.gate, tuple(found), median)

    def _fidelity(self, means: np.ndarray) -> np.ndarray:
        """Process fidelity from (…, circuits) expectations; no clipping, so that it stays unbiased."""
        ideal = self._ideal
        if self.kind == "full":
            return np.einsum("ij,...ij->...", ideal, _invert(means)) / 4
        half = (means[..., 0::2] - means[..., 1::2]) / 2
        signs = np.array([ideal[1:, 1:][np.argmax(np.abs(ideal[1:, 1 + j])), j] for j in range(3)])
        return (1 + half @ signs) / 4


def _invert(means: np.ndarray) -> np.ndarray:
    """(…, 12) expectations for |0>, |1>, |+>, |+i> along x, y, z to (…, 4, 4) transfer matrices."""
    zero, one, plus, plus_i = (means[..., 3 * k : 3 * k + 3] for k in range(4))
    shift = (zero + one) / 2
    columns = np.stack([shift, plus - shift, plus_i - shift, (zero - one) / 2], axis=-1)
    top = np.broadcast_to(np.array([1.0, 0, 0, 0]), (*columns.shape[:-2], 1, 4))
    return np.concatenate([top, columns], axis=-2)
