"""What decoupling has to undo, and what its pulses cost: the figures that a choice of sequence is made by.

In: a backend with a calibration, and what it does not say (`NoiseAssumptions`); or figures measured on the device
itself. Out: `IdleNoise`. ζ and gate errors are the calibration's, widths of slow detunings mostly assumed: a choice
needs their order of magnitude, since they decide only whether a window is worth its pulses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from qiskit.providers import BackendV2

from qrex.platform import NoiseAssumptions
from qrex.twin.events import split_error
from qrex.twin.parameters import read_parameters

__all__ = ["IdleNoise"]


@dataclass(frozen=True, slots=True)
class IdleNoise:
    """Per qubit, shape (n,): `detuning` the standard deviation of a static one over shots, `parity` plus or minus,
    `drift` and `drift_seconds` of an Ornstein-Uhlenbeck one, all in rad/s; `pulse_angle` the over-rotation in rad of an
    x pulse and `pulse_error` the probability that it depolarizes, without T1 and T2.

    `zeta` by link, smaller qubit first, in rad/s: H = ζ |11⟩⟨11|.
    """

    detuning: np.ndarray
    parity: np.ndarray
    drift: np.ndarray
    drift_seconds: np.ndarray
    pulse_angle: np.ndarray
    pulse_error: np.ndarray
    zeta: Mapping[tuple[int, int], float]

    @property
    def num_qubits(self) -> int:
        return len(self.detuning)

    @classmethod
    def of(
        cls,
        backend: BackendV2,
        assumed: NoiseAssumptions | None = None,
        *,
        zeta_hertz: Mapping[tuple[int, int], float] | None = None,
    ) -> IdleNoise:
        """From the calibration of `backend`; `zeta_hertz` takes the place of its ζ/2π where it was measured since."""
        known = read_parameters(backend, assumed or NoiseAssumptions())
        zeta = {edge: float(z) for edge, z in zip(known.edges, known.zeta_rad_per_s, strict=True) if z}
        for (a, b), hertz in (zeta_hertz or {}).items():
            zeta[min(a, b), max(a, b)] = 2 * math.pi * hertz
        pulses = [_pulse(backend, qubit, known.t1_seconds, known.t2_seconds, known.coherent_share)
                  for qubit in range(known.num_qubits)]  # fmt: skip
        return cls(
            known.detuning_rad_per_s, known.parity_rad_per_s, known.drift_rad_per_s, known.drift_seconds,
            np.array([one.angle for one in pulses]), np.array([one.probability for one in pulses]), zeta,
        )  # fmt: skip

    def neighbors(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """(neighbor, ζ) of every qubit."""
        found: list[list[tuple[int, float]]] = [[] for _ in range(self.num_qubits)]
        for (a, b), zeta in sorted(self.zeta.items()):
            found[a].append((b, zeta))
            found[b].append((a, zeta))
        return tuple(map(tuple, found))


def _pulse(backend: BackendV2, qubit: int, t1: np.ndarray, t2: np.ndarray, coherent_share: float):
    target = backend.target
    entry = target["x"].get((qubit,)) if "x" in target.operation_names and target["x"] else None
    error, seconds = getattr(entry, "error", None) or 0.0, getattr(entry, "duration", None) or 0.0
    return split_error(error, seconds, [(t1[qubit], t2[qubit])], coherent_share)
