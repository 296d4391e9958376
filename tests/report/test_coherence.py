"""The coherence section: pictures for every size of device, the same numbers on every page, and the way to JSON and
back."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import rustworkx as rx

from qrex.report import Summary
from qrex.report.coherence_plots import coherence_pngs, decay_figure, map_figure
from qrex.report.device_map import qubit_places
from qrex.report.wording import value_text


def heavy_hex(distance):
    graph = rx.generators.heavy_hex_graph(distance)
    return graph.num_nodes(), sorted((min(e), max(e)) for e in graph.edge_list())


def segments_cross(p, q, r, s):
    def side(a, b, c):
        return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    return side(p, q, r) != side(p, q, s) and side(r, s, p) != side(r, s, q)


@pytest.mark.parametrize("distance", [3, 5])
def test_a_heavy_hex_lattice_comes_out_flat_with_its_closest_qubits_1_apart(distance):
    size, links = heavy_hex(distance)
    places = qubit_places(size, links)
    for i, one in enumerate(links):
        for other in links[i + 1 :]:
            if not set(one) & set(other):
                assert not segments_cross(*places[list(one)], *places[list(other)]), (one, other)
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert apart[~np.eye(size, dtype=bool)].min() == pytest.approx(1)
    assert np.ptp(places[:, 0]) >= np.ptp(places[:, 1])


def test_a_chain_is_straight_and_places_repeat():
    links = list(pairwise(range(5)))
    places = qubit_places(5, links)
    assert np.ptp(places[:, 1]) < 0.01
    assert np.diff(places[:, 0]) == pytest.approx(np.ones(4), abs=0.01)
    assert (qubit_places(5, links) == places).all()


@pytest.mark.parametrize(("size", "links"), [(1, []), (2, []), (5, [(0, 1), (2, 3)]), (4, [(0, 1), (0, 2), (0, 3)])])
def test_places_are_finite_and_apart_without_links_too(size, links):
    places = qubit_places(size, links)
    assert np.isfinite(places).all()
    assert len({tuple(np.round(place, 3)) for place in places}) == size


@pytest.mark.parametrize("kept", [True, False])
def test_pictures_of_127_qubits(made_up, kept):
    size, links = heavy_hex(7)
    size, links = 127, [(a, b) for a, b in links if max(a, b) < 127]
    pngs = coherence_pngs(made_up.made_up_coherence(size, links, kept, zz=kept))
    assert set(pngs) == {"map", "decay"}
    assert all(png.startswith(b"\x89PNG") for png in pngs.values())


def test_before_is_left_and_after_right_on_one_scale(made_up):
    section = made_up.made_up_coherence(5)
    figure = map_figure(section)
    left, right, bar = figure.axes
    assert left.get_position().x0 < right.get_position().x0 < bar.get_position().x0
    assert [text.get_text() for text in figure.texts] == [
        "Before: median 0.680 [0.667, 0.693]", "After, zz-aware: median 0.910 [0.897, 0.923]",
    ]  # fmt: skip
    circles = [ax.collections[1].get_facecolor() for ax in (left, right)]
    again = map_figure(replace(section, qubits=tuple(replace(r, after=r.before) for r in section.qubits))).axes
    assert (circles[0] != circles[1]).any()
    assert (again[0].collections[1].get_facecolor() == again[1].collections[1].get_facecolor()).all()


def test_a_device_whose_decoupling_was_not_kept_has_one_map_and_one_curve(made_up):
    section = made_up.made_up_coherence(5, kept=False)
    assert len(map_figure(section).axes) == 2  # the map and its scale
    labels = decay_figure(section).axes[0].get_legend_handles_labels()[1]
    assert labels == ["T1 and T2 alone would allow", "before, idle"]


def test_points_of_the_decay_are_those_of_the_section(made_up):
    section = made_up.made_up_coherence(5)
    bars = {box.get_label(): box for box in decay_figure(section).axes[0].containers}
    for label, side in (("before, idle", "before"), ("after, zz-aware", "after")):
        at, shown = bars[label].lines[0].get_data()
        assert list(at) == pytest.approx([p.window_seconds * 1e6 for p in section.curve])
        assert list(shown) == pytest.approx([getattr(p, side).value for p in section.curve])


@pytest.mark.parametrize("kept", [True, False])
def test_round_trip_through_json_text(made_up, kept):
    summary = made_up.made_up_summary(coherence=made_up.made_up_coherence(7, kept=kept, zz=kept))
    data = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert Summary.from_dict(data) == summary
    assert Summary.from_dict(data).to_dict() == data


def test_a_summary_from_before_this_section_is_still_read(summary):
    data = summary.to_dict()
    del data["coherence"]
    assert Summary.from_dict(data) == replace(summary, coherence=None)


def test_both_pages_show_the_section_with_its_numbers(saved, summary):
    section = summary.coherence
    html, markdown = (saved[kind].read_text() for kind in ("html", "markdown"))
    assert html.count("data:image/png;base64,") == 3  # the chart, the map, the decay
    for text in (html, markdown.replace("\\", "")):
        assert value_text(section.window_ratio) in text and value_text(section.closure) in text
        for row in section.qubits:
            assert f"{row.before[0]:.3f}"[:4] in text
            assert row.why in text
        assert "filled by zz-aware" in text


def test_pages_say_why_only_before_is_shown(made_up, tmp_path):
    section = made_up.made_up_coherence(5, kept=False, zz=False)
    for name, coherence, words in (("a", section, section.reason), ("b", None, "Not measured: there is no QPU")):
        paths = made_up.made_up_summary(coherence=coherence).save(tmp_path / name)
        for kind in ("html", "markdown"):
            text = paths[kind].read_text().replace("&#39;", "'")
            assert words in text
            assert "Closure η" not in text
