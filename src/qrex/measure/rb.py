"""Randomized benchmarking with the one- and two-qubit Clifford groups, on disjoint sets of qubits at once.

In: a Target. Out: circuits, and from their counts the decay α and the error per Clifford of each set.
A sequence of m uniformly random Cliffords, the inverse of all of them, and a random flip of each bit, so that
the decay tends to 1/2**n whatever the readout does. Error per Clifford (1 - α)·(1 - 1/2**n) is an average
infidelity. Cost: about 10 µs per one-qubit and 30 µs per two-qubit Clifford. References: Magesan et al.,
arXiv:1109.6887; Gambetta et al. (simultaneous), arXiv:1204.6308; Harper et al. (flips), arXiv:1901.00535.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import ONE_QUBIT, pair_cliffords
from qrex.measure.decay import DecayFit, fit_decay
from qrex.measure.schedule import Timeline, coupling_links, native_pair
from qrex.measure.statistics import bit_table, measurement_from_draws, median_measurement

__all__ = [
    "CliffordRb",
    "GroupDecay",
    "RbResult",
    "expected_flips",
    "group_successes",
    "living_decay",
    "measured_decay",
]

ONE_QUBIT_DEPTHS = (1, 60, 200, 500)
PAIR_DEPTHS = (1, 6, 18, 45)

_LEAST_SIGNAL = 0.05
"""Survival over chance that asymmetric readout alone can feign."""


def expected_flips(seed: int, depth_index: int, sample: int, group_index: int, width: int) -> np.ndarray:
    """The bits that a perfect device answers, shape (width,); every second sample answers the complement.

    Complementary pairs cancel an asymmetric readout exactly for one qubit, to second order for two.
    """
    rng = np.random.default_rng([seed, 1, depth_index, sample // 2, group_index])
    return (rng.integers(0, 2, width) + sample % 2) % 2


def group_successes(counts: Mapping[str, int], expected: Sequence[np.ndarray]) -> tuple[list[int], int]:
    """Shots in which each group answered as expected, groups side by side in the register; and all shots."""
    bits, weights = bit_table(counts, sum(len(flips) for flips in expected))
    successes, start = [], 0
    for flips in expected:
        hit = (bits[:, start : start + len(flips)] == flips).all(axis=1)
        successes.append(int(weights[hit].sum()))
        start += len(flips)
    return successes, int(weights.sum())


@dataclass(frozen=True, slots=True)
class GroupDecay:
    """What one set of qubits showed: α, and the error per Clifford (or of the layer, for direct RB)."""

    qubits: tuple[int, ...]
    alpha: Measurement
    error: Measurement
    fit: DecayFit = field(repr=False, compare=False)


def measured_decay(
    qubits: tuple[int, ...],
    points: Sequence[tuple[int, int, int, np.ndarray]],
    *,
    error_scale: float,
    seed: int,
    method: str,
    source: Source,
) -> GroupDecay:
    """Fit `points` of (depth, successes, shots, expected bits) and report error = (1 - α)·error_scale."""
    depths, successes, shots, flips = (list(column) for column in zip(*points, strict=True))
    offset = 0.5 ** len(qubits)
    rough = fit_decay(depths, successes, shots, offset=offset, seed=seed, resamples=2)
    # A readout that favors 0 by δ adds ±δ/2 to a qubit's chance, whatever its depth; for a pair that is
    # weighed by the chance that the other bit is right, (1 + α^m)/2.
    other = np.ones(len(depths)) if len(qubits) == 1 else (1 + rough.alpha ** np.array(depths)) / 2
    signs = 1 - 2 * np.array(flips)
    fit = fit_decay(depths, successes, shots, offset=offset, seed=seed, covariates=signs * other[:, None])
    detail = {
        "qubits": list(qubits),
        "depths": depths,
        "survival": [k / n for k, n in zip(successes, shots, strict=True)],
        "amplitude": fit.amplitude,
        "offset": fit.offset,
        "dispersion": fit.dispersion,
    }
    total = int(sum(shots))
    alpha = measurement_from_draws(
        fit.alpha, fit.draws, n=total, seed=seed, method=method, source=source, limits=(0, 1), detail=detail
    )
    error = measurement_from_draws(
        (1 - fit.alpha) * error_scale, (1 - fit.draws) * error_scale, n=total, seed=seed, method=method,
        source=source, limits=(0, 1), detail={"qubits": list(qubits)},
    )  # fmt: skip
    return GroupDecay(qubits, alpha, error, fit)


def living_decay(
    qubits: tuple[int, ...],
    points: Sequence[tuple[int, int, int, np.ndarray]],
    *,
    error_scale: float,
    seed: int,
    method: str,
    source: Source,
) -> GroupDecay:
    """`measured_decay`, but α = 0 where survival at the shortest depth is not above chance: then no decay can be seen,
    and a fit of nothing would be free to call α anything, 1 included. The fit's upper end stays, as what cannot be
    excluded."""
    decay = measured_decay(qubits, points, error_scale=error_scale, seed=seed, method=method, source=source)
    shortest = min(depth for depth, _, _, _ in points)
    hits, shots = (sum(point[i] for point in points if point[0] == shortest) for i in (1, 2))
    share = hits / shots
    if share - 0.5 ** len(qubits) > max(_LEAST_SIGNAL, 3 * (share * (1 - share) / shots) ** 0.5):
        return decay

    def dead(measurement: Measurement, value: float, low: float, high: float) -> Measurement:
        return replace(
            measurement, value=value, low=low, high=high,
            method=f"{measurement.method}; survival at the shortest depth is not above chance: counted as dead",
        )  # fmt: skip

    return replace(
        decay,
        alpha=dead(decay.alpha, 0.0, 0.0, decay.alpha.high),
        error=dead(decay.error, error_scale, error_scale * (1 - decay.alpha.high), error_scale),
        fit=replace(decay.fit, alpha=0.0, draws=np.zeros_like(decay.fit.draws)),
    )


@dataclass(frozen=True, slots=True)
class RbResult:
    """Decays of every group, and the median error per Clifford over the groups."""

    groups: tuple[GroupDecay, ...]
    median_error: Measurement


@dataclass(frozen=True, slots=True)
class CliffordRb:
    """Clifford randomized benchmarking of `groups`, disjoint single qubits or coupled pairs, all at once.

    Circuits come depth by depth, `samples` each. Pairs stand in the order of their native gate.
    """

    groups: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...]
    samples: int
    seed: int

    def __post_init__(self) -> None:
        flat = [qubit for group in self.groups for qubit in group]
        if not flat or len({len(group) for group in self.groups}) != 1 or len(self.groups[0]) > 2:
            raise InputError(f"asked to benchmark {self.groups}; give single qubits only, or pairs only")
        if len(set(flat)) != len(flat):
            raise InputError(f"the sets {self.groups} share qubits; sets driven at once must be disjoint")
        if len(set(self.depths)) < 2 or min(self.depths) < 0 or self.samples < 1:
            raise InputError(
                f"depths {self.depths}, samples {self.samples}: give two depths or more, one sample"
            )

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        width: int = 1,
        groups: Sequence[Sequence[int]] | None = None,
        depths: Sequence[int] | None = None,
        samples: int = 2,
    ) -> CliffordRb:
        """Fix the protocol: by default all qubits (width 1), or a greedy matching of the links (width 2)."""
        if groups is None and width == 1:
            groups = [(qubit,) for qubit in range(target.num_qubits)]
        elif groups is None:
            taken: set[int] = set()
            groups = []
            for link in coupling_links(target):
                if not taken & set(link):
                    taken |= set(link)
                    groups.append(link)
        ordered = tuple(
            native_pair(target, (group[0], group[1]))[1] if len(group) == 2 else tuple(group)
            for group in groups
        )
        pairs = any(len(group) == 2 for group in ordered)
        chosen = depths if depths is not None else (PAIR_DEPTHS if pairs else ONE_QUBIT_DEPTHS)
        return cls(ordered, tuple(chosen), samples, seed)

    def _slots(self) -> list[tuple[int, int, int]]:
        return [(i, m, s) for i, m in enumerate(self.depths) for s in range(self.samples)]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """One circuit per depth and sample, all groups side by side."""
        made = []
        for i, depth, sample in self._slots():
            line = Timeline(target)
            for g, group in enumerate(self.groups):
                rng = np.random.default_rng([self.seed, 2, i, sample, g])
                flips = expected_flips(self.seed, i, sample, g, len(group))
                if len(group) == 1:
                    _one_qubit_sequence(line, group[0], depth, int(flips[0]), rng)
                else:
                    _pair_sequence(line, target, (group[0], group[1]), depth, flips, rng)
            measured = [qubit for group in self.groups for qubit in group]
            made.append(line.circuit(measured, f"rb{len(self.groups[0])}q_m{depth}_s{sample}"))
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> RbResult:
        """Decays from one counts mapping per circuit."""
        slots = self._slots()
        if len(counts) != len(slots):
            raise InputError(f"{len(counts)} counts for {len(slots)} circuits; hand back one for each")
        points: list[list[tuple[int, int, int, np.ndarray]]] = [[] for _ in self.groups]
        for (i, depth, sample), answer in zip(slots, counts, strict=True):
            flips = [expected_flips(self.seed, i, sample, g, len(q)) for g, q in enumerate(self.groups)]
            successes, shots = group_successes(answer, flips)
            for g, hits in enumerate(successes):
                points[g].append((depth, hits, shots, flips[g]))
        width = len(self.groups[0])
        method = f"simultaneous {width}-qubit Clifford randomized benchmarking"
        decays = tuple(
            measured_decay(
                q, points[g], error_scale=1 - 0.5**width, seed=self.seed, method=method, source=source
            )
            for g, q in enumerate(self.groups)
        )
        median = median_measurement(
            [d.error.value for d in decays],
            errors=[d.fit.alpha_error * (1 - 0.5**width) for d in decays],
            n=sum(shots for _, _, shots, _ in points[0]), seed=self.seed,
            method=f"median over {len(decays)} sets of {method}", source=source, limits=(0, 1),
            detail={"groups": [list(q) for q in self.groups], "errors": [d.error.value for d in decays]},
        )  # fmt: skip
        return RbResult(decays, median)


def _one_qubit_sequence(line: Timeline, qubit: int, depth: int, flip: int, rng: np.random.Generator) -> None:
    total = np.eye(2, dtype=complex)
    for index in rng.integers(0, 24, depth).tolist():
        ONE_QUBIT.apply(line, qubit, index)
        total = ONE_QUBIT.matrices[index] @ total
    last = total.conj().T
    ONE_QUBIT.apply(line, qubit, ONE_QUBIT.index(last[::-1] if flip else last))


def _pair_sequence(
    line: Timeline,
    target: Target,
    pair: tuple[int, int],
    depth: int,
    flips: np.ndarray,
    rng: np.random.Generator,
) -> None:
    group = pair_cliffords(native_pair(target, pair)[0])
    total = np.eye(4, dtype=complex)
    for _ in range(depth):
        element = group.sample(rng)
        group.apply(line, pair, element)
        total = group.matrix(element) @ total
    # X on a qubit permutes the rows of the inverse: row index XOR (first + 2·second).
    rows = np.arange(4) ^ (int(flips[0]) + 2 * int(flips[1]))
    group.apply(line, pair, group.element(total.conj().T[rows]))
