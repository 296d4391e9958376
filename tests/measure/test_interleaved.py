import math
import warnings

import numpy as np
import pytest
from qiskit.circuit import Delay
from qiskit.circuit.library import CXGate
from qiskit.transpiler import PassManager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, RelaxationNoisePass, depolarizing_error

from qrex.errors import InputError
from qrex.measure.coherence import IdleCoherence
from qrex.measure.coherence_result import relaxation_ceiling
from qrex.measure.interleaved import InterleavedRb, systematic_bound

T1, T2 = 50e-6, 40e-6


def noise_model(pulse=0.0, pair=0.0, readout=True):
    model = NoiseModel(basis_gates=["cx", "rz", "sx", "x", "id"])
    if pulse:
        model.add_all_qubit_quantum_error(depolarizing_error(pulse, 1), ["sx", "x"])
    if pair:
        model.add_all_qubit_quantum_error(depolarizing_error(pair, 2), ["cx"])
    if readout:
        model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.07, 0.93]]))
    return model


def relaxing(circuits, qubits):
    passes = PassManager([RelaxationNoisePass([T1] * qubits, [T2] * qubits, dt=1e-9, op_types=Delay)])
    return passes.run(circuits)


@pytest.mark.parametrize("gate", ["sx", "x"])
def test_a_pulse_is_the_depolarizing_closed_form(gate, make_target, run_aer):
    # Depolarizing p costs p/2 on average, and the interleaved pulse has it once per step.
    target = make_target(3, [])
    plan = InterleavedRb.plan(target, seed=5, gate=gate, depths=(1, 60, 180), samples=3)
    result = plan.analyze(run_aer(plan.circuits(target), 2000, noise_model(pulse=4e-3)), "simulated")
    assert result.element == gate and result.seconds is None
    for group in result.groups:
        assert group.error.low <= 2e-3 <= group.error.high
        assert group.error.value == pytest.approx(2e-3, rel=0.2)
        assert group.reference.error.value == pytest.approx(2e-3 * 20 / 24, rel=0.2)
        assert group.error.detail["systematic"][0] <= 2e-3 <= group.error.detail["systematic"][1]
    assert result.median_error.low <= 2e-3 <= result.median_error.high
    assert result.groups[0].error.n == 2 * 9 * 2000


def test_a_pair_is_the_depolarizing_closed_form(make_target, run_aer):
    target = make_target(4, [(0, 1), (2, 3)])
    plan = InterleavedRb.plan(target, seed=6, gate="cx", width=2)
    assert plan.groups == ((0, 1), (2, 3))
    result = plan.analyze(run_aer(plan.circuits(target), 4000, noise_model(pair=2e-2)), "simulated")
    for group in result.groups:
        assert group.error.low <= 0.75 * 2e-2 <= group.error.high
        assert group.ratio.value == pytest.approx(1 - 2e-2, abs=2.5e-3)


def test_a_window_agrees_with_tomography(make_target, run_aer):
    """Noise without memory: the polarization is the same number by benchmarking, tomography and in closed form."""
    target = make_target(2, [(0, 1)], t1=T1, t2=T2)
    window = 6e-6
    plan = InterleavedRb.plan(target, seed=3, window_seconds=window, samples=6)
    result = plan.analyze(run_aer(relaxing(plan.circuits(target), 2), 1000, noise_model()), "simulated")
    assert result.seconds == pytest.approx(window) and result.element == "delay 6000 ns"
    tomography = IdleCoherence.plan(target, windows_seconds=[window], seed=3)
    counts = run_aer(relaxing(tomography.circuits(target), 2), 4000, noise_model())
    measured = tomography.analyze(counts, "simulated").windows[0].qubits
    truth = relaxation_ceiling(T1, T2, window)
    for group in result.groups:
        other = measured[group.qubits[0]]
        spread = math.hypot(group.ratio.high - group.ratio.low, other.high - other.low) / 4
        assert abs(group.ratio.value - other.value) < 3.5 * spread
        assert spread < 0.2 * (1 - truth)
        assert group.ratio.low <= truth <= group.ratio.high
        assert group.error.value == pytest.approx((1 - group.ratio.value) / 2)


def test_a_window_of_a_pair_is_its_process_fidelity(make_target, run_aer):
    # Two qubits that relax side by side: α = (16·F - 1)/15, F the product of both.
    target = make_target(2, [(0, 1)], t1=T1, t2=T2)
    plan = InterleavedRb.plan(target, seed=3, window_seconds=4e-6, width=2, samples=6)
    result = plan.analyze(run_aer(relaxing(plan.circuits(target), 2), 1000), "simulated")
    fidelity = ((1 + math.exp(-4e-6 / T1) + 2 * math.exp(-4e-6 / T2)) / 4) ** 2
    assert result.groups[0].ratio.value == pytest.approx((16 * fidelity - 1) / 15, abs=0.015)


def test_agrees_with_qiskit_experiments(make_target, run_aer):
    lengths = [1, 8, 20, 40]
    target = make_target(2, [(0, 1), (1, 0)])
    noise = noise_model(pulse=2e-3, pair=2e-2, readout=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qiskit_experiments.library import InterleavedRB

        backend = AerSimulator(noise_model=noise, method="density_matrix", max_parallel_threads=1)
        oracle = InterleavedRB(CXGate(), (0, 1), lengths, num_samples=4, seed=3)
        oracle.set_transpile_options(basis_gates=["cx", "rz", "sx", "x"], optimization_level=1)
        oracle.set_run_options(shots=1000)
        theirs = oracle.run(backend, seed_simulator=5).block_for_results()
        ratio = theirs.analysis_results("alpha_c", dataframe=False).value
        alpha = theirs.analysis_results("alpha", dataframe=False).value
        extra = theirs.analysis_results("EPC", dataframe=False).extra
    plan = InterleavedRb.plan(target, seed=8, gate="cx", groups=[(0, 1)], depths=lengths)
    ours = plan.analyze(run_aer(plan.circuits(target), 1000, noise), "simulated").groups[0]
    spread = math.hypot(ratio.std_dev, (ours.ratio.high - ours.ratio.low) / 4)
    assert abs(ratio.nominal_value - ours.ratio.value) < 3.5 * spread
    assert spread < 0.2 * (1 - ours.ratio.value)
    # The bound is theirs at their own numbers.
    assert systematic_bound(alpha.nominal_value, ratio.nominal_value, 2) == pytest.approx(extra["EPC_systematic_err"])


def test_both_circuits_take_the_same_cliffords(make_target):
    target = make_target(2, [])
    plan = InterleavedRb.plan(target, seed=2, gate="x", depths=(1, 9), samples=1)
    made = plan.circuits(target)
    assert [circuit.name for circuit in made] == [
        "reference_m1_s0", "reference_m9_s0", "interleaved_m1_s0", "interleaved_m9_s0",
    ]  # fmt: skip
    pulses = [sum(circuit.count_ops().get(name, 0) for name in ("sx", "x")) for circuit in made]
    # The inverse, at most one pulse for each qubit, is all that may differ besides the element.
    assert abs(pulses[3] - pulses[1] - 2 * 9) <= 2
    assert made == plan.circuits(target)
    assert made != InterleavedRb.plan(target, seed=3, gate="x", depths=(1, 9), samples=1).circuits(target)


def test_depths_follow_what_t1_and_t2_leave(make_target):
    target = make_target(2, [(0, 1)], t1=T1, t2=T2)
    short, long = (InterleavedRb.plan(target, seed=1, window_seconds=w).depths for w in (0.5e-6, 20e-6))
    assert max(short) > 5 * max(long)
    assert 0.2 < relaxation_ceiling(T1, T2, 0.5e-6) ** max(short) < 0.5
    unknown = make_target(2, [(0, 1)], t1=None)
    assert InterleavedRb.plan(unknown, seed=1, window_seconds=1e-6).depths == (1, 60, 200, 500)


def test_a_dead_reference_gives_no_number_out_of_range(make_target):
    target = make_target(1, [])
    plan = InterleavedRb.plan(target, seed=1, gate="x", depths=(1, 10), samples=2)
    rng = np.random.default_rng(3)
    counts = []
    for _ in plan.circuits(target):
        ones = int(rng.binomial(500, 0.5))
        counts.append({"0": 500 - ones, "1": ones})
    group = plan.analyze(counts, "simulated").groups[0]
    assert 0 <= group.ratio.low <= group.ratio.value <= group.ratio.high <= 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "one of the two"),
        ({"gate": "x", "window_seconds": 1e-6}, "one of the two"),
        ({"gate": "cx"}, "sx and x"),
        ({"gate": "ecr", "width": 2}, "there is cx"),
        ({"window_seconds": 1e-12}, "resolution"),
        ({"gate": "x", "depths": (3,)}, "two depths"),
    ],
)
def test_bad_plans_are_refused(asked, says, make_target):
    with pytest.raises(InputError, match=says):
        InterleavedRb.plan(make_target(2, [(0, 1)]), seed=1, **asked)


def test_counts_of_something_else_are_refused(make_target):
    plan = InterleavedRb.plan(make_target(2, []), seed=1, gate="x")
    with pytest.raises(InputError, match="one for each"):
        plan.analyze([], "simulated")
