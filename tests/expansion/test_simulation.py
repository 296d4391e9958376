import time
from dataclasses import replace

import pytest
from qiskit import QuantumCircuit

from qrex.circuits import Workload, circuit_from_qiskit
from qrex.execute import Task
from qrex.expansion import simulation
from qrex.expansion.session import Session, Settings
from qrex.expansion.simulation import _run, run_baseline, run_expanded
from qrex.expansion.tables import classical_table
from qrex.store import Store
from qrex.telemetry import SilentProgress


def slow_the_first_time(marker, _progress):
    if not marker.exists():
        marker.touch()
        time.sleep(30)
    time.sleep(0.3)
    return {"counts": {"0": 1}, "probabilities": {}, "metadata": {}}


@pytest.fixture
def session(small_workload, manila, store_path):
    with (
        Store(store_path) as store,
        Session(small_workload, manila, Settings(seed=1), store, SilentProgress()) as opened,
    ):
        yield opened


def test_a_pass_with_a_stopped_circuit_is_not_reported_for_the_finished_one(session, tmp_path):
    circuit = session.workload.circuits[0]

    def units(limit):
        task = Task(circuit.id, slow_the_first_time, (tmp_path / "marker",), wall_seconds=limit)
        return [session.unit("test", {"folder": str(tmp_path)}, task)]

    def run(limit):
        return _run(session, f"Test {tmp_path}", units(limit), {}, {}, 0.0, side_by_side=False)

    stopped = run(2)
    assert stopped.counts(circuit) is None
    finished = run(60)
    assert finished.counts(circuit) == {"0": 1}, finished.payloads
    assert finished.makespan_seconds != stopped.makespan_seconds
    assert run(60).makespan_seconds == finished.makespan_seconds


def test_a_timed_pass_takes_nothing_from_another_workloads_pass(session, manila, small_workload):
    whole = run_baseline(session)
    part = replace(small_workload, circuits=small_workload.circuits[:1])
    with Session(part, manila, Settings(seed=1), session.store, SilentProgress()) as other:
        alone = run_baseline(other)
    (payload,) = alone.payloads.values()
    assert not payload["kept"], "its times count from the start of another pass"
    assert alone.makespan_seconds == payload["finish"]
    assert all(p["kept"] for p in run_baseline(session).payloads.values())
    assert run_baseline(session).makespan_seconds == whole.makespan_seconds


def test_a_budget_above_what_is_free_now_gets_what_is_free(small_workload, manila, store_path, monkeypatch):
    part = replace(small_workload, circuits=small_workload.circuits[:1])
    settings = Settings(seed=1, shots=123, memory_bytes=2 * 10**9, cores=1)
    with Store(store_path) as store, Session(part, manila, settings, store, SilentProgress()) as short:
        monkeypatch.setattr(Session, "usable_bytes", 10**9)
        for stage in (run_baseline(short), run_expanded(short, side_by_side=True)):
            (payload,) = stage.payloads.values()
            assert payload["value"]["counts"] and payload["memory_bytes"] < 10**9


def test_a_pass_that_was_split_has_no_usage(session, manila, small_workload, tmp_path):
    circuits = session.workload.circuits[:2]
    units = [
        session.unit("test split", {"folder": str(tmp_path), "circuit": circuit.id},
                     Task(circuit.id, slow_the_first_time, (tmp_path,)))
        for circuit in circuits
    ]  # fmt: skip
    session.runner.run(units[:1])
    split = _run(session, f"Split {tmp_path}", units, {}, {}, 0.0, side_by_side=False)
    assert split.utilization is None and len(split.payloads) == 2
    rows = {row.key: row for row in classical_table(session, split, split, ())}
    for key in ("cpu_usage", "peak_memory"):
        assert rows[key].before is None
        assert "no figure before: part of that pass was finished in an earlier run" in rows[key].note


def test_a_pass_far_under_a_second_has_its_usage_and_memory(session, tmp_path):
    circuit = session.workload.circuits[0]
    unit = session.unit("test short", {"folder": str(tmp_path)}, Task(circuit.id, slow_the_first_time, (tmp_path,)))
    stage = _run(session, f"Short {tmp_path}", [unit], {}, {}, 0.0, side_by_side=False)
    assert 0.3 <= stage.utilization.wall_seconds < 10
    rows = {row.key: row for row in classical_table(session, stage, stage, ())}
    for key in ("cpu_usage", "peak_memory"):
        assert rows[key].before is not None and "no figure" not in rows[key].note
    # One of two cores at most, and most of the time nobody's: it sleeps.
    assert 0 < rows["cpu_usage"].before.value < 0.5
    assert rows["peak_memory"].before.n == 1


def test_figures_without_their_conditions_are_refused(session, tmp_path):
    circuit = session.workload.circuits[0]
    unit = session.unit("test refused", {"folder": str(tmp_path)}, Task(circuit.id, slow_the_first_time, (tmp_path,)))
    stage = _run(session, f"Refused {tmp_path}", [unit], {}, {}, 0.0, side_by_side=False)
    seen = stage.utilization

    def told(**changed):
        before = replace(stage, utilization=replace(seen, **changed))
        rows = {row.key: row for row in classical_table(session, before, stage, ())}
        return rows["cpu_usage"], rows["peak_memory"]

    usage, memory = told(samples=seen.samples[:2])
    assert usage.before is None and "over after 2 readings" in usage.note
    assert memory.before is not None
    usage, memory = told(samples=seen.samples[:5], peak_is_sampled=True)
    assert memory.before is None and "over after 5 readings" in memory.note
    assert usage.before is not None


def test_what_went_past_its_memory_gets_all_there_is(store_path, manila, monkeypatch):
    """The first limit is made far too small for half a million outcomes; the second run has the whole room."""
    coins = QuantumCircuit(40)
    coins.h(range(40))
    coins.measure_all()
    circuit = circuit_from_qiskit(coins, target="simulate", shots=500_000)
    monkeypatch.setattr(simulation, "_limit", lambda _session, _plan: 1 << 20)
    workload = Workload("one", (circuit,))
    with (
        Store(store_path) as store,
        Session(workload, manila, Settings(seed=1), store, SilentProgress()) as session,
    ):
        stage = simulation.run_expanded(session, side_by_side=False)
        payload = stage.payloads[circuit.id]
        assert payload["memory_bytes"] == session.room_bytes, payload["error"]
        assert sum(stage.counts(circuit).values()) == 500_000
