"""The state-vector engine as its callers see it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate, XGate, quantum_volume
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector, random_unitary
from scipy.stats import chi2

from qrex import _kernels
from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Engine, Job
from qrex.engines.statevector import StateVectorEngine
from qrex.engines.statevector.costs import infidelity_bound, run_bytes
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError
from qrex.profile import dense_work, profile_circuit

ROOM = Allotment(threads=2, memory_bytes=1 << 30)
CONSTANTS: Mapping[str, float] = {
    "fixed_seconds": 5e-5,
    "seconds_per_row": 3e-7,
    "seconds_per_gate": 7e-7,
    "seconds_per_branch": 2e-6,
    "seconds_per_amplitude_gate_narrow": 4e-10,
    "seconds_per_amplitude_gate": 5e-10,
    "seconds_per_amplitude_pass": 2e-9,
    "seconds_per_amplitude_held": 4e-9,
    "seconds_per_amplitude_collapse": 2e-9,
    "seconds_per_shot": 5e-8,
    "seconds_per_outcome": 2e-7,
    "calibrated_threads": 1.0,
}


def _wrapped(quantum_circuit):
    return Circuit("id", "made here", "<python>", "Qiskit", quantum_circuit)


def _run(quantum_circuit, shots=1000, seed=1, allotment=ROOM, probe=()):
    job = Job(_wrapped(quantum_circuit), shots, seed, probe)
    return StateVectorEngine(CONSTANTS).run(job, allotment, lambda fraction: None)


def test_it_is_an_engine():
    assert isinstance(StateVectorEngine(CONSTANTS), Engine)


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5, 8, 12])
def test_counts_and_probabilities_of_random_circuits(num_qubits):
    """Every gate kind of Qiskit up to four qubits wide."""
    for seed in range(3):
        circuit = random_circuit(num_qubits, 7, max_operands=min(4, num_qubits), seed=10 * num_qubits + seed)
        exact = Statevector(circuit).probabilities_dict()
        circuit.measure_all()
        keys = sorted(exact, key=exact.get)[-16:]
        result = _run(circuit, shots=4000, seed=seed, probe=tuple(keys))
        assert sum(result.counts.values()) == 4000
        for key in keys:
            assert result.probabilities[key] == pytest.approx(exact[key], abs=1e-6)
        assert all(exact.get(key, 0) > 1e-12 for key in result.counts)
        heavy = [key for key in keys if exact[key] * 4000 > 20]
        distance = sum((result.counts.get(k, 0) - 4000 * exact[k]) ** 2 / (4000 * exact[k]) for k in heavy)
        assert not heavy or chi2.sf(distance, len(heavy)) > 1e-4


def test_classical_bits():
    """Unwritten bits are 0, one qubit may fill several, the last write counts, X after SWAP follows."""
    circuit = QuantumCircuit(4, 6)
    circuit.x(0)
    circuit.h(1)
    circuit.x(1)
    circuit.swap(0, 3)
    circuit.measure(3, 0)
    circuit.measure(1, 2)
    circuit.measure(1, 4)
    circuit.measure(3, 5)
    circuit.measure(2, 5)  # overwrites
    result = _run(circuit, probe=("010101", "000001", "010001", "0101011", "100001"))
    assert set(result.counts) == {"010101", "000001"}
    assert result.probabilities == pytest.approx(
        {"010101": 0.5, "000001": 0.5, "010001": 0.0, "0101011": 0.0, "100001": 0.0}
    )


def test_one_qubit_read_with_both_signs():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    assert set(_run(circuit).counts) == {"01", "10"}


def test_unread_qubits_are_summed_over():
    circuit = QuantumCircuit(3, 1)
    circuit.ry(2 * np.arcsin(np.sqrt(0.3)), 0)
    circuit.cx(0, 1)
    circuit.h(2)
    circuit.measure(1, 0)
    assert _run(circuit, probe=("1",)).probabilities["1"] == pytest.approx(0.3, abs=1e-6)


def test_without_measurements_every_bit_is_zero():
    circuit = QuantumCircuit(2, 3)
    circuit.h([0, 1])
    assert _run(circuit, shots=7).counts == {"000": 7}


def test_wide_controls_and_matrices():
    """Multi-controlled gates stay whole; open controls, matrices and definitions are followed."""
    circuit = QuantumCircuit(6)
    circuit.h(range(5))
    circuit.append(XGate().control(4, ctrl_state=0b0110), [0, 1, 2, 3, 5])
    circuit.mcp(0.7, [0, 1, 2], 4)
    circuit.append(UnitaryGate(random_unitary(8, seed=3)), [4, 0, 5])
    circuit.append(UnitaryGate(random_unitary(4, seed=4)).control(1), [2, 3, 1])
    circuit.append(QuantumCircuit(2, name="idle").to_gate(), [0, 1])
    circuit.mcx([0, 1, 2], 3)
    exact = Statevector(circuit).probabilities_dict()
    circuit.measure_all()
    result = _run(circuit, probe=tuple(exact))
    assert result.probabilities == pytest.approx(exact, abs=1e-6)


def test_the_same_seed_gives_the_same_counts_on_any_number_of_threads():
    circuit = quantum_volume(17, 3, seed=2)
    circuit.measure_all()
    one, two, three = (_run(circuit, allotment=Allotment(t, 1 << 30)).counts for t in (1, 2, 3))
    assert one == two == three
    assert one != _run(circuit, seed=2).counts


def test_idle_qubits_take_no_memory():
    circuit = QuantumCircuit(90, 90)
    circuit.h(40)
    circuit.cx(40, 80)
    circuit.x(7)
    circuit.measure(range(90), range(90))
    result = _run(circuit)
    assert result.metadata["qubits"] == 2
    assert all(key[89 - 40] == key[89 - 80] and key[89 - 7] == "1" for key in result.counts)


def test_progress_ends_at_one_and_may_cancel():
    circuit = quantum_volume(21, 12, seed=1)
    circuit.measure_all()
    seen = []
    StateVectorEngine(CONSTANTS).run(Job(_wrapped(circuit), 10, 1), ROOM, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 2

    def cancel(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StateVectorEngine(CONSTANTS).run(Job(_wrapped(circuit), 10, 1), ROOM, cancel)


def test_it_stays_inside_its_allotment():
    circuit = QuantumCircuit(40)
    circuit.h(range(40))
    circuit.measure_all()
    with pytest.raises(MemoryLimitError, match=r"40 qubits needs 8\.8 TB of memory, or in stages more than 8\.62 GB"):
        _run(circuit)
    wide = QuantumCircuit(61)
    wide.h(range(61))
    with pytest.raises(InfeasibleError, match="61 qubits"):
        _run(wide)
    assert run_bytes(2**30, 30, 1, 1, 30) - run_bytes(2**29, 29, 1, 1, 29) == pytest.approx(8 << 29, rel=1e-3)
    small = QuantumCircuit(16)
    small.h(range(16))
    small.measure_all()
    needed = run_bytes(2**16, 16, 2, 1000, 16)
    assert sum(_run(small, allotment=Allotment(2, needed)).counts.values()) == 1000
    with pytest.raises(MemoryLimitError):
        _run(small, allotment=Allotment(2, needed - 1))


def test_what_it_does_not_support_and_why():
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.h(0)
        circuit.measure(0, 0)
    verdict = StateVectorEngine(CONSTANTS).supports(profile_circuit(_wrapped(circuit)))
    assert not verdict.supported
    assert "while" in verdict.reason
    with pytest.raises(EngineError, match="while"):
        _run(circuit)


def test_estimate():
    circuit = quantum_volume(20, 5, seed=1)
    circuit.measure_all()
    engine = StateVectorEngine(CONSTANTS)
    profile = profile_circuit(_wrapped(circuit))
    assert engine.supports(profile).supported
    one, two = (engine.estimate(profile, Allotment(t, 1 << 30)) for t in (1, 2))
    assert two.seconds < one.seconds < 5 * two.seconds
    assert one.peak_bytes == run_bytes(2**20, 20, 1, profile.shots, 20)
    with pytest.raises(EngineError, match="seconds_per_shot"):
        StateVectorEngine({k: v for k, v in CONSTANTS.items() if k != "seconds_per_shot"}).estimate(profile, ROOM)


def test_calibration_measures_every_constant():
    measured = StateVectorEngine.calibrate(1)
    assert set(measured) == set(StateVectorEngine.constant_names)
    assert all(value > 0 for value in measured.values())


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_the_infidelity_is_within_its_bound(dense, repeated):
    """Thousands of gates, at random or all alike, against double precision."""
    rng = np.random.default_rng(1)
    circuit = QuantumCircuit(8)
    circuit.h(range(8))
    matrix = random_unitary(4, seed=1)
    for k in range(1500 if dense else 150):
        if dense:
            # No two in a row are on one pair: they would fuse.
            pair = [0, 3 + 2 * (k % 2)] if repeated else [k % 8, (k + 3) % 8]
            circuit.append(UnitaryGate(matrix if repeated else random_unitary(4, seed=k)), pair)
            continue
        for qubit in range(8):
            circuit.ry(0.37 if repeated else rng.uniform(0, 6), qubit)
            circuit.rx(0.21 if repeated else rng.uniform(0, 6), qubit)
        for qubit in range(7):
            circuit.cp(0.11 if repeated else rng.uniform(0, 6), qubit, qubit + 1)
    run = _kernels.DenseRun(flatten(circuit), 0, 1, 1, 1 << 30)
    assert run.advance(60.0)
    re, im, _ = run.amplitudes()
    got = re.astype(complex) + 1j * im  # wires are given out in order: qubit k is position k
    reference = Statevector(circuit).data
    residue = got - reference * np.vdot(reference, got)
    infidelity = np.vdot(residue, residue).real / np.vdot(got, got).real
    assert 0 < infidelity < infidelity_bound(run.gates)


def test_work_is_counted_as_it_is_done():
    """Gates, passes and branches of a run are those that its profile announces."""
    for circuit in (quantum_volume(9, 6, seed=1), quantum_volume(18, 4, seed=2)):
        circuit.measure_all()
        program = flatten(circuit)
        work = dense_work(program, 100)
        run = _kernels.DenseRun(program, 100, 1, 1, 1 << 30)
        while not run.advance(1.0):
            pass
        assert (work.wires, work.amplitudes) == (run.wires, 2.0**run.wires)
        assert work.rows == len(program)
        assert work.stages == run.passes
        # Dense two-qubit gates all, the first ones on amplitudes that are known to be zero.
        assert 0.4 < (work.narrow + work.wide) / (run.gates * work.amplitudes) < 2
        # The first pass reads nothing of what is known to be zero.
        assert work.passes == 0 if run.wires <= 15 else 0 < work.passes <= run.passes * work.amplitudes
    coins = QuantumCircuit(1, 3)
    for bit in range(3):
        coins.h(0)
        coins.measure(0, bit)
    work = dense_work(flatten(coins), 10_000)
    assert work.branches == pytest.approx(4)  # the third measurement waits until the end
    assert work.collapses == pytest.approx(16 * (1 + 2))


def test_long_programs_are_counted_in_part():
    circuit = QuantumCircuit(3)
    for k in range(12_000):
        circuit.ry(0.1 + k % 5, k % 3)
        circuit.cx(k % 3, (k + 1) % 3)
    program = flatten(circuit)
    part, whole = dense_work(program, 1), _kernels.dense_work(program, 1, len(program))
    assert part.rows == whole["rows"] == len(program)
    assert part.gates == pytest.approx(whole["gates"], rel=0.02)
    assert part.narrow == pytest.approx(whole["narrow"], rel=0.02)
