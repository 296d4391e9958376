"""The QPU engine: a made-up device for its own words, a simulated one for the whole path."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from qiskit import QuantumCircuit

from qrex.circuits import Circuit
from qrex.engines.protocol import Allotment, Engine, Job
from qrex.engines.qpu import QpuEngine
from qrex.errors import EngineError, InputError
from qrex.platform import load_platform
from qrex.profile import Profile
from qrex.twin import open_qpu
from qrex.twin.qpu import QpuRun

ALLOTMENT = Allotment(threads=1, memory_bytes=1 << 30)


@dataclass
class _Device:
    """Answers one fixed count, or raises."""

    failure: Exception | None = None
    name: str = "made_up"
    source: str = "hardware"
    calibration_id: str = "0" * 16
    calibration_date: str | None = None
    noise_description: str = "none"
    max_shots: int | None = 5000
    num_qubits: int = 4
    seen: list = field(default_factory=list)

    def device_seconds(self, durations, shots):
        return sum(shots * (1e-3 + d) for d in durations)

    def execute(self, circuits, shots, seed):
        if self.failure:
            raise self.failure
        self.seen.append((circuits, shots, seed))
        return QpuRun(({"0": shots},), 1.25, "hardware", 0.5)


def _profile(**changes):
    values = dict(
        circuit_id="c", num_qubits=4, active_qubits=2, num_clbits=1, depth=10, gate_counts={},
        one_qubit_gates=1, two_qubit_gates=1, many_qubit_gates=0, fused_blocks=1, is_clifford=True,
        non_clifford_gates=0, measurements=1, terminal_measurements_only=True, resets=0, conditionals=0,
        has_control_flow=False, components=1, widest_component=2, max_log2_schmidt=1.0, shots=100,
    )  # fmt: skip
    return Profile(**{**values, **changes})


def _job(quantum_circuit, shots=100, seed=3):
    circuit = Circuit("c", "bell", "<python>", "Qiskit", quantum_circuit)
    return Job(circuit=circuit, shots=shots, seed=seed)


def test_it_is_an_engine():
    assert isinstance(QpuEngine(_Device()), Engine)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"active_qubits": 5}, "needs 5 qubits; made_up has 4"),
        ({"measurements": 0}, "measures nothing"),
        ({"shots": 6000}, "takes 5000"),
    ],
)
def test_support(changes, words):
    support = QpuEngine(_Device()).supports(_profile(**changes))
    assert support.supported == (words == "")
    assert words in support.reason


def test_estimate_is_device_time_and_obeys_constants():
    cost = QpuEngine(_Device(), {"layer_seconds": 1e-4, "host_bytes": 7.0}).estimate(_profile(), ALLOTMENT)
    assert cost.seconds == pytest.approx(100 * (1e-3 + 10 * 1e-4))
    assert cost.peak_bytes == 7


def test_run_hands_over_everything_and_reports():
    device, marks = _Device(), []
    quantum_circuit = QuantumCircuit(1, 1)
    counts = QpuEngine(device).run(_job(quantum_circuit), ALLOTMENT, marks.append)
    assert device.seen == [([quantum_circuit], 100, 3)]
    assert (counts.counts, counts.shots) == ({"0": 100}, 100)
    assert counts.metadata["source"] == "hardware"
    assert (counts.metadata["device_seconds"], counts.metadata["host_seconds"]) == (1.25, 0.5)
    assert marks == [0.0, 1.0]


def test_strangers_errors_are_engine_errors_and_ours_stay():
    job = _job(QuantumCircuit(1, 1))
    with pytest.raises(EngineError, match="made_up failed on bell: boom"):
        QpuEngine(_Device(RuntimeError("boom"))).run(job, ALLOTMENT, lambda _: None)
    with pytest.raises(InputError, match="mine"):
        QpuEngine(_Device(InputError("mine"))).run(job, ALLOTMENT, lambda _: None)


def test_a_bell_pair_on_a_simulated_device():
    qpu = open_qpu(load_platform("fake_manila").qpus[0])
    circuit = QuantumCircuit(5, 2)
    circuit.rz(1.5707963267948966, 0)
    circuit.sx(0)
    circuit.rz(1.5707963267948966, 0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    counts = QpuEngine(qpu).run(_job(circuit, shots=2000), ALLOTMENT, lambda _: None)
    assert counts.counts["00"] + counts.counts["11"] > 1700
    assert abs(counts.counts["00"] - counts.counts["11"]) < 5 * 2000**0.5 + 100
    assert counts.metadata["source"] == "simulated"
    assert counts.metadata["noise"].startswith("simulated")
