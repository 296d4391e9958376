"""What `qrex run` says of its answers, and of circuits that have none."""

from __future__ import annotations

import pytest

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
