"""Write `examples/workload`: real circuits of MQT Bench as OpenQASM 2 and 3 files.

In: MQT Bench (`pip install mqt.bench`). Out: one file per row of `ROWS`, the same text every time. Circuits
are written at MQT Bench's algorithm level with their gates decomposed to names that both languages know (some
of its high-level gates export to neither), and with terminal measurements. `workload.toml` and `ORIGIN.md`
beside the circuits are written by hand.

    python examples/export_workload.py [FOLDER]
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from mqt.bench import BenchmarkLevel, get_benchmark
from qiskit import QuantumCircuit, qasm2, qasm3, transpile

__all__ = ["ROWS", "Row", "build", "main"]

GATES = [
    *("h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "p", "rx", "ry", "rz", "u"),
    *("cx", "cy", "cz", "cp", "crx", "cry", "crz", "swap", "ccx", "cswap", "rxx", "rzz"),
]


class Row(NamedTuple):
    """One circuit: its file's stem, MQT Bench's benchmark and size, the language, and the benchmark's options."""

    stem: str
    benchmark: str
    qubits: int
    language: int  # 2 or 3
    options: tuple[tuple[str, int], ...] = ()


ROWS = [
    # Fit a 16-qubit device.
    Row("random_03", "randomcircuit", 3, 2),
    Row("grover_04", "grover", 4, 2),
    Row("hhl_05", "hhl", 5, 3),
    Row("wstate_05", "wstate", 5, 2),
    Row("ae_05", "ae", 5, 3),
    Row("qft_06", "qft", 6, 2),
    Row("qpe_exact_06", "qpeexact", 6, 2),
    Row("vqe_two_local_06", "vqe_two_local", 6, 2, (("reps", 2),)),
    Row("qpe_inexact_07", "qpeinexact", 7, 3),
    Row("qaoa_08", "qaoa", 8, 3, (("repetitions", 1),)),
    Row("vqe_real_amp_09", "vqe_real_amp", 9, 2),
    Row("ghz_13", "ghz", 13, 3),
    Row("bv_14", "bv", 14, 2),
    # Measure, decide and go on.
    Row("dynamic_qft_08", "dynamic_qft", 8, 3),
    Row("dynamic_ghz_20", "ghz_dynamic", 20, 3),
    # Need a state vector in earnest.
    Row("shor_18", "shor", 18, 2),
    Row("random_22", "randomcircuit", 22, 3),
    Row("ae_23", "ae", 23, 2),
    Row("vqe_su2_24", "vqe_su2", 24, 3),
    Row("qaoa_24", "qaoa", 24, 2, (("repetitions", 1),)),
    Row("qpe_inexact_23", "qpeinexact", 23, 3),
    # Slow or impossible as a state vector, easy for whoever sees their structure.
    Row("adder_24", "cdkm_ripple_carry_adder", 24, 2),
    Row("wstate_24", "wstate", 24, 2),
    Row("qft_32", "qft", 32, 3),
    Row("wstate_40", "wstate", 40, 3),
    Row("adder_64", "cdkm_ripple_carry_adder", 64, 2),
    Row("bv_100", "bv", 100, 2),
    Row("graphstate_100", "graphstate", 100, 3, (("seed", 7),)),
    Row("ghz_127", "ghz", 127, 2),
]


def build(row: Row) -> QuantumCircuit:
    """The circuit of one row, in gates of `GATES`, measured at its end."""
    circuit = get_benchmark(row.benchmark, BenchmarkLevel.ALG, circuit_size=row.qubits, **dict(row.options))
    if not circuit.num_clbits:
        circuit.measure_all()
    return transpile(circuit, basis_gates=GATES, optimization_level=0, seed_transpiler=0)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        circuit = build(row)
        dumps, suffix = (qasm2.dumps, ".qasm") if row.language == 2 else (qasm3.dumps, ".qasm3")
        head = f"// {row.benchmark}, {row.qubits} qubits, from MQT Bench {version('mqt.bench')} (MIT licence)\n"
        (folder / (row.stem + suffix)).write_text(head + dumps(circuit) + "\n", encoding="utf-8")
        print(f"{row.stem}{suffix}: {circuit.num_qubits} qubits, {circuit.size()} operations")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "workload")
