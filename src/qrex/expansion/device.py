"""The workload on the QPU, under configurations of layout and decoupling.

In: a session and variants. Out: a `DeviceStage` for each: every circuit's fidelity, device seconds and
compilation figures. Runs are independent, so they go side by side; a simulated device's host seconds are
kept apart and compete with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrex.circuits import Circuit
from qrex.errors import InfeasibleError, InputError
from qrex.evidence import Measurement
from qrex.execute import Task, WorkUnit
from qrex.execute.jobs import COMPILERS, DeviceRequest, run_on_device
from qrex.expansion.session import Session
from qrex.expansion.timing import union_seconds
from qrex.measure.fidelity import perfect_of_kind
from qrex.units import format_seconds

__all__ = ["MEASURED", "PILOT", "Configuration", "DeviceStage", "Variant", "compilation_note", "run_device_stages"]

Variant = tuple[str | None, str]
"""A decoupling sequence or None, and which shots: `MEASURED` or `PILOT`."""

MEASURED, PILOT = "measured", "pilot"
"""Shots that are reported, and shots of other seeds that only decide what is kept for each circuit."""

_EXPECTED_SECONDS_PER_CIRCUIT = 1.5


@dataclass(frozen=True, slots=True)
class Configuration:
    """How the workload is compiled: `layout_candidates` 0 is a plain user's level 1."""

    layout_candidates: int = 0
    decoupling: str | None = None

    @property
    def title(self) -> str:
        parts = ["layout choice"] * bool(self.layout_candidates) + ["decoupling"] * bool(self.decoupling)
        return " and ".join(parts) or "baseline"


@dataclass(frozen=True, slots=True)
class DeviceStage:
    """Results by circuit id under one configuration, or, where mechanisms were kept circuit by circuit, under
    each circuit's own. `values` holds what `run_on_device` gave; `errors` why there is nothing."""

    circuits: tuple[Circuit, ...]
    values: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, tuple[str, str]]  # error type and message

    def value(self, circuit: Circuit) -> Mapping[str, Any] | None:
        return self.values.get(circuit.id)

    def fidelity(self, circuit: Circuit) -> Measurement | None:
        value = self.value(circuit)
        return Measurement.from_dict(value["fidelity"]) if value and value["fidelity"] else None

    def fidelity_kind(self, circuit: Circuit) -> str:
        """Which kind of fidelity the circuit is judged by; "" where it has none."""
        value = self.value(circuit)
        return value["fidelity_kind"] if value and value["fidelity"] else ""

    def perfect_sampler(self, circuit: Circuit) -> float | None:
        """What a perfect sampler scores at the same shots, by the kind of fidelity that the circuit is judged by."""
        value = self.value(circuit)
        return perfect_of_kind(value["fidelity_kind"], value["perfect_sampler"]) if value else None

    def mean_fidelity(self, circuits: Sequence[Circuit]) -> Measurement:
        """Mean over circuits, all judged by one kind; half-widths of their independent intervals add in squares.

        Raises InputError where kinds differ or a circuit has no fidelity: such a mean has no meaning.
        """
        kinds = {self.fidelity_kind(circuit) for circuit in circuits}
        found = [f for circuit in circuits if (f := self.fidelity(circuit)) is not None]
        if len(kinds) != 1 or len(found) != len(circuits):
            raise InputError(f"a mean is over fidelities of one kind; these {len(circuits)} circuits have {kinds}")
        value = float(np.mean([f.value for f in found]))
        low = float(np.sqrt(np.sum([(f.value - f.low) ** 2 for f in found]))) / len(found)
        high = float(np.sqrt(np.sum([(f.high - f.value) ** 2 for f in found]))) / len(found)
        return Measurement(
            value, value - low, value + high, "", sum(f.n for f in found), found[0].seed,
            f"mean over {len(found)} circuit{'s' * (len(found) != 1)}, all by {kinds.pop()}; n counts their shots",
            found[0].source,
        )  # fmt: skip

    def device_seconds(self) -> float:
        return sum(v["device_seconds"] or 0.0 for c in self.circuits if (v := self.value(c)))

    def host_seconds(self) -> float:
        return sum(v["run_seconds"] for c in self.circuits if (v := self.value(c)))

    def workload_window_seconds(self) -> float:
        """τ_w: the median over circuits of each circuit's 90th-percentile idle window."""
        windows = [v["idle_p90_ns"] for c in self.circuits if (v := self.value(c)) and v["idle_p90_ns"]]
        if not windows:
            raise InputError("no circuit of the workload idles on this device: there is no workload window to take")
        return float(np.median(windows)) * 1e-9


def run_device_stages(
    session: Session, layout_candidates: int, variants: Sequence[Variant], circuits: tuple[Circuit, ...]
) -> dict[Variant, DeviceStage]:
    """Compile `circuits` once and run them under every variant; same shots under all of them, and same seeds
    under all with the same label. One whose control flow the device does not take is not tried."""
    configuration = Configuration(layout_candidates, None)
    obstacles = {c.id: why for c in circuits if (why := session.qpu.control_flow_obstacle(c.quantum_circuit))}
    units = [
        _unit(session, layout_candidates, variants, circuit)
        for circuit in sorted(circuits, key=lambda c: -c.num_qubits)
        if circuit.id not in obstacles
    ]
    title = f"QPU workload: {configuration.title}"
    if any(sequence for sequence, _ in variants):
        title += ", with decoupling"
    if any(label == PILOT for _, label in variants):
        title += ", pilot shots too"
    expected = _EXPECTED_SECONDS_PER_CIRCUIT * len(units) / session.cores
    payloads = session.run_units(title, units, expected, {circuit.id: circuit.name for circuit in circuits})
    if note := compilation_note(payloads.values(), session.cores):
        session.tell(f"{title}: {note}")
    failed = {name: (InfeasibleError.__name__, why) for name, why in obstacles.items()} | {
        name: (payload["error_type"], payload["error"])
        for name, payload in payloads.items()
        if payload["value"] is None
    }
    return {
        variant: DeviceStage(
            circuits, {n: p["value"][place] for n, p in payloads.items() if p["value"] is not None}, failed
        )
        for place, variant in enumerate(variants)
    }


def compilation_note(payloads: Iterable[Mapping[str, Any]], cores: int) -> str:
    """How long compiling took, side by side and one after another; "" where no circuit has its span recorded.

    Spans of one session are on one clock; the time in which any of them was going on is what compiling took. One
    after another it would have taken the sum, of wall or processor seconds, whichever is less for a circuit: where
    circuits wait for each other's cores, their wall seconds are longer than alone.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    alone = 0.0
    for payload in payloads:
        first = payload["value"][0] if payload["value"] else {}
        if "compile_span" in first:
            spans.setdefault(payload["session"], []).append(tuple(first["compile_span"]))
            alone += min(first["compile_seconds"], first["compile_cpu_seconds"])
    together = sum(union_seconds(one) for one in spans.values())
    if not together:
        return ""
    count = sum(map(len, spans.values()))
    return (
        f"compiled {count} circuit{'s' * (count != 1)} in {format_seconds(together)} on {cores} "
        f"core{'s' * (cores != 1)}, {format_seconds(alone)} one after another: {alone / together:.1f}x"
    )


def _unit(session: Session, layout_candidates: int, variants: Sequence[Variant], circuit: Circuit) -> WorkUnit:
    request = DeviceRequest(
        qpu=session.platform.qpus[0],
        circuit=circuit,
        shots=session.shots_of(circuit),
        compile_seed=session.seed_for("compile", circuit.id),
        layout_candidates=layout_candidates,
        variants=tuple((sequence, session.seed_for(label, circuit.id)) for sequence, label in variants),
    )
    parts = {
        "circuit": circuit.id,
        "qpu": [session.qpu.calibration_id, repr(request.qpu)],
        "shots": request.shots,
        "compile_seed": request.compile_seed,
        "layout_candidates": layout_candidates,
        "variants": [list(variant) for variant in request.variants],
    }
    task = Task(circuit.id, run_on_device, (request,), memory_bytes=session.share_bytes, warm_up=COMPILERS)
    return session.unit("device", parts, task)
