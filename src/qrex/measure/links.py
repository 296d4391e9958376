"""The quality of every link of a device by direct randomized benchmarking, and E with its companions.

In: a Target. Out: circuits, one color class of links at a time, and from their counts each link's layer
fidelity F_e = (1 + 15α)/16 and the vector of entanglement figures.
A circuit is a random two-qubit stabilizer state, m layers of [random one-qubit Cliffords on both qubits, one
native gate], the inverse and a random flip. State preparation and readout do not enter α. Links of a class
are at least two couplings apart, so that their gates do not disturb each other beyond 0.15 rad; all other
qubits rest in |0>. References: Proctor et al., arXiv:1807.07975 (direct RB); Carignan-Dugas et al.,
arXiv:1508.06312.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError, PlatformError
from qrex.evidence import Measurement, Source
from qrex.measure.clifford import pair_cliffords
from qrex.measure.entanglement import (
    Link,
    algebraic_connectivity,
    best_simultaneous_set,
    color_links,
    isotropic_ebits,
    link_conflicts,
    min_cut,
)
from qrex.measure.rb import GroupDecay, expected_flips, group_successes, living_decay
from qrex.measure.schedule import Timeline, coupling_links, native_pair
from qrex.measure.statistics import measurement_from_draws

__all__ = ["EntanglementFigures", "LinkQuality", "LinkResult"]

_DENSITY = "ebits per qubit"

METHOD = "simultaneous direct randomized benchmarking per link"


@dataclass(frozen=True, slots=True)
class EntanglementFigures:
    """E and what is published with it, over one set of qubits.

    `density` is E, the hashing bound, and `simultaneous` E_sim, in ebits per qubit; `fidelity_weighted` E_F in
    links per qubit; `rate` E_rate in ebits per qubit per µs, None where the device gives no gate times;
    `connectivity` λ₂ and `min_cut`, in ebits.
    """

    density: Measurement
    fidelity_weighted: Measurement
    links_per_qubit: float
    simultaneous: Measurement
    rate: Measurement | None
    connectivity: Measurement
    min_cut: Measurement


@dataclass(frozen=True, slots=True)
class LinkResult:
    """Decay and layer fidelity of each link; `figures()` computes E over all qubits or some of them."""

    num_qubits: int
    links: tuple[Link, ...]
    decays: tuple[GroupDecay, ...]
    fidelities: tuple[Measurement, ...]
    classes: tuple[tuple[Link, ...], ...]
    conflicts: tuple[tuple[int, int], ...]
    gate_seconds: Mapping[Link, float]
    seed: int
    source: Source
    shots: int

    def figures(self, qubits: Sequence[int] | None = None) -> EntanglementFigures:
        """E over `qubits` (the sub-lattice in use) or, by default, over the whole device.

        Links with both ends inside count. Intervals are a parametric bootstrap over the link decays; the
        best simultaneous set is chosen once, by the measured values.
        """
        inside = tuple(sorted(set(qubits))) if qubits is not None else tuple(range(self.num_qubits))
        if not inside or inside[0] < 0 or inside[-1] >= self.num_qubits:
            raise InputError(
                f"asked for E over qubits {list(inside)}; this device has 0 to {self.num_qubits - 1}"
            )
        keep = [i for i, link in enumerate(self.links) if set(link) <= set(inside)]
        count = len(inside)
        names = [self.links[i] for i in keep]
        values = np.array([self.fidelities[i].value for i in keep])
        width = len(self.decays[0].fit.draws)
        draws = np.array([(1 + 15 * self.decays[i].fit.draws) / 16 for i in keep]).reshape(len(keep), width)
        ebits, ebit_draws = isotropic_ebits(values), isotropic_ebits(draws)

        def figure(
            value: float, spread: np.ndarray, what: str, unit: str, detail: dict[str, object]
        ) -> Measurement:
            return measurement_from_draws(
                value, spread, unit=unit, n=self.shots, seed=self.seed, method=f"{what}; {METHOD}",
                source=self.source, limits=(0, np.inf), detail={"qubits": list(inside), **detail},
            )  # fmt: skip

        per_link = {f"{a}-{b}": float(e) for (a, b), e in zip(names, ebits, strict=True)}
        place = {old: new for new, old in enumerate(keep)}
        clashes = [(place[i], place[j]) for i, j in self.conflicts if i in place and j in place]
        best, proved = best_simultaneous_set(ebits.tolist(), clashes)
        chosen = list(best)
        cut, side = min_cut(inside, names, ebits.tolist())
        cuts = np.array([min_cut(inside, names, column)[0] for column in ebit_draws.T[:100]])
        lambdas = np.array([algebraic_connectivity(inside, names, column) for column in ebit_draws.T[:200]])
        schedule = sum(
            max((self.gate_seconds[link] for link in group if set(link) <= set(inside)), default=0.0)
            for group in self.classes
        )
        rate = None
        if schedule > 0:
            per_us = 1e6 * schedule
            rate = figure(
                float(ebits.sum()) / count / per_us, ebit_draws.sum(axis=0) / count / per_us,
                "E over the time of one complete schedule of all links", f"{_DENSITY} per µs",
                {"schedule_seconds": schedule},
            )  # fmt: skip
        return EntanglementFigures(
            figure(
                ebits.sum() / count, ebit_draws.sum(axis=0) / count, "hashing bound", _DENSITY,
                {"ebits": per_link},
            ),
            figure(values.sum() / count, draws.sum(axis=0) / count, "sum of layer fidelities", "links per qubit", {}),
            len(keep) / count,
            figure(
                ebits[chosen].sum() / count, ebit_draws[chosen].sum(axis=0) / count,
                "best set of links that may fire at once", _DENSITY,
                {"links": [list(names[i]) for i in chosen], "proved_best": proved},
            ),
            rate,
            figure(
                algebraic_connectivity(inside, names, ebits.tolist()), lambdas, "second Laplacian eigenvalue",
                "ebits", {},
            ),
            figure(cut, cuts, "minimum cut", "ebits", {"side": list(side)}),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """Direct randomized benchmarking of every link, class by class; pairs in the order of their native gate.

    The link set is fixed here, before anything is measured; the same plan with another seed is the held-out
    repeat. Circuits come class by class, depth by depth, `samples` each.
    """

    num_qubits: int
    classes: tuple[tuple[Link, ...], ...]
    conflicts: tuple[tuple[int, int], ...]
    gate_seconds: Mapping[Link, float]
    depths: tuple[int, ...]
    samples: int
    seed: int

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        depths: Sequence[int] = (1, 12, 40),
        samples: int = 4,
        links: Sequence[Link] | None = None,
        zz_hertz: Mapping[Link, float] | None = None,
    ) -> LinkQuality:
        """Color the links (all of them by default). `zz_hertz` lets weakly coupled neighbors fire at once."""
        coupled = coupling_links(target)
        wanted = coupled if links is None else tuple(sorted((min(a, b), max(a, b)) for a, b in links))
        if not wanted or not set(wanted) <= set(coupled):
            raise PlatformError(
                f"asked for links {list(wanted)}; the device has {len(coupled)}: choose among {list(coupled)}"
            )
        seconds = {link: _seconds(target, link) for link in coupled}
        # Conflicts see every coupling of the device, also those not measured.
        among = link_conflicts(coupled, seconds, zz_hertz)
        position = {coupled.index(link): i for i, link in enumerate(wanted)}
        conflicts = tuple((position[i], position[j]) for i, j in among if i in position and j in position)
        if len(set(depths)) < 2:
            raise InputError(f"a decay needs two depths or more; got {list(depths)}")
        chosen = {link: seconds[link] for link in wanted}
        return cls(
            target.num_qubits, color_links(wanted, conflicts), conflicts, chosen, tuple(depths), samples, seed
        )

    @property
    def links(self) -> tuple[Link, ...]:
        """The links in the order that `conflicts` counts them."""
        return tuple(sorted(link for group in self.classes for link in group))

    def _slots(self) -> list[tuple[int, int, int, int]]:
        return [
            (c, i, m, s)
            for c in range(len(self.classes))
            for i, m in enumerate(self.depths)
            for s in range(self.samples)
        ]

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """One circuit per class, depth and sample."""
        made = []
        for c, i, depth, sample in self._slots():
            line = Timeline(target)
            measured: list[int] = []
            for link in self.classes[c]:
                name, pair = native_pair(target, link)
                key = self.links.index(link)
                flips = expected_flips(self.seed, i, sample, key, 2)
                rng = np.random.default_rng([self.seed, 3, i, sample, key])
                _direct_sequence(line, name, pair, depth, flips, rng)
                measured.extend(pair)
            made.append(line.circuit(measured, f"links_c{c}_m{depth}_s{sample}"))
        return made

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> LinkResult:
        """Fidelities from one counts mapping per circuit."""
        slots = self._slots()
        if len(counts) != len(slots):
            raise InputError(f"{len(counts)} counts for {len(slots)} circuits; hand back one for each")
        links = self.links
        points: dict[Link, list[tuple[int, int, int, np.ndarray]]] = {link: [] for link in links}
        total = 0
        for (c, i, depth, sample), answer in zip(slots, counts, strict=True):
            flips = [expected_flips(self.seed, i, sample, links.index(link), 2) for link in self.classes[c]]
            successes, shots = group_successes(answer, flips)
            total += shots
            for link, hits, bits in zip(self.classes[c], successes, flips, strict=True):
                points[link].append((depth, hits, shots, bits))
        decays, fidelities = [], []
        for link in links:
            decay = living_decay(
                link, points[link], error_scale=15 / 16, seed=self.seed, method=METHOD, source=source
            )
            decays.append(decay)
            fidelities.append(
                measurement_from_draws(
                    (1 + 15 * decay.fit.alpha) / 16, (1 + 15 * decay.fit.draws) / 16, n=decay.alpha.n,
                    seed=self.seed, method=METHOD, source=source, limits=(0, 1), detail=decay.alpha.detail,
                )
            )  # fmt: skip
        return LinkResult(
            self.num_qubits, links, tuple(decays), tuple(fidelities), self.classes, self.conflicts,
            self.gate_seconds, self.seed, source, total,
        )  # fmt: skip


def _seconds(target: Target, link: Link) -> float:
    name, pair = native_pair(target, link)
    properties = target[name].get(pair) if target[name] else None
    return float(properties.duration or 0.0) if properties is not None else 0.0


def _direct_sequence(
    line: Timeline, gate: str, pair: tuple[int, int], depth: int, flips: np.ndarray, rng: np.random.Generator
) -> None:
    group = pair_cliffords(gate)
    start = group.sample(rng)
    group.apply(line, pair, start)
    total = group.matrix(start)
    for first, second in rng.integers(0, 24, (depth, 2)).tolist():
        group.apply_local(line, pair, (first, second))
        line.gate(gate, pair)
        total = group.gate_matrix @ group.local(first, second) @ total
    rows = np.arange(4) ^ (int(flips[0]) + 2 * int(flips[1]))
    group.apply(line, pair, group.element(total.conj().T[rows]))
