"""Quantum volume: the widest square random circuits that a device runs with mostly heavy outputs.

In: a width n, a number of circuits, a compile step that the caller gives. Out: compiled circuits, and from their counts
the heavy-output probability (HOP) with its interval and whether n passes.
A model circuit has n layers; each pairs the qubits at random and puts a Haar-random SU(4) on every pair. Outputs whose
ideal probability lies above the median are heavy: a perfect device answers with (1 + ln 2)/2 of them for wide circuits,
a device that forgets everything with 1/2. Width n passes where the lower end of a one-sided 2σ interval (97.7 %) of the
mean over at least 100 circuits exceeds 2/3. The interval is the semi-parametric bootstrap over circuits and shots; the
original, wider one is reported beside it. Nothing is mitigated. The ideal outputs are computed exactly: O(n² 2**n) a
circuit, about 1 ms at n = 8. Bit order: qubit 0 least significant.
References: Cross et al., arXiv:1811.12926 (protocol, 2σ rule); Baldwin et al., arXiv:2110.14808 (interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from qiskit.transpiler import Target
from scipy.stats import norm

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.statistics import bit_table

__all__ = ["THRESHOLD", "CompileStep", "ModelCircuit", "QuantumVolume", "VolumeResult", "heavy_outputs"]

CompileStep = Callable[[Sequence[QuantumCircuit], Target], list[QuantumCircuit]]
"""From model circuits, measured into "c" with bit i from qubit i, to circuits over the device's qubits whose classical
bits mean the same. A frozen dataclass that is callable, where the protocol has to travel to a worker."""

THRESHOLD = 2 / 3
LEAST_CIRCUITS = 100
MOST_WIDE = 12
_ONE_SIDED = float(norm.cdf(2.0))  # 2σ
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class ModelCircuit:
    """Layers of (first qubit, second qubit, SU(4)); the first qubit is the matrix's less significant one."""

    width: int
    layers: tuple[tuple[tuple[int, int, np.ndarray], ...], ...]

    @classmethod
    def random(cls, width: int, rng: np.random.Generator) -> ModelCircuit:
        """`width` layers; of an odd width one qubit of each layer is left out."""
        layers = []
        for _ in range(width):
            order = rng.permutation(width).tolist()
            layers.append(tuple((order[2 * k], order[2 * k + 1], _haar_su4(rng)) for k in range(width // 2)))
        return cls(width, tuple(layers))

    def probabilities(self) -> np.ndarray:
        """Of all outcomes, shape (2**width,), by exact simulation."""
        state = np.zeros(2**self.width, dtype=complex)
        state[0] = 1
        tensor = state.reshape((2,) * self.width)
        for layer in self.layers:
            for a, b, matrix in layer:
                axes = (self.width - 1 - b, self.width - 1 - a)
                moved = np.tensordot(matrix.reshape(2, 2, 2, 2), tensor, axes=((2, 3), axes))
                tensor = np.moveaxis(moved, (0, 1), axes)
        return np.abs(tensor.reshape(-1)) ** 2

    def circuit(self, name: str) -> QuantumCircuit:
        """As gates for a compiler, every qubit measured."""
        circuit = QuantumCircuit(self.width, name=name)
        for layer in self.layers:
            for a, b, matrix in layer:
                circuit.append(UnitaryGate(matrix, check_input=False), [a, b])
        measured = QuantumCircuit(self.width, self.width, name=name)
        measured.compose(circuit, inplace=True)
        measured.measure(range(self.width), range(self.width))
        return measured


def _haar_su4(rng: np.random.Generator) -> np.ndarray:
    """Haar measure by the QR decomposition of a Ginibre matrix (Mezzadri, math-ph/0609050)."""
    ginibre = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    q, r = np.linalg.qr(ginibre)
    q = q * (np.diag(r) / np.abs(np.diag(r)))
    return q / np.linalg.det(q) ** 0.25


def heavy_outputs(probabilities: np.ndarray) -> np.ndarray:
    """Which outcomes lie above the median probability, a boolean per outcome.

    >>> heavy_outputs(np.array([0.1, 0.4, 0.2, 0.3])).tolist()
    [False, True, False, True]
    """
    return probabilities > np.median(probabilities)


@dataclass(frozen=True, slots=True)
class VolumeResult:
    """What one width showed. `hop` is the mean over circuits with its two-sided 95 % interval.

    `lower` is the bootstrap's one-sided 2σ bound, `lower_original` that of Cross et al.; `passed` goes by the first,
    `passed_original` by the second. `more_circuits` says how many more circuits of the same HOP would pass (0 where it
    has passed), None where the HOP itself is not above 2/3. `counts` are the raw ones, circuit by circuit.
    """

    width: int
    hop: Measurement
    lower: float
    lower_original: float
    heavy: tuple[int, ...]
    shots: tuple[int, ...]
    ideal_hops: tuple[float, ...]
    passed: bool
    passed_original: bool
    more_circuits: int | None
    more_circuits_original: int | None
    counts: tuple[Mapping[str, int], ...] = field(repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """Passed, or "not passed" and what it would take, in words."""
        if self.passed:
            return "passed"
        if self.more_circuits is None:
            return "not passed: the heavy-output probability is not above 2/3"
        return f"not passed: about {self.more_circuits} more circuits would decide it, if the probability stays"


@dataclass(frozen=True, slots=True)
class QuantumVolume:
    """`number` model circuits of one width. The same seed gives the same model circuits for every compile step."""

    width: int
    number: int
    seed: int
    compile: CompileStep

    def __post_init__(self) -> None:
        if not 2 <= self.width <= MOST_WIDE:
            raise InputError(f"a quantum volume of width {self.width} was asked for; give 2 to {MOST_WIDE}")
        if self.number < 2:
            raise InputError(f"{self.number} circuits do not make an interval; give {LEAST_CIRCUITS} or more")

    @classmethod
    def plan(
        cls, target: Target, *, width: int, seed: int, compile: CompileStep, circuits: int = LEAST_CIRCUITS
    ) -> QuantumVolume:
        """Fix the protocol; fewer than 100 circuits can be run, but cannot pass."""
        if target.num_qubits is not None and width > target.num_qubits:
            raise InputError(f"width {width} was asked of a device of {target.num_qubits} qubits")
        return cls(width, circuits, seed, compile)

    def models(self) -> list[ModelCircuit]:
        """Circuit k depends on the seed, the width and k alone."""
        return [
            ModelCircuit.random(self.width, np.random.default_rng([self.seed, 71, self.width, k]))
            for k in range(self.number)
        ]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """The model circuits as the compile step makes them."""
        plain = [model.circuit(f"volume_n{self.width}_{k}") for k, model in enumerate(self.models())]
        made = list(self.compile(plain, target))
        if len(made) != self.number:
            raise InputError(f"the compile step gave {len(made)} circuits for {self.number}; give one for each")
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> VolumeResult:
        """HOP and verdict from one counts mapping per circuit."""
        if len(counts) != self.number:
            raise InputError(f"{len(counts)} counts for {self.number} circuits; hand back one for each")
        heavy, shots, ideal = [], [], []
        powers = 1 << np.arange(self.width)
        for model, answer in zip(self.models(), counts, strict=True):
            probabilities = model.probabilities()
            chosen = heavy_outputs(probabilities)
            bits, weights = bit_table(answer, self.width)
            heavy.append(int(weights[chosen[bits @ powers]].sum()))
            shots.append(int(weights.sum()))
            ideal.append(float(probabilities[chosen].sum()))
        return _judge(self.width, heavy, shots, ideal, self.seed, source, tuple(dict(c) for c in counts))


def bootstrap_means(heavy: np.ndarray, shots: np.ndarray, seed: int, resamples: int = _RESAMPLES) -> np.ndarray:
    """Means of the HOP under the semi-parametric bootstrap: circuits are drawn again from those that were run, their
    heavy shots from a binomial distribution of the chance that the circuit showed."""
    rng = np.random.default_rng([seed, 72])
    chosen = rng.integers(0, len(heavy), (resamples, len(heavy)))
    drawn = rng.binomial(shots[chosen], (heavy / shots)[chosen])
    return (drawn / shots[chosen]).mean(axis=1)


def _judge(
    width: int,
    heavy: Sequence[int],
    shots: Sequence[int],
    ideal: Sequence[float],
    seed: int,
    source: Source,
    counts: tuple[Mapping[str, int], ...],
) -> VolumeResult:
    hits, trials, number = np.array(heavy), np.array(shots), len(heavy)
    value = float((hits / trials).mean())
    means = bootstrap_means(hits, trials, seed)
    # The basic bootstrap: the quantiles of the resampled means are reflected about the observed one.
    low, high, lower = (float(2 * value - np.quantile(means, q)) for q in (0.975, 0.025, _ONE_SIDED))
    lower_original = value - 2 * math.sqrt(max(value * (1 - value), 0.0) / number)
    needed = original = None
    if value > THRESHOLD:
        enough = number * ((value - lower) / (value - THRESHOLD)) ** 2
        needed = max(0, math.ceil(max(enough, LEAST_CIRCUITS)) - number)
        enough = 4 * value * (1 - value) / (value - THRESHOLD) ** 2
        original = max(0, math.ceil(max(enough, LEAST_CIRCUITS)) - number)
    hop = Measurement(
        value, max(0.0, min(low, value)), min(1.0, max(high, value)), "", int(trials.sum()), seed,
        f"heavy-output probability, mean over {number} square model circuits of width {width}; n counts shots; "
        "semi-parametric bootstrap over circuits and shots",
        source,
        {"circuits": number, "lower_2_sigma": lower, "lower_2_sigma_original": lower_original,
         "ideal": float(np.mean(ideal)), "heavy": [int(x) for x in heavy], "shots": [int(x) for x in shots]},
    )  # fmt: skip
    return VolumeResult(
        width, hop, lower, lower_original, tuple(map(int, heavy)), tuple(map(int, shots)), tuple(ideal),
        lower > THRESHOLD and number >= LEAST_CIRCUITS, lower_original > THRESHOLD and number >= LEAST_CIRCUITS,
        needed, original, counts,
    )  # fmt: skip
