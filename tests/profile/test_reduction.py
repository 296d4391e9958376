"""Reduced programs mean what the circuit meant: exact distributions, and counts put together again."""

import subprocess
import sys

import numpy as np
import pytest
from conformance.families import FAMILIES
from conformance.oracle import exact_distribution
from made_circuits import joined_distribution, random_circuit
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import QFTGate

from qrex.circuits.flattening import flatten
from qrex.profile import profile_program
from qrex.profile.reduction import join, reduce


def reduced(circuit: QuantumCircuit):
    program = flatten(circuit)
    assert not program.obstacle
    return reduce(program)


def same(left: dict[str, float], right: dict[str, float]) -> bool:
    return sum(abs(left.get(key, 0) - right.get(key, 0)) for key in left.keys() | right.keys()) < 1e-9


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"noise", "until zero"}))  # no rows say those
def test_conformance_families_keep_their_distribution(name):
    circuit = FAMILIES[name]()
    assert same(joined_distribution(reduced(circuit)), exact_distribution(circuit))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("block", range(10))
def test_random_circuits_keep_their_distribution(block, dynamic):
    for seed in range(25 * block, 25 * block + 25):
        circuit = random_circuit(seed, dynamic)
        if not flatten(circuit).obstacle:
            assert same(joined_distribution(reduced(circuit)), exact_distribution(circuit)), (seed, dynamic)


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    circuit.measure_all()
    return circuit


def test_a_classical_circuit_is_worked_out_beforehand():
    circuit = QuantumCircuit(60)
    circuit.x(range(0, 60, 2))
    for qubit in range(58):
        circuit.ccx(qubit, qubit + 1, qubit + 2)
        circuit.swap(qubit, qubit + 2)
    found = reduced(measured(circuit))
    assert not found.parts and not len(found.coin_bits) and len(found.constants) == 60
    state = [1 - q % 2 for q in range(60)]
    for q in range(58):
        state[q + 2] ^= state[q] & state[q + 1]
        state[q], state[q + 2] = state[q + 2], state[q]
    assert [found.constants[q] for q in range(60)] == state


def test_a_phase_oracle_kicks_back():
    """Bernstein-Vazirani: the hidden string is certain."""
    secret = [1, 0, 1, 1, 0, 0, 1]
    circuit = QuantumCircuit(8, 7)
    circuit.x(7)
    circuit.h(range(8))
    for qubit, one in enumerate(secret):
        if one:
            circuit.cx(qubit, 7)
    circuit.h(range(7))
    circuit.measure(range(7), range(7))
    found = reduced(circuit)
    assert [found.constants[q] for q in range(7)] == secret and not found.parts


def test_qft_of_a_basis_state_is_coins():
    circuit = QuantumCircuit(40)
    circuit.x([3, 7])
    circuit.append(QFTGate(40), range(40))
    found = reduced(measured(circuit))
    assert not found.parts and np.allclose(found.coin_ones, 0.5) and len(found.coin_bits) == 40


def test_diagonal_gates_before_measurements_are_not_seen():
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.cz(0, 1)
    circuit.rzz(0.3, 1, 2)
    circuit.ccz(1, 2, 3)
    found = reduced(measured(circuit))
    assert not found.parts and len(found.coin_bits) == 4


def test_a_measurement_that_nobody_reads_still_dephases():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(1, 1)  # overwritten below
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.reset(1)
    circuit.measure(1, 1)
    found = reduced(circuit)
    assert same(joined_distribution(found), {"00": 0.5, "01": 0.5})
    assert found.constants == {1: 0}


def test_parts_are_independent_and_keep_their_bits():
    register = ClassicalRegister(6, "c")
    circuit = QuantumCircuit(QuantumRegister(6), register)
    for pair in ((0, 3), (5, 2)):
        circuit.h(pair[0])
        circuit.cx(*pair)
    circuit.ry(0.8, 1)
    circuit.x(4)
    circuit.measure(range(6), [5, 4, 3, 2, 1, 0])
    found = reduced(circuit)
    assert sorted(tuple(sorted(part.clbits)) for part in found.parts) == [(0, 3), (2, 5)]
    assert found.constants == {1: 1}
    assert list(found.coin_bits) == [4] and found.coin_ones[0] == pytest.approx(np.sin(0.4) ** 2)


def test_a_condition_joins_what_it_reads():
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(2)
    circuit.measure(2, 2)
    (part,) = reduced(circuit).parts
    assert sorted(part.qubits) == [0, 2] and sorted(part.clbits) == [0, 2]


def test_a_gate_between_inverse_rotations_is_one_controlled_gate():
    """The W state of the textbooks (ry, cz, ry): as controlled rotations its support is one-hot and provably small."""
    size = 40
    circuit = QuantumCircuit(size)
    circuit.x(size - 1)
    for qubit in range(size - 1, 0, -1):
        angle = np.arccos(np.sqrt(1 / (qubit + 1)))
        circuit.ry(-angle, qubit - 1)
        circuit.cz(qubit, qubit - 1)
        circuit.ry(angle, qubit - 1)
    for qubit in range(size - 1, 0, -1):
        circuit.cx(qubit - 1, qubit)
    (part,) = reduced(measured(circuit)).parts
    found = profile_program(part.program, "w", 1, reduced=True)
    assert found.gate_counts.get("cz", 0) == 0 and found.log2_support <= np.log2(size) + 1e-9


def test_clifford_rows_stay_clifford():
    random = np.random.default_rng(3)
    circuit = QuantumCircuit(8)
    for _ in range(120):
        a, b = (int(q) for q in random.choice(8, 2, replace=False))
        getattr(circuit, random.choice(["h", "s", "sx", "x", "sdg"]))(a)
        getattr(circuit, random.choice(["cx", "cz", "swap", "iswap", "cy", "ecr"]))(a, b)
    for part in reduced(measured(circuit)).parts:
        assert profile_program(part.program, "part", 1, reduced=True).is_clifford


def test_join_pairs_parts_at_random_and_places_bits():
    circuit = QuantumCircuit(6, 8)
    for pair in ((0, 3), (5, 2)):
        circuit.h(pair[0])
        circuit.cx(*pair)
    circuit.ry(0.8, 1)
    circuit.x(4)
    circuit.measure(range(6), [7, 4, 3, 2, 1, 0])
    found = reduced(circuit)
    shots = 40_000
    expected = joined_distribution(found)
    halves = [{"00": shots // 2, "11": shots // 2} for _ in found.parts]
    counts = join(found, halves, shots, seed=5)
    assert sum(counts.values()) == shots and counts.keys() == expected.keys()
    statistic = sum((counts[key] - shots * p) ** 2 / (shots * p) for key, p in expected.items())
    assert statistic < 27.9  # chi-square, 7 degrees of freedom: exceeded once in 5,000
    assert counts == join(found, halves, shots, seed=5) != join(found, halves, shots, seed=6)


@pytest.mark.parametrize(("width", "shots"), [(40, 300_000), (300, 60_000), (5_000, 4_000)])
def test_the_memory_of_joining_is_what_was_said(width, shots):
    """In a process of its own, so that nothing freed earlier is used again."""
    script = f"""
import os, pickle
from qiskit import QuantumCircuit
from qrex.circuits import circuit_from_qiskit
from qrex.execute.memory import highest_resident_bytes, reset_own_peak
from qrex.profile.reduction import join, join_bytes, reduce
circuit = QuantumCircuit({width}, {width})
circuit.h(range({width}))
circuit.measure(range({width}), range({width}))
found = reduce(circuit_from_qiskit(circuit).program)
join(found, [], 10, seed=1)
before = reset_own_peak()
counts = join(found, [], {shots}, seed=1)
sent = pickle.dumps(counts)
print((highest_resident_bytes(os.getpid()) - before) / join_bytes(found, len(counts), {shots}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0.5 < float(done.stdout) < 1.2


def test_join_with_one_part_keeps_its_counts():
    circuit = QuantumCircuit(3, 4)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.x(1)
    circuit.measure([0, 1, 2], [0, 1, 3])
    found = reduced(circuit)
    (part,) = found.parts
    assert join(found, [{"00": 3, "11": 7}], 10, seed=1) == {"0010": 3, "1011": 7}
    assert sorted(part.clbits) == [0, 3]
    with pytest.raises(ValueError, match="9 shots of 10"):
        join(found, [{"00": 3, "11": 6}], 10, seed=1)


def test_join_without_bits_or_parts():
    assert join(reduced(QuantumCircuit(2)), [], 12, seed=0) == {"": 12}
    assert join(reduced(FAMILIES["unmeasured"]()), [], 12, seed=0) == {"000": 12}


def test_an_obstacle_keeps_the_program_whole():
    circuit = QuantumCircuit(2, 2)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    program = flatten(circuit)
    (part,) = reduce(program).parts
    assert part.program is program
