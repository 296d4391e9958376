"""What the names of a program stand for, and the limits on what a program may ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from qiskit.circuit import ClassicalRegister, Clbit, Qubit

__all__ = ["MAX_BITS", "MAX_OPERATIONS", "MAX_QUBITS", "Bits", "Qubits", "Scope", "Variable", "nearest"]

MAX_QUBITS = 100_000
MAX_BITS = 1_000_000
MAX_OPERATIONS = 10_000_000
"""Limits that keep a one-line program from filling the memory; each error names the limit."""


@dataclass(frozen=True, slots=True)
class Qubits:
    """A quantum register, an alias, or (`single`) one qubit that takes no index."""

    bits: list[Qubit]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Bits:
    """A classical register, an alias of bits (`register` None), or one bit."""

    bits: list[Clbit]
    register: ClassicalRegister | None
    single: bool = False


@dataclass(slots=True)
class Variable:
    """A number, a truth value or a duration that is known before the run."""

    kind: str
    value: Any
    constant: bool
    depth: int = 0  # of measured conditions around its declaration


@dataclass(slots=True)
class Scope:
    """Names of one block. In a gate's body (`gate`) only constants are seen outside of it."""

    outer: Scope | None = None
    gate: bool = False
    names: dict[str, Qubits | Bits | Variable] = field(default_factory=dict)

    def find(self, name: str) -> Qubits | Bits | Variable | None:
        scope: Scope | None = self
        left_gate = False
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                visible = not left_gate or (isinstance(found, Variable) and found.constant)
                return found if visible else None
            left_gate = left_gate or scope.gate
            scope = scope.outer
        return None

    def all_names(self) -> list[str]:
        return [*self.names, *(self.outer.all_names() if self.outer else ())]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a message: " (did you mean 'x'?)", or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known)[:5000], n=1, cutoff=0.5) if len(name) < 100 else []
    return f" (did you mean '{close[0]}'?)" if close else ""
