"""Engines of another package that do what no engine may: the verbs name them, and go on without them."""

from __future__ import annotations

import sys

import pytest
from foreign_packages import install

from qrex.execute import solving

SOURCE = '''
from qrex.engines import Cost, Counts, Support

class Sound:
    """Cheaper than any other engine, and right where all outcomes are equal to the first of a GHZ state."""

    name = "sound"
    summary = "answers  zeros\\nand ones"

    def __init__(self, constants):
        self.constants = constants

    def supports(self, profile):
        return Support(True)

    def estimate(self, profile, allotment):
        return Cost(1e-9, 1000)

    def run(self, job, allotment, progress):
        width = job.program.num_clbits
        return Counts({"0" * width: job.shots - 1, "1" * width: 1}, job.shots)

class Lacking:
    name = "lacking"

    def __init__(self, constants):
        self.constants = constants

class Unmakable(Sound):
    def __init__(self, constants):
        raise SystemExit("no license")

class Unasked(Sound):
    name = "unasked"

    def supports(self, profile):
        raise KeyError("depth")

class Uncosted(Sound):
    name = "uncosted"

    def estimate(self, profile, allotment):
        return 1 / 0

class Failing(Sound):
    name = "failing"

    def run(self, job, allotment, progress):
        progress(0.5)
        raise ValueError("no such gate:\\n h")

class Spaces(Sound):
    name = "spaces"

    def run(self, job, allotment, progress):
        return Counts({"0 00": job.shots}, job.shots)
'''
CLASSES = {"sound": "Sound", "lacking": "Lacking", "unmakable": "Unmakable", "unasked": "Unasked",
           "uncosted": "Uncosted", "failing": "Failing", "spaces": "Spaces"}  # fmt: skip
GHZ = (
    'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\ncreg c[3];\n'
    "h q[0];\ncx q[0],q[1];\ncx q[1],q[2];\nmeasure q -> c;\n"
)


@pytest.fixture
def with_engines(tmp_path, monkeypatch):
    """Call with the names of those to install."""
    solving._built.cache_clear()

    def installed(*names):
        folder = tmp_path / "site"
        folder.mkdir()
        engines = {name: f"odd_engines:{CLASSES[name]}" for name in names}
        monkeypatch.syspath_prepend(str(install(folder, "odd_engines", SOURCE, engines, "qrex-odd", "0.3")))
        monkeypatch.delitem(sys.modules, "odd_engines", raising=False)

    yield installed
    solving._built.cache_clear()


@pytest.fixture
def ghz(tmp_path):
    path = tmp_path / "ghz.qasm"
    path.write_text(GHZ)
    return path


BROKEN = {
    "lacking": "it has no supports(), estimate(), run()",
    "unmakable": "SystemExit: no license",
    "unasked": "supports() raised KeyError: 'depth'",
    "uncosted": "estimate() raised ZeroDivisionError: division by zero",
}


def test_broken_engines_are_listed_with_their_reason_and_distribution(qrex, with_engines):
    with_engines(*BROKEN)
    rows = {row["name"]: row for row in qrex("engines", "--json").json}
    text = qrex("engines").out
    for name, why in BROKEN.items():
        assert rows[name]["state"] == "broken" and rows[name]["distribution"] == "qrex-odd 0.3"
        assert why in rows[name]["reason"] and rows[name]["reason"].count("(qrex-odd 0.3)") == 1
        assert f"{name} is broken: {rows[name]['reason']}" in text
        assert rows[name]["support"] is None
    assert rows["statevector"]["state"] == "installed"


def test_what_a_foreign_engine_does_not_state_is_not_known(qrex, with_engines):
    with_engines("sound")
    (row,) = [row for row in qrex("engines", "--json").json if row["name"] == "sound"]
    assert row["summary"] == "answers zeros and ones" and row["state"] == "installed"
    support = row["support"]
    assert support["gates"] == "any" and set(support["takes"].values()) == {None}
    assert (support["error"], support["stops"], support["threads"]) == (None, None, None)
    text = qrex("engines").out
    (line,) = [line.split() for line in text.split("\n\n")[1].splitlines() if line.startswith("sound")]
    assert line == ["sound", "any", *"????????"]
    assert "?: not stated by the engine" in text


def test_broken_engines_are_passed_over_with_their_reason(qrex, constants, with_engines, ghz):
    with_engines(*BROKEN)
    (row,) = qrex("plan", ghz, "--json").json
    assert row["feasible"] is True
    for name in ("unasked", "uncosted"):
        assert BROKEN[name] in row["passed_over"][name] and "(qrex-odd 0.3)" in row["passed_over"][name]
    assert not {"lacking", "unmakable"} & set(row["passed_over"])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_engine_that_is_asked_for_says_why(qrex, constants, with_engines, ghz, name):
    with_engines(*BROKEN)
    shown = qrex("run", ghz, "--engine", name, "--quiet")
    assert shown.code in (2, 3) and BROKEN[name] in shown.out + shown.err and "qrex-odd 0.3" in shown.out + shown.err


RAN_WRONG = {
    "failing": "engine 'failing' raised ValueError: no such gate: h, at run, line ",
    "spaces": "engine 'spaces' returned '0 00'; keys of 3 characters 0/1 are expected (qrex-odd 0.3)",
}


def test_the_next_engine_is_tried_where_one_fails(qrex, constants, with_engines, ghz):
    with_engines(*RAN_WRONG)
    shown = qrex("run", ghz, "--shots", 300, "--json")
    assert shown.code == 0
    (row,) = shown.json
    assert set(row["counts"]) == {"000", "111"} and row["engine"] not in RAN_WRONG
    for why in RAN_WRONG.values():
        assert why in row["reason"]
    assert row["reason"].count("(qrex-odd 0.3)") == 2


@pytest.mark.parametrize("name", RAN_WRONG)
def test_a_failing_engine_that_is_asked_for_is_named(qrex, constants, with_engines, ghz, name):
    with_engines(*RAN_WRONG)
    for _ in range(2):  # a fault is not kept: the engine may have been mended meanwhile
        shown = qrex("run", ghz, "--engine", name, "--json")
        assert shown.code == 1
        assert RAN_WRONG[name] in shown.json[0]["error"] and "(qrex-odd 0.3)" in shown.json[0]["error"]
        assert shown.json[0]["kept"] is False


def test_a_sound_one_answers(qrex, constants, with_engines, ghz):
    with_engines("sound")
    (row,) = qrex("run", ghz, "--shots", 50, "--json").json
    assert row["engine"] == "sound" and row["counts"] == {"000": 49, "111": 1}
