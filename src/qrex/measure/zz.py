"""ZZ of every link by joint amplification: an echo on both of its qubits, which only their own coupling survives.

In: a Target. Out: circuits, one color class of links at a time, and from their counts ζ/2π in Hz of every link with its
sign: H = ζ |11><11|, the frame calibrated with the neighbors in |0>.
The first qubit goes to the equator, both are flipped halfway, and the first is read along an axis that turns by a
quarter per step of the delay τ. A shift of the first qubit alone cancels, and so does ZZ with a spectator, since that
is not flipped; links of a class are therefore at least two couplings apart. The second qubit begins in |0> and is in
|1> in the second half only: the phase is ζτ/2, up to its decay γ there, which the fit includes:

    A·exp(-τ/T2)·Re[exp(i(2πfτ + φ))·G],   G = exp(-sτ/2) + γ(1 - exp(-sτ/2))/s,   s = γ + iζ

f is the artificial detuning; |ζ|/2π below 2f is seen. Reference: Garbow, Weitekamp, Pines, Chem. Phys. Lett. 93, 504
(1982), bilinear rotation decoupling, which the name JAZZ goes back to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError, PlatformError
from qrex.evidence import Measurement, Source
from qrex.measure.curves import fit_curve
from qrex.measure.entanglement import Link, color_links, link_conflicts
from qrex.measure.relaxation import DecayCurve, contrasts
from qrex.measure.schedule import Timeline, Timing, coupling_links
from qrex.measure.statistics import measurement_from_draws, median_measurement

__all__ = ["ZzAmplification", "ZzResult"]

METHOD = "joint amplification of ZZ: an echo on both qubits of a link, a quarter turn per delay step"
_STEP_SECONDS = 2e-6
_POINTS = 20
_UNKNOWN_SECONDS = 100e-6


@dataclass(frozen=True, slots=True)
class ZzResult:
    """ζ/2π in Hz of each link, with its sign; `median` is over the absolute values."""

    rates: Mapping[Link, Measurement]
    median: Measurement
    curves: Mapping[Link, DecayCurve]

    def curve(self, link: Link, delays_seconds: np.ndarray) -> np.ndarray:
        """The fitted contrast at given delays."""
        curve = self.curves[link]
        return _model(delays_seconds, curve.fit.parameters[None], curve.delays_seconds)[0]


@dataclass(frozen=True, slots=True)
class ZzAmplification:
    """Circuits come class by class, delay by delay, each with the opposite final phase right behind."""

    classes: tuple[tuple[Link, ...], ...]
    delays_seconds: tuple[float, ...]
    t1_seconds: Mapping[Link, float]  # of the second qubit, where the device says it
    seed: int

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        links: Sequence[Link] | None = None,
        step_seconds: float = _STEP_SECONDS,
        points: int = _POINTS,
    ) -> ZzAmplification:
        """All links by default. `step_seconds` sets the largest |ζ|/2π that is told apart, 1/(2·step)."""
        coupled = coupling_links(target)
        wanted = coupled if links is None else tuple(sorted((min(a, b), max(a, b)) for a, b in links))
        if not wanted or not set(wanted) <= set(coupled):
            raise PlatformError(
                f"asked for links {list(wanted)}; the device has {len(coupled)}: choose among {list(coupled)}"
            )
        timing = Timing.of(target)
        step = 2 * timing.ticks(step_seconds / 2)
        if step <= 0 or points < 6:
            raise InputError(f"{points} delays in steps of {step_seconds:.3g} s; give 6 or more of a positive step")
        among = link_conflicts(coupled)
        position = {coupled.index(link): i for i, link in enumerate(wanted)}
        conflicts = [(position[i], position[j]) for i, j in among if i in position and j in position]
        table = target.qubit_properties or []
        known = {link: getattr(table[link[1]], "t1", None) for link in wanted if link[1] < len(table)}
        return cls(
            color_links(wanted, conflicts), tuple(timing.seconds(k * step) for k in range(points)),
            {link: float(t1) for link, t1 in known.items() if t1}, seed,
        )  # fmt: skip

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """2·len(classes)·len(delays_seconds) circuits."""
        return [
            self._circuit(target, links, k, opposite)
            for links in self.classes
            for k in range(len(self.delays_seconds))
            for opposite in (False, True)
        ]

    def _circuit(self, target: Target, links: tuple[Link, ...], k: int, opposite: bool) -> QuantumCircuit:
        line = Timeline(target)
        half = line.timing.ticks(self.delays_seconds[k]) // 2
        first = [a for a, _ in links]
        for a, b in links:
            line.pulse("sx", a)
            line.barrier((a, b))
            for qubit in (a, b):
                line.delay(qubit, half)
            line.barrier((a, b))
            for qubit in (a, b):
                line.pulse("x", qubit)
            line.barrier((a, b))
            for qubit in (a, b):
                line.delay(qubit, half)
            line.barrier((a, b))
            # The echo turns -y into y, and sx takes y to |0>: half a turn more makes the first answer the high one.
            line.rz(a, k + 2 + 2 * opposite)
            line.pulse("sx", a)
        return line.circuit(first, f"zz_c{self.classes.index(links)}_{k}{'-' if opposite else '+'}")

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> ZzResult:
        """Rates from one counts mapping per circuit."""
        each = 2 * len(self.delays_seconds)
        if len(counts) != each * len(self.classes):
            raise InputError(f"{len(counts)} counts for {each * len(self.classes)} circuits; hand back one for each")
        rates, curves = {}, {}
        for c, links in enumerate(self.classes):
            values, errors, shots = contrasts(counts[c * each : (c + 1) * each], len(links))
            for place, link in enumerate(links):
                curves[link] = self._fit(link, values[:, place], errors[:, place])
                fit = curves[link].fit
                scale = 1 / (2 * math.pi * self.delays_seconds[-1])
                draws = fit.draws[:, 0] * scale
                rates[link] = measurement_from_draws(
                    float(fit.parameters[0] * scale), draws, unit="Hz", n=shots, seed=self.seed, method=METHOD,
                    source=source, detail={"link": list(link), "standard_error": float(np.std(draws)),
                                           "dispersion": fit.dispersion},
                )  # fmt: skip
        ordered = {link: rates[link] for link in sorted(rates)}
        median = median_measurement(
            [abs(m.value) for m in ordered.values()],
            errors=[m.detail["standard_error"] for m in ordered.values()], unit="Hz",
            n=next(iter(ordered.values())).n, seed=self.seed, limits=(0, np.inf), source=source,
            method=f"median over {len(ordered)} links of the absolute value; {METHOD}",
        )  # fmt: skip
        return ZzResult(ordered, median, curves)

    def _fit(self, link: Link, values: np.ndarray, errors: np.ndarray) -> DecayCurve:
        x = np.array(self.delays_seconds)
        artificial, longest = 1 / (4 * x[1]), x[-1]
        # ζ is best started from everywhere that it can be: the cost has one narrow valley.
        zetas = 2 * math.pi * longest * np.linspace(-2 * artificial, 2 * artificial, 8 * len(x) + 1)[1:-1]
        known = self.t1_seconds.get(link)
        decay = math.log(known or _UNKNOWN_SECONDS)
        starts = np.array([[zeta, math.log(2 * longest), decay, 0.9, 0.0] for zeta in zetas])
        # A T1 that the device states may have drifted; one that it does not state is looked for by the fit.
        prior = (np.array([0, 0, decay, 0, 0]), np.array([np.inf, np.inf, 0.3 if known else 1.5, np.inf, np.inf]))

        def model(parameters: np.ndarray, delays: np.ndarray) -> np.ndarray:
            return _model(delays, parameters, self.delays_seconds)

        fit = fit_curve(model, x, values, errors, starts, seed=self.seed, prior=prior)
        return DecayCurve(self.delays_seconds, tuple(values.tolist()), tuple(errors.tolist()), fit)


def _model(delays: np.ndarray, parameters: np.ndarray, plan: Sequence[float]) -> np.ndarray:
    """ζ in rad over the longest delay, logarithms of T2 and of the other's T1, amplitude, phase."""
    zeta = parameters[:, :1] / plan[-1]
    rate, decay = (np.exp(-np.clip(parameters[:, k : k + 1], -50, 50)) for k in (1, 2))
    s = decay + 1j * zeta
    kept = np.exp(-s * delays / 2)
    phasor = kept + decay * (1 - kept) / s
    turned = np.exp(1j * (2 * np.pi * delays / (4 * plan[1]) + parameters[:, 4:5]))
    return parameters[:, 3:4] * np.exp(-delays * rate) * (turned * phasor).real
