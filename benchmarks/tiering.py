"""States larger than the memory they are given: what the tiers do, against what the hardware allows.

Every run is a process of its own, on the state-vector engine under the protocol that qrex itself uses, with its most
memory and the bytes that the system counted for it. In the same run: the speed of a plain sequential copy on disk
(one file read while another is written, O_DIRECT) and in memory.

1. 30 qubits in 4 GB: a Fourier transform (of a product state), a linear hardware-efficient ansatz and brickwork, which
   must not touch the disk; quantum volume of depth 10 and QAOA with p = 4, against the larger of what the same gates
   take in memory (28 qubits, scaled by amplitudes and gates) and 2 (k - 2) states at the speed of a plain copy.
2. A circuit of many stages and little arithmetic, bound by the disk, three times between plain copies: bytes moved per
   second in the stages that read and write, over a plain copy's. The same for a pass over memory.
3. QAOA with p = 4 in int16 with a tenth of the memory that the state takes, and the infidelity that was measured.
4. Snapshots of a Trotter series of 20 qubits, dense and branching: logical bytes in complex128 over what they take in
   int16 and in int8, each restored and compared (all codecs: benchmarks/tiering_storage.py).

The last line printed is one JSON object. Takes some ten minutes, 12 GB of disk and 10 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["family", "main", "most_resident"]

_QUBITS, _REFERENCE_QUBITS = 30, 28
_MEMORY = 4 * 10**9  # of a process, all in
_PROCESS = 200 * 10**6  # of it the interpreter's and its libraries'
_DISK = 40 * 10**9
_SHOTS = 1000
_STORED_QUBITS = 20
_REPEATS = 3
_REQUEST = 4 << 20
_COPIED = 4 << 30  # bytes of the plain copy on disk, each way


def family(name: str, num_qubits: int) -> Any:
    """One of the circuits, measured at the end."""
    from qiskit import QuantumCircuit
    from qiskit.circuit.library import efficient_su2, quantum_volume

    rng = np.random.default_rng(7)
    circuit = QuantumCircuit(num_qubits)
    if name == "QV":
        circuit = quantum_volume(num_qubits, 10, seed=3)
    elif name == "QFT":
        for qubit in range(num_qubits):
            circuit.ry(float(rng.uniform(0, 3)), qubit)
        for target in reversed(range(num_qubits)):
            circuit.h(target)
            for control in reversed(range(target)):
                circuit.cp(np.pi / 2 ** (target - control), control, target)
    elif name == "walls":
        # Little arithmetic, and a stage for each layer: all qubits are targets, and the phase commutes with no target.
        circuit.h(range(num_qubits))
        for layer in range(4):
            for qubit in range(num_qubits):
                last = num_qubits if qubit < num_qubits - 4 else num_qubits - 4
                circuit.mcx(list(range(last - 4, last)), qubit)
            circuit.mcp(0.2 + layer, list(range(1, num_qubits)), 0)
    elif name == "HEA":
        circuit = efficient_su2(num_qubits, reps=6, entanglement="linear")
        circuit = circuit.assign_parameters(rng.uniform(0, 2 * np.pi, circuit.num_parameters))
    elif name == "brickwork":
        for layer in range(12):
            for qubit in range(num_qubits):
                circuit.u(*rng.uniform(0, 6, 3).tolist(), qubit)
            for qubit in range(layer % 2, num_qubits - 1, 2):
                circuit.cz(qubit, qubit + 1)
    else:
        circuit.h(range(num_qubits))
        for gamma, beta in rng.uniform(0, 2, size=(4, 2)):
            for a, b in _cubic_graph(num_qubits):
                circuit.rzz(gamma, a, b)
            circuit.rx(beta, range(num_qubits))
    circuit.measure_all()
    return circuit


def _cubic_graph(num_qubits: int) -> list[tuple[int, int]]:
    """Edges of a random graph with three at every vertex: a cycle, and pairs that are no neighbors on it."""
    rng = np.random.default_rng(11)
    cycle = rng.permutation(num_qubits).tolist()
    edges = [(cycle[k], cycle[(k + 1) % num_qubits]) for k in range(num_qubits)]
    taken = {frozenset(edge) for edge in edges}
    while True:
        mates = rng.permutation(num_qubits).reshape(-1, 2).tolist()
        if not any(frozenset(pair) in taken for pair in mates):
            return edges + [tuple(pair) for pair in mates]


def _gates(name: str, num_qubits: int) -> int:
    return sum(1 for step in family(name, num_qubits).data if len(step.qubits) == 2)


def _child(options: argparse.Namespace) -> None:
    """Runs one circuit, and prints what it took."""
    from qrex.circuits import Circuit
    from qrex.engines import Allotment, Job
    from qrex.engines.statevector import StateVectorEngine

    circuit = Circuit("benchmark", options.child, "<python>", "Qiskit", family(options.child, options.qubits))
    _ = circuit.program
    constants = json.loads(options.constants)
    threads = len(os.sched_getaffinity(0))
    allotment = Allotment(
        threads, options.memory - _PROCESS, options.scratch, options.disk, codec=options.codec,
        disk_bytes_per_second=options.copied,
    )  # fmt: skip
    began = time.perf_counter()
    counts = StateVectorEngine(constants).run(Job(circuit, _SHOTS, 1), allotment, lambda fraction: None)
    seconds = time.perf_counter() - began
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    peak = most_resident()
    print(json.dumps({
        "seconds": seconds, "peak_bytes": peak, "system_read_bytes": int(counted["read_bytes"]),
        "system_written_bytes": int(counted["write_bytes"]), **counts.metadata, **counts.metadata.get("tiers", {}),
    }))  # fmt: skip


def most_resident() -> int:
    """Bytes. Not what getrusage says: a process started by a large one has its size in that."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


def _run(
    name: str, qubits: int, memory: int, common: Sequence[str], codec: str = "float32"
) -> dict[str, Any]:
    command = [
        sys.executable, __file__, "--child", name, "--qubits", str(qubits), "--memory", str(memory), "--codec", codec,
        *common,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} on {qubits} qubits failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name} {qubits} qubits in {memory / 1e9:.1f} GB, {codec}: {found['seconds']:.1f} s, "
        f"{found.get('stages', 1)} stages, peak {found['peak_bytes'] / 1e9:.2f} GB, "
        f"disk {found.get('read_bytes', 0) / 1e9:.1f} GB read, {found.get('written_bytes', 0) / 1e9:.1f} GB written",
        file=sys.stderr,
    )
    return found


def _plain_disk_copy(folder: str) -> float:
    """Bytes read plus written per second, one thread reading a file while another writes a second one."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        paths = [f"{place}/a", f"{place}/b"]
        files = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600) for path in paths]
        try:
            for file in files:
                os.posix_fallocate(file, 0, _COPIED)

            def sweep(file: int, *, write: bool) -> None:
                with mmap.mmap(-1, _REQUEST) as buffer, memoryview(buffer) as view:
                    if write:
                        buffer[:] = os.urandom(1 << 16) * (_REQUEST >> 16)
                    for at in range(0, _COPIED, _REQUEST):
                        if write:
                            os.pwrite(file, view, at)
                        else:
                            os.preadv(file, [view], at)

            sweep(files[0], write=True)
            rates = []
            for source, target in ((0, 1), (1, 0)):
                pair = [
                    threading.Thread(target=sweep, args=(files[source],), kwargs={"write": False}),
                    threading.Thread(target=sweep, args=(files[target],), kwargs={"write": True}),
                ]
                began = time.perf_counter()
                for member in pair:
                    member.start()
                for member in pair:
                    member.join()
                os.fdatasync(files[target])
                rates.append(2 * _COPIED / (time.perf_counter() - began))
            return max(rates)
        finally:
            for file in files:
                os.close(file)


def _memory_rates(threads: int) -> tuple[float, float]:
    """Bytes read plus written per second: a stage with one gate on a state of 27 qubits, and a plain copy as large."""
    from qrex import _kernels

    bits = 27
    re, im = _kernels.allocate_state(bits)
    re[:] = 2.0 ** (-bits / 2)
    im[:] = 0.0
    stage = _kernels.Stage(bits, [*range(6), *range(bits - 9, bits)])
    stage.one(bits - 1, np.array([[0, 1], [1, 0]], dtype=complex))
    half = len(re) // threads
    target = np.zeros_like(re)
    target[:] = 1.0

    def copy() -> None:
        team = [
            threading.Thread(target=np.copyto, args=(target[k * half : (k + 1) * half], re[k * half : (k + 1) * half]))
            for k in range(threads)
        ]
        for member in team:
            member.start()
        for member in team:
            member.join()

    def best(action: Any, moved: int) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            action()
            times.append(time.perf_counter() - began)
        return moved / min(times)

    return best(lambda: stage.run(re, im, threads), 16 << bits), best(copy, 8 << bits)


def _larger_than_memory(common: Sequence[str], copied: float) -> dict[str, Any]:
    zero_disk, limits = {}, {}
    for name in ("QFT", "HEA", "brickwork"):
        found = _run(name, _QUBITS, _MEMORY, common)
        zero_disk[name] = found
    for name in ("QV", "QAOA"):
        references = [_run(name, _REFERENCE_QUBITS, 2 * _MEMORY, common) for _ in range(_REPEATS)]
        reference = min(references, key=lambda one: one["seconds"])
        found = _run(name, _QUBITS, _MEMORY, common)
        gates = _gates(name, _QUBITS) / _gates(name, _REFERENCE_QUBITS)
        in_memory = reference["seconds"] * 2.0 ** (_QUBITS - _REFERENCE_QUBITS) * gates
        traffic = 2 * (found["stages"] - 2) * (8 << _QUBITS) / copied
        limits[name] = found | {
            "scaled_in_memory_seconds": in_memory, "traffic_seconds": traffic,
            "over_limit": found["seconds"] / max(in_memory, traffic),
        }  # fmt: skip
        print(f"{name}: {limits[name]['over_limit']:.2f} of max({in_memory:.1f} s, {traffic:.1f} s)", file=sys.stderr)
    return {"two_stage": zero_disk, "through_disk": limits}


def _disk_bound(common: Sequence[str], folder: str) -> dict[str, Any]:
    """A circuit bound by the disk, between plain copies: the rate of the stages that read and write, over the mean of
    the copy before and the one after; medians."""
    copies, rates, runs = [_plain_disk_copy(folder)], [], []
    for _ in range(_REPEATS):
        found = _run("walls", _QUBITS, _MEMORY, common)
        both = found["stage_seconds"][2:-1]  # the first makes the state in memory, the second only writes
        rates.append(2 * (8 << _QUBITS) * len(both) / sum(both))
        runs.append(found)
        copies.append(_plain_disk_copy(folder))
    ratios = [2 * rate / (before + after) for rate, before, after in zip(rates, copies, copies[1:], strict=False)]
    print(f"disk: {', '.join(f'{ratio:.2f}' for ratio in ratios)} of a plain copy", file=sys.stderr)
    return {
        "over_copy": statistics.median(ratios), "ratios": ratios, "bytes_per_second": rates, "plain_copies": copies,
        "runs": runs,
    }  # fmt: skip


def _storage(folder: str) -> dict[str, dict[str, dict[str, float]]]:
    """Figures of both series in the codecs that shrink them."""
    from qrex.execute.storing import branching_series, dense_series, effective_storage

    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, series in (("dense", dense_series), ("branching", branching_series)):
        found[name] = {}
        for codec in ("int16", "int8"):
            of = found[name][codec] = effective_storage(partial(series, _STORED_QUBITS), codec, folder)
            print(
                f"{name} series, {codec}: {of['effective_storage']:.2f} times the storage, "
                f"infidelity at most {of['infidelity']:.1e}",
                file=sys.stderr,
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", default=tempfile.gettempdir(), help="folder on the disk to be measured")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--qubits", type=int, default=_QUBITS, help=argparse.SUPPRESS)
    parser.add_argument("--memory", type=int, default=_MEMORY, help=argparse.SUPPRESS)
    parser.add_argument("--disk", type=int, default=_DISK, help=argparse.SUPPRESS)
    parser.add_argument("--codec", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--constants", default="{}", help=argparse.SUPPRESS)
    parser.add_argument("--copied", type=float, default=1e9, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options)
        return
    from qrex.engines.statevector import StateVectorEngine

    threads = len(os.sched_getaffinity(0))
    constants = StateVectorEngine.calibrate(threads)
    copied = _plain_disk_copy(options.scratch)
    print(f"plain copy on disk: {copied / 1e9:.2f} GB/s read + written", file=sys.stderr)
    tier, plain = _memory_rates(threads)
    common = ["--scratch", options.scratch, "--constants", json.dumps(constants), "--copied", str(copied)]
    large = _larger_than_memory(common, copied)
    bound = _disk_bound(common, options.scratch)
    small = int((8 << _QUBITS) / 10.2)
    effective = _run("QAOA", _QUBITS, small, common, "int16")
    storage = _storage(options.scratch)
    result = {
        "effective_memory": (8 << _QUBITS) / small,
        "effective_memory_infidelity": effective["infidelity"],
        "effective_memory_peak_bytes": effective["peak_bytes"],
        "disk_bytes_two_stage": max(
            found["read_bytes"] + found["written_bytes"] for found in large["two_stage"].values()
        ),
        "over_limit_max": max(found["over_limit"] for found in large["through_disk"].values()),
        "tier_over_copy": min(bound["over_copy"], tier / plain),
        "tier_over_copy_by_tier": {"disk": bound["over_copy"], "memory": tier / plain},
        "bytes_per_second": {
            "disk": bound["bytes_per_second"], "plain disk copy": bound["plain_copies"], "memory": tier,
            "plain memory copy": plain,
        },
        "effective_storage_dense": storage["dense"]["int16"]["effective_storage"],
        "effective_storage_branching": storage["branching"]["int16"]["effective_storage"],
        "storage": storage,
        "runs": large | {"disk_bound": bound, "effective_memory": effective},
        "threads": threads,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
