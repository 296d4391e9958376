"""A workload: a folder, files, standard input or Qiskit circuits, loaded together.

In: paths, "-", or circuits. Out: a `Workload`. A file that cannot be read is kept as a failure with its reason
and never stops the others, unless `strict`. A folder may hold `workload.toml` (docs/openqasm.md).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qiskit import QuantumCircuit

from qrex.circuits.reading import circuit_from_qiskit, read_circuit
from qrex.circuits.workload import DEFAULT_SHOTS, Circuit, Target, Workload
from qrex.circuits.workload_file import FILE_NAME, Settings, check_shots, check_target, read_settings
from qrex.errors import CircuitError, InputError

__all__ = ["SUFFIXES", "load_workload"]

SUFFIXES = (".qasm", ".qasm2", ".qasm3")
_MAX_FILE_BYTES = 256 * 1024 * 1024

_Place = str | os.PathLike[str]


def load_workload(
    source: _Place | QuantumCircuit | Sequence[_Place | QuantumCircuit],
    *,
    strict: bool = False,
    target: Target | None = None,
    shots: int | None = None,
    name: str | None = None,
    inputs: Mapping[str, float] | None = None,
) -> Workload:
    """Load every circuit of `source`.

    `source` is a folder (its .qasm, .qasm2 and .qasm3 files, by name), a file, "-" (OpenQASM on standard input), a
    Qiskit circuit, or a sequence of these. `target` and `shots` overrule workload.toml; `inputs` are values for
    OpenQASM 3 inputs of every circuit, under those of workload.toml. Two files with equal content both stay.

    Raises InputError for a folder or file that does not exist, a folder without circuits and a wrong
    workload.toml; with `strict`, CircuitError for the first circuit that cannot be read.
    """
    check_target(target, "target")
    check_shots(shots, "shots")
    parts = [source] if not isinstance(source, Sequence) or isinstance(source, str) else list(source)
    if not parts:
        raise InputError("the workload is empty; give a folder, files, '-' or circuits")
    circuits: list[Circuit] = []
    failures: dict[str, CircuitError] = {}
    names: list[str] = []
    for part in parts:
        try:
            if isinstance(part, (str, os.PathLike)):
                found_name = _load_path(part, strict, target, shots, inputs or {}, circuits, failures)
            elif not isinstance(part, QuantumCircuit):
                raise InputError(f"a workload is made of paths and Qiskit circuits, not of {type(part).__name__}")
            else:
                circuits.append(circuit_from_qiskit(part, None, target or "auto", shots or DEFAULT_SHOTS))
                found_name = circuits[-1].name
        except CircuitError as error:
            if strict:
                raise
            failures[_free(f"{error.file}", failures)] = error
            found_name = error.file
        names.append(found_name)
    return Workload(name or (names[0] if len(names) == 1 else "workload"), _with_own_names(circuits), failures)


def _load_path(
    part: _Place,
    strict: bool,
    target: Target | None,
    shots: int | None,
    inputs: Mapping[str, float],
    circuits: list[Circuit],
    failures: dict[str, CircuitError],
) -> str:
    """Load a folder, a file or standard input into `circuits` and `failures`; the name it gives a workload."""
    settings, folder_name = Settings(), ""
    path = Path(part)
    if str(part) == "-":
        files = [None]
    elif path.is_dir():
        files, settings, folder_name = _folder(path)
    elif path.exists():
        files = [path]
    else:
        raise InputError(f"'{path}' does not exist; give a folder with {', '.join(SUFFIXES)} files, a file, or '-'")
    for file in files:
        origin = _printable(str(file)) if file else "<stdin>"
        own = settings.of(file) if file else settings.default
        try:
            text = _text(file, origin)
            circuit = read_circuit(
                text,
                origin,
                name=_printable(file.stem) if file else "stdin",
                target=target or own.target or "auto",
                shots=shots or own.shots or DEFAULT_SHOTS,
                inputs={**_used(inputs, text), **own.inputs},
            )
            circuits.append(circuit)
        except CircuitError as error:
            if strict:
                raise
            failures[_free(origin, failures)] = error
    return _printable(folder_name or (path.stem if str(part) != "-" else "stdin"))


def _printable(name: str) -> str:
    """File names are bytes: what is not UTF-8 in them can be opened, but neither shown nor written."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _folder(path: Path) -> tuple[list[Path | None], Settings, str]:
    try:
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES and not f.is_dir())
    except OSError as error:
        raise InputError(f"the folder '{path}' cannot be read: {error.strerror}") from None
    if not files:
        raise InputError(f"the folder '{path}' holds no circuits; it needs {', '.join(SUFFIXES)} files")
    settings = read_settings(path / FILE_NAME, files) if (path / FILE_NAME).exists() else Settings()
    return list(files), settings, settings.name or path.resolve().name


def _text(file: Path | None, origin: str) -> str:
    """Text of a file or of standard input; CircuitError where it cannot be had."""
    try:
        if file is None:
            data = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
        elif not file.is_file():
            raise CircuitError("this is not a file", file=origin)
        else:
            with file.open("rb") as stream:
                data = stream.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CircuitError(f"the file cannot be read: {error.strerror}", file=origin) from None
    if len(data) > _MAX_FILE_BYTES:
        raise CircuitError(f"the file is larger than {_MAX_FILE_BYTES // 1024**2} MiB", file=origin)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        reason = f"this is not OpenQASM text: byte 0x{data[error.start]:02x} is not UTF-8"
        raise CircuitError(reason, file=origin, line=line, column=column) from None


def _used(inputs: Mapping[str, float], text: str) -> dict[str, float]:
    """Inputs given for the whole workload that this program names."""
    return {name: value for name, value in inputs.items() if name in text and "input" in text}


def _free(origin: str, taken: Mapping[str, object]) -> str:
    number, candidate = 2, origin
    while candidate in taken:
        candidate, number = f"{origin} #{number}", number + 1
    return candidate


def _with_own_names(circuits: list[Circuit]) -> tuple[Circuit, ...]:
    """Every circuit under a name of its own: file names where stems clash, then numbers."""
    stems = Counter(circuit.name for circuit in circuits)
    taken: dict[str, None] = {}
    named: list[Circuit] = []
    for circuit in circuits:
        clash = stems[circuit.name] > 1
        wanted = Path(circuit.origin).name if clash and not circuit.origin.startswith("<") else circuit.name
        own = _free(wanted, taken)
        taken[own] = None
        named.append(circuit if own == circuit.name else replace(circuit, name=own))
    return tuple(named)
