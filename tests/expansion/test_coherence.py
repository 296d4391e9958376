"""The coherence section holds what was measured and planned, and nothing else."""

from dataclasses import replace

import pytest

from qrex.expansion.coherence import LEVEL, coherence_section
from qrex.expansion.metrology import measure_device
from qrex.expansion.session import Session, Settings
from qrex.measure.coherence_result import closure, window_ratio
from qrex.measure.schedule import Timing
from qrex.platform import NoiseAssumptions
from qrex.report import MechanismRow
from qrex.store import Store
from qrex.suppress import choose_idle, plan_idle
from qrex.telemetry import SilentProgress


@pytest.fixture(scope="module")
def twin(manila):
    return replace(manila, qpus=(replace(manila.qpus[0], noise=NoiseAssumptions()),))


@pytest.fixture(scope="module")
def session(small_workload, twin, store_path):
    with Store(store_path) as store, Session(small_workload, twin, Settings(seed=5), store, SilentProgress()) as made:
        yield made


@pytest.fixture(scope="module")
def sides(session):
    return tuple(measure_device(session, None, side, how) for side, how in (("before", None), ("after", "zz-aware")))


@pytest.fixture(scope="module")
def section(session, sides):
    return coherence_section(session, *sides, ())


def test_each_number_is_the_one_measured(section, sides):
    old, new = (side.windows["68"] for side in sides)
    assert section.window_68_seconds == old.window_seconds
    assert section.sequence == "zz-aware" and section.reason == ""
    for row in section.qubits:
        assert row.before[0] == old.qubits[row.qubit].value
        assert row.after == tuple(getattr(new.qubits[row.qubit], end) for end in ("value", "low", "high"))
        assert row.ceiling == old.ceiling[row.qubit]
        assert row.workload_before is None  # no workload was given, so there is no τ_w
    assert section.figure("coherence_68").after.value == sides[1].q_68.value
    assert section.figure("coherence_virtual_z_68").before.value == old.virtual_z.value
    for point, a, b in zip(section.curve, sides[0].decay.windows, sides[1].decay.windows, strict=True):
        assert (point.window_seconds, point.before.value, point.after.value) == (
            a.window_seconds, a.median.value, b.median.value,
        )  # fmt: skip


def test_the_grid_is_geometric_around_the_window(section):
    shares = [point.window_seconds / section.window_68_seconds for point in section.curve]
    assert shares == pytest.approx([6 ** (k / 3) for k in range(-3, 4)], rel=0.05)


def test_closure_and_window_ratio_are_those_of_the_protocols(session, section, sides):
    seed, source = session.seed_for("coherence section"), session.qpu.source
    ratio = window_ratio(sides[0].decay, sides[1].decay, seed=seed, source=source, level=LEVEL)
    found = closure(sides[0].windows["68"], sides[1].windows["68"], seed=seed, source=source)
    for mine, theirs in ((section.window_ratio, ratio), (section.closure, found)):
        assert (mine.value, mine.low, mine.high) == (theirs.value, theirs.low, theirs.high)
    assert section.window_ratio.low > 1  # decoupling a device with memory helps


def test_pulses_are_those_planned_for_the_window(session, section):
    ticks = Timing.of(session.qpu.target).ticks(section.window_68_seconds)
    noise = session.platform.qpus[0].noise
    chosen = choose_idle(session.qpu.backend, [section.window_68_seconds], assumed=noise)[ticks]
    trains = plan_idle(session.qpu.backend, [section.window_68_seconds], assumed=noise)
    assert section.planned and any(row.pulses for row in section.qubits)
    for row in section.qubits:
        assert row.pulses == len(trains.plans[row.qubit, ticks]) == len(chosen[row.qubit].pulses)
        assert (row.idle_error, row.error, row.why) == (
            chosen[row.qubit].idle_error, chosen[row.qubit].error, chosen[row.qubit].why,
        )  # fmt: skip
    assert all(link.zz_hertz for link in section.links)


def test_where_decoupling_was_not_kept_only_before_is_shown(session, sides):
    tried = MechanismRow("apply_dynamical_decoupling", "Decoupling", "measured, not applied", "it costs")
    section = coherence_section(session, sides[0], sides[0], (tried,))
    assert section.sequence is None and "tried and not kept" in section.reason
    assert section.closure is section.window_ratio is None
    assert all(row.after is None and row.pulses is None for row in section.qubits)
    assert all(point.after is None for point in section.curve)
    assert all(c.after is None for c in section.figures)
    assert coherence_section(session, None, None, ()) is None
