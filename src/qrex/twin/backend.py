"""A calibration made to run: `SimulatedQpu`, a Qiskit `BackendV2`.

In: a `BackendV2` that carries a calibration (a fake backend, or any backend with a filled-in Target).
Out: a backend with the same target whose `run` samples compiled circuits under that calibration's noise
(see `noise`), exactly and fast. It serves `BackendSamplerV2` and the runtime's `SamplerV2` in local mode.
Circuits of one call run side by side in threads; results depend on the seed alone.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.platform import NoiseAssumptions
from qrex.twin.memory import is_static, sample_with_memory
from qrex.twin.noise import MEMORY_DESCRIPTION, NOISE_DESCRIPTION, DeviceNoise
from qrex.twin.parameters import TwinParameters, read_parameters
from qrex.twin.sampling import sample_circuit

__all__ = ["SimulatedJob", "SimulatedQpu"]


class SimulatedJob(JobV1):
    """A finished run; `result()` returns at once."""

    def __init__(self, backend: BackendV2, result: Result):
        super().__init__(backend, result.job_id)
        self._result = result

    def submit(self) -> None:
        """Nothing to do: the run is finished when the job exists."""

    def result(self) -> Result:
        return self._result

    def status(self) -> JobStatus:
        return JobStatus.DONE


class SimulatedQpu(BackendV2):
    """`calibrated` as a device that answers: with memory where `assumed` says what its calibration does not."""

    def __init__(self, calibrated: BackendV2, assumed: NoiseAssumptions | None = None):
        super().__init__(
            name=calibrated.name,
            description=f"simulated from the calibration of {calibrated.name}",
            backend_version=str(getattr(calibrated, "backend_version", "") or ""),
        )
        self._calibrated = calibrated
        self._noise = DeviceNoise(calibrated)
        self._parameters = None if assumed is None else read_parameters(calibrated, assumed, self._noise)

    @property
    def noise_description(self) -> str:
        return NOISE_DESCRIPTION if self._parameters is None else MEMORY_DESCRIPTION

    @property
    def parameters(self) -> TwinParameters | None:
        """What the noise with memory is made of; None for a device without."""
        return self._parameters

    def with_parameters(self, parameters: TwinParameters) -> SimulatedQpu:
        """The same device with other figures: links without ZZ, say."""
        other = SimulatedQpu(self._calibrated)
        other._parameters = parameters
        return other

    @property
    def target(self) -> Target:
        return self._calibrated.target

    @property
    def max_circuits(self) -> None:
        return None

    @property
    def noise(self) -> DeviceNoise:
        """The noise that `run` uses, for those who compute with it."""
        return self._noise

    @property
    def default_rep_delay(self) -> float | None:
        return getattr(self._calibrated, "default_rep_delay", None)

    def properties(self):
        """The calibration snapshot, or None where the backend brought none."""
        read = getattr(self._calibrated, "properties", None)
        return read() if callable(read) else None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=True, seed_simulator=None)

    def run(
        self,
        run_input: QuantumCircuit | Sequence[QuantumCircuit],
        *,
        shots: int | None = None,
        memory: bool | None = None,
        seed_simulator: int | None = None,
        meas_level: int = 2,
        meas_return: str | None = None,
    ) -> SimulatedJob:
        """Samples compiled circuits: qubit i is physical qubit i, gates are native, delays explicit.

        Circuit k of a call draws from (seed_simulator, k); without a seed the draw is fresh. Readout is classified:
        `meas_level` 2, with which `meas_return` means nothing. Raises `InputError` for what the device cannot run and
        `InfeasibleError` for what cannot be simulated here.
        """
        if meas_level != 2:
            raise InputError(f"meas_level {meas_level} was asked for; a simulated device gives bits alone: give 2")
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        shots = self.options.shots if shots is None else shots
        memory = self.options.memory if memory is None else memory
        seed = self.options.seed_simulator if seed_simulator is None else seed_simulator
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        if shots < 1:
            raise InputError(f"{shots} shots were asked for; a run needs at least 1")
        for circuit in circuits:
            self._check(circuit)
        begin = time.perf_counter()
        cores = len(os.sched_getaffinity(0))
        workers = max(1, min(len(circuits), cores))
        threads = max(1, cores // workers)

        def sample(index: int) -> ExperimentResult:
            circuit = circuits[index]
            if self._parameters is not None and is_static(circuit):
                bits = sample_with_memory(
                    circuit, self._noise, self._parameters, shots, (seed, index), threads=threads
                ).bits
            else:
                bits = sample_circuit(circuit, self._noise, shots, (seed, index))
            return _experiment(circuit, bits, shots, seed, memory)

        with ThreadPoolExecutor(workers) as pool:
            experiments = list(pool.map(sample, range(len(circuits))))
        result = Result(
            backend_name=self.name,
            backend_version=self.backend_version,
            job_id=str(uuid.uuid4()),
            success=True,
            results=experiments,
            time_taken=time.perf_counter() - begin,
        )
        return SimulatedJob(self, result)

    def _check(self, circuit: QuantumCircuit) -> None:
        if circuit.num_qubits > self.target.num_qubits:
            raise InputError(
                f"circuit {circuit.name!r} has {circuit.num_qubits} qubits and {self.name} has "
                f"{self.target.num_qubits}; compile it for this device"
            )
        if circuit.num_parameters:
            raise InputError(f"circuit {circuit.name!r} has unbound parameters; bind them before it runs")
        for name, qubits in sorted(_uses(circuit, range(circuit.num_qubits))):
            if not self.target.instruction_supported(name, qubits):
                raise InputError(
                    f"circuit {circuit.name!r} uses {name} on {qubits}, which {self.name} does not have; "
                    "compile it for this device"
                )


def _uses(circuit: QuantumCircuit, physical: Sequence[int]) -> set[tuple[str, tuple[int, ...]]]:
    """Every (name, physical qubits) that `circuit` and the bodies of its control flow apply."""
    place = dict(zip(circuit.qubits, physical, strict=True))
    uses = set()
    for instruction in circuit.data:
        qubits = tuple(place[q] for q in instruction.qubits)
        if instruction.is_control_flow():
            for body in getattr(instruction.operation, "blocks", ()):
                uses |= _uses(body, qubits)
        elif instruction.name not in ("barrier", "store"):
            uses.add((instruction.name, qubits))
    return uses


def _experiment(
    circuit: QuantumCircuit, bits: NDArray[np.uint8], shots: int, seed: int, memory: bool
) -> ExperimentResult:
    words = _hex_words(bits)
    data = {"counts": dict(Counter(words))}
    if memory:
        data["memory"] = words
    header = {
        "name": circuit.name,
        "n_qubits": circuit.num_qubits,
        "memory_slots": circuit.num_clbits,
        "creg_sizes": [[register.name, register.size] for register in circuit.cregs],
        "metadata": circuit.metadata or {},
    }
    return ExperimentResult(
        shots=shots, success=True, data=ExperimentResultData(**data), header=header, seed=seed, status="DONE"
    )


def _hex_words(bits: NDArray[np.uint8]) -> list[str]:
    """One hexadecimal word per row, column 0 least significant."""
    if bits.shape[1] == 0:
        return ["0x0"] * len(bits)
    packed = np.packbits(bits[:, ::-1], axis=1, bitorder="big")
    excess = 8 * packed.shape[1] - bits.shape[1]  # packbits fills the last byte up from the right
    return [hex(int.from_bytes(row.tobytes(), "big") >> excess) for row in packed]
