"""An opened QPU: what it is, how long it takes, and how to run compiled circuits on it.

In: a `QpuDescription` and the backend that it names. Out: `Qpu`. Simulated and real devices go through the
same SamplerV2 of qiskit-ibm-runtime (local mode for a simulated one); only `source` tells them apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from qrex.errors import InputError
from qrex.platform import NoiseAssumptions, QpuDescription

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target

__all__ = ["Qpu", "QpuRun", "calibration_hash", "make_qpu"]

_DEFAULT_REP_DELAY_SECONDS = 250e-6  # what every current calibration snapshot states


@dataclass(frozen=True, slots=True)
class QpuRun:
    """Counts per circuit, and the time it took. `device_seconds_source` is "model" for a simulated device
    (and for a live one that reports none), else "hardware"."""

    counts: tuple[dict[str, int], ...]
    device_seconds: float
    device_seconds_source: Literal["model", "hardware"]
    host_seconds: float


@dataclass(frozen=True)
class Qpu:
    """A device that can be run. `calibration_id` changes whenever an error, a duration, T1 or T2 does."""

    name: str
    backend: BackendV2 = field(repr=False, compare=False)
    source: Literal["simulated", "hardware"]
    calibration_id: str
    calibration_date: str | None  # ISO 8601
    rep_delay_seconds: float
    job_overhead_seconds: float
    noise_description: str
    max_shots: int | None = None

    @property
    def target(self) -> Target:
        return self.backend.target

    @property
    def num_qubits(self) -> int:
        return self.backend.target.num_qubits

    def device_seconds(self, circuit_durations_seconds: Sequence[float], shots: int) -> float:
        """QPU time by the model: Σ over circuits of shots × (rep delay + duration) + overhead."""
        return sum(
            shots * (self.rep_delay_seconds + duration) + self.job_overhead_seconds
            for duration in circuit_durations_seconds
        )

    def circuit_seconds(self, circuit: QuantumCircuit) -> float:
        """Duration of one shot of a compiled circuit: its longest path, delays and measurement included.

        Of a condition's branches the longest counts; a loop's body counts once.
        """
        return _longest_path(circuit, self.target, range(circuit.num_qubits))

    def control_flow_obstacle(self, circuit: QuantumCircuit) -> str:
        """Why the device takes no such control flow as `circuit` has; "" where it takes it, or there is none.

        What a device takes are the operations that its target names.
        """
        missing = sorted(_control_flow(circuit) - set(self.target.operation_names))
        if not missing:
            return ""
        return f"uses {' and '.join(missing)}, and {self.name} does not take {'them' if len(missing) > 1 else 'it'}"

    def run(self, circuits: Sequence[QuantumCircuit], shots: int, seed: int | None) -> list[dict[str, int]]:
        """Counts of compiled circuits; see `execute`."""
        return list(self.execute(circuits, shots, seed).counts)

    def execute(self, circuits: Sequence[QuantumCircuit], shots: int, seed: int | None) -> QpuRun:
        """Runs compiled circuits (native gates, explicit delays, bound parameters) through SamplerV2.

        Keys are joint bit strings over all classical bits, classical bit 0 rightmost, registers joined
        without spaces. `seed` means nothing to hardware. Raises `InputError` for circuits that do not fit.
        """
        circuits = list(circuits)
        if not circuits:
            return QpuRun((), 0.0, "model", 0.0)
        if self.max_shots is not None and shots > self.max_shots:
            raise InputError(f"{shots} shots asked for; {self.name} takes at most {self.max_shots} a job")
        for circuit in circuits:
            _check_registers(circuit)
        begin = time.perf_counter()
        sampler = self._sampler(seed)
        job = sampler.run(circuits, shots=shots)
        results = job.result()
        counts = tuple(_joint_counts(c, r) for c, r in zip(circuits, results, strict=True))
        reported = self._reported_seconds(job)
        modelled = self.device_seconds([self.circuit_seconds(c) for c in circuits], shots)
        return QpuRun(
            counts=counts,
            device_seconds=modelled if reported is None else reported,
            device_seconds_source="model" if reported is None else "hardware",
            host_seconds=time.perf_counter() - begin,
        )

    def _sampler(self, seed: int | None):
        from qiskit_ibm_runtime import IBMBackend, SamplerV2

        sampler = SamplerV2(mode=self.backend)
        if not isinstance(self.backend, IBMBackend):
            if seed is not None:
                # The local mode takes a seed of 0 for none, and Aer's seeds end at 2**31.
                sampler.options.simulator.seed_simulator = 1 + seed % (2**31 - 2)
        else:
            # What qrex measures it must have put there itself.
            sampler.options.dynamical_decoupling.enable = False
            sampler.options.twirling.enable_gates = False
            sampler.options.twirling.enable_measure = False
        return sampler

    def _reported_seconds(self, job) -> float | None:
        if self.source == "simulated":
            return None
        usage = getattr(job, "usage", None)
        seconds = usage() if callable(usage) else None
        return float(seconds) if isinstance(seconds, (int, float)) else None


def calibration_hash(target: Target, assumed: NoiseAssumptions | None = None) -> str:
    """Sixteen hexadecimal digits over every error and duration in `target`, its T1 and T2, and what is assumed
    beside them."""
    gates = {
        f"{name}{list(qubits)}": [properties.error, properties.duration]
        for name in sorted(target.operation_names)
        for qubits, properties in (target[name] or {}).items()
        if qubits is not None and properties is not None
    }
    times = [[getattr(q, "t1", None), getattr(q, "t2", None)] for q in target.qubit_properties or ()]
    parts = [target.num_qubits, target.dt, gates, times]
    text = json.dumps(parts if assumed is None else [*parts, dataclasses.asdict(assumed)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_qpu(
    description: QpuDescription,
    backend: BackendV2,
    source: Literal["simulated", "hardware"],
    noise_description: str,
) -> Qpu:
    """`backend` as a `Qpu`, with the description's times where it gives them and the backend's otherwise."""
    rep_delay = description.rep_delay_seconds
    if rep_delay is None:
        rep_delay = getattr(backend, "default_rep_delay", None)
    properties = getattr(backend, "properties", None)
    calibrated = properties() if callable(properties) else None
    date = getattr(calibrated, "last_update_date", None)
    return Qpu(
        name=description.name,
        backend=backend,
        source=source,
        calibration_id=calibration_hash(backend.target, description.noise),
        calibration_date=date.isoformat() if hasattr(date, "isoformat") else date,
        rep_delay_seconds=_DEFAULT_REP_DELAY_SECONDS if rep_delay is None else float(rep_delay),
        job_overhead_seconds=description.job_overhead_seconds,
        noise_description=noise_description,
        max_shots=description.max_shots,
    )


def _control_flow(circuit: QuantumCircuit) -> set[str]:
    """Names of control flow operations, also of those inside others."""
    found = set()
    for instruction in circuit.data:
        if blocks := getattr(instruction.operation, "blocks", None):
            found.add(instruction.name)
            found = found.union(*map(_control_flow, blocks))
    return found


def _check_registers(circuit: QuantumCircuit) -> None:
    """A sampler answers per register, so every classical bit must lie in one, in order."""
    in_registers = [bit for register in circuit.cregs for bit in register]
    if in_registers != list(circuit.clbits):
        raise InputError(
            f"circuit {circuit.name!r} has classical bits outside registers, or registers that share bits, "
            "and a sampler answers per register; declare its bits in ClassicalRegisters, in order"
        )


def _joint_counts(circuit: QuantumCircuit, result) -> dict[str, int]:
    words = [getattr(result.data, r.name).get_bitstrings() for r in reversed(circuit.cregs) if r.size]
    if len(words) == 1:
        return dict(Counter(words[0]))
    return dict(Counter(map("".join, zip(*words, strict=True))))


def _longest_path(circuit: QuantumCircuit, target: Target, physical: Sequence[int]) -> float:
    """Latest end over all bits. A condition waits for the measurements that it reads."""
    from qrex.twin.noise import delay_seconds

    place = dict(zip(circuit.qubits, physical, strict=True))
    free_at = dict.fromkeys([*circuit.qubits, *circuit.clbits], 0.0)
    for instruction in circuit.data:
        bits = [*instruction.qubits, *instruction.clbits]
        where = tuple(place[q] for q in instruction.qubits)
        operation = instruction.operation
        if instruction.name == "delay":
            length = delay_seconds(operation, target.dt)
        elif getattr(operation, "blocks", None):
            length = max(_longest_path(body, target, where) for body in operation.blocks)
        elif instruction.name in target and target.instruction_supported(instruction.name, where):
            length = getattr(target[instruction.name].get(where), "duration", None) or 0.0
        else:
            length = 0.0
        end = max((free_at[bit] for bit in bits), default=0.0) + length
        free_at.update(dict.fromkeys(bits, end))
    return max(free_at.values(), default=0.0)
