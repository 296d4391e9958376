"""The parts of the routing benchmark that decide: circuit forms, mirrors, the statistical test, the figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.classical import expr
from qiskit.circuit.library import CU3Gate, XXMinusYYGate
from qiskit.quantum_info import Operator, Statevector
from qiskit_aer import AerSimulator

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from routing_agreement import LEVEL, agreement_figures, p_value, spoiled
from routing_figures import finish_figures, prediction_figures, regret_figures, table
from routing_forms import is_unitary, mirror, to_cirq, to_openqasm


def gates() -> QuantumCircuit:
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    circuit.cu(0.3, 0.2, 0.5, 0.1, 0, 2)
    circuit.append(CU3Gate(0.4, 0.1, 0.9), [1, 3])
    circuit.append(XXMinusYYGate(0.4, 0.1), [1, 0])
    circuit.rccx(0, 1, 3)
    circuit.mcp(0.7, [0, 1, 2], 3)
    circuit.ccx(0, 2, 1, ctrl_state=1)
    circuit.rzx(0.4, 3, 0)
    circuit.u(0.1, 0.2, 0.3, 2)
    circuit.iswap(1, 2)
    inner = QuantumCircuit(2, name="inner")
    inner.dcx(0, 1)
    inner.crx(0.8, 1, 0)
    circuit.append(inner.to_gate(), [3, 1])
    circuit.unitary(Operator(inner), [0, 2])
    return circuit


def test_cirq_form_is_the_same_unitary():
    cirq = pytest.importorskip("cirq")
    circuit = gates()
    wanted = Operator(circuit.reverse_bits()).data  # Cirq's first qubit is the most significant one
    found = cirq.unitary(to_cirq(circuit))
    assert abs(np.trace(wanted.conj().T @ found)) / len(wanted) == pytest.approx(1, abs=1e-6)


def test_openqasm_form_samples_the_same():
    prism_q = pytest.importorskip("prism_q")
    circuit = gates()
    found = prism_q.simulate(prism_q.parse_qasm(to_openqasm(circuit))).seed(1).state_vector()
    assert abs(np.vdot(Statevector(circuit).data, found)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("value", "expected"), [(1, "1"), (0, "0")])
def test_openqasm_conditions_on_parities(value, expected):
    prism_q = pytest.importorskip("prism_q")
    circuit = QuantumCircuit(3, 3)
    circuit.x([0])
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test(expr.equal(expr.bit_xor(circuit.clbits[0], circuit.clbits[1]), bool(value))):
        circuit.x(2)
    circuit.measure(2, 2)
    counts = prism_q.simulate(prism_q.parse_qasm(to_openqasm(circuit))).seed(1).sample_counts(10).counts()
    assert {key[2] for key in counts} == {expected}  # the parity of the two bits is 1


def test_mirror_returns_and_notices_a_missing_gate():
    circuit = gates()
    circuit.measure_all()
    simulator = AerSimulator(method="statevector")

    def zeros(made: QuantumCircuit) -> float:
        return simulator.run(made.decompose(reps=6), shots=200, seed_simulator=1).result().get_counts().get("0000", 0)

    made = mirror(circuit)
    assert zeros(made) == 200
    broken = made.copy_empty_like()
    for place, instruction in enumerate(made.data):
        if place != 4:
            broken.append(instruction)
    assert zeros(broken) < 198


def test_mirror_holds_what_the_measured_qubits_depend_on():
    circuit = QuantumCircuit(3, 1)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.measure(1, 0)
    assert mirror(circuit).num_qubits == 3  # the last gate comes before the measurement
    early = QuantumCircuit(3, 1)
    early.h(0)
    early.measure(0, 0)
    early.cx(1, 2)
    assert mirror(early).num_qubits == 1
    again = QuantumCircuit(1, 1)
    again.measure(0, 0)
    again.h(0)
    assert is_unitary(early)
    assert not is_unitary(again)


def sample(probabilities: np.ndarray, shots: int, width: int, seed: int) -> dict[str, int]:
    times = np.random.default_rng(seed).multinomial(shots, probabilities)
    return {format(key, f"0{width}b"): int(number) for key, number in enumerate(times) if number}


@pytest.mark.parametrize("kind", ["uniform", "two", "one", "speckle"])
def test_agreement_is_seen_and_a_tenth_of_wrong_shots_too(kind):
    width = {"uniform": 10, "two": 8, "one": 8, "speckle": 8}[kind]
    chance = np.random.default_rng(5)
    weights = {
        "uniform": np.ones(2**width),
        "two": np.eye(2**width)[0] + np.eye(2**width)[-1],
        "one": np.eye(2**width)[3],
        "speckle": chance.exponential(size=2**width),
    }[kind]
    probabilities = weights / weights.sum()
    reference = sample(probabilities, 50_000, width, 1)
    passed = [p_value(sample(probabilities, 10_000, width, seed), reference) >= LEVEL for seed in range(2, 8)]
    noticed = [p_value(spoiled(sample(probabilities, 10_000, width, seed)), reference) < LEVEL for seed in range(2, 8)]
    assert all(passed)
    assert all(noticed)


def test_agreement_notices_bits_in_the_wrong_order():
    probabilities = np.random.default_rng(5).exponential(size=64) ** 2
    counts = sample(probabilities / probabilities.sum(), 10_000, 6, 1)
    other = sample(probabilities / probabilities.sum(), 50_000, 6, 2)
    assert p_value(counts, other) >= LEVEL
    assert p_value({key[::-1]: number for key, number in counts.items()}, other) < LEVEL
    assert agreement_figures({"a": {"family": "f", "agrees": True}})["agreement_families_ok"] == 1


def ok(seconds: float, **more) -> dict:
    said = {"engine": "mps", "predicted_seconds": 1.0, "predicted_bytes": 2**30, "certain": True,
            "lost_race_seconds": 0.03}  # fmt: skip
    return {"state": "ok", "seconds": seconds, "facts": said, "peak_bytes": 2**30, "decision_seconds": 0.01} | more


def circuit_found(ours: dict, prism: dict, engine: dict) -> dict:
    refused = {"state": "refused", "why": "too wide"}
    contenders = {"qrex": ours, "prism-q": prism, "aer-automatic": refused, "aer-mps": refused, "qsim": refused}
    return {
        "family": "f", "size": 8, "qubits": 8, "gates": 9, "contenders": contenders, "engines": {"qrex:mps": engine},
    }  # fmt: skip


def test_figures_of_known_findings():
    stopped = {"state": "stopped", "why": "over 60 s"}
    found = {
        "quick": circuit_found(ok(0.01), ok(0.001), ok(0.01)),  # both under 20 ms
        "slower": circuit_found(ok(3.0), ok(6.0), ok(1.5)),
        "lost": circuit_found({"state": "memory", "why": "died"}, ok(30.0), stopped),
        "nobody": circuit_found(stopped, stopped, stopped),
    }
    figures = finish_figures(found)
    assert figures["finished"] == 0.5
    assert figures["finished_union_of_peers"] == 0.75
    assert figures["best_peer"] == "prism-q"
    assert figures["total_over_best_peer"] == pytest.approx((0.01 + 3 + 120) / (0.001 + 6 + 30 + 60), abs=1e-4)
    assert figures["out_of_memory"] == 1
    assert figures["finished_by_a_peer_only"] == ["lost"]
    regret = regret_figures(found)
    assert regret["regret_worst"] == {"slower": [2.0, "qrex:mps"], "lost": [2.0, "prism-q"], "quick": [1.0, "prism-q"]}
    assert regret["regret_median"] == 2.0
    assert regret["routing_share_over_1s"]["max"] == pytest.approx(0.01 / 3, abs=1e-4)
    assert regret["routing_and_lost_races_share_over_1s"]["max"] == pytest.approx(0.04 / 3, abs=1e-4)
    predicted = prediction_figures(found)
    assert predicted["bytes_within_20pct"] == 1.0
    assert predicted["seconds_within_2x"] == 0.0
    assert "stopped" in table(found)
