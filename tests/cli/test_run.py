"""What `qrex run` says of its answers, and of circuits that have none."""

from __future__ import annotations

import re

import pytest

from qrex.execute.crew import Worker
from qrex.execute.jobs import COMPILERS
from qrex.expansion.predictions import WHEN_SAID, _said
from qrex.units import format_seconds

BARE = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nx q[0];\n'


@pytest.fixture
def bare(tmp_path):
    path = tmp_path / "bare.qasm"
    path.write_text(BARE)
    return path


@pytest.mark.parametrize("verb", ["run", "plan", "profile"])
def test_circuits_that_measure_nothing_are_named(qrex, constants, bare, bell, verb):
    shown = qrex(verb, bare, bell)
    assert shown.code == 0
    said = "qrex: bare measures nothing: its only outcome is empty; add measurements or --measure-all\n"
    assert said in shown.err and "bell measure" not in shown.err
    assert "measures nothing" not in qrex(verb, bare, bell, "--measure-all").err


def test_measure_all_measures_every_qubit(qrex, constants, bare):
    (before,) = qrex("run", bare, "--shots", 30, "--json").json
    (after,) = qrex("run", bare, "--shots", 30, "--json", "--measure-all").json
    assert before["counts"] == {"": 30} and after["counts"] == {"01": 30}
    assert before["id"] != after["id"]
    assert qrex("profile", bare, "--json", "--measure-all").json[0]["num_clbits"] == 2


def test_expand_measures_all_as_well(qrex, constants, bare, tmp_path):
    platform = tmp_path / "host_only.toml"
    platform.write_text('name = "host only"\n')
    asked = ("expand", bare, "--platform", platform, "--shots", 20, "--out", tmp_path / "out", "-q", "--json")
    assert "bare measures nothing" in qrex(*asked).err
    shown = qrex(*asked, "--measure-all")
    assert shown.code == 0 and shown.err == ""


TWO_REGISTERS = """OPENQASM 3.0;
include "stdgates.inc";
qubit[5] q;
bit[2] a;
bit[3] b;
x q[0];
x q[4];
a[0] = measure q[0];
a[1] = measure q[1];
b[0] = measure q[2];
b[1] = measure q[3];
b[2] = measure q[4];
"""


def test_registers_say_which_bits_of_a_key_are_theirs(qrex, constants, tmp_path):
    path = tmp_path / "joined.qasm3"
    path.write_text(TWO_REGISTERS)
    (row,) = qrex("run", path, "--shots", 10, "--json").json
    assert row["registers"] == [
        {"name": "a", "size": 2, "bits": [0, 1]}, {"name": "b", "size": 3, "bits": [2, 3, 4]},
    ]  # fmt: skip
    (key,) = row["counts"]
    read = {r["name"]: "".join(key[-1 - bit] for bit in reversed(r["bits"])) for r in row["registers"]}
    assert read == {"a": "01", "b": "100"} and key == "10001"


def _chain(qubits):
    """Weakly entangling all over: a matrix product state is cut, if only a little."""
    lines = [f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{qubits}];\ncreg c[{qubits}];']
    for layer in range(6):
        lines += [f"ry(0.{3 + layer + a % 3}) q[{a}];" for a in range(qubits)]
        lines += [f"cz q[{a}],q[{a + 1}];" for a in range(layer % 2, qubits - 1, 2)]
    return "\n".join([*lines, "measure q -> c;\n"])


def test_the_infidelity_of_an_answer_is_said(qrex, constants, bell, tmp_path):
    path = tmp_path / "chain.qasm"
    path.write_text(_chain(16))
    (row,) = qrex("run", path, "--engine", "mps", "--shots", 20, "--json").json
    assert 0 < row["infidelity"] <= 1e-3
    heading = qrex("run", path, "--engine", "mps", "--shots", 20).out.splitlines()[0]
    assert float(re.search(r"stated infidelity at most (\S+?)[,;]?(\s|$)", heading)[1]) == pytest.approx(
        row["infidelity"], rel=0.5
    )
    (exact,) = qrex("run", bell, "--engine", "stabilizer", "--shots", 20, "--json").json
    assert exact["infidelity"] == 0
    assert "infidelity" not in qrex("run", bell, "--engine", "stabilizer", "--shots", 20).out


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "chain_18.qasm"
    path.write_text(_chain(18))
    return path


def test_one_prediction_is_told_wherever_it_stands(qrex, constants, bell, chain):
    rows = qrex("run", bell, chain, "--shots", 60, "--json").json
    kept = {row["circuit_id"]: row for row in qrex("show", "--predictions", "--json").json["runs"]}
    lines = " ".join(qrex("run", bell, chain, "--shots", 60).out.split())
    for row in rows:
        if row["predicted_seconds"] is None:  # a race that was over at once
            continue
        stored = kept[row["id"]]
        for name in ("seconds", "bytes"):
            assert row[f"predicted_{name}"] == stored[f"predicted_{name}"]
        assert (row["seconds"], row["peak_bytes"]) == (stored["actual_seconds"], stored["actual_bytes"])
        assert row["predicted_when"] in WHEN_SAID and row["predicted_is_bound"] == stored["upper_bound"]
        assert f"{format_seconds(row['predicted_seconds'])} {row['predicted_when']}" in lines
    told = sum(row["predicted_seconds"] is not None for row in rows)
    assert told and len(re.findall(r"predicted \d|bound of the model \d", lines)) == told
    assert not re.search(r"at most \S+ (s|ms|µs|min)\b", lines + qrex("plan", chain).out)


def test_a_prediction_holds_nothing_that_was_measured(qrex, constants, bell):
    (planned,) = qrex("plan", bell, "--shots", 63, "--engine", "stabilizer", "--json").json
    (row,) = qrex("run", bell, "--shots", 63, "--engine", "stabilizer", "--json").json
    assert row["predicted_when"] == "before anything ran"
    assert row["predicted_seconds"] == pytest.approx(planned["seconds"], rel=0.01)


def test_a_race_is_told_apart_from_what_was_said_before():
    won = {"engine": "mps", "race": {"mps": {"given_up": ""}, "sparse": {"given_up": "mps ended first"}}}
    lost = {"engine": "statevector", "race": {"mps": {"given_up": "slower"}}}
    assert [WHEN_SAID[_said(parts)] for parts in ([{"engine": "mps"}], [won, lost], [lost])] == list(WHEN_SAID)


def test_what_is_kept_is_told_without_starting_a_worker(qrex, constants, bell, monkeypatch):
    first = qrex("run", bell, "--shots", 61)
    assert first.code == 0 and first.err.startswith("Read the workload\n")
    monkeypatch.setattr(Worker, "start", lambda *_: pytest.fail("a worker was started"))
    again = qrex("run", bell, "--shots", 61)
    assert again.code == 0 and "kept from an earlier run" in again.out and "worker processes" not in again.err


def test_our_own_engines_need_no_transpiler(qrex, constants, bell, monkeypatch):
    loaded = []
    start = Worker.start
    monkeypatch.setattr(Worker, "start", lambda warm_ups: loaded.append(warm_ups[:]) or start(warm_ups))
    assert qrex("run", bell, "--shots", 62, "--engine", "stabilizer").code == 0
    assert len(loaded) == 1 and COMPILERS not in loaded[0]
    assert qrex("run", bell, "--shots", 62, "--engine", "aer-stabilizer").code == 0
    assert len(loaded) == 2 and COMPILERS in loaded[1]


def test_engine_and_time_come_first_and_nothing_is_wider_than_the_terminal(qrex, constants, chain, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    heading, *others = qrex("run", chain, "--shots", 5).out.splitlines()
    assert re.match(r"chain_18: \S+, \S+ (s|ms|µs)\b", heading)
    assert others[0].startswith("    ") and "fastest of" in " ".join(others)
    assert max(map(len, others)) <= 80
