"""`qrex measure t1`, `ramsey`, `echo` and `zz`: planned, run through the store and the workers, read off, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qrex.cli.protocols import Findings, _name, _run
from qrex.cli.readings import Reading
from qrex.expansion.session import Session
from qrex.measure.relaxation import Relaxation, RelaxationKind, RelaxationResult
from qrex.measure.zz import ZzAmplification, ZzResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["relaxation", "zz"]

_TITLES = {"T1": "Relaxation times T1", "echo": "Hahn echo, T2", "Ramsey": "Ramsey, T2* and detunings"}
_FIGURES = {"T1": "T1", "echo": "T2", "Ramsey": "T2*"}


def relaxation(session: Session, shots: int, kind: RelaxationKind) -> Findings:
    """T1, T2 or T2* of every qubit, one color class at a time."""
    plan = Relaxation.plan(session.qpu.target, kind=kind, seed=session.seed_for("measure relaxation", kind))
    result: RelaxationResult = _run(session, shots, _TITLES[kind], {kind: plan})[kind]
    figure = _FIGURES[kind]
    readings = [Reading(figure, f"median of {len(result.times)}", result.median)]
    readings += [Reading(figure, str(q), m) for q, m in result.times.items()]
    readings += [Reading("detuning", str(q), m) for q, m in result.detunings.items()]
    longest = plan.delays_seconds[-1]
    beyond = [str(q) for q, m in result.times.items() if m.value > 2 * longest]
    notes = ["neighbors rest in |0>"]
    if beyond:
        notes.append(f"qubits {', '.join(beyond)} outlive the delays: their figure is an extrapolation")
    if kind == "Ramsey":
        notes.append("a qubit beats where its charge parity shifts it: T2* is then where the fitted envelope is at 1/e")

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.relaxation_plot import relaxation_figure

        return relaxation_figure(result, heading, subtitle)

    return Findings(_TITLES[kind], tuple(readings), draw, tuple(notes))


def zz(session: Session, shots: int) -> Findings:
    """ζ/2π of every link by joint amplification."""
    plan = ZzAmplification.plan(session.qpu.target, seed=session.seed_for("measure zz"))
    result: ZzResult = _run(session, shots, "ZZ of every link", {"zz": plan})["zz"]
    readings = [Reading("|ζ|/2π", f"median of {len(result.rates)}", result.median)]
    readings += [Reading("ζ/2π", _name(link), m) for link, m in result.rates.items()]
    unsigned = [_name(link) for link, m in result.rates.items() if m.low < 0 < m.high]
    most = 1 / (2 * float(np.diff(plan.delays_seconds[:2])[0]))
    notes = [f"H = ζ |11><11|, neighbors in |0>; rates up to {most / 1e3:.4g} kHz are told apart"]
    if unsigned:
        notes.append(f"no sign for {', '.join(unsigned)}: the interval holds 0")

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.relaxation_plot import zz_figure

        return zz_figure(result, heading, subtitle)

    return Findings("ZZ of every link", tuple(readings), draw, tuple(notes))
