"""Clifford circuits by stabilizer simulation (stim), sampled from a compiled circuit.

In: a circuit whose gates are Clifford once angles are snapped to multiples of π/2 (within 1e-9), with
measurements and resets anywhere and Pauli gates under one measured bit. Out: exact samples, infidelity 0.
Cost: conversion O(gates); one reference run O(gates × qubits); then O((gates + measurements) × shots / 64).
The same seed gives the same counts on machines with the same instruction set (stim's rule).
Reference: Gidney, arXiv:2103.02202.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import stim
from qiskit import QuantumCircuit

from qrex.engines.bits import CHUNK_BITS, count_packed_rows
from qrex.engines.constants import best_seconds, require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import Profile
from qrex.profile.clifford import clifford_of_matrix, clifford_operations, is_pauli
from qrex.profile.feedback import resolve_guards
from qrex.profile.steps import Step, flat_steps
from qrex.units import format_bytes

__all__ = ["StabilizerEngine", "to_stim"]

_BASE_BYTES = 32 << 20  # stim's frames, the text of the circuit and the counts of a small run
_BYTES_PER_STEP = 200


class StabilizerEngine:
    """Runs Clifford circuits. Cost constants, all in seconds: `fixed`, `per_step` (conversion),
    `per_tableau_cell` (gates × qubits of the reference run), `per_bit` (sampled and packed bits)."""

    name = "stabilizer"
    constant_names = ("fixed", "per_step", "per_tableau_cell", "per_bit")

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)

    def supports(self, profile: Profile) -> Support:
        if profile.stabilizer_obstacle:
            return Support(False, profile.stabilizer_obstacle)
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Seconds from calibrated constants; raises EngineError where they are missing."""
        c = require_constants(self)
        bits = max(profile.num_clbits, profile.measurements) * profile.shots
        # Frame simulation moves 1 bit per shot and gate; stim packs 64 and more of them into one operation.
        frame_bits = profile.instructions * profile.shots / 64
        seconds = (
            c["fixed"]
            + c["per_step"] * profile.instructions
            + c["per_tableau_cell"] * profile.instructions * profile.active_qubits
            + c["per_bit"] * (bits + frame_bits)
        )
        return Cost(seconds=seconds, peak_bytes=_peak_bytes(profile, profile.shots))

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`; raises EngineError on a circuit that is not supported, MemoryLimitError before
        allocating past the allotment."""
        circuit, columns = to_stim(job.circuit.quantum_circuit)
        measurements = circuit.num_measurements
        width = job.circuit.quantum_circuit.num_clbits
        needed = _run_bytes(len(job.circuit.quantum_circuit.data), measurements, width, job.shots)
        if needed > allotment.memory_bytes:
            raise MemoryLimitError(
                f"stabilizer: {job.shots} shots of {job.circuit.name} need {format_bytes(needed)}; "
                f"{format_bytes(allotment.memory_bytes)} allotted; take fewer shots or allot more"
            )
        progress(0.1)
        sampler = circuit.compile_sampler(seed=job.seed)
        counts: Counter[str] = Counter()
        chunk = max(1, min(job.shots, CHUNK_BITS // max(measurements, width, 1)))
        done = 0
        while done < job.shots:
            shots = min(chunk, job.shots - done)
            counts.update(count_packed_rows(sampler.sample_bit_packed(shots), columns, width))
            done += shots
            progress(0.1 + 0.9 * done / job.shots)
        return Counts(dict(counts), job.shots, {}, {"method": "stabilizer (stim)", "infidelity": 0.0})

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the constants with tiny runs, about 0.2 s; `threads` changes nothing for this engine."""
        small = _brickwork(2, 1)
        fixed = best_seconds(lambda: _sample(to_stim(small)[0], 1))
        wide = _brickwork(100, 20)
        steps = len(wide.data)
        convert = best_seconds(lambda: to_stim(wide))
        circuit, _ = to_stim(wide)
        reference = best_seconds(lambda: circuit.compile_sampler(seed=1))
        shots = 4096
        per_run = best_seconds(lambda: _sample(circuit, 1))
        draw = best_seconds(lambda: _sample(circuit, shots)) - per_run
        bits = shots * (100 + steps / 64)
        return {
            "fixed": fixed,
            "per_step": convert / steps,
            "per_tableau_cell": reference / (steps * 100),
            "per_bit": max(draw, 1e-6) / bits,
        }


def _brickwork(num_qubits: int, layers: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        circuit.h(range(num_qubits))
        for left in range(layer % 2, num_qubits - 1, 2):
            circuit.cx(left, left + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def _sample(circuit: stim.Circuit, shots: int) -> Counter[str]:
    records = circuit.num_measurements
    drawn = circuit.compile_sampler(seed=1).sample_bit_packed(shots)
    return count_packed_rows(drawn, {record: record for record in range(records)}, records)


def _peak_bytes(profile: Profile, shots: int) -> int:
    return _run_bytes(profile.instructions, profile.measurements, profile.num_clbits, shots)


def _run_bytes(steps: int, measurements: int, width: int, shots: int) -> int:
    chunk = min(shots, max(1, CHUNK_BITS // max(measurements, width, 1)))
    # Worst case, all rows distinct: records unpacked, their text as bytes and joined, then each row's own.
    per_shot = 2 * measurements + 2 * width + 100
    return _BASE_BYTES + _BYTES_PER_STEP * steps + chunk * per_shot + shots * (2 * width + 250)


def to_stim(quantum_circuit: QuantumCircuit) -> tuple[stim.Circuit, dict[int, int]]:
    """`quantum_circuit` for stim, and for each classical bit written the measurement record it holds last.

    Raises EngineError on the first step that is not Clifford or stands under a condition that stim cannot
    follow; the message names it.
    """
    lines: list[str] = []
    columns: dict[int, int] = {}
    written: set[int] = set()
    records = 0
    for step in flat_steps(quantum_circuit):
        name = step.name
        if name in ("barrier", "delay", "global_phase"):
            continue
        if step.guards:
            condition = resolve_guards(step.guards, written)
            if condition.obstacle:
                raise EngineError(f"stabilizer: {condition.obstacle}")
            if condition.bit is None and not condition.value:
                continue
            if condition.bit is not None:
                lines += _under_bit(step, columns[condition.bit] - records, condition.value)
                continue
        if name == "measure":
            lines.append(f"M {step.qubits[0]}")
            columns[step.clbits[0]] = records
            written.add(step.clbits[0])
            records += 1
        elif name == "reset":
            lines.append(f"R {step.qubits[0]}")
        else:
            qubits = step.qubits
            for operation, local in _operations(step):
                lines.append(" ".join([operation, *[str(qubits[place]) for place in local]]))
    return stim.Circuit("\n".join(lines)), columns


def _operations(step: Step):
    operations = None
    if step.name == "unitary":
        operations = clifford_of_matrix(np.asarray(step.instruction.operation.to_matrix()))
    elif len(step.qubits) <= 2:
        operations = clifford_operations(step.name, step.params)
    if operations is None:
        raise EngineError(f"stabilizer: {step.name}{list(step.params) or ''} is not a Clifford gate")
    return operations


def _under_bit(step: Step, record: int, value: int) -> list[str]:
    """Pauli gates that act where the measurement `record` (negative, relative) gave `value`."""
    operations = () if step.name in ("measure", "reset") else _operations(step)
    if step.name in ("measure", "reset") or not is_pauli(operations):
        raise EngineError(f"stabilizer: {step.name} under a measured bit (only Pauli gates can be)")
    lines = []
    for pauli, local in operations:
        qubit = step.qubits[local[0]]
        lines.append(f"C{pauli} rec[{record}] {qubit}")
        if value == 0:
            lines.append(f"{pauli} {qubit}")
    return lines
