"""`qrex measure layer` and `qrex measure interleaved`: planned, run and read off as the protocols beside them.

In: an open session whose platform has a QPU, shots, and what the user chose. Out: `Findings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qrex.cli.protocols import Findings, _name, _run
from qrex.cli.readings import Reading
from qrex.errors import InputError
from qrex.evidence import Measurement
from qrex.expansion.session import Session
from qrex.measure.chains import best_chain, gate_product, named_chain
from qrex.measure.interleaved import InterleavedRb, InterleavedResult
from qrex.measure.layer_fidelity import LayerFidelity, LayerFidelityResult
from qrex.measure.schedule import coupling_links, native_pair
from qrex.suppress import ZZ_AWARE, Decoupler, IdleNoise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["interleaved", "layer", "parse_chain"]

_LENGTH = 10
"""Qubits of a chain that is chosen here: as many as the makers' shortest common figure, and quick to simulate."""


def parse_chain(text: str) -> tuple[int, ...]:
    """Qubits of "0,1,2"; InputError for anything else.

    >>> parse_chain("4, 5,6")
    (4, 5, 6)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} is not a chain of qubits; write their numbers in order, such as 0,1,2") from None


def layer(session: Session, shots: int, chain: str | None, sequences: Sequence[str]) -> Findings:
    """Layer fidelity of a chain; with every sequence as well, on the same random circuits."""
    target = session.qpu.target
    stated = named_chain(_properties(session), _LENGTH)
    if chain is not None:
        qubits = parse_chain(chain)
    else:
        qubits = stated.qubits if stated is not None else best_chain(target, _LENGTH)
    seed = session.seed_for("measure layer")
    noise = IdleNoise.of(session.qpu.backend, session.platform.qpus[0].noise)
    fillings = {"none": None} | {name: Decoupler(name, noise if name == ZZ_AWARE else None) for name in sequences}
    plans = {
        name: LayerFidelity.plan(target, seed=seed, chain=qubits, sequence=filling, label=name)
        for name, filling in fillings.items()
    }
    results: dict[str, LayerFidelityResult] = _run(session, shots, "Layer fidelity", plans)
    readings = []
    for name, result in results.items():
        label = "the chain" if name == "none" else f"with {name}"
        readings += [Reading("layer fidelity", label, result.fidelity),
                     Reading("error per layered gate", label, result.eplg)]  # fmt: skip
    product = gate_product(target, plans["none"].layers)
    if product is not None:
        one = Measurement(product, product, product, "", 1, None, "product of the stated gate errors", "model")
        readings.append(Reading("gate errors alone", "the chain", one))
    for number, ones in enumerate(results["none"].fidelities):
        for decay, fidelity in zip(results["none"].decays[number], ones, strict=True):
            readings.append(Reading(f"fidelity in layer {number + 1}", _name(decay.qubits), fidelity))

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.layer_plots import layer_figure

        return layer_figure(list(results.values()), target, heading, subtitle)

    notes = [f"the chain: {', '.join(map(str, qubits))}"]
    if stated is not None and stated.qubits == qubits:
        notes.append(
            f"its maker states {stated.fidelity:.4g} for these qubits, as the best part of a longer chain that was "
            "measured at once: gates that reach out of it count there by their square root"
        )
    return Findings("Layer fidelity", tuple(readings), draw, tuple(notes))


def _properties(session: Session):
    read = getattr(session.qpu.backend, "properties", None)
    return read() if callable(read) else None


def interleaved(
    session: Session, shots: int, gate: str | None, windows: Sequence[float], width: int | None
) -> Findings:
    """Error of a gate, or of idle windows, by interleaved benchmarking of all qubits or of a matching of the links."""
    if gate is not None and windows:
        raise InputError("interleaved benchmarking takes a gate or windows; give --gate or --window")
    target, width = session.qpu.target, width or 1
    seed = session.seed_for("measure interleaved", width)
    if windows:
        made = [
            InterleavedRb.plan(target, seed=seed, window_seconds=seconds, width=width)
            for seconds in sorted(set(windows))
        ]
    else:
        made = [InterleavedRb.plan(target, seed=seed, gate=gate or _gate(session, width), width=width)]
    plans = {f"interleaved {plan.element}": plan for plan in made}
    results: dict[str, InterleavedResult] = _run(session, shots, "Interleaved benchmarking", plans)
    readings, notes = [], []
    for result in results.values():
        at = (None, "") if result.seconds is None else (result.seconds, "s")
        what = result.element if result.seconds is None else "the window"
        error, kept = f"error of {what}", f"α of {what}"
        readings.append(Reading(error, f"median of {len(result.groups)}", result.median_error, *at))
        if result.seconds is not None:
            readings.append(Reading(kept, f"median of {len(result.groups)}", result.median_ratio, *at))
        for group in result.groups:
            readings.append(Reading(error, _name(group.qubits), group.error, *at))
            readings.append(Reading(kept, _name(group.qubits), group.ratio, *at, shown=False))
            for kind, decay in (("reference", group.reference), ("interleaved", group.interleaved)):
                figure = f"error per Clifford, {kind}"
                readings.append(Reading(figure, _name(group.qubits), decay.error, *at, shown=False))
    widest = max(group.bound for result in results.values() for group in result.groups)
    notes.append(
        f"whatever the errors of the Cliffords are like, the true error lies within {widest:.2g} of these (Magesan et "
        "al., arXiv:1203.4550); the interval speaks of shots and circuits alone"
    )
    if windows:
        notes.append("α of a window is Q where the noise has no memory; `qrex measure coherence` measures Q itself")

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.layer_plots import interleaved_figure

        return interleaved_figure(list(results.values()), heading, subtitle)

    return Findings("Interleaved randomized benchmarking", tuple(readings), draw, tuple(notes))


def _gate(session: Session, width: int) -> str:
    """What is interleaved where nothing was named: sx, or the native gate of the links."""
    if width == 1:
        return "sx"
    links = coupling_links(session.qpu.target)
    if not links:
        raise InputError(f"{session.qpu.name} couples no qubits; there is no pair to benchmark")
    return native_pair(session.qpu.target, links[0])[0]
