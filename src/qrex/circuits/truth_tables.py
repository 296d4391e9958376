"""Conditions over few bits by trying every value of them.

In: a Qiskit expression, whatever it computes with its bits. Out: a decision tree's leaves, as conjunctions of
which no two hold at once. 2^bits evaluations, for up to `MAX_TABLE_BITS` bits.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

from qrex.circuits.program import Condition

__all__ = ["MAX_TABLE_BITS", "leaves", "truth_table"]

MAX_TABLE_BITS = 8

_Op = expr.Binary.Op
_OPERATORS = {
    **{_Op.BIT_AND: operator.and_, _Op.BIT_OR: operator.or_, _Op.BIT_XOR: operator.xor},
    **{_Op.LOGIC_AND: operator.and_, _Op.LOGIC_OR: operator.or_},
    **{_Op.EQUAL: operator.eq, _Op.NOT_EQUAL: operator.ne, _Op.LESS: operator.lt, _Op.LESS_EQUAL: operator.le},
    **{_Op.GREATER: operator.gt, _Op.GREATER_EQUAL: operator.ge},
    **{_Op.SHIFT_LEFT: operator.lshift, _Op.SHIFT_RIGHT: operator.rshift},
    **{_Op.ADD: operator.add, _Op.SUB: operator.sub, _Op.MUL: operator.mul},
}


def truth_table(node: expr.Expr, clbits: Mapping[Clbit, int]) -> tuple[tuple[int, ...], list[bool]] | None:
    """(Bits, whether `node` is true where they hold 0, 1, 2, ...); None where bits are too many, or the expression
    is about something other than bits."""
    sources = [variable.var for variable in expr.iter_vars(node)]
    if not all(isinstance(source, (Clbit, ClassicalRegister)) for source in sources):
        return None
    bits = sorted({clbits[bit] for source in sources for bit in ([source] if isinstance(source, Clbit) else source)})
    if len(bits) > MAX_TABLE_BITS:
        return None
    place = {bit: index for index, bit in enumerate(bits)}
    places = {clbit: place[number] for clbit, number in clbits.items() if number in place}
    try:
        return tuple(bits), [bool(_value(node, places, value)) for value in range(1 << len(bits))]
    except (KeyError, AttributeError):
        return None


def leaves(bits: Sequence[int], table: Sequence[bool]) -> list[tuple[Condition, ...]]:
    """Where `table` is true, as conjunctions that exclude each other.

    >>> leaves((4, 7), [False, True, False, False])
    [(Condition(bits=(7, 4), value=2, negated=False),)]
    """
    found: list[tuple[Condition, ...]] = []
    pending: list[tuple[tuple[int, ...], int, list[bool]]] = [((), 0, list(table))]
    while pending:
        fixed, value, rest = pending.pop()
        if all(rest):
            found.append((Condition(fixed, value, False),) if fixed else ())
        elif any(rest):
            half, bit = len(rest) // 2, bits[len(bits) - len(fixed) - 1]
            pending.append(((*fixed, bit), value | 1 << len(fixed), rest[half:]))
            pending.append(((*fixed, bit), value, rest[:half]))
    return found


def _value(node: expr.Expr, places: Mapping[Clbit, int], number: int) -> int:
    """What `node` is where the bits hold `number`."""
    if isinstance(node, expr.Value):
        return int(node.value)
    if isinstance(node, expr.Var):
        bits = [node.var] if isinstance(node.var, Clbit) else list(node.var)
        return sum((number >> places[bit] & 1) << index for index, bit in enumerate(bits))
    if isinstance(node, expr.Cast):
        return _held(_value(node.operand, places, number), node.type)
    if isinstance(node, expr.Index):
        return _value(node.target, places, number) >> _value(node.index, places, number) & 1
    if isinstance(node, expr.Unary):
        inner = _value(node.operand, places, number)
        return int(not inner) if isinstance(node.type, types.Bool) else _held(~inner, node.type)
    found = _OPERATORS[node.op](_value(node.left, places, number), _value(node.right, places, number))
    return _held(int(found), node.type)


def _held(value: int, kind: types.Type) -> int:
    return int(value != 0) if isinstance(kind, types.Bool) else value & (1 << kind.width) - 1
