"""The main job on a small workload and a five-qubit device."""

import json
import sqlite3
from dataclasses import replace

import pytest

import qrex
from qrex.errors import InputError
from qrex.expansion import Expansion, resource_expansion
from qrex.platform import Platform
from qrex.report import Summary
from qrex.report.bars import bars_for
from qrex.report.definitions import unknown_definitions


@pytest.fixture(scope="module")
def summary(small_workload, manila, store_path):
    return resource_expansion(small_workload, manila, store=store_path)


def row(summary, name, target):
    return next(r for r in summary.circuits if (r.name, r.target) == (name, target))


def mechanism(summary, call):
    return next(m for m in summary.mechanisms if m.call == call)


def comparison(summary, key):
    return next(c for c in summary.comparisons if c.key == key)


def test_every_circuit_has_a_row_for_each_target(summary):
    assert {(r.name, r.target) for r in summary.circuits} == {
        ("ghz_4", "simulate"), ("ghz_4", "qpu"), ("turns_3", "simulate"), ("turns_3", "qpu"), ("turns_40", "simulate"),
    }  # fmt: skip


def test_a_device_without_memory_shows_coherence_before_only(summary):
    section = summary.coherence
    assert section.sequence is None and section.reason
    assert [link.zz_hertz for link in section.links] == [None] * 4
    assert len(section.qubits) == 5 and len(section.curve) == 7
    assert section.figure("coherence_68").before.value == comparison(summary, "coherence").before.value
    assert Summary.from_dict(summary.to_dict()).coherence == section


def test_what_the_baseline_cannot_run_is_shown_with_its_own_reason(summary):
    wide = row(summary, "turns_40", "simulate")
    assert wide.before.outcome == "unsupported"
    assert "Insufficient memory" in wide.before.why
    assert wide.after.outcome == "ran"
    assert wide.after.where != "aer-automatic"


def test_simulated_answers_are_judged_against_the_exact_distribution(summary):
    for name in ("ghz_4", "turns_3"):
        sides = row(summary, name, "simulate")
        for side in (sides.before, sides.after):
            assert side.fidelity.value == pytest.approx(1, abs=0.05)
            assert "exact ideal distribution" in side.fidelity.method


def test_device_rows_are_simulated_and_noisy(summary):
    ghz = row(summary, "ghz_4", "qpu")
    assert ghz.before.fidelity.source == "simulated"
    assert 0.5 < ghz.before.fidelity.value < 0.99
    # 400 shots at 250 µs and more
    assert 0.1 < ghz.before.device_seconds < 0.2


def test_device_figures_lie_where_the_calibration_puts_them(summary, manila):
    density = comparison(summary, "entanglement").before
    assert 0.5 < density.value < 0.8  # four links over five qubits bound E by 0.8
    coherence = comparison(summary, "coherence").before
    assert coherence.low <= 0.68 + 0.03 and coherence.high >= 0.68 - 0.03
    assert comparison(summary, "rb_two_qubit").before.value > comparison(summary, "rb_one_qubit").before.value


def test_axes_of_entanglement_are_in_ebits(summary):
    assert bars_for(comparison(summary, "entanglement")).unit == "ebits per qubit"
    assert bars_for(comparison(summary, "entanglement_rate")).unit == "ebits per qubit per µs"
    density = mechanism(summary, "reconfigure_trap_layout").contributions[-1]
    assert density.key == "layout_density" and bars_for(density).unit == "ebits per qubit"


def test_usage_and_memory_are_measured_alike_on_both_sides(summary):
    for key in ("cpu_usage", "peak_memory"):
        sides = comparison(summary, key)
        assert sides.before.method == sides.after.method
        assert sides.before.source == sides.after.source == "host"


def test_every_figure_names_a_definition_that_exists(summary):
    assert unknown_definitions(summary) == {}


def test_mechanisms_that_are_not_built_claim_nothing(summary):
    for call in ("calibrate_error_correction",):
        made = mechanism(summary, call)
        assert made.status == "not applied"
        assert made.contributions == ()


def test_a_state_ten_times_as_large_as_its_memory_is_simulated(summary):
    made = mechanism(summary, "activate_memory_banks")
    assert made.status == "applied"
    assert made.contributions[0].after.value > 10 > 1 > made.contributions[0].before.value
    assert comparison(summary, "memory").after.value == made.contributions[0].after.value
    assert made.details["stages"] >= 3
    assert made.details["bytes read and written"] != "0 B"


def test_snapshots_take_less_than_their_states(summary):
    made = mechanism(summary, "allocate_storage")
    dense, branching = (one.after.value for one in made.contributions)
    assert 3.7 < dense < 4 < 10 < branching
    assert comparison(summary, "storage").after.value == dense


def test_an_unreachable_density_is_a_row_that_says_why(summary):
    made = next(t for t in summary.thresholds if t.call == "verify_entanglement_fidelity")
    assert not made.passed
    assert "cannot exist" in made.note
    assert made.measured.low < 3.8


def test_the_same_job_again_runs_nothing(summary, small_workload, manila, store_path):
    def units():
        return sqlite3.connect(store_path).execute("SELECT count(*), max(created_at) FROM units").fetchone()

    before = units()
    again = resource_expansion(small_workload, manila, store=store_path)
    assert again.to_dict() == summary.to_dict()
    assert units() == before


def test_summary_survives_json_and_saving(summary, tmp_path):
    text = json.dumps(summary.to_dict())
    assert Summary.from_dict(json.loads(text)).to_dict() == summary.to_dict()
    paths = summary.save(tmp_path / "out")
    assert {path.suffix for path in paths.values()} == {".md", ".html", ".json", ".csv", ".png"}


def test_calls_repeat_as_no_ops_and_only_what_was_called_is_applied(small_workload, manila, store_path):
    with Expansion(small_workload, manila, store=store_path) as x:
        first = x.reconfigure_trap_layout()
        assert x.reconfigure_trap_layout() == first
        made = x.summary()
    assert mechanism(made, "reconfigure_trap_layout").contributions
    assert mechanism(made, "apply_dynamical_decoupling").reason == "this call was not made"
    assert mechanism(made, "optimize_workload_balancer").status == "not applied"
    assert row(made, "turns_40", "simulate").after.outcome == "unsupported"


def test_figures_after_follow_a_mechanism_that_is_called_later(small_workload, manila, store_path, monkeypatch):
    with Expansion(small_workload, manila, store=store_path) as x:
        first = x.after
        assert first.conditions["decoupling inside Q's windows, after"] == "none"
        monkeypatch.setattr(x, "_window_sequence", lambda: "XY4")
        assert x.after.conditions["decoupling inside Q's windows, after"] == "XY4"


def test_a_platform_without_a_qpu_still_balances(small_workload, manila, store_path):
    bare = Platform("bare", "<test>", manila.limits, ())
    with Expansion(small_workload, bare, store=store_path) as x:
        assert x.apply_dynamical_decoupling().status == "not applied"
        threshold = x.validate_coherence_threshold(0.9)
        assert threshold.measured is None and not threshold.passed
        made = x.summary()
    assert {r.target for r in made.circuits} == {"simulate"}
    assert comparison(made, "entanglement").verdict == "not measured"


def test_unknown_choices_are_refused(small_workload, manila, store_path):
    with Expansion(small_workload, manila, store=store_path) as x:
        with pytest.raises(InputError, match="qpu-cpu-gpu"):
            x.optimize_workload_balancer("magic")
        with pytest.raises(InputError, match="quantum-tiered"):
            x.activate_memory_banks("floppy")


def test_an_output_folder_that_cannot_be_written_is_refused_before_anything_runs(
    small_workload, manila, tmp_path
):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = tmp_path / "s.db"
    with pytest.raises(InputError):
        resource_expansion(small_workload, manila, out=blocked, store=store)
    assert not store.exists()


def test_circuits_of_equal_content_each_have_a_row(small_workload, manila, store_path):
    one = small_workload.circuits[0]
    twins = replace(small_workload, circuits=(one, replace(one, name="twin")))
    with Expansion(twins, manila, store=store_path) as x:
        rows = x.run_quantum_benchmark()
    assert sorted(r.name for r in rows if r.target == "qpu") == ["ghz_4", "twin"]


def test_the_public_names_are_these():
    assert qrex.Expansion is Expansion
    assert qrex.resource_expansion is resource_expansion
