"""What workers do: run a circuit on an engine, or compile it for a QPU and run it there.

In: frozen requests that travel to a worker. Out: JSON-able dictionaries that the store keeps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qrex.circuits import Circuit
from qrex.engines import Allotment, Job
from qrex.errors import InfeasibleError
from qrex.execute.task import WarmUp
from qrex.measure.batch import MeasureProtocol
from qrex.platform import NoiseAssumptions, QpuDescription
from qrex.profile import profile_circuit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

__all__ = [
    "COMPILERS",
    "DeviceRequest",
    "ProtocolRequest",
    "open_qpu_once",
    "run_on_device",
    "run_protocol",
    "warm_engines",
]

Progress = Callable[[float], None]


def warm_engines() -> None:
    """Load in this process what every first run of an engine loads: all engines, stim's and Aer's first call."""
    import stim
    from qiskit_aer import AerSimulator

    from qrex.engines.registry import available_engines

    available_engines({})
    AerSimulator(max_parallel_threads=1).run(_first_circuit(), shots=1).result()
    stim.Circuit("H 0\nM 0").compile_sampler().sample(1)


def _warm_compilers() -> None:
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    transpile(_first_circuit(), AerSimulator(), optimization_level=1)


def _first_circuit() -> QuantumCircuit:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


COMPILERS = WarmUp(_warm_compilers, ("qiskit_ibm_runtime", "qiskit.primitives"))
"""The transpiler with its plugins, those of other packages too: some seconds. Whatever compiles needs it, and so does
Aer for gates that are not its own."""


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Compile `circuit` for the QPU and run it there, once per variant.

    `layout_candidates` 0 keeps what a plain user gets (preset level 1); otherwise so many candidates are
    scored by predicted success, once for all variants. A variant is a decoupling sequence (or None) and the
    seed of its shots.
    """

    qpu: QpuDescription
    circuit: Circuit
    shots: int
    compile_seed: int
    layout_candidates: int
    variants: tuple[tuple[str | None, int], ...]


@lru_cache(maxsize=4)
def _opened(description: str):
    from qrex.twin import open_qpu

    fields = json.loads(description)
    noise = fields.pop("noise", None)
    return open_qpu(QpuDescription(**fields, noise=None if noise is None else NoiseAssumptions(**noise)))


def open_qpu_once(description: QpuDescription):
    """The opened QPU, the same one for every task of this process."""
    return _opened(json.dumps(asdict(description), sort_keys=True))


def run_on_device(request: DeviceRequest, progress: Progress) -> list[dict[str, Any]]:
    """One dictionary per variant: counts, fidelity (a Measurement as a dictionary) with its kind, device
    seconds, the compilation's figures, the host seconds that compiling and running took, and the span
    (`time.monotonic`) of the compilation, which comes before all variants."""
    from qrex.engines.qpu import QpuEngine
    from qrex.engines.reference import reference_distribution
    from qrex.suppress import IdleNoise, decouple

    qpu = open_qpu_once(request.qpu)
    noise = IdleNoise.of(qpu.backend, request.qpu.noise)
    engine = QpuEngine(qpu)
    support = engine.supports(profile_circuit(request.circuit, request.shots))
    if not support.supported:
        raise InfeasibleError(support.reason)
    began, began_cpu = time.monotonic(), time.process_time()
    compiled, choice = _compile(request, qpu)
    ended, cpu_seconds = time.monotonic(), time.process_time() - began_cpu
    compilation = {"compile_seconds": ended - began, "compile_cpu_seconds": cpu_seconds, "compile_span": [began, ended]}
    reference = reference_distribution(request.circuit.quantum_circuit, request.compile_seed)
    answers = []
    for number, (sequence, seed) in enumerate(request.variants):
        progress((number + 0.5) / (len(request.variants) + 0.5))
        decoupled = decouple(compiled, qpu.backend, sequence, noise=noise) if sequence else None
        record = {"decoupling": asdict(decoupled.record)} if decoupled else {}
        one = decoupled.compiled if decoupled else compiled
        answers.append(
            _run_compiled(engine, replace(request.circuit, quantum_circuit=one.circuit), request.shots, seed, reference)
            | _compiled_figures(one)
            | {"choice": choice | record}
            | compilation
        )
    return answers


def _run_compiled(engine, compiled: Circuit, shots: int, seed: int, reference) -> dict[str, Any]:
    from qrex.measure.fidelity import fidelity_of_counts

    allotment = Allotment(threads=1, memory_bytes=0)  # of no meaning to a device
    answer = engine.run(Job(compiled, shots, seed), allotment, lambda _fraction: None)
    fidelity = kind = perfect = None
    if reference is not None:
        fidelity, kind, perfect = fidelity_of_counts(
            answer.counts, reference.probabilities, seed, answer.metadata["source"]
        )
        fidelity = replace(fidelity, method=f"{fidelity.method}; {reference.label}").to_dict()
    return {
        "fidelity": fidelity,
        "fidelity_kind": kind or "",
        "perfect_sampler": perfect,
        "counts": dict(answer.counts),
        "device_seconds": answer.metadata["device_seconds"],
        "device_seconds_source": answer.metadata["device_seconds_source"],
        "run_seconds": answer.metadata["host_seconds"],
    }


def _compiled_figures(compiled) -> dict[str, Any]:
    windows = [window.window_ns for window in compiled.idle_windows]
    return {
        "circuit_seconds": compiled.duration_seconds,
        "predicted_success": compiled.predicted_success,
        "layout": list(compiled.layout),
        "used_qubits": list(compiled.used_qubits),
        "two_qubit_gates": compiled.two_qubit_gates,
        "idle_windows": len(windows),
        "idle_p90_ns": float(np.percentile(windows, 90)) if windows else None,
        "notes": list(compiled.notes),
    }


def _compile(request: DeviceRequest, qpu):
    from qrex.compilation import compile_baseline
    from qrex.fabric import choose_layout

    quantum_circuit = request.circuit.quantum_circuit
    if not request.layout_candidates:
        return compile_baseline(quantum_circuit, qpu.backend, request.compile_seed), {}
    chosen = choose_layout(
        quantum_circuit, qpu.backend, candidates=request.layout_candidates, seed=request.compile_seed
    )
    return chosen.best, {"layout": {"reason": chosen.reason, "candidates": len(chosen.candidates)}}


@dataclass(frozen=True, slots=True)
class ProtocolRequest:
    """Run every circuit of a protocol of `measure` on the QPU."""

    qpu: QpuDescription
    protocol: MeasureProtocol
    shots: int
    seed: int


def run_protocol(request: ProtocolRequest, progress: Progress) -> dict[str, Any]:
    """Raw counts, one mapping per circuit: what `protocol.analyze` takes."""
    qpu = open_qpu_once(request.qpu)
    circuits = request.protocol.circuits(qpu.target)
    progress(0.1)
    return {"counts": [dict(c) for c in qpu.run(circuits, request.shots, request.seed)]}
