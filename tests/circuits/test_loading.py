"""Workloads: folders, files, standard input, Qiskit circuits, and what workload.toml says of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.circuit import Parameter
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator

from qrex.circuits import circuit_from_qiskit, load_workload, read_circuit
from qrex.errors import CircuitError, InputError

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
BROKEN = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\nxx q;\n'
TURN = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nrx(theta) q;\n'
EXAMPLES = Path(__file__).parents[2] / "examples" / "workload"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "bell.qasm").write_text(BELL)
    (folder / "again.qasm2").write_text(BELL)
    (folder / "gates.inc").write_text("gate nothing q { }")
    (folder / "notes.md").write_text("not a circuit")
    return folder


def test_a_folder_is_read_by_name_and_equal_files_both_stay(folder):
    workload = load_workload(folder)
    assert workload.name == "mine"
    assert [c.name for c in workload.circuits] == ["again", "bell"]
    assert len({c.id for c in workload.circuits}) == 1
    assert {(c.target, c.shots, c.language) for c in workload.circuits} == {("auto", 1000, "OpenQASM 2")}
    assert workload.circuits[1].origin == str(folder / "bell.qasm")


def test_a_broken_file_does_not_stop_the_others_unless_strict(folder):
    (folder / "a_broken.qasm3").write_text(BROKEN)
    (folder / "binary.qasm").write_bytes(b"OPENQASM 2.0;\n\xff\xfe\x00")
    workload = load_workload(folder)
    assert [c.name for c in workload.circuits] == ["again", "bell"]
    broken, binary = str(folder / "a_broken.qasm3"), str(folder / "binary.qasm")
    assert set(workload.failures) == {broken, binary}
    error = workload.failures[broken]
    assert (error.file, error.line, error.column) == (broken, 4, 1)
    assert (workload.failures[binary].line, workload.failures[binary].column) == (2, 1)
    with pytest.raises(CircuitError, match=r"a_broken\.qasm3:4:1: gate 'xx'"):
        load_workload(folder, strict=True)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(InputError, match=r"'.*nowhere' does not exist"):
        load_workload(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no circuits; it needs \.qasm"):
        load_workload(tmp_path)
    with pytest.raises(InputError, match="the workload is empty"):
        load_workload([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_failure_of_its_own(folder):
    (folder / "bell.qasm").chmod(0)
    assert "cannot be read" in str(load_workload(folder).failures[str(folder / "bell.qasm")])


def test_a_folder_named_like_a_circuit_is_no_circuit(folder):
    (folder / "deep.qasm").mkdir()
    assert len(load_workload(folder).circuits) == 2


def test_files_and_circuits_together_get_names_of_their_own(folder, tmp_path):
    (tmp_path / "bell.qasm").write_text(BELL)
    circuit = QuantumCircuit(1, name="bell")
    workload = load_workload([folder, tmp_path / "bell.qasm", circuit, circuit], shots=7, target="qpu", name="all")
    assert [c.name for c in workload.circuits] == ["again", "bell.qasm", "bell.qasm #2", "bell", "bell #2"]
    assert {(c.shots, c.target) for c in workload.circuits} == {(7, "qpu")}
    assert workload.name == "all"


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BELL.encode())))
    (circuit,) = load_workload("-").circuits
    assert (circuit.name, circuit.origin, circuit.num_qubits) == ("stdin", "<stdin>", 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BROKEN.encode())))
    assert str(load_workload("-").failures["<stdin>"]).startswith("<stdin>:4:1: ")


def test_workload_file(folder):
    (folder / "turn.qasm3").write_text(TURN)
    (folder / "workload.toml").write_text(
        'name = "chemistry"\nshots = 50\ntarget = "simulate"\n[circuits]\nbell = { target = "qpu" }\n'
        '"turn.qasm3" = { shots = 9, inputs = { theta = 0.25 } }\n'
    )
    workload = load_workload(folder)
    assert workload.name == "chemistry"
    assert [(c.name, c.target, c.shots) for c in workload.circuits] == [
        ("again", "simulate", 50),
        ("bell", "qpu", 50),
        ("turn", "simulate", 9),
    ]
    assert workload.circuits[2].quantum_circuit.data[0].operation.params == [0.25]
    assert {c.shots for c in load_workload(folder, shots=3).circuits} == {3}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("shot = 3", r"unknown key 'shot' \(did you mean 'shots'\?\)"),
        ("shots = 0", "shots is 0; it must be a whole number from 1"),
        ("shots = true", "shots is True"),
        ('target = "simulated"', r"target is 'simulated'; .*did you mean 'simulate'\?"),
        ("[circuits]\nbel = {}", r"circuits\.bel: there is no circuit of that name here \(did you mean 'bell'\?\)"),
        ("[circuits]\nbell = { targt = 1 }", r"circuits\.bell: unknown key 'targt' \(did you mean 'target'\?\)"),
        ("[circuits]\nbell = 3", r"circuits\.bell must be a table"),
        ('[circuits]\nbell = { inputs = { a = "x" } }', r"inputs\.a is 'x'; it must be a finite number"),
        ("shots = ", "this is not TOML"),
    ],
)
def test_a_wrong_workload_file_is_refused(folder, text, pattern):
    (folder / "workload.toml").write_text(text)
    with pytest.raises(InputError, match=pattern):
        load_workload(folder)


def test_an_input_without_its_parameter_is_refused():
    with pytest.raises(CircuitError, match="'phi', but the program has no such input"):
        read_circuit(TURN, "turn.qasm3", inputs={"theta": 0.1, "phi": 0.2})


def test_wrong_options_are_refused(folder):
    with pytest.raises(InputError, match="target is 'gpu'"):
        load_workload(folder, target="gpu")
    with pytest.raises(InputError, match="paths and Qiskit circuits, not of int"):
        load_workload([folder, 3])
    with pytest.raises(InputError, match="shots is -1"):
        load_workload(folder, shots=-1)


def test_ids_follow_content_not_names():
    bell = read_circuit(BELL, "a.qasm")
    assert bell.id == read_circuit(BELL, "b.qasm", name="other", shots=5, target="qpu").id
    assert bell.id == read_circuit(BELL.replace("\n", "\r\n"), "c.qasm").id
    assert bell.id != read_circuit(BELL.replace("h q", "x q"), "a.qasm").id
    assert read_circuit(TURN, "t", inputs={"theta": 0.1}).id != read_circuit(TURN, "t", inputs={"theta": 0.2}).id


def test_ids_of_qiskit_circuits_follow_instructions():
    def build(angle=0.5, name="a", label=None, last=True, value=1):
        circuit = QuantumCircuit(3, 3, name=name)
        circuit.rx(angle, 0)
        circuit.unitary(np.diag([1, 1j]), 1, label=label)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], value)):
            circuit.x(1)
        if last:
            circuit.delay(100, 2, unit="ns")
        return circuit_from_qiskit(circuit).id

    assert build() == build(name="b", label="mine")
    assert len({build(), build(angle=0.6), build(last=False), build(value=0)}) == 4
    several = [circuit_from_qiskit(random_circuit(3, 5, seed=seed)).id for seed in (1, 1, 2)]
    assert several[0] == several[1] != several[2]
    assert len(several[0]) == 16


def test_ids_are_the_same_in_another_process():
    code = (
        "from qiskit.circuit.random import random_circuit; from qrex.circuits import circuit_from_qiskit;"
        "print(circuit_from_qiskit(random_circuit(3, 6, conditional=True, seed=4)).id)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == circuit_from_qiskit(random_circuit(3, 6, conditional=True, seed=4)).id


def test_a_qiskit_circuit_is_copied_and_needs_values():
    circuit = QuantumCircuit(1, name="mine")
    taken = circuit_from_qiskit(circuit)
    circuit.x(0)
    assert taken.quantum_circuit.size() == 0
    assert (taken.name, taken.origin, taken.language) == ("mine", "<python>", "Qiskit")
    circuit.rx(Parameter("theta"), 0)
    with pytest.raises(CircuitError, match=r"parameters without values \(theta\); call assign_parameters"):
        circuit_from_qiskit(circuit)
    assert list(load_workload(circuit).failures) == ["<python>"]


def test_the_example_workload_is_what_it_says():
    workload = load_workload(EXAMPLES, strict=True)
    names = [c.name for c in workload.circuits]
    for family in (
        *("ghz", "wstate", "qft", "qpe_exact", "qpe_inexact", "ae", "grover", "qaoa", "vqe_two_local", "vqe_real_amp"),
        *("vqe_su2", "hhl", "shor", "adder", "bv", "graphstate", "random"),
    ):
        assert any(name.startswith(f"{family}_") for name in names), family
    widths = [c.num_qubits for c in workload.circuits]
    assert (min(widths), max(widths)) == (3, 127)
    assert all(int(c.name.rsplit("_", 1)[1]) == c.num_qubits for c in workload.circuits)
    both = [c.num_qubits for c in workload.circuits if c.target == "auto"]
    assert sum(5 <= n <= 12 for n in both) >= 6
    assert sum(13 <= n <= 16 for n in both) >= 2
    assert all(c.quantum_circuit.count_ops()["measure"] for c in workload.circuits)
    assert {c.language for c in workload.circuits} == {"OpenQASM 2", "OpenQASM 3"}


@pytest.mark.parametrize("file", ["hhl_05.qasm3", "ae_05.qasm3", "grover_04.qasm", "qft_06.qasm"])
def test_the_examples_agree_with_qiskits_complete_importers(file):
    text = (EXAMPLES / file).read_text()
    reference = (
        qasm3.loads(text)
        if file.endswith("3")
        else qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    )
    ours = read_circuit(text, file).quantum_circuit
    assert ours.count_ops() == reference.count_ops()
    bare = [c.remove_final_measurements(inplace=False) for c in (ours, reference)]
    assert Operator(bare[0]) == Operator(bare[1])


def test_importing_the_room_does_not_load_qiskit():
    code = "import sys, qrex.circuits; print('qiskit' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2


def test_a_file_name_that_is_not_utf8_becomes_text_that_can_be_written(tmp_path):
    name = os.fsencode(tmp_path) + b"/bad\xff.qasm"
    with open(name, "w") as file:
        file.write('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q -> c;\n')
    (circuit,) = load_workload(tmp_path).circuits
    circuit.name.encode()
    circuit.origin.encode()
    assert circuit.name.startswith("bad")
