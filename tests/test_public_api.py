"""The package as a whole: what importing it costs, what it exports, and that the examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import qrex

SOURCE = Path(qrex.__file__).parent
HEAVY = ("qiskit", "qiskit_aer", "numpy", "scipy", "matplotlib", "stim", "jinja2", "rich")
MODULES = sorted(
    ".".join(part for part in ("qrex", *path.relative_to(SOURCE).with_suffix("").parts) if part != "__init__")
    for path in SOURCE.rglob("*.py")
    if path.name != "__main__.py"
)


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    ["import qrex", "import qrex; dir(qrex); qrex.__version__", "import qrex.errors, qrex.units, qrex.evidence",
     "import qrex; qrex.Measurement, qrex.Comparison", "import qrex.platform.description, qrex.store"],
)  # fmt: skip
def test_importing_costs_nothing(statement):
    assert _loaded_by(statement) == set()


def test_the_check_of_imports_sees_them():
    assert "numpy" in _loaded_by("import numpy")


def test_the_exported_names():
    assert qrex.__all__ == [
        "Circuit",
        "Comparison",
        "Expansion",
        "Measurement",
        "Observation",
        "Platform",
        "Summary",
        "Workload",
        "load_platform",
        "load_workload",
        "observe",
        "resource_expansion",
    ]
    for name in qrex.__all__:
        value = getattr(qrex, name)
        assert value.__name__ == name and value.__doc__
        assert value.__module__.startswith("qrex."), name


def test_a_name_that_does_not_exist_says_so():
    with pytest.raises(AttributeError, match="has no attribute 'expand_resources'"):
        qrex.expand_resources  # noqa: B018


def test_star_import_and_completion_give_the_same_names():
    names: dict[str, object] = {}
    exec("from qrex import *", names)
    assert set(qrex.__all__) <= set(names)
    assert set(qrex.__all__) < set(dir(qrex))


def test_the_version_is_the_packages():
    assert qrex.__version__ == importlib.metadata.version("qrex")


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_some_docstrings_have_examples():
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 20
