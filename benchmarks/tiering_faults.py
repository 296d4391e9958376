"""A run in stages, disturbed at random points, and run again.

`qrex run` samples a circuit whose state is larger than its memory, with a library loaded before all others
(`faulty_disk.cpp`) that disturbs one of the calls by which the scratch area is made, read and written, drawn at random:
everything is killed there, a write is cut off and everything killed, one bit of what is written is another (and some
calls later everything is killed), or there is no more room. What the disturbed run answers, where it answers, must be
what an undisturbed run answered; where it fails, it must say why. Then the same command is run again without a fault:
it must answer the same, or say what is wrong; after what it advises (the folder is removed) it must answer the same.
The last line printed is one JSON object. Takes some fifteen minutes, and a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiering import family

__all__ = ["KINDS", "main"]

KINDS = ("kill", "short", "flip", "flip, later kill", "full")
_QUBITS, _SEED = 24, 5
_LIMITS = ("--memory", "400MB", "--disk", "2GB")
_ADVICE = ("run again", "--scratch", "remove", "make room", "--disk")  # one of them stands in every failure


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a command ended: what it counted, or what it said."""

    code: int
    counts: dict[str, int] | None
    resumed: bool
    said: str


class _Trials:
    def __init__(self, room: Path):
        self._room = room
        self._circuit, self._library = room / "volume.qasm", room / "faulty_disk.so"
        source = Path(__file__).with_name("faulty_disk.cpp")
        command = ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        from qiskit import qasm2, transpile

        volume = transpile(family("QV", _QUBITS), basis_gates=["u", "cx"], optimization_level=0)
        self._circuit.write_text(qasm2.dumps(volume))
        self._store = room / "store.db"  # what was probed and calibrated, and no answer to what is asked later
        self.command("prepared", seed=_SEED + 1)
        shutil.move(room / "prepared" / "store.db", self._store)
        first = self.command("undisturbed", QREX_FAULT_COUNT=str(room / "calls"))
        if first.counts is None:
            sys.exit(f"the undisturbed run failed:\n{first.said}")
        self.right = first.counts
        self.calls = int((room / "calls").read_text())

    def command(self, name: str, seed: int = _SEED, **settings: str) -> _Answer:
        folder = self._room / name
        folder.mkdir(exist_ok=True)
        store = folder / "store.db"
        if self._store.exists():
            shutil.copy(self._store, store)
        environment = os.environ | {"LD_PRELOAD": str(self._library), "QREX_FAULT_FOLDER": str(folder)} | settings
        command = [
            sys.executable, "-m", "qrex.cli", "run", str(self._circuit), "--engine", "statevector", *_LIMITS,
            "--scratch", str(folder), "--seed", str(seed), "--store", str(store), "--json", "--quiet",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=environment, start_new_session=True)
        try:
            row = json.loads(done.stdout)[0]
        except (ValueError, IndexError):
            return _Answer(done.returncode, None, False, done.stderr.strip())
        resumed = bool(row.get("tiers") and row["tiers"]["resumed"])
        return _Answer(done.returncode, row.get("counts"), resumed, (done.stderr + str(row.get("error", ""))).strip())

    def trial(self, number: int, kind: str, at: int, bit: int) -> dict[str, Any]:
        name = f"trial-{number}"
        settings = {"QREX_FAULT": kind.split(",")[0], "QREX_FAULT_AT": str(at), "QREX_FAULT_BIT": str(bit)}
        if "later" in kind:
            settings["QREX_FAULT_KILL_AT"] = str(at + 1 + bit % 97)
        faulty = self.command(name, **settings)
        found: dict[str, Any] = {"kind": kind, "at": at, "bit": bit, "disturbed": self._verdict(faulty)}
        again = self.command(name)
        found |= {"again": self._verdict(again), "resumed": again.resumed}
        if again.counts is None:
            found["said"] = again.said
            for area in (self._room / name).glob("qrex-*"):
                shutil.rmtree(area)
            found["anew"] = self._verdict(self.command(name))
        elif faulty.counts is None:
            found["said"] = faulty.said
        shutil.rmtree(self._room / name)
        return found

    def _verdict(self, answer: _Answer) -> str:
        if answer.counts is not None:
            return "equal" if answer.counts == self.right else "WRONG"
        if answer.code == -signal.SIGKILL:
            return "killed"
        return "clear error" if any(word in answer.said for word in _ADVICE) else "UNCLEAR"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", default=tempfile.gettempdir(), help="folder on the disk to be used")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        trials = _Trials(Path(folder))
        print(f"{trials.calls} calls in the undisturbed run", file=sys.stderr)
        drawn = [
            (number, KINDS[number % len(KINDS)], rng.randint(1, trials.calls), rng.randrange(1 << 24))
            for number in range(options.faults)
        ]
        with ThreadPoolExecutor(2) as pool:
            found = []
            for one in pool.map(lambda task: trials.trial(*task), drawn):
                found.append(one)
                print(json.dumps(one), file=sys.stderr)
    tally = Counter(f"{one['kind']}: {one['disturbed']}, then {one['again']}" for one in found)
    for text, count in sorted(tally.items()):
        print(f"{count:4} {text}", file=sys.stderr)
    print(json.dumps({
        "faults": len(found), "calls": trials.calls, "seed": options.seed,
        "wrong": sum("WRONG" in (one["disturbed"], one["again"], one.get("anew")) for one in found),
        "unclear": sum("UNCLEAR" in (one["disturbed"], one["again"], one.get("anew")) for one in found),
        "again_equal": sum(one["again"] == "equal" for one in found),
        "again_clear_error": sum(one["again"] == "clear error" for one in found),
        "anew_equal": sum(one.get("anew") == "equal" for one in found),
        "resumed": sum(one["resumed"] for one in found),
        "tally": dict(tally),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
