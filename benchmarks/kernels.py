"""State-vector speed against qsimcirq and Qiskit Aer, in one run, interleaved.

Four circuits of 24 qubits, 1,000 samples each: quantum volume of depth 10, a quantum Fourier transform, a
hardware-efficient ansatz with linear CX (6 layers of RY and RZ), QAOA with p = 4 on a 3-regular graph. Each
program gets the circuit in its own form beforehand; timed is everything from there to the counts. qsimcirq runs
with the best of its fusion sizes 2, 3 and 4, chosen beforehand; Aer runs as a plain user would ("automatic").
The last line printed is one JSON object; ratios are medians over the repeats of ratios within a repeat.

Needs the packages of `make peers`, and says so when one is missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import efficient_su2, quantum_volume
from qiskit_aer import AerSimulator

from qrex import _kernels
from qrex.circuits import Circuit
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine

try:
    import cirq
    import qsimcirq
except ImportError as error:
    sys.exit(f"benchmarks/kernels.py compares with qsimcirq, which is not installed ({error}): run `make peers`")

__all__ = ["circuits", "main", "to_cirq"]


def circuits(num_qubits: int) -> dict[str, QuantumCircuit]:
    """The four circuits, measured at the end."""
    rng = np.random.default_rng(7)
    fourier = QuantumCircuit(num_qubits)
    for target in reversed(range(num_qubits)):
        fourier.h(target)
        for control in reversed(range(target)):
            fourier.cp(np.pi / 2 ** (target - control), control, target)
    for qubit in range(num_qubits // 2):
        fourier.swap(qubit, num_qubits - 1 - qubit)
    ansatz = efficient_su2(num_qubits, reps=6, entanglement="linear")
    ansatz = ansatz.assign_parameters(rng.uniform(0, 2 * np.pi, ansatz.num_parameters))
    order = rng.permutation(num_qubits).tolist()
    edges = [(order[k], order[(k + 1) % num_qubits]) for k in range(num_qubits)]
    edges += [(order[k], order[k + num_qubits // 2]) for k in range(num_qubits // 2)]
    qaoa = QuantumCircuit(num_qubits)
    qaoa.h(range(num_qubits))
    for gamma, beta in rng.uniform(0, 2, size=(4, 2)):
        for a, b in edges:
            qaoa.rzz(gamma, a, b)
        qaoa.rx(beta, range(num_qubits))
    volume = quantum_volume(num_qubits, 10, seed=3)
    out = {"QV": volume, "QFT": fourier, "HEA": ansatz, "QAOA": qaoa}
    for circuit in out.values():
        circuit.measure_all()
    return out


def to_cirq(circuit: QuantumCircuit) -> cirq.Circuit:
    """The same circuit in Cirq's own gates; measured qubits in one key."""
    qubits = cirq.LineQubit.range(circuit.num_qubits)
    place = {bit: k for k, bit in enumerate(circuit.qubits)}
    named = {
        "h": lambda: cirq.H,
        "rx": cirq.rx,
        "ry": cirq.ry,
        "rz": cirq.rz,
        "cx": lambda: cirq.CNOT,
        "swap": lambda: cirq.SWAP,
        "cp": lambda angle: cirq.CZPowGate(exponent=angle / np.pi),
        "rzz": lambda angle: cirq.ZZPowGate(exponent=angle / np.pi, global_shift=-0.5),
    }
    operations = []
    for step in circuit.data:
        name = step.operation.name
        on = [qubits[place[bit]] for bit in step.qubits]
        if name in ("measure", "barrier"):
            continue
        if name in named:
            operations.append(named[name](*map(float, step.operation.params)).on(*on))
        else:  # Cirq's first qubit is the most significant one
            operations.append(cirq.MatrixGate(step.operation.to_matrix()).on(*reversed(on)))
    return cirq.Circuit(operations, cirq.measure(*qubits, key="m"))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _contenders(circuit: QuantumCircuit, threads: int, shots: int) -> dict[str, Callable[[], object]]:
    engine = StateVectorEngine({})
    wrapped = Circuit("benchmark", "benchmark", "<python>", "Qiskit", circuit)
    allotment = Allotment(threads, (8 << circuit.num_qubits) + (1 << 28))
    in_cirq = to_cirq(circuit)
    simulators = [
        qsimcirq.QSimSimulator(qsimcirq.QSimOptions(max_fused_gate_size=size, cpu_threads=threads), seed=1)
        for size in (2, 3, 4)
    ]
    best = min(simulators, key=lambda simulator: _seconds(lambda: simulator.run(in_cirq, repetitions=shots)))
    aer = AerSimulator(max_parallel_threads=threads)
    for_aer = transpile(circuit, aer, optimization_level=0)
    return {
        "qrex": lambda: engine.run(Job(wrapped, shots, 1), allotment, lambda fraction: None),
        "qsimcirq": lambda: best.run(in_cirq, repetitions=shots),
        "aer": lambda: aer.run(for_aer, shots=shots, seed_simulator=1).result().get_counts(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qubits", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shots", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--circuits", nargs="+", default=["QV", "QFT", "HEA", "QAOA"])
    options = parser.parse_args()
    seconds: dict[str, dict[str, float]] = {}
    to_qsim, over_aer = {}, {}
    for name, circuit in circuits(options.qubits).items():
        if name not in options.circuits:
            continue
        contenders = _contenders(circuit, options.threads, options.shots)
        contenders["qrex"]()  # the first run of a process loads code and pages
        times: dict[str, list[float]] = {who: [] for who in contenders}
        for _ in range(options.repeats):
            for who, action in contenders.items():
                times[who].append(_seconds(action))
        seconds[name] = {who: statistics.median(values) for who, values in times.items()}
        pairs = list(zip(times["qrex"], times["qsimcirq"], times["aer"], strict=True))
        to_qsim[name] = statistics.median(ours / qsim for ours, qsim, _ in pairs)
        over_aer[name] = statistics.median(aer / ours for ours, _, aer in pairs)
        print(name, {who: f"{value:.3f} s" for who, value in seconds[name].items()}, file=sys.stderr)
    result = {
        "qubits": options.qubits,
        "shots": options.shots,
        "threads": options.threads,
        "repeats": options.repeats,
        "instruction_set": _kernels.instruction_set(),
        "versions": {p: importlib.metadata.version(p) for p in ("qsimcirq", "qiskit-aer", "qiskit", "numpy")},
        "median_seconds": seconds,
        "time_ratio_to_qsimcirq": to_qsim,
        "speedup_over_aer": over_aer,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
