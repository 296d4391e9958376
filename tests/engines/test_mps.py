"""The matrix product engine against dense states, closed forms and its own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, Statevector, random_unitary
from qiskit.synthesis.qft import synth_qft_full

from qrex import _kernels
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Job
from qrex.engines.mps import MAX_INFIDELITY, MatrixProductEngine
from qrex.engines.mps.linear_algebra import routines
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import profile_circuit

from ..conformance.families import named

ROOM = Allotment(threads=1, memory_bytes=1 << 30)
ENGINE = MatrixProductEngine({})


def quiet(fraction: float) -> None:
    assert 0 <= fraction <= 1


def run(circuit: QuantumCircuit, shots: int = 1000, seed: int = 7, probe=(), room: Allotment = ROOM):
    return ENGINE.run(Job(None, shots, seed, tuple(probe), flatten(circuit), circuit.name), room, quiet)


def compiled(circuit: QuantumCircuit, threshold: float = 1e-14, memory: int = 1 << 30):
    found = _kernels.MatrixProductRun(flatten(circuit), dict(routines()), 10, 1, 1, memory, threshold)
    while not found.advance(1.0)[0]:
        pass
    return found


def fidelity(found, circuit: QuantumCircuit) -> float:
    amplitudes = found.amplitudes()
    return float(abs(np.vdot(amplitudes, Statevector(circuit).data)) ** 2 / np.vdot(amplitudes, amplitudes).real)


def brickwork(num_qubits: int, layers: int, seed: int = 3) -> QuantumCircuit:
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.u(*random.uniform(0, 2 * np.pi, 3), qubit)
        for left in range(layer % 2, num_qubits - 1, 2):
            circuit.cx(left, left + 1)
    return circuit


@pytest.mark.parametrize("seed", range(60))
def test_random_circuits_of_all_rows_agree_with_dense_states(seed):
    random = np.random.default_rng(seed)
    qubits = int(random.integers(2, 9))
    circuit = random_circuit(qubits, int(random.integers(2, 14)), max_operands=min(qubits, 4), seed=seed)
    if qubits >= 6:
        circuit.mcx(list(range(qubits - 1)), qubits - 1)
        circuit.mcp(0.7, [0, 2, 3, 4, 5], 1)
        circuit.append(random_unitary(8, seed=seed), [4, 1, 3])
        circuit.compose(random_circuit(qubits, 4, max_operands=4, seed=seed + 1000), inplace=True)
    found = compiled(circuit)
    expected = Statevector(circuit).data
    overlap = np.vdot(found.amplitudes(), expected)
    assert abs(overlap) == pytest.approx(1.0, abs=1e-10)
    assert found.infidelity < 1e-8


@pytest.mark.parametrize("gate", ["cp", "cx", "rzz", "rxx", "ryy", "ecr", "cry", "iswap", "rzx"])
def test_gates_between_distant_qubits_share_a_pass(gate):
    """Ladders in every basis, with gates of either qubit in between and partners met twice."""
    circuit = brickwork(7, 3)
    angles = {"cp": 1, "rzz": 1, "rxx": 1, "ryy": 1, "cry": 1, "rzx": 1}.get(gate, 0)
    for k, (a, b) in enumerate([(3, 0), (3, 5), (6, 3), (3, 0), (0, 3), (1, 6), (6, 4), (2, 0)]):
        getattr(circuit, gate)(*[0.3 + 0.1 * k] * angles, a, b)
        if k % 3 == 1:
            circuit.rz(0.2, 3)
            circuit.rx(0.4, 0)
    assert fidelity(compiled(circuit), circuit) == pytest.approx(1.0, abs=1e-11)


def test_ghz_of_300_qubits_in_scrambled_order():
    order = np.random.default_rng(2).permutation(300).tolist()
    circuit = QuantumCircuit(300, 300)
    circuit.h(order[0])
    for qubit in order[1:]:
        circuit.cx(order[0], qubit)
    circuit.measure(range(300), range(300))
    answer = run(circuit, probe=["0" * 300, "1" * 300, "1" + "0" * 299])
    assert set(answer.counts) == {"0" * 300, "1" * 300}
    assert abs(answer.counts["0" * 300] - 500) < 100
    assert list(answer.probabilities.values()) == pytest.approx([0.5, 0.5, 0.0], abs=1e-12)
    assert answer.metadata["largest_bond"] == 2


def test_fourier_transform_of_64_qubits_and_back():
    number = 0x9E3779B97F4A7C15
    circuit = QuantumCircuit(64, 64)
    for qubit in range(64):
        if number >> qubit & 1:
            circuit.x(qubit)
    fourier = synth_qft_full(64)
    circuit.compose(fourier, inplace=True)
    circuit.rz(0.0, 0)
    circuit.compose(fourier.inverse(), inplace=True)
    circuit.measure(range(64), range(64))
    answer = run(circuit, probe=[format(number, "064b")])
    assert answer.counts == {format(number, "064b"): 1000}
    assert answer.probabilities[format(number, "064b")] == pytest.approx(1.0, abs=1e-8)
    assert answer.metadata["infidelity"] < 1e-6


def test_fourier_transform_of_a_periodic_state():
    """Peaks at multiples of N / 8, each with probability 1 / 8."""
    qubits = 24
    circuit = QuantumCircuit(qubits, qubits)
    circuit.h(range(3, qubits))
    circuit.compose(synth_qft_full(qubits), inplace=True)
    circuit.measure(range(qubits), range(qubits))
    peaks = [format(k << (qubits - 3), f"0{qubits}b") for k in range(8)]
    answer = run(circuit, probe=peaks)
    assert set(answer.counts) == set(peaks)
    assert list(answer.probabilities.values()) == pytest.approx([1 / 8] * 8, abs=1e-9)


@pytest.mark.parametrize("threshold", [1e-3, 1e-5, 1e-7])
def test_the_bound_on_the_infidelity_holds(threshold):
    circuit = brickwork(10, 12)
    circuit.compose(synth_qft_full(10), inplace=True)
    found = compiled(circuit, threshold)
    lost = 1 - fidelity(found, circuit)
    assert lost > 1e-12, "nothing was truncated: the test shows nothing"
    assert lost <= found.infidelity + 1e-12


def test_bonds_limited_by_memory_end_the_run():
    circuit = brickwork(40, 30)
    with pytest.raises(MemoryLimitError, match="bond"):
        run(circuit, room=Allotment(threads=1, memory_bytes=18 << 20))


def test_bonds_limited_by_memory_are_fine_while_little_is_lost():
    """The same limit with a tail of weights that may go: an answer with a stated infidelity."""
    circuit = brickwork(8, 2)
    for left in range(7):
        circuit.ryy(0.1, left, left + 1)
    with pytest.raises(_kernels.MatrixProductMemoryLimit):
        compiled(circuit, memory=16 * 52 * 2**2)
    kept = compiled(circuit, memory=16 * 52 * 3**2)
    lost = 1 - fidelity(kept, circuit)
    assert 1e-9 < lost <= kept.infidelity <= MAX_INFIDELITY


def test_branches_share_what_they_have_in_common():
    """Teleportation along 20 qubits: outcomes are random, the last qubit is not."""
    circuit = QuantumCircuit(21, 21)
    circuit.ry(1.0, 0)
    for step in range(0, 20, 2):
        circuit.h(step + 1)
        circuit.cx(step + 1, step + 2)
        circuit.cx(step, step + 1)
        circuit.h(step)
        circuit.measure([step, step + 1], [step, step + 1])
        with circuit.if_test((circuit.clbits[step + 1], 1)):
            circuit.x(step + 2)
        with circuit.if_test((circuit.clbits[step], 1)):
            circuit.z(step + 2)
    circuit.measure(20, 20)
    shots = 4000
    answer = run(circuit, shots)
    ones = sum(count for text, count in answer.counts.items() if text[0] == "1")
    expected = shots * np.sin(0.5) ** 2
    assert abs(ones - expected) < 5 * np.sqrt(expected)
    assert 1 < answer.metadata["branches"] <= shots
    for bit in range(1, 21):
        seen = sum(count for text, count in answer.counts.items() if text[bit] == "1")
        assert abs(seen - shots / 2) < 5 * np.sqrt(shots / 4)


def test_a_measured_qubit_leaves_the_rest_exact():
    """Projecting one qubit of an entangled state, then undoing all gates that do not touch it."""
    circuit = QuantumCircuit(6, 7)
    circuit.compose(brickwork(6, 4), inplace=True)
    circuit.measure(2, 6)
    rest = brickwork(6, 3, seed=9)
    circuit.compose(rest, inplace=True)
    circuit.measure(range(6), range(6))
    state = Statevector(brickwork(6, 4)).data.reshape([2] * 6)
    expected: dict[str, float] = {}
    unitary = Operator(rest).data
    for outcome in (0, 1):
        projected = np.zeros_like(state)
        index = (slice(None),) * 3 + (outcome,)
        projected[index] = state[index]
        for x, amplitude in enumerate(unitary @ projected.ravel()):
            text = f"{outcome}{x:06b}"
            expected[text] = abs(amplitude) ** 2
    shots = 20000
    counts = run(circuit, shots).counts
    statistic = sum((counts.get(t, 0) - shots * p) ** 2 / (shots * p) for t, p in expected.items() if shots * p > 5)
    cells = sum(shots * p > 5 for p in expected.values())
    assert statistic < cells + 6 * np.sqrt(2 * cells)


def test_same_seed_same_counts_whatever_the_slices():
    circuit = QuantumCircuit(8, 8)
    circuit.compose(brickwork(8, 6), inplace=True)
    circuit.measure(range(8), range(8))
    assert run(circuit, seed=5).counts == run(circuit, seed=5).counts != run(circuit, seed=6).counts
    job = Job(None, 1000, 5, (), flatten(circuit))
    stepped = ENGINE.start(job, ROOM)
    stages = []
    while not stages or not stages[-1].done:
        stages.append(stepped.advance(1e-5))
    assert stepped.finish(quiet).counts == run(circuit, seed=5).counts
    assert [s.fraction for s in stages] == sorted(s.fraction for s in stages)
    assert stages[-1].size == 8


def test_probabilities_leave_unread_qubits_out():
    circuit = QuantumCircuit(6, 3)
    circuit.compose(brickwork(6, 5), inplace=True)
    circuit.measure([1, 4, 3], [0, 1, 2])
    dense = np.abs(Statevector(brickwork(6, 5)).data.reshape([2] * 6)) ** 2
    marginal = dense.sum(axis=(0, 3, 5))  # axes are qubits 5 … 0; left are 4, 3, 1
    probe = [format(k, "03b") for k in range(8)]
    answer = run(circuit, probe=probe)
    for text in probe:
        three, four, one = (int(c) for c in text)
        assert answer.probabilities[text] == pytest.approx(marginal[four, three, one], abs=1e-11)
    assert sum(answer.counts.values()) == 1000


def test_an_obstacle_is_named():
    program = flatten(QuantumCircuit(1, 1))
    with pytest.raises(EngineError, match="cannot be expressed"):
        ENGINE.start(Job(None, 1, 1, (), replace(program, obstacle="cannot be expressed")), ROOM)


def test_forecasts_end_at_what_is_left():
    circuit = brickwork(16, 16)
    stepped = ENGINE.start(Job(None, 10, 1, (), flatten(circuit)), ROOM)
    stages = [stepped.advance(0.002)]
    while not stages[-1].done:
        stages.append(stepped.advance(0.002))
    assert all(stage.forecast_seconds >= 0 for stage in stages)
    assert stages[-1].forecast_seconds < stages[0].forecast_seconds
    assert stages[-1].fraction == 1.0


def test_estimates_are_bounds_in_the_right_place():
    constants = ENGINE.calibrate(1)
    assert set(constants) == set(ENGINE.constant_names)
    assert all(value > 0 for value in constants.values())
    engine = MatrixProductEngine(constants)
    small, deep = (profile_circuit(named(brickwork(30, layers)), 1000) for layers in (2, 20))
    cheap, dear = engine.estimate(small, ROOM), engine.estimate(deep, ROOM)
    assert cheap.upper_bound
    assert dear.seconds > 100 * cheap.seconds
    assert dear.peak_bytes > cheap.peak_bytes
    with pytest.raises(EngineError, match="calibrate"):
        ENGINE.estimate(small, ROOM)
