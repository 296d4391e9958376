"""Routes a circuit of two-qubit blocks, taking SWAPs that lie beside a block into it.

In: blocks in order, what each costs on each link as it is and with a SWAP behind it (its mirror), a region of the
device. Out: placed blocks, the SWAPs between them, where every qubit starts and ends. A block and its mirror take about
as many native gates, so a SWAP right behind a block is free; a router that first counts SWAPs and merges afterwards
does not know that. Permutations at the start and at the end cost nothing.
Beam search: a state has done some blocks and holds every qubit somewhere; a step does one more block, any that is
ready, wherever on the way its qubits can meet, plain or mirrored. States rank by their cost so far plus what the next
layers would need. O(blocks · width · options · blocks): 18 blocks on 6 qubits take 50 ms at a width of 64. Costs are
-ln(fidelity). References: McKinney et al., arXiv:2308.03874 (mirrors); Li, Ding, Xie, arXiv:1809.02573 (lookahead).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rustworkx as rx

__all__ = ["BlockRoute", "PlacedBlock", "Region", "RouteSearch"]

_LOOKAHEAD_LAYERS = 5
_DECAY = 0.8  # of a coming block's weight, per layer
_FAR = 0.8  # of a SWAP: what a coupling too far costs later, since some SWAPs are taken into blocks
_DRAWN_STARTS = 4000


@dataclass(frozen=True, slots=True)
class Region:
    """Connected qubits of a device and what its links cost, by place in `qubits` and in `links`.

    `links` join places, not physical qubits. `swap_costs` of shape (links,); `idle_rates` of shape (qubits,) in 1/s;
    `link_seconds` is how long a native gate takes on a link.
    """

    qubits: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    swap_costs: np.ndarray
    link_seconds: np.ndarray
    idle_rates: np.ndarray

    def graph(self) -> rx.PyGraph:
        graph = rx.PyGraph()
        graph.add_nodes_from(range(len(self.qubits)))
        graph.add_edges_from_no_data(list(self.links))
        return graph

    def distances(self) -> np.ndarray:
        """Couplings between places, shape (qubits, qubits)."""
        return rx.graph_distance_matrix(self.graph())


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """Block `block` on link `link`, its first qubit at the place `first`, with a SWAP behind where `mirrored`; None
    for a bare SWAP."""

    block: int | None
    link: int
    first: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class BlockRoute:
    """`start[v]` and `end[v]` are the places of qubit v; `cost` is -ln of the predicted fidelity, idling included."""

    placed: tuple[PlacedBlock, ...]
    start: tuple[int, ...]
    end: tuple[int, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class _Meetings:
    """Ways in which the holders of places u and v become neighbors: `count[u, v]` of them from `first[u, v]` on.

    `moved[m]` says where the holder of each place is then; `swaps[m]` are the links exchanged on the way, filled up
    with -1.
    """

    first: np.ndarray
    count: np.ndarray
    moved: np.ndarray
    link: np.ndarray
    cost: np.ndarray
    swaps: np.ndarray

    @classmethod
    def of(cls, region: Region) -> _Meetings:
        size = len(region.qubits)
        number = {frozenset(link): k for k, link in enumerate(region.links)}
        first, count = np.zeros((size, size), dtype=np.intp), np.zeros((size, size), dtype=np.intp)
        moved, link, cost, swaps = [], [], [], []
        for u in range(size):
            paths = rx.graph_dijkstra_shortest_paths(region.graph(), u)
            for v in range(size):
                if u == v:
                    continue
                path = list(paths[v])
                first[u, v], count[u, v] = len(moved), len(path) - 1
                for j in range(len(path) - 1):  # u moves up to path[j], v down to path[j + 1]
                    steps = [(path[i], path[i + 1]) for i in range(j)]
                    steps += [(path[i], path[i - 1]) for i in range(len(path) - 1, j + 1, -1)]
                    where = np.arange(size)
                    for a, b in steps:
                        at_a, at_b = where == a, where == b
                        where[at_a], where[at_b] = b, a
                    moved.append(where)
                    link.append(number[frozenset((path[j], path[j + 1]))])
                    swaps.append([number[frozenset(step)] for step in steps])
                    cost.append(float(region.swap_costs[swaps[-1]].sum()))
        longest = max(map(len, swaps))
        padded = np.array([one + [-1] * (longest - len(one)) for one in swaps], dtype=np.intp)
        padded = padded.reshape(len(swaps), longest)  # two qubits need no SWAP
        return cls(first, count, np.array(moved), np.array(link), np.array(cost), padded)


@dataclass(frozen=True, slots=True)
class _Beam:
    """States side by side: `place` of each qubit, which blocks are `done`, the cost, when each place is free again."""

    place: np.ndarray
    done: np.ndarray
    cost: np.ndarray
    clock: np.ndarray


@dataclass(frozen=True, slots=True)
class _Step:
    """How each state of a beam came about: from which, by which block, met how, mirrored or not, first qubit where."""

    parent: np.ndarray
    block: np.ndarray
    meeting: np.ndarray
    mirrored: np.ndarray
    first: np.ndarray


class RouteSearch:
    """The search over one region for one circuit.

    `pairs` are the qubits of each block in an order that respects their dependence, `layers` the layer of each;
    `costs` has shape (blocks, 2, links), plain and mirrored; `gates` of the same shape says how many native gates that
    takes. The circuit has as many qubits as the region.
    """

    def __init__(
        self,
        region: Region,
        pairs: Sequence[tuple[int, int]],
        layers: Sequence[int],
        costs: np.ndarray,
        gates: np.ndarray,
    ):
        self.region = region
        self.pairs = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        self.layers = np.array(layers)
        self.costs, self.gates = costs, gates
        self.size = len(region.qubits)
        self.distance = region.distances()
        self.before = _predecessors(self.pairs, self.size)
        self.meetings = _Meetings.of(region)
        # What a coupling too far costs later: part of the SWAPs will be taken into blocks.
        self.far = _FAR * float(np.mean(region.swap_costs))

    def best(self, width: int, rng: np.random.Generator) -> BlockRoute:
        """The cheapest route that a beam of `width` finds; the same generator state gives the same route."""
        total = len(self.pairs)
        # Equal blocks done and equal places are one state, whatever led there; it is known by a random word.
        words = (
            rng.integers(1, 2**63, total, dtype=np.uint64),
            rng.integers(1, 2**63, (self.size, self.size), dtype=np.uint64),
        )
        beam = self._starts(width, rng)
        starts, trail = beam.place, []
        for _ in range(total):
            beam, step = self._grow(beam, width, words)
            trail.append(step)
        cost = beam.cost + self._ragged(beam.clock)
        winner = int(np.argmin(cost))
        origin, placed = self._follow(trail, winner)
        start = starts[origin]
        return BlockRoute(placed, tuple(start.tolist()), tuple(beam.place[winner].tolist()), float(cost[winner]))

    def _starts(self, width: int, rng: np.random.Generator) -> _Beam:
        """The placements that the first blocks like best, of many random ones."""
        drawn = np.unique(np.argsort(rng.random((_DRAWN_STARTS, self.size)), axis=1), axis=0)
        done = np.zeros((len(drawn), len(self.pairs)), dtype=bool)
        chosen = np.argsort(self._need(drawn, done), kind="stable")[: 4 * width]
        return _Beam(drawn[chosen], done[chosen], np.zeros(len(chosen)), np.zeros((len(chosen), self.size)))

    def _need(self, place: np.ndarray, done: np.ndarray) -> np.ndarray:
        """What the coming blocks would still cost in SWAPs, shape (states,)."""
        apart = self.distance[place[:, self.pairs[:, 0]], place[:, self.pairs[:, 1]]] - 1
        ahead = self.layers - np.where(done, len(self.pairs), self.layers).min(axis=1, keepdims=True)
        weights = np.where(done | (ahead >= _LOOKAHEAD_LAYERS), 0.0, _DECAY ** np.maximum(ahead, 0))
        return self.far * (apart * weights).sum(axis=1)

    def _grow(self, beam: _Beam, width: int, words: tuple[np.ndarray, np.ndarray]) -> tuple[_Beam, _Step]:
        ready = ~beam.done
        for side in (0, 1):
            needed = self.before[:, side]
            ready &= (needed < 0) | beam.done[:, np.maximum(needed, 0)]
        parent, block = np.nonzero(ready)
        at, to = (beam.place[parent, self.pairs[block, side]] for side in (0, 1))
        count = self.meetings.count[at, to]
        each = np.repeat(np.arange(len(parent)), count)
        meeting = self.meetings.first[at, to][each] + np.arange(len(each)) - (np.cumsum(count) - count)[each]
        parent, block, meeting = (np.concatenate([x, x]) for x in (parent[each], block[each], meeting))
        rows, half = np.arange(len(parent)), len(parent) // 2
        mirrored = rows >= half
        place = np.take_along_axis(self.meetings.moved[meeting], beam.place[parent], axis=1)
        first, second = place[rows, self.pairs[block, 0]], place[rows, self.pairs[block, 1]]
        place[rows[half:], self.pairs[block[half:], 0]] = second[half:]
        place[rows[half:], self.pairs[block[half:], 1]] = first[half:]
        done = beam.done[parent]
        done[rows, block] = True
        link = self.meetings.link[meeting]
        side = mirrored.astype(np.intp)
        clock, waited = self._clock(beam.clock[parent], block, meeting, side)
        cost = beam.cost[parent] + self.meetings.cost[meeting] + self.costs[block, side, link] + waited
        score = cost + self._need(place, done) + self._ragged(clock)
        key = (done * words[0]).sum(axis=1, dtype=np.uint64)
        key ^= np.bitwise_xor.reduce(words[1][np.arange(self.size), place], axis=1)
        order = np.argsort(score, kind="stable")
        kept = order[np.sort(np.unique(key[order], return_index=True)[1])[:width]]
        step = _Step(parent[kept], block[kept], meeting[kept], mirrored[kept], first[kept])
        return _Beam(place[kept], done[kept], cost[kept], clock[kept]), step

    def _ragged(self, clock: np.ndarray) -> np.ndarray:
        """What it would cost to wait for the busiest place; a qubit that has not begun waits for nothing."""
        return (np.where(clock > 0, clock.max(axis=1, keepdims=True) - clock, 0.0)) @ self.region.idle_rates

    def _clock(
        self, clock: np.ndarray, block: np.ndarray, meeting: np.ndarray, mirrored: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """When every place is free after the step, and what the waits in it cost."""
        rows, waited = np.arange(len(clock)), np.zeros(len(clock))
        links, rates = np.array(self.region.links), self.region.idle_rates
        last = self.meetings.link[meeting]
        uses = [(column, 3) for column in self.meetings.swaps[meeting].T]
        for link, gates in [*uses, (last, self.gates[block, mirrored, last])]:
            u, v = links[link].T
            free = clock[rows, u], clock[rows, v]
            begin = np.maximum(*free)
            used = link >= 0
            for q, free_q in zip((u, v), free, strict=True):
                # Before its first gate a qubit waits in |0>, and instructions stand as late as they can.
                waited += np.where(used & (free_q > 0), (begin - free_q) * rates[q], 0.0)
                clock[rows, q] = np.where(used, begin + gates * self.region.link_seconds[link], clock[rows, q])
        return clock, waited

    def _follow(self, trail: Sequence[_Step], winner: int) -> tuple[int, tuple[PlacedBlock, ...]]:
        """Which start the winner came from, and what was placed on the way."""
        placed: list[PlacedBlock] = []
        for step in reversed(trail):
            meeting = int(step.meeting[winner])
            placed.append(
                PlacedBlock(
                    int(step.block[winner]), int(self.meetings.link[meeting]), int(step.first[winner]),
                    bool(step.mirrored[winner]),
                )
            )  # fmt: skip
            placed += [
                PlacedBlock(None, link, self.region.links[link][0], False)
                for link in reversed(self.meetings.swaps[meeting].tolist())
                if link >= 0
            ]
            winner = int(step.parent[winner])
        return winner, tuple(reversed(placed))


def _predecessors(pairs: np.ndarray, size: int) -> np.ndarray:
    """The block before each block on its first and on its second qubit, -1 for none; shape (blocks, 2)."""
    last = [-1] * size
    found = []
    for number, (a, b) in enumerate(pairs.tolist()):
        found.append((last[a], last[b]))
        last[a] = last[b] = number
    return np.array(found, dtype=np.intp).reshape(-1, 2)
