"""Arithmetic of OpenQASM programs: read to postfix code, evaluated when its names have values.

In: tokens, and later the values of names. Out: numbers, booleans, durations, or conditions on measured bits
(`qrex.circuits.conditions`). Both directions work with explicit stacks, so that neither a hundred thousand
parentheses nor a chain of a hundred thousand terms can exhaust Python's. Linear time.

Integers divide as in OpenQASM 3 (7/2 is 3, towards zero); OpenQASM 2 has only real division.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from qrex.circuits import conditions
from qrex.circuits.lexer import END, Lexer

__all__ = ["TYPES", "Code", "Duration", "Item", "evaluate", "parse_expression", "start_of"]

TYPES = frozenset({"bit", "int", "uint", "float", "angle", "bool", "duration"})
_CONSTANTS = {
    **{"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e},
    **{"true": True, "false": False},
}
_FUNCTIONS: dict[str, Callable] = {
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "exp", "sqrt", "floor")},
    **{"arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "ceiling": math.ceil},
    **{"log": math.log, "ln": math.log, "mod": math.fmod, "pow": operator.pow},
    **{
        "popcount": lambda value: int(value).bit_count(),
        "acos": math.acos,
        "asin": math.asin,
        "atan": math.atan,
    },
}
_CASTS = {"int": int, "uint": int, "bit": int, "float": float, "angle": float, "bool": bool}
_PREFIX = {"-", "+", "!", "~"}
_PREFIX_POWER = 11
_POWER = {
    **{"**": 12, "*": 10, "/": 10, "%": 10, "+": 9, "-": 9, "<<": 8, ">>": 8},
    **{"<": 7, "<=": 7, ">": 7, ">=": 7, "==": 6, "!=": 6, "&": 5, "^": 4, "|": 3, "&&": 2, "||": 1},
}
_ARITHMETIC: dict[str, Callable] = {
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "**": operator.pow, "==": operator.eq},
    **{"!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    **{
        "&": operator.and_,
        "|": operator.or_,
        "^": operator.xor,
        "<<": operator.lshift,
        ">>": operator.rshift,
    },
    **{"&&": lambda a, b: bool(a) and bool(b), "||": lambda a, b: bool(a) or bool(b)},
}
_MAX_BITS = 1024  # of an integer result; conditions on wide registers need hundreds
_UNITS = {"dt": None, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0}


class Item(NamedTuple):
    """One postfix step. `kind`: value, name, index, prefix, binary or call (`value` then holds name and count)."""

    kind: str
    value: Any
    position: int


Code = tuple[Item, ...]


class Duration(NamedTuple):
    """A length of time; `unit` is "s" or "dt" (the device's own steps)."""

    value: float
    unit: str


def parse_expression(lexer: Lexer, version: int) -> Code:
    """Postfix code of the expression that starts at the next token; stops before the first token not part of it."""
    output: list[Item] = []
    pending: list[Item] = []  # operators; "(", "[" and "call" open a group
    want_operand = True
    while True:
        token = lexer.peek()
        text, position = token.text, token.position
        if want_operand:
            if token.kind in ("number", "duration", "string"):
                output.append(Item("value", _literal(lexer), position))
                want_operand = False
            elif token.kind == "name":
                want_operand = _read_name(lexer, output, pending)
            elif text == "(":
                lexer.next()
                pending.append(Item("(", None, position))
            elif text in _PREFIX:
                lexer.next()
                pending.append(Item("prefix", text, position))
            else:
                lexer.fail(f"expected a value, found {lexer.show(token)}", position)
            continue
        if text == "[" and token.kind == "operator":
            lexer.next()
            pending.append(Item("[", None, position))
            want_operand = True
            continue
        if text in (")", "]", ",") and _any_open(pending):
            want_operand = _close(lexer, output, pending, text)
            continue
        symbol = "**" if version == 2 and text == "^" else text
        if token.kind == END or symbol not in _POWER:
            break
        lexer.next()
        power = _POWER[symbol]
        while pending and _binds(pending[-1]) + (symbol != "**") > power:
            output.append(pending.pop())
        pending.append(Item("binary", symbol, position))
        want_operand = True
    while pending:
        item = pending.pop()
        if item.kind in ("(", "[", "call"):
            lexer.fail(f"this {'[' if item.kind == '[' else '('} is never closed", item.position)
        output.append(item)
    return tuple(output)


def _any_open(pending: list[Item]) -> bool:
    # Open groups are never popped by operators: looking down the stack ends at the first one, and operators
    # above it are at most one per level of precedence plus prefixes.
    return any(item.kind in ("(", "[", "call") for item in reversed(pending))


def _binds(item: Item) -> int:
    if item.kind == "prefix":
        return _PREFIX_POWER
    return _POWER[item.value] if item.kind == "binary" else -1


def _read_name(lexer: Lexer, output: list[Item], pending: list[Item]) -> bool:
    """Take a name, a function or a cast; whether an operand is still wanted."""
    token = lexer.next()
    if token.text in _CASTS and lexer.accept("["):
        lexer.next()  # the width of a cast: values are held in full
        lexer.expect("]", "the width of a type")
    if lexer.peek().text == "(":
        if token.text not in _FUNCTIONS and token.text not in _CASTS:
            known = ", ".join(sorted(_FUNCTIONS))
            lexer.fail(f"unknown function {lexer.show(token)}; known are {known}", token.position)
        lexer.next()
        pending.append(Item("call", [token.text, 1], token.position))
        return True
    kind, value = ("value", _CONSTANTS[token.text]) if token.text in _CONSTANTS else ("name", token.text)
    output.append(Item(kind, value, token.position))
    return False


def _close(lexer: Lexer, output: list[Item], pending: list[Item], text: str) -> bool:
    """Handle `)`, `]` or `,` inside a group; whether an operand is wanted next."""
    token = lexer.next()
    while pending[-1].kind not in ("(", "[", "call"):
        output.append(pending.pop())
    group = pending[-1]
    if text == "," and group.kind == "call":
        group.value[1] += 1
        return True
    if (group.kind == "[") != (text == "]") or text == ",":
        lexer.fail(f"unexpected '{text}'", token.position)
    pending.pop()
    if group.kind == "[":
        output.append(Item("index", None, group.position))
    elif group.kind == "call":
        output.append(Item("call", tuple(group.value), group.position))
    return False


def _literal(lexer: Lexer) -> Any:
    token = lexer.next()
    text = token.text.replace("_", "")
    if token.kind == "string":
        digits = text[1:-1]
        if not digits or set(digits) - {"0", "1"}:
            lexer.fail(f"{lexer.show(token)} is not a bit string", token.position)
        return int(digits, 2)
    if token.kind == "duration":
        unit = next(u for u in sorted(_UNITS, key=len, reverse=True) if text.endswith(u))
        number = float(text[: -len(unit)])
        return Duration(number, "dt") if unit == "dt" else Duration(number * _UNITS[unit], "s")
    if text[:2].lower() in ("0x", "0b", "0o"):
        return int(text, 0)
    return int(text) if text.isdigit() else float(text)


def evaluate(code: Code, lookup: Callable[[str, int], Any], version: int, fail: Callable[[str, int], NoReturn]) -> Any:
    """Value of postfix `code`. `lookup(name, position)` gives a name's value; `fail(reason, position)` raises."""
    stack: list[Any] = []
    for kind, value, position in code:
        try:
            if kind == "value":
                stack.append(value)
            elif kind == "name":
                stack.append(lookup(value, position))
            elif kind == "prefix":
                stack.append(_prefix(value, stack.pop()))
            elif kind == "call":
                stack.append(_call(value, stack))
            else:
                right = stack.pop()
                left = stack.pop()
                stack.append(_index(left, right) if kind == "index" else _binary(value, left, right, version))
        except ZeroDivisionError:
            fail("division by zero", position)
        except OverflowError:
            fail("this number is too large", position)
        except (TypeError, ValueError) as error:
            fail(f"this has no value: {error}", position)
    result = stack[0]
    if isinstance(result, float) and not math.isfinite(result):
        fail("this value is not finite", start_of(code))
    return result


def start_of(code: Code) -> int:
    """Where the expression begins in the text."""
    return min(item.position for item in code)


def _prefix(symbol: str, value: Any) -> Any:
    if conditions.is_runtime(value):
        return conditions.prefix(symbol, value)
    if isinstance(value, Duration) and symbol in "-+":
        return value._replace(value=-value.value if symbol == "-" else value.value)
    if symbol == "!":
        return not value
    return {"-": operator.neg, "+": operator.pos, "~": operator.invert}[symbol](value)


def _binary(symbol: str, left: Any, right: Any, version: int) -> Any:
    if conditions.is_runtime(left) or conditions.is_runtime(right):
        return conditions.binary(symbol, left, right)
    if isinstance(left, Duration) or isinstance(right, Duration):
        return _duration(symbol, left, right)
    if symbol == "/":
        if version == 2 or isinstance(left, float) or isinstance(right, float):
            return left / right
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    if symbol == "%":
        return math.fmod(left, right) if isinstance(left, float) or isinstance(right, float) else left % right
    if isinstance(left, int) and isinstance(right, int) and symbol in ("**", "<<", "*"):
        bits = abs(left).bit_length()
        grown = {
            "**": (bits if bits > 1 else 0) * right,
            "<<": bits and bits + right,
            "*": bits + right.bit_length(),
        }
        if grown[symbol] > _MAX_BITS:
            raise OverflowError
    return _real(_ARITHMETIC[symbol](left, right))


def _call(value: tuple[str, int], stack: list[Any]) -> Any:
    name, count = value
    arguments = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    if count == 1 and conditions.is_runtime(arguments[0]):
        return conditions.cast(name, arguments[0])
    if name == "pow":
        return _binary("**", *arguments, 3)
    return _real(_FUNCTIONS[name](*arguments) if name in _FUNCTIONS else _CASTS[name](*arguments))


def _real(value: Any) -> Any:
    if isinstance(value, complex):
        raise ValueError("complex numbers are not supported")
    return value


def _index(left: Any, right: Any) -> Any:
    if conditions.is_runtime(right) or isinstance(right, (float, Duration)):
        raise ValueError("an index must be a whole number known before the run")
    if conditions.is_runtime(left):
        return conditions.index(left, right)
    if isinstance(left, int) and not isinstance(left, bool) and right >= 0:
        return left >> right & 1
    raise ValueError("only registers and whole numbers can be indexed")


def _duration(symbol: str, left: Any, right: Any) -> Any:
    if isinstance(left, Duration) and isinstance(right, Duration):
        if left.unit != right.unit:
            raise ValueError("seconds and dt cannot be mixed")
        result = _ARITHMETIC[symbol](left.value, right.value) if symbol != "/" else left.value / right.value
        return Duration(result, left.unit) if symbol in "+-" else result
    if symbol == "*":
        time, factor = (left, right) if isinstance(left, Duration) else (right, left)
        return time._replace(value=time.value * factor)
    if symbol == "/" and isinstance(left, Duration):
        return left._replace(value=left.value / right)
    raise ValueError(f"'{symbol}' does not combine a duration and a number")
