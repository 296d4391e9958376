"""Pictures of single protocols: benchmarking decays, transfer matrices, coherence curves, links.

In: results of `measure`. Out: axes drawn on, or a whole `Figure` per protocol, saved as a PNG. Error bars are
95 % intervals everywhere; the palette is Okabe and Ito's, told apart by any color vision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from qrex.evidence import Measurement
from qrex.measure.coherence_result import CoherenceResult, relaxation_ceiling
from qrex.measure.entanglement import isotropic_ebits
from qrex.measure.links import LinkResult
from qrex.measure.rb import GroupDecay, RbResult
from qrex.measure.statistics import wilson_interval
from qrex.measure.tomography import ProcessResult
from qrex.report.wording import interval_text, value_text

__all__ = [
    "coherence_figure",
    "entanglement_figure",
    "link_ebits",
    "plot_coherence",
    "plot_decays",
    "plot_members",
    "plot_transfer_matrix",
    "rb_figure",
    "save_png",
    "survival_points",
    "tomography_figure",
]

_INK, _SOFT, _RULE = "#1b1f24", "#59636e", "#d5dae1"
_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"
_MOST_NAMES = 40
"""Members whose names still fit under an axis."""


def survival_points(decay: GroupDecay) -> list[tuple[int, int, int]]:
    """(depth, successes, shots) with the samples of a depth added up."""
    detail = decay.alpha.detail
    depths, shares = np.array(detail["depths"]), np.array(detail["survival"])
    shots = decay.alpha.n // len(depths)
    return [
        (int(depth), round(float(shares[depths == depth].sum()) * shots), shots * int((depths == depth).sum()))
        for depth in np.unique(depths)
    ]


def plot_decays(ax: Axes, result: RbResult) -> None:
    """Survival against sequence length: all fits in grey; points of the best, median and worst set."""
    width = len(result.groups[0].qubits)
    ranked = sorted(result.groups, key=lambda group: group.error.value)
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    longest = max(result.groups[0].alpha.detail["depths"])
    lengths = np.linspace(0, longest * 1.03, 200)

    def curve(decay: GroupDecay) -> np.ndarray:
        return decay.fit.amplitude * decay.fit.alpha**lengths + decay.fit.offset

    for decay in ranked:
        ax.plot(lengths, curve(decay), color=_RULE, linewidth=0.8, zorder=1)
    shown: set[int] = set()
    marks = zip(places.items(), (_BLUE, _INK, _ORANGE), ("o", "s", "^"), strict=True)
    for (label, place), color, marker in marks:
        if place in shown:
            continue
        shown.add(place)
        decay = ranked[place]
        ax.plot(lengths, curve(decay), color=color, linewidth=1.4, zorder=2)
        points = survival_points(decay)
        shares = np.array([k / n for _, k, n in points])
        bounds = np.array([wilson_interval(k, n) for _, k, n in points])
        found = f"error {value_text(decay.error)} {interval_text(decay.error)}"
        ax.errorbar(
            [depth for depth, _, _ in points], shares,
            yerr=np.clip([shares - bounds[:, 0], bounds[:, 1] - shares], 0, None), fmt=marker, color=color,
            markersize=4.5, capsize=2.5, linewidth=1.1, zorder=3,
            label=f"{label}, {_members_name(decay.qubits)}: {found}",
        )  # fmt: skip
    ax.axhline(0.5**width, color=_SOFT, linewidth=0.8, linestyle=":")
    ax.annotate(f"random guess, 1/{2**width}", (1.0, 0.5**width), xycoords=("axes fraction", "data"),
                xytext=(-4, 3), textcoords="offset points", ha="right", fontsize=7.5, color=_SOFT)  # fmt: skip
    ax.set_ylim(0.5**width - 0.26, 1.02)  # room for the legend below the random guess
    ax.set_xlim(-0.02 * longest, longest * 1.03)
    _dress(ax, f"{width}-qubit decay, {len(ranked)} {'qubits' if width == 1 else 'pairs'} at once",
           "sequence length (Clifford gates)", "probability of the expected answer")  # fmt: skip
    ax.legend(frameon=False, fontsize=7.5, loc="lower left")


def plot_members(
    ax: Axes,
    names: Sequence[str],
    values: Sequence[Measurement],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    median: Measurement | None = None,
    beside: tuple[str, Sequence[Measurement]] | None = None,
    label: str = "",
    thousandths: bool = False,
    from_zero: bool = False,
) -> None:
    """One point with its interval per member (qubit or link); `beside` is a second series with its label.

    `thousandths` labels the axis so, logarithmic where the values need it; `from_zero` draws a pale bar under
    every point.
    """
    places = np.arange(len(names))
    shift = 0.16 if beside else 0.0
    _errorbars(ax, places - shift, values, _BLUE, "o", label)
    if beside:
        _errorbars(ax, places + shift, beside[1], _ORANGE, "s", beside[0])
    if median is not None:
        ax.axhspan(median.low, median.high, color=_BLUE, alpha=0.12, linewidth=0, zorder=0)
        ax.axhline(median.value, color=_BLUE, linewidth=1.0, zorder=1,
                   label=f"median {value_text(median)} {interval_text(median)}")  # fmt: skip
    if from_zero:
        ax.bar(places, [m.value for m in values], width=0.5, color=_BLUE, alpha=0.25, linewidth=0, zorder=0)
        ax.set_ylim(bottom=0)
    if thousandths:
        _in_thousandths(ax, values)
        ylabel += ", ×10⁻³"
    few = len(names) <= _MOST_NAMES
    step = 1 if few else -(-len(names) // 24)
    wide = max(len(name) for name in names) > 2
    ax.set_xticks(places[::step], list(names)[::step], rotation=90 if wide and len(names) > 8 else 0)
    ax.set_xlim(-0.7, len(names) - 0.3)
    _dress(ax, title, xlabel, ylabel)
    if label or beside or median is not None:
        ax.legend(frameon=False, fontsize=7.5)


def plot_transfer_matrix(ax: Axes, matrix: np.ndarray, title: str, limit: float = 1.0) -> None:
    """A 4×4 Pauli transfer matrix with its numbers; colors span ±`limit`."""
    ax.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
    for row in range(4):
        for column in range(4):
            value = matrix[row, column]
            shown = f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
            ax.text(column, row, shown, ha="center", va="center", fontsize=7.5,
                    color="white" if abs(value) > 0.6 * limit else _INK)  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(4), list("IXYZ"), fontsize=8)
    ax.tick_params(length=0)
    ax.set_title(title, fontsize=9, loc="left", color=_INK)
    ax.set_xlabel("Pauli in", fontsize=8, color=_SOFT)
    ax.set_ylabel("Pauli out", fontsize=8, color=_SOFT)


def plot_coherence(
    ax: Axes, results: Sequence[CoherenceResult], relaxation: Mapping[int, tuple[float, float]]
) -> None:
    """Median Q against the idle window, one series per sequence, below the ceiling of `relaxation` (T1, T2)."""
    windows = sorted(w.window_seconds for w in results[0].windows)
    if relaxation:
        span = np.geomspace(windows[0] / 1.3, windows[-1] * 1.3, 120)
        top = [float(np.median([relaxation_ceiling(*times, s) for times in relaxation.values()])) for s in span]
        ax.plot(span * 1e6, top, color=_SOFT, linewidth=1.2, linestyle="--", label="T1 and T2 alone would allow")
    styles = zip((_BLUE, _ORANGE, _GREEN), ("o", "s", "^"), strict=True)
    # Markers of one window stand side by side, so that equal values do not hide each other.
    for number, (result, (color, marker)) in enumerate(zip(results, styles, strict=False)):
        ordered = sorted(result.windows, key=lambda w: w.window_seconds)
        at = np.array([w.window_seconds for w in ordered]) * 1e6 * 1.05 ** (number - (len(results) - 1) / 2)
        name = "idle" if result.sequence == "none" else f"with {result.sequence}"
        _errorbars(ax, at, [w.median for w in ordered], color, marker, f"{name}, median over the qubits", line=True)
        ax.plot(at, [w.tenth_percentile.value for w in ordered], color=color, marker=marker, markersize=3.5,
                markerfacecolor="white", linewidth=0.8, linestyle=":")  # fmt: skip
    for level in (0.68, 0.9):
        ax.axhline(level, color=_RULE, linewidth=0.9, zorder=0)
        ax.annotate(f"{level:g}", (1.0, level), xycoords=("axes fraction", "data"), xytext=(3, 0),
                    textcoords="offset points", va="center", fontsize=7.5, color=_SOFT)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(np.array(windows) * 1e6, [f"{w * 1e6:.3g}" for w in windows])
    ax.minorticks_off()
    ax.set_ylim(top=1.03)
    count = len(results[0].qubits)
    _dress(ax, f"Q of an idle window, {count} qubit{'s' * (count != 1)}, neighbors in |+⟩", "idle window (µs)",
           "Q (polarization, 1 at window 0)")  # fmt: skip
    handles, labels = ax.get_legend_handles_labels()
    tenth = Line2D([], [], color=_SOFT, marker="o", markersize=3.5, markerfacecolor="white", linewidth=0.8,
                   linestyle=":")  # fmt: skip
    ax.legend([*handles, tenth], [*labels, "the same, 10th percentile"], frameon=False, fontsize=7.5,
              loc="lower left")  # fmt: skip


# Whole figures ---------------------------------------------------------------------------------------


def rb_figure(results: Sequence[RbResult], heading: str, subtitle: str) -> Figure:
    """Decays left, the error of every set right; one row per width."""
    figure = _figure(heading, subtitle, 11.0, 0.9 + 3.7 * len(results))
    axes = figure.subplots(len(results), 2, squeeze=False, gridspec_kw={"width_ratios": [1.15, 1]})
    for (left, right), result in zip(axes, results, strict=True):
        plot_decays(left, result)
        errors = [group.error for group in result.groups]
        singles = len(result.groups[0].qubits) == 1
        plot_members(
            right, ["-".join(map(str, group.qubits)) for group in result.groups], errors,
            title=f"Error per Clifford gate of each {'qubit' if singles else 'pair'}",
            xlabel="qubit" if singles else "pair of qubits", ylabel="error per Clifford",
            median=result.median_error, thousandths=True,
        )  # fmt: skip
    return figure


def tomography_figure(result: ProcessResult, ideal: np.ndarray, heading: str, subtitle: str) -> Figure:
    """Fidelity of every qubit above; the median qubit's transfer matrix and its departure from ideal below."""
    figure = _figure(heading, subtitle, 9.0, 7.4)
    upper, lower = figure.add_gridspec(2, 1, height_ratios=[1, 1.15])
    plot_members(
        figure.add_subplot(upper), [str(one.qubit) for one in result.qubits], [one.fidelity for one in result.qubits],
        title=f"Process fidelity of {result.gate}, preparation and readout included", xlabel="qubit",
        ylabel="process fidelity", median=result.median,
    )  # fmt: skip
    middle = sorted(result.qubits, key=lambda one: one.fidelity.value)[len(result.qubits) // 2]
    below = lower.subgridspec(1, 3)
    measured = np.asarray(middle.transfer)
    plot_transfer_matrix(figure.add_subplot(below[0]), measured, f"Transfer matrix, qubit {middle.qubit} (median)")
    plot_transfer_matrix(figure.add_subplot(below[1]), ideal, f"Ideal {result.gate}")
    departure = measured - ideal
    limit = float(np.abs(departure).max()) or 1.0
    plot_transfer_matrix(figure.add_subplot(below[2]), departure, f"Difference (colors ±{limit:.2g})", limit)
    return figure


def coherence_figure(
    results: Sequence[CoherenceResult], relaxation: Mapping[int, tuple[float, float]], heading: str, subtitle: str
) -> Figure:
    """The curve."""
    figure = _figure(heading, subtitle, 8.4, 5.4)
    plot_coherence(figure.subplots(), results, relaxation)
    return figure


def entanglement_figure(
    links: LinkResult, bell: Mapping[tuple[int, int], Measurement], heading: str, subtitle: str
) -> Figure:
    """Fidelity of every link above, with the Bell witness beside it; ebits below."""
    figure = _figure(heading, subtitle, 11.0, 7.4)
    upper, lower = figure.subplots(2, 1)
    names = [f"{a}-{b}" for a, b in links.links]
    plot_members(
        upper, names, links.fidelities, title="Fidelity of every link", xlabel="", ylabel="fidelity",
        label="layer fidelity, by direct benchmarking",
        beside=("Bell witness, preparation and readout included", [bell[link] for link in links.links]),
    )  # fmt: skip
    plot_members(lower, names, link_ebits(links), title="Ebits of every link (hashing bound)", xlabel="link",
                 ylabel="ebits per use", from_zero=True)  # fmt: skip
    lower.set_ylim(0, 1.03)
    return figure


def link_ebits(links: LinkResult) -> list[Measurement]:
    """Hashing bound of every link; monotone in the fidelity, so its interval maps end by end."""
    return [
        Measurement(
            *(float(isotropic_ebits(x)) for x in (f.value, f.low, f.high)), "ebits", f.n, f.seed,
            f"hashing bound; {f.method}", f.source,
        )
        for f in links.fidelities
    ]  # fmt: skip


def save_png(figure: Figure, path: Path) -> None:
    """Write `figure` at 160 dots per inch."""
    figure.savefig(path, format="png", dpi=160)


# How they do it --------------------------------------------------------------------------------------


def _figure(heading: str, subtitle: str, width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    head = 0.62 / height
    figure.get_layout_engine().set(rect=(0.005, 0.005, 0.99, 0.99 - head), w_pad=0.08, h_pad=0.08)
    figure.text(0.012, 1 - 0.28 / height, heading, fontsize=12.5, fontweight="bold", color=_INK, va="center",
                parse_math=False)  # fmt: skip
    figure.text(0.012, 1 - 0.52 / height, subtitle, fontsize=8, color=_SOFT, va="center", parse_math=False)
    return figure


def _errorbars(
    ax: Axes, at: np.ndarray, values: Sequence[Measurement], color: str, marker: str, label: str, line: bool = False
) -> None:
    middle = [m.value for m in values]
    spread = [[m.value - m.low for m in values], [m.high - m.value for m in values]]
    many = len(values) > _MOST_NAMES
    ax.errorbar(at, middle, yerr=spread, fmt=marker, color=color, markersize=2.6 if many else 4.5,
                capsize=1.2 if many else 2.5, linewidth=1.2, linestyle="-" if line else "none",
                elinewidth=0.8 if many else 1.1, label=label or None)  # fmt: skip


def _in_thousandths(ax: Axes, values: Sequence[Measurement]) -> None:
    least, most = min(m.value for m in values), max(m.value for m in values)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value * 1e3:g}"))
    if not 0 < 4 * least < most:
        return
    ax.set_yscale("log")
    decades = np.log10(most / least)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value * 1e3:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    # An interval that reaches down to 0 has no end on this axis: it runs out of the picture.
    ax.set_ylim(bottom=0.6 * min(least, *(m.low for m in values if m.low > 0.1 * least)))


def _members_name(qubits: Sequence[int]) -> str:
    return f"qubit {qubits[0]}" if len(qubits) == 1 else f"pair {'-'.join(map(str, qubits))}"


def _dress(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.set_title(title, fontsize=9.5, loc="left", color=_INK, parse_math=False)
    ax.set_xlabel(xlabel, fontsize=8.5, color=_SOFT)
    ax.set_ylabel(ylabel, fontsize=8.5, color=_SOFT)
    ax.tick_params(labelsize=7.5, colors=_SOFT, length=2.5)
    ax.grid(axis="y", color=_RULE, linewidth=0.5)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(_SOFT)
