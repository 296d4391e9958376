"""The report's coherence section, put together from the device's figures of both sides.

In: a session, figures before and after, the decoupling row. Out: `CoherenceSection`; None where no τ_68 was found.
Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from qrex.evidence import LOWER_BOUND, Comparison, Measurement, Source
from qrex.expansion.metrology import DeviceFigures
from qrex.expansion.session import Session
from qrex.measure.coherence import relaxation_times
from qrex.measure.coherence_result import CoherenceResult, WindowCoherence, closure, level_crossing, window_ratio
from qrex.measure.schedule import Timing, coupling_links
from qrex.report import CoherenceSection, DeviceLink, MechanismRow, QubitCoherence, WindowPoint
from qrex.report.coherence_section import Interval
from qrex.suppress import ZZ_AWARE, IdleNoise, choose_idle
from qrex.suppress.planning import Choice

__all__ = ["LEVEL", "coherence_section"]

LEVEL = 0.9
"""Q that the window ratio W asks for."""
_DEFINITION = "q-quantum-coherence"

Sides = tuple[DeviceFigures, DeviceFigures | None]
"""Before, and after where its windows were filled."""


def coherence_section(
    session: Session, before: DeviceFigures | None, after: DeviceFigures | None, mechanisms: Sequence[MechanismRow]
) -> CoherenceSection | None:
    """`after` counts only where its windows were filled: else it is the repeat that the tables show."""
    if before is None or (old := before.windows.get("68")) is None:
        return None
    new = after.windows.get("68") if after is not None else None
    sequence = new.sequence if new is not None and new.sequence != "none" else None
    reason = ""
    if sequence is None:
        after, new, reason = None, None, _why_not(mechanisms)
    sides = (before, after)
    source, seed = session.qpu.source, session.seed_for("coherence section")
    ratio, ratio_note = _ratio(sides, seed, source)
    closed = closure(old, new, seed=seed, source=source) if new is not None else None
    note = "" if closed or new is None else (
        "no closure: T1 and T2 are not known for every qubit" if set(old.qubits) - set(old.ceiling)
        else "no closure: Q before is within 0.05 of the T1/T2 ceiling"
    )  # fmt: skip
    workload = before.windows.get("workload")
    return CoherenceSection(
        window_68_seconds=old.window_seconds,
        window_workload_seconds=workload.window_seconds if workload else None,
        sequence=sequence,
        reason=reason,
        num_qubits=session.qpu.num_qubits,
        links=_links(session),
        qubits=_qubits(session, sides, _choices(session, old, sequence)),
        curve=_curve(sides),
        figures=_figures(sides, seed, source),
        level=LEVEL,
        closure=closed,
        closure_note=note,
        window_ratio=ratio,
        ratio_note=ratio_note,
    )


def _why_not(mechanisms: Sequence[MechanismRow]) -> str:
    row = next((m for m in mechanisms if m.call == "apply_dynamical_decoupling"), None)
    if row is None or row.status == "not applied":
        return f"decoupling was not applied ({row.reason if row else 'this call was not made'})"
    if row.status == "applied":
        return "decoupling was kept for half of the circuits or fewer, so the device's windows stay idle after"
    return "decoupling was tried and not kept, since no circuit's pilot shots were better with it"


def _ratio(sides: Sides, seed: int, source: Source) -> tuple[Measurement | None, str]:
    old, new = (side.decay if side else None for side in sides)
    if old is None or new is None:
        return None, ""
    found = window_ratio(old, new, seed=seed, source=source, level=LEVEL)
    if found is None:
        return None, f"no window ratio: the median Q before stays above {LEVEL:g}"
    kept = {key: value for key, value in found.detail.items() if not key.startswith("curve")}
    return replace(found, detail=kept | ({LOWER_BOUND: True} if kept["at_least"] else {})), ""


def _figures(sides: Sides, seed: int, source: Source) -> tuple[Comparison, ...]:
    note = "" if sides[1] is not None else "windows are idle after, too"

    def pair(key: str, title: str, read: Callable[[DeviceFigures], Measurement | None]) -> Comparison:
        old, new = (read(side) if side is not None else None for side in sides)
        return Comparison(key, title, old, new, "higher", _DEFINITION, note)

    def of(name: str, figure: str) -> Callable[[DeviceFigures], Measurement | None]:
        def read(side: DeviceFigures) -> Measurement | None:
            window = side.windows.get(name)
            return _plain(getattr(window, figure)) if window else None

        return read

    made = []
    for name, symbol in (("68", "τ_68"), ("workload", "τ_w")):
        window = sides[0].windows.get(name)
        if window is None:
            continue
        at = f"({symbol} = {window.window_seconds * 1e6:.3g} µs)"
        made += [
            pair(f"coherence_{name}", f"Q{at}, median", of(name, "median")),
            pair(f"coherence_tenth_{name}", f"Q{at}, 10th percentile", of(name, "tenth_percentile")),
            pair(f"coherence_virtual_z_{name}", f"Q{at} with the best virtual Z, median", of(name, "virtual_z")),
        ]
    if sides[0].decay is not None:
        made.append(pair("coherence_window", f"Longest window with median Q of {LEVEL:g}",
                         lambda side: _window(side.decay, seed, source)))  # fmt: skip
    return tuple(made)


def _plain(m: Measurement | None) -> Measurement | None:
    """Without what the section holds elsewhere."""
    if m is None:
        return None
    kept = ("window_seconds", "sequence", "context", "angle_radians")
    return replace(m, detail={key: value for key, value in m.detail.items() if key in kept})


def _window(decay: CoherenceResult | None, seed: int, source: Source) -> Measurement | None:
    """Where the median falls to the level; where it does not, at least the longest window."""
    if decay is None:
        return None
    found = level_crossing(decay, LEVEL, seed=seed, source=source)
    if found is not None:
        return replace(found, detail={key: value for key, value in found.detail.items() if key != "curve"})
    last = max(decay.windows, key=lambda w: w.window_seconds)
    return Measurement(
        last.window_seconds, last.window_seconds, last.window_seconds, "s", last.median.n, seed,
        f"median Q stays above {LEVEL:g} over all windows measured; {last.median.method}", source, {LOWER_BOUND: True},
    )  # fmt: skip


def _curve(sides: Sides) -> tuple[WindowPoint, ...]:
    old, new = (side.decay if side else None for side in sides)
    if old is None:
        return ()
    others: Sequence[WindowCoherence | None] = new.windows if new else [None] * len(old.windows)
    return tuple(
        WindowPoint(a.window_seconds, _plain(a.median), _plain(b.median) if b else None)
        for a, b in zip(old.windows, others, strict=True)
    )


def _links(session: Session) -> tuple[DeviceLink, ...]:
    """With ζ where the device has it: a simulated one without memory has none, whatever its snapshot says."""
    description = session.platform.qpus[0]
    zeta = {}
    if description.noise is not None or session.qpu.source == "hardware":
        zeta = IdleNoise.of(session.qpu.backend, description.noise).zeta
    return tuple(
        DeviceLink(a, b, zeta[a, b] / (2 * math.pi) if (a, b) in zeta else None)
        for a, b in coupling_links(session.qpu.target)
    )


def _choices(session: Session, window: WindowCoherence, sequence: str | None) -> dict[int, Choice]:
    """The plan that filled the window: each window is planned by itself, and nothing in it is random."""
    if sequence != ZZ_AWARE:
        return {}
    chosen = choose_idle(session.qpu.backend, [window.window_seconds], assumed=session.platform.qpus[0].noise)
    return chosen[Timing.of(session.qpu.target).ticks(window.window_seconds)]


def _qubits(
    session: Session, sides: Sides, choices: dict[int, Choice]
) -> tuple[QubitCoherence, ...]:
    old = sides[0].windows["68"]
    relaxation = relaxation_times(session.qpu.target, old.qubits)
    rows = []
    for qubit in sorted(old.qubits):
        t1, t2 = relaxation.get(qubit, (None, None))
        choice = choices.get(qubit)
        plan = {} if choice is None else {
            "sequence": choice.sequence, "pulses": len(choice.pulses), "idle_error": choice.idle_error,
            "error": choice.error, "why": choice.why,
        }  # fmt: skip
        rows.append(
            QubitCoherence(
                qubit, _interval(sides[0], "68", qubit), _interval(sides[1], "68", qubit),
                _interval(sides[0], "workload", qubit), _interval(sides[1], "workload", qubit),
                t1, t2, old.ceiling.get(qubit), **plan,
            )
        )  # fmt: skip
    return tuple(rows)


def _interval(side: DeviceFigures | None, name: str, qubit: int) -> Interval | None:
    window = side.windows.get(name) if side is not None else None
    found = window.qubits.get(qubit) if window is not None else None
    return None if found is None else (found.value, found.low, found.high)
