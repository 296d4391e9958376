"""Readout is calibrated to what the device does, and undone where it can be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from qrex.errors import InfeasibleError, InputError
from qrex.measure.readout import ReadoutCalibration
from qrex.suppress import mitigate_readout
from qrex.suppress.readout import LABEL, nearest_distribution
from qrex.twin import SimulatedQpu


def confusions(rng, count):
    up, down = rng.uniform(0.01, 0.08, (2, count))
    return [np.array([[1 - u, d], [u, 1 - d]]) for u, d in zip(up, down, strict=True)]


def read(ideal, matrices):
    """The exact distribution that is read: the whole 2**n matrix, qubit 0 least significant."""
    whole = np.eye(1)
    for matrix in matrices:
        whole = np.kron(matrix, whole)
    return whole @ ideal


def test_exact_shares_of_all_outcomes_give_the_ideal_back():
    rng = np.random.default_rng(3)
    for n in (1, 3, 5):
        matrices = confusions(rng, n)
        ideal = rng.dirichlet(np.full(2**n, 0.3))
        shares = read(ideal, matrices)
        scale = 10**12
        counts = {format(v, f"0{n}b"): round(scale * p) for v, p in enumerate(shares)}
        found = mitigate_readout(counts, matrices)
        assert found.label == LABEL and found.overhead > 1
        for value, p in enumerate(ideal):
            assert found.quasi[format(value, f"0{n}b")] == pytest.approx(p, abs=1e-6)


def test_bits_belong_to_their_own_matrices():
    """Bit 1 alone is misread: the first from the left of two."""
    perfect, bad = np.eye(2), np.array([[0.9, 0.2], [0.1, 0.8]])
    counts = {"00": 9000, "10": 1000}
    assert mitigate_readout(counts, [perfect, bad]).quasi["00"] == pytest.approx(1.0, abs=1e-6)
    other = mitigate_readout(counts, [bad, perfect]).quasi
    assert other["10"] == pytest.approx(0.1, abs=1e-6)


def test_mitigation_brings_sampled_counts_nearer_to_the_truth():
    rng = np.random.default_rng(5)
    n, gains = 8, []
    for _ in range(10):
        matrices = confusions(rng, n)
        ideal = np.zeros(2**n)
        ideal[0] = ideal[-1] = 0.5
        drawn = rng.multinomial(4000, read(ideal, matrices))
        counts = {format(v, f"0{n}b"): int(k) for v, k in enumerate(drawn) if k}
        found = mitigate_readout(counts, matrices).probabilities
        before, after = (
            sum(abs(one.get(format(v, f"0{n}b"), 0) - p) for v, p in enumerate(ideal)) / 2
            for one in ({k: c / 4000 for k, c in counts.items()}, found)
        )
        gains.append(after / before)
        assert sum(found.values()) == pytest.approx(1) and min(found.values()) >= 0
    assert max(gains) < 0.35


def test_calibration_finds_what_the_device_has():
    device = SimulatedQpu(FakeManilaV2())
    plan = ReadoutCalibration.plan(device.target, seed=1)
    result = device.run(plan.circuits(device.target), shots=20000, seed_simulator=4).result()
    found = plan.analyze([result.get_counts(0), result.get_counts(1)], "simulated")
    held = 0
    for qubit in range(5):
        truth = device.noise.readout_confusion(qubit)  # [read, prepared]
        held += found.one_for_zero[qubit].low <= truth[1, 0] <= found.one_for_zero[qubit].high
        # x comes with its own small error, and relaxation with it
        assert found.zero_for_one[qubit].value == pytest.approx(truth[0, 1], abs=0.006)
        assert found.confusion(qubit).sum(axis=0) == pytest.approx([1, 1])
    assert held >= 4
    with pytest.raises(InputError, match="not measured"):
        found.confusion(7)


def test_nearest_distribution_is_the_nearest():
    rng = np.random.default_rng(2)
    grid = np.array([p for p in itertools.product(np.linspace(0, 1, 41), repeat=2) if sum(p) <= 1])
    grid = np.column_stack([grid, 1 - grid.sum(axis=1)])
    for _ in range(20):
        quasi = rng.normal(1 / 3, 0.4, 3)
        quasi += (1 - quasi.sum()) / 3
        best = np.linalg.norm(grid - quasi, axis=1).min()
        found = nearest_distribution(quasi)
        assert np.linalg.norm(found - quasi) <= best + 1e-9 and found.sum() == pytest.approx(1)


def test_bad_matrices_are_refused():
    with pytest.raises(InputError, match="read at random"):
        mitigate_readout({"0": 5, "1": 5}, [np.full((2, 2), 0.5)])
    with pytest.raises(InputError, match="adding up to 1"):
        mitigate_readout({"0": 5}, [np.array([[0.9, 0.1], [0.2, 0.9]])])
    with pytest.raises(InputError, match="for each bit"):
        mitigate_readout({"0": 5}, [])
    with pytest.raises(InputError):
        mitigate_readout({"00": 5}, [np.eye(2)])
    many = {format(v, "014b"): 1 for v in range(9000)}
    with pytest.raises(InfeasibleError, match="marginals"):
        mitigate_readout(many, [np.array([[0.9, 0.1], [0.1, 0.9]])] * 14)
