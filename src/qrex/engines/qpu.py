"""A quantum device as an engine.

In: a `Job` whose circuit is compiled for the device (native gates, explicit delays). Out: `Counts` whose
metadata say where they come from and how long the device and this host took. The device is any object with
the few members of `RunnableQpu`, so this room needs not know how devices are opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.errors import EngineError, MemoryLimitError, QrexError
from qrex.profile import Profile

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

__all__ = ["DEFAULT_QPU_CONSTANTS", "QpuEngine", "RunnableQpu"]

DEFAULT_QPU_CONSTANTS: Mapping[str, float] = {"layer_seconds": 3e-7, "host_bytes": 2.5e8}
"""`layer_seconds`: time of one layer of a compiled circuit, about a two-qubit gate. `host_bytes`: what this
host holds meanwhile. Both only predict; counts and times are the device's."""


class _Executed(Protocol):
    counts: Sequence[Mapping[str, int]]
    device_seconds: float
    device_seconds_source: str
    host_seconds: float


class RunnableQpu(Protocol):
    """What this engine asks of a device; `qrex.twin.Qpu` has it."""

    name: str
    source: str  # "simulated" or "hardware"
    calibration_id: str
    calibration_date: str | None
    noise_description: str
    max_shots: int | None

    @property
    def num_qubits(self) -> int: ...

    def device_seconds(self, circuit_durations_seconds: Sequence[float], shots: int) -> float: ...

    def execute(self, circuits: Sequence[QuantumCircuit], shots: int, seed: int | None) -> _Executed: ...


class QpuEngine:
    """Runs compiled circuits on one device.

    `estimate().seconds` is device time, which is what a device is judged by; the time that simulating a
    device takes on this host never competes with an engine's.
    """

    def __init__(self, qpu: RunnableQpu, constants: Mapping[str, float] = DEFAULT_QPU_CONSTANTS):
        self.qpu = qpu
        self.name = f"qpu:{qpu.name}"
        self.constants = {**DEFAULT_QPU_CONSTANTS, **constants}

    def supports(self, profile: Profile) -> Support:
        """Whether the circuit fits: active qubits, something to read, shots."""
        qpu = self.qpu
        if profile.active_qubits > qpu.num_qubits:
            return Support(False, f"needs {profile.active_qubits} qubits; {qpu.name} has {qpu.num_qubits}")
        if profile.measurements == 0:
            return Support(False, "measures nothing, and a device answers by measuring; add measurements")
        if qpu.max_shots is not None and profile.shots > qpu.max_shots:
            return Support(False, f"asks for {profile.shots} shots; {qpu.name} takes {qpu.max_shots} a job")
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Device seconds by the device's model, with the duration guessed from the depth."""
        duration = profile.depth * self.constants["layer_seconds"]
        return Cost(
            seconds=self.qpu.device_seconds([duration], profile.shots),
            peak_bytes=int(self.constants["host_bytes"]),
        )

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Counts from the device. Raises what the device raises; strangers' errors come as `EngineError`."""
        progress(0.0)
        circuit = job.circuit.quantum_circuit
        try:
            done = self.qpu.execute([circuit], job.shots, job.seed)
        except QrexError:
            raise
        except MemoryError as error:
            raise MemoryLimitError(
                f"simulating {self.qpu.name} under {job.circuit.name} went past its share of memory ({error}); give "
                "more with --memory"
            ) from error
        except Exception as error:  # backends and their clients raise anything
            raise EngineError(f"{self.qpu.name} failed on {job.circuit.name}: {error}") from error
        progress(1.0)
        metadata: dict[str, Any] = {
            "engine": self.name,
            "source": self.qpu.source,
            "device_seconds": done.device_seconds,
            "device_seconds_source": done.device_seconds_source,
            "host_seconds": done.host_seconds,
            "noise": self.qpu.noise_description,
            "calibration_id": self.qpu.calibration_id,
            "calibration_date": self.qpu.calibration_date,
        }
        return Counts(counts=dict(done.counts[0]), shots=job.shots, metadata=metadata)
