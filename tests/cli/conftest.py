"""Runs the command line inside this process, as `qrex ARGUMENTS` would; one calibrated store for the room."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from qrex.cli import main
from qrex.cli import qrex as group


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """What stood on stdout, lines joined: where they break depends on the terminal."""
        return " ".join(self.out.split())

    @property
    def json(self) -> Any:
        return json.loads(self.out)  # fails where anything else is on stdout


@pytest.fixture
def qrex(monkeypatch, capsys):
    """Call with arguments and, for `-`, the bytes of standard input."""

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr("sys.argv", ["qrex", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Result(stop.value.code, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """The store of this room; not there before its first user."""
    return tmp_path_factory.mktemp("cli") / "qrex.db"


@pytest.fixture(scope="session")
def constants(store):
    """What `qrex calibrate --json` prints: asked for by those who need the store calibrated, done once."""
    answer = CliRunner().invoke(group, ["calibrate", "--json", "--quiet", "--store", str(store)])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


@pytest.fixture(autouse=True)
def _own_store(store, monkeypatch):
    monkeypatch.setenv("QREX_STORE", str(store))


BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'


@pytest.fixture
def bell(tmp_path):
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    return path
