"""Placements and their scores against brute force and against the scheduled circuits themselves."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
import rustworkx as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2, FakeSherbrooke

from qrex.compilation import ErrorTable, finish, predict_success, route
from qrex.fabric import (
    PlacementScore,
    best_sub_lattice,
    enumerate_placements,
    move_circuit,
    restricted_target,
)


def random_circuit(num_qubits: int, gates: int, seed: int) -> QuantumCircuit:
    """One- and two-qubit gates, a barrier, a delay, a reset and a measurement in the middle."""
    rng = np.random.default_rng(seed)
    qc = QuantumCircuit(num_qubits, num_qubits + 1)
    for step in range(gates):
        a, b = (int(qubit) for qubit in rng.choice(num_qubits, 2, replace=False))
        qc.ry(float(rng.uniform(0, 3)), a)
        qc.cx(a, b)
        if step == gates // 2:
            qc.measure(a, num_qubits)
            qc.reset(b)
            qc.delay(3200, a, "dt")
            qc.barrier()
    qc.measure(range(num_qubits - 1), range(num_qubits - 1))  # the last qubit stays outside the light cone
    return qc


@pytest.mark.parametrize("backend", [FakeGuadalupeV2(), FakeSherbrooke()], ids=lambda backend: backend.name)
@pytest.mark.parametrize("seed", range(4))
def test_the_swept_score_equals_the_success_of_the_scheduled_circuit(backend, seed):
    table = ErrorTable.from_target(backend)
    routed = route(random_circuit(4, 10, seed), backend.target, 1, seed)
    score = PlacementScore(routed, table)
    scheduled = finish(routed, backend.target, table, level=1, seed=seed, label="")
    assert scheduled.scheduled
    assert np.exp(score.log_success(np.array([score.nodes])))[0] == pytest.approx(
        scheduled.predicted_success, rel=1e-6
    )


def test_a_place_without_the_coupling_is_impossible():
    table = ErrorTable.from_target(FakeManilaV2())
    qc = QuantumCircuit(5)
    qc.cx(0, 1)
    score = PlacementScore(qc, table)
    values = score.log_success(np.array([[0, 1], [1, 0], [0, 2], [4, 0]]))
    assert np.isfinite(values[:2]).all() and np.isneginf(values[2:]).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda pair: pair[0] != pair[1]),
                min_size=1, max_size=4, unique=True))
def test_every_place_is_found_on_a_small_device(pairs):
    """Brute force over all injective maps of the nodes into five qubits."""
    names = sorted({node for pair in pairs for node in pair})
    edges = sorted({(names.index(a), names.index(b)) for a, b in pairs})
    couplings = ErrorTable.from_target(FakeManilaV2()).couplings
    expected = {
        places for places in permutations(range(5), len(names))
        if all((places[a], places[b]) in couplings for a, b in edges)
    }
    found = enumerate_placements(len(names), edges, couplings, 5, lone_costs={}, limit=1000, seed=0)
    assert {tuple(map(int, row)) for row in found} == expected
    assert len(found) == len(expected)


def test_the_cap_holds_and_samples_all_over_the_device():
    table = ErrorTable.from_target(FakeSherbrooke())
    both_ways = tuple({pair for a, b in table.couplings for pair in ((a, b), (b, a))})
    line = [(node, node + 1) for node in range(5)]
    found = enumerate_placements(6, line, both_ways, 127, lone_costs={}, limit=100, seed=0)
    assert 0 < len(found) <= 100
    assert len(np.unique(found)) > 60
    again = enumerate_placements(6, line, both_ways, 127, lone_costs={}, limit=100, seed=0)
    np.testing.assert_array_equal(found, again)


def test_a_moved_circuit_is_valid_and_does_the_same():
    """On a device whose links have one direction each, moving the other way round turns the gates."""
    backend = FakeSherbrooke()
    table = ErrorTable.from_target(backend)
    a, b = next(pair for pair in table.couplings if pair[::-1] not in table.couplings)
    qc = QuantumCircuit(127, 1)
    qc.sx(a)
    qc.ecr(a, b)
    qc.rz(0.3, b)
    qc.ecr(a, b)
    moved, permutation = move_circuit(qc, {a: b, b: a}, backend.target, table)
    assert (permutation[a], permutation[b]) == (b, a)
    assert sorted(permutation) == list(range(127))
    predict_success(moved, table)  # raises where an instruction is not the device's

    def on_two(circuit: QuantumCircuit, order: tuple[int, int]) -> Operator:
        small = QuantumCircuit(2)
        for one in circuit.data:
            small.append(one.operation, [order.index(circuit.find_bit(bit).index) for bit in one.qubits])
        small.global_phase = circuit.global_phase
        return Operator(small)

    assert on_two(moved, (b, a)).equiv(on_two(qc, (a, b)))
    assert moved.num_clbits == 1


def badness(table: ErrorTable, qubits: tuple[int, ...]) -> float:
    readout = sum(-np.expm1(table.cost("measure", (qubit,)).log_fidelity) for qubit in qubits)
    links = [-np.expm1(table.cost("cx", (a, b)).log_fidelity) for a, b in table.couplings
             if a < b and a in qubits and b in qubits]
    return readout / len(qubits) + float(np.mean(links))


@pytest.mark.parametrize("size", [4, 8, 12])
def test_the_sub_lattice_is_connected_and_better_than_most(size):
    table = ErrorTable.from_target(FakeGuadalupeV2())
    chosen = best_sub_lattice(table, size)
    lattice = rx.PyGraph(multigraph=False)
    lattice.add_nodes_from(range(16))
    lattice.add_edges_from_no_data([pair for pair in table.couplings if pair[0] < pair[1]])
    assert len(chosen) == size and rx.is_connected(lattice.subgraph(list(chosen)))
    others = [
        badness(table, qubits) for qubits in combinations(range(16), size)
        if rx.is_connected(lattice.subgraph(list(qubits)))
    ]
    assert badness(table, chosen) < np.quantile(others, 0.2)


def test_no_sub_lattice_is_larger_than_the_device():
    assert best_sub_lattice(ErrorTable.from_target(FakeManilaV2()), 6) is None


def test_a_restricted_target_keeps_routing_inside():
    backend = FakeGuadalupeV2()
    qubits = best_sub_lattice(ErrorTable.from_target(backend), 6)
    restricted = restricted_target(backend.target, qubits)
    routed = route(random_circuit(5, 12, seed=1), restricted, 1, seed=1)
    touched = {
        routed.find_bit(bit).index for one in routed.data if one.name == "cx" for bit in one.qubits
    }
    assert touched <= set(qubits)
    assert restricted["cx"][min(p for p in restricted["cx"])].error == (
        backend.target["cx"][min(p for p in restricted["cx"])].error
    )
