"""The closed forms of the noise against Qiskit Aer's own model of the same devices, and channel algebra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit.circuit import Delay
from qiskit.circuit.library import CCXGate, CXGate, CZGate, ECRGate, SXGate, UGate
from qiskit.quantum_info import PTM, Kraus, Operator, SuperOp
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2, FakeSherbrooke

from qrex.errors import InputError
from qrex.twin.channels import kraus_operators, on_first, on_second, rotation_z, tensor, unitary_channel
from qrex.twin.noise import DeviceNoise


def _first_qubit_significant(matrix):
    """Qiskit's PTM has qubit 0 least significant; ours has the first qubit most significant."""
    return matrix.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)


@pytest.mark.parametrize(
    ("backend_class", "pair"),
    [(FakeGuadalupeV2, CXGate()), (FakeManilaV2, CXGate()), (FakeSherbrooke, ECRGate())],
)
def test_gate_errors_and_readout_equal_aer(backend_class, pair):
    backend = backend_class()
    noise, model = DeviceNoise(backend), backend._get_noise_model_from_backend_v2()
    for gate in (SXGate(), pair):
        for qubits in list(backend.target[gate.name])[:12]:
            aer = PTM(SuperOp(model._local_quantum_errors[gate.name][qubits])).data.real
            if len(qubits) == 2:
                aer = _first_qubit_significant(aer)
            assert np.abs(noise.gate_error(gate, qubits) - aer).max() < 1e-12
    for qubit in range(5):
        aer = model._local_readout_errors[(qubit,)].probabilities
        assert np.allclose(noise.readout_confusion(qubit).T, aer)


def test_gate_error_has_the_calibrated_average_infidelity():
    """Or relaxation's own, on the few links where the snapshot's T1 and T2 alone exceed its gate error."""
    backend = FakeGuadalupeV2()
    noise, as_calibrated = DeviceNoise(backend), 0
    for qubits, properties in backend.target["cx"].items():
        infidelity = 1 - (np.trace(noise.gate_error(CXGate(), qubits)) / 4 + 1) / 5
        if noise.error_parameters("cx", qubits)[0] > 0:
            assert infidelity == pytest.approx(properties.error, rel=1e-6)
            as_calibrated += 1
        else:
            assert infidelity > properties.error
    assert as_calibrated > 0.6 * len(backend.target["cx"])


def test_unitary_channel_equals_qiskit():
    gate = UGate(0.3, 1.1, -0.4)
    assert np.allclose(unitary_channel(gate.to_matrix()), PTM(Operator(gate)).data.real)
    cx = CXGate().to_matrix().reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    assert np.allclose(unitary_channel(cx), _first_qubit_significant(PTM(Operator(CXGate())).data.real))
    z = np.diag(np.exp([-0.35j, 0.35j]))
    assert np.allclose(rotation_z(0.7), unitary_channel(z))


def test_composition_on_one_side():
    rng = np.random.default_rng(3)
    a, b, pair = rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), rng.normal(size=(16, 16))
    assert np.allclose(on_first(a, pair), tensor(a, np.eye(4)) @ pair)
    assert np.allclose(on_second(b, pair), tensor(np.eye(4), b) @ pair)


def test_kraus_rebuild_the_channel_heaviest_first():
    noise = DeviceNoise(FakeManilaV2())
    matrix = noise.channel(CXGate(), (1, 0))
    kraus = kraus_operators(matrix)
    assert np.allclose(PTM(Kraus(list(kraus))).data.real, matrix)
    weights = [np.linalg.norm(k) ** 2 / 4 for k in kraus]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0.97


def test_delay_is_relaxation_with_the_calibrated_times():
    backend = FakeManilaV2()
    noise = DeviceNoise(backend)
    properties = backend.target.qubit_properties[2]
    matrix = noise.channel(Delay(20, "us"), (2,))
    assert matrix[3, 3] == pytest.approx(math.exp(-20e-6 / properties.t1))
    assert matrix[3, 0] == pytest.approx(1 - math.exp(-20e-6 / properties.t1))
    assert matrix[1, 1] == pytest.approx(math.exp(-20e-6 / min(properties.t2, 2 * properties.t1)))
    steps = noise.channel(Delay(9000, "dt"), (2,))
    assert np.allclose(steps, noise.channel(Delay(9000 * backend.target.dt, "s"), (2,)))


def test_what_cannot_be_run_is_refused():
    noise = DeviceNoise(FakeManilaV2())
    with pytest.raises(InputError, match="compile it first"):
        noise.channel(CCXGate(), (0, 1, 2))
    assert noise.gate_error(CZGate(), (0, 1)) is None  # not native here, hence not calibrated
