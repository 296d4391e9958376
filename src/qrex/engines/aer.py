"""Qiskit Aer's CPU simulators, each method an engine of its own.

In: any circuit that Aer takes; gates outside a method's set are decomposed. Out: samples in our bit order.
`aer-automatic` is the baseline, exactly what a plain user does: transpile for `AerSimulator()` at preset
level 1 and run, Aer choosing the method. The other methods skip the transpiler where every gate is native.
`aer-density-matrix` applies resets and noise (Kraus operators, channels) exactly, in one run for all shots as long
as nothing follows a measurement; the other methods draw them anew for each shot.
Costs: see `aer_costs`. References: Aer's documentation; MPS, Vidal, quant-ph/0301063.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Literal

from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.transpiler.exceptions import CircuitTooWideForTarget
from qiskit_aer import AerSimulator
from qiskit_aer.aererror import AerError

from qrex.circuits import Circuit
from qrex.circuits.program import Program
from qrex.circuits.rebuilding import rebuild
from qrex.engines import aer_costs
from qrex.engines.constants import require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import Profile
from qrex.units import format_bytes

__all__ = ["MAX_INFIDELITY", "METHODS", "AerEngine", "AerMethod"]

AerMethod = Literal["automatic", "statevector", "density-matrix", "mps", "stabilizer"]

METHODS: Mapping[AerMethod, str] = {
    "automatic": "automatic",
    "statevector": "statevector",
    "density-matrix": "density_matrix",
    "mps": "matrix_product_state",
    "stabilizer": "stabilizer",
}

MAX_INFIDELITY = 1e-3
"""A matrix product state that lost more than this to truncation is an error, not an answer."""

_LAPACK_FROM_LOG2_BOND = 5.0  # below, Aer's own decomposition is the faster one
_SEED_MASK = 2**63 - 1


class AerEngine:
    """One method of Aer. `constant_names` lists the cost constants that this method needs; `delegates` is true
    for the baseline, which only chooses among methods that are engines of their own. `one_call`: the run is one
    call into Aer, which nothing interrupts; progress is reported before and after."""

    one_call = True

    def __init__(self, constants: Mapping[str, float], method: AerMethod):
        if method not in METHODS:
            raise EngineError(f"Aer method {method!r} is not known here; there are: {', '.join(METHODS)}")
        self.method: AerMethod = method
        self.name = f"aer-{method}"
        self.delegates = method == "automatic"
        self.constants = dict(constants)
        self.constant_names = aer_costs.CONSTANT_NAMES[method]

    def supports(self, profile: Profile) -> Support:
        """Whether this host could run the circuit at all; `estimate` says at what cost."""
        clifford = aer_costs.is_aer_clifford(profile)
        if self.method == "stabilizer" and not profile.is_clifford:
            return Support(False, profile.stabilizer_obstacle)
        if self.method in ("statevector", "density-matrix") or (self.method == "automatic" and not clifford):
            matrix = self.method == "density-matrix"
            needed = aer_costs.density_matrix_bytes(profile) if matrix else aer_costs.statevector_bytes(profile)
            if needed > (present := _host_bytes()):
                what = "density matrix" if matrix else "state vector in double precision"
                return Support(
                    False,
                    f"{profile.active_qubits} qubits as a {what} need {format_bytes(needed)}; this host has "
                    f"{format_bytes(present)}",
                )
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Cost from calibrated constants; raises EngineError where they are missing."""
        return aer_costs.estimate(self.method, require_constants(self), profile, allotment)

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`. Raises EngineError with Aer's own reason, and MemoryLimitError where Aer refuses the
        memory it would need."""
        circuit = job.quantum_circuit
        width = circuit.num_clbits
        bond_limit = None
        options = {
            "method": METHODS[self.method],
            "seed_simulator": job.seed & _SEED_MASK,
            "max_parallel_threads": allotment.threads,
            "max_memory_mb": max(1, allotment.memory_bytes >> 20),
        }
        if self.method == "mps":
            from qrex.profile import profile_circuit

            profile = profile_circuit(_as_circuit(job), job.shots)
            bond_limit = aer_costs.bond_limit(profile, allotment.memory_bytes)
            options |= {
                "mps_sample_measure_algorithm": "mps_probabilities",
                "mps_lapack": profile.max_log2_schmidt >= _LAPACK_FROM_LOG2_BOND,
                "matrix_product_state_truncation_threshold": aer_costs.TRUNCATION_THRESHOLD,
            }
        try:
            began = time.perf_counter()
            if self.method == "automatic":
                translated = _for_automatic(circuit, options["method"])
            else:
                translated = _native(circuit, options["method"], job.program)
            transpile_seconds = time.perf_counter() - began
            progress(0.1)
            if bond_limit is None:
                result = AerSimulator(**options).run(translated, shots=job.shots).result()
                lost = aer_costs.truncation_infidelity(profile) if self.method == "mps" else 0.0
            else:
                result, lost = _run_limited(translated, job.shots, options, bond_limit)
        except (QiskitError, AerError, ValueError, RuntimeError) as error:
            raise EngineError(f"{self.name}: {_one_line(error)}") from error
        if not result.success:
            reason = _one_line(result.results[0].status if result.results else result.status)
            kind = MemoryLimitError if "Insufficient memory" in reason else EngineError
            raise kind(f"{self.name}: {reason}")
        if lost > MAX_INFIDELITY:
            raise EngineError(
                f"{self.name}: bonds limited to {bond_limit} by {format_bytes(allotment.memory_bytes)} lose "
                f"{lost:.2g} of the state, over {MAX_INFIDELITY:g}; allot more memory or take another engine"
            )
        progress(1.0)
        record = result.results[0].metadata
        metadata = {
            "method": f"{record.get('method', options['method'])} (Aer)",
            "infidelity": lost,
            "bond_limit": bond_limit,
            "transpile_seconds": transpile_seconds,
            "sample_seconds": record.get("sample_measure_time"),
        }
        return Counts(_bit_strings(result.data(0).get("counts"), width, job.shots), job.shots, {}, metadata)


def _as_circuit(job: Job) -> Circuit:
    if job.circuit is not None:
        return job.circuit
    return Circuit(job.name, job.name, "<program>", "Qiskit", job.quantum_circuit, "auto", job.shots, job.program)


def _host_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _for_automatic(circuit: QuantumCircuit, method: str) -> QuantumCircuit:
    """What a plain user hands to Aer. Where the transpiler calls the circuit too wide (its target takes only
    as many qubits as a dense state fits), the circuit goes in with the width check left out: Aer still has
    its say, which favors the baseline."""
    simulator = AerSimulator(method=method)
    try:
        return transpile(circuit, simulator, optimization_level=1)
    except CircuitTooWideForTarget:
        return transpile(circuit, basis_gates=_basis(simulator), optimization_level=1)


def _native(circuit: QuantumCircuit, method: str, program: Program) -> QuantumCircuit:
    """`circuit` itself where the method knows every gate; else its program as a circuit, since that opens
    definitions quicker than the transpiler; what is still unknown is decomposed without optimization."""
    simulator = AerSimulator(method=method)
    known = set(simulator.target.operation_names) | {"measure", "barrier"}
    if known.issuperset(_names(circuit)):
        return circuit
    if not program.obstacle:
        circuit = rebuild(program, circuit.name)
        if known.issuperset(_names(circuit)):
            return circuit
    return transpile(circuit, basis_gates=_basis(simulator), optimization_level=0)


def _basis(simulator: AerSimulator) -> list[str]:
    standard = set(get_standard_gate_name_mapping())
    return sorted(standard.intersection(simulator.target.operation_names))


def _names(circuit: QuantumCircuit) -> set[str]:
    names: set[str] = set()
    pending = [circuit]
    while pending:
        for instruction in pending.pop().data:
            names.add(instruction.name)
            if instruction.is_control_flow():
                pending.extend(instruction.operation.blocks)
    return names


def _run_limited(circuit: QuantumCircuit, shots: int, options: dict, bond_limit: int):
    """A run with bonds limited, and the infidelity 1 − Π(1 − discarded weight) that the log adds up to.

    Aer appends to one log per process; a run of nothing is made first, to see where this run's part begins.
    """
    limited = AerSimulator(**options, mps_log_data=True, matrix_product_state_max_bond_dimension=bond_limit)
    nothing = QuantumCircuit(1, 1)
    nothing.measure(0, 0)
    before = limited.run(nothing, shots=1).result().results[0].metadata.get("MPS_log_data", "")
    result = limited.run(circuit, shots=shots).result()
    log = result.results[0].metadata.get("MPS_log_data", "") if result.results else ""
    kept = 1.0
    for weight in re.findall(r"discarded_value=([-+0-9.e]+)", log[max(0, len(before) - 1) :]):
        kept *= 1 - min(1.0, float(weight))
    return result, 1 - kept


def _bit_strings(counts: Mapping[str, int] | None, width: int, shots: int) -> dict[str, int]:
    if not counts:  # nothing was measured: every classical bit stays 0
        return {"0" * width: shots}
    return {format(int(key, 16), f"0{width}b"): int(count) for key, count in counts.items()}


def _one_line(message: object) -> str:
    return " ".join(str(message).split()).removeprefix("ERROR:").strip().strip("'\"")
