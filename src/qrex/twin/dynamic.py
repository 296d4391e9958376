"""Samples a component in which something depends on a measurement, with Qiskit Aer shot by shot.

In: a component with conditions, loops, or gates after a measurement. Out: its classical bits, one row per
shot. The noise is the device's own, handed to Aer on the component's qubits alone, so that the rest of a
wide device costs nothing. Aer adds relaxation to delays of the circuit itself, not of a condition's body.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error, thermal_relaxation_error
from qiskit_aer.noise.passes import RelaxationNoisePass

from qrex.errors import EngineError
from qrex.twin.components import Component
from qrex.twin.noise import DeviceNoise

__all__ = ["component_noise_model", "sample_dynamic"]


def sample_dynamic(
    circuit: QuantumCircuit, component: Component, noise: DeviceNoise, shots: int, seed: int
) -> NDArray[np.uint8]:
    """Bits of shape (shots, number of the component's classical bits)."""
    part = QuantumCircuit([circuit.qubits[q] for q in component.qubits], circuit.clbits, *circuit.cregs)
    for variable in circuit.iter_input_vars():
        part.add_input(variable)
    for variable in circuit.iter_declared_vars():
        part.add_uninitialized_var(variable)
    for instruction, _, _ in component.steps:
        part.append(instruction)
    simulator = AerSimulator(
        method="statevector",
        noise_model=component_noise_model(component.qubits, noise),
        shot_branching_enable=False,
        max_parallel_threads=0,
    )
    result = simulator.run(part, shots=shots, memory=True, seed_simulator=seed).result()
    if not result.success:
        raise EngineError(f"the simulated device could not run a conditional circuit: {result.status}")
    # Aer prints registers apart; loose bits it leaves out, but a runnable circuit has none.
    memory = [word.replace(" ", "") for word in result.get_memory()]
    table = np.array([list(word[::-1]) for word in memory], dtype="U1") == "1"
    return table[:, list(component.clbits)].astype(np.uint8)


def component_noise_model(qubits: tuple[int, ...], noise: DeviceNoise) -> NoiseModel:
    """The device's noise on `qubits`, which Aer sees as 0, 1, 2, ..."""
    place = {qubit: i for i, qubit in enumerate(qubits)}
    times = [noise.relaxation_times(q) for q in qubits]
    target = noise.target
    model = NoiseModel(basis_gates=list(target.operation_names))
    for name in target.operation_names:
        if name in ("measure", "delay", "reset") or target[name] is None:
            continue
        for where in target[name]:
            if where is None or not all(q in place for q in where):
                continue
            probability, seconds = noise.error_parameters(name, where)
            if probability == 0.0 and seconds == 0.0:
                continue
            local = [place[q] for q in where]
            error = thermal_relaxation_error(*times[local[0]], seconds)
            for other in local[1:]:
                error = error.expand(thermal_relaxation_error(*times[other], seconds))
            if probability > 0:
                error = depolarizing_error(probability, len(where)).compose(error)
            model.add_quantum_error(error, name, local)
    for qubit, i in place.items():
        model.add_readout_error(ReadoutError(noise.readout_confusion(qubit).T), [i])
    t1s, t2s = zip(*times, strict=True)
    model._custom_noise_passes.append(
        RelaxationNoisePass(t1s=list(t1s), t2s=list(t2s), dt=noise.dt, op_types=Delay)
    )
    return model
