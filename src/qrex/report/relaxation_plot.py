"""Pictures of relaxation and of ZZ: curves with their fits left, every member with its interval right.

In: results of `measure.relaxation` and `measure.zz`. Out: a `Figure` each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qrex.evidence import Measurement
from qrex.measure.relaxation import DecayCurve, RelaxationResult
from qrex.measure.statistics import Z95
from qrex.measure.zz import ZzResult
from qrex.report.protocol_plots import _BLUE, _INK, _ORANGE, _dress, _figure, plot_members

__all__ = ["relaxation_figure", "zz_figure"]

_NAMES = {"T1": "T1", "echo": "T2 (echo)", "Ramsey": "T2*"}


def relaxation_figure(result: RelaxationResult, heading: str, subtitle: str) -> Figure:
    """Curves of the best, the median and the worst qubit; the time of every qubit."""
    figure = _figure(heading, subtitle, 11.0, 4.6)
    left, right = figure.subplots(1, 2)
    ranked = sorted(result.times, key=lambda q: -result.times[q].value)
    chosen = list(dict.fromkeys((ranked[0], ranked[len(ranked) // 2], ranked[-1])))
    _curves(left, [(f"qubit {q}", result.curves[q], _curve_of(result, q)) for q in chosen])
    _dress(left, f"{result.kind}: longest, median and shortest", "delay (µs)", "contrast")
    times = [_scaled(m, 1e6, "µs") for m in result.times.values()]
    plot_members(right, [str(q) for q in result.times], times, title=f"{_NAMES[result.kind]} of every qubit",
                 xlabel="qubit", ylabel=f"{_NAMES[result.kind]} (µs)",
                 median=_scaled(result.median, 1e6, "µs"))  # fmt: skip
    right.set_ylim(bottom=0)
    return figure


def zz_figure(result: ZzResult, heading: str, subtitle: str) -> Figure:
    """Curves of the strongest, the median and the weakest link; ζ/2π of every link."""
    figure = _figure(heading, subtitle, 11.0, 4.6)
    left, right = figure.subplots(1, 2)
    ranked = sorted(result.rates, key=lambda link: -abs(result.rates[link].value))
    chosen = list(dict.fromkeys((ranked[0], ranked[len(ranked) // 2], ranked[-1])))
    _curves(left, [(f"link {a}-{b}", result.curves[a, b], lambda t, link=(a, b): result.curve(link, t))
                   for a, b in chosen])  # fmt: skip
    _dress(left, "ZZ: strongest, median and weakest link", "delay (µs)", "contrast")
    rates = [_scaled(m, 1e-3, "kHz") for m in result.rates.values()]
    plot_members(right, [f"{a}-{b}" for a, b in result.rates], rates, title="ζ/2π of every link", xlabel="link",
                 ylabel="ζ/2π (kHz)")  # fmt: skip
    right.axhline(0, color=_INK, linewidth=0.8)
    return figure


def _curve_of(result: RelaxationResult, qubit: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda delays: result.curve(qubit, delays)


def _curves(ax: Axes, chosen: Sequence[tuple[str, DecayCurve, Callable[[np.ndarray], np.ndarray]]]) -> None:
    styles = zip((_BLUE, _INK, _ORANGE), ("o", "s", "^"), strict=True)
    for (name, curve, fitted), (color, marker) in zip(chosen, styles, strict=False):
        x = np.array(curve.delays_seconds)
        smooth = np.linspace(0, x[-1], 600)
        ax.plot(1e6 * smooth, fitted(smooth), color=color, linewidth=1.0, alpha=0.8)
        ax.errorbar(1e6 * x, curve.contrast, yerr=Z95 * np.array(curve.errors), fmt=marker, color=color, markersize=4,
                    capsize=2, linewidth=0, elinewidth=1.0, label=name)  # fmt: skip
    ax.legend(frameon=False, fontsize=7.5, loc="upper right")


def _scaled(m: Measurement, factor: float, unit: str) -> Measurement:
    return replace(m, value=m.value * factor, low=m.low * factor, high=m.high * factor, unit=unit)
