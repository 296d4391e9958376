"""What README.md, docs/python.md and examples/expand.py show is run as it stands there, as a stranger would.

The one difference: `examples/workload` of the folder they run in holds three small circuits, not all of them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from qrex.cli import VERBS, qrex

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
THREE_CIRCUITS = ("grover_04.qasm", "qft_06.qasm", "random_03.qasm3")


RUN_THE_PAGE = """
import doctest, sys
failed, tried = doctest.testfile("python.txt", module_relative=False, optionflags=doctest.ELLIPSIS)
sys.exit(failed or not tried)
"""


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.fixture
def workspace(tmp_path):
    circuits = tmp_path / "examples" / "workload"
    circuits.mkdir(parents=True)
    for stem in (name.partition(".")[0] for name in THREE_CIRCUITS):
        (found,) = (ROOT / "examples" / "workload").glob(f"{stem}.qasm*")
        shutil.copy(found, circuits)
    (tmp_path / "examples" / "platforms").symlink_to(ROOT / "examples" / "platforms")
    return tmp_path


def _python(workspace: Path, *arguments: str) -> str:
    """Standard output of a Python of its own, with a store of its own. Fails where it failed."""
    environment = {**os.environ, "QREX_STORE": str(workspace / "store.db"), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=workspace, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_python_examples_run(workspace):
    # One test, one store: what the README's example measured is kept, so that the others cost little.
    page = workspace / "python.txt"
    page.write_text("".join(_blocks((ROOT / "docs" / "python.md").read_text(encoding="utf-8"), "python")), "utf-8")
    printed = _python(workspace, "-c", "\n".join([*_blocks(README, "python"), RUN_THE_PAGE]))
    written = json.loads((workspace / "out" / "summary.json").read_text(encoding="utf-8"))
    assert printed.strip() == written["verdict"]
    assert {row["name"] for row in written["circuits"]} == {name.partition(".")[0] for name in THREE_CIRCUITS}
    calls = [row["call"] for row in written["mechanisms"] + written["thresholds"]]
    assert all(call in README for call in calls) and len(calls) == 8
    assert len(list((workspace / "out").glob("Resource_Metrics_Comparison_*.png"))) >= 1

    printed = _python(workspace, str(ROOT / "examples" / "expand.py"), "examples/workload", "results")
    assert printed.splitlines()[-1] == str(Path("results") / "report.html")
    assert (workspace / "results" / "report.html").stat().st_size > 10_000


def _commands() -> list[list[str]]:
    lines = "\n".join(_blocks(README, "sh")).splitlines()
    parts = [part.strip() for line in lines for part in line.split("|")]
    return [shlex.split(part) for part in parts if part.startswith("qrex ")]


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_the_commands_are_well_formed(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    verb = qrex.get_command(click.Context(qrex), command[1])
    verb.make_context(command[1], command[2:])  # parses and checks every option and argument; runs nothing
    named = [word for word in command[2:] if word.startswith("examples/")]
    assert all((ROOT / word).exists() for word in named)


def test_the_table_of_verbs_is_the_programs():
    assert tuple(re.findall(r"^\| `(\w+)(?: \[?[A-Z]+\]?)?` \|", README, re.M)) == VERBS


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make (\w+)`", README)
    assert {"expand", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_the_mechanisms_said_to_be_missing_are():
    from qrex.expansion.mechanisms import NOT_BUILT

    table = README.partition("## What is built, what is not")[2].partition("## ")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.M))
    missing = " ".join(name for name, state in rows.items() if state.startswith("not yet"))
    assert set(NOT_BUILT) == {"calibrate_error_correction"}
    assert "Error correction" in missing
