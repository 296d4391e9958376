"""What the benchmark found so far, on disk after every circuit, so that an interrupted run goes on.

In: JSON-able findings. Out: the same, and the machine they were found on.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

from qrex.platform import host_to_dict, probe_host

__all__ = ["Record", "machine"]

_PACKAGES = ("qrex", "qiskit", "qiskit-aer", "prism-q", "qsimcirq", "mqt-bench", "stim", "numpy")


class Record:
    """One JSON file: findings by part and by name."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self._data: dict[str, dict[str, Any]] = json.loads(path.read_text()) if resume and path.exists() else {}
        path.parent.mkdir(parents=True, exist_ok=True)

    def part(self, name: str) -> dict[str, Any]:
        """The findings of one part, to be read."""
        return self._data.get(name, {})

    def keep(self, part: str, name: str, found: Any) -> None:
        self._data.setdefault(part, {})[name] = found
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self._data))
        os.replace(new, self.path)


def machine() -> dict[str, Any]:
    host = host_to_dict(probe_host(measure=False))
    kept = {name: host[name] for name in ("cpu_model", "cores", "memory_bytes")}
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return kept | {"versions": versions}
