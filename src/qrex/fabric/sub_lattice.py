"""The better part of a fixed device, for a circuit that does not need all of it.

In: a device's calibration and how many qubits are wanted. Out: a connected set of qubits, and a Qiskit
target that has couplings only inside it, so that a router cannot leave it.

The worst qubit is dropped, one at a time, as long as the rest hangs together: O(n²) on sparse lattices.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import rustworkx as rx

from qrex.compilation import Compiled, ErrorTable

__all__ = ["best_sub_lattice", "restricted_target", "sub_lattice"]


def sub_lattice(compiled: Iterable[Compiled]) -> tuple[int, ...]:
    """Physical qubits that at least one of the compiled circuits uses, in rising order."""
    return tuple(sorted({qubit for one in compiled for qubit in one.used_qubits}))


def best_sub_lattice(table: ErrorTable, size: int, *, idle_seconds: float = 0.0) -> tuple[int, ...] | None:
    """A connected set of `size` qubits with good links, readout and coherence; None where there is none.

    A qubit's badness is the infidelity of its readout and of an idle window of `idle_seconds`, plus the mean
    infidelity of its remaining links (a lone bad link pulls down both its ends).
    """
    lattice = _lattice(table)
    alone = _own_badness(table, idle_seconds)
    groups = [group for group in rx.connected_components(lattice) if len(group) >= size]
    if not groups:
        return None
    kept = max(groups, key=lambda group: (len(group), -float(np.mean(alone[sorted(group)]))))
    while len(kept) > size:
        graph = lattice.subgraph(sorted(kept))
        labels = sorted(kept)
        needed = {labels[place] for place in rx.articulation_points(graph)}
        worst = max(
            (qubit for qubit in labels if qubit not in needed),
            key=lambda qubit: (alone[qubit] + _link_badness(lattice, qubit, kept), qubit),
        )
        kept = kept - {worst}
    return tuple(sorted(kept))


def restricted_target(target: Any, qubits: Iterable[int]) -> Any:
    """A copy of a Qiskit `target` whose many-qubit instructions stay inside `qubits`; qubits keep their
    numbers, and one-qubit instructions are left everywhere, so that indices need no translation."""
    from qiskit.transpiler import Target

    inside = set(qubits)
    restricted = Target(
        num_qubits=target.num_qubits, dt=target.dt, qubit_properties=target.qubit_properties,
        granularity=target.granularity, min_length=target.min_length,
        pulse_alignment=target.pulse_alignment, acquire_alignment=target.acquire_alignment,
    )
    for name in target.operation_names:
        properties = target[name]
        if properties is None or None in properties:
            restricted.add_instruction(target.operation_from_name(name), name=name)
            continue
        kept = {
            places: value
            for places, value in properties.items()
            if len(places) == 1 or inside.issuperset(places)
        }
        restricted.add_instruction(target.operation_from_name(name), kept, name=name)
    return restricted


def _lattice(table: ErrorTable) -> rx.PyGraph:
    """Qubits, and per coupled pair the infidelity of its best two-qubit gate."""
    best: dict[tuple[int, int], float] = {}
    for costs in table.instructions.values():
        for qubits, cost in costs.items():
            if qubits is not None and len(qubits) == 2:
                pair = min(qubits), max(qubits)
                best[pair] = min(best.get(pair, 1.0), -float(np.expm1(cost.log_fidelity)))
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(table.num_qubits))
    graph.add_edges_from([(a, b, infidelity) for (a, b), infidelity in sorted(best.items())])
    return graph


def _own_badness(table: ErrorTable, idle_seconds: float) -> np.ndarray:
    readout = np.zeros(table.num_qubits)
    for qubits, cost in table.instructions.get("measure", {}).items():
        readout[... if qubits is None else qubits[0]] = -np.expm1(cost.log_fidelity)
    x1, x2 = np.expm1(-idle_seconds * table.t1_rates), np.expm1(-idle_seconds * table.t2_rates)
    return readout - (x1 + 2 * x2) / 4


def _link_badness(lattice: rx.PyGraph, qubit: int, kept: set[int]) -> float:
    links = [infidelity for other, infidelity in lattice.adj(qubit).items() if other in kept]
    return float(np.mean(links)) if links else 1.0
