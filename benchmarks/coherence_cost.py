"""What trajectories with memory cost, against Qiskit Aer driven with the same phases of every trajectory.

A quantum-volume circuit of six qubits, compiled for a Heron twin (cz, so that idle phases do not depend on what a
neighbor's gate is) whose links have the ZZ of a fixed coupling. Every trajectory has its own static detunings. For Aer
the idle phases become rz and rzz gates with a parameter per qubit, merged up to the next gate that is not diagonal, all
bound at once (`runtime_parameter_bind_enable`), one shot each: its fastest way that was found (state vector, batched in
one circuit; binding and executing per circuit is slower). Gate errors, relaxation and white dephasing are switched off
on both sides, for the comparison of distributions that comes first; ours is timed with them as well.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
from coherence_windows import twin
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import RZZGate, quantum_volume
from qiskit.transpiler import InstructionProperties
from qiskit_aer import AerSimulator
from scipy.stats import chi2

from qrex.compilation import compile_at
from qrex.platform import NoiseAssumptions
from qrex.suppress.occupancy import read_occupancy
from qrex.twin.backend import SimulatedQpu
from qrex.twin.memory import sample_with_memory
from qrex.twin.noise import DeviceNoise
from qrex.twin.parameters import TwinParameters

__all__ = ["trajectories"]

_DIAGONAL = ("rz", "cz", "barrier", "delay")
REPEATS = 3


def trajectories(shots: int, threads: int, log) -> dict[str, Any]:
    """Seconds for `shots` trajectories, ours and Aer's, interleaved, and whether they agree."""
    backend = twin("FakeBoston", NoiseAssumptions(zz_hz=None))
    circuit = _compiled(backend)
    bare = _Bare(backend)
    plain = _only_phases(backend.parameters)
    rng = np.random.default_rng(21)
    phased, detunings = phase_circuit(circuit, backend, plain)
    widths, parities = plain.detuning_rad_per_s, plain.parity_rad_per_s
    draws = {q: widths[q] * rng.normal(size=shots) + parities[q] * rng.choice((-1, 1), shots) for q in detunings}
    binds = [{detunings[q]: draws[q].tolist() for q in detunings}]
    simulator = AerSimulator(method="statevector", max_parallel_threads=threads, runtime_parameter_bind_enable=True,
                             max_parallel_experiments=0)  # fmt: skip
    ours_seconds, noisy_seconds, aer_seconds = [], [], []
    for repeat in range(REPEATS + 1):
        began = time.perf_counter()
        bits = sample_with_memory(circuit, bare, plain, shots, (repeat,), threads=threads).bits
        ours = time.perf_counter() - began
        began = time.perf_counter()
        sample_with_memory(circuit, backend.noise, backend.parameters, shots, (repeat,), threads=threads)
        noisy = time.perf_counter() - began
        began = time.perf_counter()
        result = simulator.run(phased, parameter_binds=binds, shots=1, seed_simulator=repeat + 1).result()
        aer = time.perf_counter() - began
        if repeat:  # the first one warms up
            ours_seconds.append(ours), noisy_seconds.append(noisy), aer_seconds.append(aer)
    found = result.get_counts()
    theirs = np.array([[int(bit) for bit in reversed(next(iter(one)))] for one in found])
    p_value = _same(bits, theirs)
    ratio = statistics.median(a / o for a, o in zip(aer_seconds, ours_seconds, strict=True))
    with_errors = statistics.median(a / o for a, o in zip(aer_seconds, noisy_seconds, strict=True))
    log(f"trajectories: Aer {statistics.median(aer_seconds):.2f} s, ours {statistics.median(ours_seconds):.3f} s "
        f"({ratio:.1f} x), with relaxation and gate errors as well {statistics.median(noisy_seconds):.3f} s "
        f"({with_errors:.1f} x); distributions agree with p = {p_value:.3f}")  # fmt: skip
    return {"shots": shots, "threads": threads, "two_qubit_gates": circuit.count_ops()["cz"], "aer_over_ours": ratio,
            "aer_over_ours_with_all_noise": with_errors, "p_value": p_value, "repeats": REPEATS}  # fmt: skip


class _Bare(DeviceNoise):
    """A device whose gates are perfect and take the time that they take."""

    def __init__(self, backend: SimulatedQpu):
        super().__init__(backend)
        self.target = copy.deepcopy(backend.target)
        for name in ("sx", "x", "cz"):
            for qubits, known in list(self.target[name].items()):
                self.target.update_instruction_properties(name, qubits, InstructionProperties(known.duration, 0.0))

    def relaxation_times(self, qubit: int) -> tuple[float, float]:
        return math.inf, math.inf


def _only_phases(parameters: TwinParameters) -> TwinParameters:
    n = parameters.num_qubits
    never, none = np.full(n, math.inf), np.zeros(n)
    strong = 15 * parameters.zeta_rad_per_s  # of a fixed coupling, so that a difference would show
    return replace(parameters, t1_seconds=never, t2_seconds=never, reads_one=none, reads_zero=none,
                   zeta_rad_per_s=strong)  # fmt: skip


def _compiled(backend) -> QuantumCircuit:
    model = quantum_volume(6, 6, seed=5)
    model.measure_all()
    return compile_at(model, backend, 3, 7, label="preset level 3").circuit


def phase_circuit(circuit: QuantumCircuit, backend, parameters: TwinParameters):
    """`circuit` on its used qubits with idle phases written as gates, and the parameter of each qubit's detuning."""
    occupancy = read_occupancy(circuit, backend.target)
    tick = occupancy.timing.tick_seconds
    place = {bit: index for index, bit in enumerate(circuit.qubits)}
    used = sorted({place[bit] for one in circuit.data if one.name != "barrier" for bit in one.qubits})
    small = {qubit: index for index, qubit in enumerate(used)}
    detuning = {qubit: Parameter(f"d{qubit}") for qubit in used}
    every = zip(parameters.edges, parameters.zeta_rad_per_s, strict=True)
    zeta = {edge: z for edge, z in every if set(edge) <= set(used)}
    made = QuantumCircuit(len(used), len(used))
    begun = {qubit: occupancy.signs[qubit].begun for qubit in used}
    turned = dict.fromkeys(used, 0.0)  # when its own phase was last written, ticks; constant part in rad
    extra = dict.fromkeys(used, 0.0)
    joint = {edge: max(begun[edge[0]], begun[edge[1]]) for edge in zeta}

    def joined(edge: tuple[int, int], now: float, writes: bool) -> None:
        angle = zeta[edge] * max(now - joint[edge], 0) * tick
        joint[edge] = max(now, joint[edge])
        if writes and angle:  # exp(-i angle n n): rz of either and rzz
            made.append(RZZGate(angle / 2), [small[q] for q in edge])
            for qubit in edge:
                extra[qubit] -= angle / 2

    def write(qubit: int, now: float) -> None:
        for edge in zeta:
            if qubit in edge:
                joined(edge, now, True)
        elapsed = max(now - max(turned[qubit], begun[qubit]), 0) * tick
        made.rz(-elapsed * detuning[qubit] + extra[qubit], small[qubit])
        turned[qubit], extra[qubit] = now, 0.0

    gates = [
        (begin + length / 2, begin, length, one)
        for one, begin, length in zip(circuit.data, occupancy.starts, occupancy.lengths, strict=True)
        if one.name not in ("delay", "barrier", "measure")
    ]
    events = [(centre, 0, one) for centre, _, _, one in gates]
    for _, begin, length, one in gates:
        if one.name == "cz":  # the shift between the two is part of the gate
            events += [(begin, -1, one), (begin + length, 1, one)]
    for now, kind, one in sorted(events, key=lambda event: event[:2]):
        qubits = [place[bit] for bit in one.qubits]
        if kind:
            edge = (min(qubits), max(qubits))
            joined(edge, now, kind < 0)  # what is gathered inside is dropped
            continue
        if one.name not in _DIAGONAL:
            for qubit in qubits:
                write(qubit, now)
        made.append(one.operation, [small[q] for q in qubits])
    for one in circuit.data:
        if one.name == "measure":
            made.measure(small[place[one.qubits[0]]], circuit.find_bit(one.clbits[0]).index)
    return made, detuning


def _same(ours: np.ndarray, theirs: np.ndarray) -> float:
    """p value of a χ² test that both came from one distribution, outcomes that are rare put together."""
    weights = 2 ** np.arange(ours.shape[1])
    size = 2 ** ours.shape[1]
    a, b = (np.bincount(bits @ weights, minlength=size) for bits in (ours, theirs[:, : ours.shape[1]]))
    common = a + b >= 10
    a, b = (np.append(x[common], x[~common].sum()) for x in (a, b))
    kept = a + b > 0
    a, b = a[kept], b[kept]
    statistic = float(((a * math.sqrt(b.sum() / a.sum()) - b * math.sqrt(a.sum() / b.sum())) ** 2 / (a + b)).sum())
    return float(chi2.sf(statistic, len(a) - 1))
