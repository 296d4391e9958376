"""The density of entanglement E and what is published beside it, from the fidelity of every link.

In: links with their fidelities (and bootstrap draws of them), which links may not fire at once, gate times.
Out: ebits by the hashing bound, densities, the best simultaneous set, rates, connectivity.
Cost: the best set is an integer program (HiGHS), exact, seconds at a few hundred links; the rest is
polynomial. References: Bennett et al., quant-ph/9604024 (hashing); Stoer and Wagner, J. ACM 44, 585 (1997).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import rustworkx as rx
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from qrex.errors import InputError

__all__ = [
    "algebraic_connectivity",
    "best_simultaneous_set",
    "bell_diagonal_ebits",
    "color_links",
    "isotropic_ebits",
    "link_conflicts",
    "min_cut",
]

Link = tuple[int, int]

PHASE_LIMIT_RADIANS = 0.15
"""Interaction phase up to which two gates may fire at once."""


def bell_diagonal_ebits(weights: Sequence[float]) -> float:
    """max(0, 1 - H(λ)) for the four weights of a Bell-diagonal state, in ebits.

    >>> bell_diagonal_ebits([1, 0, 0, 0]), bell_diagonal_ebits([0.5, 0.5, 0, 0])
    (1.0, 0.0)
    """
    values = np.asarray(weights, dtype=float)
    if values.shape != (4,) or (values < -1e-9).any() or abs(values.sum() - 1) > 1e-6:
        raise InputError(f"Bell-diagonal weights are four probabilities that add to 1, not {list(weights)}")
    positive = values[values > 0]
    return max(0.0, 1.0 + float((positive * np.log2(positive)).sum()))


def isotropic_ebits(fidelity: float | np.ndarray) -> np.ndarray:
    """Ebits of Bell-diagonal states of the given fidelities whose other three weights are equal.

    >>> [round(float(isotropic_ebits(f)), 3) for f in (0.96, 0.99, 0.995, 0.8, 0.25)]
    [0.694, 0.903, 0.947, 0.0, 0.0]
    """
    f = np.clip(np.asarray(fidelity, dtype=float), 0.0, 1.0)
    rest = (1 - f) / 3
    entropy = -f * np.log2(np.where(f > 0, f, 1)) - 3 * rest * np.log2(np.where(rest > 0, rest, 1))
    # Below 1/4 the hashing formula turns around and would pay for the absence of entanglement.
    return np.where(f > 0.5, np.maximum(0.0, 1 - entropy), 0.0)


def link_conflicts(
    links: Sequence[Link],
    gate_seconds: Mapping[Link, float] | None = None,
    zz_hertz: Mapping[Link, float] | None = None,
) -> tuple[tuple[int, int], ...]:
    """Pairs of links, by index, that may not fire at the same time.

    Links that share a qubit conflict. So do links joined by a coupling, unless its ZZ rate is known
    (`zz_hertz`, keyed as `links`) and 2π·ζ·(the longer gate) stays within 0.15 rad: distance 2 by default.
    """
    rates = {tuple(sorted(key)): abs(value) for key, value in (zz_hertz or {}).items()}
    seconds = {tuple(sorted(key)): value for key, value in (gate_seconds or {}).items()}
    neighbors: dict[int, set[int]] = {}
    for a, b in links:
        neighbors.setdefault(a, set()).add(b)
        neighbors.setdefault(b, set()).add(a)
    found = []
    for i, one in enumerate(links):
        for j in range(i + 1, len(links)):
            other = links[j]
            if set(one) & set(other):
                found.append((i, j))
                continue
            between = [tuple(sorted((p, q))) for p in one for q in other if q in neighbors[p]]
            longest = max(seconds.get(tuple(sorted(link)), np.inf) for link in (one, other))
            phase = sum(2 * np.pi * rates.get(pair, np.inf) * longest for pair in between)
            if between and not phase <= PHASE_LIMIT_RADIANS:
                found.append((i, j))
    return tuple(found)


def color_links(links: Sequence[Link], conflicts: Sequence[tuple[int, int]]) -> tuple[tuple[Link, ...], ...]:
    """Classes of links that may fire at once, by greedy coloring in order of saturation (DSATUR)."""
    graph = rx.PyGraph()
    graph.add_nodes_from(range(len(links)))
    graph.add_edges_from_no_data(list(conflicts))
    colors = rx.graph_greedy_color(graph, strategy=rx.ColoringStrategy.Saturation)
    classes: dict[int, list[Link]] = {}
    for index in range(len(links)):
        classes.setdefault(colors[index], []).append(links[index])
    return tuple(tuple(classes[color]) for color in sorted(classes))


def best_simultaneous_set(
    weights: Sequence[float], conflicts: Sequence[tuple[int, int]], *, limit_seconds: float = 10.0
) -> tuple[tuple[int, ...], bool]:
    """Indices of the conflict-free set of greatest total weight, and whether it is proved to be the best.

    >>> best_simultaneous_set([1.0, 1.5, 1.0], [(0, 1), (1, 2)])
    ((0, 2), True)
    """
    values = np.asarray(weights, dtype=float)
    useful = np.flatnonzero(values > 0)
    if useful.size == 0:
        return (), True
    place = {int(index): column for column, index in enumerate(useful)}
    rows = [(place[i], place[j]) for i, j in conflicts if i in place and j in place]
    constraints = []
    if rows:
        row = np.repeat(np.arange(len(rows)), 2)
        matrix = csr_array((np.ones(2 * len(rows)), (row, np.ravel(rows))), shape=(len(rows), len(useful)))
        constraints = [LinearConstraint(matrix, -np.inf, 1)]
    answer = milp(
        -values[useful], constraints=constraints, integrality=np.ones(len(useful)), bounds=Bounds(0, 1),
        options={"time_limit": limit_seconds, "mip_rel_gap": 0.0},
    )  # fmt: skip
    if answer.x is None:
        raise InputError(f"no set of links found within {limit_seconds} s; give more time")
    chosen = tuple(int(index) for index, x in zip(useful, answer.x, strict=True) if x > 0.5)
    return chosen, answer.status == 0


def _laplacian(qubits: Sequence[int], links: Sequence[Link], weights: Sequence[float]) -> np.ndarray:
    place = {qubit: row for row, qubit in enumerate(qubits)}
    laplacian = np.zeros((len(qubits), len(qubits)))
    for (a, b), weight in zip(links, weights, strict=True):
        i, j = place[a], place[b]
        laplacian[[i, j], [i, j]] += weight
        laplacian[[i, j], [j, i]] -= weight
    return laplacian


def algebraic_connectivity(qubits: Sequence[int], links: Sequence[Link], weights: Sequence[float]) -> float:
    """λ₂ of the weighted Laplacian, in ebits; 0 where the graph is in pieces or has one qubit."""
    if len(qubits) < 2:
        return 0.0
    return max(0.0, float(np.linalg.eigvalsh(_laplacian(qubits, links, weights))[1]))


def min_cut(
    qubits: Sequence[int], links: Sequence[Link], weights: Sequence[float]
) -> tuple[float, tuple[int, ...]]:
    """The least total weight of links whose loss splits the device, in ebits, and the qubits of one side."""
    if len(qubits) < 2:
        return 0.0, ()
    graph = rx.PyGraph()
    place = dict(zip(qubits, graph.add_nodes_from(list(qubits)), strict=True))
    for (a, b), weight in zip(links, weights, strict=True):
        graph.add_edge(place[a], place[b], float(weight))
    pieces = rx.connected_components(graph)
    if len(pieces) > 1:
        return 0.0, tuple(sorted(graph[node] for node in min(pieces, key=len)))
    value, side = rx.stoer_wagner_min_cut(graph, weight_fn=float)
    return float(value), tuple(sorted(graph[node] for node in side))
