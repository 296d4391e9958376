"""Engines by name: three states, and engines of other packages."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from qrex.engines import registry
from qrex.engines.protocol import Support
from qrex.errors import EngineError


class Foreign:
    """An engine as another package would add it."""

    name = "foreign"

    def __init__(self, constants):
        self.constants = dict(constants)

    def supports(self, profile):
        return Support(False, "never")

    def estimate(self, profile, allotment):
        raise EngineError("never")

    def run(self, job, allotment, progress):
        raise EngineError("never")

    def calibrate(self, threads):
        return {"fixed": 0.5 * threads}


def broken(constants):
    raise RuntimeError("no license")


class Renamed(Foreign):
    """Called otherwise by its entry point."""


class OneName(Foreign):
    name = "one name"
    constant_names = "per_gate"


class Unmeasured(Foreign):
    name = "unmeasured"
    constant_names = ("fixed", "per_gate")


class Uncalibrated(Foreign):
    name = "uncalibrated"
    constant_names = ("fixed",)
    calibrate = None


@pytest.fixture
def with_foreign(monkeypatch):
    points = [
        EntryPoint("foreign", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP),
        EntryPoint("faulty", f"{__name__}:broken", registry.ENTRY_POINT_GROUP),
        EntryPoint("stabilizer", f"{__name__}:broken", registry.ENTRY_POINT_GROUP),
        EntryPoint("nowhere", f"{__name__}:nothing", registry.ENTRY_POINT_GROUP),
        EntryPoint("other", f"{__name__}:Renamed", registry.ENTRY_POINT_GROUP),
        EntryPoint("one name", f"{__name__}:OneName", registry.ENTRY_POINT_GROUP),
        EntryPoint("unmeasured", f"{__name__}:Unmeasured", registry.ENTRY_POINT_GROUP),
        EntryPoint("uncalibrated", f"{__name__}:Uncalibrated", registry.ENTRY_POINT_GROUP),
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
    for name, why in {"nowhere": "nothing", "other": "its `name` is 'foreign'", "one name": "a tuple of names"}.items():
        assert states[name].state == "broken" and why in states[name].reason and __name__ in states[name].reason
        assert name not in registry.available_engines({})


def test_foreign_engines_are_told_with_their_packages_version(monkeypatch):
    class Package:
        metadata, version = {"Name": "their-engines"}, "1.2"

    point = EntryPoint("foreign", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP)
    bare = EntryPoint("bare", f"{__name__}:Foreign", registry.ENTRY_POINT_GROUP)
    ours = EntryPoint("stabilizer", f"{__name__}:broken", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point._for(Package), bare, ours])
    assert registry.foreign_versions() == {"bare": f"{__name__}:Foreign", "foreign": "their-engines 1.2"}


def test_foreign_engines_are_calibrated(with_foreign):
    measurements = dict(registry.engine_calibrations(4))
    assert measurements["foreign"]() == {"foreign": {"fixed": 2.0}}


@pytest.mark.parametrize(("name", "why"), [("unmeasured", "did not measure per_gate"), ("uncalibrated", "callable")])
def test_a_calibration_that_brings_nothing_is_not_repeated_for_ever(with_foreign, name, why):
    """What it lacks is a failure that is kept, so that a session does not calibrate again at every start."""
    from qrex.balance import CostConstants
    from qrex.balance.calibration import uncalibrated

    with pytest.raises(Exception, match=why):
        dict(registry.engine_calibrations(1))[name]()
    assert name in uncalibrated(CostConstants({}, "2026-01-01T00:00:00+00:00", 1))
    assert name not in uncalibrated(CostConstants({}, "2026-01-01T00:00:00+00:00", 1, failures={name: why}))


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
    rows = {row.engine: row for _, row in registry.engine_details() if row}
    assert rows["foreign"].gates == "none" and not any(rows["foreign"].takes.values())
    assert rows["foreign"].error is None and rows["foreign"].threads is None and rows["foreign"].stops is None
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
    claimed = [(row.engine, feature) for _, row in registry.engine_details() for feature, yes in row.takes.items()
               if yes and row.engine != "aer-automatic"]  # fmt: skip
    assert len(claimed) > 12
    for name, feature in claimed:
        named = Circuit(feature, feature, "<python>", "Qiskit", circuits[feature])
        answer = engines[name].run(Job(named, 20, 1), Allotment(1, 1 << 30), lambda fraction: None)
        assert sum(answer.counts.values()) == 20
