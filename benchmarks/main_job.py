"""The main job as a stranger runs it: a fresh store, the example workload, the default platform; then again.

Prints one JSON object as its last line: job_seconds, repeat_seconds, baseline_makespan_seconds,
expanded_makespan_seconds (both of the simulated part, from one run, one after the other), makespan_ratio,
circuits (rows, one per circuit and target), failed (rows that did not run after expansion), worse (rows whose
fidelity after lies below that before, intervals apart), help_median_seconds over ten starts of `qrex --help`,
and a record of the machine. Needs no peers: the baseline, Aer's automatic method, is part of the job.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELP_STARTS = 10


def timed(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - began


def makespan(summary: dict, side: str) -> float:
    (row,) = (c for c in summary["classical"] if c["key"] == "makespan")
    return row[side]["value"]


def is_worse(row: dict) -> bool:
    before, after = row["before"]["fidelity"], row["after"]["fidelity"]
    return bool(before and after and after["high"] < before["low"])


def main() -> None:
    qrex = str(Path(sys.executable).with_name("qrex"))
    helps = [timed([qrex, "--help"]) for _ in range(HELP_STARTS + 1)][1:]
    with tempfile.TemporaryDirectory() as folder:
        job = [qrex, "expand", "examples/workload", "--out", f"{folder}/out", "--store", f"{folder}/qrex.db"]
        job_seconds, repeat_seconds = timed(job), timed(job)
        summary = json.loads(Path(folder, "out", "summary.json").read_text())
    rows = summary["circuits"]
    before, after = makespan(summary, "before"), makespan(summary, "after")
    host = summary["host"]
    print(
        json.dumps(
            {
                "job_seconds": round(job_seconds, 2),
                "repeat_seconds": round(repeat_seconds, 2),
                "baseline_makespan_seconds": round(before, 3),
                "expanded_makespan_seconds": round(after, 3),
                "makespan_ratio": round(after / before, 4),
                "circuits": len(rows),
                "failed": sum(row["after"]["outcome"] != "ran" for row in rows),
                "worse": [row["name"] for row in rows if is_worse(row)],
                "help_median_seconds": round(statistics.median(helps), 3),
                "stages": {name: round(seconds, 2) for name, seconds in summary["timings"].items()},
                "machine": {name: host[name] for name in ("cpu_model", "cores", "memory_bytes", "versions")},
            }
        )
    )


if __name__ == "__main__":
    main()
