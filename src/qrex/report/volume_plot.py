"""Picture of a quantum volume: heavy-output probability by width, before and after, and circuit by circuit.

In: results of `measure.quantum_volume`. Out: a `Figure`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qrex.measure.quantum_volume import THRESHOLD, VolumeResult
from qrex.report.protocol_plots import _BLUE, _INK, _ORANGE, _RULE, _SOFT, _dress, _figure

__all__ = ["volume_figure"]


def volume_figure(
    before: Sequence[VolumeResult], after: Sequence[VolumeResult], heading: str, subtitle: str
) -> Figure:
    """HOP of every width left; the circuits of the widest width that both ran, before against after, right."""
    figure = _figure(heading, subtitle, 11.0, 4.9)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.5, 1]})
    _widths(left, before, after)
    common = sorted({one.width for one in before} & {one.width for one in after})
    if common:
        pair = [next(one for one in results if one.width == common[-1]) for results in (before, after)]
        _circuits(right, *pair)
    else:
        right.set_axis_off()
    return figure


def _widths(ax: Axes, before: Sequence[VolumeResult], after: Sequence[VolumeResult]) -> None:
    everything = {one.width: one for one in (*before, *after)}
    widths = sorted(everything)
    ideal = [everything[n].hop.detail["ideal"] for n in widths]
    ax.plot(widths, ideal, color=_SOFT, linewidth=1.0, linestyle="--", marker=".", label="a perfect device")
    series = ((before, _ORANGE, "s", "preset level 3", -0.09), (after, _BLUE, "o", "everything on", 0.09))
    for results, color, marker, name, shift in series:
        for number, one in enumerate(results):
            m = one.hop
            ax.errorbar(
                one.width + shift, m.value, yerr=[[m.value - m.low], [m.high - m.value]], fmt=marker, color=color,
                markerfacecolor=color if one.passed else "white", markersize=6, capsize=3, linewidth=1.2,
                label=f"{name} (filled: passed)" if number == 0 else None,
            )  # fmt: skip
    for level, words in ((THRESHOLD, "to pass: 2/3"), (0.5, "random guess")):
        ax.axhline(level, color=_INK if level == THRESHOLD else _SOFT, linewidth=0.9, linestyle=":")
        ax.annotate(words, (1.0, level), xycoords=("axes fraction", "data"), xytext=(-3, 3),
                    textcoords="offset points", ha="right", fontsize=7.5, color=_SOFT)  # fmt: skip
    ax.set_xticks(widths)
    ax.set_xlim(widths[0] - 0.5, widths[-1] + 0.75)
    ax.set_ylim(0.46, 1.0)
    _dress(ax, "Heavy-output probability, the same model circuits for both", "width and depth of the circuits",
           "heavy-output probability")  # fmt: skip
    ax.legend(frameon=False, fontsize=7.5, loc="upper right")


def _circuits(ax: Axes, before: VolumeResult, after: VolumeResult) -> None:
    shares = [np.array(one.heavy) / np.array(one.shots) for one in (before, after)]
    low, high = min(map(np.min, shares)) - 0.02, max(map(np.max, shares)) + 0.02
    ax.plot([low, high], [low, high], color=_RULE, linewidth=1.0, zorder=0)
    for level in (THRESHOLD,):
        ax.axhline(level, color=_SOFT, linewidth=0.8, linestyle=":")
        ax.axvline(level, color=_SOFT, linewidth=0.8, linestyle=":")
    ax.plot(*shares, "o", color=_BLUE, markersize=3.5, alpha=0.7, linewidth=0)
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    better = int((shares[1] > shares[0]).sum())
    _dress(ax, f"Width {before.width}, circuit by circuit: {better} of {len(shares[0])} better",
           "heavy outputs, preset level 3", "heavy outputs, everything on")  # fmt: skip
