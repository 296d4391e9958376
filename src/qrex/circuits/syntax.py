"""Statements of OpenQASM as read: what the parser hands to the importer.

Expressions are postfix `Code`; `position` is an offset in the text, turned into line and column only for an
error. Named tuples, since files hold hundreds of thousands of them.
"""

from __future__ import annotations

from typing import NamedTuple

from qrex.circuits.expressions import Code

__all__ = [
    "Alias",
    "Assign",
    "Barrier",
    "Declare",
    "Delay",
    "End",
    "FlatCall",
    "For",
    "GateCall",
    "GateDefinition",
    "If",
    "Include",
    "Measure",
    "Operand",
    "Range",
    "Reset",
    "Statement",
]


class Range(NamedTuple):
    """`start:step:stop`, both ends included; None where left out."""

    start: Code | None
    step: Code | None
    stop: Code | None


class Operand(NamedTuple):
    """A register or a part of it: `index` is None, one index, a range, or a tuple of indices."""

    name: str
    index: Code | Range | None
    chosen: tuple[Code, ...] | None
    position: int


class FlatCall(NamedTuple):
    """`gate(numbers) register[number], …;` — nearly every line of a large file, read by one regular expression."""

    name: str
    parameters: str | None
    operands: tuple[tuple[str, int], ...]
    position: int


class GateCall(NamedTuple):
    """`modifiers` as written, the outermost first: (ctrl, negctrl, inv or pow; its argument)."""

    name: str
    modifiers: tuple[tuple[str, Code | None], ...]
    parameters: tuple[Code, ...]
    operands: tuple[Operand, ...]
    position: int


class GateDefinition(NamedTuple):
    name: str
    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: tuple[Statement, ...]
    opaque: bool
    position: int


class Declare(NamedTuple):
    """`kind` is a type or "qubit"; `storage` is "", "const", "input" or "output"."""

    kind: str
    size: Code | None
    name: str
    value: Code | None
    storage: str
    position: int


class Alias(NamedTuple):
    name: str
    parts: tuple[Operand, ...]
    position: int


class Assign(NamedTuple):
    target: Operand
    operator: str
    value: Code
    position: int


class Measure(NamedTuple):
    source: Operand
    target: Operand
    position: int


class Reset(NamedTuple):
    operands: tuple[Operand, ...]
    position: int


class Barrier(NamedTuple):
    operands: tuple[Operand, ...]
    position: int


class Delay(NamedTuple):
    duration: Code
    operands: tuple[Operand, ...]
    position: int


class If(NamedTuple):
    condition: Code
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    position: int


class For(NamedTuple):
    variable: str
    values: Range | tuple[Code, ...]
    body: tuple[Statement, ...]
    position: int


class Include(NamedTuple):
    file: str
    position: int


class End(NamedTuple):
    position: int


Statement = (
    FlatCall
    | GateCall
    | GateDefinition
    | Declare
    | Alias
    | Assign
    | Measure
    | Reset
    | Barrier
    | Delay
    | If
    | For
    | Include
    | End
)
