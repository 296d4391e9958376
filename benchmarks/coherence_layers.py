"""Five layers of ten qubits on the Sherbrooke twin: what of the error that ZZ adds to them decoupling takes away.

The layers are named here: ten qubits in a row of the lattice, a gate on the second and third of them and one on the
sixth and seventh, all others idle. So there are idle neighbors, spectators of controls and
spectators of targets. Stretches begin at the first qubit of a row and at every fifth after it; taken are the first
five, from the top, of which both gates have a calibrated error below 2 % and all readouts one below 20 % (this snapshot
has gates with 100 % and readouts with 50 %, whose decays tell nothing but their own noise). This rule looks at the
calibration alone, but it came after two sets that held such qubits had been measured (docs/coherence.md). Error is −ln
of the layer fidelity (process fidelities of all groups, by simultaneous direct randomized benchmarking,
arXiv:2311.05933), on the same random circuits for all. The floor is the same twin with every ζ set to 0, under the
aligned decoupling. Simulated throughout.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from coherence_windows import CONTEXT_AWARE, OURS, counts_of, peers, told, twin
from qiskit.transpiler import PassManager

from qrex.measure.layer_fidelity import LayerFidelity
from qrex.suppress import ZZAwareDecoupling

__all__ = ["ROWS", "measure_layers"]

ROWS = (18, 23, 37, 42, 94)
FLOOR = "aligned XX, ZZ switched off"
ALIGNED = "runtime client, XX"
SEED = 31
SAMPLES = 10


def layer_of(first: int) -> tuple[tuple[int, int], ...]:
    """Links of the layer that begins at qubit `first`: two gates; six qubits idle."""
    return (first + 1, first + 2), (first + 5, first + 6)


def measure_layers(shots: int, log) -> dict[str, Any]:
    """Error of every layer under every contender, and the share that ours removes of what lies above the floor."""
    backend = twin("FakeSherbrooke")
    known = backend.parameters
    quiet = backend.with_parameters(replace(known, zeta_rad_per_s=np.zeros_like(known.zeta_rad_per_s)))
    fillings = {"none": None} | peers(backend) | {OURS: PassManager([ZZAwareDecoupling(backend)])}
    names = [*fillings, FLOOR]
    errors = {name: [] for name in names}
    draws = {name: [] for name in names}
    for first in ROWS:
        for place, name in enumerate(names):
            device, filling = (quiet, fillings[ALIGNED]) if name == FLOOR else (backend, fillings[name])
            plan = LayerFidelity.plan(
                backend.target, seed=SEED, layers=[layer_of(first)], qubits=range(first, first + 10), samples=SAMPLES,
                sequence=filling, label=name,
            )  # fmt: skip
            result = plan.analyze(counts_of(device, plan, shots, SEED + first), "simulated")
            errors[name].append(-math.log(result.fidelity.value))
            draws[name].append(_draws(result, np.random.default_rng([SEED, first, place])))
        log(f"layer from qubit {first}: " + ", ".join(f"{name} {errors[name][-1]:.4f}" for name in names))
    total = {name: float(np.sum(values)) for name, values in errors.items()}
    drawn = {name: np.sum(values, axis=0) for name, values in draws.items()}
    found: dict[str, Any] = {
        "device": "FakeSherbrooke", "layers": [list(map(list, layer_of(first))) for first in ROWS], "shots": shots,
        "samples": SAMPLES, "seed": SEED, "errors": errors, "removed": {},
    }  # fmt: skip
    for name in names:
        if name == FLOOR:
            continue
        removed = (total[ALIGNED] - total[name]) / (total[ALIGNED] - total[FLOOR])
        spread = (drawn[ALIGNED] - drawn[name]) / (drawn[ALIGNED] - drawn[FLOOR])
        low, high = np.percentile(spread, [2.5, 97.5])
        gain = 100 * (math.exp((total[ALIGNED] - total[name]) / len(ROWS)) - 1)
        found["removed"][name] = {"value": removed, "low": float(low), "high": float(high), "gain_percent": gain}
        log(f"{name:40s} mean error {total[name] / len(ROWS):.4f}, of what ZZ adds under aligned decoupling removed "
            f"{removed:.3f} [{low:.3f}, {high:.3f}], layer fidelity {gain:+.1f} %")  # fmt: skip
    found["ours_minus_context_aware"] = _difference(total, drawn, CONTEXT_AWARE)
    log(f"less error per layer than with {CONTEXT_AWARE}: {told(found['ours_minus_context_aware'])}")
    return found


def _draws(result, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap draws of −ln of the layer fidelity. Fits draw from one seed, so each is drawn from apart here."""
    total = np.zeros(400)
    for decays in result.decays:
        for decay in decays:
            size = 4 ** len(decay.qubits) - 1
            chosen = rng.integers(0, len(decay.fit.draws), 400)
            total -= np.log(np.maximum((1 + size * decay.fit.draws[chosen]) / (1 + size), 1e-6))
    return total


def _difference(total: dict[str, float], drawn: dict[str, np.ndarray], other: str) -> dict[str, float]:
    low, high = np.percentile(drawn[other] - drawn[OURS], [2.5, 97.5]) / len(ROWS)
    return {"value": (total[other] - total[OURS]) / len(ROWS), "low": float(low), "high": float(high)}
