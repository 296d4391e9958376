import warnings

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import (
    PTM,
    Choi,
    DensityMatrix,
    Operator,
    Pauli,
    process_fidelity,
    random_quantum_channel,
)
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, amplitude_damping_error, depolarizing_error

from qrex.errors import InputError
from qrex.measure.tomography import ProcessTomography, nearest_channel, transfer_matrix


def model(error, gate="x"):
    noise = NoiseModel(basis_gates=["rz", "sx", "x", "id"])
    noise.add_all_qubit_quantum_error(error, [gate])
    return noise


@pytest.mark.parametrize("gate", ["x", "sx", "h", "id"])
@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_ideal_gates_are_perfect(gate, kind, make_target, run_aer):
    target = make_target(2, [(0, 1)])
    plan = ProcessTomography.plan(target, seed=1, gate=gate, kind=kind)
    circuits = plan.circuits(target)
    assert len(circuits) == (12 if kind == "full" else 6)
    result = plan.analyze(run_aer(circuits, 4000), "simulated")
    assert result.median.value == pytest.approx(1, abs=0.02)
    for qubit in result.qubits:
        width = qubit.fidelity.high - qubit.fidelity.low
        assert width < 0.04
        assert abs(qubit.fidelity.value - 1) <= width  # four standard errors


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_depolarized_gate_has_the_closed_form(kind, make_target, run_aer):
    target = make_target(1, [])
    p = 0.1
    plan = ProcessTomography.plan(target, seed=1, gate="x", kind=kind)
    found = plan.analyze(run_aer(plan.circuits(target), 20000, model(depolarizing_error(p, 1))), "simulated")
    # Rxx and Ryy shrink by 1 - p. Rzz: +z by 1 - p; -z by (1 - p)² as its preparation is an x as well.
    q = 1 - p
    rzz = (q + q**2) / 2
    truth = (1 + 2 * q + rzz) / 4
    assert found.median.value == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_inversion_recovers_any_channel(seed, make_target):
    channel = random_quantum_channel(2, 2, seed=seed)
    oracle = PTM(channel).data.real
    plan = ProcessTomography.plan(make_target(1, []), seed=1, gate="x")
    states = {"Z1": "0", "Z-1": "1", "X1": "+", "Y1": "r"}
    counts = []
    for prepared, sign, axis in plan._settings():
        out = DensityMatrix.from_label(states[f"{prepared}{sign}"]).evolve(channel)
        up = round(1e6 * (1 + out.expectation_value(Pauli(axis)).real) / 2)
        counts.append({"0": up, "1": 10**6 - up})
    found = plan.analyze(counts, "model").qubits[0]
    assert found.transfer == pytest.approx(oracle, abs=1e-5)
    assert found.channel == pytest.approx(oracle, abs=1e-4)
    truth = process_fidelity(channel, Operator.from_label("X"))
    assert found.fidelity.value == pytest.approx(truth, abs=1e-5)


def test_agrees_with_qiskit_experiments(make_target, run_aer):
    noise = model(depolarizing_error(0.05, 1).compose(amplitude_damping_error(0.05)), "sx")
    target = make_target(1, [])
    plan = ProcessTomography.plan(target, seed=1, gate="sx")
    ours = plan.analyze(run_aer(plan.circuits(target), 4000, noise), "simulated").qubits[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qiskit_experiments.library import ProcessTomography as Oracle

        circuit = QuantumCircuit(1)
        circuit.sx(0)
        oracle = Oracle(circuit, backend=AerSimulator(noise_model=noise, max_parallel_threads=1))
        oracle.set_transpile_options(basis_gates=["rz", "sx", "x"], optimization_level=1)
        oracle.set_run_options(shots=4000)
        theirs = oracle.run(seed_simulator=3).block_for_results()
        fidelity = theirs.analysis_results("process_fidelity", dataframe=False).value
    fidelity = getattr(fidelity, "nominal_value", fidelity)
    assert ours.fidelity.value == pytest.approx(fidelity, abs=0.015)
    assert ours.fidelity.detail["channel_fidelity"] == pytest.approx(fidelity, abs=0.015)


@pytest.mark.parametrize("seed", range(4))
def test_nearest_channel_is_a_channel_and_keeps_one_that_is(seed):
    rng = np.random.default_rng(seed)
    exact = PTM(random_quantum_channel(2, 2, seed=seed)).data.real
    assert nearest_channel(exact) == pytest.approx(exact, abs=1e-6)
    blurred = exact + rng.normal(0, 0.1, (4, 4))
    found = nearest_channel(blurred)
    channel = Choi(PTM(found))
    assert channel.is_tp(atol=1e-8)
    assert np.linalg.eigvalsh(channel.data).min() > -1e-5
    # Nearest: no mixture with another channel comes closer.
    for other_seed in range(5):
        other = PTM(random_quantum_channel(2, seed=100 + other_seed)).data.real
        for share in (0.02, 0.3):
            mixed = (1 - share) * found + share * other
            reference = np.vstack([[1, 0, 0, 0], blurred[1:]])
            assert np.linalg.norm(mixed - reference) >= np.linalg.norm(found - reference) - 1e-6


def test_transfer_matrix_is_qiskits():
    unitary = Operator.from_label("H").data @ Operator.from_label("S").data
    assert transfer_matrix(unitary) == pytest.approx(PTM(Operator(unitary)).data.real)
    fidelity = (transfer_matrix(unitary) * transfer_matrix(np.eye(2))).sum() / 4
    assert fidelity == pytest.approx(process_fidelity(Operator(unitary), Operator(np.eye(2))))


def test_interval_covers(make_target, run_aer):
    target = make_target(4, [])
    noise = model(depolarizing_error(0.04, 1), "sx")
    plans = [ProcessTomography.plan(target, seed=seed, gate="id", kind="diagonal") for seed in range(10)]
    # id has no pulse: only preparing and reading x and y see the noise, twice 0.04 each.
    truth = (1 + 2 * 0.96**2 + 1) / 4
    inside = []
    for seed, plan in enumerate(plans):
        found = plan.analyze(run_aer(plan.circuits(target), 500, noise, seed=seed), "simulated")
        inside += [q.fidelity.low <= truth <= q.fidelity.high for q in found.qubits]
    assert sum(inside) >= 34


def test_bad_plans_are_refused(make_target):
    target = make_target(1, [])
    with pytest.raises(InputError, match="there is h, id, sx, x"):
        ProcessTomography.plan(target, seed=1, gate="t")
    with pytest.raises(InputError, match="full and diagonal"):
        ProcessTomography.plan(target, seed=1, kind="half")
    with pytest.raises(InputError, match="distinct"):
        ProcessTomography.plan(target, seed=1, qubits=[0, 0])
