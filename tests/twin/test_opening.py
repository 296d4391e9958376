"""Opening QPUs by name, import path and through a service that is made up here; the one SamplerV2 path."""

from __future__ import annotations

import types

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.primitives import BackendSamplerV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from qrex.errors import InputError, PlatformError
from qrex.platform import NoiseAssumptions, QpuDescription, load_platform
from qrex.twin import open_qpu
from qrex.twin.qpu import calibration_hash


@pytest.fixture(scope="module")
def qpu():
    return open_qpu(load_platform("fake_manila").qpus[0])


def _two_registers():
    """|q0 q1 q2⟩ = 1 0 1 into registers a (bit of q0) and b (bits of q1, q2)."""
    circuit = QuantumCircuit(QuantumRegister(5), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"))
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def test_a_snapshot_opens_as_simulated(qpu):
    assert (qpu.name, qpu.source, qpu.num_qubits) == ("fake_manila", "simulated", 5)
    assert qpu.rep_delay_seconds == FakeManilaV2().default_rep_delay
    assert qpu.calibration_date == FakeManilaV2().properties().last_update_date.isoformat()
    assert "no memory" in qpu.noise_description and "no ZZ" in qpu.noise_description


def test_joint_bit_strings_put_the_first_register_rightmost(qpu):
    (counts,) = qpu.run([_two_registers()], shots=500, seed=0)
    assert sum(counts.values()) == 500
    assert max(counts, key=counts.get) == "101"
    one = QuantumCircuit(QuantumRegister(5), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"))
    one.x(0)
    one.measure([0, 1, 2], [0, 1, 2])
    (counts,) = qpu.run([one], shots=500, seed=0)
    assert max(counts, key=counts.get) == "001"


def test_seeds_repeat_and_seed_zero_is_a_seed(qpu):
    circuits = [_two_registers(), _two_registers()]
    first = qpu.run(circuits, shots=200, seed=0)
    assert first == qpu.run(circuits, shots=200, seed=0)
    assert first[0] != first[1]  # circuits of one job draw apart
    assert first != qpu.run(circuits, shots=200, seed=1)


def test_both_samplers_run_the_backend(qpu):
    circuit = _two_registers()
    ours = qpu.run([circuit], shots=300, seed=4)[0]
    sampler = SamplerV2(mode=qpu.backend)
    sampler.options.simulator.seed_simulator = 5
    data = sampler.run([circuit], shots=300).result()[0].data
    joined = [b + a for b, a in zip(data.b.get_bitstrings(), data.a.get_bitstrings(), strict=True)]
    assert {word: joined.count(word) for word in set(joined)} == ours
    plain = BackendSamplerV2(backend=qpu.backend, options={"seed_simulator": 5})
    assert plain.run([circuit], shots=300).result()[0].data.b.get_counts() == data.b.get_counts()


def test_device_time_is_the_stated_model(qpu):
    assert qpu.device_seconds([1e-5, 2e-5], 1000) == pytest.approx(2 * 1000 * 250e-6 + 1000 * 3e-5)
    slow = open_qpu(
        QpuDescription("m", "fake", "fake_manila", rep_delay_seconds=1e-3, job_overhead_seconds=2.0)
    )
    assert slow.device_seconds([0.0], 10) == pytest.approx(2.01)
    done = slow.execute([_two_registers()], 10, 1)
    assert done.device_seconds_source == "model"
    assert done.device_seconds == pytest.approx(2.01 + 10 * slow.circuit_seconds(_two_registers()))


def test_circuit_seconds_equals_qiskits_estimate(qpu):
    circuit = QuantumCircuit(5, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.delay(13_504, 1, unit="dt")
    circuit.cx(1, 2)
    circuit.measure([1, 2], [0, 1])
    assert qpu.circuit_seconds(circuit) == pytest.approx(circuit.estimate_duration(qpu.target), rel=1e-9)


def test_circuit_seconds_takes_the_longer_branch(qpu):
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)) as otherwise:
        circuit.delay(1, 3, unit="us")
    with otherwise:
        circuit.delay(7, 3, unit="us")
    measure = qpu.target["measure"][(0,)].duration
    assert qpu.circuit_seconds(circuit) == pytest.approx(measure + 7e-6)


def test_bits_outside_registers_and_too_many_shots_are_refused(qpu):
    from qiskit.circuit import Clbit, Qubit

    loose = QuantumCircuit([Qubit() for _ in range(5)], [Clbit()])
    loose.measure(0, 0)
    with pytest.raises(InputError, match="ClassicalRegisters"):
        qpu.run([loose], 10, 1)
    small = open_qpu(QpuDescription("m", "fake", "fake_manila", max_shots=5))
    with pytest.raises(InputError, match="at most 5"):
        small.run([_two_registers()], 10, 1)


def test_the_calibration_id_hears_every_number():
    target = FakeManilaV2().target
    before = calibration_hash(target)
    with_memory = calibration_hash(target, NoiseAssumptions())
    assert before != with_memory != calibration_hash(target, NoiseAssumptions(zz_hz=1e3))
    assert before == calibration_hash(FakeManilaV2().target)
    properties = target["cx"][(0, 1)]
    properties.error = properties.error * 1.01
    target.update_instruction_properties("cx", (0, 1), properties)
    assert calibration_hash(target) != before


def test_a_twin_with_memory_says_so_and_answers():
    plain = open_qpu(QpuDescription("m", "fake", "fake_manila"))
    twin = open_qpu(QpuDescription("m", "fake", "fake_manila", noise=NoiseAssumptions()))
    assert "no memory" in plain.noise_description and "with memory" in twin.noise_description
    assert plain.calibration_id != twin.calibration_id and plain.backend.parameters is None
    assert twin.backend.parameters.origins["T2*"] == "assumed: 0.6 of T2"
    # |+> on neighbours for 6 us: ZZ and the static detuning turn the phase, T2 alone would leave most of it.
    circuit = QuantumCircuit(5, 1)
    for qubit in (0, 1):
        circuit.rz(np.pi / 2, qubit)
        circuit.sx(qubit)
        circuit.rz(np.pi / 2, qubit)
        circuit.delay(6000, qubit, unit="ns")
    circuit.barrier(0, 1)
    circuit.rz(np.pi / 2, 0)
    circuit.sx(0)
    circuit.rz(np.pi / 2, 0)
    circuit.measure(0, 0)
    (kept,), (turned,) = plain.run([circuit], 2000, 1), twin.run([circuit], 2000, 1)
    assert min(kept.values()) < 300 < min(turned.values())
    assert twin.run([circuit], 2000, 1) == [turned]


def test_a_worker_opens_the_same_twin():
    from qrex.execute.jobs import open_qpu_once

    description = QpuDescription("m", "fake", "fake_manila", noise=NoiseAssumptions(parity_hz=3e3))
    assert open_qpu_once(description).calibration_id == open_qpu(description).calibration_id
    assert open_qpu_once(description).backend.parameters.parity_rad_per_s[0] == pytest.approx(2 * np.pi * 3e3)


def test_a_device_that_answers_by_itself_takes_no_noise():
    description = QpuDescription("aer", "import", "qiskit_aer:AerSimulator", noise=NoiseAssumptions())
    with pytest.raises(PlatformError, match="answers by itself"):
        open_qpu(description)


GENERIC = GenericBackendV2(num_qubits=3, seed=1)


@pytest.mark.parametrize(
    ("spec", "simulated_here"),
    [
        ("qiskit_ibm_runtime.fake_provider:FakeManilaV2", True),
        ("made_up_devices:INSTANCE", True),
        ("made_up_devices:factory", True),
        ("made_up_devices:answers_itself", False),
    ],
)
def test_import_paths(spec, simulated_here, monkeypatch):
    module = types.ModuleType("made_up_devices")
    module.INSTANCE = GENERIC
    module.factory = lambda: GENERIC
    module.answers_itself = lambda: AerSimulator(n_qubits=3)
    monkeypatch.setitem(__import__("sys").modules, "made_up_devices", module)
    opened = open_qpu(QpuDescription("own", "import", spec))
    assert opened.source == "simulated"
    assert ("calibration" in opened.noise_description) == simulated_here
    circuit = QuantumCircuit(opened.num_qubits if simulated_here else 3, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    (counts,) = opened.run([circuit], 200, 1)
    assert counts["1"] > 150


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (QpuDescription("x", "fake", "fake_manilla"), "nearest: fake_manila"),
        (QpuDescription("x", "import", "no_such_package_here:X"), "cannot be imported"),
        (QpuDescription("x", "import", "qiskit.providers:BackendV3"), "nearest: BackendV2"),
        (QpuDescription("x", "import", "qiskit:QuantumCircuit"), "a BackendV2 is needed"),
        (QpuDescription("x", "import", "math:pi"), "a BackendV2 is needed"),
        (QpuDescription("x", "import", "math:sqrt"), "could not be made without arguments"),
    ],
)
def test_refusals(description, words):
    with pytest.raises(PlatformError, match=words):
        open_qpu(description)


class _Service:
    """A runtime service whose one device is a snapshot, so that the live path runs without a network."""

    def __init__(self, *, instance: str):
        self.instance = instance

    def backend(self, name):
        if name != "ibm_manila":
            raise LookupError("not here")
        return FakeManilaV2()

    def backends(self):
        return [types.SimpleNamespace(name="ibm_manila")]


def test_live_devices_go_through_the_same_sampler():
    description = QpuDescription("real", "live", "ibm_manila", options={"instance": "crn"})
    opened = open_qpu(description, service=_Service)
    assert opened.source == "hardware"
    (counts,) = opened.run([_two_registers()], 300, 1)
    assert max(counts, key=counts.get) == "101"
    missing = QpuDescription("real", "live", "ibm_manilla", options={"instance": "crn"})
    with pytest.raises(PlatformError, match="this account has: ibm_manila"):
        open_qpu(missing, service=_Service)


def test_a_live_device_without_an_account_says_what_to_do():
    def no_account():
        raise RuntimeError("unable to find account")

    with pytest.raises(PlatformError, match="save_account") as refusal:
        open_qpu(QpuDescription("real", "live", "ibm_torino"), service=no_account)
    assert 'fake = "fake_torino"' in str(refusal.value)
