"""What a session refuses, and what its keys depend on."""

from dataclasses import replace

import pytest

from qrex.engines import Allotment, Job
from qrex.errors import InfeasibleError, InputError
from qrex.execute.solving import SolveRequest
from qrex.expansion import Expansion
from qrex.expansion import session as module
from qrex.expansion.session import Session, Settings
from qrex.expansion.simulation import BASELINE_ENGINE, _unit
from qrex.store import Store
from qrex.telemetry import SilentProgress


@pytest.mark.parametrize(
    "wrong",
    [{"seed": "x"}, {"seed": 1.5}, {"wall_seconds": float("nan")}, {"wall_seconds": -1}, {"wall_seconds": 0},
     {"shots": 0}, {"shots": 10**9 + 1}, {"cores": -2}, {"cores": 0}, {"memory_bytes": -5}],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(small_workload, manila, tmp_path, wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name):
        Expansion(small_workload, manila, store=tmp_path / "s.db", **wrong)


def _session(small_workload, manila, store, **settings):
    return Session(small_workload, manila, Settings(seed=1, **settings), store, SilentProgress())


def test_more_cores_than_the_host_has_are_refused(small_workload, manila, store_path):
    with Store(store_path) as store:
        many = _session(small_workload, manila, store, cores=4096)
        with many, pytest.raises(InfeasibleError, match="4096 cores; this host has"):
            _ = many.cores
        wide = replace(manila, limits=replace(manila.limits, cores=4096))
        with _session(small_workload, wide, store) as session, pytest.raises(InfeasibleError, match="platform file"):
            _ = session.cores


def test_keys_hold_the_versions_of_plug_ins_that_may_answer(small_workload, manila, store_path, monkeypatch):
    def keys(versions):
        monkeypatch.setattr(module, "foreign_versions", lambda: versions)
        with Store(store_path) as store, _session(small_workload, manila, store) as session:
            circuit = small_workload.circuits[0]
            found = {}
            for engine in (None, "theirs", BASELINE_ENGINE):
                request = SolveRequest(Job(circuit, 10, 1), {}, Allotment(1, 10**9), engine=engine)
                found[engine] = _unit(session, circuit, request, engine or "statevector", "alone").key
            return found, session._costs_scope()

    without, scope = keys({})
    old, old_scope = keys({"theirs": "their-engines 1.0"})
    new, new_scope = keys({"theirs": "their-engines 1.1"})
    assert old[None] != new[None] and old["theirs"] != new["theirs"]
    assert without[BASELINE_ENGINE] == old[BASELINE_ENGINE] == new[BASELINE_ENGINE]
    assert len({scope, old_scope, new_scope}) == 3
