"""Layout by predicted success: never worse by prediction, better by noisy simulation, the same answer."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2, FakeSherbrooke

from qrex.compilation import compile_baseline
from qrex.errors import InfeasibleError, InputError
from qrex.fabric import choose_layout, sub_lattice

FEW = 6


def hidden_string(secret: str) -> QuantumCircuit:
    """Bernstein–Vazirani: without noise every shot reads `secret`."""
    width = len(secret)
    qc = QuantumCircuit(width + 1, width)
    qc.x(width)
    qc.h(range(width + 1))
    for qubit, bit in enumerate(reversed(secret)):
        if bit == "1":
            qc.cx(qubit, width)
    qc.h(range(width))
    qc.measure(range(width), range(width))
    return qc


def number_through_fourier(number: int, width: int) -> QuantumCircuit:
    """Phases that spell `number`, then an inverse QFT: without noise every shot reads it."""
    qc = QuantumCircuit(width, width)
    qc.h(range(width))
    for qubit in range(width):
        qc.p(2 * np.pi * number * 2**qubit / 2**width, qubit)
    qc.append(QFTGate(width).inverse(), range(width))
    qc.measure(range(width), range(width))
    return qc


def test_noisy_simulation_agrees_that_the_choices_are_better():
    """Oracle: Aer with the calibrated noise on the padded circuits, whose right answer is one bit string.

    No circuit may lose more than its shot noise explains, and all together must gain well beyond it."""
    backend, shots = FakeGuadalupeV2(), 2000
    simulator = AerSimulator.from_backend(backend)
    sigma = np.sqrt(2 * 0.25 / shots)  # of a difference of two frequencies, at most
    gains = []
    for qc, answer in (
        (hidden_string("1101101"), "1101101"),
        (number_through_fourier(11, 5), format(11, "05b")),
        (number_through_fourier(37, 6), format(37, "06b")),
    ):
        choice = choose_layout(qc, backend, candidates=8, seed=3)
        assert choice.best.predicted_success > choice.baseline.predicted_success
        before, after = (
            simulator.run(one.circuit, shots=shots, seed_simulator=11).result().get_counts()[answer] / shots
            for one in (choice.baseline, choice.best)
        )
        gains.append(after - before)
    assert min(gains) > -2 * sigma
    assert np.mean(gains) > 5 * sigma / np.sqrt(len(gains))


@pytest.mark.parametrize("backend", [FakeManilaV2(), FakeSherbrooke()], ids=lambda backend: backend.name)
def test_the_chosen_circuit_computes_the_same(backend):
    qc = QuantumCircuit(4)
    qc.h(0)
    for a, b in ((0, 1), (1, 2), (0, 3), (2, 3)):
        qc.cx(a, b)
        qc.ry(0.3 + a, b)
        qc.rz(0.7 * b, a)
    choice = choose_layout(qc, backend, candidates=FEW, seed=1)
    for one in (choice.best, choice.baseline):
        used = one.used_qubits
        small = QuantumCircuit(len(used))
        for step in one.circuit.data:
            if step.name not in ("delay", "barrier"):
                places = [one.circuit.find_bit(bit).index for bit in step.qubits]
                small.append(step.operation, [used.index(place) for place in places])
        got = Statevector(small).probabilities([used.index(qubit) for qubit in one.final_layout])
        np.testing.assert_allclose(got, Statevector(qc).probabilities(), atol=1e-9)


def test_the_baseline_is_a_candidate_and_the_choice_is_the_best_of_all():
    choice = choose_layout(number_through_fourier(5, 4), FakeGuadalupeV2(), candidates=FEW, seed=2)
    assert len(choice.candidates) == FEW + 1
    assert choice.candidates[0].label == "baseline"
    assert choice.baseline == compile_baseline(number_through_fourier(5, 4), FakeGuadalupeV2(), seed=2)
    best = max(one.predicted_success for one in choice.candidates)
    # The candidates' scores are taken before scheduling in earnest: the two evaluators agree.
    assert choice.best.predicted_success == pytest.approx(best, rel=1e-6)
    assert f"{FEW} routings" in choice.reason


def test_the_same_seed_makes_the_same_choice():
    first, second = (
        choose_layout(hidden_string("1011"), FakeGuadalupeV2(), candidates=FEW, seed=4) for _ in range(2)
    )
    assert first == second
    assert first.best.circuit == second.best.circuit


def test_nothing_to_gain_keeps_the_baseline():
    backend = FakeManilaV2()
    best = choose_layout(hidden_string("11"), backend, candidates=FEW, seed=0).best
    again = choose_layout(hidden_string("11"), backend, candidates=1, seed=0, baseline=best)
    assert again.best is best
    assert again.reason.startswith("kept the baseline")


def dynamic_circuits() -> dict[str, QuantumCircuit]:
    middle = QuantumCircuit(3, 4)
    middle.h(0)
    middle.cx(0, 1)
    middle.measure(1, 3)
    middle.reset(1)
    middle.cx(0, 1)
    middle.cx(1, 2)
    middle.measure([0, 1, 2], [0, 1, 2])
    conditional = QuantumCircuit(3, 3)
    conditional.h(0)
    conditional.measure(0, 0)
    with conditional.if_test((conditional.clbits[0], 1)):
        conditional.x(1)
    conditional.cx(1, 2)
    conditional.measure([1, 2], [1, 2])
    alone = QuantumCircuit(2, 2)
    alone.x(0)
    alone.measure([0, 1], [0, 1])
    return {"measured in the middle": middle, "conditional": conditional, "no two-qubit gate": alone}


@pytest.mark.parametrize("kind", ["measured in the middle", "conditional", "no two-qubit gate"])
def test_unusual_circuits_work(kind):
    backend = FakeManilaV2()
    choice = choose_layout(dynamic_circuits()[kind], backend, candidates=FEW, seed=0)
    assert choice.best.predicted_success >= choice.baseline.predicted_success > 0
    assert ("control flow" in choice.reason) == (kind == "conditional")
    assert choice.best.scheduled == (kind != "conditional")
    ideal = AerSimulator().run(dynamic_circuits()[kind], shots=2000, seed_simulator=1).result().get_counts()
    got = AerSimulator().run(choice.best.circuit, shots=2000, seed_simulator=2).result().get_counts()
    for bits in set(ideal) | set(got):
        assert abs(ideal.get(bits, 0) - got.get(bits, 0)) < 6 * np.sqrt(0.5 * 2000)


def test_qubits_without_partners_take_the_best_readout():
    backend = FakeManilaV2()
    qc = QuantumCircuit(1, 1)
    qc.measure(0, 0)
    choice = choose_layout(qc, backend, candidates=1, seed=0)
    errors = [backend.target["measure"][qubit,].error for qubit in range(5)]
    assert choice.best.predicted_success == pytest.approx(1 - min(errors))


def test_a_time_budget_stops_the_search():
    choice = choose_layout(hidden_string("111"), FakeManilaV2(), candidates=50, seed=0, time_budget_seconds=0)
    assert len(choice.candidates) == 2


def test_impossible_requests_are_refused():
    with pytest.raises(InfeasibleError, match="this device has 5"):
        choose_layout(hidden_string("111111"), FakeManilaV2())
    with pytest.raises(InputError, match="at least 1"):
        choose_layout(hidden_string("1"), FakeManilaV2(), candidates=0)


def test_sub_lattice_is_the_union_of_used_qubits():
    backend = FakeManilaV2()
    compiled = [compile_baseline(hidden_string(secret), backend, seed=0) for secret in ("1", "11")]
    used = sub_lattice(compiled)
    assert used == tuple(sorted(set(compiled[0].used_qubits) | set(compiled[1].used_qubits)))
    assert sub_lattice([]) == ()
