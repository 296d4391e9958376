"""`qrex measure` volume, t1, ramsey, echo, zz: figures on stdout, three files, kept counts."""

from __future__ import annotations

import json

import pytest

TWIN = """
[[qpu]]
name = "small"
fake = "fake_manila"
[qpu.noise]
memory = true
"""


@pytest.fixture
def twin(tmp_path):
    path = tmp_path / "twin.toml"
    path.write_text(TWIN)
    return path


def test_one_width_of_a_volume(qrex, tmp_path, twin):
    asked = ("measure", "volume", "--width", 2, "--platform", twin, "--shots", 60, "--out", tmp_path)
    shown = qrex(*asked, "-q", "--json")
    assert shown.code == 0 and shown.err == ""
    found = shown.json
    assert [(r["figure"], r["of"], r["x"]) for r in found["readings"]] == [
        ("heavy-output probability", "preset level 3", 2), ("heavy-output probability", "everything on", 2),
    ]  # fmt: skip
    for reading in found["readings"]:
        assert 0.65 < reading["low"] <= reading["value"] <= reading["high"] < 0.9
        assert reading["n"] == 6000 and reading["detail"]["circuits"] == 100 and reading["source"] == "simulated"
    assert any("everything on, width 2: passed" in note for note in found["notes"])
    assert (tmp_path / "volume_small.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "volume_small.json").read_text()) == found
    again = qrex(*asked)
    assert again.code == 0 and "measured before" in again.err and "2σ bound" in again.text


def test_a_width_that_the_device_has_not(qrex, tmp_path, twin):
    shown = qrex("measure", "volume", "--width", 6, "--platform", twin, "--out", tmp_path)
    assert shown.code == 3 and "width 6 was asked for; small has 5 qubits" in shown.err


@pytest.mark.parametrize(
    ("protocol", "figure", "unit", "members"),
    [("t1", "T1", "s", 5), ("echo", "T2", "s", 5), ("ramsey", "T2*", "s", 5), ("zz", "ζ/2π", "Hz", 4)],
)
def test_figures_of_every_qubit_and_link(qrex, tmp_path, twin, protocol, figure, unit, members):
    shown = qrex("measure", protocol, "--platform", twin, "--shots", 150, "--out", tmp_path, "-q", "--json")
    assert shown.code == 0 and shown.err == ""
    found = [r for r in shown.json["readings"] if r["figure"] == figure and not r["of"].startswith("median")]
    assert len(found) == members and {r["unit"] for r in found} == {unit}
    assert all(r["low"] <= r["value"] <= r["high"] and r["source"] == "simulated" for r in found)
    assert any(r["of"].startswith("median") for r in shown.json["readings"])
    if protocol == "ramsey":
        assert sum(r["figure"] == "detuning" for r in shown.json["readings"]) == 5
    assert (tmp_path / f"{protocol}_small.png").stat().st_size > 10_000
