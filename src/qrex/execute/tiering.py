"""The circuit that effective memory is measured on, run in a worker.

In: a `TieringRequest`. Out: a JSON-able dictionary: the infidelity stated, the norm, what the tiers did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrex.engines.protocol import Allotment

__all__ = ["QAOA_LAYERS", "TieringRequest", "qaoa_on_a_cubic_graph", "run_qaoa_in_stages"]

QAOA_LAYERS = 4


@dataclass(frozen=True, slots=True)
class TieringRequest:
    """So many qubits and shots within `allotment`."""

    qubits: int
    shots: int
    seed: int
    allotment: Allotment
    constants: Mapping[str, Mapping[str, float]]

    def granted(self, threads: int, memory_bytes: int) -> TieringRequest:
        """The same: what it is given is the point."""
        return self


def run_qaoa_in_stages(request: TieringRequest, progress: Callable[[float], None]) -> dict[str, Any]:
    """Sample the circuit. MemoryLimitError and the like as the engine raises them."""
    from qrex.circuits.flattening import flatten
    from qrex.engines.protocol import Job
    from qrex.engines.statevector import StateVectorEngine

    program = flatten(qaoa_on_a_cubic_graph(request.qubits, request.seed))
    job = Job(None, request.shots, request.seed, given=program, label="QAOA")
    engine = StateVectorEngine(request.constants.get("statevector", {}))
    answer = engine.run(job, request.allotment, progress)
    return {name: answer.metadata[name] for name in ("infidelity", "norm", "tiers")}


def qaoa_on_a_cubic_graph(num_qubits: int, seed: int):
    """p = 4 on a random graph with three edges at every vertex (with one vertex of two, for odd numbers): a cycle and
    pairs that are no neighbors on it. Angles are random."""
    from qiskit import QuantumCircuit

    rng = np.random.default_rng(seed)
    cycle = rng.permutation(num_qubits).tolist()
    edges = [(cycle[k], cycle[(k + 1) % num_qubits]) for k in range(num_qubits)]
    taken = {frozenset(edge) for edge in edges}
    while True:
        order = rng.permutation(num_qubits).tolist()
        pairs = list(zip(order[::2], order[1::2], strict=False))
        if not any(frozenset(pair) in taken for pair in pairs):
            break
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for gamma, beta in rng.uniform(0, 2, size=(QAOA_LAYERS, 2)):
        for a, b in edges + pairs:
            circuit.rzz(gamma, a, b)
        circuit.rx(beta, range(num_qubits))
    circuit.measure_all()
    return circuit
