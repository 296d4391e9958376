"""The device's own figures: randomized benchmarking, tomography, coherence of idle windows, entanglement.

In: a session and a side ("before", "after"). Out: `DeviceFigures`. Both windows are frozen first: τ_w from
the workload as the baseline compiles it, τ_68 by a search with shots and seeds of its own. Raw counts are
kept in the store, so that analysis can be repeated without the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qrex.errors import InputError
from qrex.evidence import Comparison, Measurement
from qrex.execute import Task
from qrex.execute.jobs import COMPILERS, ProtocolRequest, run_protocol
from qrex.expansion.device import DeviceStage
from qrex.expansion.session import Session
from qrex.measure.batch import MeasureProtocol
from qrex.measure.bell import BellWitness
from qrex.measure.coherence import IdleCoherence
from qrex.measure.coherence_result import CoherenceResult, WindowCoherence
from qrex.measure.links import EntanglementFigures, LinkQuality, LinkResult
from qrex.measure.rb import CliffordRb
from qrex.measure.schedule import coupling_links
from qrex.measure.sequences import WindowSequence
from qrex.measure.statistics import Z95, median_measurement
from qrex.measure.tomography import ProcessTomography
from qrex.measure.window_search import WindowFound, WindowSearch
from qrex.suppress import window_sequence

__all__ = ["DeviceFigures", "compare_coherence", "compare_density", "measure_device"]

_SECONDS_PER_PROTOCOL = 1.5
_DECAY_WINDOWS, _DECAY_REACH = 7, 6.0


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """One side's figures; windows and Q are None where the device gave no window to ask at, figures of pairs
    where no two qubits are coupled."""

    window_workload_seconds: float | None
    window_68_seconds: float | None
    q_workload: Measurement | None
    q_68: Measurement | None
    ceiling_68: float | None
    rb_one: Measurement
    rb_two: Measurement | None
    tomography: Measurement
    tomography_of: str
    entanglement: EntanglementFigures | None
    bell: Measurement | None
    windows: Mapping[str, WindowCoherence] = field(default_factory=dict)
    decay: CoherenceResult | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)


def measure_device(
    session: Session, workload: DeviceStage | None, side: str, decoupling: str | None
) -> DeviceFigures:
    """All figures of one side. `decoupling` fills the idle windows of Q where it was accepted."""
    target = session.qpu.target
    windows = _windows(session, workload)
    protocols: dict[str, MeasureProtocol] = {
        "one-qubit benchmarking": CliffordRb.plan(target, seed=session.seed_for("rb1", side), width=1),
        "process tomography": ProcessTomography.plan(target, gate="sx", seed=session.seed_for("tomography", side)),
    }
    if coupling_links(target):
        protocols |= {
            "two-qubit benchmarking": CliffordRb.plan(target, seed=session.seed_for("rb2", side), width=2),
            "link quality": _links(session, side),
            "Bell witness": BellWitness.plan(target),
        }
    if windows:
        protocols["coherence"] = _coherence(session, windows, side, decoupling)
    # Where nothing fills the windows after, its decay would be the one before once more.
    if "68" in windows and (side == "before" or decoupling is not None):
        protocols["decay"] = _decay(session, windows["68"], side, decoupling)
    results = _measure(session, f"Measure the device, {side}", protocols, side)
    paired, links = results.get("two-qubit benchmarking"), results.get("link quality")
    coherence: CoherenceResult | None = results.get("coherence")
    asked = dict(zip(windows, coherence.windows, strict=True)) if coherence else {}
    workload_window, window_68 = asked.get("workload"), asked.get("68")
    bell = list(results.get("Bell witness", {}).values())
    return DeviceFigures(
        window_workload_seconds=workload_window.window_seconds if workload_window else None,
        window_68_seconds=window_68.window_seconds if window_68 else None,
        q_workload=_with_percentile(workload_window),
        q_68=_with_percentile(window_68),
        ceiling_68=window_68.ceiling_median if window_68 else None,
        rb_one=results["one-qubit benchmarking"].median_error,
        rb_two=paired.median_error if paired else None,
        tomography=results["process tomography"].median,
        tomography_of="sx",
        entanglement=links.figures() if links else None,
        bell=_median_witness(bell, session.seed_for("bell", side)) if bell else None,
        windows=asked,
        decay=results.get("decay"),
        conditions={
            "window τ_w": f"{workload_window.window_seconds * 1e6:.3g} µs" if workload_window else "none",
            "window τ_68": f"{window_68.window_seconds * 1e6:.3g} µs" if window_68 else "none",
            "context of Q": "neighbors in |+⟩",
            "decoupling inside Q's windows, after": decoupling or "none",
            "shots per device circuit": session.settings.metrology_shots,
            "links": len(links.links) if links else 0,
        },
    )  # fmt: skip


def _median_witness(witnesses: Sequence[Measurement], seed: int) -> Measurement:
    return median_measurement(
        [m.value for m in witnesses], errors=[(m.high - m.low) / 2 / Z95 for m in witnesses],
        n=sum(m.n for m in witnesses), seed=seed, method=f"median over {len(witnesses)} links; {witnesses[0].method}",
        source=witnesses[0].source, limits=(0, 1),
    )  # fmt: skip


def compare_coherence(session: Session, before: DeviceFigures, sequence: str) -> tuple[Comparison, ...]:
    """Q of both windows without and with `sequence`, same seeds."""
    windows = {
        name: seconds
        for name, seconds in (("workload", before.window_workload_seconds), ("68", before.window_68_seconds))
        if seconds is not None
    }
    if not windows:
        return ()
    protocol = _coherence(session, windows, "before", sequence)
    result = _measure(session, f"Measure coherence with {sequence}", {"coherence": protocol}, sequence)["coherence"]
    pairs = {"workload": before.q_workload, "68": before.q_68}
    return tuple(
        Comparison(
            f"decoupling_coherence_{name}", f"Q(τ = {window.window_seconds * 1e6:.3g} µs) with {sequence}",
            pairs[name], _with_percentile(window), "higher", "q-quantum-coherence",
        )
        for name, window in zip(windows, result.windows, strict=True)
    )  # fmt: skip


def compare_density(session: Session, before: DeviceStage, after: DeviceStage) -> Comparison | None:
    """E of the sub-lattice in use, mean over circuits, from one measurement of all links.

    Both sides come from the same link decays, so the half-widths of the circuits add up in full.
    """
    if not coupling_links(session.qpu.target):
        return None
    protocol = _links(session, "before")
    links = _measure(session, "Measure the links", {"link quality": protocol}, "before")["link quality"]
    sides = [_mean_density(links, stage) for stage in (before, after)]
    if None in sides:
        return None
    return Comparison(
        "layout_density", "Entanglement density E of the qubits in use", sides[0], sides[1], "higher",
        "e-entanglement-density", "mean over circuits of E over the physical qubits that each one uses",
    )  # fmt: skip


def _mean_density(links: LinkResult, stage: DeviceStage) -> Measurement | None:
    used = [tuple(v["used_qubits"]) for c in stage.circuits if (v := stage.value(c))]
    densities = [links.figures(qubits).density for qubits in used]
    if not densities:
        return None
    value, low, high = (float(np.mean([getattr(d, name) for d in densities])) for name in ("value", "low", "high"))
    one = densities[0]
    return Measurement(value, min(low, value), max(high, value), one.unit, one.n, one.seed,
                       f"mean over {len(densities)} circuits; {one.method}", one.source)  # fmt: skip


def _windows(session: Session, workload: DeviceStage | None) -> dict[str, float]:
    """The frozen windows in seconds: {"workload": τ_w, "68": τ_68}, each only where there is one."""
    windows = {}
    if workload is not None:
        try:
            windows["workload"] = workload.workload_window_seconds()
        except InputError as error:
            session.progress.note(str(error))
    search = WindowSearch.plan(session.qpu.target, seed=session.seed_for("window search"))
    found: WindowFound = _measure(session, "Find the window τ_68", {"window": search}, "search")["window"]
    if found.window is None:
        session.progress.note(found.reason)
    else:
        windows["68"] = found.window.value
    return windows


def _links(session: Session, side: str) -> LinkQuality:
    return LinkQuality.plan(session.qpu.target, seed=session.seed_for("links", side))


def _coherence(session: Session, windows: Mapping[str, float], side: str, sequence: str | None) -> IdleCoherence:
    seconds = list(windows.values())
    return IdleCoherence.plan(
        session.qpu.target, windows_seconds=seconds, seed=session.seed_for("coherence", side),
        sequence=_filling(session, seconds, sequence),
    )  # fmt: skip


def _decay(session: Session, window_68: float, side: str, sequence: str | None) -> IdleCoherence:
    """Q of windows around τ_68; the virtual Z is left out, which saves four circuits of ten."""
    seconds = [window_68 * share for share in np.geomspace(1 / _DECAY_REACH, _DECAY_REACH, _DECAY_WINDOWS)]
    return IdleCoherence.plan(
        session.qpu.target, windows_seconds=seconds, seed=session.seed_for("decay", side),
        sequence=_filling(session, seconds, sequence), virtual_z=False,
    )  # fmt: skip


def _filling(session: Session, seconds: Sequence[float], sequence: str | None) -> WindowSequence | None:
    if sequence is None:
        return None
    return window_sequence(session.qpu.backend, sequence, seconds, session.platform.qpus[0].noise)


def _with_percentile(window: WindowCoherence | None) -> Measurement | None:
    """The median, with what must be printed beside it."""
    if window is None:
        return None
    data = window.median.to_dict()
    data["detail"] = {
        **window.median.detail,
        "tenth_percentile": window.tenth_percentile.to_dict(),
        "best_virtual_z": window.virtual_z.to_dict() if window.virtual_z else None,
        "ceiling": window.ceiling_median,
        "sequence": window.sequence,
    }
    return Measurement.from_dict(data)


def _measure(
    session: Session, title: str, protocols: Mapping[str, MeasureProtocol], side: str
) -> dict[str, Any]:
    """Run protocols side by side, keep their raw counts, and analyze them here."""
    shots, description = session.settings.metrology_shots, session.platform.qpus[0]
    units = []
    for name, protocol in protocols.items():
        request = ProtocolRequest(description, protocol, shots, session.seed_for("protocol", name, side))
        parts = {
            "protocol": repr(protocol),
            "qpu": [session.qpu.calibration_id, repr(description)],
            "shots": shots,
            "seed": request.seed,
        }
        task = Task(name, run_protocol, (request,), memory_bytes=session.share_bytes, warm_up=COMPILERS)
        units.append(session.unit("protocol", parts, task))
    results = {}
    payloads = session.run_units(title, units, _SECONDS_PER_PROTOCOL * len(units) / session.cores)
    for name, protocol in protocols.items():
        payload = payloads[name]
        if payload["value"] is None:
            raise InputError(f"{name} could not be measured on {session.qpu.name}: {payload['error']}")
        results[name] = protocol.analyze(payload["value"]["counts"], session.qpu.source)
    return results
