"""Seconds to load 250,000 flat gates from OpenQASM 2 and 3, beside Qiskit's own importers.

    python benchmarks/loading.py [--gates 250000] [--peers]

In: nothing; the programs are made here with a fixed seed. Out: one JSON object as the last line, with the
seconds and peak memory of each importer, each in a process of its own. `--peers` adds Qiskit's importers
(its complete OpenQASM 3 importer takes minutes at full size); a peer that refuses is reported in its words.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import time
from collections.abc import Callable

from qiskit import qasm2, qasm3

from qrex.circuits import read_circuit

__all__ = ["main"]

QUBITS = 20
LIMIT_SECONDS = 15.0


def program(version: int, gates: int) -> str:
    """A program of `gates` flat gates, two thirds of them with a parameter or on two qubits, and measurements."""
    chance = random.Random(2024)
    lines = []
    for _ in range(gates):
        one, two = chance.sample(range(QUBITS), 2)
        lines.append(
            chance.choice((f"h q[{one}];", f"cx q[{one}],q[{two}];", f"rz({chance.uniform(-3, 3)!r}) q[{one}];"))
        )
    if version == 2:
        head = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{QUBITS}];\ncreg c[{QUBITS}];\n'
        return head + "\n".join(lines) + "\nmeasure q -> c;\n"
    head = f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[{QUBITS}] q;\nbit[{QUBITS}] c;\n'
    return head + "\n".join(lines) + "\nc = measure q;\n"


def measured(load: Callable[[str], object], text: str, queue: multiprocessing.Queue) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        load(text)
    except Exception as error:
        queue.put({"refused": f"{type(error).__name__}: {error}"[:200]})
        return
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    queue.put({"seconds": round(seconds, 2), "peak_bytes": grown})


def in_own_process(load: Callable[[str], object], text: str) -> dict:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=measured, args=(load, text, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def load_ours(text: str) -> object:
    return read_circuit(text, "<benchmark>").quantum_circuit


def load_ours_with_definition(text: str) -> object:
    # A gate definition keeps the program away from Qiskit's importer.
    head, body = text.split("\n", 1)
    return load_ours(f"{head}\ngate pair a,b {{ CX a,b; }}\n{body}" if "2.0" in head else text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=250_000)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    second, third = program(2, options.gates), program(3, options.gates)
    runs: dict[str, tuple[Callable[[str], object], str]] = {
        "qrex_openqasm2": (load_ours, second),
        "qrex_openqasm2_with_definitions": (load_ours_with_definition, second),
        "qrex_openqasm3": (load_ours, third),
    }
    if options.peers:
        runs["qiskit_qasm2_loads"] = (qasm2.loads, second)
        runs["qiskit_qasm3_loads_experimental"] = (qasm3.loads_experimental, third)
        runs["qiskit_qasm3_loads"] = (qasm3.loads, third)
    results = {}
    for name, (load, text) in runs.items():
        results[name] = in_own_process(load, text)
        print(f"{name}: {results[name]}", flush=True)
    ours = [results[name] for name in results if name.startswith("qrex_")]
    within = all(result.get("seconds", float("inf")) < LIMIT_SECONDS for result in ours)
    print(json.dumps({"gates": options.gates, "limit_seconds": LIMIT_SECONDS, "within_limit": within, **results}))
    return 0 if within else 1


if __name__ == "__main__":
    raise SystemExit(main())
