"""Samples one compiled circuit on a simulated device.

In: a circuit over physical qubits, the device's noise, shots, a seed. Out: an array of classical bits, one
row per shot. Each component is sampled by the cheapest way that is exact: the swept Pauli vector,
trajectories that share histories, or, where something depends on a measurement, Qiskit Aer shot by shot.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qrex.errors import InfeasibleError
from qrex.twin.blocks import Block, sweep_blocks
from qrex.twin.components import Component, split_components
from qrex.twin.dynamic import sample_dynamic
from qrex.twin.exact import exact_cost, outcome_probabilities
from qrex.twin.noise import DeviceNoise
from qrex.twin.trajectories import prepare_jumps, sample_trajectories, trajectory_cost
from qrex.units import format_bytes

__all__ = ["ComponentPlan", "plan_component", "sample_circuit"]

# Relative seconds of one multiplication in the sweep and one amplitude pass in a trajectory; only their
# ratio matters, and only to the choice between two exact methods.
_EXACT_SECONDS = 0.3e-9
_TRAJECTORY_SECONDS = 6e-9
_TRAJECTORY_BLOCK_SECONDS = 2e-4
_MOST_BYTES = 2 << 30
_MOST_EXACT_OUTCOMES = 22
_SPLIT_SECONDS = 0.5  # trajectories longer than this are shared between two threads


@dataclass(frozen=True, slots=True)
class ComponentPlan:
    """How a component will be sampled: "exact", "trajectories" or "dynamic"."""

    component: Component
    method: str
    blocks: Sequence[Block]
    chunks: int = 1


def plan_component(component: Component, noise: DeviceNoise, shots: int) -> ComponentPlan:
    """The cheapest exact method. Raises `InfeasibleError` where none fits in memory."""
    if component.is_dynamic:
        return ComponentPlan(component, "dynamic", ())
    blocks = sweep_blocks(component, noise)
    measured = set(component.measured.values())
    exact_work, exact_floats = exact_cost(blocks, measured)
    path_work, amplitudes = trajectory_cost(blocks, shots)
    exact_fits = 8 * exact_floats <= _MOST_BYTES and len(measured) <= _MOST_EXACT_OUTCOMES
    exact_seconds = exact_work * _EXACT_SECONDS
    path_seconds = path_work * _TRAJECTORY_SECONDS + len(blocks) * _TRAJECTORY_BLOCK_SECONDS
    if exact_fits and exact_seconds <= path_seconds:
        return ComponentPlan(component, "exact", blocks)
    if 4 * 8 * amplitudes <= _MOST_BYTES:
        # By predicted cost and never by cores at hand, so that equal seeds give equal counts anywhere.
        chunks = 2 if path_seconds > _SPLIT_SECONDS and shots > 1 else 1
        return ComponentPlan(component, "trajectories", blocks, chunks)
    if exact_fits:
        return ComponentPlan(component, "exact", blocks)
    raise InfeasibleError(
        f"simulating {len(component.qubits)} interacting qubits of this device needs "
        f"{format_bytes(32 * amplitudes)} and {format_bytes(_MOST_BYTES)} are set aside for it; "
        "use fewer qubits, a shallower circuit, or a live device"
    )


def sample_circuit(
    circuit: QuantumCircuit, noise: DeviceNoise, shots: int, seed: Sequence[int]
) -> NDArray[np.uint8]:
    """Bits of shape (shots, circuit.num_clbits), column i being classical bit i.

    `circuit` is compiled: qubit i is physical qubit i and its gates are native. `seed` is any sequence of
    non-negative integers; equal seeds give equal bits. Raises `InputError` for what the device cannot run.
    """
    bits = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
    for component in split_components(circuit):
        plan = plan_component(component, noise, shots)
        # The component's least qubit in the seed: a component's samples do not depend on its neighbours.
        rng = np.random.default_rng([*seed, component.qubits[0]])
        if plan.method == "dynamic":
            sampled = sample_dynamic(circuit, component, noise, shots, int(rng.integers(1, 2**31)))
        else:
            sampled = _sample_static(plan, noise, shots, rng)
        # Samples come grouped; a random order makes shots of different components independent.
        bits[:, list(component.clbits)] = sampled[rng.permutation(shots)]
    return bits


def _sample_static(
    plan: ComponentPlan, noise: DeviceNoise, shots: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Bits of shape (shots, number of the component's classical bits), readout errors included."""
    component = plan.component
    qubits = sorted(set(component.measured.values()))
    confusion = {q: noise.readout_confusion(q) for q in qubits}
    if plan.method == "exact":
        axes, probabilities = outcome_probabilities(plan.blocks, confusion)
        flat = np.clip(probabilities.reshape(-1), 0.0, None)
        cumulative = np.cumsum(flat)
        outcomes = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], side="right")
        outcomes = np.minimum(outcomes, len(flat) - 1)
        width = len(axes)
        column = {qubit: width - 1 - axis for axis, qubit in enumerate(axes)}
        read = {q: ((outcomes >> column[q]) & 1).astype(np.uint8) for q in qubits}
    else:
        columns = {q: i for i, q in enumerate(qubits)}
        ideal = _sample_chunks(plan, columns, shots, rng)
        read = {}
        for qubit, i in columns.items():
            one_if = confusion[qubit][1]
            read[qubit] = (rng.random(shots) < one_if[ideal[:, i]]).astype(np.uint8)
    return np.stack([read[component.measured[c]] for c in component.clbits], axis=1)


def _sample_chunks(
    plan: ComponentPlan, columns: dict[int, int], shots: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    jumps = prepare_jumps(plan.blocks)
    sizes = [shots // plan.chunks + (i < shots % plan.chunks) for i in range(plan.chunks)]
    with ThreadPoolExecutor(plan.chunks) as pool:
        parts = pool.map(
            lambda size, stream: sample_trajectories(plan.blocks, jumps, columns, size, stream),
            sizes,
            rng.spawn(plan.chunks),
        )
        return np.concatenate(list(parts))
