"""The stabilizer engine beyond the conformance suite: feedback, wide circuits, packing of bits."""

import sys
from collections import Counter

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import StabilizerState, random_clifford

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines.bits import count_packed_rows
from qrex.engines.protocol import Allotment, Job
from qrex.engines.stabilizer import StabilizerEngine, to_stim
from qrex.engines.stabilizer.costs import CONSTANT_NAMES, Sizes, run_bytes
from qrex.errors import EngineError
from qrex.profile import profile_circuit

from ..conformance.judging import LEVEL, SHOTS, chi_square_p
from ..conformance.oracle import exact_distribution

ROOM = Allotment(threads=1, memory_bytes=1 << 31)


def named(circuit: QuantumCircuit, shots: int = 1000) -> Circuit:
    return Circuit("t", "t", "<python>", "Qiskit", circuit, shots=shots)


def sample(circuit: QuantumCircuit, shots: int = 1000, seed: int = 1):
    return StabilizerEngine({}).run(Job(named(circuit), shots, seed), ROOM, lambda fraction: None)


@pytest.mark.parametrize("seed", range(4))
def test_support_of_random_cliffords_is_qiskits(seed):
    """Qiskit's own stabilizer simulation gives the same set of equally likely outcomes."""
    circuit = random_clifford(6, seed=seed).to_circuit()
    expected = StabilizerState(circuit).probabilities_dict()
    circuit.measure_all()
    counts = sample(circuit, 20 * len(expected) * 10).counts
    assert set(counts) == set(expected)


def test_wide_ghz():
    circuit = QuantumCircuit(280, 280)
    circuit.h(0)
    for qubit in range(279):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(280), range(280))
    counts = sample(circuit, 20_000).counts
    assert set(counts) == {"0" * 280, "1" * 280}
    assert abs(counts["0" * 280] - 10_000) < 5 * np.sqrt(5000)


def test_many_shots_of_a_wide_random_circuit_are_counted_right():
    """Columns of 280 independent fair bits: each mean and one pair's correlation, at five standard errors."""
    circuit = QuantumCircuit(280, 280)
    circuit.h(range(280))
    circuit.cx(0, 279)
    circuit.measure(range(280), range(280))
    shots = 20_000
    counts = sample(circuit, shots).counts
    assert sum(counts.values()) == shots
    rows = np.array([[int(bit) for bit in text] for text in counts])
    assert np.all(np.abs(rows.mean(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(shots))


@pytest.mark.parametrize("value", [0, 1])
def test_feedback_on_a_bit_and_its_complement(value):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], value)):
        circuit.u(np.pi, 0, np.pi, 1)
    circuit.measure(1, 1)
    assert set(sample(circuit).counts) == ({"00", "11"} if value else {"10", "01"})


def test_feedback_uses_the_last_value_of_a_bit():
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert set(sample(circuit).counts) == {"00"}


def test_register_whose_other_bits_were_never_written():
    register = ClassicalRegister(3, "c")
    circuit = QuantumCircuit(QuantumRegister(2), register, ClassicalRegister(1, "d"))
    circuit.h(0)
    circuit.measure(0, 1)
    with circuit.if_test((register, 2)):
        circuit.x(1)
    with circuit.if_test((register, 5)):  # needs bits that stay 0: never
        circuit.h(1)
    circuit.measure(1, 3)
    assert set(sample(circuit).counts) == {"0000", "1010"}


def test_error_names_the_gate():
    circuit = QuantumCircuit(1, 1)
    circuit.rz(0.3, 0)
    with pytest.raises(EngineError, match=r"rz.*0\.3"):
        sample(circuit)


def test_angles_within_tolerance_are_snapped():
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.rz(np.pi + 8e-10, 0)
    circuit.h(0)
    circuit.measure(0, 0)
    assert sample(circuit).counts == {"1": 1000}


def test_loops_reach_stim_unrolled():
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(5)):
        circuit.x(0)
    circuit.measure(0, 0)
    converted, columns = to_stim(flatten(circuit))
    assert str(converted).split() == ["X", "0", "0", "0", "0", "0", "M", "0"]
    assert columns == {0: 0}


def test_packed_rows_with_gaps_and_repeats():
    random = np.random.default_rng(3)
    bits = random.integers(0, 2, (500, 11), dtype=np.uint8)
    packed = np.packbits(bits, axis=1, bitorder="little")
    columns = {0: 10, 1: 3, 4: 0}
    expected: dict[str, int] = {}
    for row in bits:
        text = "".join(str(row[columns[bit]]) if bit in columns else "0" for bit in reversed(range(5)))
        expected[text] = expected.get(text, 0) + 1
    assert dict(count_packed_rows(packed, columns, 5)) == expected


def test_packed_rows_of_every_width_are_counted_alike():
    """Narrow rows are counted as numbers, wide ones as bytes."""
    random = np.random.default_rng(4)
    for width in (1, 8, 9, 16, 17, 64, 65, 130):
        bits = random.integers(0, 2, (300, width), dtype=np.uint8)
        bits[:, 3:] &= bits[:, :1]
        expected = Counter("".join(map(str, row[::-1])) for row in bits.tolist())
        packed = np.packbits(bits, axis=1, bitorder="little")
        assert count_packed_rows(packed, {k: k for k in range(width)}, width) == expected


def test_estimate_grows_with_what_is_asked():
    engine = StabilizerEngine(dict.fromkeys(CONSTANT_NAMES, 1e-9))
    small, large = (QuantumCircuit(size, size) for size in (10, 100))
    for circuit in (small, large):
        circuit.h(range(circuit.num_qubits))
        circuit.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    costs = [engine.estimate(profile_circuit(named(circuit), 5000), ROOM) for circuit in (small, large)]
    assert costs[0].seconds < costs[1].seconds and costs[0].peak_bytes < costs[1].peak_bytes
    assert costs[0].infidelity == 0 and not costs[0].upper_bound


def test_predicted_bytes_hold_the_strings():
    """100,000 different strings of 280 bits: what CPython itself says that the dictionary and its keys take."""
    texts = {format(number, "0280b"): 1 for number in range(100_000)}
    kept = sys.getsizeof(texts) + sum(sys.getsizeof(text) for text in texts)
    predicted = run_bytes(Sizes(0, 280, 280, 280, 100_000)) - run_bytes(Sizes(0, 280, 280, 280, 50_000))
    assert predicted == pytest.approx(kept / 2, rel=0.1)


def test_distinct_outcomes_are_those_expected():
    """Shots thrown into 2^k boxes."""
    random = np.random.default_rng(5)
    for k, shots in ((4, 50), (10, 1000), (14, 3000)):
        seen = len(np.unique(random.integers(0, 1 << k, shots)))
        assert Sizes(0, k, k, k, shots).distinct == pytest.approx(seen, rel=0.1)
    assert Sizes(0, 300, 300, 300, 1000, log2_outcomes=1.0).distinct == pytest.approx(2)


def dynamic_clifford(seed: int) -> QuantumCircuit:
    """Random Clifford gates, measurements and resets, a third of them under one or two measured bits."""
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(QuantumRegister(4), ClassicalRegister(2, "a"), ClassicalRegister(2, "b"))
    circuit.h([0, 2])
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.h(1)

    def add() -> None:
        one, other = (int(q) for q in random.choice(4, 2, replace=False))
        kind = random.choice(["h", "s", "x", "cx", "cz", "measure", "reset"], p=[0.2, 0.15, 0.1, 0.25, 0.1, 0.15, 0.05])
        if kind == "measure":
            circuit.measure(one, other)
        elif kind in ("cx", "cz"):
            getattr(circuit, kind)(one, other)
        else:
            getattr(circuit, kind)(one)

    for _ in range(30):
        chance = random.random()
        if chance < 0.2:
            with circuit.if_test((circuit.clbits[random.integers(4)], int(random.integers(2)))):
                add()
        elif chance < 0.35:
            with circuit.if_test((circuit.cregs[random.integers(2)], int(random.integers(4)))):
                add()
        else:
            add()
    circuit.measure(range(4), range(4))
    return circuit


@pytest.mark.parametrize("seed", range(8))
def test_shots_that_part_ways_follow_the_exact_distribution(seed):
    circuit = dynamic_clifford(seed)
    assert profile_circuit(named(circuit)).stabilizer_forks > 0
    answer = sample(circuit, SHOTS)
    assert answer.metadata["ways"] > 1
    assert chi_square_p(answer.counts, exact_distribution(circuit), SHOTS) > LEVEL
    assert sample(circuit, SHOTS).counts == answer.counts


def test_a_wide_circuit_parts_ways():
    """Counterfeit coins: one measured parity decides for 300 qubits whether the weighing goes on."""
    coins, false_coin = 299, 17
    circuit = QuantumCircuit(coins + 1, coins + 1)
    circuit.h(range(coins))
    for qubit in range(coins):
        circuit.cx(qubit, coins)
    circuit.measure(coins, coins)
    with circuit.if_test((circuit.cregs[0], 0)) as otherwise:
        circuit.x(coins)
        circuit.h(coins)
        circuit.cx(false_coin, coins)
        circuit.h(range(coins))
    with otherwise:
        circuit.reset(coins)
    circuit.measure(range(coins), range(coins))
    counts = sample(circuit, 2000).counts
    found = "".join("01"[qubit == false_coin] for qubit in reversed(range(coins)))
    weighed = {text[1:]: count for text, count in counts.items() if text[0] == "0"}
    # The balance starts in |−⟩, so the false coin's phase comes back onto its qubit; an even parity keeps the
    # all-ones string as well.
    everyone = "".join("10"[bit == "1"] for bit in found)
    assert set(weighed) == {found, everyone}
    assert abs(sum(weighed.values()) - 1000) < 5 * np.sqrt(500)


def test_calibration_gives_every_constant():
    constants = StabilizerEngine.calibrate(1)
    assert set(constants) == set(StabilizerEngine.constant_names)
    assert all(value > 0 for value in constants.values())
