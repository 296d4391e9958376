"""`qrex run --observable --marginal --probability --final-state`, as a user would call it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qiskit import qasm2
from qiskit.circuit.library import quantum_volume
from qiskit.quantum_info import SparsePauliOp, Statevector

SMALL = """OPENQASM 3.0;
include "stdgates.inc";
qubit[4] q;
bit[2] a;
bit[2] b;
ry(0.4) q[0];
cx q[0], q[1];
x q[3];
rx(1.1) q[2];
a[0] = measure q[0];
a[1] = measure q[1];
b[0] = measure q[2];
b[1] = measure q[3];
"""
TESTED = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[4] q;\nbit[4] c;\nh q[0];\nc[0] = measure q[0];\n'
TESTED += "if (c[0]) { x q[1]; }\nc[1] = measure q[1];\n"


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.qasm"
    path.write_text(SMALL)
    return path


def test_what_is_asked_is_answered_and_kept(qrex, constants, small, tmp_path):
    sums = tmp_path / "sum.json"
    sums.write_text(json.dumps({"ZIII": 1, "Y2": 0.5}))
    asked = (
        "run", small, "--observable", "Z0*Z1 - 0.3*X2", "--observable", sums, "--marginal", "3,0", "--probability",
        "10 00", "--shots", 50,
    )  # fmt: skip
    shown = qrex(*asked)
    assert shown.code == 0 and "<Z0*Z1 - 0.3*X2> = 1, off by at most" in shown.text
    assert "marginal of qubits 3,0, the first rightmost" in shown.text and "probability of 10 00: " in shown.text
    (row,) = qrex(*asked, "--json").json
    assert row["engine"] == "statevector" and row["kept"] and row["tiers"] is None and row["final_state"] is None
    first, second = row["observables"].values()
    assert first["value"] == pytest.approx(1, abs=1e-6) and 0 < first["error_bound"] < 1e-3
    assert second["value"] == pytest.approx(-1 - 0.5 * np.sin(1.1), abs=1e-6)
    share = np.cos(0.2) ** 2
    assert row["marginals"] == {"3,0": pytest.approx({"00": 0, "01": share, "10": 0, "11": 1 - share}, abs=1e-6)}
    assert row["probabilities"] == {"10 00": pytest.approx(share * np.cos(0.55) ** 2, abs=1e-6)}
    assert sum(row["counts"].values()) == 50


def test_a_final_state_larger_than_the_memory(qrex, constants, tmp_path):
    circuit = quantum_volume(20, 4, seed=1)
    exact = Statevector(circuit)
    path = tmp_path / "volume.qasm"
    path.write_text(qasm2.dumps(circuit))
    asked = (
        "run", path, "--observable", "Z0*X19", "--final-state", tmp_path / "{name}.npy", "--memory", "347MB",
        "--scratch", tmp_path, "--json",
    )  # fmt: skip
    (row,) = qrex(*asked).json
    assert row["outcome"] == "ran" and row["tiers"]["stages"] > 1
    assert row["final_state"] == str(tmp_path / "volume.npy") and row["marginals"] is row["probabilities"] is None
    amplitudes = np.load(row["final_state"], mmap_mode="r")
    assert abs(np.vdot(exact.data, amplitudes)) == pytest.approx(1, abs=1e-5)
    value = exact.expectation_value(SparsePauliOp("X" + "I" * 18 + "Z")).real
    assert row["observables"]["Z0*X19"]["value"] == pytest.approx(value, abs=1e-5)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["volume.npy", "volume.qasm"]
    again = qrex(*asked)
    assert again.code == 2 and "exists; delete it or name another" in again.err
    (tmp_path / "volume.npy").unlink()
    assert qrex(*asked).json[0]["kept"] is False and (tmp_path / "volume.npy").exists()


def test_a_circuit_without_one_final_state_stops_no_other(qrex, constants, small, tmp_path):
    (tmp_path / "tested.qasm").write_text(TESTED)
    shown = qrex("run", tmp_path, "--observable", "Z3", "--final-state", tmp_path / "{name}.npy", "--json")
    ran, refused = shown.json
    assert shown.code == 3 and ran["observables"]["Z3"]["value"] == pytest.approx(-1, abs=1e-6)
    assert refused["outcome"] == "infeasible" and "no one final state" in refused["error"]
    assert {one.name for one in tmp_path.iterdir()} == {"small.qasm", "tested.qasm", "small.npy"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--observable", "ZZ"), "small: 'ZZ' has the string 'ZZ' of 2 letters; the circuit has 4 qubits"),
        (("--observable", "Z0 + Z0"), "twice"), (("--observable", "Z0", "--observable", "Z0"), "asked for twice"),
        (("--observable", "gone.json"), "cannot be read"), (("--marginal", "0,x"), "names no qubits"),
        (("--marginal", "4"), "has 4 qubits"), (("--marginal", ",".join(map(str, range(21)))), "name different"),
        (("--probability", "01"), "4 classical bits"), (("--final-state", "state.txt"), "name a file that ends so"),
        (("--final-state", "/nowhere/state.npy"), "no folder"),
        (("--observable", "Z0", "--engine", "mps"), "--engine mps was asked for"),
        (("--observable", "Z0", "--engine", "qpu"), "--engine qpu was asked for"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_refused_before_anything_runs(qrex, small, asked, said):
    shown = qrex("run", small, *asked)
    assert shown.code == 2 and said in " ".join(shown.err.split()) and shown.out == ""
    assert "Probe" not in shown.err and "Observe" not in shown.err


def test_one_file_for_two_circuits_and_a_qpu_are_refused(qrex, small, bell, tmp_path):
    shown = qrex("run", small, bell, "--final-state", tmp_path / "one.npy")
    assert shown.code == 2 and "one file for 2 circuits" in shown.err
    (tmp_path / "workload.toml").write_text('target = "both"\n')
    shown = qrex("run", tmp_path, "--observable", "Z0")
    assert shown.code == 2 and "has the target 'both'" in shown.err
