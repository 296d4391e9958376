"""Who is compared, each as it runs in a process of its own: prepare a circuit, then run it from there to counts.

In: Qiskit circuits. Out: counts, with what the contender says about its accuracy. Preparing is not timed: peers get
the circuit in the form they like best. References: Qiskit Aer, prism-q and qsimcirq documentation.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler.exceptions import CircuitTooWideForTarget
from routing_forms import to_cirq, to_openqasm

__all__ = ["PEERS", "Answer", "Contender", "OutOfMemory", "Refused", "Stopped", "make"]


class Refused(Exception):
    """The contender says that it will not run this circuit."""


class OutOfMemory(Exception):
    """The contender says that memory does not suffice."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`infidelity` is the bound that the contender states (0 where it claims to be exact, None where it says
    nothing)."""

    counts: Mapping[str, int]
    infidelity: float | None = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Stopped(Exception):
    """The contender gave up at its time limit."""


class Contender(Protocol):
    """`prepare` makes the form it likes best; `barriers` says that they matter (mirror circuits). `tune` adds
    settings chosen by short runs. `fresh` comes before every run. Only `run` is timed."""

    def prepare(self, circuit: QuantumCircuit, *, barriers: bool, hint: str = "") -> Any: ...

    def tune(self, prepared: Any) -> Any: ...

    def fresh(self, prepared: Any) -> Any: ...

    def run(self, prepared: Any, shots: int, seed: int, limit_seconds: float) -> Answer: ...


class _Peer:
    """What most peers do: nothing to tune, and a prepared circuit serves every run."""

    keepable = True

    def tune(self, prepared: Any) -> Any:
        return prepared

    def fresh(self, prepared: Any) -> Any:
        return prepared


class AerPeer(_Peer):
    """Transpiled at preset level 1 for the simulator, as a plain user would."""

    def __init__(self, method: str, threads: int, memory_bytes: int):
        from qiskit_aer import AerSimulator

        logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)  # refusals are told by the outcome
        self.simulator = AerSimulator(method=method, max_parallel_threads=threads, max_memory_mb=memory_bytes >> 20)

    def prepare(self, circuit: QuantumCircuit, *, barriers: bool, hint: str = "") -> QuantumCircuit:
        try:
            return transpile(circuit, self.simulator, optimization_level=1)
        except CircuitTooWideForTarget:  # the width check left out, in the peer's favor
            standard = set(get_standard_gate_name_mapping())
            basis = sorted(standard.intersection(self.simulator.target.operation_names))
            return transpile(circuit, basis_gates=basis, optimization_level=1)

    def run(self, prepared: QuantumCircuit, shots: int, seed: int, limit_seconds: float) -> Answer:
        result = self.simulator.run(prepared, shots=shots, seed_simulator=seed).result()
        if not result.success:
            reason = str(result.results[0].status if result.results else result.status)
            raise OutOfMemory(reason) if "nsufficient memory" in reason else Refused(reason)
        counts = result.get_counts()
        facts = {"method": result.results[0].metadata.get("method")}
        return Answer({key.replace(" ", ""): n for key, n in counts.items()}, 0.0, facts)


class PrismPeer(_Peer):
    """OpenQASM text, parsed beforehand; its automatic choice."""

    def prepare(self, circuit: QuantumCircuit, *, barriers: bool, hint: str = "") -> Any:
        import prism_q

        return prism_q.parse_qasm(to_openqasm(circuit, barriers=barriers))

    def run(self, prepared: Any, shots: int, seed: int, limit_seconds: float) -> Answer:
        import prism_q

        result = prism_q.simulate(prepared).seed(seed).sample_counts(shots)
        about = result.metadata
        infidelity = 0.0 if about.is_exact else None
        if about.fidelity_lower_bound is not None:
            infidelity = 1 - about.fidelity_lower_bound
        facts = {"method": about.engine or about.backend}
        return Answer({key[::-1]: n for key, n in result.counts().items()}, infidelity, facts)


class QsimPeer(_Peer):
    """Cirq circuits; the largest fused gate is chosen beforehand among 2, 3 and 4 where a run is short."""

    SHORT_SECONDS = 2.0

    def __init__(self, threads: int, memory_bytes: int):
        self.threads, self.memory_bytes = threads, memory_bytes

    def prepare(self, circuit: QuantumCircuit, *, barriers: bool, hint: str = "") -> Any:
        return to_cirq(circuit), circuit.num_clbits

    def _simulator(self, fused: int):
        import qsimcirq

        options = qsimcirq.QSimOptions(max_fused_gate_size=fused, cpu_threads=self.threads)
        return qsimcirq.QSimSimulator(options, seed=1)

    def tune(self, prepared: Any) -> Any:
        circuit, width = prepared
        needed = 8 << len(circuit.all_qubits())
        if needed > self.memory_bytes:
            raise OutOfMemory(f"a state vector of {len(circuit.all_qubits())} qubits needs {needed} bytes")
        times: dict[int, float] = {}
        for fused in (3, 4, 2):
            began = time.perf_counter()
            self._simulator(fused).run(circuit, repetitions=100)
            times[fused] = time.perf_counter() - began
            if times[fused] > self.SHORT_SECONDS:
                break
        return circuit, width, self._simulator(min(times, key=times.__getitem__))

    def run(self, prepared: Any, shots: int, seed: int, limit_seconds: float) -> Answer:
        circuit, _, simulator = prepared
        result = simulator.run(circuit, repetitions=shots)
        columns = np.concatenate([values.reshape(shots, -1) for values in result.records.values()], axis=1)
        rows, times = np.unique(np.packbits(columns.astype(bool), axis=1), axis=0, return_counts=True)
        bits = np.unpackbits(rows, axis=1, count=columns.shape[1])
        counts = {bytes(row + 48).decode()[::-1]: int(n) for row, n in zip(bits, times, strict=True)}
        return Answer(counts, 0.0, {"method": f"fused {simulator.qsim_options['f']}"})


PEERS = ("aer-automatic", "aer-mps", "prism-q", "qsim")


def make(name: str, threads: int, memory_bytes: int) -> Contender:
    """The contender called `name`, ready to run in this process."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    if name == "aer-automatic":
        return AerPeer("automatic", threads, memory_bytes)
    if name == "aer-mps":
        return AerPeer("matrix_product_state", threads, memory_bytes)
    if name == "prism-q":
        return PrismPeer()
    if name == "qsim":
        return QsimPeer(threads, memory_bytes)
    raise ValueError(f"no contender {name!r}")
