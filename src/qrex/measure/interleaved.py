"""Interleaved randomized benchmarking: the error of one gate, or of one idle window, between random Cliffords.

In: a Target, and what stands between the Cliffords: a gate, or `delay(τ)`. Out: circuits (reference, then interleaved,
with the same random Cliffords), and from their counts the two decays side by side and, from their ratio, the error
r = (1 - α_int/α_ref)·(d - 1)/d with its interval and the systematic bound that the ratio cannot get below
(Magesan et al., arXiv:1203.4550, equation 5).
For a window of one qubit α_int/α_ref is its polarization Q(τ), as long as the idle noise has no memory and the
neighbors are drawn anew at every step, as they are here. A static detuning gives the mean of q^m over shots instead,
which is no exponential: `dispersion` in the decays' details tells, and Q comes from tomography (`coherence`).
Cost: 2 · depths · samples circuits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import ONE_QUBIT, pair_cliffords
from qrex.measure.coherence_result import relaxation_ceiling
from qrex.measure.rb import (
    ONE_QUBIT_DEPTHS,
    PAIR_DEPTHS,
    CliffordRb,
    GroupDecay,
    expected_flips,
    group_successes,
    measured_decay,
)
from qrex.measure.schedule import Timeline, Timing, native_pair
from qrex.measure.statistics import measurement_from_draws, median_measurement

__all__ = ["PULSES", "InterleavedGroup", "InterleavedRb", "InterleavedResult", "systematic_bound"]

PULSES = ("sx", "x")
"""One-qubit gates that can be interleaved; a pair takes its native gate."""

_SHORTEST, _LONGEST = 6, 500
_WANTED_LOSS = 1.2
"""Exponent of the decay that is wanted at the longest depth, as far as T1 and T2 tell."""


def systematic_bound(reference: float, ratio: float, width: int) -> float:
    """How far the error that the ratio gives may lie from the true one, whatever the Cliffords' own errors are.

    >>> round(systematic_bound(0.999, 0.999, 1), 4)
    0.0005
    """
    d = 2**width
    first = (d - 1) / d * (abs(reference - ratio) + 1 - reference)
    if reference <= 0:
        return first
    second = 2 * (d * d - 1) * (1 - reference) / (reference * d * d)
    second += 4 * math.sqrt(1 - reference) * math.sqrt(d * d - 1) / reference
    return min(first, second)


@dataclass(frozen=True, slots=True)
class InterleavedGroup:
    """What one set of qubits showed. `ratio` is α_int/α_ref, for a window of one qubit its polarization; `error` the
    average infidelity of the interleaved element; `bound` how far the true one may lie from it besides."""

    qubits: tuple[int, ...]
    reference: GroupDecay
    interleaved: GroupDecay
    ratio: Measurement
    error: Measurement
    bound: float


@dataclass(frozen=True, slots=True)
class InterleavedResult:
    """`element` names what was interleaved; `seconds` is the window, None for a gate."""

    element: str
    seconds: float | None
    groups: tuple[InterleavedGroup, ...]
    median_error: Measurement
    median_ratio: Measurement


@dataclass(frozen=True, slots=True)
class InterleavedRb:
    """Circuits come depth by depth and `samples` each, first without the element, then with it.

    `gate` is one of `PULSES`, or the native gate where the groups are pairs; `window_seconds` a window instead. All
    groups keep step: a barrier stands before and after the element, in the reference as well.
    """

    groups: tuple[tuple[int, ...], ...]
    gate: str | None
    window_seconds: float | None
    depths: tuple[int, ...]
    samples: int
    seed: int

    def __post_init__(self) -> None:
        if (self.gate is None) == (self.window_seconds is None):
            raise InputError("interleaved benchmarking takes a gate or a window; give one of the two")
        CliffordRb(self.groups, self.depths, self.samples, self.seed)  # the same rules for groups and depths

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        gate: str | None = None,
        window_seconds: float | None = None,
        width: int = 1,
        groups: Sequence[Sequence[int]] | None = None,
        depths: Sequence[int] | None = None,
        samples: int = 4,
    ) -> InterleavedRb:
        """Fix the protocol: by default all qubits (width 1), or a greedy matching of the links (width 2). The window is
        rounded to the timing granule. Depths follow from T1 and T2 for a window, and are fixed for a gate.
        """
        base = CliffordRb.plan(target, seed=seed, width=width, groups=groups, depths=depths, samples=samples)
        pairs = len(base.groups[0]) == 2
        if gate is not None:
            known = {native_pair(target, (g[0], g[1]))[0] for g in base.groups} if pairs else set(PULSES)
            if {gate} != known if pairs else gate not in known:
                raise InputError(
                    f"asked to interleave {gate!r} on {'pairs' if pairs else 'single qubits'}, which all have to take "
                    f"it; there is {' and '.join(sorted(known))}"
                )
        if window_seconds is not None:
            timing = Timing.of(target)
            window_seconds = timing.seconds(timing.ticks(window_seconds))
            if window_seconds <= 0:
                raise InputError(
                    f"a window below the device's resolution of {timing.seconds(timing.granule):.3g} s was asked for"
                )
        chosen = base.depths
        if depths is None:
            usual = PAIR_DEPTHS if pairs else ONE_QUBIT_DEPTHS
            chosen = usual if window_seconds is None else _depths(target, base.groups, window_seconds, usual)
        return cls(base.groups, gate, window_seconds, chosen, samples, seed)

    @property
    def element(self) -> str:
        """What is interleaved, in words."""
        return f"delay {self.window_seconds * 1e9:g} ns" if self.window_seconds is not None else str(self.gate)

    def _slots(self) -> list[tuple[bool, int, int, int]]:
        return [
            (interleaved, i, depth, sample)
            for interleaved in (False, True)
            for i, depth in enumerate(self.depths)
            for sample in range(self.samples)
        ]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """One circuit per depth and sample without the element, then one each with it."""
        return [self._circuit(target, *slot) for slot in self._slots()]

    def _circuit(self, target: Target, interleaved: bool, i: int, depth: int, sample: int) -> QuantumCircuit:
        line = Timeline(target)
        measured = [qubit for group in self.groups for qubit in group]
        walks = [
            _Single(group[0], self.gate) if len(group) == 1 else _Pair(target, (group[0], group[1]), self.gate)
            for group in self.groups
        ]
        ticks = 0 if self.window_seconds is None else line.timing.ticks(self.window_seconds)
        draws = [np.random.default_rng([self.seed, 7, i, sample, g]) for g in range(len(walks))]
        for _ in range(depth):
            for walk, rng in zip(walks, draws, strict=True):
                walk.turn(line, rng)
            line.barrier(measured)
            if interleaved and ticks:
                for qubit in measured:
                    line.delay(qubit, ticks)
            elif interleaved:
                for walk in walks:
                    walk.element(line)
            line.barrier(measured)
        for g, walk in enumerate(walks):
            walk.end(line, expected_flips(self.seed, i, sample, g, len(self.groups[g])))
        return line.circuit(measured, f"{'interleaved' if interleaved else 'reference'}_m{depth}_s{sample}")

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> InterleavedResult:
        """Errors from one counts mapping per circuit."""
        slots = self._slots()
        if len(counts) != len(slots):
            raise InputError(f"{len(counts)} counts for {len(slots)} circuits; hand back one for each")
        points: dict[bool, list[list[tuple[int, int, int, np.ndarray]]]] = {
            kind: [[] for _ in self.groups] for kind in (False, True)
        }
        for (interleaved, i, depth, sample), answer in zip(slots, counts, strict=True):
            flips = [expected_flips(self.seed, i, sample, g, len(q)) for g, q in enumerate(self.groups)]
            successes, shots = group_successes(answer, flips)
            for g, hits in enumerate(successes):
                points[interleaved][g].append((depth, hits, shots, flips[g]))
        width = len(self.groups[0])
        scale = 1 - 0.5**width
        method = f"simultaneous interleaved {width}-qubit Clifford randomized benchmarking of {self.element}"
        found = []
        for g, qubits in enumerate(self.groups):
            without, with_it = (
                measured_decay(
                    qubits, points[kind][g], error_scale=scale, seed=self.seed, method=f"{name} decay, {method}",
                    source=source,
                )
                for kind, name in ((False, "reference"), (True, "interleaved"))
            )  # fmt: skip
            found.append(_compared(qubits, without, with_it, scale, self.seed, g, method, source))
        medians = {
            name: median_measurement(
                [getattr(group, name).value for group in found],
                errors=[(getattr(group, name).high - getattr(group, name).low) / 4 for group in found],
                n=found[0].error.n, seed=self.seed, method=f"median over {len(found)} sets of {method}",
                source=source, limits=(0, 1),
            )
            for name in ("error", "ratio")
        }  # fmt: skip
        return InterleavedResult(self.element, self.window_seconds, tuple(found), medians["error"], medians["ratio"])


def _compared(
    qubits: tuple[int, ...], without: GroupDecay, with_it: GroupDecay, scale: float, seed: int, number: int,
    method: str, source: Source,
) -> InterleavedGroup:  # fmt: skip
    """The ratio of two decays of one set, whose draws are independent once one of them is shuffled."""
    low = 1e-9  # a reference that is nothing but noise gives no ratio: it is held to at most 1
    ratio = min(with_it.fit.alpha / max(without.fit.alpha, low), 1.0)
    shuffled = np.random.default_rng([seed, 71, number]).permutation(without.fit.draws)
    draws = np.minimum(with_it.fit.draws / np.maximum(shuffled, low), 1.0)
    bound = systematic_bound(without.fit.alpha, ratio, len(qubits))
    shots = without.alpha.n + with_it.alpha.n
    detail = {"qubits": list(qubits), "alpha_reference": without.fit.alpha, "alpha_interleaved": with_it.fit.alpha}
    error = scale * (1 - ratio)
    return InterleavedGroup(
        qubits, without, with_it,
        measurement_from_draws(
            ratio, draws, n=shots, seed=seed, method=f"ratio of the decays; {method}", source=source, limits=(0, 1),
            detail=detail,
        ),
        measurement_from_draws(
            error, scale * (1 - draws), n=shots, seed=seed, method=method, source=source, limits=(0, 1),
            detail={**detail, "systematic": [max(error - bound, 0.0), min(error + bound, 1.0)]},
        ),
        bound,
    )  # fmt: skip


def _depths(
    target: Target, groups: Sequence[Sequence[int]], seconds: float, usual: tuple[int, ...]
) -> tuple[int, ...]:
    """Depths up to where the median window has cost most of the signal. T1 and T2 give the least loss there can be, so
    the depths lie factors apart and begin at 0 and 1: where the true loss is far larger, the lower ones still tell."""
    table = target.qubit_properties or []
    losses = []
    for group in groups:
        kept = 1.0
        for qubit in group:
            entry = table[qubit] if qubit < len(table) else None
            t1, t2 = getattr(entry, "t1", None), getattr(entry, "t2", None)
            kept *= relaxation_ceiling(t1, min(t2, 2 * t1), seconds) if t1 and t2 else 1.0
        losses.append(1 - kept)
    loss = float(np.median(losses))
    if loss <= 0:
        return usual
    longest = int(np.clip(round(_WANTED_LOSS / loss), _SHORTEST, min(_LONGEST, max(usual))))
    return tuple(sorted({0, 1, 2, 4, *(max(round(longest * part), 2) for part in (0.08, 0.3, 1.0))}))


class _Single:
    """One qubit on its way through a circuit."""

    def __init__(self, qubit: int, gate: str | None):
        self.qubit, self.gate = qubit, gate
        self.total = np.eye(2, dtype=complex)

    def turn(self, line: Timeline, rng: np.random.Generator) -> None:
        index = int(rng.integers(0, 24))
        ONE_QUBIT.apply(line, self.qubit, index)
        self.total = ONE_QUBIT.matrices[index] @ self.total

    def element(self, line: Timeline) -> None:
        index = ONE_QUBIT.words.index((0, str(self.gate), 0))
        ONE_QUBIT.apply(line, self.qubit, index)
        self.total = ONE_QUBIT.matrices[index] @ self.total

    def end(self, line: Timeline, flips: np.ndarray) -> None:
        last = self.total.conj().T
        ONE_QUBIT.apply(line, self.qubit, ONE_QUBIT.index(last[::-1] if flips[0] else last))


class _Pair:
    """A pair, in the order of its native gate."""

    def __init__(self, target: Target, pair: tuple[int, int], gate: str | None):
        name, self.pair = native_pair(target, pair)
        self.gate, self.group = gate, pair_cliffords(name)
        self.total = np.eye(4, dtype=complex)

    def turn(self, line: Timeline, rng: np.random.Generator) -> None:
        element = self.group.sample(rng)
        self.group.apply(line, self.pair, element)
        self.total = self.group.matrix(element) @ self.total

    def element(self, line: Timeline) -> None:
        line.gate(str(self.gate), self.pair)
        self.total = self.group.gate_matrix @ self.total

    def end(self, line: Timeline, flips: np.ndarray) -> None:
        rows = np.arange(4) ^ (int(flips[0]) + 2 * int(flips[1]))
        self.group.apply(line, self.pair, self.group.element(self.total.conj().T[rows]))
