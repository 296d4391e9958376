"""Where the qubits of a device stand in a picture, and the picture: circles colored by a figure, links as lines.

In: the coupling graph. Out: a place for every qubit that minimizes the energy of Kamada and Kawai (1989): distances on
the page follow distances on the graph. Classical scaling gives the start, so that lattices come out unfolded, and
majorization (Gansner, Koren, North 2004) goes down from there. Deterministic; O(n³), under a second for 156 qubits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import rustworkx as rx
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Circle

from qrex.report.coherence_section import DeviceLink

__all__ = ["draw_map", "link_width", "qubit_places"]

_NO_LINK, _LINK, _INK, _EMPTY = "#c3cad2", "#59636e", "#1b1f24", "#eef1f4"
_RADIUS, _LARGEST = 0.36, 0.22  # of the least distance; inches
_STEPS = 300
_WIDEST, _THINNEST = 4.5, 0.5  # points
_POINTS_PER_INCH = 72


def qubit_places(num_qubits: int, links: Sequence[tuple[int, int]]) -> np.ndarray:
    """Shape (num_qubits, 2), the closest two 1 apart, the long side horizontal, the first qubit upper left."""
    if num_qubits == 1:
        return np.zeros((1, 2))
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(num_qubits))
    graph.add_edges_from_no_data(list(links))
    # Parts that no link joins would fly apart: a chain of their first qubits holds them together.
    firsts = sorted(min(part) for part in rx.connected_components(graph))
    graph.add_edges_from_no_data(list(pairwise(firsts)))
    places = _majorized(rx.distance_matrix(graph))
    places -= places.mean(axis=0)
    places = places @ np.linalg.svd(places, full_matrices=False)[2].T  # the longest extent on x
    # Which way an axis points is an accident of the numerics.
    places[:, 0] *= -1 if places[0, 0] > 1e-9 else 1
    places[:, 1] *= -1 if places[0, 1] < -1e-9 else 1
    apart = _distances(places) + np.where(np.eye(num_qubits, dtype=bool), np.inf, 0.0)
    return places / max(float(apart.min()), 1e-9)


def _distances(places: np.ndarray) -> np.ndarray:
    return np.hypot(*(places[:, None, :] - places[None, :, :]).transpose(2, 0, 1))


def _majorized(wanted: np.ndarray) -> np.ndarray:
    """Places, shape (n, 2), of least Σ (distance − wanted)²/wanted²."""
    n = len(wanted)
    centered = np.eye(n) - 1 / n
    sizes, directions = np.linalg.eigh(-centered @ wanted**2 @ centered / 2)
    places = directions[:, -2:] * np.sqrt(np.clip(sizes[-2:], 0, None))
    places = places + np.random.default_rng(0).normal(scale=1e-3, size=places.shape)  # leaves of one qubit start alike
    own = np.eye(n, dtype=bool)
    weights = np.where(own, 0.0, 1 / np.where(own, 1.0, wanted) ** 2)
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    for _step in range(_STEPS):
        pull = -weights * wanted / np.where(own, 1.0, np.maximum(_distances(places), 1e-9))
        places = inverse @ (pull - np.diag(pull.sum(axis=1))) @ places
    return places


def link_width(zz_hertz: float | None, strongest: float) -> float:
    """Points; all links are alike where no ζ is known."""
    if zz_hertz is None or strongest <= 0:
        return 1.2
    return _THINNEST + (_WIDEST - _THINNEST) * abs(zz_hertz) / strongest


def draw_map(
    ax: Axes,
    places: np.ndarray,
    links: Sequence[DeviceLink],
    values: Mapping[int, float],
    norm: Normalize,
    colors: Colormap,
) -> None:
    """Qubits without a value are left pale. Numbers stand in the circles where they can be read."""
    strongest = max((abs(one.zz_hertz) for one in links if one.zz_hertz is not None), default=0.0)
    lines = [(places[one.a], places[one.b]) for one in links]
    ax.add_collection(
        LineCollection(lines, linewidths=[link_width(one.zz_hertz, strongest) for one in links], zorder=1,
                       colors=[_NO_LINK if one.zz_hertz is None else _LINK for one in links])
    )  # fmt: skip
    faces = [colors(norm(values[q])) if q in values else _EMPTY for q in range(len(places))]
    low, high = places.min(axis=0) - 0.55, places.max(axis=0) + 0.55
    inches = _inches(ax, high - low)
    radius = min(_RADIUS, _LARGEST / inches)
    circles = [Circle(tuple(place), radius) for place in places]
    ax.add_collection(PatchCollection(circles, facecolors=faces, edgecolors=_INK, linewidths=0.5, zorder=2))
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.set_axis_off()
    _number(ax, places, faces, radius * inches)


def _inches(ax: Axes, extent: np.ndarray) -> float:
    """Of one unit of length on the page."""
    box = ax.get_position()
    width, height = ax.figure.get_size_inches()
    return min(box.width * width / extent[0], box.height * height / extent[1])


def _number(ax: Axes, places: np.ndarray, faces: Sequence, radius_inches: float) -> None:
    """Numbers as large as the circles allow."""
    digits = len(str(len(places) - 1))
    size = min(2 * radius_inches * _POINTS_PER_INCH / (0.72 * max(digits, 1.8)), 9.0)
    if size < 2.5:
        return
    for qubit, (place, face) in enumerate(zip(places, faces, strict=True)):
        dark = not isinstance(face, str) and float(np.dot(face[:3], (0.299, 0.587, 0.114))) < 0.52
        ax.text(*place, str(qubit), fontsize=size, ha="center", va="center_baseline", zorder=3,
                color="white" if dark else _INK)  # fmt: skip
