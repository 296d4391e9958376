from itertools import pairwise

import numpy as np
import pytest
from qiskit.circuit import Delay
from qiskit.circuit.library import RZGate, RZZGate
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, PadDynamicalDecoupling
from qiskit_aer.noise import NoiseModel, ReadoutError, RelaxationNoisePass

from qrex.errors import InputError
from qrex.measure.coherence import IdleCoherence, qubit_colors
from qrex.measure.coherence_result import closure, level_crossing, relaxation_ceiling, window_ratio
from qrex.measure.sequences import X2, X2_STAGGERED, XY4, XY4_STAGGERED, PulseTrain
from qrex.measure.window_search import WindowSearch

PATH = [(0, 1), (1, 2)]
T1, T2 = 50e-6, 40e-6


def readout():
    model = NoiseModel()
    model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.07, 0.93]]))
    return model


def relaxing(circuits, qubits=3, scale=1.0):
    """Every delay relaxes its qubit with T1/scale and T2/scale."""
    times = ([T1 / scale] * qubits, [T2 / scale] * qubits)
    return PassManager([RelaxationNoisePass(*times, dt=1e-9, op_types=Delay)]).run(circuits)


def static(circuits, detuning_hertz=0.0, zz_hertz=0.0, links=PATH):
    """Each delay also turns its qubit by a static detuning, and each pair of qubits by a static ZZ.

    ZZ acts as ζ|11><11|. Time is cut at the middle of every pulse of any qubit.
    """
    made = []
    for circuit in circuits:
        moved = circuit.copy_empty_like()
        clocks = np.zeros(circuit.num_qubits)
        events = []
        for order, step in enumerate(circuit.data):
            places = [circuit.find_bit(q).index for q in step.qubits]
            length = {"sx": 32, "x": 32}.get(step.operation.name, 0)
            if step.operation.name == "delay":
                length = step.operation.duration
            if step.operation.name in ("barrier", "measure"):
                clocks[places] = clocks[places].max()
            start = clocks[places[0]]
            clocks[places] += length
            if step.operation.name not in ("delay", "barrier"):
                # Pulses act at their middle, so that a train at the right times refocuses exactly.
                events.append((start + length / 2, order, step, places))
        now = 0.0
        for when, _, step, places in sorted(events, key=lambda event: event[:2]):
            if when > now:
                angle = 2 * np.pi * (when - now) * 1e-9
                for qubit in range(circuit.num_qubits):
                    moved.append(RZGate(angle * detuning_hertz), [qubit])
                for a, b in links if zz_hertz else []:
                    moved.append(RZZGate(angle * zz_hertz / 2), [a, b])
                    for qubit in (a, b):
                        moved.append(RZGate(-angle * zz_hertz / 2), [qubit])
                now = when
            moved.append(step.operation, places, [circuit.find_bit(c).index for c in step.clbits])
        made.append(moved)
    return made


def test_relaxation_gives_the_closed_form_whatever_the_readout(make_target, run_aer):
    target = make_target(3, PATH, t1=T1, t2=T2)
    windows = (4e-6, 16e-6)
    plan = IdleCoherence.plan(target, windows_seconds=windows, seed=3)
    result = plan.analyze(run_aer(relaxing(plan.circuits(target)), 4000, readout()), "simulated")
    for window, seconds in zip(result.windows, windows, strict=True):
        truth = relaxation_ceiling(T1, T2, seconds)
        assert window.window_seconds == pytest.approx(seconds)
        assert window.ceiling_median == pytest.approx(truth)
        for measured in window.qubits.values():
            assert measured.value == pytest.approx(truth, abs=0.025)
        assert window.median.low <= truth <= window.median.high
        assert window.virtual_z.value == pytest.approx(truth, abs=0.02)
        # σ_Q is about 0.41/√shots for one side; the reference adds its own.
        assert np.mean(list(window.errors.values())) == pytest.approx(0.41 / np.sqrt(4000), rel=0.6)


def test_intervals_cover_at_fixed_seeds(make_target, run_aer):
    target = make_target(1, [], t1=T1, t2=T2)
    truth = relaxation_ceiling(T1, T2, 10e-6)
    inside = 0
    for seed in range(40):
        plan = IdleCoherence.plan(target, windows_seconds=[10e-6], seed=seed, virtual_z=False)
        counts = run_aer(relaxing(plan.circuits(target), 1), 500, readout(), seed=seed)
        measured = plan.analyze(counts, "simulated").windows[0].qubits[0]
        inside += measured.low <= truth <= measured.high
    assert inside >= 34  # 40 intervals at 95 %: fewer than 34 has probability below 0.003


def test_an_ideal_device_keeps_everything(make_target, run_aer):
    target = make_target(3, PATH)
    plan = IdleCoherence.plan(target, windows_seconds=[10e-6], seed=3, sequence=XY4)
    result = plan.analyze(run_aer(plan.circuits(target), 500), "simulated")
    assert result.windows[0].median.value == pytest.approx(1.0, abs=1e-9)
    assert result.sequence == "XY4"
    assert result.windows[0].median.low < 1  # perfect data do not make a perfect interval


def test_detuning_is_a_frame_and_decoupling_removes_it(make_target, run_aer):
    target = make_target(3, PATH)
    window, detuning = 10e-6, 20e3
    truth = (1 + 2 * np.cos(2 * np.pi * detuning * window)) / 3
    values = {}
    for sequence in (None, X2, XY4):
        plan = IdleCoherence.plan(target, windows_seconds=[window], seed=3, sequence=sequence)
        counts = run_aer(static(plan.circuits(target), detuning_hertz=detuning), 2000)
        values[sequence.name if sequence else None] = plan.analyze(counts, "simulated").windows[0]
    assert values[None].median.value == pytest.approx(truth, abs=0.03)
    # A fixed virtual Z undoes all of it, and its angle is the phase gathered.
    assert values[None].virtual_z.value == pytest.approx(1, abs=0.02)
    angle = values[None].virtual_z.detail["angle_radians"]["1"]
    assert angle == pytest.approx(2 * np.pi * detuning * window, abs=0.05)
    assert values["X2"].median.value > 0.97
    assert values["XY4"].median.value > 0.97


def test_only_staggered_trains_remove_zz(make_target, run_aer):
    target = make_target(3, PATH)
    found = {}
    for sequence in (None, XY4, XY4_STAGGERED, X2_STAGGERED):
        plan = IdleCoherence.plan(target, windows_seconds=[8e-6], seed=3, sequence=sequence, virtual_z=False)
        counts = run_aer(static(plan.circuits(target), zz_hertz=40e3), 1000)
        found[plan.label] = plan.analyze(counts, "simulated").windows[0].qubits
    phase = 2 * np.pi * 40e3 * 8e-6 / 2
    # Neighbors in |+>: each link halves the transverse part into cos of half the phase; in the frame of
    # neighbors in |0> an idle end also turns by that half phase.
    assert found["none"][0].value == pytest.approx((1 + 2 * np.cos(phase) ** 2) / 3, abs=0.05)
    assert found["XY4"][0].value == pytest.approx((1 + 2 * np.cos(phase)) / 3, abs=0.05)
    assert found["XY4"][1].value == pytest.approx((1 + 2 * np.cos(phase) ** 2) / 3, abs=0.05)
    for name in ("XY4 staggered", "X2 staggered"):
        assert all(measured.value > 0.95 for measured in found[name].values())


def test_context_is_one_color_class_with_neighbors_in_plus(make_target):
    target = make_target(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    plan = IdleCoherence.plan(target, windows_seconds=[5e-6], seed=1, qubits=[0, 2])
    assert plan.classes == ((0, 2),)
    assert plan.neighbors == ((1, 3),)
    circuit = plan.circuits(target)[6]  # the first with a window: +x measured along x
    first = {circuit.find_bit(s.qubits[0]).index for s in circuit.data if s.operation.name == "sx"}
    assert first == {0, 1, 2, 3}
    windows = [s for s in circuit.data if s.operation.name == "delay" and s.operation.duration == 5000]
    assert len(windows) == 4
    assert sorted(qubit_colors(make_target(3, [(0, 1), (1, 2), (0, 2)]))) == [0, 1, 2]


def test_a_pass_manager_may_decouple_the_windows(make_target, run_aer):
    from qiskit.circuit.library import XGate

    target = make_target(2, [(0, 1)])
    passes = PassManager(
        [
            ALAPScheduleAnalysis(target=target),
            PadDynamicalDecoupling(dd_sequence=[XGate()] * 2, target=target),
        ]
    )
    plan = IdleCoherence.plan(target, windows_seconds=[8e-6], seed=3, sequence=passes, label="padded X2")
    circuits = plan.circuits(target)
    assert all(circuit.count_ops().get("x", 0) >= 2 for circuit in circuits[6:16])
    result = plan.analyze(run_aer(static(circuits, detuning_hertz=20e3, links=[]), 1000), "simulated")
    assert result.sequence == "padded X2"
    assert result.windows[0].median.value > 0.95


def test_a_coherence_without_a_duration_is_refused(make_target):
    target = make_target(2, [(0, 1)])
    for windows in ([], [0.0], [1e-10]):
        with pytest.raises(InputError, match="duration"):
            IdleCoherence.plan(target, windows_seconds=windows, seed=1)


@pytest.mark.parametrize("train", [X2, XY4, X2_STAGGERED, XY4_STAGGERED])
@pytest.mark.parametrize("color", [0, 1, 2, 3])
def test_trains_fit_their_window_on_the_grid(train, color):
    for window in (1600, 4808, 16000):
        pulses = train.pulses(window, 32, 8, color)
        starts = [start for start, _ in pulses]
        assert pulses and all(start % 8 == 0 for start in starts)
        assert starts[0] >= 0 and starts[-1] + 32 <= window
        assert all(b - a >= 32 for a, b in pairwise(starts))
        sign, turned, now = 1, 0.0, 0
        for start, _ in pulses:
            turned, now, sign = turned + sign * (start + 16 - now), start + 16, -sign
        turned += sign * (window - now)
        assert abs(turned) <= 8 * len(pulses) + 32  # a static detuning cancels to within the grid
    assert train.pulses(40, 32, 8, color) == ()


def test_an_odd_train_is_refused():
    with pytest.raises(InputError, match="even number"):
        PulseTrain("bad", (0, 1))


@pytest.fixture
def relaxed_curve(make_target, run_aer):
    def curve(windows, scale=1.0, seed=1):
        target = make_target(3, PATH, t1=T1, t2=T2)
        plan = IdleCoherence.plan(target, windows_seconds=windows, seed=seed, virtual_z=False)
        return plan.analyze(run_aer(relaxing(plan.circuits(target), 3, scale), 3000, seed=seed), "simulated")

    return curve


def test_closure_is_the_share_of_the_gap(relaxed_curve):
    before = relaxed_curve([10e-6], scale=3, seed=1).windows[0]
    after = relaxed_curve([10e-6], scale=1.5, seed=2).windows[0]
    top, low, high = (relaxation_ceiling(T1 / s, T2 / s, 10e-6) for s in (1, 3, 1.5))
    eta = closure(before, after, seed=1, source="simulated")
    assert eta.low <= (high - low) / (top - low) <= eta.high
    assert eta.value == pytest.approx((high - low) / (top - low), abs=0.06)
    near = relaxed_curve([1e-6], scale=1.5, seed=3).windows[0]
    assert closure(near, near, seed=1, source="simulated") is None  # the gap is below 0.05
    with pytest.raises(InputError, match="one window"):
        closure(before, near, seed=1, source="simulated")


def test_window_ratio_is_that_of_the_rates(relaxed_curve):
    before = relaxed_curve([1e-6, 1.5e-6, 2e-6, 3e-6], scale=3, seed=1)
    after = relaxed_curve([3e-6, 4.5e-6, 6e-6], scale=1, seed=2)
    ratio = window_ratio(before, after, seed=1, source="simulated")
    assert ratio.low <= 3 <= ratio.high
    assert ratio.value == pytest.approx(3, rel=0.2)
    short = relaxed_curve([1e-6, 2e-6], scale=1, seed=3)
    bound = window_ratio(before, short, seed=1, source="simulated")
    assert bound.detail["at_least"] and bound.method.startswith("at least")
    assert window_ratio(short, after, seed=1, source="simulated") is None
    assert level_crossing(short, 0.9, seed=1, source="simulated") is None


def test_search_finds_the_window_of_a_level(make_target, run_aer):
    from scipy.optimize import brentq

    target = make_target(3, PATH, t1=T1, t2=T2)
    truth = brentq(lambda t: relaxation_ceiling(T1, T2, t) - 0.68, 1e-6, 1e-4)
    coarse = WindowSearch.plan(target, seed=5)
    first = coarse.analyze(run_aer(relaxing(coarse.circuits(target)), 300, readout()), "simulated")
    assert first.window.value == pytest.approx(truth, rel=0.12)
    fine = coarse.refined(target, first, seed=6)
    found = fine.analyze(run_aer(relaxing(fine.circuits(target)), 1500, readout()), "simulated")
    assert found.window.low <= truth <= found.window.high
    assert found.window.value == pytest.approx(truth, rel=0.06)
    assert found.window.unit == "s"


def test_search_says_why_it_found_nothing(make_target, run_aer):
    target = make_target(2, [(0, 1)], t1=None)
    search = WindowSearch.plan(target, seed=5, points=3)
    found = search.analyze(run_aer(search.circuits(target), 200), "simulated")
    assert found.window is None
    assert "stays above 0.68" in found.reason
    with pytest.raises(InputError, match="nothing to refine"):
        search.refined(target, found, seed=1)
