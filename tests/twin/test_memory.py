"""A twin with memory: its parameters, its events, and what follows from them in closed form."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime import SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeFez, FakeGuadalupeV2, FakeManilaV2, FakeQuebec, FakeSherbrooke
from scipy.stats import chi2

from qrex.errors import InfeasibleError, InputError
from qrex.measure.coherence import IdleCoherence
from qrex.measure.layer_fidelity import LayerFidelity
from qrex.measure.links import LinkQuality
from qrex.measure.sequences import X2, X2_STAGGERED
from qrex.platform import NoiseAssumptions
from qrex.twin import SimulatedQpu
from qrex.twin.channels import average_relaxation_fidelity
from qrex.twin.events import split_error
from qrex.twin.memory import sample_with_memory
from qrex.twin.noise import DeviceNoise
from qrex.twin.parameters import read_parameters, static_width

MEMORYLESS = NoiseAssumptions(t2_star_ratio=1.0, parity_hz=0.0, coherent_share=0.0)


@pytest.fixture(scope="module")
def guadalupe():
    backend = FakeGuadalupeV2()
    noise = DeviceNoise(backend)
    return backend, noise, read_parameters(backend, NoiseAssumptions(), noise)


def _run(device, circuits, shots):
    result = device.run(circuits, shots=shots, seed_simulator=9, memory=False).result()
    return [result.get_counts(index) for index in range(len(circuits))]


def _counts(bits):
    return Counter("".join(map(str, row[::-1])) for row in bits.tolist())


def test_the_snapshot_says_zz_and_zero_means_that_it_does_not(guadalupe):
    _, _, parameters = guadalupe
    assert parameters.origins["ZZ"] == "calibration"
    # The snapshot's own entry zz_1215, in GHz: of the link 12-15, which "1215" could also be 1-215 or 121-5.
    place = parameters.edges.index((12, 15))
    assert parameters.zeta_rad_per_s[place] == pytest.approx(2 * math.pi * -57421.64461845112)
    eagle = read_parameters(FakeQuebec(), NoiseAssumptions())
    assert "assumed: 60 kHz" in eagle.origins["ZZ"] and "144 of 144" in eagle.origins["ZZ"]
    heron = read_parameters(FakeFez(), NoiseAssumptions())
    assert "assumed: 4 kHz" in heron.origins["ZZ"]
    assert np.allclose(np.abs(heron.zeta_rad_per_s), 2 * math.pi * 4e3)
    chosen = read_parameters(FakeFez(), NoiseAssumptions(zz_hz=9e3))
    assert np.allclose(np.abs(chosen.zeta_rad_per_s), 2 * math.pi * 9e3) and "platform" in chosen.origins["ZZ"]
    some = read_parameters(FakeSherbrooke(), NoiseAssumptions())
    assert "4 of 144 links" in some.origins["ZZ"]


def test_a_gate_error_is_split_without_counting_decoherence_twice():
    times, seconds, error = [(100e-6, 80e-6), (90e-6, 120e-6)], 400e-9, 9e-3
    found = split_error(error, seconds, times, 0.25)
    coherent = math.sin(found.angle / 2) ** 2 * 4 / 5
    depolarizing = found.probability * 3 / 4
    decoherence = 1 - average_relaxation_fidelity(seconds, times)
    assert coherent + depolarizing + decoherence == pytest.approx(error)
    assert coherent == pytest.approx(0.25 * (error - decoherence))
    assert found.white == 1.0
    unknown = split_error(0.0, seconds, times, 0.25)  # zero says that nothing was reported
    assert (unknown.angle, unknown.probability, unknown.white) == (0.0, 0.0, 1.0)


def test_a_gate_that_is_better_than_its_t2_is_believed():
    """Ecr of 34-43 in Quebec's snapshot: 594 ns, an echo of 21 µs, and a calibrated error that this would exceed."""
    times, seconds, error = [(364e-6, 179e-6), (284e-6, 21e-6)], 594e-9, 4.2e-3
    assert 1 - average_relaxation_fidelity(seconds, times) > 3 * error
    found = split_error(error, seconds, times, 0.2)
    assert (found.angle, found.probability) == (0.0, 0.0) and 0 < found.white < 1
    left = [(t1, 1 / (0.5 / t1 + found.white * (1 / t2 - 0.5 / t1))) for t1, t2 in times]
    assert 1 - average_relaxation_fidelity(seconds, left) == pytest.approx(error)
    assert split_error(1e-5, seconds, times, 0.2).white == 0.0  # T1 alone costs more


def test_such_a_gate_costs_what_its_calibration_says_when_it_is_benchmarked():
    """By direct benchmarking of the link alone, whose one-qubit pulses cost their calibrated errors as well."""
    backend = FakeQuebec()
    plan = LinkQuality.plan(backend.target, seed=3, links=[(34, 43)], depths=(1, 20, 60), samples=4)
    counts = _run(SimulatedQpu(backend, MEMORYLESS), plan.circuits(backend.target), 2000)
    fidelity = plan.analyze(counts, "simulated").fidelities[0]
    pulses = sum(1.5 * backend.target["sx"][qubit,].error for qubit in (34, 43)) * 20 / 24
    expected = 5 / 4 * backend.target["ecr"][34, 43].error + pulses
    assert fidelity.low <= 1 - expected <= fidelity.high
    assert fidelity.high - fidelity.low < expected


def test_random_gates_do_not_need_large_clusters():
    """Layer fidelities of 7 qubits of Sherbrooke, followed together and in clusters of at most 4."""
    backend = FakeSherbrooke()
    plan = LayerFidelity.plan(backend.target, seed=3, chain=[123, 124, 125, 126, 112, 108, 107], depths=(1, 40))
    circuits = plan.circuits(backend.target)
    noise = DeviceNoise(backend)
    known = read_parameters(backend, NoiseAssumptions(), noise)
    loss, twirled = {}, {}
    for joined in (4, 7):
        samples = [sample_with_memory(one, noise, known, 400, (k,), joined=joined) for k, one in enumerate(circuits)]
        twirled[joined] = sum(sample.twirled for sample in samples)
        loss[joined] = -math.log(plan.analyze([_counts(one.bits) for one in samples], "simulated").fidelity.value)
    # Equal circuits on both sides, so that shots alone tell them apart.
    assert twirled[4] > 0 == twirled[7]
    assert loss[4] == pytest.approx(loss[7], rel=0.1)


def test_a_static_width_brings_the_coherence_to_1_e_at_t2_star():
    sigma = static_width(50e-6, 90e-6)
    assert math.exp(-(sigma * 50e-6) ** 2 / 2 - 50 / 90) == pytest.approx(math.exp(-1))
    assert static_width(math.inf, math.inf) == 0.0 and static_width(90e-6, 90e-6) == 0.0


def _ramsey(delay_seconds, flips):
    """Qubit 1 of Guadalupe in |+>, its neighbours 0 and 4 in |1> where `flips` has them; read along x."""
    circuit = QuantumCircuit(16, 1)
    for qubit in flips:
        circuit.x(qubit)
    circuit.rz(math.pi / 2, 1)
    circuit.sx(1)
    circuit.rz(math.pi / 2, 1)
    circuit.barrier(*range(16))
    for qubit in (0, 1, 2, 4):
        circuit.delay(delay_seconds, qubit, unit="s")
    circuit.barrier(*range(16))
    circuit.rz(math.pi / 2, 1)
    circuit.sx(1)
    circuit.rz(math.pi / 2, 1)
    circuit.measure(1, 0)
    return circuit


@pytest.mark.parametrize("flips", [(), (0,), (0, 4)])
def test_a_neighbour_in_one_shifts_the_frequency_by_its_zz(guadalupe, flips):
    _, noise, parameters = guadalupe
    still = replace(
        parameters, t1_seconds=np.full(16, np.inf), t2_seconds=np.full(16, np.inf), reads_one=np.zeros(16),
        detuning_rad_per_s=np.zeros(16), parity_rad_per_s=np.zeros(16), reads_zero=np.zeros(16), coherent_share=0.0,
    )  # fmt: skip
    zeta = dict(zip(still.edges, still.zeta_rad_per_s, strict=True))
    shift = sum(zeta[min(1, q), max(1, q)] for q in flips)
    for tau in (1e-6, 3.1e-6, 7.3e-6):
        bits = sample_with_memory(_ramsey(tau, flips), noise, still, 4000, (5,)).bits
        # sx pulses of 35.6 ns stand before and after the window: half of each is idle time as well.
        idle = tau + 35.6e-9
        expected = 0.5 * (1 + math.cos(shift * idle))
        assert abs((1 - bits.mean()) - expected) < 5 * math.sqrt(0.25 / 4000) + 2e-3 or abs(
            bits.mean() - expected
        ) < 5 * math.sqrt(0.25 / 4000) + 2e-3


def test_idle_coherence_is_its_closed_form(guadalupe):
    """Q = (2 Re c + e^(-τ/T1))/3, c the coherence that is left: white dephasing, static width, charge parity, and for
    each neighbour in |+> a shift by ζ as long as it is in |1>."""
    backend, noise, parameters = guadalupe
    parameters = replace(parameters, coherent_share=0.0)  # over-rotated neighbours are in |1> more often than not
    tau = 2e-6
    plain = IdleCoherence.plan(backend.target, windows_seconds=[tau], seed=1)
    shots = 4000
    counts = [
        _counts(sample_with_memory(circuit, noise, parameters, shots, (3, k)).bits)
        for k, circuit in enumerate(plain.circuits(backend.target))
    ]
    found = plain.analyze(counts, "simulated").windows[0]
    pulls = []
    for q, value in found.qubits.items():
        # A pulse acts in its middle, so that the windows are longer by one pulse, that of length 0 as well.
        pulse = backend.target["sx"][(q,)].duration
        transverse = _coherence(parameters, q, tau + pulse) / _coherence(parameters, q, pulse)
        expected = (2 * transverse + np.exp(-tau / parameters.t1_seconds[q])) / 3
        pulls.append((value.value - expected) / found.errors[q])
    assert np.sum(np.square(pulls)) < chi2.ppf(1 - 1e-4, len(pulls))
    assert 0.6 < found.median.value < 0.76


def _coherence(parameters, q, tau):
    """What is left along x of |+> after `tau`, the neighbours in |+> as well."""
    coherence = np.exp(-tau / parameters.t2_seconds[q] - (parameters.detuning_rad_per_s[q] * tau) ** 2 / 2)
    coherence *= np.cos(parameters.parity_rad_per_s[q] * tau)
    for (a, b), zeta in zip(parameters.edges, parameters.zeta_rad_per_s, strict=True):
        if q in (a, b):
            rate = 1 / parameters.t1_seconds[a + b - q]
            stayed = np.exp(-(rate + 1j * zeta) * tau)
            decayed = rate * (1 - stayed) / (rate + 1j * zeta)
            coherence = coherence * (1 + stayed + decayed) / 2
    return coherence.real


@pytest.mark.parametrize("excited", [False, True])
def test_a_spectator_of_a_driven_pair_sees_half_of_its_zz(guadalupe, excited):
    """The first qubit of a cx is flipped halfway and the second is driven about x: their neighbours turn by half of ζ
    times the gate's length, whatever the first qubit holds."""
    backend, noise, parameters = guadalupe
    still = replace(
        parameters, t1_seconds=np.full(16, np.inf), t2_seconds=np.full(16, np.inf), reads_one=np.zeros(16),
        detuning_rad_per_s=np.zeros(16), parity_rad_per_s=np.zeros(16), reads_zero=np.zeros(16), coherent_share=0.0,
        zeta_rad_per_s=4 * parameters.zeta_rad_per_s,
    )  # fmt: skip
    zeta = dict(zip(still.edges, still.zeta_rad_per_s, strict=True))
    shots = 20_000
    for spectator, edge in ((0, (0, 1)), (3, (2, 3))):  # of the first and of the second qubit of cx 1, 2
        circuit = QuantumCircuit(16, 1)
        if excited:
            circuit.x(1)
        circuit.barrier(*range(16))
        circuit.rz(math.pi / 2, spectator)
        circuit.sx(spectator)
        circuit.rz(math.pi / 2, spectator)
        circuit.barrier(*range(16))
        circuit.cx(1, 2)
        circuit.barrier(*range(16))
        circuit.sx(spectator)
        circuit.measure(spectator, 0)
        found = 2 * sample_with_memory(circuit, noise, still, shots, (6,)).bits.mean() - 1
        turned = zeta[edge] * backend.target["cx"][(1, 2)].duration / 2
        if excited:  # half a pulse before and after the gate the first qubit is in |1>, only after it the second
            turned += zeta[edge] * backend.target["sx"][(spectator,)].duration * (1.0 if spectator == 0 else 0.5)
        # From |+>, exp(-i angle n) and sx: P(1) - P(0) = sin(angle), up to the sign that sx gives it.
        assert abs(abs(found) - abs(math.sin(turned))) < 4.5 / math.sqrt(shots)


def test_only_staggered_pulses_undo_zz(guadalupe):
    backend, noise, parameters = guadalupe
    medians = {}
    for sequence in (X2, X2_STAGGERED):
        protocol = IdleCoherence.plan(
            backend.target, windows_seconds=[2e-6], seed=1, sequence=sequence, virtual_z=False
        )
        counts = [
            _counts(sample_with_memory(circuit, noise, parameters, 1000, (4, k)).bits)
            for k, circuit in enumerate(protocol.circuits(backend.target))
        ]
        window = protocol.analyze(counts, "simulated").windows[0]
        medians[sequence.name] = window.median.value
    assert medians["X2"] < 0.9 < medians["X2 staggered"]
    assert medians["X2 staggered"] > window.ceiling_median - 0.03


@pytest.mark.parametrize("seed", range(3))
def test_without_memory_it_answers_as_the_memoryless_twin(seed):
    """The two are of different make: fused transfer matrices there, trajectories with jumps here."""
    backend = FakeManilaV2()
    noise = DeviceNoise(backend)
    parameters = read_parameters(backend, MEMORYLESS, noise)
    parameters = replace(parameters, zeta_rad_per_s=np.zeros(len(parameters.edges)))
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(5, 4)
    for _ in range(12):
        for qubit in range(4):
            circuit.rz(float(rng.uniform(0, 6)), qubit)
            circuit.sx(qubit)
        low = int(rng.integers(3))
        circuit.barrier()
        circuit.cx(low, low + 1)
        for qubit in {0, 1, 2, 3} - {low, low + 1}:
            circuit.delay(noise.target["cx"][low, low + 1].duration, qubit, unit="s")
        circuit.barrier()
    circuit.x(2)
    circuit.measure(range(4), range(4))
    shots = 20_000
    ours = _counts(sample_with_memory(circuit, noise, parameters, shots, (seed,)).bits)
    theirs = SimulatedQpu(backend).run(circuit, shots=shots, seed_simulator=seed).result().get_counts()
    both = [(ours[key], theirs.get(key, 0)) for key in set(ours) | set(theirs)]
    statistic = sum((a - b) ** 2 / (a + b) for a, b in both)
    assert statistic < chi2.ppf(1 - 1e-5, len(both) - 1)


def test_equal_seeds_give_equal_bits_on_any_number_of_threads(guadalupe):
    backend, noise, parameters = guadalupe
    circuit = IdleCoherence.plan(backend.target, windows_seconds=[1e-6], seed=1).circuits(backend.target)[8]
    one, two = (sample_with_memory(circuit, noise, parameters, 300, (9,), threads=t).bits for t in (1, 2))
    assert (one == two).all() and not (sample_with_memory(circuit, noise, parameters, 300, (8,)).bits == one).all()


def test_too_many_entangled_qubits_are_refused():
    backend = FakeSherbrooke()
    noise = DeviceNoise(backend)
    circuit = QuantumCircuit(127, 1)
    line = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19]
    for a, b in itertools.pairwise(line):
        circuit.sx(a)
        circuit.sx(b)
        circuit.append(*_ecr(backend, a, b))
        circuit.rz(0.3, b)
    for qubit in line:
        circuit.sx(qubit)
    circuit.measure(0, 0)
    with pytest.raises(InfeasibleError, match="entangle 27 qubits; with memory at most 24"):
        sample_with_memory(circuit, noise, read_parameters(backend, NoiseAssumptions(), noise), 1, (1,))


def _ecr(backend, a, b):
    from qiskit.circuit.library import ECRGate

    pair = (a, b) if backend.target.instruction_supported("ecr", (a, b)) else (b, a)
    return ECRGate(), list(pair)


def test_experiments_of_others_run_on_a_twin():
    """The runtime's sampler passes a measurement level on, as qiskit-experiments asks for it."""
    twin = SimulatedQpu(FakeManilaV2(), NoiseAssumptions())
    circuit = QuantumCircuit(5, 1)
    circuit.x(2)
    circuit.measure(2, 0)
    sampler = SamplerV2(mode=twin)
    sampler.options.execution.meas_type = "classified"
    counts = sampler.run([circuit], shots=300).result()[0].data.c.get_counts()
    assert counts["1"] > 250 and sum(counts.values()) == 300
    with pytest.raises(InputError, match="meas_level 1"):
        twin.run(circuit, meas_level=1)


def test_a_twin_may_be_given_other_figures():
    twin = SimulatedQpu(FakeManilaV2(), NoiseAssumptions())
    quiet = twin.with_parameters(replace(twin.parameters, zeta_rad_per_s=0 * twin.parameters.zeta_rad_per_s))
    assert not quiet.parameters.zeta_rad_per_s.any() and twin.parameters.zeta_rad_per_s.any()
    assert quiet.target is twin.target and quiet.noise_description == twin.noise_description
