"""Pictures of the coherence section: a map of the device by Q, and the decay of Q with the window.

In: `CoherenceSection`. Out: `Figure`, or PNG bytes for the page. Before is left or grey, after right or blue. Error
bars are 95 % intervals; colors are told apart by any color vision and in grey print.
"""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from qrex.measure.coherence_result import relaxation_ceiling
from qrex.report.coherence_section import CoherenceSection, WindowPoint
from qrex.report.device_map import draw_map, link_width, qubit_places
from qrex.report.wording import interval_text, value_text

__all__ = ["coherence_pngs", "decay_figure", "map_figure"]

_INK, _SOFT, _RULE = "#1b1f24", "#59636e", "#d5dae1"
_BEFORE, _AFTER = "#6b7683", "#0072b2"  # as in the chart; the grey darker, since it stands for lines here
_DPI = 160
_WIDTH = 10.5
_FOOT, _HEAD = 0.62, 0.42  # inches, below and above the maps


def coherence_pngs(section: CoherenceSection) -> dict[str, bytes]:
    """{"map", "decay"} -> PNG; no decay where none was measured."""
    figures = {"map": map_figure(section)}
    if section.curve:
        figures["decay"] = decay_figure(section)
    return {name: _png(figure) for name, figure in figures.items()}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def map_figure(section: CoherenceSection) -> Figure:
    """Q at τ_68 on the device, before left and after right on one scale; only before where there is no after."""
    places = qubit_places(section.num_qubits, [(one.a, one.b) for one in section.links])
    before = {row.qubit: row.before[0] for row in section.qubits}
    after = {row.qubit: row.after[0] for row in section.qubits if row.after is not None}
    medians = section.figure("coherence_68")
    sides = [("Before", before, medians and medians.before)]
    if after:
        sides.append((f"After, {section.sequence}", after, medians and medians.after))
    values = [*before.values(), *after.values()]
    norm = Normalize(min(max(np.floor(min(values) * 10) / 10, 0.0), 0.9), 1.0)
    colors = matplotlib.colormaps["viridis"]
    width = _WIDTH if len(sides) == 2 else 0.62 * _WIDTH
    extent = np.ptp(places, axis=0) + 1.1
    panel = (width - 0.9) / len(sides) - 0.15
    tall = float(np.clip(panel * extent[1] / extent[0], 0.8, panel))
    height = tall + _HEAD + _FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for number, (title, found, median) in enumerate(sides):
        left = 0.12 + number * (panel + 0.15)
        ax = figure.add_axes((left / width, _FOOT / height, panel / width, tall / height))
        draw_map(ax, places, section.links, found, norm, colors)
        words = f"{title}: median {value_text(median)} {interval_text(median)}" if median else title
        figure.text((left + 0.05) / width, 1 - 0.22 / height, words, fontsize=9.5, color=_INK, va="center",
                    parse_math=False)  # fmt: skip
    long = min(tall, 3.2)
    bar = figure.add_axes(((width - 0.72) / width, (_FOOT + (tall - long) / 2) / height, 0.14 / width, long / height))
    beyond = "min" if min(values) < norm.vmin else "neither"
    scale = figure.colorbar(ScalarMappable(norm, colors), cax=bar, extend=beyond)
    scale.set_label(f"Q at τ_68 = {section.window_68_seconds * 1e6:.3g} µs", fontsize=8, color=_SOFT)
    scale.ax.tick_params(labelsize=7.5, colors=_SOFT, length=2)
    scale.outline.set_edgecolor(_RULE)
    _key_of_links(figure, section, height)
    return figure


def _key_of_links(figure: Figure, section: CoherenceSection, height: float) -> None:
    known = [abs(one.zz_hertz) for one in section.links if one.zz_hertz is not None]
    place = {"loc": "center left", "bbox_to_anchor": (0.008, 0.26 / height), "frameon": False, "fontsize": 7.8,
             "labelcolor": _SOFT}  # fmt: skip
    if not known or max(known) == 0:
        lines = [Line2D([], [], color="#c3cad2", linewidth=1.2, label="coupled qubits (no ZZ given)")]
        figure.legend(handles=lines, **place)
        return
    top = max(known)
    power = 10.0 ** np.floor(np.log10(top))
    round_one = max(step * power for step in (1, 2, 5) if step * power <= top)
    lines = [
        Line2D([], [], color=_SOFT, linewidth=link_width(zz, top), label=f"{zz / 1e3:.3g} kHz")
        for zz in (round_one / 5, round_one / 2, round_one)
    ]
    words = Line2D([], [], linewidth=0, label="ZZ of a link, |ζ|/2π:")
    figure.legend(handles=[words, *lines], ncols=4, handlelength=1.6, columnspacing=1.4, **place)


def decay_figure(section: CoherenceSection) -> Figure:
    """Median Q against the window, before and after, below what T1 and T2 alone would allow."""
    figure = Figure(figsize=(8.4, 4.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    points = sorted(section.curve, key=lambda point: point.window_seconds)
    _ceiling(ax, section, points)
    _series(ax, points, "before", _BEFORE, "s", "before, idle")
    if section.sequence is not None:
        _series(ax, points, "after", _AFTER, "o", f"after, {section.sequence}")
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    seen = [m.low for point in points for m in (point.before, point.after) if m is not None]
    ax.set_ylim(min(-0.02, min(seen) - 0.03), 1.04)
    ax.axhline(section.level, color=_SOFT, linewidth=0.9, linestyle=":", zorder=0)
    ax.annotate(f"Q = {section.level:g}", (1.0, section.level), xycoords=("axes fraction", "data"), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=8, color=_SOFT)  # fmt: skip
    tau = section.window_68_seconds * 1e6
    ax.axvline(tau, color=_RULE, linewidth=1.0, zorder=0)
    ax.annotate("τ_68", (tau, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                ha="center", fontsize=8, color=_SOFT)  # fmt: skip
    _crossings(ax, section)
    title = f"Median Q over {len(section.qubits)} qubits"
    if section.window_ratio is not None:
        title += f"; windows with Q of {section.level:g} or more grew by W = {_ratio(section)}"
    ax.set_title(title, fontsize=9.5, loc="left", color=_INK, pad=16, parse_math=False)
    ax.set_xlabel("idle window τ, µs (logarithmic)", fontsize=8.5, color=_SOFT)
    ax.set_ylabel("Q, pure number", fontsize=8.5, color=_SOFT)
    ax.tick_params(labelsize=8, colors=_SOFT, length=2.5)
    ax.grid(axis="y", color=_RULE, linewidth=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(_SOFT)
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def _ratio(section: CoherenceSection) -> str:
    ratio = section.window_ratio
    return " ".join(filter(None, (value_text(ratio), interval_text(ratio))))


def _ceiling(ax: Axes, section: CoherenceSection, points: list[WindowPoint]) -> None:
    times = [(row.t1_seconds, row.t2_seconds) for row in section.qubits if row.t1_seconds and row.t2_seconds]
    if not times:
        return
    span = np.geomspace(points[0].window_seconds / 1.25, points[-1].window_seconds * 1.25, 120)
    top = [float(np.median([relaxation_ceiling(t1, t2, s) for t1, t2 in times])) for s in span]
    ax.plot(span * 1e6, top, color=_SOFT, linewidth=1.2, linestyle="--", label="T1 and T2 alone would allow")


def _series(ax: Axes, points: list[WindowPoint], side: str, color: str, marker: str, label: str) -> None:
    shown = [(point.window_seconds * 1e6, m) for point in points if (m := getattr(point, side)) is not None]
    if not shown:
        return
    values = [m.value for _, m in shown]
    spread = [[m.value - m.low for _, m in shown], [m.high - m.value for _, m in shown]]
    windows = [at for at, _ in shown]
    # Straight in τ from Q = 1 at 0, as the window ratio reads the curve; on a logarithmic axis that is bent.
    span = np.geomspace(windows[0], windows[-1], 300)
    ax.plot(span, np.interp(span, windows, values), color=color, linewidth=1.3)
    ax.errorbar(windows, values, yerr=spread, fmt=marker, linestyle="none", color=color, markersize=5, capsize=3,
                linewidth=1.3, label=label)  # fmt: skip


def _crossings(ax: Axes, section: CoherenceSection) -> None:
    """Where each curve meets the level, on it: the two ends of W."""
    found = section.figure("coherence_window")
    if found is None:
        return
    for m, color in ((found.before, _BEFORE), (found.after, _AFTER)):
        if m is None or m.is_lower_bound:
            continue
        at = [x * 1e6 for x in (m.value, m.low, m.high)]
        ax.errorbar(at[0], section.level, xerr=[[at[0] - at[1]], [at[2] - at[0]]], fmt="|", color=color, markersize=10,
                    capsize=3, linewidth=2.0, zorder=4)  # fmt: skip
