"""Pictures of layers and of what stands between random Cliffords.

In: results of `measure.layer_fidelity` and `measure.interleaved`. Out: a `Figure` for each. Error bars are 95 %
intervals, as in `protocol_plots`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from qiskit.transpiler import Target

from qrex.measure.interleaved import InterleavedGroup, InterleavedResult
from qrex.measure.layer_fidelity import LayerFidelityResult
from qrex.measure.rb import GroupDecay
from qrex.measure.schedule import native_pair
from qrex.measure.statistics import wilson_interval
from qrex.report.protocol_plots import (
    _BLUE,
    _GREEN,
    _INK,
    _ORANGE,
    _RULE,
    _SOFT,
    _dress,
    _figure,
    plot_members,
    survival_points,
)
from qrex.report.wording import interval_text, value_text

__all__ = ["interleaved_figure", "layer_figure"]

_COLORS, _MARKERS = (_BLUE, _ORANGE, _GREEN), ("o", "s", "^")


def layer_figure(results: Sequence[LayerFidelityResult], target: Target, heading: str, subtitle: str) -> Figure:
    """Infidelity of every pair and idle qubit in its layer, the stated gate error beside it; decays below."""
    figure = _figure(heading, subtitle, 11.0, 8.0)
    upper, lower = figure.add_gridspec(2, 1, height_ratios=[1.15, 1])
    _plot_groups(figure.add_subplot(upper), results, target)
    decays = lower.subgridspec(1, len(results[0].decays))
    for number, ones in enumerate(results[0].decays):
        _plot_layer_decays(figure.add_subplot(decays[number]), number, ones)
    return figure


def _plot_groups(ax: Axes, results: Sequence[LayerFidelityResult], target: Target) -> None:
    first = results[0]
    groups = [decay.qubits for layer in first.decays for decay in layer]
    places = np.arange(len(groups))
    for number, result in enumerate(results[:3]):
        fidelities = [one for layer in result.fidelities for one in layer]
        middle = np.array([1 - one.value for one in fidelities])
        spread = [middle - [1 - one.high for one in fidelities], [1 - one.low for one in fidelities] - middle]
        name = "plain" if result.label == "none" else f"with {result.label}"
        ax.errorbar(
            places + 0.14 * (number - (len(results) - 1) / 2), middle, yerr=np.clip(spread, 0, None),
            fmt=_MARKERS[number], color=_COLORS[number], markersize=4.5, capsize=2.5, linewidth=1.1, linestyle="none",
            label=f"{name}: LF {value_text(result.fidelity)} {interval_text(result.fidelity)}, error per layered gate "
                  f"{value_text(result.eplg)} {interval_text(result.eplg)}",
        )  # fmt: skip
    stated = [_stated_error(target, group) for group in groups]
    known = [place for place, error in enumerate(stated) if error is not None]
    ax.plot(known, [stated[place] for place in known], linestyle="none", marker="_", markersize=13, markeredgewidth=1.6,
            color=_INK, label="stated error of the gate alone (of an idle qubit: of sx)")  # fmt: skip
    edge = -0.5
    for number, layer in enumerate(first.decays):
        start, edge = edge, edge + len(layer)
        ax.annotate(f"layer {number + 1}", ((start + edge) / 2, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                    textcoords="offset points", ha="center", fontsize=8, color=_SOFT)  # fmt: skip
        if number:
            ax.axvline(start, color=_RULE, linewidth=1.0)
    names = ["-".join(map(str, group)) for group in groups]
    step = max(1, len(names) // 40)
    ax.set_xticks(places[::step], names[::step], rotation=90 if len(names) > 8 else 0)
    ax.set_xlim(-0.7, len(names) - 0.3)
    ax.set_ylim(0, 1.2 * ax.get_ylim()[1])  # room for the legend
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value * 1e3:g}"))
    _dress(ax, "Process infidelity of every pair and idle qubit while its layer runs", "pair or idle qubit",
           "1 − F, ×10⁻³")  # fmt: skip
    ax.set_title(ax.get_title(loc="left"), fontsize=9.5, loc="left", color=_INK, pad=16)
    ax.legend(frameon=False, fontsize=7.5)


def _stated_error(target: Target, group: tuple[int, ...]) -> float | None:
    """Process infidelity that the stated average gate error stands for; None where there is none, or a broken gate."""
    pair = len(group) == 2
    name = native_pair(target, (group[0], group[1]))[0] if pair else "sx"
    entry = target[name].get(group) if target[name] else None
    error = getattr(entry, "error", None)
    return None if error is None or error > 0.5 else error * (5 / 4 if pair else 3 / 2)


def _plot_layer_decays(ax: Axes, number: int, decays: Sequence[GroupDecay]) -> None:
    """All pairs and idle qubits of a layer in grey; points of the best and worst pair and of the worst idle qubit."""
    pairs = sorted((d for d in decays if len(d.qubits) == 2), key=lambda d: d.error.value)
    idle = sorted((d for d in decays if len(d.qubits) == 1), key=lambda d: d.error.value)
    for decay in decays:
        _plot_decay(ax, decay, _RULE, None, "")
    shown = [(pairs[0], "best pair"), *([(pairs[-1], "worst pair")] if len(pairs) > 1 else []),
             *([(idle[-1], "worst idle qubit" if len(idle) > 1 else "idle qubit")] if idle else [])]  # fmt: skip
    for (decay, label), color, marker in zip(shown, _COLORS, _MARKERS, strict=False):
        _plot_decay(ax, decay, color, marker, f"{label}, {'-'.join(map(str, decay.qubits))}")
    ax.axhline(0.25, color=_SOFT, linewidth=0.8, linestyle=":")
    ax.set_ylim(0.1, 1.02)
    _dress(ax, f"Decay in layer {number + 1}", "depth (layers)", "probability of the expected answer")
    ax.legend(frameon=False, fontsize=7.5, loc="lower left")


def _plot_decay(ax: Axes, decay: GroupDecay, color: str, marker: str | None, label: str) -> None:
    depths = np.linspace(0, 1.03 * max(decay.alpha.detail["depths"]), 200)
    curve = decay.fit.amplitude * decay.fit.alpha**depths + decay.fit.offset
    ax.plot(depths, curve, color=color, linewidth=0.8 if marker is None else 1.4, zorder=1 if marker is None else 2)
    if marker is None:
        return
    points = survival_points(decay)
    shares = np.array([k / n for _, k, n in points])
    bounds = np.array([wilson_interval(k, n) for _, k, n in points])
    ax.errorbar(
        [depth for depth, _, _ in points], shares,
        yerr=np.clip([shares - bounds[:, 0], bounds[:, 1] - shares], 0, None), fmt=marker, color=color, markersize=4.5,
        capsize=2.5, linewidth=1.1, zorder=3, label=label,
    )  # fmt: skip


def interleaved_figure(results: Sequence[InterleavedResult], heading: str, subtitle: str) -> Figure:
    """Per element a row: the two decays of the median set left, the error of every set right."""
    figure = _figure(heading, subtitle, 11.0, 0.9 + 3.6 * len(results))
    axes = figure.subplots(len(results), 2, squeeze=False, gridspec_kw={"width_ratios": [1.1, 1]})
    for (left, right), result in zip(axes, results, strict=True):
        middle = sorted(result.groups, key=lambda group: group.error.value)[len(result.groups) // 2]
        _plot_side_by_side(left, result.element, middle)
        plot_members(
            right, ["-".join(map(str, group.qubits)) for group in result.groups],
            [group.error for group in result.groups], title=f"Error of {result.element}, interleaved",
            xlabel="qubit" if len(middle.qubits) == 1 else "pair", ylabel="average infidelity",
            median=result.median_error, thousandths=True,
        )  # fmt: skip
    return figure


def _plot_side_by_side(ax: Axes, element: str, group: InterleavedGroup) -> None:
    name = "-".join(map(str, group.qubits))
    floor = 0.5 ** len(group.qubits)
    plain, other = "random Cliffords alone", f"with {element}"
    kinds = ((group.reference, _BLUE, "o", plain), (group.interleaved, _ORANGE, "s", other))
    for decay, color, marker, label in kinds:
        _plot_decay(ax, decay, color, marker, f"{label}: α = {value_text(decay.alpha)} {interval_text(decay.alpha)}")
    ax.axhline(floor, color=_SOFT, linewidth=0.8, linestyle=":")
    ax.set_ylim(floor - 0.24, 1.02)
    _dress(ax, f"{'Qubit' if len(group.qubits) == 1 else 'Pair'} {name}, the median one", "sequence length (steps)",
           "probability of the expected answer")  # fmt: skip
    ax.legend(frameon=False, fontsize=7.5, loc="lower left")
