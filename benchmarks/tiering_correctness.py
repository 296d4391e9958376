"""Amplitudes of states in stages against Qiskit Aer in double precision.

Random circuits with gates on every pair of qubits (dense, real, diagonal, controlled and permuting gates on one to
three qubits), of 9 to 22 qubits; for each every number of qubits outside a sub-state from 1 to 6, every codec, caches
large and small. In float32 no amplitude may differ by more than 1e-5 once the global phase is taken out; in int16 and
int8 the infidelity found is put beside the one stated. The last line printed is one JSON object. Takes ten minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import random_unitary
from qiskit_aer import AerSimulator

from qrex.circuits.flattening import flatten
from qrex.engines.statevector import StateVectorEngine
from qrex.engines.statevector.tiers import Budget, TieredRun
from qrex.engines.statevector.tiers.outputs import FinalState
from qrex.engines.statevector.tiers.plan import CODECS
from qrex.errors import InfeasibleError
from qrex.store import ScratchArea

__all__ = ["exact_state", "gates_on_every_pair", "main", "staged_state"]

_CONSTANTS = dict.fromkeys(StateVectorEngine.constant_names, 1e-9)
_CACHES = ((15, 6, 11), (8, 4, 6))  # as shipped, and so small that a sub-state takes many passes


def gates_on_every_pair(num_qubits: int, seed: int, gates: int | None = None) -> QuantumCircuit:
    """One gate on each ordered pair of qubits (or on `gates` of them), some with a third qubit."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits)
    pairs = rng.permutation(list(itertools.permutations(range(num_qubits), 2)))[:gates].tolist()
    for a, b in pairs:
        c = int(rng.choice([qubit for qubit in range(num_qubits) if qubit not in (a, b)]))
        _append_one(circuit, a, b, c, rng)
    return circuit


def _append_one(circuit: QuantumCircuit, a: int, b: int, c: int, rng: np.random.Generator) -> None:
    angle, draw = float(rng.uniform(0, 6)), int(rng.integers(1 << 30))
    kinds = (
        lambda: circuit.unitary(random_unitary(4, seed=draw), [a, b]),
        lambda: circuit.unitary(random_unitary(8, seed=draw), [c, a, b]),
        lambda: circuit.cp(angle, a, b),
        lambda: circuit.rzz(angle, a, b),
        lambda: circuit.cx(a, b),
        lambda: circuit.swap(a, b),
        lambda: circuit.ry(angle, a),
        lambda: circuit.crx(angle, a, b),
        lambda: (circuit.x(a), circuit.h(b)),
        lambda: circuit.ccx(a, b, c),
        lambda: circuit.rxx(angle, a, b),
        lambda: circuit.ccz(a, b, c),
    )
    kinds[rng.integers(len(kinds))]()


def exact_state(circuit: QuantumCircuit) -> np.ndarray:
    """Of Aer, complex128, qubit 0 least significant."""
    simulator = AerSimulator(method="statevector", precision="double")
    kept = circuit.copy()
    kept.save_statevector()
    return np.asarray(simulator.run(transpile(kept, simulator, optimization_level=0)).result().get_statevector())


def staged_state(circuit: QuantumCircuit, budget: Budget, folder: str | Path) -> tuple[np.ndarray, TieredRun, float]:
    """Amplitudes by stages (complex64), the run, and the infidelity that its codec is stated to have brought."""
    array = np.zeros(1 << circuit.num_qubits, dtype=np.complex64)
    run = TieredRun(flatten(circuit), budget, _CONSTANTS, outputs=[FinalState(array, circuit.num_qubits, 2)])
    plan = run.plan
    with ScratchArea.open(folder, run.identity, max(plan.slot_bytes, 4096), max(plan.slots, 1)) as area:
        traffic = run.run(area, lambda _: None)
        area.remove()
    return array, run, traffic.codec_infidelity


def _compared(found: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """Largest difference of an amplitude, the global phase taken out; infidelity."""
    found = found.astype(complex)  # sums of millions of products
    overlap = np.vdot(found, exact)
    difference = np.abs(found * (overlap / abs(overlap)) - exact).max()
    norm = np.vdot(found, found).real
    apart = exact - found * (np.conj(np.vdot(exact, found)) / norm)
    return float(difference), float(np.vdot(apart, apart).real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="circuits of each size up to 16 qubits; one beyond")
    parser.add_argument("--qubits", type=int, nargs="+", default=list(range(9, 23)))
    parser.add_argument("--scratch", default=tempfile.gettempdir())
    options = parser.parse_args()
    worst = {codec: {"difference": 0.0, "infidelity": 0.0, "stated_over_found": []} for codec in CODECS}
    runs = on_disk = stages = 0
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        for qubits, seed in itertools.product(options.qubits, range(options.seeds)):
            if qubits > 16 and seed:
                continue
            circuit = gates_on_every_pair(qubits, 100 * qubits + seed)
            exact = exact_state(circuit)
            for outside, codec, cache in itertools.product(range(1, 7), CODECS, _CACHES):
                budget = Budget(
                    1 << 32, 1 << 32, 2, codec, sizes=((min(qubits - outside + seed, qubits), qubits - outside),),
                    block_bytes=1 << 12 if qubits < 16 else 1 << 20, cache=cache,
                )  # fmt: skip
                try:
                    found, run, stated = staged_state(circuit, budget, folder)
                except InfeasibleError:  # a gate has more qubits than fit what is left
                    continue
                difference, infidelity = _compared(found, exact)
                runs += 1
                on_disk += run.plan.disk_bytes > 0
                stages = max(stages, len(run.plan.stages))
                mine = worst[codec]
                mine["difference"] = max(mine["difference"], difference)
                mine["infidelity"] = max(mine["infidelity"], infidelity)
                if stated:
                    mine["stated_over_found"].append(stated / infidelity)
                if codec == "float32" and difference > 1e-5:
                    print(f"WRONG: {qubits} qubits, seed {seed}, {outside} outside, {cache}", file=sys.stderr)
            print(f"{qubits} qubits, seed {seed}: {runs} runs so far", file=sys.stderr)
    for mine in worst.values():
        ratios = mine.pop("stated_over_found")
        mine["stated_over_found"] = [min(ratios), max(ratios)] if ratios else None
    print(json.dumps({
        "runs": runs, "on_disk": on_disk, "most_stages": stages,
        "largest_difference_float32": worst["float32"]["difference"], "by_codec": worst,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
