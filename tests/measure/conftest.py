"""Small devices and their noise, for running protocols on Aer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from qiskit.circuit import Delay, Measure, Parameter, QuantumCircuit
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

GATES = {"cx": CXGate, "cz": CZGate, "ecr": ECRGate}
TICK = 1e-9


@pytest.fixture
def make_target() -> Callable[..., Target]:
    """A device with given links; 1q pulses last 32 ns, two-qubit gates 320 ns, readout 1 µs."""

    def make(
        num_qubits: int,
        links: Sequence[tuple[int, int]],
        gate: str = "cx",
        t1: float | None = 50e-6,
        t2: float | None = 40e-6,
        granularity: int = 8,
        with_x: bool = True,
    ) -> Target:
        properties = None if t1 is None else [QubitProperties(t1=t1, t2=t2)] * num_qubits
        target = Target(num_qubits=num_qubits, dt=TICK, granularity=granularity, qubit_properties=properties)
        each = [(qubit,) for qubit in range(num_qubits)]
        pulse = InstructionProperties(duration=32e-9, error=1e-4)
        target.add_instruction(RZGate(Parameter("a")), {q: InstructionProperties(duration=0.0) for q in each})
        target.add_instruction(SXGate(), {q: pulse for q in each})
        if with_x:
            target.add_instruction(XGate(), {q: pulse for q in each})
        target.add_instruction(Delay(Parameter("t")), {q: None for q in each})
        target.add_instruction(Measure(), {q: InstructionProperties(duration=1e-6) for q in each})
        pairs = {tuple(link): InstructionProperties(duration=320e-9, error=1e-2) for link in links}
        if pairs:
            target.add_instruction(GATES[gate](), pairs)
        return target

    return make


@pytest.fixture
def run_aer() -> Callable[..., list[dict[str, int]]]:
    """Counts of circuits under an Aer noise model (None: ideal), exact density matrices, one thread."""

    def run(
        circuits: Sequence[QuantumCircuit], shots: int = 1000, noise: NoiseModel | None = None, seed: int = 7
    ) -> list[dict[str, int]]:
        simulator = AerSimulator(method="density_matrix", noise_model=noise, max_parallel_threads=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = simulator.run(list(circuits), shots=shots, seed_simulator=seed).result()
        assert result.success, result.status
        return [result.get_counts(index) for index in range(len(circuits))]

    return run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)
