"""Where else on the device a routed circuit fits without a further SWAP.

In: the directed pairs that a routed circuit uses, and the device's couplings. Out: placements, that is
injective maps from circuit nodes to physical qubits under which every pair is a coupling (subgraph
monomorphisms, found by rustworkx's VF2). They are counted out from several shuffled orders of the device,
so that a capped search does not see one corner only. Deterministic by seed.

VF2 is exponential in the worst case; `limit` and the call limit bound it.
"""

from __future__ import annotations

import numpy as np
import rustworkx as rx

__all__ = ["enumerate_placements"]

SHUFFLES = 4
CALLS_PER_PLACEMENT = 60
"""State visits of VF2 allowed per placement asked for; a found placement takes about one per node."""


def enumerate_placements(num_nodes: int, edges: list[tuple[int, int]],
                         couplings: tuple[tuple[int, int], ...], num_qubits: int, *,
                         lone_costs: dict[int, np.ndarray], limit: int, seed: int) -> np.ndarray:
    """Up to `limit` distinct placements, integers (P, num_nodes).

    Nodes in no edge stand where `lone_costs[node]` (one value per physical qubit, larger is better) is best
    among the qubits left free, the neediest node first.
    """
    linked = _breadth_first(edges)
    position = {node: place for place, node in enumerate(linked)}
    pattern = rx.PyDiGraph()
    pattern.add_nodes_from(linked)
    pattern.add_edges_from_no_data([(position[a], position[b]) for a, b in edges])
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, ...], None] = {}
    for _ in range(SHUFFLES):
        if not linked:
            found[()] = None
            break
        shuffled = rng.permutation(num_qubits)
        rank = np.argsort(shuffled)
        device = rx.PyDiGraph()
        device.add_nodes_from(range(num_qubits))
        device.add_edges_from_no_data([(int(rank[a]), int(rank[b])) for a, b in couplings])
        quota = len(found) + -(-limit // SHUFFLES)
        mappings = rx.vf2_mapping(device, pattern, subgraph=True, induced=False, id_order=True,
                                  call_limit=CALLS_PER_PLACEMENT * limit)
        for seen, mapping in enumerate(mappings, start=1):
            places = [0] * len(linked)
            for device_node, pattern_node in mapping.items():
                places[pattern_node] = int(shuffled[device_node])
            found[tuple(places)] = None
            if len(found) >= quota or seen >= limit:
                break
    lone = [node for node in range(num_nodes) if node not in position]
    result = np.empty((len(found), num_nodes), dtype=np.intp)
    for row, places in enumerate(found):
        result[row, linked] = places
        if lone:
            result[row, lone] = _place_lone(lone, lone_costs, set(places), num_qubits)
    return result


def _place_lone(lone: list[int], costs: dict[int, np.ndarray], taken: set[int], num_qubits: int) -> list[int]:
    free = [qubit for qubit in range(num_qubits) if qubit not in taken]
    chosen: dict[int, int] = {}
    for node in sorted(lone, key=lambda node: (float(np.mean(costs[node][free])), node)):
        best = max(free, key=lambda qubit: (costs[node][qubit], -qubit))
        free.remove(best)
        chosen[node] = best
    return [chosen[node] for node in lone]


def _breadth_first(edges: list[tuple[int, int]]) -> list[int]:
    """Nodes in an order in which each (but the first of a component) touches an earlier one, so that VF2
    fails early."""
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    order: list[int] = []
    waiting = sorted(neighbours, key=lambda node: (-len(neighbours[node]), node))
    seen: set[int] = set()
    for root in waiting:
        queue = [] if root in seen else [root]
        seen.update(queue)
        while queue:
            node = queue.pop(0)
            order.append(node)
            fresh = sorted(neighbours[node] - seen, key=lambda other: (-len(neighbours[other]), other))
            seen.update(fresh)
            queue.extend(fresh)
    return order
