"""Names of the calibration snapshots (fake backends) of qiskit-ibm-runtime, read without importing it.

In: nothing but the installed package's folder. Out: `fake_backend_names()`, snake-case names in order, and
`normalize_fake_name` for what users type ("FakeGuadalupeV2", "guadalupe"). Listing a folder takes a
millisecond; importing the package takes more than a second.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

__all__ = ["fake_backend_names", "nearest", "normalize_fake_name"]

# A test device of invented numbers, not a calibration of anything.
_NOT_SNAPSHOTS = frozenset({"fractional"})


@cache
def fake_backend_names() -> tuple[str, ...]:
    """Snake-case names such as "fake_guadalupe"; empty where qiskit-ibm-runtime is not installed."""
    # find_spec on the parent only: on a submodule it would import the parent.
    spec = importlib.util.find_spec("qiskit_ibm_runtime")
    if spec is None or not spec.submodule_search_locations:
        return ()
    folder = Path(spec.submodule_search_locations[0]) / "fake_provider" / "backends"
    found = (path.parent.name for path in folder.glob("*/props_*.json"))
    return tuple(sorted(f"fake_{name}" for name in found if name not in _NOT_SNAPSHOTS))


def normalize_fake_name(text: str) -> str:
    """The snake-case form of a fake backend's name; does not check that it exists.

    >>> normalize_fake_name("FakeGuadalupeV2"), normalize_fake_name("fake_montreal")
    ('fake_guadalupe', 'fake_montreal')
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text.strip()).lower().replace("-", "_")
    snake = re.sub(r"_?v2$", "", snake)
    return snake if snake.startswith("fake_") else f"fake_{snake}"


def nearest(asked: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to `count` names of `known` that look most like `asked`, best first; may be empty."""
    return tuple(difflib.get_close_matches(asked, list(known), n=count, cutoff=0.5))
