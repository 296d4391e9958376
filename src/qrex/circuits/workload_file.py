"""`workload.toml`: what is wanted of the circuits of a folder.

In: the file beside the circuits. Out: `Settings`. An unknown key or circuit is an error that names the nearest
known one. The format is described in docs/openqasm.md.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from qrex.circuits.scope import nearest
from qrex.circuits.workload import MAX_SHOTS, Target
from qrex.errors import InputError

__all__ = ["FILE_NAME", "CircuitSettings", "Settings", "check_shots", "check_target", "read_settings"]

FILE_NAME = "workload.toml"
_TOP = ("name", "target", "shots", "circuits")
_PER_CIRCUIT = ("target", "shots", "inputs")


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """What is wanted of one circuit; None where the file does not say."""

    target: Target | None = None
    shots: int | None = None
    inputs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file: a name, defaults, and settings by circuit (file name or stem)."""

    name: str = ""
    default: CircuitSettings = CircuitSettings()
    circuits: Mapping[str, CircuitSettings] = field(default_factory=dict)

    def of(self, file: Path) -> CircuitSettings:
        """Settings of one file, defaults filled in; its full name goes before its stem."""
        own = self.circuits.get(file.name) or self.circuits.get(file.stem) or CircuitSettings()
        return CircuitSettings(own.target or self.default.target, own.shots or self.default.shots, own.inputs)


def check_target(target: Any, where: str) -> None:
    """Raise InputError unless `target` is None or one of the known targets."""
    known = get_args(Target)
    if target is not None and target not in known:
        raise InputError(f"{where} is {target!r}; known are {', '.join(known)}{nearest(str(target), known)}")


def check_shots(shots: Any, where: str) -> None:
    """Raise InputError unless `shots` is None or a whole number from 1 to 10^9."""
    if shots is None:
        return
    if isinstance(shots, bool) or not isinstance(shots, int) or not 1 <= shots <= MAX_SHOTS:
        raise InputError(f"{where} is {shots!r}; it must be a whole number from 1 to {MAX_SHOTS:,}")


def read_settings(path: Path, files: Sequence[Path]) -> Settings:
    """Settings in `path` for the circuit `files` beside it; InputError where they are wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: this is not TOML: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read: {error.strerror}") from None
    _check_keys(data, _TOP, str(path))
    if not isinstance(data.get("name", ""), str):
        raise InputError(f"{path}: name must be text")
    entries = _table(data.get("circuits", {}), f"{path}: circuits")
    known = {file.stem for file in files} | {file.name for file in files}
    circuits = {}
    for key, entry in entries.items():
        where = f"{path}: circuits.{key}"
        if key not in known:
            raise InputError(f"{where}: there is no circuit of that name here{nearest(key, sorted(known))}")
        _check_keys(_table(entry, where), _PER_CIRCUIT, where)
        circuits[key] = _circuit_settings(entry, where)
    return Settings(data.get("name", ""), _circuit_settings(data, str(path)), circuits)


def _circuit_settings(entry: Mapping[str, Any], where: str) -> CircuitSettings:
    target, shots = entry.get("target"), entry.get("shots")
    check_target(target, f"{where}: target")
    check_shots(shots, f"{where}: shots")
    inputs = _table(entry.get("inputs", {}), f"{where}: inputs")
    for name, value in inputs.items():
        if not isinstance(value, (bool, int, float)) or not math.isfinite(value):
            raise InputError(f"{where}: inputs.{name} is {value!r}; it must be a finite number or a truth value")
    return CircuitSettings(target, shots, inputs)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f'{where} must be a table, such as {{ target = "simulate" }}')
    return value


def _check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{nearest(key, known)}; known are {', '.join(known)}")
