"""The success evaluator against closed forms, and against noisy simulation of mirror circuits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Delay, IfElseOp, Parameter, Reset
from qiskit.circuit.library import CXGate, Measure, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2
from scipy.stats import spearmanr

from qrex.compilation import ErrorTable, compile_baseline, idle_log_fidelity, predict_success
from qrex.errors import InputError

T1, T2 = 50e-6, 40e-6
ONE_QUBIT_ERROR, TWO_QUBIT_ERROR, READOUT_ERROR = 1e-2, 4e-2, 3e-2


def made_up_target(num_qubits: int = 3) -> Target:
    """A line of qubits whose gates take no time worth mentioning, so that errors are exactly those given."""
    target = Target(num_qubits=num_qubits, dt=1e-9,
                    qubit_properties=[QubitProperties(t1=T1, t2=T2) for _ in range(num_qubits)])
    ones = range(num_qubits)
    target.add_instruction(RZGate(Parameter("a")), {(q,): InstructionProperties(0.0, 0.0) for q in ones})
    for gate in (XGate(), SXGate()):
        target.add_instruction(gate, {(q,): InstructionProperties(1e-9, ONE_QUBIT_ERROR) for q in ones})
    pairs = [(a, a + 1) for a in range(num_qubits - 1)]
    target.add_instruction(CXGate(), {pair: InstructionProperties(5e-9, TWO_QUBIT_ERROR) for pair in pairs})
    target.add_instruction(Measure(), {(q,): InstructionProperties(1e-6, READOUT_ERROR) for q in ones})
    target.add_instruction(Reset(), {(q,): InstructionProperties(1e-6, None) for q in ones})
    target.add_instruction(Delay(Parameter("t")), {(q,): None for q in ones})
    target.add_instruction(IfElseOp, name="if_else")
    return target


GATE_1Q = 1 - 1.5 * ONE_QUBIT_ERROR
GATE_2Q = 1 - 1.25 * TWO_QUBIT_ERROR
READOUT = 1 - READOUT_ERROR


def relaxation(seconds: float) -> float:
    return (1 + math.exp(-seconds / T1) + 2 * math.exp(-seconds / T2)) / 4


def test_bell_circuit_is_the_product_of_its_parts():
    qc = QuantumCircuit(3, 2)
    qc.sx(0)
    qc.rz(0.3, 0)
    qc.cx(0, 1)
    qc.delay(2000, 1, "dt")
    qc.measure([0, 1], [0, 1])
    found = predict_success(qc, made_up_target())
    assert found.gates == pytest.approx(GATE_1Q * GATE_2Q)
    assert found.idle == pytest.approx(relaxation(2e-6))
    assert found.readout == pytest.approx(READOUT**2)
    assert found.success == pytest.approx(found.gates * found.idle * found.readout)


def test_only_the_light_cone_of_the_measured_qubits_counts():
    qc = QuantumCircuit(3, 1)
    qc.x(0)
    qc.cx(1, 2)  # touches nothing that is measured
    qc.measure(0, 0)
    qc.x(0)  # after its measurement
    assert predict_success(qc, made_up_target()).success == pytest.approx(GATE_1Q * READOUT)


def test_the_ground_state_waits_free_of_charge():
    qc = QuantumCircuit(3, 1)
    qc.delay(30, 0, "us")
    qc.x(0)
    qc.delay(1, 0, "us")  # lost by the reset
    qc.reset(0)
    qc.delay(30, 0, "us")
    qc.x(0)
    qc.delay(2, 0, "us")
    qc.measure(0, 0)
    found = predict_success(qc, made_up_target())
    assert found.idle == pytest.approx(relaxation(2e-6))
    assert found.gates == pytest.approx(GATE_1Q)  # what stood before the reset does not matter


def test_a_barrier_does_not_part_a_delay_but_a_gate_does():
    with_barrier, with_gate = QuantumCircuit(3, 1), QuantumCircuit(3, 1)
    for qc in (with_barrier, with_gate):
        qc.x(0)
        qc.delay(20, 0, "us")
        qc.barrier() if qc is with_barrier else qc.x(0)
        qc.delay(20, 0, "us")
        qc.measure(0, 0)
    assert predict_success(with_barrier, made_up_target()).idle == pytest.approx(relaxation(40e-6))
    assert predict_success(with_gate, made_up_target()).idle == pytest.approx(relaxation(20e-6) ** 2)


def test_no_measurement_means_all_qubits_matter():
    qc = QuantumCircuit(3)
    qc.x(0)
    qc.cx(1, 2)
    assert predict_success(qc, made_up_target()).success == pytest.approx(GATE_1Q * GATE_2Q)


def test_control_flow_charges_every_branch_and_every_pass():
    qubits, bits = QuantumRegister(3, "q"), ClassicalRegister(1, "c")
    qc = QuantumCircuit(qubits, bits)
    qc.x(0)
    qc.measure(0, 0)
    with qc.if_test((bits[0], 1)) as otherwise:
        qc.x(1)
    with otherwise:
        qc.x(1)
        qc.x(1)
    with qc.for_loop(range(4)):
        qc.x(2)
    found = predict_success(qc, made_up_target())
    assert found.gates == pytest.approx(GATE_1Q ** (1 + 3 + 4))
    assert found.readout == pytest.approx(READOUT)


def test_relaxation_fidelity_has_the_limits_of_the_channel():
    assert idle_log_fidelity(0.0, 1 / T1, 1 / T2) == 0
    assert math.exp(idle_log_fidelity(1.0, 1 / T1, 1 / T2)) == pytest.approx(0.25)  # nothing is left
    assert math.exp(idle_log_fidelity(3e-6, 1 / T1, 1 / T2)) == pytest.approx(relaxation(3e-6))
    assert math.exp(idle_log_fidelity(3e-6, 0.0, 0.0)) == 1


def test_a_gate_reported_better_than_relaxation_allows_is_charged_the_relaxation():
    target = made_up_target()
    slow = 5e-6
    target.update_instruction_properties("x", (0,), InstructionProperties(slow, 1e-6))
    qc = QuantumCircuit(3, 1)
    qc.x(0)
    qc.measure(0, 0)
    assert predict_success(qc, target).gates == pytest.approx(relaxation(slow))


def test_t2_is_clipped_to_twice_t1():
    target = Target(num_qubits=1, dt=1e-9, qubit_properties=[QubitProperties(t1=1e-6, t2=5e-6)])
    target.add_instruction(XGate(), {(0,): InstructionProperties(1e-9, 0.0)})
    assert ErrorTable.from_target(target).t2_rates[0] == pytest.approx(1 / 2e-6)


def test_an_instruction_that_the_device_lacks_is_named():
    qc = QuantumCircuit(3)
    qc.h(0)
    with pytest.raises(InputError, match=r"'h'.*compile the circuit"):
        predict_success(qc, made_up_target())
    reverse = QuantumCircuit(3)
    reverse.cx(1, 0)
    with pytest.raises(InputError, match=r"not on qubits \(1, 0\)"):
        predict_success(reverse, made_up_target())


def mirror_circuit(num_qubits: int, depth: int, seed: int) -> QuantumCircuit:
    """Random Clifford layers and their inverse: without noise every shot is 0…0."""
    rng = np.random.default_rng(seed)
    half = QuantumCircuit(num_qubits)
    for _ in range(depth):
        for qubit in range(num_qubits):
            for gate in ((half.h,), (half.s,), (half.sx,), (half.h, half.s))[rng.integers(4)]:
                gate(qubit)
        order = [int(qubit) for qubit in rng.permutation(num_qubits)]
        for a, b in zip(order[::2], order[1::2], strict=False):
            half.cx(a, b)
    full = half.copy()
    full.barrier()
    full.compose(half.inverse(), inplace=True)
    full.measure_all()
    return full


@pytest.mark.parametrize("make_backend", [FakeGuadalupeV2, FakeManilaV2])
def test_prediction_follows_noisy_simulation_of_mirror_circuits(make_backend):
    """The measured chance of 0…0 is bounded below by the prediction, ranks like it, and lies within 0.1."""
    backend, shots = make_backend(), 2000
    simulator = AerSimulator.from_backend(backend)
    predicted, measured = [], []
    for num_qubits, depth in ((3, 1), (3, 4), (4, 1), (4, 2), (4, 4), (5, 1), (5, 3), (5, 6)):
        mirror = mirror_circuit(num_qubits, depth, 10 * num_qubits + depth)
        compiled = compile_baseline(mirror, backend, seed=depth)
        counts = simulator.run(compiled.circuit, shots=shots, seed_simulator=5).result().get_counts()
        predicted.append(compiled.predicted_success)
        measured.append(counts.get("0" * num_qubits, 0) / shots)
    excess = np.array(measured) - np.array(predicted)
    assert max(predicted) - min(predicted) > 0.4  # the range is wide enough for the rest to mean something
    assert spearmanr(predicted, measured).statistic > 0.9
    assert excess.min() > -3 * 0.5 / math.sqrt(shots)
    assert excess.max() < 0.1
