"""Conditions on measured bits, as Qiskit's classical expressions.

In: classical bits, registers and expressions on them, combined by OpenQASM operators. Out: `expr.Expr`, and for
`if` the simplest form Qiskit knows ((bit, value), (register, value) or an expression), since every simulator
understands those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

__all__ = ["binary", "cast", "condition", "condition_resources", "index", "is_runtime", "prefix"]

_MAX_DEPTH = 200  # of an expression tree; Qiskit walks it by recursion
_COMPARE = {
    "==": expr.equal,
    "!=": expr.not_equal,
    "<": expr.less,
    "<=": expr.less_equal,
    ">": expr.greater,
    ">=": expr.greater_equal,
}
_COMBINE = {"&": expr.bit_and, "|": expr.bit_or, "^": expr.bit_xor}
_LOGIC = {"&&": expr.logic_and, "||": expr.logic_or}


def is_runtime(value: Any) -> bool:
    """Whether `value` is known only while the circuit runs."""
    return isinstance(value, (Clbit, ClassicalRegister, expr.Expr))


def prefix(symbol: str, value: Any) -> expr.Expr:
    """`!value` or `~value`."""
    value = _lift(value)
    if symbol == "!" or (symbol == "~" and value.type.kind is types.Bool):
        return _bounded(expr.logic_not(_truth(value)))
    if symbol == "~":
        return _bounded(expr.bit_not(value))
    raise ValueError(f"'{symbol}' on measured bits is not supported")


def binary(symbol: str, left: Any, right: Any) -> Any:
    """`left symbol right` where at least one side is measured; a constant where the outcome is certain."""
    if symbol in _LOGIC:
        return _bounded(_LOGIC[symbol](_truth(_lift(left)), _truth(_lift(right))))
    if symbol not in _COMPARE and symbol not in _COMBINE:
        raise ValueError(f"'{symbol}' on measured bits is not supported; compare or combine them bitwise")
    if not is_runtime(left):
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(symbol, symbol)
        return binary(mirrored, right, left)
    left = _lift(left)
    if is_runtime(right):
        right = _lift(right)
    else:
        if isinstance(right, float):
            raise ValueError("measured bits are compared with whole numbers only")
        width = 1 if left.type.kind is types.Bool else left.type.width
        if not 0 <= right < 1 << width:
            return _certain(symbol, int(right))
        right = expr.Value(bool(right), types.Bool()) if width == 1 and left.type.kind is types.Bool else right
        right = right if isinstance(right, expr.Expr) else expr.Value(int(right), left.type)
    if left.type.kind is types.Bool and symbol in ("<", "<=", ">", ">="):
        raise ValueError("a single bit has no order; compare it with == or !=")
    return _bounded((_COMPARE.get(symbol) or _COMBINE[symbol])(left, right))


def _certain(symbol: str, constant: int) -> bool:
    """Outcome of comparing a register with a constant that lies outside its range."""
    if symbol in ("==", "!="):
        return symbol == "!="
    if symbol in _COMBINE:
        raise ValueError("the constant is wider than the register")
    return (symbol in ("<", "<=")) == (constant > 0)


def cast(name: str, value: Any) -> Any:
    """A type's name used as a function on measured bits."""
    if name == "bool":
        return _truth(_lift(value))
    if name in ("int", "uint", "bit"):
        return value
    raise ValueError(f"{name}() of measured bits is not supported")


def index(value: Any, position: int) -> Clbit:
    """One bit of a register."""
    if not isinstance(value, ClassicalRegister):
        raise ValueError("only registers can be indexed")
    if not -len(value) <= position < len(value):
        raise ValueError(f"index {position} is outside '{value.name}', which has {len(value)} bits")
    return value[position]


def condition(value: Any) -> tuple[Clbit | ClassicalRegister, int] | expr.Expr:
    """What Qiskit's `IfElseOp` takes for the condition `value`."""
    value = _truth(_lift(value))
    match value:
        case expr.Var(var=Clbit() as bit):
            return (bit, 1)
        case expr.Unary(op=expr.Unary.Op.LOGIC_NOT, operand=expr.Var(var=Clbit() as bit)):
            return (bit, 0)
        case expr.Binary(op=expr.Binary.Op.EQUAL, left=expr.Var(var=source), right=expr.Value(value=constant)):
            return (source, int(constant))
        case expr.Binary(op=expr.Binary.Op.NOT_EQUAL, left=expr.Var(var=Clbit() as bit), right=expr.Value(value=v)):
            return (bit, int(not v))
    return value


def condition_resources(value: Any) -> Iterator[Clbit | ClassicalRegister]:
    """Bits and registers that a condition reads."""
    if isinstance(value, tuple):
        yield value[0]
    else:
        for variable in expr.iter_vars(value):
            yield variable.var


def _lift(value: Any) -> expr.Expr:
    return value if isinstance(value, expr.Expr) else expr.lift(value)


def _truth(value: expr.Expr) -> expr.Expr:
    if value.type.kind is types.Bool:
        return value
    return expr.not_equal(value, expr.Value(0, value.type))


def _bounded(value: expr.Expr) -> expr.Expr:
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"a condition may nest {_MAX_DEPTH} operators at most")
        level = [c for e in level for c in (getattr(e, n, None) for n in ("left", "right", "operand")) if c is not None]
    return value
