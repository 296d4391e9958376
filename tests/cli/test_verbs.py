"""The verbs on small real input: what is on stdout, what it says, and what is not done twice."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import subprocess
import sys

import pytest
from matplotlib import image

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
QREX = [sys.executable, "-m", "qrex.cli"]


def _random_circuit(qubits: int, layers: int) -> str:
    """Random pairs, random one-qubit gates: entangled as a volume circuit is."""
    rng = random.Random(7)
    lines = [TWO + f"qreg q[{qubits}];\ncreg c[{qubits}];"]
    for _ in range(layers):
        order = rng.sample(range(qubits), qubits)
        for a, b in zip(order[::2], order[1::2], strict=True):
            lines += [f"u3({rng.random():.6f},{rng.random():.6f},0.5) q[{q}];" for q in (a, b)]
            lines.append(f"cx q[{a}],q[{b}];")
    return "\n".join([*lines, "measure q -> c;\n"])


def test_profile_says_what_a_circuit_needs(qrex, bell):
    shown = qrex("profile", bell)
    header, row, _, *legend = shown.out.splitlines()
    assert dict(zip(header.split(), row.split(), strict=False)) == {
        "circuit": "bell", "qubits": "2", "gates": "2", "certain": "0", "coins": "0", "parts": "1", "widest": "2",
        "rows": "4", "Cliff": "yes", "bond": "1", "supp": "1",
    }  # fmt: skip
    assert all(re.search(rf"\b{head}\b", " ".join(legend)) for head in header.split()[3:])
    assert "log2" in " ".join(legend)
    (part,) = qrex("profile", bell, "--json").json[0]["reduced"]["parts"]
    assert part["num_qubits"] == 2 and part["log2_support"] == 1
    assert qrex("profile", bell, "--json").json[0]["is_clifford"] is True


def test_engines_lists_what_can_run(qrex):
    shown = qrex("engines", "--json")
    rows = {row["name"]: row for row in shown.json}
    assert {"statevector", "stabilizer", "aer-automatic"} <= set(rows)
    assert rows["stabilizer"]["support"]["gates"] == "Clifford"
    text = qrex("engines").out
    assert "installed" in text and max(map(len, text.splitlines())) <= 80
    matrix = text.split("\n\n")[1].splitlines()
    assert matrix[0].split() == ["engine", "gates", "mid", "if", "reset", "loop", "noise", "error", "cores", "stops"]
    assert len(matrix) == 1 + sum(row["state"] == "installed" for row in shown.json)


def test_plan_names_an_engine_and_runs_nothing(qrex, constants, bell):
    shown = qrex("plan", bell, "--json")
    assert shown.code == 0
    (row,) = shown.json
    assert row["feasible"] is True and row["engine"] not in row["passed_over"]
    assert row["seconds"] > 0 and row["bytes"] > 0 and "aer-mps" in row["passed_over"]
    text = qrex("plan", bell).out.splitlines()
    assert text[0].split() == ["circuit", "qubits", "engine", "seconds", "bytes"]
    assert text[1].split()[:3] == ["bell", "2", row["engine"]]
    told = "\n".join(text)
    assert all(name in told for name in row["passed_over"]) and row["reason"][:20] in told


@pytest.mark.parametrize("as_json", [False, True])
def test_a_circuit_beyond_every_engine_is_infeasible(qrex, constants, tmp_path, as_json):
    path = tmp_path / "volume_60.qasm"
    path.write_text(_random_circuit(60, 30))
    shown = qrex("plan", path, "--memory", "1GB", *(["--json"] if as_json else []))
    assert shown.code == 3 and "1 of 1 circuits fits no engine" in shown.err
    if as_json:
        assert shown.json[0]["feasible"] is None and "would make it feasible" in shown.json[0]["advice"]
    else:
        told = " ".join(shown.out.split())
        assert "statevector (needs" in told and "QPU, or fewer qubits" in told and "would try" in told


def test_memory_that_would_do_is_named(qrex, constants, tmp_path):
    path = tmp_path / "volume_26.qasm"
    path.write_text(_random_circuit(26, 26))  # 2^26 amplitudes in single precision: 537 MB
    shown = qrex("plan", path, "--memory", "340MB", "--engine", "statevector", "--json")
    assert shown.code == 3 and shown.json[0]["feasible"] is False
    reason = shown.json[0]["reason"]
    assert "(340 MB − 302 MB for its worker process = 38 MB)" in reason
    enough = re.search(r"--memory (\S+) would do", reason).group(1)
    assert qrex("plan", path, "--memory", enough, "--engine", "statevector").code == 0
    shown = qrex("plan", path, "--memory", "300MB", "--engine", "statevector")
    assert "a worker process itself takes 302 MB of the 300 MB" in shown.text


def test_what_else_would_run_it_is_named(qrex, constants, tmp_path):
    """An engine that cannot do what it was asked for is not the only one there is."""
    path = tmp_path / "tfim_30.qasm"
    pairs = [f"rzz(0.3) q[{left}],q[{left + 1}];" for left in range(29)]
    lines = ["qreg q[30]; creg c[30];", *["rx(0.4) q;", *pairs] * 2, "rx(0.3) q; measure q -> c;"]
    path.write_text(TWO + "\n".join(lines))
    for verb in ("plan", "run"):
        shown = qrex(verb, path, "--engine", "stabilizer")
        assert shown.code == 3
        assert "engine 'stabilizer' was asked for and cannot run 30 qubits" in shown.text
        assert "is not a Clifford gate; without --engine, mps would run it in " in shown.text
    shown = qrex("plan", path, "--engine", "aer-density-matrix")
    assert "need more than 1 EB" in shown.text and "would run it" in shown.text
    freely = qrex("plan", path, "--memory", "2GB", "--json")
    assert freely.code == 0 and freely.json[0]["engine"] == "mps"


def test_more_memory_than_the_host_has_is_infeasible(qrex, bell):
    shown = qrex("plan", bell, "--memory", "900TB")
    assert shown.code == 3 and "this host has" in shown.err


def test_run_counts_shots_once(qrex, constants, bell):
    first = qrex("run", bell, "--shots", 400, "--json")
    assert first.code == 0 and "Simulate" in first.err
    (row,) = first.json
    assert set(row["counts"]) == {"00", "11"} and sum(row["counts"].values()) == 400
    # Two fair outcomes: five standard deviations of the binomial are 50.
    assert abs(row["counts"]["00"] - 200) < 50
    again = qrex("run", bell, "--shots", 400, "--json")
    assert (first.json[0]["kept"], again.json[0]["kept"]) == (False, True)
    assert again.json == [row | {"kept": True}]  # seconds too: it is the kept run
    kept = qrex("show", "--predictions", "--json").json
    assert any(entry["circuit_id"] == row["id"] for entry in kept["runs"])
    assert any(entry["engine"] == row["engine"] and entry["runs"] + entry["bounds"] for entry in kept["engines"])
    shown = qrex("show", "--predictions").out
    assert "predicted" in shown and ("within 2x" in shown or "bounds of the model" in shown)


def test_run_fails_where_one_does_and_runs_the_others(qrex, constants, bell):
    (bell.parent / "turns.qasm").write_text(_random_circuit(4, 3))
    (bell.parent / "wrong.qasm").write_text("no circuit")
    shown = qrex("run", bell.parent, "--engine", "stabilizer", "--shots", 50, "--quiet")
    assert shown.code == 3
    assert re.search(r"^bell: stabilizer, .+, 50 shots$", shown.out, re.M) and "turns: infeasible" in shown.out
    assert "wrong.qasm:1:" in shown.err


def test_run_on_the_qpu_says_that_it_is_simulated(qrex, bell):
    shown = qrex("run", bell, "--engine", "qpu", "--platform", "fake_manila", "--shots", 300, "--quiet")
    assert shown.code == 0 and shown.err == ""
    heading = shown.out.splitlines()[0]
    assert heading.startswith("bell: fake_manila, simulated in ") and heading.endswith("), 300 shots")
    assert "of device time by the model" in heading


def test_measure_writes_its_three_files_and_measures_nothing_twice(qrex, tmp_path):
    asked = ("measure", "rb", "--width", 1, "--platform", "fake_manila", "--shots", 200, "--out", tmp_path)
    first = qrex(*asked, "--json")
    assert first.code == 0 and "Randomized benchmarking" in first.err
    document = first.json
    assert json.loads((tmp_path / "rb_fake_manila.json").read_text()) == document
    assert document["qpu"]["source"] == "simulated" and document["shots_per_circuit"] == 200
    errors = [r for r in document["readings"] if r["figure"] == "error per 1q Clifford"]
    assert [r["of"] for r in errors] == ["median of 5", *map(str, range(5))]
    for reading in document["readings"]:
        assert reading["low"] <= reading["value"] <= reading["high"] and reading["n"] > 0
        assert reading["source"] == "simulated"
    # The calibration's own error of sx on these five qubits lies between 1e-4 and 1e-3.
    assert 5e-5 < errors[0]["value"] < 3e-3
    rows = list(csv.DictReader((tmp_path / "rb_fake_manila.csv").open()))
    assert len(rows) == len(document["readings"]) and {row["x_unit"] for row in rows} == {"", "Cliffords"}
    height, width, _ = image.imread(tmp_path / "rb_fake_manila.png").shape
    assert width > 1000 and height > 500
    again = qrex(*asked)
    assert again.code == 0 and "measured before" in again.err and "Randomized benchmarking" not in again.err
    assert "simulated from its calibration" in again.out and "95 % interval" in again.out
    runs = [run for run in qrex("show", "--json").json if run["verb"] == "measure" and run["title"].startswith("rb")]
    assert len(runs) == 1 and runs[0]["status"] == "done"
    assert str(tmp_path / "rb_fake_manila.png") in qrex("show", runs[0]["id"][:10]).out


@pytest.mark.parametrize(
    ("protocol", "options", "figures"),
    [
        ("tomography", ("--gate", "h"), {"process fidelity of h"}),
        ("coherence", ("--window", "5us", "--window", "40us", "--sequence", "XX"), {"Q, median", "Q, best virtual Z"}),
        ("entanglement", (), {"E", "E_sim (fired at once)", "link ebits", "Bell witness"}),
        ("layer", ("--chain", "1,2,3,4", "--sequence", "XX"), {"layer fidelity", "error per layered gate",
                                                               "fidelity in layer 2"}),
        ("interleaved", ("--gate", "x"), {"error of x", "α of x", "error per Clifford, reference"}),
        ("interleaved", ("--window", "2us"), {"error of the window", "α of the window"}),
    ],
)
def test_the_other_protocols(qrex, tmp_path, protocol, options, figures):
    shown = qrex("measure", protocol, *options, "--platform", "fake_manila", "--shots", 100, "--out", tmp_path, "-q",
                 "--json")  # fmt: skip
    assert shown.code == 0 and shown.err == ""
    found = shown.json["readings"]
    assert figures <= {reading["figure"] for reading in found}
    assert (tmp_path / f"{protocol}_fake_manila.png").stat().st_size > 10_000
    if protocol == "coherence":
        medians = [r for r in found if r["figure"] == "Q, median"]
        assert [(r["of"], round(r["x"] * 1e6)) for r in medians] == [("idle", 5), ("idle", 40), ("XX", 5), ("XX", 40)]
        assert medians[1]["value"] < medians[0]["value"]
    if protocol == "layer":
        assert [r["of"] for r in found if r["figure"] == "layer fidelity"] == ["the chain", "with XX"]
        assert any("1, 2, 3, 4" in note for note in shown.json["notes"])
        # Without crosstalk or memory nothing but one-qubit gates and idling comes on top of the gate errors.
        alone = next(r for r in found if r["figure"] == "gate errors alone")
        assert alone["source"] == "model" and found[0]["low"] < alone["value"]
    if protocol == "interleaved":
        assert {r["of"] for r in found} == {"median of 5", *map(str, range(5))}
    if protocol == "entanglement":
        assert len([r for r in found if r["figure"] == "link ebits"]) == 4  # five qubits in a row
        assert found[0]["value"] <= 4 / 5 and found[0]["unit"] == "ebits per qubit"


def test_expand_fails_by_code_4_only_where_a_threshold_was_required(qrex, constants, bell, tmp_path):
    (tmp_path / "host_only.toml").write_text('name = "host only"\n')
    asked = ("expand", bell, "--platform", tmp_path / "host_only.toml", "--shots", 100, "--out", tmp_path / "out", "-q")
    metrics = tmp_path / "metrics.prom"
    missed = qrex(*asked, "--require-density", 0.5, "--metrics-file", metrics, "--json")
    assert missed.code == 4 and "required 0.5, not measured" in missed.err
    assert missed.json["thresholds"][1]["passed"] is False  # the report is made all the same
    assert (tmp_path / "out" / "report.html").exists() and "# TYPE " in metrics.read_text()
    runs = qrex("show", "--json").json
    assert runs[0]["verb"] == "expand" and runs[0]["status"] == "done"
    assert "verify_entanglement_fidelity" in qrex("show", runs[0]["id"]).out
    validated = qrex(*asked)
    assert validated.code == 0 and f"Report: {tmp_path}/out/report.html" in validated.out


FEED_FORWARD = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q; bit[2] c;
h q[0];
c[0] = measure q[0];
if (c[0]) { x q[1]; }
c[1] = measure q[1];
"""


@pytest.mark.parametrize("target", ["auto", "qpu"])
def test_control_flow_goes_only_to_a_qpu_that_takes_it(qrex, constants, tmp_path, target):
    (tmp_path / "feed.qasm").write_text(FEED_FORWARD)
    asked = ("expand", tmp_path / "feed.qasm", "--shots", 100, "--target", target, "--out", tmp_path / "out")
    shown = qrex(*asked, "--platform", "fake_guadalupe", "--json")
    assert shown.code == 0
    (row,) = shown.json["circuits"]
    why = "uses if_else, and fake_guadalupe does not take it"
    if target == "auto":
        assert row["target"] == "simulate" and row["after"]["outcome"] == "ran" and why in row["after"]["why"]
        assert why in shown.err and any(why in note for note in shown.json["notes"])
    else:
        assert row["target"] == "qpu" and why in row["before"]["why"]
        assert row["before"]["outcome"] == row["after"]["outcome"] == "unsupported"
        run = qrex("run", tmp_path / "feed.qasm", "--engine", "qpu", "--platform", "fake_guadalupe")
        assert run.code == 3 and why in run.out


def test_expand_exits_1_where_a_run_after_failed(qrex, constants, tmp_path):
    (tmp_path / "volume.qasm").write_text(_random_circuit(24, 40))
    (tmp_path / "host_only.toml").write_text('name = "host only"\n')
    asked = ("expand", tmp_path / "volume.qasm", "--platform", tmp_path / "host_only.toml", "--shots", 10, "-q")
    shown = qrex(*asked, "--time-limit", 0.2, "--out", tmp_path / "out")
    assert shown.code == 1 and "1 of 1 circuit runs failed: volume on " in shown.err
    assert "took longer than 200 ms" in shown.err and (tmp_path / "out" / "report.html").exists()


def test_expand_says_first_what_it_may_use(qrex, constants, bell, tmp_path):
    (tmp_path / "host_only.toml").write_text('name = "host only"\n')
    asked = ("expand", bell, "--platform", tmp_path / "host_only.toml", "--shots", 111, "--out", tmp_path / "out")
    limited = qrex(*asked, "--memory", "1.5GB", "--cores", 1).err.splitlines()
    assert limited[0] == "may use up to 1.5 GB of memory and 1 thread; limit with --memory, --cores"
    assert re.match(r"may use up to [\d.]+ GB of memory and \d+ threads?; limit", qrex(*asked).err)
    assert "may use" not in qrex(*asked).err, "nothing is run again"


def test_constants_are_measured_for_every_engine(constants):
    assert constants["failures"] == {}
    assert {"statevector", "stabilizer", "aer-mps"} <= set(constants["values"])
    assert all(value >= 0 for values in constants["values"].values() for value in values.values())
    assert all(any(value > 0 for value in values.values()) for values in constants["values"].values())


def test_probe_shows_the_host_and_its_qpus(qrex):
    assert "fake_guadalupe (simulated), 16 qubits, calibrated 20" in qrex("probe").out
    probed = qrex("probe", "--platform", "fake_manila", "--json").json
    assert probed["qpus"][0]["qubits"] == 5 and probed["host"]["cores"] >= 1


def test_a_reader_that_leaves_is_no_error(tmp_path, store):
    rows = tmp_path / "many"
    rows.mkdir()
    for number in range(60):
        (rows / f"c{number:02}.qasm").write_text(TWO + "qreg q[1];\ncreg c[1];\nmeasure q -> c;\n")
    program = subprocess.Popen([*QREX, "profile", str(rows), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == b"" and program.wait() == 0


def test_a_full_disk_is_told_in_a_line(bell):
    with open("/dev/full", "w") as full:
        answer = subprocess.run([*QREX, "profile", str(bell)], stdout=full, stderr=subprocess.PIPE, text=True)
    assert answer.returncode == 1 and answer.stderr == "qrex: cannot read or write: No space left on device\n"


def test_a_terminal_without_greek_gets_the_rest(bell):
    answer = subprocess.run(
        [*QREX, "expand", "--help"], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"}
    )
    assert answer.returncode == 0 and b"Q(?_68)" in answer.stdout


def test_off_a_terminal_nothing_moves_and_nothing_is_colored(constants, bell, store):
    answer = subprocess.run(
        [*QREX, "run", str(bell), "--store", str(store)], capture_output=True, text=True,
        env=os.environ | {"FORCE_COLOR": "", "TERM": "xterm-256color"},
    )  # fmt: skip
    assert answer.returncode == 0
    assert "\x1b" not in answer.stdout + answer.stderr and "\r" not in answer.stderr
