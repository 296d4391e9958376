"""The page and the Markdown: complete, self-contained, and safe with hostile names."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from qrex.report.markdown import escape_markdown

VOID = {"meta", "img", "br", "link", "rect", "path", "line"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.sources, self.text, self.open = [], [], [], [], [], []
        self.attributes = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append(name)
            if name == "id":
                self.ids.append(value)
            elif name == "href":
                self.links.append(value)
            elif name == "src":
                self.sources.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(saved):
    return Page(saved["html"].read_text())


def test_page_is_well_formed(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_page_needs_nothing_from_anywhere(page, saved):
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert all(src.startswith("data:image/png;base64,") for src in page.sources) and page.sources
    assert all(link.startswith("#") for link in page.links)
    assert "url(" not in saved["html"].read_text() and "@import" not in saved["html"].read_text()
    assert not [name for name in page.attributes if name.startswith("on")]


def test_every_link_to_a_definition_arrives(page, summary):
    targets = [link[1:] for link in page.links]
    assert len(targets) >= len(summary.comparisons)
    assert set(targets) <= set(page.ids)


def test_sections_stand_in_the_order_of_the_founding_text(saved):
    for kind in ("html", "markdown"):
        text = saved[kind].read_text().lower()
        names = ["function description", "technical enhancements", "classical resources", "quantum resources"]
        places = [text.rindex(n) if n.endswith("resources") else text.index(n) for n in names]
        later = [
            "enhancement mechanisms",
            "technical implications",
            "performance outlook",
            "how it was measured",
        ]
        places += [text.index(n) for n in later]
        assert places == sorted(places)


def test_every_circuit_and_unreadable_file_is_there(saved, summary):
    html = saved["html"].read_text()
    body = html[html.index('<h2 id="circuits">') :]
    assert body.count('<tr class="first">') == body.count('<tr class="second">') == len(summary.circuits)
    markdown = saved["markdown"].read_text()
    assert markdown.count("| before |") == markdown.count("| after |") == len(summary.circuits)
    for text in (html, markdown):
        assert "needs 68.7 GB; 4.0 GB given; try the stabilizer engine" in text
        assert "unknown gate" in text and "empty.qasm" in text


def test_each_figure_shows_value_interval_samples_source_and_method(page, saved):
    text = " ".join(" ".join(page.text).split())
    assert "0.684 [0.671, 0.697] n = 96,000, simulated" in text
    assert "Before: made up for a test; n = 96,000, seed 7, source: simulated." in text
    line = next(
        row
        for row in saved["markdown"].read_text().splitlines()
        if row.startswith("|") and "τ_68 = 38 µs" in row
    )
    assert "**0.684**<br>\\[0.671, 0.697\\]<br>n = 96,000, simulated" in line
    assert "made up for a test (seed 7)" in line and "no significant difference" in line


def test_hostile_names_stay_text_on_the_page(page, saved):
    assert "<script>alert" not in saved["html"].read_text()
    text = "".join(page.text)
    assert '<script>alert("x")</script>.qasm' in text
    assert "{{ 7*7 }} {% raw %} [bold red]x[/]" in text
    assert "\u202e" not in saved["html"].read_text()


def test_hostile_names_stay_cells_in_markdown(saved):
    rows = [line for line in saved["markdown"].read_text().splitlines() if line.startswith("| ")]
    tables = {}
    for row in rows:
        cells = len(re.findall(r"(?<!\\)\|", row))
        tables.setdefault(cells, 0)
        tables[cells] += 1
    circuits = [row for row in rows if "| before |" in row or "| after |" in row]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in circuits} == {12}
    text = saved["markdown"].read_text()
    assert "<script" not in text and "](https:" not in text and "https://evil" not in text


@pytest.mark.parametrize("char", list("\\`*[]|~$<>&@"))
def test_markdown_escapes(char):
    assert escape_markdown(f"a{char}b") != f"a{char}b"


def test_notebook_form_is_a_closed_fragment(summary):
    fragment = Page(summary._repr_html_())
    assert fragment.open == [] and "html" not in fragment.tags and "script" not in fragment.tags
    assert fragment.links == []


def test_an_empty_summary_still_makes_a_report(summary, tmp_path):
    bare = replace(
        summary, qpu={}, host={}, classical=(), quantum=(), implications=(), outlook=(), mechanisms=(),
        thresholds=(), circuits=(), unreadable={}, conditions={}, timings={}, notes=(), command="",
    )  # fmt: skip
    paths = bare.save(tmp_path)
    html = paths["html"].read_text()
    assert Page(html).open == []
    assert "no QPU on this platform" in html and "Nothing was measured for this section." in html
    assert "Nothing was measured for this section." in paths["markdown"].read_text()


def test_chart_shows_missing_values_as_missing(summary, made_up):
    from qrex.report.bars import bars_for
    from qrex.report.render import render_fragment

    gap = replace(summary, classical=(made_up.CLASSICAL[1],), quantum=())
    assert bars_for(made_up.CLASSICAL[1]).before is None
    fragment = render_fragment(gap)
    assert fragment.count('class="missing"') == 2 and 'before-ink" x=' not in fragment
