"""Compiles circuits of two-qubit blocks (quantum volume's model circuits, Trotter steps) for a fixed device.

In: a circuit of two-qubit unitaries with all measurements at the end, a device. Out: a `Compiled`, scheduled.

1. Connected regions of as many qubits are ranked by links, coherence and readout; the best few are tried in earnest.
2. Blocks are routed with SWAPs taken into them (see `block_routing`).
3. Every block, its mirror taken into account, is written with as many native gates as promise the highest fidelity: a
   gate fewer is a small, known deviation and one gate's error less. This is what Qiskit's `approximation_degree=None`
   does to a routed circuit; here the router knows of it.

Cost: about 0.15 s of processor time a circuit of 6 qubits. References: Cross et al., arXiv:1811.12926 (the number of
gates by the fidelity that results); Vidal and Dawson, quant-ph/0307177 (three gates suffice).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.quantum_info import Operator
from qiskit.synthesis import TwoQubitBasisDecomposer, TwoQubitWeylDecomposition
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import Optimize1qGatesDecomposition

from qrex.compilation import Compiled, ErrorTable, finish, target_of
from qrex.errors import InfeasibleError, InputError
from qrex.fabric.block_routing import BlockRoute, Region, RouteSearch
from qrex.measure.schedule import ENTANGLERS, coupling_links, native_pair

__all__ = ["BlockCompiler", "best_regions"]

_SWAP = np.eye(4)[[0, 2, 1, 3]]
_REGIONS_ROUTED = 12
_REGIONS_KEPT = 3
_MOST_REGIONS = 5_000
_PILOTS = 6
_LEAST_FIDELITY = 1e-9
_WAITING = 0.5
"""Share of the other qubits that wait while a gate runs and would not have to without it."""


@dataclass(frozen=True, slots=True)
class _Block:
    pair: tuple[int, int]
    layer: int
    matrix: np.ndarray
    fidelities: np.ndarray  # (2, 4): plain and mirrored, with 0 to 3 native gates


class BlockCompiler:
    """For one device. `beam` is the width of the search per circuit, shared by the regions; circuits of one call share
    the regions, and `seed` fixes everything random."""

    def __init__(self, backend_or_target: Any, *, seed: int, beam: int = 192, table: ErrorTable | None = None):
        self.target = target_of(backend_or_target)
        self.table = table or ErrorTable.from_target(self.target)
        self.seed, self.beam = seed, beam
        self.natives = {link: native_pair(self.target, link) for link in coupling_links(self.target)}
        self.decomposers = {
            name: TwoQubitBasisDecomposer(gate(), euler_basis="ZSXX") for name, gate in ENTANGLERS.items()
        }
        self._cleanup = PassManager([Optimize1qGatesDecomposition(target=self.target)])

    def compile(self, circuits: Sequence[QuantumCircuit]) -> list[Compiled]:
        """One `Compiled` per circuit; all circuits are as wide as the first.

        Raises InputError where a circuit is not made of two-qubit unitaries, InfeasibleError where no region fits.
        """
        read = [self._read(circuit) for circuit in circuits]
        if not read:
            return []
        regions = self._regions(circuits[0].num_qubits, read)
        both = zip(circuits, read, strict=True)
        return [self._one(qc, blocks, regions, number) for number, (qc, blocks) in enumerate(both)]

    def _read(self, qc: QuantumCircuit) -> list[_Block]:
        """The circuit's blocks; gates that follow each other on one pair are one block."""
        place = {bit: number for number, bit in enumerate(qc.qubits)}
        found: list[tuple[tuple[int, int], np.ndarray]] = []
        last: dict[int, int] = {}  # block that a qubit was in last
        measured = False
        for one in qc.data:
            qubits = tuple(place[bit] for bit in one.qubits)
            if one.name == "barrier":
                continue
            if one.name == "measure":
                measured = True
                continue
            if len(qubits) != 2 or measured:
                raise InputError(
                    f"{one.name!r} on qubits {qubits} of circuit {qc.name!r} is no two-qubit gate before all "
                    "measurements; compile such circuits with choose_layout"
                )
            matrix = np.asarray(Operator(one.operation).data)
            before = last.get(qubits[0])
            if before is not None and before == last.get(qubits[1]):
                pair, earlier = found[before]
                found[before] = pair, (matrix if pair == qubits else _SWAP @ matrix @ _SWAP) @ earlier
                continue
            last[qubits[0]] = last[qubits[1]] = len(found)
            found.append(((qubits[0], qubits[1]), matrix))
        ready = [0] * qc.num_qubits
        blocks = []
        for (a, b), matrix in found:
            layer = max(ready[a], ready[b])
            ready[a] = ready[b] = layer + 1
            blocks.append(_Block((a, b), layer, matrix, self._fidelities(matrix)))
        return blocks

    def _fidelities(self, matrix: np.ndarray) -> np.ndarray:
        """Process fidelity of the best approximation by 0 to 3 native gates; the same for every native gate here, which
        are all equal to a cx up to one-qubit gates."""
        any_of_them = self.decomposers["cx"]
        traces = [any_of_them.traces(TwoQubitWeylDecomposition(m)) for m in (matrix, _SWAP @ matrix)]
        return np.maximum(np.abs(np.array(traces)) ** 2 / 16, _LEAST_FIDELITY)

    def _regions(self, width: int, read: Sequence[Sequence[_Block]]) -> list[Region]:
        """The best few regions by the routes that some of the circuits get there."""
        candidates = best_regions(self.target, self.table, self.natives, width, _REGIONS_ROUTED)
        if not candidates:
            raise InfeasibleError(f"no {width} connected qubits on this device; give narrower circuits")
        if len(candidates) == 1:
            return candidates
        scores = []
        for number, region in enumerate(candidates):
            routes = [
                self._search(region, blocks).best(32, np.random.default_rng([self.seed, 81, number, k]))
                for k, blocks in enumerate(read[:_PILOTS])
            ]
            scores.append(np.mean([route.cost for route in routes]) + self._readout(region))
        return [candidates[k] for k in np.argsort(scores, kind="stable")[:_REGIONS_KEPT]]

    def _readout(self, region: Region) -> float:
        return -sum(self.table.cost("measure", (q,)).log_fidelity for q in region.qubits)

    def _link_costs(self, region: Region) -> np.ndarray:
        return np.array([self._gate_cost(region, link) for link in region.links])

    def _gate_cost(self, region: Region, link: tuple[int, int]) -> float:
        name, pair = self.natives[_sorted(region.qubits[link[0]], region.qubits[link[1]])]
        cost = self.table.cost(name, pair)
        others = float(region.idle_rates.sum() - region.idle_rates[list(link)].sum())
        return -cost.log_fidelity + _WAITING * (cost.seconds or 0.0) * others

    def _prices(self, region: Region, blocks: Sequence[_Block]) -> tuple[np.ndarray, np.ndarray]:
        """Cost and number of gates, shape (blocks, 2, links)."""
        fidelities = np.array([block.fidelities for block in blocks]).reshape(-1, 2, 1, 4)
        costs = self._link_costs(region)[:, None] * np.arange(4) - np.log(fidelities)
        return costs.min(axis=-1), costs.argmin(axis=-1)

    def _search(self, region: Region, blocks: Sequence[_Block]) -> RouteSearch:
        prices, gates = self._prices(region, blocks)
        return RouteSearch(region, [b.pair for b in blocks], [b.layer for b in blocks], prices, gates)

    def _one(self, qc: QuantumCircuit, blocks: Sequence[_Block], regions: Sequence[Region], number: int) -> Compiled:
        share = max(1, self.beam // len(regions))
        found = []
        for k, region in enumerate(regions):
            route = self._search(region, blocks).best(share, np.random.default_rng([self.seed, 82, number, k]))
            found.append((route.cost + self._readout(region), k, region, route))
        _, _, region, route = min(found, key=lambda one: one[:2])
        written = self._cleanup.run(self._write(qc, blocks, region, route))
        return finish(
            written, self.target, self.table, level=3, seed=self.seed, label="blocks",
            layout=tuple(region.qubits[p] for p in route.start),
            final_layout=tuple(region.qubits[p] for p in route.end),
        )  # fmt: skip

    def _write(
        self, qc: QuantumCircuit, blocks: Sequence[_Block], region: Region, route: BlockRoute
    ) -> QuantumCircuit:
        written = QuantumCircuit(QuantumRegister(self.target.num_qubits, "q"), *qc.cregs, name=qc.name)
        _, counts = self._prices(region, blocks)
        for one in route.placed:
            first = region.qubits[one.first]
            ends = tuple(region.qubits[p] for p in region.links[one.link])
            second = ends[0] if ends[1] == first else ends[1]
            matrix, count = _SWAP, 3
            if one.block is not None:
                matrix = blocks[one.block].matrix
                matrix = _SWAP @ matrix if one.mirrored else matrix
                count = int(counts[one.block, int(one.mirrored), one.link])
            name, pair = self.natives[_sorted(first, second)]
            if pair[0] != first:
                matrix = _SWAP @ matrix @ _SWAP
            part = self.decomposers[name](matrix, _num_basis_uses=count)
            gates = (tuple(part.find_bit(bit).index for bit in step.qubits) for step in part.data)
            if (1, 0) in gates:
                # With the fewest pulses three gates come out the other way round, which the device may not have.
                part = self.decomposers[name](_SWAP @ matrix @ _SWAP, _num_basis_uses=count)
                pair = pair[::-1]
            for step in part.data:
                written.append(step.operation, [pair[part.find_bit(bit).index] for bit in step.qubits])
        written.barrier(*(written.qubits[q] for q in sorted(region.qubits)))
        where = {bit: region.qubits[route.end[v]] for v, bit in enumerate(qc.qubits)}
        for one in qc.data:
            if one.name == "measure":
                written.append(one.operation, [where[one.qubits[0]]], [one.clbits[0]])
        return written


def _sorted(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def best_regions(
    target: Any,
    table: ErrorTable,
    natives: dict[tuple[int, int], tuple[str, tuple[int, int]]],
    size: int,
    count: int,
) -> list[Region]:
    """The `count` connected sets of `size` qubits with the least expected cost of square random circuits, best first.

    Every connected set is looked at; of more than 5,000 those whose qubits have the better links and readout.
    """
    neighbors: dict[int, set[int]] = {}
    for a, b in natives:
        neighbors.setdefault(a, set()).add(b)
        neighbors.setdefault(b, set()).add(a)
    cost = {link: -table.cost(*native).log_fidelity for link, native in natives.items()}
    seconds = {link: table.cost(*native).seconds or 0.0 for link, native in natives.items()}
    weights = {
        q: float(np.mean([cost[_sorted(q, other)] for other in around])) - table.cost("measure", (q,)).log_fidelity
        for q, around in neighbors.items()
    }
    regions = []
    for qubits in _connected_sets(neighbors, size, weights):
        inside = set(qubits)
        links = [link for link in natives if set(link) <= inside]
        place = {q: k for k, q in enumerate(qubits)}
        region = Region(
            qubits, tuple((place[a], place[b]) for a, b in links), 3 * np.array([cost[link] for link in links]),
            np.array([seconds[link] for link in links]),
            # Of the process fidelity of an idle qubit, to first order: 1/(4 T1) + 1/(2 T2).
            table.t1_rates[list(qubits)] / 4 + table.t2_rates[list(qubits)] / 2,
        )  # fmt: skip
        spread = region.distances()[np.triu_indices(size, 1)].mean()
        gates = size * (size // 2) * (2.2 + 0.7 * (spread - 1))
        length = 2 * gates / size * float(region.link_seconds.mean())
        readout = -sum(table.cost("measure", (q,)).log_fidelity for q in qubits)
        expected = gates * float(region.swap_costs.mean()) / 3 + 0.4 * length * float(region.idle_rates.sum()) + readout
        regions.append((expected, qubits, region))
    regions.sort(key=lambda one: one[:2])
    return [region for _, _, region in regions[:count]]


def _connected_sets(
    neighbors: dict[int, set[int]], size: int, weights: dict[int, float]
) -> list[tuple[int, ...]]:
    """Connected sets of `size` qubits, each once; the lightest where they are too many to list."""
    found = {frozenset((q,)) for q in neighbors}
    for _ in range(size - 1):
        grown = {group | {other} for group in found for q in group for other in neighbors[q] - group}
        if len(grown) > _MOST_REGIONS:
            ranked = sorted(grown, key=lambda group: (sum(weights[q] for q in group), sorted(group)))
            grown = set(ranked[:_MOST_REGIONS])
        found = grown
    return sorted(tuple(sorted(group)) for group in found)
