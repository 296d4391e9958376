"""OpenQASM 2: what other tools write is read, with Qiskit's importer and its matrices as oracles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator

from qrex.circuits import read_circuit
from qrex.circuits.importer import import_program
from qrex.circuits.lexer import Lexer
from qrex.errors import CircuitError

HEAD = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def circuit_of(text: str) -> QuantumCircuit:
    return read_circuit(text, "test.qasm").quantum_circuit


def ours(text: str) -> QuantumCircuit:
    """By our importer even where Qiskit's would be chosen."""
    body = text.split(";", 1)[1]
    return import_program(Lexer(body, "test.qasm"), 2, {})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 4), depth=st.integers(1, 8))
def test_random_circuits_come_back_with_the_same_unitary(seed, width, depth):
    circuit = random_circuit(width, depth, seed=seed)
    text = qasm2.dumps(circuit)
    assert Operator(circuit_of(text)).equiv(Operator(circuit))
    assert Operator(ours(text)).equiv(Operator(circuit))


@pytest.mark.parametrize(
    ("call", "matrix_of"),
    [
        ("u0(1) q[0];", lambda c: None),
        ("u1(0.3) q[0];", lambda c: c.p(0.3, 0)),
        ("u2(0.3,0.4) q[0];", lambda c: c.u(1.5707963267948966, 0.3, 0.4, 0)),
        ("u3(0.1,0.2,0.3) q[0];", lambda c: c.u(0.1, 0.2, 0.3, 0)),
        ("cu1(pi/3) q[0],q[1];", lambda c: c.cp(1.0471975511965976, 0, 1)),
        ("cu3(0.1,0.2,0.3) q[0],q[1];", lambda c: c.cu(0.1, 0.2, 0.3, 0, 0, 1)),
        ("rzz(0.7) q[0],q[1];", lambda c: c.rzz(0.7, 0, 1)),
        ("rccx q[0],q[1],q[2];", lambda c: c.rccx(0, 1, 2)),
        ("c3x q[0],q[1],q[2],q[3];", lambda c: c.mcx([0, 1, 2], 3)),
        ("c4x q[0],q[1],q[2],q[3],q[4];", lambda c: c.mcx([0, 1, 2, 3], 4)),
        ("iswap q[0],q[1];", lambda c: c.iswap(0, 1)),
        ("U(0.1,0.2,0.3) q[0]; CX q[0],q[1];", lambda c: (c.u(0.1, 0.2, 0.3, 0), c.cx(0, 1))),
        ("rx(-pi^2/(2+1)) q[0];", lambda c: c.rx(-(3.141592653589793**2) / 3, 0)),
        ("rx(1/2*sin(2)) q[0];", lambda c: c.rx(0.5 * 0.9092974268256817, 0)),
    ],
)
def test_legacy_gates_are_known_without_the_include(call, matrix_of):
    expected = QuantumCircuit(5)
    matrix_of(expected)
    text = f"OPENQASM 2.0; qreg q[5]; {call}"
    assert Operator(circuit_of(text)).equiv(Operator(expected))
    assert Operator(ours(text)).equiv(Operator(expected))


def test_a_gate_that_shares_a_standard_name_keeps_its_own_definition():
    text = HEAD + "gate rzz(t) a,b { x a; rx(t) b; }\nqreg q[2];\nrzz(0.3) q[0],q[1];"
    expected = QuantumCircuit(2)
    expected.x(0)
    expected.rx(0.3, 1)
    circuit = circuit_of(text)
    assert Operator(circuit).equiv(Operator(expected))
    assert "rzz" not in circuit.count_ops()


def test_a_definition_that_spells_out_a_standard_gate_becomes_that_gate():
    text = HEAD + "gate rzz(t) a,b { cx a,b; u1(t) b; cx a,b; }\nqreg q[2];\nrzz(0.3) q[0],q[1];"
    circuit = circuit_of(text)
    assert dict(circuit.count_ops()) == {"rzz": 1}
    assert circuit.global_phase == pytest.approx(0.15)


def test_conditions_on_registers_of_any_width():
    text = HEAD + f"qreg q[2];\ncreg c[100];\nif(c=={2**99 + 1}) x q[0];\nif(c=={2**101}) x q[1];"
    instructions = circuit_of(text).data
    assert len(instructions) == 1, "a value that the register cannot hold is never equal"
    register, value = instructions[0].operation.condition
    assert (register.size, value) == (100, 2**99 + 1)


def test_measurement_in_the_middle_reset_and_broadcasting():
    circuit = circuit_of(HEAD + "qreg q[3];creg c[3];h q;measure q->c;reset q;barrier q;cx q[0],q[1];")
    assert dict(circuit.count_ops()) == {"h": 3, "measure": 3, "reset": 3, "barrier": 1, "cx": 1}


def test_opaque_gates_can_be_declared_but_not_called():
    assert circuit_of(HEAD + "opaque magic(a) x,y;\nqreg q[2];\nx q[0];").size() == 1
    with pytest.raises(CircuitError, match=r"test\.qasm:5:1: 'magic' is opaque"):
        circuit_of(HEAD + "opaque magic(a) x,y;\nqreg q[2];\nmagic(1) q[0],q[1];")


def test_the_order_of_bits_is_qiskits():
    circuit = circuit_of(HEAD + "qreg a[2];qreg b[1];creg c[1];creg d[2];x b[0];")
    assert [r.name for r in circuit.qregs] == ["a", "b"]
    assert [r.name for r in circuit.cregs] == ["c", "d"]
    assert circuit.find_bit(circuit.data[0].qubits[0]).index == 2
