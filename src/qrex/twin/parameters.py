"""What a twin with memory is made of: measured where the calibration says it, assumed where it does not.

In: a backend with a calibration, and `NoiseAssumptions`. Out: `TwinParameters`, with the origin of each figure.

Snapshots have T1, T2 (of an echo), readout, gate errors and durations, and ZZ and J of every link; zero there means
that it was not reported. What they lack is T2*, the noise's spectrum, charge parity, the coherent part of gate errors.
ZZ is ω11 − ω10 − ω01 + ω00: H = ζ |11⟩⟨11| in the frame that is calibrated with the neighbours in |0⟩.
The detuning is static during a shot and Gaussian over shots, its width from T2*; it comes on top of the white
dephasing that T2 leaves, 1/T2 − 1/(2 T1), since decoupling cannot do better than an echo here. Charge parity shifts a
qubit by plus or minus the same amount from shot to shot (Shirizly, Misguich, Landa, arXiv:2308.01860).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from qiskit.providers import BackendV2

from qrex.platform import NoiseAssumptions
from qrex.twin.noise import DeviceNoise

__all__ = ["Origin", "TwinParameters", "read_parameters", "static_width"]

Origin = Literal["calibration", "derived", "assumed"]
_TUNABLE_ZZ_HZ = 4e3  # median of Heron r3 snapshots that report it: couplers that are switched off
_FIXED_ZZ_HZ = 60e3  # medians of Sherbrooke and Brisbane, 59 and 62 kHz: couplings that are always on


@dataclass(frozen=True, slots=True)
class TwinParameters:
    """Figures per qubit, shape (n,), and per edge, shape (m,); infinite times where nothing is known.

    `origins` says of each name where it comes from, in words that a report can print.
    """

    t1_seconds: np.ndarray
    t2_seconds: np.ndarray
    t2_star_seconds: np.ndarray
    detuning_rad_per_s: np.ndarray  # standard deviation over shots
    parity_rad_per_s: np.ndarray
    drift_rad_per_s: np.ndarray  # standard deviation of the Ornstein-Uhlenbeck process
    drift_seconds: np.ndarray  # its correlation time
    reads_one: np.ndarray  # P(1 | prepared 0)
    reads_zero: np.ndarray  # P(0 | prepared 1)
    edges: tuple[tuple[int, int], ...]
    zeta_rad_per_s: np.ndarray
    coherent_share: float  # of the gate error that decoherence does not explain
    origins: Mapping[str, str]

    @property
    def num_qubits(self) -> int:
        return len(self.t1_seconds)

    def noise_table(self) -> np.ndarray:
        """(n, 8): rates of decay and of white dephasing, detuning, parity, drift and its time, readout flips."""
        decay = 1 / self.t1_seconds
        dephasing = np.maximum(1 / self.t2_seconds - decay / 2, 0.0)
        return np.column_stack([
            decay, dephasing, self.detuning_rad_per_s, self.parity_rad_per_s, self.drift_rad_per_s, self.drift_seconds,
            self.reads_one, self.reads_zero,
        ])  # fmt: skip


def static_width(t2_star_seconds: float, t2_seconds: float) -> float:
    """Standard deviation in rad/s of a static detuning that, with white dephasing of time T2, brings a coherence to 1/e
    after T2*: σ²T2*²/2 + T2*/T2 = 1.

    >>> round(static_width(60e-6, 100e-6) * 60e-6, 4)
    0.8944
    """
    if not math.isfinite(t2_star_seconds):
        return 0.0
    return math.sqrt(max(2 * (1 - t2_star_seconds / t2_seconds), 0.0)) / t2_star_seconds


def read_parameters(backend: BackendV2, assumed: NoiseAssumptions, noise: DeviceNoise | None = None) -> TwinParameters:
    """The parameters of `backend`, what its calibration lacks taken from `assumed`."""
    noise = DeviceNoise(backend) if noise is None else noise
    count = backend.target.num_qubits
    times = np.array([noise.relaxation_times(q) for q in range(count)]).reshape(count, 2)
    t1, t2 = times[:, 0], times[:, 1]
    star = np.where(np.isfinite(t2), assumed.t2_star_ratio * t2, np.inf)
    confusion = np.array([noise.readout_confusion(q) for q in range(count)])
    edges, zeta, told = _couplings(backend, assumed)
    full = np.ones(count)
    return TwinParameters(
        t1_seconds=t1,
        t2_seconds=t2,
        t2_star_seconds=star,
        detuning_rad_per_s=np.array([static_width(a, b) for a, b in zip(star, t2, strict=True)]),
        parity_rad_per_s=2 * math.pi * assumed.parity_hz * full,
        drift_rad_per_s=2 * math.pi * assumed.drift_hz * full,
        drift_seconds=assumed.drift_seconds * full,
        reads_one=confusion[:, 1, 0],
        reads_zero=confusion[:, 0, 1],
        edges=edges,
        zeta_rad_per_s=zeta,
        coherent_share=assumed.coherent_share,
        origins={
            "T1, T2, readout, gate errors and durations": "calibration",
            "T2*": f"assumed: {assumed.t2_star_ratio:g} of T2",
            "charge parity": f"assumed: ±{assumed.parity_hz / 1e3:g} kHz, a new sign every shot",
            "drift within a shot": (
                f"assumed: {assumed.drift_hz / 1e3:g} kHz, correlated over {assumed.drift_seconds * 1e6:g} µs"
                if assumed.drift_hz else "assumed: none"
            ),
            "ZZ": told,
            "over-rotation": f"assumed: {assumed.coherent_share:g} of the gate error that T1 and T2 do not explain",
        },
    )  # fmt: skip


def _couplings(backend: BackendV2, assumed: NoiseAssumptions) -> tuple[tuple[tuple[int, int], ...], np.ndarray, str]:
    """Edges of the coupling map, ζ in rad/s, and where it comes from."""
    coupling = backend.target.build_coupling_map()
    edges = tuple(sorted({(min(e), max(e)) for e in coupling.get_edges()})) if coupling is not None else ()
    reported = _reported_zz(backend, edges)
    missing = [edge for edge in edges if not reported.get(edge)]
    if assumed.zz_hz is not None:
        substitute, why = assumed.zz_hz, "as the platform says"
    elif "cz" in backend.target.operation_names:
        substitute, why = _TUNABLE_ZZ_HZ, "as tunable couplers of the same maker report"
    else:
        substitute, why = _FIXED_ZZ_HZ, "as fixed couplings of the same maker report"
    # Reported shifts are negative nearly everywhere, and so are those that take the place of missing ones.
    hertz = [reported.get(edge) or -substitute for edge in edges]
    origin = "calibration" if not missing else (
        f"assumed: {substitute / 1e3:g} kHz, {why}, on {len(missing)} of {len(edges)} links; calibration on the others"
    )  # fmt: skip
    return edges, 2 * math.pi * np.array(hertz, dtype=float), origin


def _reported_zz(backend: BackendV2, edges: tuple[tuple[int, int], ...]) -> dict[tuple[int, int], float]:
    """ζ/2π in Hz by edge, where the snapshot names it. Names run the two numbers together ("zz_6272"), so that only
    the coupling map tells them apart."""
    read = getattr(backend, "properties", None)
    properties: Any = read() if callable(read) else None
    named = {str(one.name): one for one in getattr(properties, "general", None) or ()}
    found = {}
    for a, b in edges:
        for name in (f"zz_{a}{b}", f"zz_{b}{a}"):
            one = named.get(name)
            if one is not None and str(one.unit).lower() == "ghz" and math.isfinite(one.value):
                found[a, b] = 1e9 * float(one.value)
    return found
