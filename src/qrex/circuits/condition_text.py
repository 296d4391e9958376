"""Conditions as OpenQASM, to be named in messages.

In: a Qiskit expression and the names of its bits. Out: text such as `c < 6 && !d[0]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr

__all__ = ["condition_text"]

_Op = expr.Binary.Op
_SYMBOLS = {
    **{_Op.BIT_AND: "&", _Op.BIT_OR: "|", _Op.BIT_XOR: "^", _Op.LOGIC_AND: "&&", _Op.LOGIC_OR: "||"},
    **{_Op.EQUAL: "==", _Op.NOT_EQUAL: "!=", _Op.LESS: "<", _Op.LESS_EQUAL: "<=", _Op.GREATER: ">"},
    **{_Op.GREATER_EQUAL: ">=", _Op.SHIFT_LEFT: "<<", _Op.SHIFT_RIGHT: ">>"},
    **{_Op.ADD: "+", _Op.SUB: "-", _Op.MUL: "*", _Op.DIV: "/"},
}
_LONGEST = 80


def condition_text(condition: object, names: Mapping[Clbit, str]) -> str:
    """`condition` in either of Qiskit's forms, its bits named by `names`, cut where it is long.

    >>> condition_text(expr.less(ClassicalRegister(3, "c"), 6), {})
    'c < 6'
    """
    if isinstance(condition, tuple):
        text = f"{_source(condition[0], names)} == {int(condition[1])}"
    else:
        text = _text(condition, names, outermost=True)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _text(node: object, names: Mapping[Clbit, str], outermost: bool = False) -> str:
    if isinstance(node, expr.Value):
        return str(node.value).lower()
    if isinstance(node, expr.Var):
        return _source(node.var, names) if isinstance(node.var, (Clbit, ClassicalRegister)) else str(node.name)
    if isinstance(node, expr.Cast):
        return _text(node.operand, names, outermost)
    if isinstance(node, expr.Index):
        return f"{_text(node.target, names)}[{_text(node.index, names, outermost=True)}]"
    if isinstance(node, expr.Unary):
        return ("!" if node.op is expr.Unary.Op.LOGIC_NOT else "~") + _text(node.operand, names)
    if not isinstance(node, expr.Binary):
        return "..."
    left, right = _text(node.left, names), _text(node.right, names)
    text = f"{left} {_SYMBOLS.get(node.op, '?')} {right}"
    return text if outermost else f"({text})"


def _source(source: Clbit | ClassicalRegister, names: Mapping[Clbit, str]) -> str:
    return source.name if isinstance(source, ClassicalRegister) else names.get(source, "bit")
