import warnings

import numpy as np
import pytest
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from qrex.errors import InputError
from qrex.measure.rb import CliffordRb


def noise_model(pulse=2e-3, pair=2e-2, readout=True):
    model = NoiseModel(basis_gates=["cx", "rz", "sx", "x", "id"])
    model.add_all_qubit_quantum_error(depolarizing_error(pulse, 1), ["sx", "x"])
    model.add_all_qubit_quantum_error(depolarizing_error(pair, 2), ["cx"])
    if readout:
        model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.07, 0.93]]))
    return model


def test_an_ideal_device_does_not_decay(make_target, run_aer):
    target = make_target(3, [(0, 1)])
    plan = CliffordRb.plan(target, seed=4, depths=(1, 20, 60))
    result = plan.analyze(run_aer(plan.circuits(target), 200), "simulated")
    assert result.median_error.value < 1e-5
    assert all(group.fit.amplitude == pytest.approx(0.5, abs=0.01) for group in result.groups)


def test_one_qubit_error_is_the_depolarizing_closed_form(make_target, run_aer):
    # α per Clifford = mean over the group of (1 - p)**pulses, 20 of 24 elements having one pulse.
    target = make_target(3, [])
    plan = CliffordRb.plan(target, seed=5, depths=(1, 100, 300), samples=3)
    result = plan.analyze(run_aer(plan.circuits(target), 2000, noise_model()), "simulated")
    truth = (1 - (4 + 20 * (1 - 2e-3)) / 24) / 2
    for group in result.groups:
        assert group.error.low <= truth <= group.error.high
        assert group.error.value == pytest.approx(truth, rel=0.15)
    assert result.median_error.low <= truth <= result.median_error.high
    assert result.groups[0].alpha.n == 9 * 2000


def test_pair_error_is_the_depolarizing_closed_form(make_target, run_aer):
    # Only cx is noisy: α = mean of (1 - p)**gates over 1 + 9 + 9 + 1 cosets with 0, 1, 2, 3 gates.
    target = make_target(2, [(0, 1)])
    plan = CliffordRb.plan(target, seed=6, width=2, samples=4)
    result = plan.analyze(run_aer(plan.circuits(target), 2000, noise_model(pulse=0)), "simulated")
    q = 1 - 2e-2
    truth = 0.75 * (1 - (1 + 9 * q + 9 * q**2 + q**3) / 20)
    found = result.groups[0].error
    assert found.low <= truth <= found.high
    assert found.value == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(("width", "lengths"), [(1, [1, 150, 400, 900]), (2, [1, 8, 20, 40])])
def test_agrees_with_qiskit_experiments(width, lengths, make_target, run_aer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qiskit_experiments.library import StandardRB

        target = make_target(2, [(0, 1), (1, 0)])
        noise = noise_model(readout=False)
        backend = AerSimulator(noise_model=noise, method="density_matrix", max_parallel_threads=1)
        qubits = tuple(range(width))
        oracle = StandardRB(qubits, lengths, num_samples=4, seed=3)
        oracle.set_transpile_options(basis_gates=["cx", "rz", "sx", "x"], optimization_level=1)
        oracle.set_run_options(shots=1000)
        theirs = oracle.run(backend, seed_simulator=5).block_for_results()
        alpha = theirs.analysis_results("alpha", dataframe=False).value
    plan = CliffordRb.plan(target, seed=8, groups=[qubits], depths=lengths, samples=4)
    ours = plan.analyze(run_aer(plan.circuits(target), 1000, noise), "simulated").groups[0]
    spread = np.hypot(alpha.std_dev, ours.fit.alpha_error)
    assert abs(alpha.nominal_value - ours.alpha.value) < 3.5 * spread
    # Both must also see the noise: a decay off by a third would be noticed.
    assert spread < 0.12 * (1 - ours.alpha.value)


def test_circuits_follow_the_seed(make_target):
    target = make_target(2, [(0, 1)])
    first, again, other = (CliffordRb.plan(target, seed=s, depths=(1, 5)).circuits(target) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_bad_plans_are_refused(make_target):
    target = make_target(3, [(0, 1), (1, 2)])
    with pytest.raises(InputError, match="share qubits"):
        CliffordRb.plan(target, seed=1, groups=[(0, 1), (1, 2)])
    with pytest.raises(InputError, match="two depths"):
        CliffordRb.plan(target, seed=1, depths=(4,))
    plan = CliffordRb.plan(target, seed=1, depths=(1, 2))
    with pytest.raises(InputError, match="one for each"):
        plan.analyze([], "simulated")
