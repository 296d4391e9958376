"""The circuits that routing is judged on, by one rule: MQT Bench, every family, six sizes, built within 30 s.

In: a cache folder. Out: circuits on disk, each with what it takes to name it. Every family is built at its
target-independent level in a process of its own; circuits without measurements get `measure_all`. What takes too
long or is refused is noted, so that a second run reads the cache only.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qiskit import QuantumCircuit, qpy

__all__ = ["SIZES", "Item", "load", "ready"]

SIZES = (8, 16, 24, 32, 64, 128)
LIMIT_SECONDS = 30.0
_NOTES = "built.json"


@dataclass(frozen=True, slots=True)
class Item:
    """One circuit of the set: `size` is what was asked of the family, `qubits` what it has."""

    family: str
    size: int
    qubits: int
    gates: int
    path: str

    @property
    def name(self) -> str:
        return f"{self.family}_{self.size}"


def load(item: Item) -> QuantumCircuit:
    with open(item.path, "rb") as file:
        return qpy.load(file)[0]


def ready(cache: Path, sizes: Sequence[int] = SIZES, families: Sequence[str] = ()) -> list[Item]:
    """Every circuit of the set with these sizes and families (all of them if none is named), smallest sizes first.

    Builds what the cache does not hold; whether something was built in time is decided once per cache.
    """
    from mqt.bench.benchmarks import get_available_benchmark_names

    known = get_available_benchmark_names()
    if unknown := set(families) - set(known):
        raise SystemExit(f"no such family: {', '.join(sorted(unknown))}; there is {', '.join(known)}")
    cache.mkdir(parents=True, exist_ok=True)
    notes_path = cache / _NOTES
    notes = json.loads(notes_path.read_text()) if notes_path.exists() else {}
    wanted = [(family, size) for family in known for size in SIZES if size in sizes and family in (families or known)]
    missing = [(family, size) for family, size in wanted if f"{family}_{size}" not in notes]
    if missing:
        _load_everything()
    for family, size in missing:
        name = f"{family}_{size}"
        notes[name] = _build_in_time(family, size, cache)
        print(f"built {name}: {notes[name].get('refused', 'yes')}", file=sys.stderr, flush=True)
        notes_path.write_text(json.dumps(notes, indent=1))
    found = [notes[f"{family}_{size}"] for family, size in sorted(wanted, key=lambda one: one[1])]
    return [Item(**note) for note in found if "refused" not in note]


def _load_everything() -> None:
    """So that no family pays for loading what its process is forked with. Loaded only: a transpiler that has run
    leaves threads, and a process forked beside them hangs."""
    import mqt.bench  # noqa: F401
    from qiskit.transpiler.passes.synthesis.plugin import HighLevelSynthesisPluginManager, UnitarySynthesisPluginManager
    from qiskit.transpiler.preset_passmanagers.plugin import PassManagerStagePluginManager

    for load_plugins in (PassManagerStagePluginManager, HighLevelSynthesisPluginManager, UnitarySynthesisPluginManager):
        load_plugins()


def _build_in_time(family: str, size: int, cache: Path) -> dict:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_build, args=(family, size, cache, theirs))
    began = time.monotonic()
    process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(LIMIT_SECONDS) else {"refused": f"over {LIMIT_SECONDS:g} s"}
    except EOFError:
        answer = {"refused": "its process died"}
    process.kill()
    process.join()
    return answer | {"seconds": round(time.monotonic() - began, 2)} if "refused" in answer else answer


def _build(family: str, size: int, cache: Path, answer) -> None:
    from mqt.bench import BenchmarkLevel, get_benchmark

    try:
        circuit = get_benchmark(family, BenchmarkLevel.INDEP, size)
        if not any(instruction.name == "measure" for instruction in circuit.data):
            circuit.measure_all()
        path = cache / f"{family}_{size}.qpy"
        with open(path, "wb") as file:
            qpy.dump(circuit, file)
        answer.send(asdict(Item(family, size, circuit.num_qubits, circuit.size(), str(path))))
    except Exception as error:  # a family says no in its own words
        answer.send({"refused": f"{type(error).__name__}: {error}"[:200]})
