"""Figures in words, the verdict's sentence and the terminal's tables."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from qrex.report import Side
from qrex.report.bars import bars_for, nice_ceiling
from qrex.report.wording import (
    change_interval_text,
    change_text,
    clean,
    interval_text,
    number_text,
    perfect_text,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "spread", "unit", "text", "interval"),
    [
        (0.684, 0.013, "", "0.684", "[0.671, 0.697]"),
        (62.3, 1.4, "s", "62.3 s", "[60.9, 63.7]"),
        (0.0042, 0.0005, "s", "4.2 ms", "[3.7, 4.7]"),
        (2.5e9, 0, "B", "2.50 GB", "no spread"),
        (4.2e-4, 3e-5, "", "420 ×10⁻⁶", "[390, 450]"),
        (5.0e-8, 1e-9, "", "50.0 ×10⁻⁹", "[49.0, 51.0]"),
        (2.5e-13, 0, "", "250 ×10⁻¹⁵", "no spread"),
        (0.0042, 0.0005, "", "0.0042", "[0.0037, 0.0047]"),
        (812, 3, "s", "13.53 min", "[13.48, 13.58]"),
        (0, 0, "", "0", "no spread"),
        (-0.2, 0.1, "", "-0.20", "[-0.30, -0.10]"),
        (-0.001, 0.061, "", "0.00", "[-0.06, 0.06]"),
    ],
)
def test_value_and_interval_share_unit_and_digits(made_up, value, spread, unit, text, interval):
    m = made_up.m(value, spread, unit)
    assert (value_text(m), interval_text(m)) == (text, interval)


def test_usage_is_shown_in_percent_but_seconds_under_the_same_definition_are_not(made_up):
    usage = made_up.pair(
        "u", "u", made_up.m(0.52, 0.01), made_up.m(0.91, 0.01), "higher", "cpu-and-gpu-usage"
    )
    assert value_text(usage.before, usage.definition) == "52.0 %"
    assert change_text(usage) == "+39 points"
    time = made_up.CLASSICAL[4]
    assert change_text(time) == "÷2.23"
    assert value_text(time.before, time.definition) == "62.3 s"


def test_change_interval_holds_every_change_that_the_intervals_allow(made_up):
    c = made_up.pair("c", "c", made_up.m(10, 1, "s"), made_up.m(30, 3, "s"), "lower", "")
    assert change_text(c) == "×3"
    assert change_interval_text(c) == f"×{27 / 11:.3g} to ×{33 / 9:.3g}"


def test_a_change_over_zero_is_a_difference(made_up):
    c = made_up.pair("c", "c", made_up.m(0, 0, "s"), made_up.m(2, 0, "s"), "lower", "")
    assert change_text(c) == "+2 s"


def test_number_text_never_hides_the_interval():
    for width in (1e-6, 0.003, 0.02, 0.5, 7, 90, 4000):
        shown = number_text(12.5, width, most=12)
        assert abs(float(shown.replace(",", "")) - 12.5) <= width / 2


@pytest.mark.parametrize("value", [1e-9, 0.03, 0.94, 1, 1.01, 47, 320, 9.99e12])
def test_nice_ceiling_is_above_and_near(value):
    assert value <= nice_ceiling(value) * (1 + 1e-9) <= 2.01 * value


def test_a_missing_side_has_no_bar(made_up):
    bars = bars_for(made_up.OUTLOOK[0])
    assert bars.before is not None and bars.after is None and bars.verdict == "not measured"


def test_hostile_text_is_one_short_plain_line():
    assert clean("a\r\nb\t\x1b[31m\u202ec\u2028d") == "a b \ufffd[31m\ufffdc d"
    assert len(clean("x" * 10_000, 50)) == 50


def test_verdict_names_gains_losses_and_gaps(summary):
    text = summary.verdict
    assert text.startswith("Effective memory rose from 4 GB to 8.59 GB (×2.15)")
    assert "worse: Peak memory (+62 %) and Compile time (+73 %)" in text
    assert "no significant difference in Coherence" in text
    assert "not measured: Effective storage and GPU usage" in text
    assert text.count(".") == text.rstrip(".").count(".") + 1 and "\n" not in text


def test_verdict_says_so_when_nothing_improved(summary, made_up):
    flat = replace(
        summary, classical=(), quantum=made_up.QUANTUM[:2], implications=(), outlook=(), circuits=()
    )
    assert flat.verdict == (
        "No figure improved beyond its 95 % interval; no significant difference in "
        "Coherence Q(τ_w = 1.2 µs) and Coherence Q(τ_68 = 38 µs)."
    )


def test_verdict_never_hides_a_loss(summary, made_up):
    worse = made_up.OUTLOOK[2]
    assert worse.verdict == "worse"
    only = replace(summary, classical=(), quantum=(), implications=(), outlook=(worse,), circuits=())
    assert "worse: Compile time" in only.verdict


def test_verdict_of_nothing_at_all(summary):
    empty = replace(summary, classical=(), quantum=(), implications=(), outlook=(), circuits=())
    assert empty.verdict == "No figure improved beyond its 95 % interval."


def test_terminal_prints_every_figure_and_no_markup_of_others(summary, made_up):
    hostile = replace(made_up.QUANTUM[0], title="[bold red]x[/] \x1b[2J")
    stream = io.StringIO()
    replace(summary, quantum=(hostile,)).print(Console(file=stream, width=160))
    text = stream.getvalue()
    assert "[bold red]x[/]" in text and "\x1b" not in text
    assert "×2.15 improved" in text and "not measured" in text and "[52" not in text
    assert "verify_entanglement_fidelity(3.8): missed" in text


def at_least(made_up, value):
    return made_up.m(value, 1, "s", lower_bound=True)


def test_a_lower_bound_is_told_as_at_least(made_up):
    stopped, ended = at_least(made_up, 34), made_up.m(2, 0.1, "s")
    fell = made_up.pair("c", "c", stopped, ended, "lower", "")
    assert (value_text(stopped), interval_text(stopped)) == ("at least 34.0 s", "")
    assert change_text(fell) == "at least ÷17" and change_interval_text(fell) == ""
    assert bars_for(fell).before.label == "≥ 34.0" and bars_for(fell).after.label == "2.00"
    rose = made_up.pair("c", "c", ended, stopped, "lower", "")
    assert change_text(rose) == "at least ×17" and rose.verdict == "worse"


def test_a_lower_bound_on_the_smaller_side_settles_nothing(made_up):
    stopped, ended = at_least(made_up, 2), made_up.m(34, 1, "s")
    for before, after in ((stopped, ended), (ended, stopped), (stopped, at_least(made_up, 34))):
        assert made_up.pair("c", "c", before, after, "lower", "").verdict == "no significant difference"
    assert change_text(made_up.pair("c", "c", ended, stopped, "lower", "")) == "at most ÷17"
    assert change_text(made_up.pair("c", "c", stopped, stopped, "lower", "")) == ""


def test_verdict_names_the_runs_that_did_not_finish(summary, made_up):
    rows = made_up.circuits()
    ran = [row for row in rows if row.before.outcome == row.after.outcome == "ran"]
    stopped = replace(ran[1], name="qpe", before=replace(ran[1].before, outcome="failed"))
    told = replace(summary, circuits=(ran[0], stopped)).verdict
    assert "2 of 2 circuit runs finished, 1 before (not finished before: qpe on the QPU)" in told


def test_page_tells_a_lower_bound(made_up, summary):
    from qrex.report.markdown import render_markdown
    from qrex.report.render import render_html

    row = made_up.pair("makespan", "Makespan", at_least(made_up, 34), made_up.m(2, 0.1, "s"), "neither", "")
    page = render_html(replace(summary, classical=(row,)), b"", "c.png")
    assert "<b>at least 34.0</b>" in page and "at least ÷17" in page and "≥ 34.0" in page
    assert "**at least 34.0 s**" in render_markdown(replace(summary, classical=(row,)), "c.png")


def test_a_perfect_sampler_is_told_with_its_interval_where_that_is_known(made_up):
    score = made_up.m(0.7, 0.1, perfect_low=0.95, perfect_high=1.05)
    side = Side("ran", "q", "", fidelity=score, fidelity_kind="normalized linear cross-entropy", perfect_sampler=1.0)
    assert perfect_text(side) == "perfect sampler 1.000 [0.950, 1.050]"
    assert perfect_text(replace(side, fidelity=made_up.m(0.7, 0.1), perfect_sampler=0.985)) == "perfect sampler 0.985"
    assert perfect_text(replace(side, perfect_sampler=None)) == ""


def test_small_numbers_share_one_power_of_ten(made_up):
    small = made_up.pair("e", "e", made_up.m(5e-5, 1e-6), made_up.m(4e-5, 1e-6), "lower", "")
    bars = bars_for(small)
    assert (bars.unit, bars.before.label, bars.after.label) == ("×10⁻⁶", "50.0", "40.0")
