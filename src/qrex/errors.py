"""Every error qrex raises on purpose, with the exit code its command line gives.

QrexError
├── InputError            exit 2   a file, an option or a value is wrong
│   ├── CircuitError      exit 2   OpenQASM that cannot be read (file:line:column)
│   └── PlatformError     exit 2   a platform file or a QPU name that cannot be used
├── InfeasibleError       exit 3   asked for more than this platform has
│   └── NoEngineError     exit 3   no engine can run a circuit
├── ThresholdError        exit 4   a *required* threshold was missed
├── EngineError           exit 1   an engine failed while it ran
│   ├── MemoryLimitError  exit 1   an engine went past its allotment
│   └── EngineFaultError  exit 1   an engine raised, or returned, what no engine should
└── StoreError            exit 1   the store cannot be read or written

Messages say what was asked, what exists, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "CircuitError",
    "EngineError",
    "EngineFaultError",
    "InfeasibleError",
    "InputError",
    "MemoryLimitError",
    "NoEngineError",
    "PlatformError",
    "QrexError",
    "StoreError",
    "ThresholdError",
]


class QrexError(Exception):
    """Base of all errors that qrex raises on purpose."""

    exit_code = 1


class InputError(QrexError):
    """A file, an option or a value given by the user is wrong."""

    exit_code = 2


class CircuitError(InputError):
    """A circuit cannot be read. Carries the place: `file`, `line` and `column` (1-based, or None)."""

    def __init__(self, reason: str, *, file: str = "<input>", line: int | None = None, column: int | None = None):
        self.reason, self.file, self.line, self.column = reason, file, line, column
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {reason}")

    def __reduce__(self):
        # Keyword-only arguments: the default pickling would call __init__ with the formatted message.
        return _rebuild_circuit_error, (self.reason, self.file, self.line, self.column)


def _rebuild_circuit_error(reason: str, file: str, line: int | None, column: int | None) -> CircuitError:
    return CircuitError(reason, file=file, line=line, column=column)


class PlatformError(InputError):
    """A platform file, or a QPU that it names, cannot be used."""


class InfeasibleError(QrexError):
    """The platform has not got what was asked for; the message says what would make it feasible."""

    exit_code = 3


class NoEngineError(InfeasibleError):
    """No engine can run a circuit. `what` describes it; `reasons` are by engine, and so are, where nothing else is
    wanting, the least memory (`needs`) and the least disk (`disk_needs`) that would do, each with what there is of the
    other, in bytes."""

    def __init__(
        self,
        message: str,
        what: str = "",
        reasons: Mapping[str, str] = MappingProxyType({}),
        needs: Mapping[str, int] = MappingProxyType({}),
        disk_needs: Mapping[str, int] = MappingProxyType({}),
    ):
        self.what, self.reasons, self.needs = what, dict(reasons), dict(needs)
        self.disk_needs = dict(disk_needs)
        super().__init__(message)


class ThresholdError(QrexError):
    """A threshold that the user *required* was missed."""

    exit_code = 4


class EngineError(QrexError):
    """An engine failed while it ran a circuit."""


class MemoryLimitError(EngineError):
    """An engine went past the memory it was allotted."""


class EngineFaultError(EngineError):
    """An engine raised what no engine should raise, or returned what is no answer: its code must be mended."""


class StoreError(QrexError):
    """The store of results cannot be read or written."""
