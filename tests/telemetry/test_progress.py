"""Progress: the events, the plain lines, the terminal's bars, and the estimate of time left."""

import io
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrex.telemetry import (
    Note,
    PlainProgress,
    SilentProgress,
    StageAdvanced,
    StageFinished,
    StageRunning,
    StageStarted,
    TerminalProgress,
    open_progress,
    time_left_seconds,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drive(progress):
    with progress, progress.stage("Baseline: simulate", total=2, expected_seconds=45) as stage:
        stage.advance(1, note="ghz_3")
        stage.advance(1, note="[bold]qft\x1b[2J_5")
        progress.note("one line")


def test_events_tell_the_whole_story_and_are_plain():
    events = []
    drive(SilentProgress(events.append))
    kinds = [type(e) for e in events]
    assert kinds == [StageStarted, StageAdvanced, StageAdvanced, Note, StageFinished]
    assert (events[0].total, events[0].expected_seconds) == (2, 45)
    assert [(e.done, e.note) for e in events[1:3]] == [(1, "ghz_3"), (2, "[bold]qft\x1b[2J_5")]
    assert events[-1].outcome == "done" and events[-1].done == 2 and events[-1].seconds >= 0
    with pytest.raises(AttributeError):
        events[0].stage = "x"


@pytest.mark.parametrize(("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "stopped")])
@pytest.mark.parametrize("make", [SilentProgress, lambda f: TerminalProgress(Terminal(), f)])
def test_an_error_ends_the_stage_and_passes_through(make, error, outcome):
    events = []
    with pytest.raises(error), make(events.append) as progress, progress.stage("x"):
        raise error
    assert events[-1].outcome == outcome


def test_silent_writes_nothing(capfd):
    drive(SilentProgress())
    assert capfd.readouterr() == ("", "")


def test_plain_lines_are_two_per_stage_and_hold_no_escapes():
    stream = io.StringIO()
    drive(PlainProgress(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Baseline: simulate: 2 steps, about 45 s"
    assert lines[1] == "one line"
    assert lines[2].startswith("Baseline: simulate: done after ") and len(lines) == 3
    assert "\x1b" not in stream.getvalue() and "\r" not in stream.getvalue()


def test_plain_survives_a_reader_that_went_away():
    stream = io.StringIO()
    stream.close()
    drive(PlainProgress(stream))


def test_stderr_off_a_terminal_gets_lines_and_stdout_nothing():
    code = (
        "from qrex.telemetry import open_progress\n"
        "with open_progress() as p, p.stage('S', 1) as s: s.advance()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "" and done.stderr.splitlines()[0] == "S: 1 step" and "\x1b" not in done.stderr


def test_the_display_suits_the_stream(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(open_progress(Terminal()), TerminalProgress)
    assert isinstance(open_progress(io.StringIO()), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(Terminal()), PlainProgress)


@pytest.mark.parametrize("no_color", [False, True])
def test_terminal_shows_bars_and_obeys_no_color(monkeypatch, no_color):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    drive(TerminalProgress(stream))
    text = stream.getvalue()
    assert "Baseline: simulate" in text and "2/2" in text and "one line" in text
    assert "\x1b[2J_5" not in text
    assert ("\x1b[38;" in text or "\x1b[3" in text) is not no_color


def test_stages_in_threads_add_up():
    events = []
    with SilentProgress(events.append) as progress, progress.stage("x", total=400) as stage:
        threads = [threading.Thread(target=lambda: [stage.advance() for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stage.done == 400 and events[-1].done == 400


def test_time_left_trusts_the_pace_more_as_work_gets_done():
    assert time_left_seconds(0, 0, 10, None) is None
    assert time_left_seconds(5, 0, 10, 45) == 40
    assert time_left_seconds(50, 0, 10, 45) == 5  # overdue by 5 seconds: as much again
    early, late = time_left_seconds(4, 1, 10, 100), time_left_seconds(36, 9, 10, 100)
    assert early == pytest.approx(0.1 * 40 + 0.9 * 100 - 4)
    assert late == pytest.approx(0.9 * 40 + 0.1 * 100 - 36)
    assert time_left_seconds(30, 5, 10, 20) == 30  # the expectation was overtaken: only the pace counts


def test_time_left_runs_down_and_grows_once_it_is_exceeded():
    # The case of a user: 14 of 15 steps in 58 s, then one that takes a minute: "4.1 s left" stood still.
    shown = [time_left_seconds(58 + since, 14, 15, None, since_seconds=since) for since in (0, 3, 5, 30, 60)]
    estimate = 58 / 14
    assert shown == pytest.approx([estimate, estimate - 3, 5 - estimate, 30 - estimate, 60 - estimate])
    overdue = [time_left_seconds(t, 0, 10, 45) for t in (45, 60, 90)]
    assert overdue == [0, 15, 45]
    assert time_left_seconds(100, 10, 10, 45, since_seconds=20) == 0


def test_what_is_running_is_shown_with_its_own_time_and_not_what_has_ended(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream, events = Terminal(), []
    progress = TerminalProgress(stream, events.append)
    monkeypatch.setattr(progress, "_start", lambda: None)
    with progress.stage("Simulate", total=3) as stage:
        stage.run({"long": 100.0, "short": 100.0})
        now[0] = 105.0
        stage.advance(note="short")
        stage.run({"long": 100.0})
        stage.run({"long": 100.0})
        now[0] = 165.0
        assert stage.running == (("long", 65.0),)
        progress._refresh(stage)
        (task,) = progress._display.tasks
        assert task.fields["note"] == "long for 1 min 05 s"
        assert task.fields["left"] == "50 s left"  # 10 s were left a minute ago
        stage.run({"long": 100.0, "b\x1b[2J": 101.0})
        assert task.fields["note"].startswith("long for 1 min 05 s and 1 more")
        stage.run({})
        assert task.fields["note"] == ""
    told = [event.names for event in events if isinstance(event, StageRunning)]
    assert told == [("long", "short"), ("long",), ("long", "b\x1b[2J"), ()]


@given(
    st.floats(0, 1e6),
    st.floats(0, 100),
    st.none() | st.floats(0.1, 100),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
)
def test_time_left_is_never_negative(elapsed, done, total, expected, since):
    left = time_left_seconds(elapsed, done, total, expected, since)
    assert left is None or left >= 0


def test_telemetry_loads_neither_rich_nor_numpy():
    heavy = ("rich", "numpy", "qiskit", "matplotlib", "prometheus_client")
    code = f"import qrex.telemetry, sys; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
