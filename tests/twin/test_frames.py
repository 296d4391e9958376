"""Wide Clifford circuits by Pauli frames: against trajectories that follow amplitudes, and where those cannot go."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeSherbrooke

from qrex.errors import InfeasibleError
from qrex.measure.coherence import IdleCoherence
from qrex.measure.sequences import X2, X2_STAGGERED
from qrex.platform import NoiseAssumptions
from qrex.twin.events import events_of
from qrex.twin.frames import clifford_gates, sample_frames
from qrex.twin.memory import sample_with_memory
from qrex.twin.noise import DeviceNoise
from qrex.twin.parameters import read_parameters

BACKEND = FakeGuadalupeV2()
NOISE = DeviceNoise(BACKEND)
KNOWN = read_parameters(BACKEND, NoiseAssumptions(coherent_share=0.0), NOISE)


def framed(circuit, shots, seed, known=KNOWN):
    events = events_of(circuit, NOISE, known)
    gates = clifford_gates(events)
    assert gates is not None
    return sample_frames(events, gates, known, shots, seed)


@pytest.mark.parametrize("sequence", [None, X2, X2_STAGGERED], ids=["idle", "aligned", "staggered"])
def test_idle_windows_are_those_of_the_trajectories(sequence):
    """Q of 16 qubits needs the detuning of a shot, ZZ with all neighbors, and the signs of pulses."""
    plan = IdleCoherence.plan(BACKEND.target, windows_seconds=[1.5e-6], seed=2, sequence=sequence, virtual_z=False)
    circuits = plan.circuits(BACKEND.target)
    both = []
    for sample in (
        lambda c, k: framed(c, 3000, k),
        lambda c, k: sample_with_memory(c, NOISE, KNOWN, 3000, (k,)).bits,
    ):
        counts = []
        for k, circuit in enumerate(circuits):
            rows, times = np.unique(sample(circuit, k), axis=0, return_counts=True)
            counts.append({"".join(map(str, row[::-1])): int(n) for row, n in zip(rows.tolist(), times, strict=True)})
        both.append(plan.analyze(counts, "simulated").windows[0])
    apart = np.array([both[0].qubits[q].value - both[1].qubits[q].value for q in range(16)])
    spread = np.array([math.hypot(both[0].errors[q], both[1].errors[q]) for q in range(16)])
    # A neighbor that decays within the window shifts no more from then on; frames leave that out.
    assert (np.abs(apart) < 4 * spread + 0.01).all()
    assert np.mean(np.abs(apart)) < 0.015 and abs(both[0].median.value - both[1].median.value) < 0.02


def test_entangling_circuits_agree_with_trajectories():
    """A mirror of random Cliffords: the share of zeros, which loses by every error there is."""
    rng = np.random.default_rng(4)
    half = QuantumCircuit(16)
    links = [(1, 2), (2, 3), (3, 5), (5, 8), (8, 11)]
    for _ in range(4):
        for qubit in (1, 2, 3, 5, 8, 11):
            half.rz(math.pi / 2 * int(rng.integers(4)), qubit)
            half.sx(qubit)
        for a, b in links[int(rng.integers(2)) :: 2]:
            half.cx(a, b)
        half.barrier()
    circuit = QuantumCircuit(16, 6)
    circuit.compose(half, inplace=True)
    for one in reversed(half.data):  # sx† = rz(π)·sx·rz(π), of native gates
        places = [half.find_bit(q).index for q in one.qubits]
        if one.name == "sx":
            circuit.rz(math.pi, places[0])
            circuit.sx(places[0])
            circuit.rz(math.pi, places[0])
        elif one.name == "rz":
            circuit.rz(-one.operation.params[0], places[0])
        else:
            circuit.append(one.operation, places)
    circuit.measure((1, 2, 3, 5, 8, 11), range(6))
    exact = sample_with_memory(circuit, NOISE, KNOWN, 6000, (3,)).bits
    found = framed(circuit, 6000, 3)
    zeros = [float((bits.sum(axis=1) == 0).mean()) for bits in (exact, found)]
    assert 0.2 < zeros[0] < 0.9
    assert zeros[1] == pytest.approx(zeros[0], abs=0.04)  # phases of different windows add up differently
    quiet = replace(
        KNOWN, zeta_rad_per_s=0 * KNOWN.zeta_rad_per_s, detuning_rad_per_s=0 * KNOWN.detuning_rad_per_s,
        parity_rad_per_s=0 * KNOWN.parity_rad_per_s,
    )  # fmt: skip
    exact = sample_with_memory(circuit, NOISE, quiet, 6000, (3,)).bits
    assert float((framed(circuit, 6000, 5, quiet).sum(axis=1) == 0).mean()) == pytest.approx(
        float((exact.sum(axis=1) == 0).mean()), abs=0.03
    )


def test_without_noise_it_is_the_circuit():
    never, none = np.full(16, math.inf), np.zeros(16)
    silent = replace(
        KNOWN, t1_seconds=never, t2_seconds=never, detuning_rad_per_s=none, parity_rad_per_s=none, reads_one=none,
        reads_zero=none, zeta_rad_per_s=0 * KNOWN.zeta_rad_per_s,
    )  # fmt: skip
    circuit = QuantumCircuit(16, 3)
    circuit.rz(math.pi / 2, 1)
    circuit.sx(1)
    circuit.rz(math.pi / 2, 1)
    circuit.cx(1, 2)
    circuit.cx(2, 3)
    circuit.x(2)
    circuit.measure((1, 2, 3), range(3))
    events = events_of(circuit, NOISE, silent)
    events.values[np.isin(events.kinds, (6, 7)), 1] = 0.0  # gate errors
    bits = sample_frames(events, clifford_gates(events), silent, 4000, 9)
    assert (bits[:, 0] == bits[:, 2]).all() and (bits[:, 1] != bits[:, 0]).all()
    assert 0.45 < bits[:, 0].mean() < 0.55


def test_a_wide_ghz_state_runs_and_decays_with_its_width():
    backend = FakeSherbrooke()
    noise = DeviceNoise(backend)
    known = read_parameters(backend, NoiseAssumptions(), noise)
    def ghz(width):
        circuit = QuantumCircuit(127, width)
        chain = [*range(18, 33), 36, *range(51, 37, -1)][:width]  # two rows of the lattice
        for a, b in pairwise(chain):
            pair = (a, b) if (a, b) in backend.target["ecr"] else (b, a)
            circuit.rz(math.pi / 2, a)
            circuit.sx(a)
            circuit.append(backend.target.operation_from_name("ecr"), pair)
        circuit.measure(chain, range(width))
        return circuit

    sample = sample_with_memory(ghz(30), noise, known, 300, (1,))
    assert sample.frames and sample.bits.shape == (300, 30)
    assert (sample.bits == sample_with_memory(ghz(30), noise, known, 300, (1,)).bits).all()
    assert not sample_with_memory(ghz(10), noise, known, 50, (1,)).frames
    other = ghz(30)
    other.data.insert(5, other.data[0].replace(operation=other.data[0].operation.__class__(0.3)))
    with pytest.raises(InfeasibleError, match="not all Clifford entangle 30 qubits"):
        sample_with_memory(other, noise, known, 50, (1,))
