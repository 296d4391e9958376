"""Does every circuit finish first on the right engine? Against Qiskit Aer, prism-q and qsim, in one run.

    python benchmarks/routing.py [--cache build/routing] [--part finish ...] [--families ...] [--sizes ...] [--resume]

The set is made by rule (see routing_set): every MQT Bench family at six sizes, 60 s and 1,000 shots each. Parts:
`finish` runs everyone on everything and verifies; `regret` and `predictions` are read off its findings; `dispatch`
sends trivial circuits; `memory` runs the set within 2 GB; `agreement` compares distributions. The last line printed
is one JSON object; a table of all times is written beside the record. Definitions: a circuit is finished when it is
answered within the limit with a stated infidelity of at most 1e-3 and, where its gates have an inverse and it has
more than 20 qubits, its mirror circuit returns its start with probability 0.99. `total_over_best_peer` counts the
limit for what is not finished. Routing's own time is that of profile and plan; reading and reducing a circuit,
which every engine of qrex needs, is in the total time only. Times below 20 ms count as 20 ms in the regret and the
predictions, peaks below 32 MiB as 32 MiB; shares without these floors stand beside them.

Needs the packages of `make peers`, and says so when one is missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

try:  # loaded before any child is forked, so that nobody's start-up is in a time
    import cirq  # noqa: F401
    import prism_q  # noqa: F401
    import qiskit_aer  # noqa: F401
    import qsimcirq  # noqa: F401
    from mqt.bench.benchmarks import get_available_benchmark_names  # noqa: F401
except ImportError as error:
    sys.exit(f"benchmarks/routing.py compares with {error.name}, which is not installed: run `make peers`")

import routing_agreement
import routing_finish
import routing_set
from routing_children import Child
from routing_contenders import PEERS, Contender, make
from routing_figures import finish_figures, prediction_figures, regret_figures, table
from routing_ours import OURS, Ours, engine_names
from routing_record import Record, machine

from qrex.balance import CostConstants, calibrate

__all__ = ["main"]

PARTS = ("finish", "regret", "predictions", "dispatch", "memory", "agreement")
_IN_PROCESS_OF_THEIR_OWN = ("dispatch", "memory")
_SHOTS = 1000
_OVERHEAD_BYTES = 10**9  # libraries, thread stacks and arenas, on top of what a contender may use for states


def main() -> None:
    options = _options()
    began = time.monotonic()
    record = Record(options.cache / "record.json", resume=options.resume)
    items = [
        item
        for item in routing_set.ready(options.cache / "set", options.sizes, options.families)
        if not options.only or item.name in options.only
    ][: options.limit]
    if options.alone:
        print(json.dumps(_alone(options, items)))
        return
    constants = _constants(record, options.threads)
    figures: dict[str, Any] = {}
    if "finish" in options.part:
        _finish(items, constants, record, options)
    found = {item.name: record.part(routing_finish.PART).get(item.name) for item in items}
    found = {name: one for name, one in found.items() if one}
    if found:
        figures |= finish_figures(found) if "finish" in options.part else {}
        figures |= regret_figures(found) if "regret" in options.part else {}
        figures |= prediction_figures(found) if "predictions" in options.part else {}
        (options.cache / "table.txt").write_text(table(found) + "\n")
    if "agreement" in options.part:
        _agreement(items, constants, record, options)
        figures |= routing_agreement.agreement_figures(record.part(routing_agreement.PART))
    for part in _IN_PROCESS_OF_THEIR_OWN:
        if part in options.part:
            if part not in record.part("alone"):
                record.keep("alone", part, _in_process_of_its_own(part, options))
            figures |= record.part("alone")[part]
    settings = {"threads": options.threads, "shots": _SHOTS, "limit_seconds": routing_finish.LIMIT_SECONDS}
    settings |= {"memory_bytes": options.memory, "parts": options.part, "resumed": options.resume}
    figures |= {"minutes": round((time.monotonic() - began) / 60, 1), "settings": settings, "machine": machine()}
    print(json.dumps(figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("build/routing"), help="circuits and findings are kept here")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(routing_set.SIZES), choices=routing_set.SIZES)
    parser.add_argument("--families", nargs="+", default=[])
    parser.add_argument("--only", nargs="+", default=[], help="circuits by name, such as qft_24")
    parser.add_argument("--limit", type=int, help="the first so many circuits")
    parser.add_argument("--resume", action="store_true", help="go on from the findings in the cache")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--memory", type=int, default=int(0.75 * psutil.virtual_memory().total), help="bytes that one contender may use"
    )
    parser.add_argument("--memory-limit-seconds", type=float, default=5.0, help="per circuit in the part `memory`")
    parser.add_argument("--circuits", type=int, default=2000, help="of the part `dispatch`")
    parser.add_argument("--alone", choices=_IN_PROCESS_OF_THEIR_OWN, help=argparse.SUPPRESS)
    return parser.parse_args()


def _constants(record: Record, threads: int) -> CostConstants:
    """Calibrated in a process of its own, since this one must not start threads before it forks."""
    kept = record.part("constants").get(str(threads))
    if kept is None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=lambda: theirs.send(calibrate(threads).to_dict()))
        process.start()
        theirs.close()
        kept = ours.recv()
        process.join()
        record.keep("constants", str(threads), kept)
        print(f"calibrated {', '.join(kept['values'])}; failed: {kept['failures'] or 'none'}", file=sys.stderr)
    return CostConstants.from_dict(kept)


def _child(name: str, build: Callable[[], Contender], options, shots: int = _SHOTS) -> Child:
    return Child(name, build, options.memory + _OVERHEAD_BYTES, shots, options.cache / "prepared")


def _finish(items, constants: CostConstants, record: Record, options) -> None:
    values, threads, memory = constants.values, options.threads, options.memory
    contenders = {OURS: _child(OURS, lambda: Ours(values, threads, memory), options)}
    for peer in PEERS:
        contenders[peer] = _child(peer, lambda peer=peer: make(peer, threads, memory), options)
    engines = {
        f"{OURS}:{name}": _child(f"{OURS}:{name}", lambda name=name: Ours(values, threads, memory, name), options)
        for name in engine_names(values)
    }
    try:
        routing_finish.measure(items, contenders, engines, record)
    finally:
        for child in (*contenders.values(), *engines.values()):
            child.close()


def _agreement(items, constants: CostConstants, record: Record, options) -> None:
    values, threads, memory = constants.values, options.threads, options.memory
    children = (
        _child(OURS, lambda: Ours(values, threads, memory), options, routing_agreement.SHOTS),
        _child("aer-automatic", lambda: make("aer-automatic", threads, memory), options, 10 * routing_agreement.SHOTS),
        _child("aer-mps", lambda: make("aer-mps", threads, memory), options, routing_agreement.SHOTS),
    )
    try:
        routing_agreement.measure(items, *children, record)
    finally:
        for child in children:
            child.close()


def _in_process_of_its_own(part: str, options) -> dict[str, Any]:
    """This script again with `--alone`, which reads the same set."""
    command = [sys.executable, __file__, "--cache", str(options.cache), "--alone", part, "--resume"]
    command += ["--threads", str(options.threads), "--sizes", *map(str, options.sizes)]
    command += ["--memory-limit-seconds", str(options.memory_limit_seconds), "--circuits", str(options.circuits)]
    command += ["--families", *options.families] if options.families else []
    command += ["--only", *options.only] if options.only else []
    command += ["--limit", str(options.limit)] if options.limit else []
    print(f"{part}: in a process of its own", file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _alone(options, items) -> dict[str, Any]:
    from routing_workload import dispatch_figures, memory_figures

    if options.alone == "dispatch":
        return dispatch_figures(options.threads, options.circuits)
    return memory_figures(items, options.threads, 2 * 10**9, options.memory_limit_seconds)


if __name__ == "__main__":
    main()
