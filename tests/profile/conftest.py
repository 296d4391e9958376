"""Modules that this room's tests share, found beside this file whatever the import mode."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent


def _load(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


sys.path.insert(0, str(HERE.parent))
sys.modules["oracle_families"] = importlib.import_module("conformance.families")
_load("made_circuits", HERE / "made_circuits.py")
