"""Programs that are wrong, hostile or cut short: always a CircuitError with its place, and quickly."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from qrex.circuits import circuit_from_qiskit, read_circuit
from qrex.errors import CircuitError

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
DOUBLING = "".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}\n" for i in range(1, 40))
CHAIN = "".join(f"gate g{i} a {{ g{i - 1} a; }}\n" for i in range(1, 1000))

WRONG = {
    "empty": ("", r"1:1: the file is empty"),
    "blank": (" \n\n", r"the file is empty"),
    "no qubits": (THREE + "bit c;", r"declares no qubits"),
    "NUL bytes": ("OPENQASM 2.0;\n\0\0", r"2:1: .*NUL bytes"),
    "wrong version": ("OPENQASM 4.0;\nqubit q;", r"1:10: OPENQASM 4\.0 is not supported; 2\.0, 3\.0 and 3\.1 are"),
    "no semicolon after the version": ("OPENQASM 3.0\nqubit q;", r"1:13: expected ';'"),
    "unknown gate, 2": (TWO + "qreg q[2];\nch7 q[0];", r"4:1: gate 'ch7' is not defined.*did you mean 'ch'\?"),
    "unknown gate, 3": (THREE + "qubit[2] q;\n  swapp q[0], q[1];", r"4:3: gate 'swapp'.*did you mean 'swap'\?"),
    "gate without its include": ("OPENQASM 3.0;\nqubit q;\nh q;", r'3:1: .*add: include "stdgates\.inc";'),
    "gate of version 2 in 3": (THREE + "qubit[2] q; rzz(1) q[0], q[1];", r"'rzz' is not part of stdgates\.inc"),
    "missing include": ('OPENQASM 3.0;\ninclude "mine.inc";', r"2:9: include of 'mine\.inc' is not supported"),
    "include of a system file": ('OPENQASM 2.0;\ninclude "/etc/passwd";\nqreg q[1];', r"2:9: .*no file is read"),
    "an infinite angle, 2": (TWO + "qreg q[1];\nrx(1e400) q[0];", r"4:4: this value is not finite"),
    "an infinite product, 2": (TWO + "qreg q[1];\nrx(1e99*1e99*1e99*1e99) q[0];", r"this value is not finite"),
    "an infinite exponential, 2": (TWO + "qreg q[1];\nrx(exp(1000)) q[0];", r"4:4: "),
    "undeclared register": (THREE + "qubit[2] data;\nx date[0];", r"4:3: 'date' is not declared.*'data'"),
    "declared twice": (THREE + "qubit q;\nbit q;", r"4:5: 'q' is declared twice"),
    "gate defined twice": (THREE + "gate a q { x q; }\ngate a q { y q; }", r"4:6: gate 'a' is defined twice"),
    "gate redefines a standard one": (THREE + "gate x q { }", r"3:6: gate 'x' is defined twice"),
    "index out of range, 2": (TWO + "qreg q[2];\nx q[2];", r"4:5: index 2 is outside 'q', which has 2 bits"),
    "index out of range, 3": (THREE + "qubit[2] q;\nx q[-3];", r"4:5: index -3 is outside 'q'"),
    "same qubit twice, 2": (TWO + "qreg q[2];\ncx q[1],q[1];", r"4:1: 'cx' is given the same qubit twice"),
    "same qubit twice, 3": (THREE + "qubit[2] q;\ncx q, q;", r"4:1: 'cx' is given the same qubit twice"),
    "different sizes": (THREE + "qubit[2] a; qubit[3] b;\ncx a, b;", r"4:1: .*different sizes \(2 and 3\)"),
    "too few qubits": (THREE + "qubit[2] q;\ncx q[0];", r"4:1: 'cx' acts here on 2 qubits, but 1 are given"),
    "parameters": (THREE + "qubit q;\nrz q;", r"4:1: 'rz' takes 1 parameters, 0 are given"),
    "bit as qubit": (THREE + "qubit q; bit c;\nx c;", r"4:3: 'c' is not a qubit"),
    "qubit as bit": (THREE + "qubit[2] q;\nq[1] = measure q[0];", r"4:1: 'q' is not a classical bit"),
    "result goes nowhere": (THREE + "qubit q;\nmeasure q;", r"4:1: .*write 'c = measure q;'"),
    "sizes of a measurement": (TWO + "qreg q[3]; creg c[2];\nmeasure q -> c;", r"4:1: 3 qubits .* 2 bits"),
    "name without value": (THREE + "qubit q;\nrz(theta) q;", r"4:4: 'theta' is not defined"),
    "input without value": ("OPENQASM 3.0;\ninput float theta; qubit q;", r"2:13: .*workload\.toml .*inputs"),
    "division by zero": (THREE + "qubit q;\nrz(1/0) q;", r"4:5: division by zero"),
    "domain": (THREE + "qubit q;\nrz(sqrt(-1)) q;", r"4:4: this has no value"),
    "not finite": (THREE + "qubit q;\nrz(1e999) q;", r"4:4: this value is not finite"),
    "unknown function": (THREE + "qubit q;\nrz(sinh(1)) q;", r"4:4: unknown function 'sinh'; known are"),
    "calls itself": (THREE + "gate a q { a q; }", r"3:12: gate 'a' calls itself"),
    "calls itself, 2": (TWO + "gate a q { a q; }\nqreg q[1];", r"3:12: gate 'a' calls itself"),
    "call each other": (THREE + "gate a q { b q; }\ngate b q { a q; }", r"3:12: gate 'b' is not defined before"),
    "wrong body never called": (THREE + "gate a q { x r; }\nqubit q;", r"3:14: 'r' is not declared"),
    "measurement in a gate": (THREE + "bit c; gate a q { c = measure q; }", r"3:19: a gate's body may hold only"),
    "gate in a gate": ("OPENQASM 3.0;\n" + "gate a q { " * 5000, r"2:12: gates are defined outside"),
    "gates 1000 deep": (THREE + "gate g0 a { x a; }\n" + CHAIN, r"gates call gates more than 60 deep"),
    "doubling gates": (THREE + "gate g0 a { x a; }\n" + DOUBLING, r"more than 10,000,000 operations"),
    "doubling gates, 2": (TWO + "gate g0 a { x a; }\n" + DOUBLING + "qreg q[1];", r"more than 10,000,000 operations"),
    "while": (THREE + "qubit q; bit c;\nwhile (c == 0) { x q; }", r"4:1: 'while' is not supported; write a 'for'"),
    "subroutine": (THREE + "def f(int a) -> int { return a; }", r"3:1: subroutines are not supported"),
    "calibration": ("OPENQASM 3.0;\ndefcal x $0 { }", r"2:1: calibrations are not supported"),
    "pragma": ("OPENQASM 3.0;\n#pragma braket noise\nqubit q;", r"2:1: pragmas are not supported"),
    "variable from a measurement": (THREE + "qubit q; bit c; c = measure q;\nint n = c;", r"4:5: variables hold"),
    "variable under a condition": (THREE + "qubit q; bit c; int n; if (c) { n = 1; }", r"cannot depend on"),
    "assigned constant": (THREE + "const int n = 1;\nn = 2;", r"4:1: 'n' is a constant"),
    "mixed qubits": (THREE + "qubit q;\nx $1;", r"cannot be mixed"),
    "negative size": ("OPENQASM 3.0;\nqubit[-1] q;", r"2:11: a register needs at least one bit"),
    "10^9 qubits, 3": ("OPENQASM 3.0;\nqubit[1000000000] q;", r"declares 1,000,000,000 qubits; at most 100,000"),
    "10^9 qubits, 2": (TWO + "qreg q[1000000000];", r"3:6: .*1,000,000,000 qubits; at most 100,000"),
    "10^9 bits": (TWO + "qreg q[1]; creg c[1000000000];", r"1,000,000,000 classical bits; at most 1,000,000"),
    "10^9 rounds": (THREE + "qubit q;\nfor int i in [1:1000000000] { x q; }", r"4:1: this loop runs 1,000,000,000"),
    "10^30 rounds": (THREE + "for int i in [1:10**30] { }", r"this loop runs 1,000,000,000,000,000,000,"),
    "10^9 controls": (THREE + "qubit[2] q;\nctrl(1000000000) @ x q[0], q[1];", r"4:20: 'x' acts here on 1000000001"),
    "huge power": (THREE + "qubit q;\nrz(10**10**10) q;", r"4:6: this number is too large"),
    "huge shift": (THREE + "qubit q;\nrz(1 << 10**9) q;", r"4:6: this number is too large"),
    "blocks 1000 deep": (THREE + "qubit q; bit c; " + "if (c) { " * 1000, r"nest more than 50 deep"),
    "ifs 1000 deep": (THREE + "qubit q; bit c; " + "if (c) " * 1000 + "x q;", r"nest more than 50 deep"),
    "ifs 1000 deep, 2": (TWO + "qreg q[1]; creg c[1]; " + "if (c==1) " * 1000 + "x q;", r"nest more than 50 deep"),
    "long condition": (THREE + "qubit q; bit c; if (" + "^".join(["c"] * 5000) + ") x q;", r"200 operators at most"),
    "million-letter word": ("OPENQASM 3.0;\n" + "a" * 10**6, r"2:1: .*longer than 1000 characters"),
    "million-letter word, 2": ("OPENQASM 2.0;\n" + "a" * 10**6, r"2:1: .*longer than 1000 characters"),
    "million-digit number": (THREE + "qubit q;\nrz(" + "9" * 10**6 + ") q;", r"4:4: .*longer than 1000 characters"),
    "open string": ('OPENQASM 3.0;\ninclude "stdgates.inc;', r"2:9: this string is never closed"),
    "open comment": ("OPENQASM 3.0;\nqubit q; /* and then", r"2:10: this comment is never closed"),
    "open block": (THREE + "qubit q; bit c;\nif (c) { x q;", r"4:8: this block is never closed"),
    "open parenthesis": (THREE + "qubit q;\nrz((1 + 2 q;", r"4:\d+: "),
    "strange character": (THREE + "qubit q;\n€ q;", r"4:1: unexpected character '€' \(U\+20AC\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_programs_are_refused_with_their_place(case):
    text, pattern = WRONG[case]
    with pytest.raises(CircuitError, match=pattern) as caught:
        read_circuit(text, "wrong.qasm")
    assert caught.value.file == "wrong.qasm"
    assert caught.value.line >= 1
    assert caught.value.column >= 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("head", [TWO + "qreg q[1];", THREE + "qubit[1] q;"])
@pytest.mark.parametrize("value", ["(" * 50_000 + "1" + ")" * 50_000, "-" * 50_001 + "1", "+".join(["1"] * 50_000)])
def test_depth_and_length_of_expressions_do_not_matter(head, value):
    limit = sys.getrecursionlimit()
    circuit = read_circuit(f"{head} rz({value}) q[0];", "deep.qasm").quantum_circuit
    assert circuit.data[0].operation.params[0] in (1.0, -1.0, 50_000.0)
    assert sys.getrecursionlimit() == limit


def test_a_line_of_a_million_characters_is_read():
    circuit = read_circuit(THREE + "qubit[2] q; " + "cx q[0], q[1]; " * 66_667, "long.qasm").quantum_circuit
    assert circuit.size() == 66_667


PROGRAM = (
    THREE
    + """
qubit[3] q; bit[3] c; const float t = pi / 3;
gate pair(a) x1, x2 { rz(a / 2) x1; ctrl @ x x1, x2; }
for int i in [0:1] { pair(t * i) q[i], q[i + 1]; }
c[0] = measure q[0];
if (c[0] == 1 && !c[1]) { x q[1]; } else { negctrl @ x q[1], q[2]; }
let a = q[0:1]; reset a; delay[100ns] q; barrier; c = measure q;
"""
)


def test_every_cut_of_a_program_is_read_or_refused():
    assert read_circuit(PROGRAM, "whole.qasm").num_qubits == 3
    for length in range(len(PROGRAM)):
        try:
            read_circuit(PROGRAM[:length], "cut.qasm")
        except CircuitError as error:
            assert error.line is not None, error


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_programs_raise_nothing_else(data):
    text = list(PROGRAM)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 5))] = data.draw(
            st.text("()[]{};:,@!=<>+-*/^&|~%\"'$# \n0123456789abqcxif\0é", max_size=5)
        )
    try:
        read_circuit("".join(text), "damaged.qasm")
    except CircuitError as error:
        assert error.line is not None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from([TWO, THREE, ""]))
def test_any_text_is_read_or_refused(text, head):
    try:
        read_circuit(head + text, "any.qasm")
    except CircuitError as error:
        assert error.line is not None


@pytest.mark.parametrize("angle", [float("nan"), float("inf"), np.float64("-inf")])
@pytest.mark.parametrize("conditional", [False, True])
def test_a_qiskit_circuit_with_an_angle_that_is_not_finite(angle, conditional):
    circuit = QuantumCircuit(2, 1)
    circuit.rx(0.5, 0)
    if conditional:
        circuit.measure(0, 0)
        with circuit.if_test((0, 1)):
            circuit.rz(angle, 1)
    else:
        circuit.rz(angle, 1)
    with pytest.raises(CircuitError, match=r"of rz on qubit \d is not a finite number"):
        circuit_from_qiskit(circuit)
