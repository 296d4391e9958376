"""T1, Ramsey, echo and ZZ: closed forms, a static detuning and a static ZZ by Aer, and the twin's own parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit.circuit.library import CPhaseGate, RZGate
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2
from scipy.optimize import brentq

from qrex.errors import InputError, PlatformError
from qrex.measure.curves import contrast, fit_curve
from qrex.measure.relaxation import Relaxation
from qrex.measure.zz import ZzAmplification
from qrex.platform import NoiseAssumptions
from qrex.twin import SimulatedQpu

SHOTS = 600


@pytest.fixture(scope="module")
def twin():
    return SimulatedQpu(FakeGuadalupeV2(), NoiseAssumptions())


def run(twin, plan, seed=3, shots=SHOTS):
    return plan.analyze(
        twin.run(plan.circuits(twin.target), shots=shots, seed_simulator=seed).result().get_counts(), "simulated"
    )


def pulls(found, truth):
    """Deviations from the truth in standard errors, and how many intervals hold it."""
    keys = list(found)
    deviations = [(found[k].value - truth[k]) / found[k].detail["standard_error"] for k in keys]
    inside = sum(found[k].low <= truth[k] <= found[k].high for k in keys)
    return np.array(deviations), inside


def check(found, truth):
    """Of 16 intervals at 95 % fewer than 13 hold the truth with a probability of 0.9 %; the seeds are fixed."""
    deviations, inside = pulls(found, truth)
    assert inside >= 13
    assert 0.4 < np.sqrt((deviations**2).mean()) < 1.7 and np.abs(deviations).max() < 4


@pytest.mark.parametrize("kind", ["T1", "echo"])
def test_the_twin_shows_its_own_times(twin, kind):
    result = run(twin, Relaxation.plan(twin.target, kind=kind, seed=1))
    truth = twin.parameters.t1_seconds if kind == "T1" else twin.parameters.t2_seconds
    check(result.times, dict(enumerate(truth)))
    assert list(result.times) == list(range(16)) and not result.detunings
    one = result.times[3]
    assert one.unit == "s" and one.source == "simulated" and one.seed == 1 and one.n == 2 * 14 * SHOTS
    assert result.median.low <= np.median(truth) <= result.median.high


def test_ramsey_shows_where_the_envelope_of_the_twin_is_at_1_e(twin):
    """The oracle is the twin's noise in closed form: white and static dephasing, and a charge parity of either sign."""
    p = twin.parameters
    result = run(twin, Relaxation.plan(twin.target, kind="Ramsey", seed=1))

    def envelope(qubit, t):
        static = math.exp(-t / p.t2_seconds[qubit] - (p.detuning_rad_per_s[qubit] * t) ** 2 / 2)
        return static * math.cos(p.parity_rad_per_s[qubit] * t) - math.exp(-1)

    truth = {q: brentq(lambda t, q=q: envelope(q, t), 1e-7, p.t2_star_seconds[q] * 1.01) for q in range(16)}
    check(result.times, truth)
    check(result.detunings, dict.fromkeys(range(16), 0.0))  # what the twin has is symmetric about its frame
    assert all(result.times[q].value < p.t2_seconds[q] for q in range(16))


def test_zz_of_the_twin_with_its_sign(twin):
    p = twin.parameters
    truth = {edge: zeta / (2 * math.pi) for edge, zeta in zip(p.edges, p.zeta_rad_per_s, strict=True)}
    plan = ZzAmplification.plan(twin.target, seed=1)
    result = run(twin, plan)
    check(result.rates, truth)
    assert all(m.high < 0 and m.high - m.low < 6e3 for m in result.rates.values())
    assert result.median.value == pytest.approx(np.median(np.abs(list(truth.values()))), rel=0.05)
    for links in plan.classes:
        flat = {q for link in links for q in link}
        assert len(flat) == 2 * len(links)
        # No coupling but the links' own joins two qubits that are flipped together.
        assert sum(a in flat and b in flat for a, b in p.edges) == len(links)


def turned(circuits, *, detuning_hertz=0.0, zz_hertz=0.0):
    """Delays turn their qubits by a static detuning, and the coupled pair (0, 1) by ζ |11><11|, as H says."""
    made = []
    for circuit in circuits:
        moved = circuit.copy_empty_like()
        for step in circuit.data:
            qubits = [circuit.find_bit(q).index for q in step.qubits]
            if step.operation.name != "delay":
                moved.append(step.operation, qubits, [circuit.find_bit(c).index for c in step.clbits])
                continue
            angle = -2 * math.pi * step.operation.duration * 1e-9
            moved.append(RZGate(angle * detuning_hertz), qubits)
            if zz_hertz and qubits == [1]:
                moved.append(CPhaseGate(angle * zz_hertz), [0, 1])
        made.append(moved)
    return made


@pytest.mark.parametrize("hertz", [-21e3, 3e3, 40e3])
def test_ramsey_tells_a_detuning_with_its_sign(make_target, run_aer, hertz):
    target = make_target(2, [(0, 1)])
    plan = Relaxation.plan(target, kind="Ramsey", seed=1, longest_seconds=60e-6, points=16)
    result = plan.analyze(run_aer(turned(plan.circuits(target), detuning_hertz=hertz), 800), "simulated")
    for shift in result.detunings.values():
        assert shift.value == pytest.approx(hertz, abs=250)
        assert shift.high - shift.low < 1500
    assert result.times[0].value > 100e-6  # nothing decays here


@pytest.mark.parametrize("hertz", [-120e3, 4e3, 65e3])
def test_zz_by_aer_and_a_detuning_does_not_matter(make_target, run_aer, hertz):
    target = make_target(2, [(0, 1)], t1=None)
    plan = ZzAmplification.plan(target, seed=1)
    circuits = turned(plan.circuits(target), detuning_hertz=33e3, zz_hertz=hertz)
    rate = plan.analyze(run_aer(circuits, 800), "simulated").rates[0, 1]
    assert rate.low <= hertz <= rate.high or abs(rate.value - hertz) < 3 * rate.detail["standard_error"]
    assert rate.unit == "Hz" and rate.high - rate.low < 2e3


def test_an_echo_does_not_see_a_static_detuning(make_target, run_aer):
    target = make_target(2, [(0, 1)])
    plan = Relaxation.plan(target, kind="echo", seed=1, longest_seconds=60e-6)
    result = plan.analyze(run_aer(turned(plan.circuits(target), detuning_hertz=25e3), 500), "simulated")
    assert all(time.value > 1e-3 for time in result.times.values())


def test_intervals_of_a_fit_cover():
    """Binomial counts of a known exponential; the oracle is their own closed form."""
    x = np.linspace(0, 100e-6, 12)
    truth, shots, inside, repeats = 50e-6, 500, 0, 200
    rng = np.random.default_rng(8)
    for seed in range(repeats):
        high, low = rng.binomial(shots, 0.02 + 0.95 * np.exp(-x / truth)), rng.binomial(shots, 0.02, 12)
        values, errors = np.array([contrast(a, shots, b, shots) for a, b in zip(high, low, strict=True)]).T

        def model(p, t):
            return p[:, 1:] * np.exp(-t / (1e-6 * np.exp(p[:, :1])))

        fit = fit_curve(model, x, values, errors, np.array([[3.0, 0.9]]), seed=seed, resamples=200)
        bottom, top = np.percentile(1e-6 * np.exp(fit.draws[:, 0]), [2.5, 97.5])
        inside += bottom <= truth <= top
    assert 0.91 * repeats <= inside <= 0.99 * repeats


def test_a_fit_recovers_a_curve_without_noise():
    x = np.linspace(0, 3, 20)

    def model(p, t):
        return p[:, :1] * np.exp(-t / p[:, 1:2]) * np.cos(p[:, 2:3] * t)

    fit = fit_curve(model, x, model(np.array([[0.8, 1.7, 4.0]]), x)[0], np.full(20, 0.01),
                    np.array([[1.0, 1.0, w] for w in np.arange(1.0, 9.0)]), seed=1)  # fmt: skip
    assert fit.parameters == pytest.approx([0.8, 1.7, 4.0], rel=1e-6) and fit.dispersion == 1.0
    assert np.std(fit.draws, axis=0) == pytest.approx([0.008, 0.03, 0.008], rel=0.6)


def test_what_cannot_be_is_refused(make_target):
    target = make_target(3, [(0, 1), (1, 2)])
    with pytest.raises(InputError, match="not known"):
        Relaxation.plan(target, kind="T3", seed=1)
    with pytest.raises(InputError, match="has 0 to 2"):
        Relaxation.plan(target, kind="T1", seed=1, qubits=[7])
    with pytest.raises(InputError, match="below the device's resolution"):
        Relaxation.plan(target, kind="T1", seed=1, longest_seconds=1e-9)
    with pytest.raises(InputError, match="give 4 or more"):
        Relaxation.plan(target, kind="T1", seed=1, points=2)
    with pytest.raises(PlatformError, match="choose among"):
        ZzAmplification.plan(target, seed=1, links=[(0, 2)])
    for plan in (Relaxation.plan(target, kind="T1", seed=1), ZzAmplification.plan(target, seed=1)):
        with pytest.raises(InputError, match="hand back one for each"):
            plan.analyze([{"00": 1}], "simulated")
