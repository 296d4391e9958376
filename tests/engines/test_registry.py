"""Engines by name: three states, and engines of other packages."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from qrex.engines import registry
from qrex.engines.protocol import Support


class Foreign:
    """An engine as another package would add it."""

    name = "foreign"

    def __init__(self, constants):
        self.constants = dict(constants)

    def supports(self, profile):
        return Support(False, "never")

    def calibrate(self, threads):
        return {"fixed": 0.5 * threads}


def broken(constants):
    raise RuntimeError("no license")


@pytest.fixture
def with_foreign(monkeypatch):
    points = [
        EntryPoint("foreign", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP),
        EntryPoint("faulty", f"{__name__}:broken", registry.ENTRY_POINT_GROUP),
        EntryPoint("stabilizer", f"{__name__}:broken", registry.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def test_ours_are_installed_under_their_own_names():
    found = registry.available_engines({"aer-mps": {"fixed": 2.0}})
    assert all(engine.name == name for name, engine in found.items())
    assert found["aer-mps"].constants == {"fixed": 2.0}
    assert found["stabilizer"].constants == {}


def test_foreign_engines_join_and_broken_ones_are_told_apart(with_foreign):
    assert {"foreign", "stabilizer"} <= set(registry.available_engines({}))
    assert "faulty" not in registry.available_engines({})
    states = {status.name: status for status in registry.engine_status()}
    assert states["foreign"].state == "installed"
    assert states["faulty"].state == "broken" and "no license" in states["faulty"].reason
    assert states["stabilizer"].state == "installed"  # a foreign engine cannot take our name


def test_foreign_engines_are_told_with_their_packages_version(monkeypatch):
    class Package:
        name, version = "their-engines", "1.2"

    point = EntryPoint("foreign", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP)
    bare = EntryPoint("bare", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP)
    ours = EntryPoint("stabilizer", f"{__name__}:broken", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point._for(Package), bare, ours])
    assert registry.foreign_versions() == {"bare": "unknown", "foreign": "their-engines 1.2"}


def test_foreign_engines_are_calibrated(with_foreign):
    measurements = dict(registry.engine_calibrations(4))
    assert measurements["foreign"]() == {"foreign": {"fixed": 2.0}}


def test_missing_package_is_not_installed_with_its_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "qrex.engines.aer", None)

    def missing(self, constants):
        raise ModuleNotFoundError("No module named 'qiskit_aer'", name="qiskit_aer")

    monkeypatch.setattr(registry._BuiltIn, "build", missing)
    states = {status.name: status for status in registry.engine_status()}
    assert states["aer-mps"].state == "not installed"
    assert states["aer-mps"].install == "pip install qiskit-aer"
    assert states["stabilizer"].state == "broken"  # qiskit_aer is not what it needs


def test_the_registry_loads_no_engine():
    code = (
        "import sys, qrex.engines, qrex.balance; sys.exit(any(m in sys.modules for m in ('qiskit', 'stim')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_support_is_what_engines_say(with_foreign):
    """The foreign engine refuses everything; ours answer as the conformance suite finds them to be."""
    rows = {row.engine: row for row in registry.support_matrix()}
    assert rows["foreign"].gates == "none" and not any(rows["foreign"].takes.values())
    assert rows["foreign"].error == "unknown" and rows["foreign"].threads is None
    assert rows["stabilizer"].gates == "Clifford" and rows["stabilizer"].takes["conditions"]
    assert not rows["stabilizer"].takes["noise"] and rows["aer-density-matrix"].takes["noise"]
    assert rows["aer-statevector"].stops == "no" and rows["statevector"].stops == "polls"
    assert "faulty" not in rows


def test_every_feature_is_taken_as_claimed():
    """Each yes of the table, run; the baseline only chooses among the others."""
    from qrex.circuits import Circuit
    from qrex.engines.protocol import Allotment, Job
    from qrex.engines.support import feature_circuits

    circuits = feature_circuits()
    engines = registry.available_engines({})
    claimed = [(row.engine, feature) for row in registry.support_matrix() for feature, yes in row.takes.items()
               if yes and row.engine != "aer-automatic"]  # fmt: skip
    assert len(claimed) > 12
    for name, feature in claimed:
        named = Circuit(feature, feature, "<python>", "Qiskit", circuits[feature])
        answer = engines[name].run(Job(named, 20, 1), Allotment(1, 1 << 30), lambda fraction: None)
        assert sum(answer.counts.values()) == 20
