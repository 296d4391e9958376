"""What the choice of a train predicts is what physics leaves, and what is chosen is legal and worth its pulses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZGate, SXGate, XGate
from qiskit.quantum_info import Operator, Statevector
from qiskit.transpiler import InstructionProperties, Target
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeSherbrooke

from qrex.measure.sequences import AXES, X2, X2_STAGGERED
from qrex.suppress.decoupling import decouple_circuit, pulse_lengths
from qrex.suppress.noise import IdleNoise
from qrex.suppress.occupancy import read_occupancy
from qrex.suppress.planning import _drift_variance, choose_trains
from qrex.suppress.trains import axes_cost, candidate_starts

MANILA = FakeManilaV2()
DT = MANILA.target.dt


def noise(zeta_hertz=None, *, detuning=0.0, parity=0.0, drift=0.0, tau=100e-6, pulse_error=1e-6, angle=0.0, qubits=5):
    full = np.ones(qubits)
    return IdleNoise(
        2 * math.pi * detuning * full, 2 * math.pi * parity * full, 2 * math.pi * drift * full, tau * full,
        angle * full, pulse_error * full,
        {edge: 2 * math.pi * hertz for edge, hertz in (zeta_hertz or {}).items()},
    )  # fmt: skip


def idling(qubits, ticks, stagger=0):
    """All of `qubits` idle in superposition; each later one begins `stagger` ticks later and ends as much later."""
    qc = QuantumCircuit(5)
    total = ticks + stagger * (len(qubits) - 1)
    for place, qubit in enumerate(qubits):
        if stagger * place:
            qc.delay(stagger * place, qubit, unit="dt")
        qc.sx(qubit)
        qc.delay(ticks, qubit, unit="dt")
        qc.sx(qubit)
        if total - ticks - stagger * place:
            qc.delay(total - ticks - stagger * place, qubit, unit="dt")
        qc.rz(0.0, qubit)  # waiting before nothing would be left out
    return qc


def physical(circuit, zeta_hertz, detuning_hertz, target=MANILA.target):
    """The unitary of `circuit` with ζ|11⟩⟨11| on links and a static detuning, pulses acting in their middle; without
    cross-resonance gates."""
    end = dict.fromkeys(range(circuit.num_qubits), 0)
    events = []
    for one in reversed(circuit.data):
        places = [circuit.find_bit(bit).index for bit in one.qubits]
        length = one.operation.duration if one.name == "delay" else 0
        if one.name in ("x", "sx"):
            length = round(target[one.name][tuple(places)].duration / DT)
        latest = max(end[place] for place in places) + length
        end.update(dict.fromkeys(places, latest))
        if one.name not in ("delay", "barrier"):
            events.append((-(latest - length / 2), one.operation, places))
    used = sorted({place for _, _, places in events for place in places})
    made, now = QuantumCircuit(circuit.num_qubits), min(event[0] for event in events)
    for when, operation, places in sorted(reversed(events), key=lambda event: event[0]):
        angle = 2 * math.pi * (when - now) * DT
        if angle:
            for qubit in used:
                made.rz(-angle * detuning_hertz, qubit)
            for (a, b), hertz in zeta_hertz.items():
                made.cp(-angle * hertz, a, b)
        now = when
        made.append(operation, places)
    return made


def infidelity(circuit, reference, zeta_hertz, widths_hertz=0.0):
    """Process infidelity against the same circuit without noise, a Gaussian detuning averaged over (all qubits share
    it: enough for one qubit)."""
    ideal = Operator(physical(reference, {}, 0.0)).data
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    lost = 0.0
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        unitary = Operator(physical(circuit, zeta_hertz, widths_hertz * node)).data
        lost += weight * (1 - abs(np.trace(ideal.conj().T @ unitary) / len(ideal)) ** 2)
    return lost


def lost_state(circuit, reference, zeta_hertz):
    """Infidelity of the final state: before its first gate a qubit is in |0⟩, where ZZ does nothing to it."""
    ideal, found = (Statevector(physical(one, zeta, 0.0)) for one, zeta in ((reference, {}), (circuit, zeta_hertz)))
    return 1 - abs(ideal.inner(found)) ** 2


def totals(choices):
    """Sum over windows of detuning, and over links of ZZ (each link is seen from both its windows)."""
    return sum(c.detuning for c in choices.values()), sum(c.zz for c in choices.values()) / 2


def planned(circuit, known, **kwargs):
    occupancy = read_occupancy(circuit, MANILA.target)
    return choose_trains(occupancy, known, pulse_lengths(MANILA.target), **kwargs)


@pytest.mark.parametrize("detuning", [5e3, 40e3])
def test_the_predicted_error_of_a_detuned_idle_qubit_is_that_of_its_unitary(detuning):
    circuit = idling([0], 8000)
    choice = next(iter(planned(circuit, noise(detuning=detuning), min_window=10**9).values()))
    assert choice.sequence == "none" and not choice.pulses
    # The window lies between the ends of the sx pulses, whose middles the physics takes.
    longer = 8000 + round(MANILA.target["sx"][(0,)].duration / DT)
    truth = (1 - math.exp(-((2 * math.pi * detuning * longer * DT) ** 2) / 2)) / 2
    assert infidelity(circuit, circuit, {}, detuning) == pytest.approx(truth, rel=1e-3)
    assert choice.idle_error == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("train", [None, X2, X2_STAGGERED])
def test_the_predicted_zz_of_two_idle_qubits_is_that_of_their_unitary(train):
    zeta = {(0, 1): 40e3}
    circuit = idling([0, 1], 8000)
    known = noise(zeta)
    if train is None:
        made, choices = circuit, planned(circuit, known, min_window=10**9)
        detuning, zz = totals(choices)
        # Angles of 2π·40 kHz·1.8 µs are not small: single and joint phases make up one error together.
        predicted = 1 - (1 - detuning / 2) ** 2 * (1 - zz)
        assert infidelity(made, circuit, zeta) == pytest.approx(predicted, rel=0.12)
        return
    made, _ = decouple_circuit(circuit, MANILA.target, train)
    left = infidelity(made, circuit, zeta)
    phase = 2 * math.pi * 40e3 * 8000 * DT / 4
    assert left == pytest.approx(math.sin(phase) ** 2 if train is X2 else 0.0, abs=0.01)


def test_what_is_chosen_undoes_detuning_and_zz_of_windows_that_only_overlap():
    """Windows of three neighbors, each begun later than the one before: one color per qubit leaves ZZ there."""
    zeta = {(0, 1): 200e3, (1, 2): 200e3}
    circuit = idling([0, 1, 2], 6400, stagger=1600)
    chosen, _ = decouple_circuit(circuit, MANILA.target, noise(zeta, detuning=10e3))
    staggered, _ = decouple_circuit(circuit, MANILA.target, X2_STAGGERED)
    assert lost_state(circuit, circuit, zeta) > 0.5
    assert lost_state(staggered, circuit, zeta) > 0.02
    assert lost_state(chosen, circuit, zeta) < 0.002


def test_the_sum_of_what_remains_falls_with_every_freedom():
    zeta = {(0, 1): 60e3, (1, 2): 80e3, (2, 3): 50e3, (3, 4): 70e3}
    circuit = idling([0, 1, 2, 3, 4], 4800, stagger=800)
    free, short = planned(circuit, noise(zeta)), planned(circuit, noise(zeta), min_window=10**9)
    assert sum(c.error for c in free.values()) < 0.02 * sum(c.error for c in short.values())
    for choice in free.values():
        assert choice.error <= choice.idle_error
        assert choice.error == pytest.approx(choice.detuning + choice.zz + choice.pulse_cost)
        assert choice.why.startswith(choice.sequence) and bool(choice.pulses) != choice.window.only_z


def test_windows_whose_pulses_cost_more_than_they_save_stay_empty():
    circuit = idling([0, 1], 1600)
    quiet = noise({(0, 1): 1e3}, detuning=100.0, pulse_error=1e-2)
    assert all(not choice.pulses for choice in planned(circuit, quiet).values())
    loud = noise({(0, 1): 300e3}, detuning=100.0, pulse_error=1e-2)
    assert any(choice.pulses for choice in planned(circuit, loud).values())


def test_no_pulses_where_only_the_z_basis_matters():
    qc = QuantumCircuit(5, 2)
    qc.sx([0, 1])
    qc.delay(8000, 0)
    qc.x(0)  # flips, which any phase survives
    qc.delay(8000, 1)
    qc.sx(1)
    qc.barrier()
    qc.measure([0, 1], [0, 1])
    choices = planned(qc, noise({(0, 1): 60e3}, detuning=10e3))
    filled = {choice.window.qubit for choice in choices.values() if choice.pulses}
    assert filled == {1}
    assert any(choice.why.startswith("none: only read") for choice in choices.values())


@pytest.mark.parametrize(("angle", "expected"), [(0.0, None), (0.05, "XpXm")])
def test_axes_are_chosen_by_the_pulses_own_errors(angle, expected):
    circuit = idling([0], 8000)
    choice = next(iter(planned(circuit, noise(detuning=20e3, angle=angle)).values()))
    assert expected is None or choice.sequence == expected
    # An over-rotation of both pulses about the same axis adds up, about opposite ones it cancels.
    assert axes_cost(AXES["X2"], 0.05, 0.0, 0.0) == pytest.approx(math.sin(0.05) ** 2, rel=0.02)
    assert axes_cost(AXES["XpXm"], 0.05, 0.0, 0.0) < 3e-5
    assert axes_cost(AXES["UR8"], 0.05, 0.0, 0.05) < axes_cost(AXES["XY4"], 0.3, 0.0, 0.3)


def test_faster_drifts_ask_for_more_pulses():
    circuit = idling([0], 80_000)
    pulses = [
        len(next(iter(planned(circuit, noise(drift=20e3, tau=tau, pulse_error=1e-5)).values())).pulses)
        for tau in (10e-3, 20e-6)
    ]
    assert pulses[0] < pulses[1]


@pytest.mark.parametrize("tau", [0.4e-6, 3e-6, 1e-3])
def test_the_variance_under_a_drift_is_its_double_integral(tau):
    inside = np.array([[0.5e-6, 1.2e-6, 0.3e-6]])
    signs = np.array([1.0, -1.0, 1.0])
    width = 2e5
    edges = np.concatenate([[0.0], np.cumsum(inside[0])])
    times = (np.arange(2000) + 0.5) * edges[-1] / 2000
    sign = signs[np.searchsorted(edges, times, side="right") - 1]
    kernel = np.exp(-np.abs(times[:, None] - times[None, :]) / tau)
    truth = width**2 * (sign @ kernel @ sign) * (edges[-1] / 2000) ** 2
    assert _drift_variance(inside, signs, width, tau)[0] == pytest.approx(truth, rel=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    count=st.sampled_from([2, 4, 6, 8]),
    window=st.integers(100, 9000),
    granule=st.sampled_from([1, 8, 16]),
    cuts=st.lists(st.integers(1, 9000), max_size=3),
)
def test_candidates_keep_to_the_grid_the_window_and_the_barriers(count, window, granule, cuts):
    pulse = 160
    starts = candidate_starts(count, window, pulse, granule, tuple(cuts), (window // 3,))
    assert starts.shape[1] == count
    assert (starts % granule == 0).all() and (starts >= 0).all() and (starts + pulse <= window).all()
    assert (np.diff(starts, axis=1) >= pulse).all()
    for cut in cuts:
        assert not ((starts < cut) & (starts + pulse > cut)).any()
    if window >= count * (pulse + 4 * granule) * 2 and not cuts:
        assert len(starts)


@pytest.mark.parametrize("gate", ["cx", "ecr", "cz"])
def test_neighbors_of_driven_qubits_see_the_signs_that_the_gate_gives(gate):
    """The control of a cross-resonance gate flips in its middle, its target is driven; a cz leaves both as they are."""
    target = Target(num_qubits=3, dt=1e-9)
    kinds = {"cx": CXGate, "ecr": ECRGate, "cz": CZGate}
    for made, seconds in ((SXGate(), 40e-9), (XGate(), 40e-9), (RZGate(Parameter("t")), 0.0)):
        target.add_instruction(made, {(q,): InstructionProperties(seconds, 1e-4) for q in range(3)})
    target.add_instruction(Delay(Parameter("d")), {(q,): None for q in range(3)})
    target.add_instruction(kinds[gate](), {(0, 1): InstructionProperties(400e-9, 1e-2)})
    qc = QuantumCircuit(3)
    qc.sx([0, 1, 2])
    qc.barrier()
    qc.append(kinds[gate](), [0, 1])
    qc.barrier()
    qc.sx([0, 1, 2])
    signs = read_occupancy(qc, target).signs
    first = [signs[0].at(t) for t in (100, 300, 450)]
    second = [signs[1].at(t) for t in (100, 300)]
    assert first == {"cx": [1, -1, 1], "ecr": [1, -1, -1], "cz": [1, 1, 1]}[gate]
    assert second == {"cx": [0, 0], "ecr": [0, 0], "cz": [1, 1]}[gate]
    assert (40 in signs[1].lost) == (gate != "cz")


def test_measured_zeta_takes_the_place_of_the_calibration():
    backend = FakeSherbrooke()
    calibrated = IdleNoise.of(backend)
    replaced = IdleNoise.of(backend, zeta_hertz={(1, 0): 123.0})
    assert replaced.zeta[0, 1] == pytest.approx(2 * math.pi * 123)
    assert {k: v for k, v in replaced.zeta.items() if k != (0, 1)} == {
        k: v for k, v in calibrated.zeta.items() if k != (0, 1)
    }
