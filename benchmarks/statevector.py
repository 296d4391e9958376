"""State-vector speed in memory against qsimcirq and Qiskit Aer, in one run, interleaved.

Four circuits of 24 and of 28 qubits, 1,000 samples each: quantum volume of depth 10, a quantum Fourier transform, a
hardware-efficient ansatz with linear CX (6 layers of RY and RZ), QAOA with p = 4 on a 3-regular graph. Each
program gets the circuit in its own form beforehand; timed is everything from there to the counts. qsimcirq runs
with the best of its fusion sizes 2, 3 and 4, chosen beforehand at 24 qubits; Aer runs as a plain user would
("automatic"), at 24 qubits only, since it takes minutes beyond. Then two more figures: the rate of dense two-qubit
gates in cache blocks, and the most memory that a process held that ran one 26-qubit circuit on this engine alone.
The last line printed is one JSON object; ratios are medians over the repeats of ratios within a repeat.

Needs the packages of `make peers`, and says so when one is missing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import efficient_su2, quantum_volume
from qiskit_aer import AerSimulator
from tiering import most_resident

from qrex import _kernels
from qrex.circuits import Circuit
from qrex.engines import Allotment, Job
from qrex.engines.statevector import StateVectorEngine

try:
    import cirq
    import qsimcirq
except ImportError as error:
    sys.exit(f"benchmarks/statevector.py compares with qsimcirq, which is not installed ({error}): run `make peers`")

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


def _ours(circuit: QuantumCircuit, threads: int, shots: int) -> Callable[[], object]:
    engine = StateVectorEngine({})
    wrapped = Circuit("benchmark", "benchmark", "<python>", "Qiskit", circuit)
    allotment = Allotment(threads, (8 << circuit.num_qubits) + (1 << 28))
    return lambda: engine.run(Job(wrapped, shots, 1), allotment, lambda fraction: None)


def _qsim(size: int, threads: int) -> qsimcirq.QSimSimulator:
    return qsimcirq.QSimSimulator(qsimcirq.QSimOptions(max_fused_gate_size=size, cpu_threads=threads), seed=1)


def _best_fusion(circuit: QuantumCircuit, threads: int, shots: int) -> int:
    in_cirq = to_cirq(circuit)
    return min((2, 3, 4), key=lambda size: _seconds(lambda: _qsim(size, threads).run(in_cirq, repetitions=shots)))


def _contenders(
    circuit: QuantumCircuit, threads: int, shots: int, fusion: int, *, with_aer: bool
) -> dict[str, Callable[[], object]]:
    in_cirq = to_cirq(circuit)
    qsim = _qsim(fusion, threads)
    out = {
        "qrex": _ours(circuit, threads, shots),
        "qsimcirq": lambda: qsim.run(in_cirq, repetitions=shots),
    }
    if with_aer:
        aer = AerSimulator(max_parallel_threads=threads)
        for_aer = transpile(circuit, aer, optimization_level=0)
        out["aer"] = lambda: aer.run(for_aer, shots=shots, seed_simulator=1).result().get_counts()
    return out


def _compare(num_qubits: int, fusions: dict[str, int], options: argparse.Namespace, repeats: int) -> dict[str, object]:
    """Medians of seconds, and ratios of qrex's time to each peer's within a repeat."""
    seconds: dict[str, dict[str, float]] = {}
    ratios: dict[str, dict[str, float]] = {}
    for name, circuit in circuits(num_qubits).items():
        if name not in options.circuits:
            continue
        contenders = _contenders(circuit, options.threads, options.shots, fusions[name], with_aer=num_qubits <= 24)
        contenders["qrex"]()  # the first run of a process loads code and pages
        times: dict[str, list[float]] = {who: [] for who in contenders}
        for _ in range(repeats):
            for who, action in contenders.items():
                times[who].append(_seconds(action))
        seconds[name] = {who: statistics.median(values) for who, values in times.items()}
        ratios[name] = {
            who: statistics.median(ours / theirs for ours, theirs in zip(times["qrex"], values, strict=True))
            for who, values in times.items()
            if who != "qrex"
        }
        shown = ", ".join(f"{who} {value:.3f} s" for who, value in seconds[name].items())
        print(f"{num_qubits} qubits, {name}: {shown}", file=sys.stderr)
    return {"median_seconds": seconds, "time_over": ratios, "repeats": repeats}


def _dense_rate(threads: int, repeats: int = 7) -> tuple[float, float]:
    """GFLOP/s of dense two-qubit gates on 24 positions, in blocks of 2^15 amplitudes, and milliseconds per gate: 32
    real operations per amplitude and gate, as complex products are defined; passes over memory are in the time."""
    bits, gates = 24, 40
    re, im = _kernels.allocate_state(bits)
    re[:] = 2.0 ** (-bits / 2)
    local = [*range(6), *range(bits - 9, bits)]
    stage = _kernels.Stage(bits, local)
    rng = np.random.default_rng(1)
    for _ in range(gates):
        a, b = rng.choice(local, 2, replace=False).tolist()
        matrix = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0]
        stage.two(a, b, matrix)
    stage.run(re, im, threads)
    best = min(_seconds(lambda: stage.run(re, im, threads)) for _ in range(repeats))
    return gates * 32 * 2.0**bits / best / 1e9, best / gates * 1e3


_PEAK_QUBITS = 26


def _peak_over_state(threads: int) -> float:
    """Most memory that a process of its own held, imports included, less 200 MB, over the bytes of the state."""
    command = [sys.executable, __file__, "--peak", "--threads", str(threads)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return (peak - 200e6) / (8 << _PEAK_QUBITS)


def _print_peak(threads: int) -> None:
    _ours(circuits(_PEAK_QUBITS)["QFT"], threads, 1000)()
    print(most_resident())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qubits", type=int, nargs="+", default=[24, 28])
    parser.add_argument("--repeats", type=int, default=5, help="at 24 qubits; 3 beyond")
    parser.add_argument("--shots", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--circuits", nargs="+", default=["QV", "QFT", "HEA", "QAOA"])
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        _print_peak(options.threads)
        return
    chosen_at = min(24, *options.qubits)
    fusions = {
        name: _best_fusion(circuit, options.threads, options.shots)
        for name, circuit in circuits(chosen_at).items()
        if name in options.circuits
    }
    found = {
        str(n): _compare(n, fusions, options, options.repeats if n <= 24 else min(3, options.repeats))
        for n in options.qubits
    }
    rate, milliseconds = _dense_rate(options.threads)
    small = found[str(options.qubits[0])]["time_over"]
    over_qsim = [ratio["qsimcirq"] for ratio in small.values()]
    over_aer = [ratio["aer"] for ratio in small.values() if "aer" in ratio]
    result = {
        "over_qsim_geomean": math.exp(statistics.fmean(map(math.log, over_qsim))),
        "over_qsim_max": max(over_qsim),
        "over_aer_geomean": math.exp(statistics.fmean(map(math.log, over_aer))) if over_aer else None,
        "gflops_dense2": rate,
        "milliseconds_dense2_24_qubits": milliseconds,
        "peak_less_200MB_over_state": _peak_over_state(options.threads),
        "by_qubits": found,
        "qsim_fusion": fusions,
        "shots": options.shots,
        "threads": options.threads,
        "instruction_set": _kernels.instruction_set(),
        "versions": {p: importlib.metadata.version(p) for p in ("qsimcirq", "qiskit-aer", "qiskit", "numpy")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
