"""The four protocols of `qrex measure`: planned, run through the store and the workers, read off, drawn.

In: an open session whose platform has a QPU, shots, and what the user chose. Out: a `Findings`. Raw counts are
kept under the content of the protocol, so the same measurement is never made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qiskit.circuit.library import get_standard_gate_name_mapping

from qrex.cli.readings import Reading
from qrex.errors import EngineError, InputError
from qrex.evidence import Measurement
from qrex.execute import Task
from qrex.execute.jobs import COMPILERS, ProtocolRequest, run_protocol
from qrex.expansion.session import Session, shows_running
from qrex.measure.batch import MeasureProtocol
from qrex.measure.bell import BellWitness
from qrex.measure.coherence import IdleCoherence
from qrex.measure.coherence_result import CoherenceResult, closure, level_crossing, window_ratio
from qrex.measure.links import LinkQuality
from qrex.measure.rb import CliffordRb, RbResult
from qrex.measure.statistics import Z95, median_measurement, wilson_interval
from qrex.measure.tomography import ProcessTomography, transfer_matrix
from qrex.measure.window_search import WindowSearch
from qrex.suppress import window_sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Findings", "benchmark", "coherence", "entanglement", "tomography"]

CLOSURE = "closure η"
_SECONDS_PER_PROTOCOL = 5.0


@dataclass(frozen=True, slots=True)
class Findings:
    """`draw(heading, subtitle)` makes the picture; `notes` say what could not be read off, and why."""

    title: str
    readings: tuple[Reading, ...]
    draw: Callable[[str, str], Figure]
    notes: tuple[str, ...] = ()


def benchmark(session: Session, shots: int, widths: Sequence[int]) -> Findings:
    """Clifford randomized benchmarking of all qubits (width 1) and of a matching of the links (width 2)."""
    plans = {
        f"{width}-qubit benchmarking": CliffordRb.plan(
            session.qpu.target, seed=session.seed_for("measure rb", width), width=width
        )
        for width in widths
    }
    results: dict[str, RbResult] = _run(session, shots, "Randomized benchmarking", plans)
    readings = []
    for width, result in zip(widths, results.values(), strict=True):
        figure = f"error per {width}q Clifford"
        readings.append(Reading(figure, f"median of {len(result.groups)}", result.median_error))
        readings += [Reading(figure, _name(group.qubits), group.error) for group in result.groups]
        readings += [point for group in result.groups for point in _survival(width, group)]

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.protocol_plots import rb_figure

        return rb_figure(list(results.values()), heading, subtitle)

    return Findings("Clifford randomized benchmarking", tuple(readings), draw)


def _survival(width: int, group) -> list[Reading]:
    from qrex.report.protocol_plots import survival_points

    alpha = group.alpha
    found = []
    for depth, successes, shots in survival_points(group):
        low, high = wilson_interval(successes, shots)
        point = Measurement(successes / shots, low, high, "", shots, alpha.seed,
                            f"share of shots that answered as expected; {alpha.method}", alpha.source)  # fmt: skip
        found.append(Reading(f"{width}q survival", _name(group.qubits), point, depth, "Cliffords", shown=False))
    return found


def tomography(session: Session, shots: int, gate: str) -> Findings:
    """Full process tomography of a one-qubit gate, all qubits at once."""
    plan = ProcessTomography.plan(session.qpu.target, gate=gate, seed=session.seed_for("measure tomography", gate))
    result = _run(session, shots, "Process tomography", {"tomography": plan})["tomography"]
    figure = f"process fidelity of {gate}"
    readings = [Reading(figure, f"median of {len(result.qubits)}", result.median)]
    readings += [Reading(figure, str(one.qubit), one.fidelity) for one in result.qubits]

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.protocol_plots import tomography_figure

        ideal = transfer_matrix(get_standard_gate_name_mapping()[gate].to_matrix())
        return tomography_figure(result, ideal, heading, subtitle)

    notes = (
        "preparation and readout errors are part of this figure; `qrex measure rb` is free of them",
        "linear inversion is unbiased, so an interval may reach beyond 1",
    )
    return Findings(f"Process tomography of {gate}", tuple(readings), draw, notes)


def coherence(session: Session, shots: int, windows: Sequence[float], sequences: Sequence[str]) -> Findings:
    """Q over idle windows: plain, and with every sequence; the same seeds for all of them."""
    target = session.qpu.target
    seed = session.seed_for("measure coherence")
    if not windows:
        windows = WindowSearch.plan(target, seed=seed).protocol.windows_seconds
    seconds, assumed = sorted(set(windows)), session.platform.qpus[0].noise
    plans = {"none": IdleCoherence.plan(target, windows_seconds=seconds, seed=seed, label="none")} | {
        name: IdleCoherence.plan(
            target, windows_seconds=seconds, seed=seed, label=name,
            sequence=window_sequence(session.qpu.backend, name, seconds, assumed),
        )
        for name in dict.fromkeys(sequences)
    }  # fmt: skip
    results: dict[str, CoherenceResult] = _run(session, shots, "Coherence of idle windows", plans)
    idle = results["none"]
    readings, notes = [], []
    for name, result in results.items():
        label = "idle" if name == "none" else name
        for window in result.windows:
            at = (window.window_seconds, "s")
            readings.append(Reading("Q, median", label, window.median, *at))
            readings.append(Reading("Q, 10th percentile", label, window.tenth_percentile, *at))
            if window.virtual_z is not None:
                readings.append(Reading("Q, best virtual Z", label, window.virtual_z, *at, shown=False))
            readings += [Reading("Q", f"{label}, qubit {q}", m, *at, shown=False) for q, m in window.qubits.items()]
        for level in (0.9, 0.68):
            crossing = level_crossing(result, level, seed=seed, source=session.qpu.source)
            if crossing is None:
                notes.append(f"{label}: the median Q stays above {level:g} up to the longest window")
            else:
                readings.append(Reading(f"window where Q = {level:g}", label, crossing))
    for name in dict.fromkeys(sequences):
        gains = _gains(idle, results[name], seed, session.qpu.source)
        readings += gains
        if not any(gain.figure == CLOSURE for gain in gains):
            notes.append(f"no closure for {name}: at no window does idle Q lie 0.05 or more below the T1/T2 ceiling")
    if idle.windows[0].ceiling_median is None:
        notes.append("this device states no T1 and T2, so there is no ceiling to compare with")
    relaxation = plans["none"].relaxation

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.protocol_plots import coherence_figure

        return coherence_figure(list(results.values()), relaxation, heading, subtitle)

    return Findings("Coherence of idle windows", tuple(readings), draw, tuple(notes))


def _gains(idle: CoherenceResult, decoupled: CoherenceResult, seed: int, source) -> list[Reading]:
    """Closure of the gap to the ceiling at every window where there is one, and the window ratio."""
    name, found = decoupled.sequence, []
    for before, after in zip(idle.windows, decoupled.windows, strict=True):
        closed = closure(before, after, seed=seed, source=source)
        if closed is not None:
            found.append(Reading(CLOSURE, name, closed, before.window_seconds, "s"))
    ratio = window_ratio(idle, decoupled, seed=seed, source=source)
    return found if ratio is None else [*found, Reading("window ratio W at 0.9", name, ratio)]


def entanglement(session: Session, shots: int) -> Findings:
    """Fidelity and ebits of every link, the density E and what is published beside it."""
    target = session.qpu.target
    plans: dict[str, MeasureProtocol] = {
        "link quality": LinkQuality.plan(target, seed=session.seed_for("measure links")),
        "Bell witness": BellWitness.plan(target),
    }
    results = _run(session, shots, "Entanglement of every link", plans)
    links, bell = results["link quality"], results["Bell witness"]
    figures = links.figures()
    device = "the device"
    readings = [Reading("E", device, figures.density),
                Reading("E_sim (fired at once)", device, figures.simultaneous)]  # fmt: skip
    if figures.rate is not None:
        readings.append(Reading("E_rate (all links)", device, figures.rate))
    witness = median_measurement(
        [m.value for m in bell.values()], errors=[(m.high - m.low) / 2 / Z95 for m in bell.values()],
        n=sum(m.n for m in bell.values()), seed=session.seed_for("measure bell median"), limits=(0, 1),
        method=f"median over {len(bell)} links; {next(iter(bell.values())).method}", source=links.source,
    )  # fmt: skip
    readings += [
        Reading("E_F (by fidelity)", device, figures.fidelity_weighted),
        Reading("λ₂ of ebit Laplacian", device, figures.connectivity),
        Reading("minimum cut", device, figures.min_cut),
        Reading("Bell witness", f"median of {len(bell)}", witness),
    ]
    from qrex.report.protocol_plots import link_ebits

    names = [_name(link) for link in links.links]
    for name, fidelity, ebits in zip(names, links.fidelities, link_ebits(links), strict=True):
        readings += [Reading("link fidelity", name, fidelity), Reading("link ebits", name, ebits)]
    readings += [Reading("Bell witness", _name(link), m, shown=False) for link, m in bell.items()]

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.protocol_plots import entanglement_figure

        return entanglement_figure(links, bell, heading, subtitle)

    notes = (f"raw links per qubit: {figures.links_per_qubit:.4g}, which bounds E on this lattice",)
    return Findings("Entanglement of every link", tuple(readings), draw, notes)


def _name(qubits: Sequence[int]) -> str:
    return "-".join(map(str, qubits))


def _run(session: Session, shots: int, title: str, plans: Mapping[str, MeasureProtocol]) -> dict[str, Any]:
    """Counts of every protocol, from the store where they are kept, analyzed here."""
    qpu, description = session.qpu, session.platform.qpus[0]
    units = []
    for name, plan in plans.items():
        seed = session.seed_for("measure shots", title, name)
        parts = {"protocol": repr(plan), "qpu": asdict(description), "calibration": qpu.calibration_id,
                 "shots": shots, "seed": seed}  # fmt: skip
        task = Task(name, run_protocol, (ProtocolRequest(description, plan, shots, seed),), warm_up=COMPILERS)
        units.append(session.unit("measure", parts, task))
    found = {unit.task.id: session.store.unit(unit.key) for unit in units}
    if all(found.values()):
        # Workers are not even started.
        session.progress.note("measured before; the kept counts are analyzed")
        payloads = {name: unit.payload for name, unit in found.items()}
    else:
        session.start_workers(units)
        with session.stage(title, len(units), _SECONDS_PER_PROTOCOL * len(units) / session.cores) as stage:
            payloads = session.runner.run(
                units, lambda name, _payload: stage.advance(1, note=name), on_running=shows_running(stage, {})
            )
    results = {}
    for name, plan in plans.items():
        payload = payloads[name]
        if payload["value"] is None:
            kind = InputError if payload["error_type"] in ("InputError", "PlatformError") else EngineError
            raise kind(f"{name} could not be measured on {qpu.name}: {payload['error']}")
        results[name] = plan.analyze(payload["value"]["counts"], qpu.source)
    return results
