"""The documents hold together: links lead somewhere, tables list what exists, samples are accepted."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from foreign_packages import install

from qrex.circuits import load_workload
from qrex.errors import CircuitError
from qrex.expansion import Expansion
from qrex.platform import load_platform
from qrex.profile import Profile

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(path: Path) -> set[str]:
    """Anchors of headings as they are made on the usual hosts: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", _text(path), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(path: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", _text(path)) if not link.startswith("http")]


def _sample(page: str, language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```$", _text(DOCS / page), re.M | re.S).group(1)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in _links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_index_lists_every_document():
    listed = {(DOCS / link).resolve() for link in _links(DOCS / "README.md")}
    written = {p.resolve() for p in DOCS.iterdir() if p.suffix in (".md", ".json")} - {DOCS / "README.md"}
    assert written <= listed


def test_the_chart_of_the_readme_is_one_of_the_programs():
    head = (DOCS / "resource_metrics.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (2400, 1200)


def test_the_sample_platform_file_is_accepted(tmp_path):
    (tmp_path / "lab.toml").write_text(_sample("platform.md", "toml"), encoding="utf-8")
    platform = load_platform(tmp_path / "lab.toml")
    assert platform.name == "lab"
    assert platform.limits.cores == 4 and platform.limits.memory_bytes == 16_000_000_000
    assert [qpu.kind for qpu in platform.qpus] == ["fake", "import", "live"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "platforms").iterdir()), ids=lambda p: p.stem)
def test_the_example_platforms_are_accepted(path):
    assert load_platform(path).name == path.stem


def test_the_sample_workload_file_is_accepted(tmp_path):
    (tmp_path / "workload.toml").write_text(_sample("openqasm.md", "toml"), encoding="utf-8")
    (tmp_path / "adder_64.qasm").write_text("OPENQASM 2.0; qreg q[1]; creg c[1]; h q[0]; measure q -> c;")
    (tmp_path / "vqe.qasm3").write_text(
        'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit[1] q; bit[1] c; ry(theta) q; c = measure q;'
    )
    loaded = load_workload(tmp_path, strict=True)
    assert loaded.name == tomllib.loads(_sample("openqasm.md", "toml"))["name"]
    adder, vqe = loaded.circuits
    assert (adder.name, adder.target, adder.shots) == ("adder_64", "simulate", 1000)
    assert (vqe.name, vqe.target, vqe.shots) == ("vqe", "auto", 4000)
    assert vqe.quantum_circuit.data[0].operation.params == [0.5]


@pytest.fixture
def documented_engine(tmp_path):
    """The environment of a process that has the engine of docs/engines.md installed."""
    project = tomllib.loads(_sample("engines.md", "toml"))["project"]
    points = project["entry-points"]["qrex.engines"]
    (module,) = {target.partition(":")[0] for target in points.values()}
    install(tmp_path, module, _sample("engines.md", "python"), points, project["name"], project["version"])
    return os.environ | {"PYTHONPATH": str(tmp_path), "QREX_STORE": str(tmp_path / "qrex.db")}


def _ran(arguments, environment):
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_documented_engine_is_listed_calibrated_and_runs(tmp_path, documented_engine):
    rows = {row["name"]: row for row in json.loads(_ran(["qrex.cli", "engines", "--json"], documented_engine))}
    row = rows["dense"]
    assert (row["state"], row["distribution"]) == ("installed", "qrex-dense 0.1")
    assert row["summary"] == "dense state by Qiskit, measurements last"
    assert (row["support"]["gates"], row["support"]["error"], row["support"]["stops"]) == ("any", "exact", "no")
    assert not any(row["support"]["takes"].values())
    (tmp_path / "a.qasm").write_text(
        'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg c[3]; h q[0]; cx q[0],q[2]; cx q[2],q[1]; measure q -> c;'
    )
    run = ["qrex.cli", "run", tmp_path / "a.qasm", "--engine", "dense", "--shots", "400", "--json", "--quiet"]
    (answer,) = json.loads(_ran(run, documented_engine))
    assert answer["engine"] == "dense" and answer["predicted_seconds"] > 0
    assert set(answer["counts"]) == {"000", "111"} and sum(answer["counts"].values()) == 400


def test_the_documented_engine_passes_the_conformance_suite_as_documented(documented_engine):
    command = re.search(r"`\.venv/bin/python -m (pytest .*? -k dense)`", _text(DOCS / "engines.md"))
    told = _ran([*command.group(1).split(), "-p", "no:cacheprovider", "-rs"], documented_engine)
    passed = int(re.search(r"(\d+) passed", told).group(1))
    assert passed >= 30 and "failed" not in told


def test_what_the_documents_say_of_profiles_exists():
    told = _text(DOCS / "engines.md").partition("to say no with:")[2].partition("- **`estimate")[0]
    names = set(re.findall(r"`(\w+)`", told))
    assert len(names) > 12 and names <= {field.name for field in fields(Profile)}


HEAD = 'OPENQASM 3.0; include "stdgates.inc"; qubit[9] q; bit[9] c;\n'


@pytest.mark.parametrize(
    "line",
    ["let a = q[0:2] ++ q[5:6]; h a;", "x q[-1]; y q[0:2:8]; z q[{0, 3}];",
     "negctrl @ x q[0], q[1]; pow(0.5) @ x q[0];",
     "c[0] = measure q[0]; if (c[0] ^ c[1] && !c[2] || c < 3) { if (c == 5) x q[1]; } else { y q[1]; }",
     "for int i in {1, 5, 7} z q[i];", "delay[100ns] q[0]; reset q[0]; barrier q;", "output bit b; b = measure q[0];",
     "@note anything\nh q[0];", "h q[0]; end;"],
)  # fmt: skip
def test_openqasm3_that_the_table_says_is_read(tmp_path, line):
    (tmp_path / "a.qasm3").write_text(HEAD + line)
    assert load_workload(tmp_path / "a.qasm3", strict=True).circuits[0].num_qubits == 9


@pytest.mark.parametrize(
    "line",
    ["while (c[0]) { x q[0]; }", "switch (1) { case 1 { x q[0]; } }", "break;", "def f(qubit a) { h a; }",
     "extern f(int) -> int;", "array[int, 3] a;", "complex z;", "cal { }", "box { h q[0]; }", "stretch s;", "#pragma x",
     "c[0] = 1;", 'include "other.inc";', "input bit b;", "c[0] = measure q[0]; if (c[0]) { end; }", "measure q[0];"],
)  # fmt: skip
def test_openqasm3_that_the_table_says_is_not_read(tmp_path, line):
    (tmp_path / "a.qasm3").write_text(HEAD + line)
    with pytest.raises(CircuitError) as caught:
        load_workload(tmp_path / "a.qasm3", strict=True)
    assert caught.value.line >= 2


def test_the_nine_calls_are_documented():
    documented = re.findall(r"^\| `(\w+)\(", _text(DOCS / "python.md"), re.M)
    public = [name for name, value in vars(Expansion).items() if callable(value) and not name.startswith("_")]
    assert documented == [name for name in public if name != "close"]
    assert len(documented) == 10  # and summary
