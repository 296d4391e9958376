"""The balancer's row, and everything gathered into one `Summary`.

In: stages, figures and rows of both sides. Out: `MechanismRow`, `Summary`.
"""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

from qrex import __version__
from qrex.expansion.coherence import coherence_section
from qrex.expansion.device import DeviceStage
from qrex.expansion.makespan import both_finished, compared_makespan, finished_seconds
from qrex.expansion.metrology import DeviceFigures
from qrex.expansion.session import Session
from qrex.expansion.simulation import SimulationStage
from qrex.expansion.tables import classical_table, implications_table, outlook_table, quantum_table
from qrex.platform import host_to_dict
from qrex.report import CircuitRow, MechanismRow, Summary, ThresholdRow
from qrex.units import format_bytes

__all__ = ["balancer_row", "summarize"]

_NOTES = (
    "A verdict of improved or worse needs 95 % intervals that do not overlap; anything else is no significant "
    "difference.",
    "Contributions of mechanisms are measured with that mechanism alone toggled; they do not add.",
    "Workload circuits run with the same shots and seeds before and after. Device figures after are a repeat with "
    "seeds of their own, so that an unchanged device shows its scatter.",
    "On the QPU both sides are scheduled as late as possible and padded with explicit delays: a simulated device "
    "charges idle noise only there.",
    "The founding text asks for 0.68 → 0.94 in coherence without a window; Q is asked here at τ_68, where this "
    "device's undecoupled median is 0.68, and at τ_w, where this workload idles.",
    "The founding text asks for an entanglement density of 3.84; here E is the hashing bound over usable links, and a "
    "fixed lattice bounds it by its links per qubit.",
    "Peak memory of a circuit is the growth of its worker's resident memory while it ran; it is not told where that is "
    "under a megabyte, since a warm worker reuses memory that it holds.",
    "The p-values of two-sample tests are not corrected for their number: of thirty circuits one below 0.03 is to be "
    "expected, and only one below 0.001 deserves a look.",
    "A memory budget covers all worker processes together, as resident memory: what runs are allotted, and some 250 MB "
    "that each process holds itself.",
    "CPU usage is shown beside the makespan, never alone: busy cores can be wasted ones.",
)


def balancer_row(
    baseline: SimulationStage,
    chosen: SimulationStage,
    together: SimulationStage,
) -> tuple[MechanismRow, SimulationStage]:
    """The row, and the stage that is kept: side by side only where that was faster and lost nothing."""
    engines = compared_makespan(
        "engine_choice", "Makespan with engines chosen", baseline, chosen,
        f"one at a time; finished {len(baseline.finished())} before, {len(chosen.finished())} after; toggled from "
        "the baseline",
    )  # fmt: skip
    packing = compared_makespan(
        "side_by_side", "Makespan with circuits side by side", chosen, together,
        "toggled from engines chosen, one at a time",
    )  # fmt: skip
    nothing_lost = len(together.finished()) >= len(chosen.finished())
    keep_together = nothing_lost and together.makespan_seconds < chosen.makespan_seconds
    kept = together if keep_together else chosen
    both = both_finished(baseline, kept)
    more = len(kept.finished()) - len(baseline.finished())
    # Where the baseline was stopped, its makespan is the time limit's.
    sooner = finished_seconds(kept, both) < finished_seconds(baseline, both)
    faster = more > 0 or (more == 0 and sooner)
    ran = Counter(payload["value"]["engine"] for payload in kept.payloads.values() if payload["value"])
    used = sorted(ran)
    reason = f"every circuit on the engine predicted to finish it first ({', '.join(used)})"
    reason += "; side by side within the memory budget" if keep_together else (
        "; side by side was measured and not kept: it was no faster"
    )
    if not faster:
        reason = "finished no more circuits than the baseline, and those that both finished no sooner"
    row = MechanismRow(
        "optimize_workload_balancer", "Engines chosen, circuits side by side",
        "applied" if faster else "measured, not applied", reason, (engines, packing), "as each contribution says",
        {
            "engines": {name: ran[name] for name in used},
            "decision_seconds": round(kept.decision_seconds, 3),
            "refused": len(kept.refused),
            "not_used": "no GPU engine in this version",
        },
    )  # fmt: skip
    return row, kept if faster else baseline


def summarize(
    session: Session,
    *,
    simulations: tuple[SimulationStage, SimulationStage],
    devices: tuple[DeviceStage | None, DeviceStage | None],
    figures: tuple[DeviceFigures | None, DeviceFigures | None],
    mechanisms: tuple[MechanismRow, ...],
    thresholds: tuple[ThresholdRow, ...],
    rows: tuple[CircuitRow, ...],
    command: str,
) -> Summary:
    """Pairs are (before, after)."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Summary(
        workload=session.workload.name,
        platform=session.platform.name,
        qpu=_qpu(session),
        host=host_to_dict(session.host),
        created_at=now,
        qrex_version=__version__,
        seed=session.settings.seed,
        classical=classical_table(session, *simulations, mechanisms),
        quantum=quantum_table(*figures, *devices),
        implications=implications_table(),
        outlook=outlook_table(),
        mechanisms=mechanisms,
        thresholds=thresholds,
        circuits=rows,
        unreadable={origin: str(error) for origin, error in session.workload.failures.items()},
        conditions=_conditions(session, figures[0], devices) | _disk_traffic(simulations),
        timings=dict(session.timings),
        notes=_NOTES + tuple(session.notes) + _unused_qpus(session),
        command=command,
        coherence=coherence_section(session, *figures, mechanisms),
    )


def _unused_qpus(session: Session) -> tuple[str, ...]:
    first, *others = session.platform.qpus or (None,)
    if not others:
        return ()
    names = ", ".join(qpu.name for qpu in others)
    return (f"Only the platform's first QPU, {first.name}, was used; left out: {names}.",)


def _qpu(session: Session) -> dict[str, Any]:
    qpu = session.qpu
    if qpu is None:
        return {}
    return {
        "name": qpu.name,
        "source": qpu.source,
        "qubits": qpu.num_qubits,
        "calibration_date": qpu.calibration_date,
        "calibration_id": qpu.calibration_id,
        "rep_delay_seconds": qpu.rep_delay_seconds,
        "noise": qpu.noise_description,
    }


def _disk_traffic(simulations: tuple[SimulationStage, SimulationStage]) -> dict[str, str]:
    """What the simulations read from and wrote to disks, as the operating system counted it."""
    return {
        f"disk traffic of simulations, {side}": f"{format_bytes(seen.read_bytes)} read, "
        f"{format_bytes(seen.written_bytes)} written"
        for side, stage in zip(("before", "after"), simulations, strict=True)
        if (seen := stage.utilization) is not None
    }


def _conditions(
    session: Session, before: DeviceFigures | None, devices: tuple[DeviceStage | None, DeviceStage | None]
) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "cores": session.cores,
        "memory budget": format_bytes(session.memory_bytes),
        "time limit per circuit": f"{session.settings.wall_seconds:g} s",
        "cost constants measured at": session.constants.measured_at,
        "engines with cost constants": list(session.constants.engines),
        "host probed at": session.host.probed_at,
    }
    if before is not None:
        conditions |= before.conditions
    for side, stage in zip(("before", "after"), devices, strict=True):
        if stage is not None:
            conditions[f"host seconds to simulate the QPU's workload, {side}"] = round(stage.host_seconds(), 2)
            conditions[f"QPU seconds of the workload, {side}"] = round(stage.device_seconds(), 3)
    return conditions
