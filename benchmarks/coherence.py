"""Coherence: what decoupling reaches on twins with memory, what the twins predict, and what it all costs.

    python benchmarks/coherence.py [PART …] [--shots 1000]

Parts, all by default:
    windows       Q at τ_68 and τ_w, closure and W on Guadalupe, Sherbrooke (fixed couplings) and Boston (Heron r3),
                  against no decoupling, the runtime client's sequences and Qiskit's context-aware pass
    layers        five layers of ten qubits on Sherbrooke against the same peers and the same twin without ZZ
    benchmarking  randomized benchmarking against tomography, the model with memory, and qiskit-experiments
    snapshots     layer fidelities that Sherbrooke, Brisbane and Quebec report, predicted by their twins
    volume        quantum volume of Guadalupe and Montreal, preset level 3 and everything on, the same model circuits
    cost          seconds of Q and of a quantum volume; trajectories against Aer driven with the same phases

Everything but the snapshots' own figures is simulated. The last line printed is one JSON object: q_before, q_after and
q_after_low of the device (Guadalupe or Sherbrooke) whose q_after_low is the lower, closure and window_ratio the lowest
of all devices, layer_error_removed, qv_before and qv_after of Guadalupe, lf10_log_error the largest of three; and
everything measured under "parts". Takes some 30 minutes; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coherence_benchmarking import against_model, against_peer, against_tomography
from coherence_cost import trajectories
from coherence_layers import measure_layers
from coherence_volume import six_qubits, volumes
from coherence_windows import OURS, SEED, counts_of, measure_device, twin
from twin_layer_fidelity import compared

from qrex.measure.coherence import IdleCoherence
from qrex.suppress import plan_idle

FIXED_COUPLINGS = ("FakeGuadalupeV2", "FakeSherbrooke")
HERON = "FakeBoston"
SNAPSHOTS = ("Sherbrooke", "Brisbane", "Quebec")
VOLUMES = ("FakeGuadalupeV2", "FakeMontrealV2")
LAYER_SHOTS, LAYER_SAMPLES, LAYER_SEED, MARGIN = 500, 24, 21, 2
TRAJECTORIES, THREADS = 2000, 2


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def windows(shots: int) -> list[dict[str, Any]]:
    return [measure_device(name, shots, log) for name in (*FIXED_COUPLINGS, HERON)]


def benchmarking(shots: int) -> dict[str, Any]:
    return {"tomography": against_tomography(log), "model": against_model(log),
            "qiskit-experiments": against_peer(twin("FakeGuadalupeV2"), log)}  # fmt: skip


def snapshots(shots: int) -> list[dict[str, Any]]:
    found = []
    for city in SNAPSHOTS:
        found.append(compared(city, 10, MARGIN, LAYER_SHOTS, LAYER_SEED, LAYER_SAMPLES))
        log(json.dumps(found[-1]))
    return found


def cost(shots: int) -> dict[str, Any]:
    backend = twin("FakeGuadalupeV2")
    began = time.perf_counter()
    for sequence in (None, plan_idle(backend, [2e-6])):
        plan = IdleCoherence.plan(backend.target, windows_seconds=[2e-6], seed=SEED, sequence=sequence)
        plan.analyze(counts_of(backend, plan, shots, SEED), "simulated")
    seconds = time.perf_counter() - began
    log(f"Q of 16 qubits before and after, {shots} shots a circuit: {seconds:.1f} s")
    return {"q_seconds": seconds, "volume_seconds": six_qubits(shots, log),
            "trajectories": trajectories(TRAJECTORIES, THREADS, log)}  # fmt: skip


PARTS: dict[str, Callable[[int], Any]] = {
    "windows": windows,
    "layers": lambda shots: measure_layers(shots, log),
    "benchmarking": benchmarking,
    "snapshots": snapshots,
    "volume": lambda shots: [volumes(name, shots, log) for name in VOLUMES],
    "cost": cost,
}


def keys(parts: Mapping[str, Any]) -> dict[str, float]:
    """The figures that are asked for, of the parts that ran."""
    found: dict[str, float] = {}
    if "windows" in parts:
        fixed = [one for one in parts["windows"] if one["device"] in FIXED_COUPLINGS]
        tables = [one["windows"]["τ_68"]["sequences"] for one in fixed]
        worst = min(tables, key=lambda table: table[OURS]["Q"]["low"])
        found |= {"q_before": worst["none"]["Q"]["value"], "q_after": worst[OURS]["Q"]["value"],
                  "q_after_low": worst[OURS]["Q"]["low"]}  # fmt: skip
        every = [window["sequences"][OURS]["closure"] for one in parts["windows"] for window in one["windows"].values()]
        found["closure"] = min(one["value"] for one in every if one is not None)
        found["window_ratio"] = min(one["window_ratio"]["value"] for one in fixed)
    if "layers" in parts:
        found["layer_error_removed"] = parts["layers"]["removed"][OURS]["value"]
    if "volume" in parts:
        first = parts["volume"][0]
        found |= {"qv_before": first["before"]["volume"], "qv_after": first["after"]["volume"]}
    if "snapshots" in parts:
        found["lf10_log_error"] = max(abs(one["in its surroundings"]["off"]) for one in parts["snapshots"])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--shots", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    found = {}
    for name in chosen.parts or PARTS:
        began = time.perf_counter()
        found[name] = PARTS[name](chosen.shots)
        log(f"[{name}: {time.perf_counter() - began:.0f} s]")
    print(json.dumps(keys(found) | {"shots": chosen.shots, "parts": found}, ensure_ascii=False))


if __name__ == "__main__":
    main()
