"""The layer fidelity of a chain or of chosen layers: simultaneous direct benchmarking of all that a layer does.

In: a Target, and a chain of qubits (its even and odd links become two layers) or layers of disjoint links. Out:
circuits, and from their counts the process fidelity F = (1 + (d² - 1)α)/d² of every pair and of every idle qubit,
their product LF over all layers, and the error per layered gate EPLG = 1 - LF^(1/gates).
A circuit is a random stabilizer state of every group, m steps of [random one-qubit Cliffords on all qubits, barrier,
the layer's gates at once while the others idle, barrier], the inverse and a random flip. Preparation and readout do
not enter. What neighbors do to each other in the layer does: that is what the product of isolated gate errors lacks.
Cost: layers · depths · samples circuits; 10 qubits take 48. References: McKay et al., arXiv:2311.05933; Proctor et
al., arXiv:1807.07975 (direct benchmarking).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError, PlatformError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import ONE_QUBIT, pair_cliffords
from qrex.measure.coherence import qubit_colors
from qrex.measure.rb import GroupDecay, expected_flips, group_successes, living_decay
from qrex.measure.schedule import Timeline, coupling_links, native_pair
from qrex.measure.sequences import Filling, fill_window, filled
from qrex.measure.statistics import measurement_from_draws

__all__ = ["Group", "LayerFidelity", "LayerFidelityResult", "chain_layers", "process_fidelity"]

Group = tuple[int, ...]
"""A pair in the order of its native gate, or one idle qubit."""

METHOD = "simultaneous direct randomized benchmarking of disjoint layers"
_DEPTHS = (1, 4, 12, 40)
_LEAST_LONGEST, _MOST_LONGEST = 40, 200
_WANTED_LOSS = 0.7
"""Exponent of the decay that is wanted at the longest depth, as far as the device's own gate errors tell."""


def process_fidelity(alpha: np.ndarray | float, width: int) -> np.ndarray | float:
    """F of a group of `width` qubits whose decay is α.

    >>> process_fidelity(1.0, 2), process_fidelity(0.0, 1)
    (1.0, 0.25)
    """
    size = 4**width
    return (1 + (size - 1) * alpha) / size


def chain_layers(chain: Sequence[int]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Even and odd links of a chain.

    >>> chain_layers([4, 5, 6, 7])
    (((4, 5), (6, 7)), ((5, 6),))
    """
    links = [(int(a), int(b)) for a, b in itertools.pairwise(chain)]
    return tuple(tuple(layer) for layer in (links[::2], links[1::2]) if layer)


@dataclass(frozen=True, slots=True)
class LayerFidelityResult:
    """Decays and process fidelities layer by layer, and their product."""

    label: str
    qubits: tuple[int, ...]
    decays: tuple[tuple[GroupDecay, ...], ...]
    fidelities: tuple[tuple[Measurement, ...], ...]
    fidelity: Measurement
    eplg: Measurement
    seed: int
    source: Source

    @property
    def gates(self) -> int:
        """Two-qubit gates over all layers."""
        return sum(len(decay.qubits) == 2 for layer in self.decays for decay in layer)

    def within(self, qubits: Sequence[int]) -> tuple[Measurement, Measurement]:
        """LF and EPLG of some of the qubits, in the surroundings that were measured.

        A gate that reaches out counts by its square root, as the maker of these devices counts it where it reports
        the best part of a longer chain (qiskit-device-benchmarking, `reconstruct_lf_per_length`).
        """
        inside = set(qubits)
        if not inside or not inside <= set(self.qubits):
            raise InputError(f"asked for the layer fidelity of {sorted(inside)}; measured were {list(self.qubits)}")
        return _product(self.decays, inside, self.label, self.seed, self.source)


@dataclass(frozen=True, slots=True)
class LayerFidelity:
    """Groups of every layer, pairs first. Circuits come layer by layer, depth by depth, `samples` each.

    `sequence` fills the windows of the idle qubits while the layer's gates run: a `WindowSequence` here; a
    `CircuitFiller` or a Qiskit pass manager is run over the finished circuits and sees the windows as explicit delays.
    """

    layers: tuple[tuple[Group, ...], ...]
    colors: tuple[int, ...]
    depths: tuple[int, ...]
    samples: int
    sequence: Filling | None
    label: str
    seed: int

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        chain: Sequence[int] | None = None,
        layers: Sequence[Sequence[tuple[int, int]]] | None = None,
        qubits: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        samples: int = 6,
        sequence: Filling | None = None,
        label: str | None = None,
    ) -> LayerFidelity:
        """Fix the protocol: a `chain`, or `layers` of disjoint links over `qubits` (by default all that they touch).

        The longest depth is where the gate errors that the device states would have cost half of the signal.
        Raises InputError for a chain that repeats a qubit and for layers whose links share qubits, PlatformError for
        links that the device has not got.
        """
        if (chain is None) == (layers is None):
            raise InputError("a layer fidelity is asked of a chain of qubits or of layers of links; give one of them")
        if chain is not None and (len(chain) < 2 or len(set(chain)) != len(chain)):
            raise InputError(f"a chain names two or more different qubits; got {list(chain)}")
        wanted = chain_layers(chain) if chain is not None else tuple(tuple(layer) for layer in layers or ())
        touched = {int(q) for layer in wanted for link in layer for q in link}
        everyone = sorted(touched if qubits is None else {int(q) for q in qubits})
        _check(target, wanted, touched, everyone)
        groups = tuple(_groups(target, layer, everyone) for layer in wanted)
        chosen = tuple(depths) if depths is not None else _depths(target, groups)
        if len(set(chosen)) < 2 or min(chosen) < 0 or samples < 1:
            raise InputError(f"depths {list(chosen)}, samples {samples}: give two depths or more, one sample")
        name = "none" if sequence is None else str(getattr(sequence, "name", type(sequence).__name__))
        return cls(groups, qubit_colors(target), chosen, samples, sequence, label or name, seed)

    @property
    def qubits(self) -> tuple[int, ...]:
        return tuple(sorted(q for group in self.layers[0] for q in group))

    def _slots(self) -> list[tuple[int, int, int, int]]:
        return [
            (number, i, depth, sample)
            for number in range(len(self.layers))
            for i, depth in enumerate(self.depths)
            for sample in range(self.samples)
        ]

    def _flips(self, number: int, i: int, sample: int) -> list[np.ndarray]:
        """Expected bits of every group of a layer; groups are counted through, so that each draws its own."""
        before = sum(len(layer) for layer in self.layers[:number])
        return [
            expected_flips(self.seed, i, sample, before + g, len(group)) for g, group in enumerate(self.layers[number])
        ]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """One circuit per layer, depth and sample."""
        made = [self._circuit(target, *slot) for slot in self._slots()]
        return filled(made, self.sequence, target)

    def _circuit(self, target: Target, number: int, i: int, depth: int, sample: int) -> QuantumCircuit:
        line = Timeline(target)
        rng = np.random.default_rng([self.seed, 6, number, i, sample])
        tracks = [_track(target, group) for group in self.layers[number]]
        everyone = self.qubits
        pairs = [track for track in tracks if isinstance(track, _Pair)]
        window = max(line.timing.gate_ticks(target, pair.gate, pair.qubits) for pair in pairs)
        for track in tracks:
            track.begin(line, rng)
        for _ in range(depth):
            line.barrier(everyone)
            for track in tracks:
                track.turn(line, rng)
            line.barrier(everyone)
            for track in tracks:
                if isinstance(track, _Pair):
                    track.entangle(line)
                else:
                    track.idle(line, window, self.sequence, self.colors)
        line.barrier(everyone)
        for track, flips in zip(tracks, self._flips(number, i, sample), strict=True):
            track.end(line, flips)
        measured = [qubit for group in self.layers[number] for qubit in group]
        return line.circuit(measured, f"layer{number}_m{depth}_s{sample}")

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> LayerFidelityResult:
        """Fidelities from one counts mapping per circuit."""
        slots = self._slots()
        if len(counts) != len(slots):
            raise InputError(f"{len(counts)} counts for {len(slots)} circuits; hand back one for each")
        points: list[list[list[tuple[int, int, int, np.ndarray]]]] = [[[] for _ in layer] for layer in self.layers]
        for (number, i, depth, sample), answer in zip(slots, counts, strict=True):
            flips = self._flips(number, i, sample)
            successes, shots = group_successes(answer, flips)
            for g, hits in enumerate(successes):
                points[number][g].append((depth, hits, shots, flips[g]))
        decays = tuple(
            tuple(
                living_decay(
                    group, points[number][g], error_scale=1 - 0.25 ** len(group), seed=self.seed, method=METHOD,
                    source=source,
                )
                for g, group in enumerate(layer)
            )
            for number, layer in enumerate(self.layers)
        )  # fmt: skip
        fidelities = tuple(tuple(_group_fidelity(decay, self.seed, source) for decay in layer) for layer in decays)
        whole, eplg = _product(decays, set(self.qubits), self.label, self.seed, source)
        return LayerFidelityResult(self.label, self.qubits, decays, fidelities, whole, eplg, self.seed, source)


def _check(target: Target, layers: Sequence, touched: set[int], everyone: Sequence[int]) -> None:
    if not layers or not all(layers):
        raise InputError("a layer holds one link or more; name the links of every layer")
    for layer in layers:
        flat = [q for link in layer for q in link]
        if any(len(link) != 2 for link in layer) or len(set(flat)) != len(flat):
            raise InputError(f"the links {list(layer)} share qubits; the gates of a layer run at once: split it")
    coupled = set(coupling_links(target))
    missing = [link for layer in layers for link in layer if (min(link), max(link)) not in coupled]
    if missing:
        raise PlatformError(f"asked for links {missing}; the device has {sorted(coupled)}: choose among them")
    if not touched <= set(everyone) or max(everyone) >= target.num_qubits or min(everyone) < 0:
        raise InputError(
            f"asked for qubits {list(everyone)}; they must hold all that the layers touch, {sorted(touched)}, and lie "
            f"on the device, 0 to {target.num_qubits - 1}"
        )


def _groups(target: Target, layer: Sequence[tuple[int, int]], everyone: Sequence[int]) -> tuple[Group, ...]:
    pairs = [native_pair(target, (link[0], link[1]))[1] for link in layer]
    busy = {q for pair in pairs for q in pair}
    return (*pairs, *((q,) for q in everyone if q not in busy))


def _depths(target: Target, layers: Sequence[Sequence[Group]]) -> tuple[int, ...]:
    """Depths up to where the median gate has lost half of its signal, with short ones for gates that are ten times as
    bad; a fixed choice where no error is known."""
    losses = []
    for group in (group for layer in layers for group in layer if len(group) == 2):
        name, pair = native_pair(target, (group[0], group[1]))
        entry = target[name].get(pair) if target[name] else None
        error = getattr(entry, "error", None)
        if error and error < 0.5:
            losses.append(4 / 3 * error)  # 1 - α of depolarizing with this average infidelity
    if not losses:
        return _DEPTHS
    longest = int(np.clip(round(_WANTED_LOSS / float(np.median(losses))), _LEAST_LONGEST, _MOST_LONGEST))
    return 1, max(round(longest * 0.07), 2), round(longest * 0.3), longest


def _group_fidelity(decay: GroupDecay, seed: int, source: Source) -> Measurement:
    width = len(decay.qubits)
    return measurement_from_draws(
        float(process_fidelity(decay.fit.alpha, width)), process_fidelity(decay.fit.draws, width), n=decay.alpha.n,
        seed=seed, method=f"process fidelity in its layer; {METHOD}", source=source, limits=(0, 1),
        detail=decay.alpha.detail,
    )  # fmt: skip


def _product(
    decays: Sequence[Sequence[GroupDecay]], inside: set[int], label: str, seed: int, source: Source
) -> tuple[Measurement, Measurement]:
    """LF and EPLG over the groups that touch `inside`, those that reach out by their square root."""
    log_value, log_draws, gates, shots = 0.0, 0.0, 0.0, 0
    counted: dict[str, float] = {}
    for number, layer in enumerate(decays):
        most = 0
        for g, decay in enumerate(layer):
            share = len(inside & set(decay.qubits)) / len(decay.qubits)
            if not share:
                continue
            width = len(decay.qubits)
            fidelity = float(process_fidelity(decay.fit.alpha, width))
            # All fits draw from one seed; in another order the draws of one group know nothing of the next.
            shuffled = np.random.default_rng([seed, 61, number, g]).permutation(decay.fit.draws)
            log_value += share * math.log(fidelity)
            log_draws = log_draws + share * np.log(process_fidelity(shuffled, width))
            gates += width == 2 and share == 1
            counted[f"layer {number}: {'-'.join(map(str, decay.qubits))}"] = fidelity
            most = max(most, decay.alpha.n)
        shots += most
    detail = {"sequence": label, "qubits": sorted(inside), "gates": int(gates), "process_fidelities": counted}
    whole = measurement_from_draws(
        math.exp(log_value), np.exp(log_draws), n=shots, seed=seed, method=METHOD, source=source, limits=(0, 1),
        detail=detail,
    )  # fmt: skip
    root = 1 / max(gates, 1)
    eplg = measurement_from_draws(
        1 - math.exp(root * log_value), 1 - np.exp(root * np.asarray(log_draws)), n=shots, seed=seed,
        method=f"error per layered gate, 1 - LF^(1/{int(gates)}); {METHOD}", source=source, limits=(0, 1),
        detail={"sequence": label, "qubits": sorted(inside), "gates": int(gates)},
    )  # fmt: skip
    return whole, eplg


class _Pair:
    """A pair on its way through a circuit: what was done to it, and how to undo that."""

    def __init__(self, gate: str, qubits: tuple[int, int]):
        self.gate, self.qubits = gate, qubits
        self.group = pair_cliffords(gate)
        self.total = np.eye(4, dtype=complex)

    def begin(self, line: Timeline, rng: np.random.Generator) -> None:
        element = self.group.sample(rng)
        self.group.apply(line, self.qubits, element)
        self.total = self.group.matrix(element)

    def turn(self, line: Timeline, rng: np.random.Generator) -> None:
        first, second = rng.integers(0, 24, 2).tolist()
        self.group.apply_local(line, self.qubits, (first, second))
        self.total = self.group.local(first, second) @ self.total

    def entangle(self, line: Timeline) -> None:
        line.gate(self.gate, self.qubits)
        self.total = self.group.gate_matrix @ self.total

    def end(self, line: Timeline, flips: np.ndarray) -> None:
        rows = np.arange(4) ^ (int(flips[0]) + 2 * int(flips[1]))
        self.group.apply(line, self.qubits, self.group.element(self.total.conj().T[rows]))


class _Single:
    """An idle qubit on its way through a circuit."""

    def __init__(self, qubit: int):
        self.qubit = qubit
        self.total = np.eye(2, dtype=complex)

    def begin(self, line: Timeline, rng: np.random.Generator) -> None:
        self.turn(line, rng)

    def turn(self, line: Timeline, rng: np.random.Generator) -> None:
        index = int(rng.integers(0, 24))
        ONE_QUBIT.apply(line, self.qubit, index)
        self.total = ONE_QUBIT.matrices[index] @ self.total

    def idle(self, line: Timeline, window: int, sequence: Filling | None, colors: Sequence[int]) -> None:
        fill_window(line, self.qubit, window, sequence, colors[self.qubit])

    def end(self, line: Timeline, flips: np.ndarray) -> None:
        last = self.total.conj().T
        ONE_QUBIT.apply(line, self.qubit, ONE_QUBIT.index(last[::-1] if flips[0] else last))


def _track(target: Target, group: Group) -> _Pair | _Single:
    if len(group) == 1:
        return _Single(group[0])
    name, pair = native_pair(target, (group[0], group[1]))
    return _Pair(name, pair)
