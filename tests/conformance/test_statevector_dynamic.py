"""Programs whose measurements come before their end: branches of shots against exact distributions."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from scipy.stats import chi2

from qrex import _kernels
from qrex.circuits import circuit_from_qiskit
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine

from .oracle import exact_distribution

ROOM = Allotment(threads=2, memory_bytes=1 << 30)


def _run(circuit, shots=4000, seed=1, room=ROOM):
    return StateVectorEngine({}).run(Job(circuit_from_qiskit(circuit), shots, seed), room, lambda fraction: None)


def _p_value(counts, expected, shots):
    assert set(counts) <= {text for text, p in expected.items() if p > 1e-12}
    common = [text for text, p in expected.items() if p * shots >= 5]
    cells = [(counts.get(text, 0), expected[text] * shots) for text in common]
    rare = shots - sum(seen for seen, _ in cells), shots - sum(want for _, want in cells)
    if rare[1] > 1e-6:
        cells.append(rare)
    return chi2.sf(sum((a - b) ** 2 / b for a, b in cells), max(len(cells) - 1, 1))


def _random_dynamic(seed):
    """Gates, swaps, wide gates, measurements, resets and conditions in any order."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(QuantumRegister(4), ClassicalRegister(4, "c"))
    register = circuit.cregs[0]

    def gate():
        a, b, c = (int(q) for q in rng.choice(4, 3, replace=False))
        angle = float(rng.uniform(0.5, 2.5))
        return [
            lambda: circuit.h(a), lambda: circuit.x(a), lambda: circuit.ry(angle, a), lambda: circuit.cx(a, b),
            lambda: circuit.swap(a, b), lambda: circuit.cp(angle, a, b), lambda: circuit.ccx(a, b, c),
            lambda: circuit.cswap(a, b, c), lambda: circuit.rzz(angle, a, b), lambda: circuit.iswap(a, b),
        ][int(rng.integers(10))]()  # fmt: skip

    for _ in range(22):
        kind = rng.random()
        if kind < 0.6:
            gate()
        elif kind < 0.75:
            circuit.measure(int(rng.integers(4)), int(rng.integers(4)))
        elif kind < 0.82:
            circuit.reset(int(rng.integers(4)))
        elif kind < 0.9:
            with circuit.if_test((register, int(rng.integers(16)))) as otherwise:
                gate()
            with otherwise:
                gate()
        else:
            with circuit.if_test((circuit.clbits[int(rng.integers(4))], 1)):
                gate()
    circuit.measure([0, 2], [0, 1])
    return circuit


@pytest.mark.parametrize("seed", range(12))
def test_random_dynamic_circuits(seed):
    circuit = _random_dynamic(seed)
    expected = exact_distribution(circuit)
    counts = _run(circuit, seed=seed).counts
    assert sum(counts.values()) == 4000
    assert _p_value(counts, expected, 4000) > 1e-5


def test_the_same_seed_gives_the_same_counts_on_any_number_of_threads():
    circuit = _random_dynamic(3)
    one, two = (_run(circuit, room=Allotment(threads, 1 << 30)).counts for threads in (1, 2))
    assert one == two
    assert one != _run(circuit, seed=2).counts


def test_measurements_that_nothing_depends_on_wait_until_the_end():
    circuit = QuantumCircuit(3, 3)
    circuit.h([0, 1])
    circuit.measure(0, 0)
    circuit.cx(0, 2)
    circuit.swap(0, 1)
    circuit.x(1)
    circuit.cz(1, 2)
    circuit.measure(2, 2)
    answer = _run(circuit)
    assert answer.metadata["branches"] == 1
    assert _p_value(answer.counts, exact_distribution(circuit), 4000) > 1e-5


def test_shots_are_split_not_repeated():
    """A million shots through five random outcomes: 32 branches, and no wire of a collapsed qubit is kept."""
    circuit = QuantumCircuit(2, 5)
    for bit in range(5):
        circuit.h(0)
        circuit.measure(0, bit)
        with circuit.if_test((circuit.clbits[bit], 1)):
            circuit.ry(0.1 * bit + 0.2, 1)
    answer = _run(circuit, shots=1_000_000)
    assert answer.metadata["branches"] == 32
    assert len(answer.counts) == 32
    assert sum(answer.counts.values()) == 1_000_000
    assert _p_value(answer.counts, exact_distribution(circuit), 1_000_000) > 1e-5


def test_a_condition_that_shots_disagree_on_needs_no_amplitudes_of_its_own():
    """Sixty qubits in turn, each measured before the next is touched: one or two wires at a time."""
    circuit = QuantumCircuit(60, 60)
    circuit.h(0)
    circuit.measure(0, 0)
    for qubit in range(1, 60):
        with circuit.if_test((circuit.clbits[qubit - 1], 1)):
            circuit.x(qubit)
        circuit.measure(qubit, qubit)
    answer = _run(circuit, shots=100)
    assert answer.metadata["qubits"] == 1
    assert set(answer.counts) == {"0" * 60, "1" * 60}


def test_bytes_held_stay_within_the_outline():
    """A state of 12 qubits, collapsed and grown again twenty times, with shots to follow most branches."""
    circuit = QuantumCircuit(12, 20)
    for bit in range(20):
        for qubit in range(12):
            circuit.ry(0.3 + bit + qubit, qubit)
        for qubit in range(11):
            circuit.cx(qubit, qubit + 1)
        circuit.measure(bit % 12, bit)
        circuit.reset(bit % 12)
    circuit.h(range(12))
    program = flatten(circuit)
    for shots in (1, 2, 64):
        wires, amplitudes, events = _kernels.dense_outline(program, shots)
        run = _kernels.DenseRun(program, shots, 7, 1, int(8 * amplitudes))
        while not run.advance(1.0):
            pass
        assert (wires, events) == (12, 20)
        assert run.wires == 12
        assert 8 * amplitudes / 4 <= run.peak_bytes <= 8 * amplitudes
    with pytest.raises(MemoryError):
        _kernels.DenseRun(program, 64, 7, 1, (8 << 12) - 1).advance(10.0)


def test_dense_dynamic_circuits_of_many_qubits():
    """Semiclassical feedback on 17 entangled qubits: states of many blocks collapse too."""
    circuit = QuantumCircuit(17, 17)
    circuit.h(range(17))
    for qubit in range(16):
        circuit.cp(0.7 * qubit, qubit, qubit + 1)
    for qubit in (3, 16, 0):
        circuit.h(qubit)
        circuit.measure(qubit, qubit)
        with circuit.if_test((circuit.clbits[qubit], 1)):
            circuit.x(5)
            circuit.z(6)
    circuit.h(range(4, 8))
    circuit.measure([4, 5, 6, 7], [4, 5, 6, 7])
    counts = _run(circuit, shots=3000).counts
    # The same with every operation that the measured bits do not see left out.
    small = QuantumCircuit(17, 17)
    cones = (2, 3, 4, 15, 16, 0, 1, 5, 6, 7, 8)
    small.h(cones)
    for qubit in (2, 3, 15, 0, 4, 5, 6, 7):
        small.cp(0.7 * qubit, qubit, qubit + 1)
    used = {qubit: place for place, qubit in enumerate(cones)}
    packed = QuantumCircuit(len(cones), 17)
    for item in small.data:
        packed.append(item.operation, [used[small.find_bit(q).index] for q in item.qubits])
    for qubit in (3, 16, 0):
        packed.h(used[qubit])
        packed.measure(used[qubit], qubit)
        with packed.if_test((packed.clbits[qubit], 1)):
            packed.x(used[5])
            packed.z(used[6])
    packed.h([used[q] for q in range(4, 8)])
    packed.measure([used[q] for q in range(4, 8)], range(4, 8))
    assert _p_value(counts, exact_distribution(packed), 3000) > 1e-5
