"""Q of idle windows on twins with memory, before and after decoupling, and against peers.

τ_68 is found by a search with shots and seeds of its own, τ_w read from the example workload as the baseline compiles
it; both are frozen before anything is measured at them. Peers fill the same circuits by their own passes: the sequences
that the runtime client inserts (aligned, in every window) and Qiskit's `ContextAwareDynamicalDecoupling`. All share
seeds, so that the drawn detunings are paired. Simulated throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qiskit.passmanager import BasePassManager
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, ContextAwareDynamicalDecoupling
from qiskit_ibm_runtime import fake_provider
from qiskit_ibm_runtime.executor.dynamical_decoupling import generate_dd_pass_manager
from qiskit_ibm_runtime.options_models.dynamical_decoupling import DynamicalDecouplingOptions

from qrex.circuits import load_workload
from qrex.compilation import compile_baseline, has_control_flow, workload_window
from qrex.measure.coherence import IdleCoherence
from qrex.measure.coherence_result import CoherenceResult, WindowCoherence, closure, window_ratio
from qrex.measure.window_search import WindowSearch
from qrex.platform import NoiseAssumptions
from qrex.suppress import plan_idle
from qrex.twin.backend import SimulatedQpu

__all__ = ["CONTEXT_AWARE", "OURS", "counts_of", "measure_device", "paired_difference", "peers", "told", "twin"]

WORKLOAD = Path(__file__).resolve().parent.parent / "examples" / "workload"
OURS, CONTEXT_AWARE = "zz-aware", "Qiskit ContextAwareDynamicalDecoupling"
SEARCH_SEED, SEED = 11, 12
WINDOWS = 10  # of a curve
LEAST_CLOSURE_GAP = 0.05


def twin(name: str, assumed: NoiseAssumptions | None = None) -> SimulatedQpu:
    """The twin with memory of a calibration snapshot, by the name of its class."""
    return SimulatedQpu(getattr(fake_provider, name)(), assumed or NoiseAssumptions())


def peers(backend: SimulatedQpu) -> dict[str, BasePassManager]:
    """What others put into idle windows."""
    found: dict[str, BasePassManager] = {
        f"runtime client, {kind}": generate_dd_pass_manager(
            backend, DynamicalDecouplingOptions(enable=True, sequence_type=kind, skip_reset_qubits=True)
        )
        for kind in ("XX", "XY4")
    }
    found[CONTEXT_AWARE] = PassManager([
        ALAPScheduleAnalysis(target=backend.target),
        # By default it leaves out windows as short as those beside one gate; here it does better with them.
        ContextAwareDynamicalDecoupling(target=backend.target, min_duration=1),
    ])
    return found


def counts_of(backend: SimulatedQpu, protocol: Any, shots: int, seed: int) -> list[dict[str, int]]:
    """Counts of every circuit of `protocol`, in order."""
    circuits = protocol.circuits(backend.target)
    result = backend.run(circuits, shots=shots, seed_simulator=seed, memory=False).result()
    return [dict(result.get_counts(place)) for place in range(len(circuits))]


def windows_of(backend: SimulatedQpu, shots: int) -> dict[str, float]:
    """τ_68 and τ_w in seconds, frozen here."""
    search = WindowSearch.plan(backend.target, seed=SEARCH_SEED)
    found = search.analyze(counts_of(backend, search, shots, SEARCH_SEED), "simulated")
    finer = search.refined(backend.target, found, seed=SEARCH_SEED + 1000)
    found = finer.analyze(counts_of(backend, finer, shots, SEARCH_SEED + 1000), "simulated")
    return {"τ_68": found.window.value, "τ_w": workload_seconds(backend)}


def workload_seconds(backend: SimulatedQpu) -> float:
    workload = load_workload([str(WORKLOAD)])
    compiled = [
        compile_baseline(one.quantum_circuit, backend, 1)
        for one in workload.circuits
        if one.quantum_circuit.num_qubits <= backend.num_qubits and not has_control_flow(one.quantum_circuit)
    ]
    return workload_window(compiled)


def measure_device(name: str, shots: int, log) -> dict[str, Any]:
    """Q, its ceiling, closure and W of one device, ours and peers'."""
    backend = twin(name)
    frozen = windows_of(backend, shots)
    log(f"{name}: τ_68 {frozen['τ_68'] * 1e6:.2f} µs, τ_w {frozen['τ_w'] * 1e6:.2f} µs")
    found: dict[str, Any] = {"device": name, "qubits": backend.num_qubits, "shots": shots, "seed": SEED, "windows": {}}
    for key, seconds in frozen.items():
        results = {"none": _measured(backend, [seconds], None, shots)}
        results |= {peer: _measured(backend, [seconds], passes, shots) for peer, passes in peers(backend).items()}
        results[OURS] = _measured(backend, [seconds], plan_idle(backend, [seconds]), shots)
        found["windows"][key] = {"seconds": seconds} | _compared({k: r.windows[0] for k, r in results.items()}, log)
    found["window_ratio"] = _ratio(backend, frozen["τ_68"], shots)
    log(f"{name}: W {told(found['window_ratio'])}")
    return found


def _measured(backend: SimulatedQpu, windows: Sequence[float], sequence: Any, shots: int) -> CoherenceResult:
    protocol = IdleCoherence.plan(backend.target, windows_seconds=windows, seed=SEED, sequence=sequence)
    return protocol.analyze(counts_of(backend, protocol, shots, SEED), "simulated")


def _compared(results: Mapping[str, WindowCoherence], log) -> dict[str, Any]:
    before, ours = results["none"], results[OURS]
    table = {}
    for name, window in results.items():
        entry = {"Q": _bounds(window.median), "tenth_percentile": _bounds(window.tenth_percentile)}
        if window.virtual_z is not None:
            entry["Q_best_virtual_z"] = _bounds(window.virtual_z)
        if name != "none":
            closed = closure(before, window, seed=SEED, source="simulated")
            entry["closure"] = _bounds(closed) if closed is not None else None
        if name != OURS:
            entry["ours_minus_this"] = paired_difference(window, ours)
        table[name] = entry
        less = f"  ours minus this {told(entry['ours_minus_this'])}" if name != OURS else ""
        log(f"    {name:40s} Q {told(entry['Q'])}{less}")
    gap, closed = ours.ceiling_median - before.median.value, table[OURS]["closure"]
    log(f"    ceiling {ours.ceiling_median:.3f}, "
        + (f"closure {told(closed)}" if closed else f"no closure: {gap:.3f} is below {LEAST_CLOSURE_GAP}"))  # fmt: skip
    return {"ceiling": ours.ceiling_median, "gap": gap, "sequences": table}


def paired_difference(one: WindowCoherence, other: WindowCoherence) -> dict[str, float]:
    """Difference of the medians, other minus one; its 95 % interval is over shots and the same resampled qubits."""
    qubits = sorted(one.qubits)
    values = np.array([[w.qubits[q].value for q in qubits] for w in (one, other)])
    errors = np.array([[w.errors[q] for q in qubits] for w in (one, other)])
    rng = np.random.default_rng([SEED, 5])
    draws = []
    for _ in range(2000):
        chosen = rng.integers(0, len(qubits), len(qubits))
        moved = values + rng.normal(size=values.shape) * errors
        draws.append(np.median(moved[1][chosen]) - np.median(moved[0][chosen]))
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"value": float(np.median(values[1]) - np.median(values[0])), "low": float(low), "high": float(high)}


def _ratio(backend: SimulatedQpu, seconds: float, shots: int) -> dict[str, float]:
    windows = np.geomspace(seconds / 6, seconds * 8, WINDOWS).tolist()
    before = _measured(backend, windows, None, shots)
    after = _measured(backend, windows, plan_idle(backend, windows), shots)
    ratio = window_ratio(before, after, seed=SEED, source="simulated")
    return _bounds(ratio) | {"at_least": bool(ratio.detail["at_least"])}


def told(entry: Mapping[str, float]) -> str:
    """A value with its interval."""
    return f"{entry['value']:.4f} [{entry['low']:.4f}, {entry['high']:.4f}]"


def _bounds(measured: Any) -> dict[str, float]:
    return {"value": measured.value, "low": measured.low, "high": measured.high}
