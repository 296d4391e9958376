"""Rows of the report: one per circuit and target, before and after.

In: the stages of both sides. Out: `CircuitRow`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qrex.circuits import Circuit
from qrex.evidence import Measurement
from qrex.execute import Task
from qrex.execute.jobs import COMPILERS
from qrex.execute.judging import JudgeRequest, judge_simulation
from qrex.expansion.device import DeviceStage
from qrex.expansion.session import Session
from qrex.expansion.simulation import BASELINE_ENGINE, SimulationStage
from qrex.measure.fidelity import perfect_of_kind
from qrex.profile import Profile
from qrex.report import CircuitRow, Side

__all__ = ["device_rows", "judge", "simulation_rows"]


def judge(session: Session, before: SimulationStage, after: SimulationStage) -> dict[str, dict[str, Any]]:
    """Judgement by circuit id; untimed, side by side."""
    units = []
    for circuit in {c.id: c for c in before.circuits}.values():
        counts = before.counts(circuit), after.counts(circuit)
        value = (after.payloads.get(circuit.id) or {}).get("value") or {}
        request = JudgeRequest(
            circuit,
            *counts,
            value.get("probabilities", {}),
            value.get("metadata", {}).get("collision_probability"),
            session.seed_for("judge", circuit.id),
        )
        parts = {"circuit": circuit.id, "counts": counts, "seed": request.seed, "known": len(request.probabilities)}
        task = Task(circuit.id, judge_simulation, (request,), warm_up=COMPILERS)
        units.append(session.unit("judgement", parts, task))
    payloads = session.run_units("Compare the answers", units, 2.0, {c.id: c.name for c in before.circuits})
    return {name: payload["value"] or {"before": None, "after": None, "agreement": None}
            for name, payload in payloads.items()}  # fmt: skip


def simulation_rows(
    before: SimulationStage,
    after: SimulationStage,
    judgements: Mapping[str, Mapping[str, Any]],
    profiles: Mapping[str, Profile],
    shots: Mapping[str, int],
    off_device: Mapping[str, str],
) -> tuple[CircuitRow, ...]:
    """`off_device`: why a circuit that might have run on the QPU as well does not, by circuit id."""
    return tuple(
        CircuitRow(
            circuit.name,
            circuit.id,
            circuit.num_qubits,
            profiles[circuit.id].two_qubit_gates,
            profiles[circuit.id].depth,
            "simulate",
            shots[circuit.id],
            *(
                _with_reason(_simulated_side(circuit, stage, side, judgements[circuit.id]), off_device.get(circuit.id))
                for stage, side in ((before, "before"), (after, "after"))
            ),
        )
        for circuit in before.circuits
    )


def _with_reason(side: Side, off_device: str | None) -> Side:
    return replace(side, why=f"{side.why}; not on the QPU: {off_device}") if off_device else side


_LEAST_TOLD_BYTES = 1_000_000


def _told(peak_bytes: int) -> int | None:
    """A warm worker reuses memory that it holds: growth below a megabyte says nothing of what a run needed."""
    return peak_bytes if peak_bytes >= _LEAST_TOLD_BYTES else None


_DOES_NOT_FIT = ("InfeasibleError", "MemoryLimitError")


def _simulated_side(
    circuit: Circuit, stage: SimulationStage, side: str, judgement: Mapping[str, Any]
) -> Side:
    if circuit.id in stage.refused:
        return Side("unsupported", "no engine", stage.refused[circuit.id])
    payload, chosen = stage.payloads[circuit.id], stage.routes.get(circuit.id)
    value = payload["value"]
    engine = value["engine"] if value else chosen.engine if chosen else BASELINE_ENGINE
    if value is None:
        outcome = "unsupported" if payload["error_type"] in _DOES_NOT_FIT else "failed"
        return Side(outcome, engine, payload["error"], seconds=payload["seconds"])
    judged = judgement[side]
    why = chosen.reason if chosen else "what a plain user gets: Aer's automatic method, one circuit at a time"
    if value["note"]:
        why += f"; {value['note']}"
    if judgement["agreement"] is not None:
        why += f"; two-sample test of both sides' counts: p = {judgement['agreement']:.2g}"
    if judged is None and chosen is not None:
        why += f"; stated infidelity at most {value['metadata'].get('infidelity') or 0.0:.1g}"
    return Side(
        "ran", engine, why, payload["seconds"], value["predicted_seconds"],
        _told(payload["peak_bytes"]), value["predicted_bytes"], None,
        Measurement.from_dict(judged["fidelity"]) if judged else None,
        judged["kind"] if judged else "", perfect_of_kind(judged["kind"], judged["perfect"]) if judged else None,
    )  # fmt: skip


def device_rows(
    before: DeviceStage,
    after: DeviceStage,
    profiles: Mapping[str, Profile],
    shots: Mapping[str, int],
    qpu_name: str,
) -> tuple[CircuitRow, ...]:
    return tuple(
        CircuitRow(
            circuit.name,
            circuit.id,
            circuit.num_qubits,
            profiles[circuit.id].two_qubit_gates,
            profiles[circuit.id].depth,
            "qpu",
            shots[circuit.id],
            _device_side(circuit, before, qpu_name),
            _device_side(circuit, after, qpu_name),
        )
        for circuit in before.circuits
    )


def _device_side(circuit: Circuit, stage: DeviceStage, qpu_name: str) -> Side:
    value = stage.value(circuit)
    if value is None:
        kind, message = stage.errors[circuit.id]
        return Side("unsupported" if kind in _DOES_NOT_FIT else "failed", qpu_name, message)
    qubits = ", ".join(map(str, value["used_qubits"]))
    choice = value["choice"].get("layout", {}).get("reason", "Qiskit preset level 1, as a plain user compiles")
    why = (
        f"{choice}; {value['two_qubit_gates']} two-qubit gates on qubits {qubits}; "
        f"predicted success {value['predicted_success']:.3f}"
    )
    if record := value["choice"].get("decoupling"):
        why += f"; {record['pulses']} {record['sequence']} pulses in {record['windows_filled']} idle windows"
    if value["notes"]:
        why += "; " + "; ".join(value["notes"])
    return Side(
        "ran", qpu_name, why, value["run_seconds"], None, None, None, value["device_seconds"],
        stage.fidelity(circuit), value["fidelity_kind"], stage.perfect_sampler(circuit),
    )  # fmt: skip
