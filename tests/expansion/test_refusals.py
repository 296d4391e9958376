"""Refusals in words: where the memory goes, what would do, who else would take the circuit."""

from __future__ import annotations

from types import SimpleNamespace

from qrex.errors import InfeasibleError, NoEngineError
from qrex.expansion.refusals import enough_memory, refusal

GB = 10**9


def session(given=2 * GB, own=302_000_000, has=25 * GB, folder="/scratch"):
    return SimpleNamespace(
        memory_bytes=given, process_bytes=own, room_bytes=max(0, given - own), host=SimpleNamespace(memory_bytes=has),
        scratch_room=(folder, 0),
    )  # fmt: skip


def refused(needs):
    reasons = {"dense": "needs 8.6 GB; 1.7 GB allotted", "tableau": "a T gate"}
    return NoEngineError("no engine", "30 qubits with 9 instructions", reasons, needs)


def plan(engine="chain", guarded=False, tried=("chain",)):
    return SimpleNamespace(engine=engine, guarded=guarded, tried=tried, cost=SimpleNamespace(peak_bytes=9_890_000))


def raises():
    raise InfeasibleError("nor that")


def test_without_a_wish_the_memory_is_accounted_for():
    told = refusal(session(), refused({"dense": 86 * GB // 10, "denser": 90 * GB}), None, raises)
    assert told == (
        "no engine can run 30 qubits with 9 instructions in 1.7 GB (2 GB − 302 MB for its worker process = 1.7 GB); "
        "dense needs the least, 8.6 GB; --memory 8.99GB would do"
    )
    assert refusal(session(), refused({}), None, raises) == "no engine"
    assert refusal(session(), InfeasibleError("other"), "dense", raises) == "other"


def test_an_engine_that_was_asked_for_is_not_the_only_one():
    told = refusal(session(), refused({}), "tableau", plan)
    assert told == (
        "engine 'tableau' was asked for and cannot run 30 qubits with 9 instructions: a T gate; "
        "without --engine, chain would run it in 9.89 MB"
    )
    told = refusal(session(), refused({}), "tableau", lambda: plan(guarded=True, tried=("a", "b")))
    assert told.endswith("; without --engine, a and b would try it, not certain to fit")
    assert refusal(session(), refused({}), "tableau", raises).endswith("; no other engine can run it either")
    told = refusal(session(), refused({"dense": 86 * GB // 10}), "dense", plan)
    assert "1.7 GB allotted (2 GB − 302 MB for its worker process = 1.7 GB); --memory 8.99GB would do; without" in told


def test_disk_may_do_instead_of_memory():
    lacking = NoEngineError("no engine", "30 qubits", {"dense": "needs more"}, {"dense": 4 * GB}, {"dense": 9 * GB})
    told = refusal(session(), lacking, None, raises)
    assert told.endswith("dense needs the least, 4 GB; --disk 9.09GB, or --memory 4.35GB would do")
    told = refusal(session(folder=None), lacking, None, raises)
    assert told.endswith("--disk 9.09GB with a folder for it (--scratch), or --memory 4.35GB would do")


def test_memory_that_this_host_has_not_got_is_not_advised():
    assert enough_memory(session(), 86 * GB) == "a host with 87.2 GB of memory would do; this one has 25 GB"
    assert "more than 1 EB" in enough_memory(session(), 2**2000)


def test_a_process_that_takes_it_all_leaves_nothing_to_try():
    told = refusal(session(given=GB // 5), refused({"dense": GB}), "dense", plan)
    assert "(a worker process itself takes 302 MB of the 200 MB)" in told and "without --engine" not in told
