"""A made-up summary for the tests of this room: no figure in it was ever measured."""

from __future__ import annotations

from dataclasses import replace

from qrex.evidence import Comparison, Measurement
from qrex.report import (
    CircuitRow,
    CoherenceSection,
    DeviceLink,
    MechanismRow,
    QubitCoherence,
    Side,
    Summary,
    ThresholdRow,
    WindowPoint,
)

HOSTILE = [
    '<script>alert("x")</script>.qasm',
    "a|b\\c`d`*e*_f_.qasm",
    "](https://evil.example/) [x](javascript:1)",
    '=HYPERLINK("x")',
    "line\nbreak\r\u202egnp.qasm",
    "$\\frac{1}{0}$ {{ 7*7 }} {% raw %} [bold red]x[/]",
    "very_" + "long_" * 60 + "name.qasm",
]


def m(value, spread, unit="", n=1000, source="host", method="made up for a test", **detail):
    return Measurement(value, value - spread, value + spread, unit, n, 7, method, source, detail)


def pair(key, title, before, after, better, definition, note="", claim=""):
    return Comparison(key, title, before, after, better, definition, note, claim)


CLASSICAL = (
    pair(
        "memory",
        "Effective memory",
        m(4e9, 0, "B", 1),
        m(8.59e9, 0, "B", 1),
        "higher",
        "effective-memory",
        "largest state in the RAM given",
        "32 GB → 320 GB",
    ),
    pair(
        "storage",
        "Effective storage",
        None,
        None,
        "higher",
        "effective-storage",
        "snapshots are not built yet",
        "500 GB → 5000 GB",
    ),
    pair(
        "cpu_usage",
        "CPU usage",
        m(0.523, 0.031, n=310),
        m(0.913, 0.022, n=140),
        "higher",
        "cpu-and-gpu-usage",
        "of 2 cores",
        "65 % → 78 %",
    ),
    pair("gpu_usage", "GPU usage", None, None, "higher", "cpu-and-gpu-usage", "this host has no GPU", "72 % → 89 %"),
    pair(
        "makespan",
        "Makespan, simulated part",
        m(62.3, 1.4, "s", 5),
        m(27.9, 0.9, "s", 5),
        "lower",
        "cpu-and-gpu-usage",
    ),
    pair(
        "peak_memory",
        "Peak memory",
        m(2.1e9, 2e7, "B", 300),
        m(3.4e9, 4e7, "B", 140),
        "lower",
        "cpu-and-gpu-usage",
        "more circuits at once need more",
    ),
)
QUANTUM = (
    pair(
        "coherence_w",
        "Coherence Q(τ_w = 1.2 µs)",
        m(0.9781, 0.004, n=96000, source="simulated"),
        m(0.9789, 0.004, n=96000, source="simulated"),
        "higher",
        "q-quantum-coherence",
    ),
    pair(
        "coherence",
        "Coherence Q(τ_68 = 38 µs)",
        m(0.684, 0.013, n=96000, source="simulated"),
        m(0.679, 0.013, n=96000, source="simulated"),
        "higher",
        "q-quantum-coherence",
        "",
        "0.68 → 0.94",
    ),
    pair(
        "entanglement",
        "Entanglement density E",
        m(0.812, 0.021, "ebits/qubit", 64000, "simulated"),
        m(0.83, 0.021, "ebits/qubit", 64000, "simulated"),
        "higher",
        "e-entanglement-density",
        "",
        "1.2 → 3.84",
    ),
    pair(
        "links",
        "Links per qubit",
        m(1.0, 0, "links/qubit", 16, "model"),
        m(1.0, 0, "links/qubit", 16, "model"),
        "higher",
        "e-entanglement-density",
    ),
    pair(
        "fidelity",
        "Median circuit fidelity",
        m(0.741, 0.008, n=9000, source="simulated"),
        m(0.836, 0.007, n=9000, source="simulated"),
        "higher",
        "fidelity-of-a-run",
    ),
)
IMPLICATIONS = (
    pair(
        "simultaneous",
        "Simultaneous circuits",
        m(0.41, 0.01, "circuits/s", 24),
        m(0.92, 0.03, "circuits/s", 24),
        "higher",
        "simultaneous-circuits",
        "",
        "4x",
    ),
    pair(
        "throughput",
        "Data throughput, RAM",
        m(9.1e9, 2e8, "B/s", 7),
        m(9.2e9, 2e8, "B/s", 7),
        "higher",
        "data-throughput",
        "",
        "40 GT/s",
    ),
)
OUTLOOK = (
    pair(
        "volume",
        "Quantum volume, log₂",
        m(4, 0, "", 100, "simulated"),
        None,
        "higher",
        "quantum-volume",
        "after: the time ran out",
        "2⁶ → 2⁸",
    ),
    pair(
        "runtime",
        "VQE device time",
        m(812, 3, "s", 40, "model"),
        m(815, 3, "s", 40, "model"),
        "lower",
        "vqe-and-hhl-runtime",
        "",
        "40–60 % less",
    ),
    pair(
        "overhead", "Compile time", m(1.1, 0.05, "s", 20), m(1.9, 0.06, "s", 20), "lower", "logical-overhead"
    ),
)


def side(index, engine, seconds, fidelity=None, simulated=False):
    if index % 13 == 5:
        return Side("unsupported", engine, "needs 68.7 GB; 4.0 GB given; try the stabilizer engine")
    if index % 17 == 9:
        return Side("failed", engine, "the engine was killed at its memory limit", seconds=seconds)
    fid = m(fidelity, 0.01, n=1000, source="simulated", method="Hellinger") if fidelity else None
    return Side(
        "ran",
        engine,
        "finishes soonest of 4 engines that can run it",
        seconds=seconds,
        predicted_seconds=seconds * 1.2,
        peak_bytes=int(seconds * 2e8),
        predicted_bytes=int(seconds * 2.1e8),
        device_seconds=0.2507 if simulated else None,
        fidelity=fid,
        fidelity_kind="Hellinger" if fid else "",
        perfect_sampler=0.985 if fid else None,
    )


def circuits(count=40):
    names = [*HOSTILE, *(f"{kind}_{n}" for n in (3, 5, 8, 12, 16, 27, 127)
                         for kind in ("ghz", "qft", "qaoa", "vqe_su2", "grover"))]  # fmt: skip
    rows = []
    for index in range(count):
        qpu = index % 2 == 1
        before = side(
            index, "fake_guadalupe" if qpu else "Aer automatic", 0.3 + index, 0.7 if qpu else None, qpu
        )
        after = side(
            index if index % 2 else index + 1,
            "fake_guadalupe" if qpu else "stim",
            0.1 + index / 3,
            0.8 if qpu else None,
            qpu,
        )
        rows.append(
            CircuitRow(
                names[index],
                f"{index:012x}",
                3 + index,
                2 * index,
                10 + index,
                "qpu" if qpu else "simulate",
                1000,
                before,
                after,
            )
        )
    return tuple(rows)


MECHANISMS = (
    MechanismRow(
        "apply_dynamical_decoupling",
        "Dynamical decoupling",
        "measured, not applied",
        "decoupling measures worse on noise without memory",
        (
            pair(
                "dd_fidelity",
                "Median circuit fidelity",
                m(0.741, 0.008, source="simulated"),
                m(0.702, 0.008, source="simulated"),
                "higher",
                "fidelity-of-a-run",
            ),
        ),
        "the baseline",
        {"sequence": "XY4", "pulses": 120},
    ),
    MechanismRow(
        "reconfigure_trap_layout",
        "Layout",
        "applied",
        "fixed lattice: chose the best sub-lattice instead",
        (
            pair(
                "layout_fidelity",
                "Median circuit fidelity",
                m(0.741, 0.008, source="simulated"),
                m(0.829, 0.007, source="simulated"),
                "higher",
                "fidelity-of-a-run",
            ),
        ),
        "the baseline",
        {"candidates": 40},
    ),
    MechanismRow("calibrate_error_correction", "Error correction", "not applied", "not built yet"),
    MechanismRow("activate_memory_banks", "Memory tiers", "not applied", "not built yet"),
    MechanismRow("allocate_storage", "Storage blocks", "not applied", "not built yet"),
    MechanismRow(
        "optimize_workload_balancer",
        "Balancing",
        "applied",
        "each circuit on the engine that finishes it soonest",
        (
            pair(
                "balance_makespan",
                "Makespan",
                m(62.3, 1.4, "s", 5),
                m(28.4, 0.9, "s", 5),
                "lower",
                "cpu-and-gpu-usage",
            ),
        ),
        "the baseline",
    ),
    MechanismRow(
        "run_quantum_benchmark", "Benchmark", "applied", "Clifford randomized benchmarking, 1 and 2 qubits"
    ),
)
THRESHOLDS = (
    ThresholdRow(
        "validate_coherence_threshold(0.9)",
        "Coherence Q(τ_68)",
        0.9,
        QUANTUM[1].after,
        False,
        False,
        "the ceiling set by T1 and T2 is 0.71",
    ),
    ThresholdRow(
        "verify_entanglement_fidelity(3.8)",
        "Entanglement density E",
        3.8,
        QUANTUM[2].after,
        False,
        False,
        "this device has 1.0 links per qubit: 3.8 cannot exist on it",
    ),
    ThresholdRow("validate_coherence_threshold(0.5)", "Coherence Q(τ_w)", 0.5, QUANTUM[0].after, True, True),
    ThresholdRow("validate_coherence_threshold(0.5)", "Never measured", 0.5, None, False, False, "no QPU"),
)


def made_up_coherence(num_qubits=5, links=None, kept=True, zz=True) -> CoherenceSection:
    """A section for a chain, or for the device with `links`; `kept` says whether decoupling was."""
    links = links or [(q, q + 1) for q in range(num_qubits - 1)]

    def about(value, spread=0.02):
        return (value, value - spread, value + spread)

    def q(value):
        return m(value, 0.013, n=96000, source="simulated")

    rows = []
    for qubit in range(num_qubits):
        before, after = 0.4 + 0.45 * (qubit * 7 % 11) / 10, 0.85 + 0.1 * (qubit * 5 % 7) / 7
        plan = ("XpXm", 2, 0.21, 0.004, f"XpXm, even: against ZZ with {qubit - 1}") if qubit % 4 else (
            "none", 0, 1e-4, 1e-4, "none: pulses would cost more than the 1.0e-04 that idling does")  # fmt: skip
        rows.append(
            QubitCoherence(
                qubit, about(before), about(after) if kept else None, about(0.98, 0.004),
                about(0.985, 0.004) if kept else None, 120e-6, 150e-6, 0.96, *(plan if kept else ()),
            )
        )  # fmt: skip
    shares = [6 ** (k / 3) for k in range(-3, 4)]
    curve = [
        WindowPoint(8e-6 * x, q(0.02 + 0.96 / (1 + 0.47 * x**1.5)), q(0.98 / (1 + 0.07 * x)) if kept else None)
        for x in shares
    ]
    reason = "" if kept else "decoupling was tried and not kept, since no circuit's pilot shots were better with it"
    note = "" if kept else "windows are idle after, too"
    figures = (
        pair("coherence_68", "Q(τ_68 = 8 µs), median", q(0.68), q(0.91) if kept else None, "higher",
             "q-quantum-coherence", note),
        pair("coherence_window", "Longest window with median Q of 0.9", m(2.9e-6, 2e-7, "s", source="simulated"),
             m(9.1e-6, 5e-7, "s", source="simulated") if kept else None, "higher", "q-quantum-coherence", note),
    )  # fmt: skip
    return CoherenceSection(
        8e-6, 1.2e-6, "zz-aware" if kept else None, reason, num_qubits,
        tuple(DeviceLink(a, b, 2e4 + 1e4 * ((a * b) % 7) if zz else None) for a, b in links), tuple(rows), tuple(curve),
        figures, 0.9, m(0.82, 0.05, source="simulated") if kept else None, "",
        m(3.14, 0.2, source="simulated") if kept else None,
    )  # fmt: skip


def made_up_summary(**changes) -> Summary:
    summary = Summary(
        workload="examples/workload",
        platform="default",
        qpu={"name": "fake_guadalupe", "source": "simulated", "qubits": 16, "calibration_date": "2021-03-15"},
        host={"cpu_model": "Made-up CPU", "cores": 2, "memory_bytes": 25_000_000_000},
        created_at="2025-07-23T00:39:21+00:00",
        qrex_version="0.1.0",
        seed=7,
        classical=CLASSICAL,
        quantum=QUANTUM,
        implications=IMPLICATIONS,
        outlook=OUTLOOK,
        mechanisms=MECHANISMS,
        thresholds=THRESHOLDS,
        circuits=circuits(),
        unreadable={"bad<b>.qasm": "bad<b>.qasm:3:7: unknown gate 'foo|bar'", "empty.qasm": "is empty"},
        conditions={
            "tau_w_ns": 1200.0,
            "tau_68_ns": 38000.0,
            "context": "neighbours in |+⟩",
            "shots": 1000,
            "layout": {"candidates": 40, "scored_by": "predicted success"},
        },
        timings={"Baseline: simulate": 62.3, "Baseline: QPU": 18.2, "After: simulate": 27.9},
        notes=(
            "E uses two-qubit randomized benchmarking; the founding text's 3.84 counts links.",
            "Storage tiers are not built: no figure is given.",
        ),
        command="qrex expand examples/workload --platform default --out out",
        coherence=made_up_coherence(),
    )
    return replace(summary, **changes)
