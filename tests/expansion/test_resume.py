"""kill -9 at any moment, run again: nothing finished is repeated, nothing is corrupt."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

QASM = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[{n}];
creg c[{n}];
h q[0];
{body}
measure q -> c;
"""


@pytest.fixture
def folder(tmp_path):
    workload = tmp_path / "workload"
    workload.mkdir()
    for n in (3, 4, 5):
        body = "".join(f"cx q[{i}],q[{i + 1}]; rz(0.{i + 1}) q[{i}];\n" for i in range(n - 1))
        (workload / f"chain_{n}.qasm").write_text(QASM.format(n=n, body=body))
    return tmp_path


def start(folder):
    arguments = ["expand", str(folder / "workload"), "--platform", "fake_manila", "--out", str(folder / "out"),
                 "--store", str(folder / "s.db"), "--shots", "200", "--quiet"]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "qrex.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def kept(path):
    if not path.exists():
        return {}
    try:
        return dict(sqlite3.connect(path).execute("SELECT key, session || created_at FROM units"))
    except sqlite3.OperationalError:  # its tables are not there yet
        return {}


def test_killed_twice_and_finished(folder):
    store = folder / "s.db"
    finished = {}
    for wanted in (2, 7):
        process = start(folder)
        workers = []
        while len(kept(store)) < wanted:
            assert process.poll() is None, process.stderr.read()
            workers = psutil.Process(process.pid).children(recursive=True) or workers
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive, "workers outlived their parent"
        assert sqlite3.connect(store).execute("PRAGMA integrity_check").fetchone() == ("ok",)
        now = kept(store)
        assert finished.items() <= now.items()
        finished = now
    process = start(folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    done = kept(store)
    assert finished.items() <= done.items(), "something finished was done again"
    assert len(done) > len(finished)
    assert (folder / "out" / "report.html").exists()
    assert not list(Path(folder / "out").glob("*.tmp*"))
