"""Fixtures of this room's tests; `made_up` is found beside this file whatever the import mode."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _load():
    spec = importlib.util.spec_from_file_location("made_up", Path(__file__).with_name("made_up.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_up"] = module
    spec.loader.exec_module(module)
    return module


MADE_UP = _load()


@pytest.fixture
def made_up():
    return MADE_UP


@pytest.fixture
def summary():
    return MADE_UP.made_up_summary()


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return MADE_UP.made_up_summary().save(folder)
