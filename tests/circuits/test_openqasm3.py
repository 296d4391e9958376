"""OpenQASM 3: the subset of docs/openqasm.md, against Qiskit's matrices, its exporter, and sampled outcomes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit.library import CPhaseGate, SGate, UGate, XGate
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator

from qrex.circuits import read_circuit

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def circuit_of(body: str, **inputs: float) -> QuantumCircuit:
    return read_circuit(HEAD + body, "test.qasm3", inputs=inputs).quantum_circuit


def outcome(body: str) -> str:
    """The only bit string that the program can give."""
    counts = AerSimulator(method="statevector").run(circuit_of(body), shots=20, seed_simulator=1).result().get_counts()
    assert len(counts) == 1, counts
    return next(iter(counts))


def same(body: str, build, qubits: int) -> None:
    """Equal including the global phase."""
    expected = QuantumCircuit(qubits)
    build(expected)
    assert Operator(circuit_of(f"qubit[{qubits}] q;\n{body}")) == Operator(expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 4), depth=st.integers(1, 8))
def test_random_circuits_come_back_with_the_same_unitary(seed, width, depth):
    circuit = random_circuit(width, depth, seed=seed)
    assert Operator(read_circuit(qasm3.dumps(circuit), "x").quantum_circuit).equiv(Operator(circuit))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_circuits_with_conditions_come_back_with_the_same_outcomes(seed):
    circuit = random_circuit(3, 6, seed=seed, conditional=True, reset=True, max_operands=2)
    circuit.measure_all()
    simulator = AerSimulator(method="statevector")
    back = read_circuit(qasm3.dumps(circuit), "x").quantum_circuit
    jobs = [simulator.run(c.decompose(reps=2), shots=200, seed_simulator=7) for c in (circuit, back)]
    counts = [job.result().get_counts() for job in jobs]
    # The same seed on the same sequence of random choices gives the same counts, shot by shot.
    overlap = sum(min(counts[0].get(key, 0), counts[1].get(key, 0)) for key in counts[0])
    assert overlap > 150


def test_modifiers():
    same("ctrl @ x q[0], q[1];", lambda c: c.cx(0, 1), 2)
    same("ctrl(2) @ z q[2], q[0], q[1];", lambda c: c.ccz(0, 1, 2), 3)
    same("negctrl @ x q[0], q[1];", lambda c: c.append(XGate().control(1, ctrl_state=0), [0, 1]), 2)
    same("ctrl @ negctrl @ x q[0], q[1], q[2];", lambda c: c.append(XGate().control(2, ctrl_state=1), [0, 1, 2]), 3)
    same("inv @ s q[0];", lambda c: c.sdg(0), 1)
    same("ctrl @ inv @ s q[0], q[1];", lambda c: c.append(CPhaseGate(-math.pi / 2), [0, 1]), 2)
    same("pow(3) @ t q[0];", lambda c: (c.t(0), c.t(0), c.t(0)), 1)
    same("pow(-2) @ t q[0];", lambda c: c.sdg(0), 1)
    same("pow(1/2.0) @ x q[0];", lambda c: c.sx(0), 1)
    same("pow(0.5) @ z q[0];", lambda c: c.append(SGate(), [0]), 1)
    same("inv @ pow(2) @ ctrl @ rx(0.2) q[1], q[0];", lambda c: c.crx(-0.4, 1, 0), 2)


def test_global_phases_show_under_control():
    same("ctrl @ gphase(0.3) q[1];", lambda c: c.p(0.3, 1), 2)
    same("ctrl(2) @ gphase(0.3) q[0], q[1];", lambda c: c.cp(0.3, 0, 1), 2)
    same("negctrl @ gphase(0.3) q[0];", lambda c: (c.x(0), c.p(0.3, 0), c.x(0)), 1)
    same("gphase(0.3); inv @ gphase(0.1);", lambda c: setattr(c, "global_phase", 0.2), 1)
    same("gate g a { gphase(0.4); x a; } ctrl @ g q[0], q[1];", lambda c: (c.cx(0, 1), c.p(0.4, 0)), 2)
    same("u3(0.1, 0.2, 0.4) q[0];", lambda c: (c.u(0.1, 0.2, 0.4, 0), setattr(c, "global_phase", -0.3)), 1)
    same("ctrl @ u2(0.2, 0.4) q[0], q[1];",
         lambda c: (c.append(UGate(math.pi / 2, 0.2, 0.4).control(1), [0, 1]), c.p(-0.3, 0)), 2)  # fmt: skip


def test_gate_definitions_with_arithmetic_and_loops():
    body = """
    const float half = pi / 2;
    gate wiggle(a, b) x1, x2 { rz(a / 2) x1; for int i in [1:3] { rx(b * i) x2; } cx x1, x2; }
    gate twice(a) u, v { wiggle(a, 2 * a) u, v; wiggle(a + half, a ** 2) v, u; }
    twice(0.3) q[1], q[0];
    """

    def build(c):
        for a, b, x1, x2 in ((0.3, 0.6, 1, 0), (0.3 + math.pi / 2, 0.09, 0, 1)):
            c.rz(a / 2, x1)
            c.rx(6 * b, x2)
            c.cx(x1, x2)

    same(body, build, 2)


def test_registers_aliases_and_slices():
    same("let a = q[0:1] ++ q[3]; x a; h a[-1];", lambda c: (c.x([0, 1, 3]), c.h(3)), 4)
    same("x q[{0, 2}]; h q[1:2:3]; z q[3:-1:2]; cx q[0], q[1:2];",
         lambda c: (c.x([0, 2]), c.h([1, 3]), c.z([3, 2]), c.cx(0, [1, 2])), 4)  # fmt: skip
    circuit = read_circuit("OPENQASM 3; include 'stdgates.inc'; x $2; cx $0, $2;", "x").quantum_circuit
    assert [circuit.find_bit(q).index for q in circuit.data[1].qubits] == [0, 2]


def test_arithmetic_follows_the_language():
    same("rx(7 / 2) q[0]; rx(-7 / 2) q[0]; rx(7 / 2.0) q[0];", lambda c: (c.rx(3, 0), c.rx(-3, 0), c.rx(3.5, 0)), 1)
    same("rx(-2 ** 2) q[0]; rx(2 ** 3 ** 2 % 10) q[0];", lambda c: (c.rx(-4, 0), c.rx(2, 0)), 1)
    same("int n = 0xF; n += 1; n <<= 1; rx(n - 0b11 & 7) q[0];", lambda c: c.rx(5, 0), 1)
    same("uint[4] n = 3; bool b = n == 3 && !(n < 2); if (b) { x q[0]; } else { y q[0]; }", lambda c: c.x(0), 1)
    same("rx(arccos(0.5) + sqrt(4) - popcount(7)) q[0];", lambda c: c.rx(math.acos(0.5) - 1, 0), 1)


def test_conditions_on_measured_bits():
    start = "qubit[3] q; bit[3] c; bit r; x q[0]; x q[2]; c = measure q;"
    for condition, holds in {
        "c == 5": True, "c != 5": False, "c < 6": True, "c >= 6": False, "4 < c": True, "c[0] == 1": True,
        "c[1] == 1": False, "!c[1]": True, "~c[0]": False, "c[0]": True, "c[0] && !c[1]": True,
        "c[0] ^ c[2]": False, "c[1] || c[2]": True, "(c & 4) == 4": True, "c == \"101\"": True, "c == 9": False,
        "c != 9": True, "c < 9": True, "bool(c)": True, "c == 5 && 2 > 1": True, "c[2] == true": True,
    }.items():  # fmt: skip
        body = f"{start} reset q[1]; if ({condition}) x q[1]; r = measure q[1];"
        assert outcome(body) == f"{int(holds)} 101", condition


def test_nested_conditions_and_else():
    body = """
    qubit[2] q; bit[2] c; bit done;
    x q[0]; c = measure q;
    if (c == 1) { if (c[1] == 1) { x q[0]; } else if (c[0]) { x q[1]; } else { h q; } } else { h q; }
    c[1] = measure q[1]; measure q[0] -> done;
    """
    assert outcome(body) == "1 11"


def test_loops_unroll_and_choose():
    body = """
    qubit[5] q; bit[5] c;
    for uint i in [0:2:4] { x q[i]; } for int i in {1, 3} { if (i == 3) x q[i]; }
    c = measure q;
    """
    assert outcome(body) == "11101"
    assert outcome("qubit[3] q; bit[3] c; for int i in [2:-1:1] { x q[i]; } c = measure q; end; x q;") == "110"
    assert outcome("qubit q; bit c; for int i in [1:0] x q; c = measure q;") == "0"


def test_delays_keep_their_unit():
    circuit = circuit_of("qubit[2] q; duration d = 2 * 100ns; delay[d] q[0]; delay[16dt] q; delay[1us] q[1];")
    delays = [(i.operation.duration, i.operation.unit) for i in circuit.data]
    assert delays == [(pytest.approx(2e-7), "s"), (16, "dt"), (16, "dt"), (pytest.approx(1e-6), "s")]


def test_inputs_are_bound():
    circuit = circuit_of("input float theta; input int n; qubit[3] q; rx(theta / 2) q[n];", theta=0.5, n=2)
    assert circuit.data[0].operation.params == [0.25]
    assert circuit.find_bit(circuit.data[0].qubits[0]).index == 2


def test_gates_written_out_by_exporters_are_recognized():
    circuit = QuantumCircuit(2)
    circuit.rzz(0.3, 0, 1)
    circuit.sxdg(0)
    circuit.iswap(0, 1)
    back = read_circuit(qasm3.dumps(circuit), "x").quantum_circuit
    assert dict(back.count_ops()) == {"rzz": 1, "sxdg": 1, "iswap": 1}
    assert Operator(back).equiv(Operator(circuit))
