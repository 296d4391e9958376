"""The tables of the report: classical and quantum figures before and after, and what is not measured yet.

In: the stages and figures of both sides. Out: `Comparison`s in the order of the founding text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qrex.evidence import Comparison, Measurement
from qrex.expansion.device import DeviceStage
from qrex.expansion.makespan import makespan_rows
from qrex.expansion.mechanisms import fidelity_comparisons
from qrex.expansion.metrology import DeviceFigures
from qrex.expansion.session import Session
from qrex.expansion.simulation import SimulationStage
from qrex.measure.coherence_result import WindowCoherence, closure
from qrex.report import MechanismRow

__all__ = ["classical_table", "implications_table", "outlook_table", "quantum_table"]

_FEWEST_READINGS = 3  # begin, end and one between: usage is defined as sampled
_FEWEST_SAMPLES = 6  # of memory, where samples are all there is
_USAGE, _MEMORY, _STORAGE = "cpu-and-gpu-usage", "effective-memory", "effective-storage"
_Q, _E = "q-quantum-coherence", "e-entanglement-density"


def classical_table(
    session: Session, before: SimulationStage, after: SimulationStage, mechanisms: Sequence[MechanismRow]
) -> tuple[Comparison, ...]:
    measured = {one.key: one for row in mechanisms for one in row.contributions}
    memory, storage = measured.get("effective_memory"), measured.get("effective_storage_dense")
    gpu = "no figure: the engines of this version do not use a GPU" if session.host.gpus else "this host has no GPU"
    return (
        Comparison("memory", "Effective memory", memory and memory.before, memory and memory.after, "higher",
                   _MEMORY,
                   memory.note if memory else "not measured in this job", "32 GB → 320 GB"),
        Comparison("storage", "Effective storage", storage and storage.before, storage and storage.after, "higher",
                   _STORAGE, f"a dense series; {storage.note}" if storage else "not measured in this job",
                   "500 GB → 5000 GB"),
        Comparison("cpu_usage", "CPU usage", _usage(before), _usage(after), "neither", _USAGE,
                   f"simulated part while it ran, of {session.cores} cores{_machine(before, after)}; read it beside "
                   f"the makespan: usage alone rewards waste{_why(_usage_refused, before, after)}",
                   "65 % → 78 %"),
        Comparison("gpu_usage", "GPU usage", None, None, "neither", _USAGE, gpu, "72 % → 89 %"),
        *makespan_rows(before, after, _others(before, after)),
        Comparison("peak_memory", "Peak memory of simulations", _peak_memory(before),
                   _peak_memory(after), "neither", _USAGE,
                   f"resident, all processes together{_why(_memory_refused, before, after)}"),
    )  # fmt: skip


def _usage_refused(stage: SimulationStage) -> str:
    """Why no usage is told of this pass; "" where it is."""
    return _unwatched(stage, _FEWEST_READINGS)


def _memory_refused(stage: SimulationStage) -> str:
    seen = stage.utilization
    return _unwatched(stage, _FEWEST_SAMPLES if seen is not None and seen.peak_is_sampled else 0)


def _unwatched(stage: SimulationStage, fewest: int) -> str:
    seen = stage.utilization
    if seen is None:
        return "part of that pass was finished in an earlier run" if stage.payloads else "no circuit ran"
    count = len(seen.samples)
    return "" if count >= fewest else f"that pass was over after {count} readings, {fewest} are asked"


def _usage(stage: SimulationStage) -> Measurement | None:
    return stage.utilization.busy if stage.utilization and not _usage_refused(stage) else None


def _peak_memory(stage: SimulationStage) -> Measurement | None:
    return stage.utilization.peak_memory if stage.utilization and not _memory_refused(stage) else None


def _why(refused: Callable[[SimulationStage], str], before: SimulationStage, after: SimulationStage) -> str:
    sides = (("before", before), ("after", after))
    return "".join(f"; no figure {side}: {why}" for side, stage in sides if (why := refused(stage)))


def _machine(before: SimulationStage, after: SimulationStage) -> str:
    if before.utilization is None or after.utilization is None:
        return ""
    shares = [stage.utilization.machine_busy.value for stage in (before, after)]
    return f"; the whole machine was {shares[0]:.0%} busy before, {shares[1]:.0%} after"


_OTHERS_LOAD = 0.15


def _others(before: SimulationStage, after: SimulationStage) -> str:
    """A warning where other work kept the machine busy: the makespans then say less."""
    for stage in (before, after):
        used = stage.utilization
        if used is not None and used.machine_busy.value - used.busy.value > _OTHERS_LOAD:
            return "; other work kept the machine busy meanwhile: repeat this on a quiet one"
    return ""


def quantum_table(
    before: DeviceFigures | None,
    after: DeviceFigures | None,
    workload_before: DeviceStage | None,
    workload_after: DeviceStage | None,
) -> tuple[Comparison, ...]:
    if before is None:
        note = "this platform has no QPU"
        return (
            Comparison("coherence", "Coherence Q(τ_68)", None, None, "higher", _Q, note, "0.68 → 0.94"),
            Comparison("entanglement", "Entanglement density E", None, None, "higher", _E, note, "1.2 → 3.84"),
        )
    after = after or before
    rows = []
    if before.q_68 is not None:
        rows.append(
            Comparison("coherence", f"Coherence Q(τ_68 = {_us(before.window_68_seconds)})", before.q_68, after.q_68,
                       "higher", _Q, "the window where this device's undecoupled median Q is 0.68; neighbors in |+⟩; "
                       + _beside(before.windows["68"], after.windows["68"], before.q_68.seed), "0.68 → 0.94")
        )  # fmt: skip
    if before.q_workload is not None:
        rows.append(
            Comparison("coherence_workload", f"Coherence Q(τ_w = {_us(before.window_workload_seconds)})",
                       before.q_workload, after.q_workload, "higher", _Q,
                       "the window that this workload idles for; neighbors in |+⟩; "
                       + _beside(before.windows["workload"], after.windows["workload"], before.q_workload.seed)),
        )  # fmt: skip
    rows += [
        Comparison("entanglement", "Entanglement density E", _of(before, "density"), _of(after, "density"),
                   "higher", _E, _links_note(before), "1.2 → 3.84"),
        *_workload_fidelity(workload_before, workload_after),
        Comparison("rb_one_qubit", "Error per one-qubit Clifford", before.rb_one, after.rb_one, "lower", _E),
        Comparison("rb_two_qubit", "Error per two-qubit Clifford", before.rb_two, after.rb_two, "lower", _E),
        Comparison("process_fidelity", f"Process fidelity of {before.tomography_of}", before.tomography,
                   after.tomography, "higher", _Q, "one-qubit process tomography, median over qubits"),
        Comparison("bell_witness", "Bell witness, median over links", before.bell, after.bell, "higher", _E,
                   "state preparation and readout included"),
    ]  # fmt: skip
    rows += [
        Comparison(f"entanglement_{key}", title, _of(before, name), _of(after, name), "higher", _E, note)
        for key, name, title, note in (
            ("simultaneous", "simultaneous", "E_sim, links that may fire at once", ""),
            ("weighted", "fidelity_weighted", "E_F, fidelity-weighted links",
             "for comparison only: a separable pair would score 0.5"),
            ("rate", "rate", "E_rate over a schedule of all links", ""),
            ("connectivity", "connectivity", "λ₂ of the ebit-weighted Laplacian", ""),
            ("min_cut", "min_cut", "Minimum cut of the link graph", ""),
        )
    ]  # fmt: skip
    return tuple(rows)


def _workload_fidelity(before: DeviceStage | None, after: DeviceStage | None) -> tuple[Comparison, ...]:
    if before is None or after is None:
        return (Comparison("workload_fidelity", "Mean fidelity on the QPU", None, None, "higher", "fidelity-of-a-run",
                           "no circuit of the workload runs on the QPU"),)  # fmt: skip
    return fidelity_comparisons("workload_fidelity", before, after, before.circuits)


def _of(figures: DeviceFigures, name: str) -> Measurement | None:
    return getattr(figures.entanglement, name) if figures.entanglement else None


def _links_note(figures: DeviceFigures) -> str:
    if figures.entanglement is None:
        return "no two qubits of this device are coupled"
    links = figures.entanglement.links_per_qubit
    return f"all links of the device, {links:.2f} per qubit; after: a held-out repeat with other seeds"


def _beside(before: WindowCoherence, after: WindowCoherence, seed: int | None) -> str:
    """What must stand beside Q: 10th percentile, best virtual Z, ceiling, closure."""
    parts = [f"10th percentile {before.tenth_percentile.value:.3f} before, {after.tenth_percentile.value:.3f} after"]
    if before.virtual_z is not None and after.virtual_z is not None:
        parts.append(f"with the best virtual Z {before.virtual_z.value:.3f}, {after.virtual_z.value:.3f}")
    if before.ceiling_median is not None:
        parts.append(f"T1 and T2 alone would allow {before.ceiling_median:.3f}")
        closed = closure(before, after, seed=seed or 0, source=before.median.source)
        if closed is None:
            parts.append("closure is not asked: less than 0.05 lies between Q before and that ceiling")
        else:
            parts.append(f"closure {closed.value:.2f} [{closed.low:.2f}, {closed.high:.2f}]")
    return "; ".join(parts)


def implications_table() -> tuple[Comparison, ...]:
    return (
        Comparison("simultaneous_circuits", "Simultaneous circuits on one QPU", None, None, "higher",
                   "simultaneous-circuits", "packing circuits on a QPU is not built yet", "4x"),
        Comparison("logical_overhead", "Physical qubits per logical qubit", None, None, "lower",
                   "logical-overhead", "error correction is not built yet", "50 % fewer"),
        Comparison("throughput", "State bytes moved over a plain copy", None, None, "higher", "data-throughput",
                   "the tiered engine is not built yet", "40 GT/s"),
    )  # fmt: skip


def outlook_table() -> tuple[Comparison, ...]:
    return (
        Comparison("quantum_volume", "Quantum volume", None, None, "higher", "quantum-volume",
                   "not measured by this version", "2⁶ → 2⁸"),
        Comparison("variational_runtime", "VQE and HHL QPU time", None, None, "lower", "vqe-and-hhl-runtime",
                   "shot allocation is not built yet", "−40…60 %"),
        Comparison("fault_tolerance", "Logical qubit overhead", None, None, "lower", "logical-overhead",
                   "error correction is not built yet", "−35 %"),
        Comparison("io_throughput", "Quantum-classical input and output", None, None, "higher", "data-throughput",
                   "the tiered engine is not built yet", "28 GB/s"),
    )  # fmt: skip


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs"
