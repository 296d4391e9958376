"""Makespans of passes that did not finish everything, made up so that the arithmetic is known."""

import io

import pytest
from qiskit import QuantumCircuit
from rich.console import Console

from qrex.circuits import circuit_from_qiskit
from qrex.expansion.makespan import compared_makespan, makespan_rows
from qrex.expansion.simulation import SimulationStage
from qrex.expansion.summarize import balancer_row


def named(name):
    circuit = QuantumCircuit(1, 1, name=name)
    circuit.rx(sum(map(ord, name)) / 1000, 0)
    circuit.measure(0, 0)
    return circuit_from_qiskit(circuit, name=name)


SHORT, OTHER, LONG = CIRCUITS = (named("short"), named("other"), named("long"))


def payload(start, finish, error=None, transpile=0.25):
    answer = {"counts": {"0": 1}, "metadata": {"transpile_seconds": transpile}, "engine": "e"}
    return {"value": None if error else answer, "error": error, "error_type": error and "EngineError",
            "seconds": finish - start, "start": start, "finish": finish, "session": "s"}  # fmt: skip


def a_pass(*payloads, decision=0.0, routes=None):
    by_id = {c.id: p for c, p in zip(CIRCUITS, payloads, strict=True)}
    makespan = max(p["finish"] for p in payloads) + decision
    return SimulationStage("pass", CIRCUITS, by_id, routes or {}, {}, makespan, decision, 1, (0.9, 1.1), None, {})


STOPPED = a_pass(payload(0, 1), payload(1, 3), payload(3, 33, "took longer than 30 s"))
WHOLE = a_pass(payload(0, 0.5), payload(0.25, 0.75), payload(0.5, 2), decision=0.25, routes={"any": None})


def test_the_ratio_is_over_the_circuits_that_both_sides_finished():
    finished, whole = makespan_rows(STOPPED, WHOLE)
    assert (finished.key, whole.key) == ("makespan_finished", "makespan")
    assert finished.title == "Makespan of 2 circuits that both finished"
    assert finished.before.value == 3 and finished.before.n == 2
    assert finished.after.value == pytest.approx(0.75 + 0.25)  # their spans overlap; deciding counts
    assert finished.verdict == "improved" and not finished.before.is_lower_bound
    assert "2 of 3 circuits finished before, 3 after" in finished.note
    assert "not finished before: long (took longer than 30 s)" in finished.note


def test_the_whole_pass_is_a_lower_bound_where_a_circuit_did_not_finish():
    _, whole = makespan_rows(STOPPED, WHOLE)
    assert whole.before.value == 33 and whole.before.is_lower_bound
    assert whole.before.low == 33, "its interval may not reach below what it is at least"
    assert whole.after.value == 2.25 and not whole.after.is_lower_bound
    assert whole.verdict == "changed", "what a time limit sets is no improvement"


def test_transpiling_for_aer_is_told_with_its_seconds():
    finished, _ = makespan_rows(STOPPED, WHOLE)
    assert "before includes transpiling for Aer (500 ms of it), as a plain user pays it" in finished.note
    (same,) = makespan_rows(*[a_pass(*[payload(0, 1)] * 3)] * 2)
    assert "both sides include transpiling for Aer (750 ms of it)" in same.note


def test_one_row_where_both_sides_finished_everything():
    before = a_pass(payload(0, 1), payload(1, 3), payload(3, 10))
    (row,) = makespan_rows(before, WHOLE)
    assert (row.key, row.title) == ("makespan", "Makespan of simulations")
    assert row.before.value == 10 and row.verdict == "improved" and "not finished" not in row.note


def test_nothing_is_compared_where_no_circuit_was_finished_by_both():
    nothing = a_pass(*[payload(0, 1, "died")] * 3)
    row = compared_makespan("k", "Makespan", nothing, WHOLE, "")
    assert row.verdict == "not measured" and "not finished before: short (died), other (died)" in row.note


def test_engines_are_not_kept_for_a_time_limit_alone():
    slower = a_pass(payload(0, 2), payload(2, 6), payload(6, 30, "took longer than 24 s"), routes={})
    row, kept = balancer_row(STOPPED, slower, slower)
    assert kept is STOPPED and row.status == "measured, not applied"
    assert row.contributions[0].before.value == 3 and row.contributions[0].after.value == 6
    _, kept = balancer_row(STOPPED, WHOLE, WHOLE)
    assert kept is WHOLE


def test_the_summary_says_at_least_and_names_what_did_not_finish(a_summary):
    assert a_summary.verdict.startswith("Makespan of 2 circuits that both finished fell from 3.0 s to 1.00 s (÷3)")
    assert "÷14" not in a_summary.verdict
    stream = io.StringIO()
    a_summary.print(Console(file=stream, width=200))
    shown = " ".join(stream.getvalue().split())
    assert "at least 33 s" in shown and "at least ÷14.7 changed" in shown
    assert "not finished before: long (took longer than 30 s)" in shown and "transpiling for Aer" in shown


@pytest.fixture
def a_summary():
    from qrex.report import Summary

    return Summary(
        "w", "p", {}, {}, "2025-07-23T00:39:21+00:00", "0", 1, makespan_rows(STOPPED, WHOLE), (), (), (), (), (), ()
    )
