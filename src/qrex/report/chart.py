"""The chart: classical and quantum metrics, before beside after, as a PNG of exactly 2400 × 1200 pixels.

In: `Summary`. Out: PNG bytes. Metrics differ in scale, so each has its own small axis from zero with its own
unit; error bars are 95 % intervals. Before is grey, after is blue (told apart by any colour vision and in
print). A side that was not measured is hatched and says so.
"""

from __future__ import annotations

import io
import re
import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from qrex.evidence import Comparison
from qrex.report.bars import Bar, Bars, bars_for
from qrex.report.wording import SOURCES, clean

if TYPE_CHECKING:
    from qrex.report.summary import Summary

__all__ = ["PIXELS", "chart_name", "chart_png"]

PIXELS = (2400, 1200)
_DPI = 200
_LINES = 3  # of a title
_MOST = 10  # axes per panel; the tables hold every figure

_INK, _SOFT, _RULE, _CARD = "#1b1f24", "#59636e", "#d5dae1", "#f6f8fa"
_BEFORE, _AFTER = "#9aa7b5", "#0072b2"
_VERDICT_INK = {"improved": "#0a6b4d", "worse": "#a33c00", "changed": _INK}
_VERDICT_MARK = {"improved": "✓ improved", "worse": "✗ worse", "changed": "changed"}


def chart_name(summary: Summary) -> str:
    """File name of the chart, with the time of the summary in it."""
    return f"Resource_Metrics_Comparison_{summary.timestamp}.png"


def _text(target, x: float, y: float, text: str, **style):  # type: ignore[no-untyped-def]
    """Text that is never read as a formula: names from outside may hold dollar signs."""
    return target.text(x, y, text, parse_math=False, **style)


def _above(ax: Axes, points: float, text: str, **style: Any) -> None:
    """Text `points` above the axis's upper left corner, however tall the axis is."""
    ax.annotate(text, (0.0, 1.0), xytext=(0, points), xycoords="axes fraction", textcoords="offset points",
                ha="left", va="bottom", parse_math=False, annotation_clip=False, **style)  # fmt: skip


def _draw_bar(ax: Axes, x: float, bar: Bar | None, color: str, span: float) -> None:
    if bar is None:
        ax.add_patch(
            Rectangle((x - 0.36, 0.0), 0.72, 1.0, transform=ax.get_xaxis_transform(), fill=False,
                      hatch="////", edgecolor=_RULE, linewidth=0.0)
        )  # fmt: skip
        _text(ax, x, 0.5, "not measured", transform=ax.get_xaxis_transform(), rotation=90, fontsize=6.2,
              ha="center", va="center", color=_SOFT,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
        return
    ax.bar(x, bar.value, width=0.72, color=color, linewidth=0)
    if bar.high > bar.low:
        _, caps, lines = ax.errorbar(
            x, bar.value, yerr=[[bar.value - bar.low], [bar.high - bar.value]], fmt="none", ecolor=_INK,
            elinewidth=1.0, capsize=3.4, capthick=1.0,
        )  # fmt: skip
        for line in (*caps, *lines):
            line.set_path_effects([patheffects.withStroke(linewidth=2.0, foreground="white")])
    above = bar.value >= 0
    edge = max(bar.high, 0.0) if above else min(bar.low, 0.0)
    _text(ax, x, edge + (0.03 if above else -0.03) * span, bar.label, ha="center", fontsize=7.2,
          va="bottom" if above else "top", color=_INK, fontweight="bold")  # fmt: skip


def _draw_axis(ax: Axes, bars: Bars, room: int) -> None:
    """`room` is how many characters of a title fit above the axis."""
    span = bars.top - bars.bottom
    ax.set_facecolor("none")
    ax.set_xlim(-0.6, 1.6)
    ax.set_ylim(bars.bottom * 1.18, bars.top + 0.16 * span)
    measured = bars.before is not None or bars.after is not None
    ticks = [bars.bottom, 0.0, bars.top / 2, bars.top] if bars.bottom < 0 else [0.0, bars.top / 2, bars.top]
    ax.set_yticks(ticks if measured else [])
    ax.set_yticklabels([f"{t:,g}" for t in ticks] if measured else [], fontsize=6, color=_SOFT)
    ax.grid(axis="y", color=_RULE, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, pad=2)
    ax.set_xticks([0, 1], ["before", "after"], fontsize=6.4, color=_SOFT)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(_SOFT)
    ax.spines["bottom"].set_linewidth(0.8)
    if bars.bottom < 0:
        ax.axhline(0.0, color=_SOFT, linewidth=0.8)
    _draw_bar(ax, 0, bars.before, _BEFORE, span)
    _draw_bar(ax, 1, bars.after, _AFTER, span)
    unbroken = re.sub(r"(?<=[\d=]) | (?==)", "\u00a0", bars.title)  # "τ = 1.2 µs" stays on one line
    title = textwrap.wrap(unbroken, room)
    title = title if len(title) <= _LINES else [*title[: _LINES - 1], title[_LINES - 1][: room - 1] + "…"]
    _above(ax, 21, "\n".join(title), fontsize=7.1, fontweight="bold", color=_INK, linespacing=1.1)
    mark = _VERDICT_MARK.get(bars.verdict, bars.verdict)
    if bars.verdict == "no significant difference":
        mark = "no signif. difference"
    line = f"{bars.change}  {mark}" if bars.verdict in _VERDICT_MARK else mark
    _above(ax, 10, line, fontsize=6.2, color=_VERDICT_INK.get(bars.verdict, _SOFT))
    unit = {"": "pure number", "s": "seconds"}.get(bars.unit, bars.unit)
    if measured:
        ax.set_ylabel(unit, fontsize=6.2, color=_SOFT, labelpad=2, parse_math=False)


def _grid_shape(figures: tuple[Comparison, ...]) -> tuple[int, int]:
    """Rows and columns of small axes; at least two columns, so that a lone bar pair is not stretched."""
    count = min(len(figures), _MOST)
    rows = 1 if count <= 3 else 2
    return rows, max(-(-count // rows), 2)


def _draw_panel(panel: SubFigure, title: str, figures: tuple[Comparison, ...], room: int) -> None:
    panel.patch.set_alpha(0.0)
    panel.add_artist(
        FancyBboxPatch((0.012, 0.01), 0.976, 0.98, boxstyle="round,pad=0,rounding_size=0.015", linewidth=0.8,
                       mutation_aspect=1.0, edgecolor=_RULE, facecolor=_CARD, transform=panel.transSubfigure,
                       zorder=-5)
    )  # fmt: skip
    _text(panel, 0.035, 0.945, title, fontsize=11, fontweight="bold", color=_INK, ha="left", va="center")
    shown, hidden = figures[:_MOST], len(figures) - _MOST
    if hidden > 0:
        _text(panel, 0.965, 0.945, f"{hidden} more in the tables", fontsize=7, color=_SOFT, ha="right",
              va="center")  # fmt: skip
    if not shown:
        _text(panel, 0.5, 0.5, "not measured", fontsize=10, color=_SOFT, ha="center", va="center")
        return
    rows, columns = _grid_shape(figures)
    grid = panel.add_gridspec(
        rows, columns, left=0.35 / (columns + 0.4), right=0.975, bottom=0.06, wspace=0.55,
        top=0.82 if rows == 1 else 0.80, hspace=0.52,
    )  # fmt: skip
    for index, comparison in enumerate(shown):
        _draw_axis(panel.add_subplot(grid[divmod(index, columns)]), bars_for(comparison), room)


def _subtitle(summary: Summary) -> str:
    qpu = summary.qpu
    parts = [f"Platform {clean(summary.platform, 40)}", f"workload {clean(summary.workload, 40)}"]
    if qpu.get("name"):
        source = SOURCES.get(str(qpu.get("source", "")), clean(str(qpu.get("source", "source unknown")), 30))
        parts.append(f"QPU {clean(str(qpu['name']), 40)} ({source})")
    else:
        parts.append("no QPU")
    day, _, time = summary.timestamp.partition("_")
    parts.append(f"{day} {time.replace('-', ':')} UTC")
    return "  ·  ".join(parts)


def chart_png(summary: Summary) -> bytes:
    """The chart as PNG bytes, 2400 × 1200 pixels."""
    figure = Figure(figsize=(PIXELS[0] / _DPI, PIXELS[1] / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    head, body = figure.subfigures(2, 1, height_ratios=[0.125, 0.875], hspace=0.0)
    _text(head, 0.016, 0.64, "Resource metrics, before and after", fontsize=15, fontweight="bold",
          color=_INK, ha="left", va="center")  # fmt: skip
    _text(head, 0.016, 0.20, _subtitle(summary), fontsize=8, color=_SOFT, ha="left", va="center")
    head.legend(
        handles=[Patch(color=_BEFORE, label="before"), Patch(color=_AFTER, label="after")],
        loc="center right", bbox_to_anchor=(0.989, 0.64), ncols=2, frameon=False, fontsize=9,
        handlelength=1.2, handleheight=1.0, columnspacing=1.4,
    )  # fmt: skip
    _text(head, 0.984, 0.20, "error bars: 95 % intervals  ·  every axis has its own unit and shows zero",
          fontsize=7, color=_SOFT, ha="right", va="center")  # fmt: skip
    groups = (("Classical resources", summary.classical), ("Quantum resources", summary.quantum))
    room = 150 // max(sum(_grid_shape(group)[1] for _, group in groups), 7)
    panels = body.subfigures(1, 2, width_ratios=[_grid_shape(g)[1] + 0.4 for _, g in groups], wspace=0.0)
    for panel, (title, group) in zip(panels, groups, strict=True):
        _draw_panel(panel, title, group, room)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
