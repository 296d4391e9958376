"""T1, Ramsey and Hahn echo of all qubits, one color class of the coupling graph at a time.

In: a Target and delays. Out: circuits, and from their counts T1, T2 (of an echo), T2* and the detuning of every qubit.
Neighbors rest in |0>, the frame that frequencies are calibrated in. Every delay is measured twice, the second time with
the opposite preparation (T1) or the opposite final phase, and the difference of the two is fitted: readout that favors
one answer drops out, and no offset is left to fit.

    T1      x, τ, measure                                 A·exp(-τ/T1)
    echo    sx, τ/2, x, τ/2, rz(±), sx, measure           A·exp(-τ/T2)
    Ramsey  sx, τ, rz(k·90°), sx, measure                 A·exp(-τ/a - (τ/b)²)·cos(2π(f - δ)τ + φ)

The k-th Ramsey delay ends with k quarter turns, an artificial detuning f of a quarter turn per step: it tells the sign
of δ, and |δ| below f is seen. δ > 0 means a qubit above its frame: H = 2πδ |1><1|. T2* is where the envelope has fallen
to 1/e; its shape has a white part a and a quasi-static, Gaussian part b. References: Hahn, Phys. Rev. 80, 580 (1950);
Krantz et al., arXiv:1904.06560, section III.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.coherence import qubit_colors
from qrex.measure.curves import CurveFit, contrast, fit_curve
from qrex.measure.schedule import Timeline, Timing
from qrex.measure.statistics import bit_table, measurement_from_draws, median_measurement

__all__ = ["DecayCurve", "Relaxation", "RelaxationKind", "RelaxationResult"]

RelaxationKind = Literal["T1", "echo", "Ramsey"]
_POINTS = {"T1": 14, "echo": 14, "Ramsey": 40}
_REACH = {"T1": 2.0, "echo": 1.8, "Ramsey": 1.5}
"""Longest delay over the device's own T1 (T2 for the other two), its 80th percentile over qubits."""
_UNKNOWN_SECONDS = 100e-6
_METHODS = {
    "T1": "relaxation of |1> against |0>, exponential fit, neighbors in |0>",
    "echo": "Hahn echo, opposite final phases, exponential fit, neighbors in |0>",
    "Ramsey": "Ramsey with a quarter turn per delay step, envelope exp(-τ/a - (τ/b)²), neighbors in |0>",
}


@dataclass(frozen=True, slots=True)
class DecayCurve:
    """Points of one qubit or link (seconds, contrast, its standard error) and the fit through them."""

    delays_seconds: tuple[float, ...]
    contrast: tuple[float, ...]
    errors: tuple[float, ...]
    fit: CurveFit = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RelaxationResult:
    """`times` in seconds: T1, T2 or T2* of every qubit; `detunings` in Hz, of Ramsey only."""

    kind: RelaxationKind
    times: Mapping[int, Measurement]
    detunings: Mapping[int, Measurement]
    median: Measurement
    curves: Mapping[int, DecayCurve]

    def curve(self, qubit: int, delays_seconds: np.ndarray) -> np.ndarray:
        """The fitted contrast at given delays."""
        curve = self.curves[qubit]
        return _model(self.kind, delays_seconds, curve.fit.parameters[None], curve.delays_seconds[-1])[0]


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One of the three. Circuits come class by class, delay by delay, each with its opposite right behind."""

    kind: RelaxationKind
    classes: tuple[tuple[int, ...], ...]
    delays_seconds: tuple[float, ...]
    seed: int

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        kind: RelaxationKind,
        seed: int,
        qubits: Sequence[int] | None = None,
        longest_seconds: float | None = None,
        points: int | None = None,
    ) -> Relaxation:
        """Evenly spaced delays up to `longest_seconds`, by default from the device's own T1 or T2."""
        if kind not in get_args(RelaxationKind):
            raise InputError(f"relaxation {kind!r} is not known; there are {', '.join(get_args(RelaxationKind))}")
        chosen = set(range(target.num_qubits) if qubits is None else qubits)
        if not chosen or not chosen <= set(range(target.num_qubits)):
            raise InputError(f"asked for qubits {sorted(chosen)}; the device has 0 to {target.num_qubits - 1}")
        count = _POINTS[kind] if points is None else points
        if count < 4:
            raise InputError(f"a decay was asked from {count} delays; give 4 or more")
        timing = Timing.of(target)
        longest = _longest(target, kind, chosen) if longest_seconds is None else longest_seconds
        # Half a delay is a delay too in an echo, and Ramsey's quarter turns want equal steps.
        step = 2 * timing.ticks(longest / (count - 1) / 2)
        if step <= 0:
            raise InputError(f"delays up to {longest:.3g} s in {count} steps are below the device's resolution")
        colors = qubit_colors(target)
        classes = [tuple(sorted(q for q in chosen if colors[q] == color)) for color in sorted(set(colors))]
        return cls(
            kind, tuple(c for c in classes if c), tuple(timing.seconds(k * step) for k in range(count)), seed
        )

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """2·len(classes)·len(delays_seconds) circuits."""
        return [
            self._circuit(target, members, k, opposite)
            for members in self.classes
            for k in range(len(self.delays_seconds))
            for opposite in (False, True)
        ]

    def _circuit(self, target: Target, members: tuple[int, ...], k: int, opposite: bool) -> QuantumCircuit:
        line = Timeline(target)
        ticks = line.timing.ticks(self.delays_seconds[k])
        for qubit in members:
            if self.kind == "T1":
                if not opposite:
                    line.pulse("x", qubit)
            else:
                line.pulse("sx", qubit)
        line.barrier(members)
        if self.kind == "echo":
            for qubit in members:
                line.delay(qubit, ticks // 2)
                line.pulse("x", qubit)
                line.delay(qubit, ticks // 2)
        else:
            for qubit in members:
                line.delay(qubit, ticks)
        line.barrier(members)
        for qubit in members:
            if self.kind != "T1":
                # An echo turns -y into y, and sx takes y to |0>: half a turn makes it |1>, the high answer.
                line.rz(qubit, (2 if self.kind == "echo" else k) + 2 * opposite)
                line.pulse("sx", qubit)
        name = f"{self.kind}_c{self.classes.index(members)}_{k}{'-' if opposite else '+'}"
        return line.circuit(members, name)

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> RelaxationResult:
        """Times (and detunings) from one counts mapping per circuit."""
        each = 2 * len(self.delays_seconds)
        if len(counts) != each * len(self.classes):
            raise InputError(f"{len(counts)} counts for {each * len(self.classes)} circuits; hand back one for each")
        times, detunings, curves = {}, {}, {}
        for c, members in enumerate(self.classes):
            values, errors, shots = contrasts(counts[c * each : (c + 1) * each], len(members))
            for place, qubit in enumerate(members):
                curve = self._fit(values[:, place], errors[:, place])
                curves[qubit] = curve
                times[qubit], detuning = self._read_off(qubit, curve, shots, source)
                if detuning is not None:
                    detunings[qubit] = detuning
        ordered = {q: times[q] for q in sorted(times)}
        median = median_measurement(
            [m.value for m in ordered.values()], errors=[m.detail["standard_error"] for m in ordered.values()],
            unit="s", n=next(iter(ordered.values())).n, seed=self.seed, limits=(0, np.inf), source=source,
            method=f"median over {len(ordered)} qubits of {_METHODS[self.kind]}",
        )  # fmt: skip
        return RelaxationResult(self.kind, ordered, {q: detunings[q] for q in sorted(detunings)}, median, curves)

    def _fit(self, values: np.ndarray, errors: np.ndarray) -> DecayCurve:
        x = np.array(self.delays_seconds)
        guesses = x[-1] * np.array([0.1, 0.3, 0.6, 1.5])
        if self.kind != "Ramsey":
            starts = np.array([[math.log(time), 0.95] for time in guesses])
            prior = None
        else:
            step, spectrum = x[1], np.abs(np.fft.rfft(values - values.mean(), 8 * len(x)))
            peak = float(np.fft.rfftfreq(8 * len(x), step)[int(np.argmax(spectrum))])
            guess = [(time, f) for time in guesses for f in (peak, 1 / (4 * step))]
            starts = np.array([[math.log(2 * time), math.log(2 * time), 0.95, f * x[-1], 0.0] for time, f in guess])
            # The split between the white and the Gaussian part is poorly known, their common 1/e is not.
            center = math.log(x[-1])
            prior = (np.array([center, center, 0, 0, 0]), np.array([2.0, 2.0, np.inf, np.inf, np.inf]))

        def model(parameters: np.ndarray, delays: np.ndarray) -> np.ndarray:
            return _model(self.kind, delays, parameters, x[-1])

        fit = fit_curve(model, x, values, errors, starts, seed=self.seed, prior=prior)
        return DecayCurve(self.delays_seconds, tuple(values.tolist()), tuple(errors.tolist()), fit)

    def _read_off(
        self, qubit: int, curve: DecayCurve, shots: int, source: Source
    ) -> tuple[Measurement, Measurement | None]:
        fit, longest = curve.fit, self.delays_seconds[-1]
        if self.kind == "Ramsey":
            value, draws = (_one_over_e(p[..., 0], p[..., 1]) for p in (fit.parameters, fit.draws))
        else:
            value, draws = np.exp(fit.parameters[0]), np.exp(np.minimum(fit.draws[:, 0], 50))
        detail = {"qubit": qubit, "standard_error": float(np.std(draws)), "dispersion": fit.dispersion}
        time = measurement_from_draws(
            float(value), draws, unit="s", n=shots, seed=self.seed, method=_METHODS[self.kind], source=source,
            limits=(0, 1e3), detail=detail,
        )  # fmt: skip
        if self.kind != "Ramsey":
            return time, None
        step = self.delays_seconds[1]
        artificial = 1 / (4 * step)
        # Delays on a grid show a frequency up to its sign and to multiples of 1/step.
        turns = (np.abs((p * step / longest + 0.5) % 1 - 0.5) for p in (fit.parameters[3], fit.draws[:, 3]))
        shift = tuple(artificial - t / step for t in turns)
        detuning = measurement_from_draws(
            float(shift[0]), shift[1], unit="Hz", n=shots, seed=self.seed, method=_METHODS["Ramsey"], source=source,
            detail={"qubit": qubit, "standard_error": float(np.std(shift[1])), "artificial_hertz": artificial},
        )  # fmt: skip
        return time, detuning


def contrasts(counts: Sequence[Mapping[str, int]], width: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Contrast and standard error per delay and classical bit, shape (delays, width), and all shots of one bit."""
    ones, shots = [], []
    for answer in counts:
        bits, weights = bit_table(answer, width)
        ones.append(weights @ bits)
        shots.append(int(weights.sum()))
    pairs = [
        [contrast(int(ones[k][b]), shots[k], int(ones[k + 1][b]), shots[k + 1]) for b in range(width)]
        for k in range(0, len(counts), 2)
    ]
    table = np.array(pairs)
    return table[..., 0], table[..., 1], sum(shots)


def _model(kind: str, delays: np.ndarray, parameters: np.ndarray, longest: float) -> np.ndarray:
    """Logarithms of times in seconds, amplitude; for Ramsey also turns over the longest delay and a phase."""
    rate = np.exp(-np.clip(parameters[:, 0], -50, 50))[:, None]
    if kind != "Ramsey":
        return parameters[:, 1:2] * np.exp(-delays * rate)
    gaussian = np.exp(-np.clip(parameters[:, 1], -50, 50))[:, None]
    turns = parameters[:, 3:4] * delays / longest
    envelope = parameters[:, 2:3] * np.exp(-delays * rate - (delays * gaussian) ** 2)
    return envelope * np.cos(2 * np.pi * turns + parameters[:, 4:5])


def _one_over_e(white: np.ndarray, gaussian: np.ndarray) -> np.ndarray:
    """Where t/a + (t/b)² = 1, from the logarithms of a and b."""
    a, b = np.exp(np.clip(white, -50, 50)), np.exp(np.clip(gaussian, -50, 50))
    # The root of a quadratic, in the form that does not cancel where b is much longer than a.
    return 2 / (1 / a + np.sqrt(1 / a**2 + 4 / b**2))


def _longest(target: Target, kind: str, qubits: set[int]) -> float:
    table = target.qubit_properties or []
    found = [getattr(table[q], "t1" if kind == "T1" else "t2", None) for q in qubits if q < len(table)]
    known = [time for time in found if time]
    return _REACH[kind] * (float(np.percentile(known, 80)) if known else _UNKNOWN_SECONDS)
