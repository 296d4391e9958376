"""Conditions of Qiskit circuits as those of a program.

In: the condition of an if statement, in either of Qiskit's forms. Out: a `BitTest`: comparisons that all hold, and
perhaps the parity of some bits; or a description of what cannot be said so. Understood are bits, registers
compared with constants, not, and, or, exclusive or, equality of bits, as far as and/or stay one comparison when
turned around.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

from qrex.circuits.program import Condition

__all__ = ["BitTest", "opposite", "read_condition"]


class BitTest(NamedTuple):
    """All of `conditions` hold and, unless `parity` is empty, its bits add up to `odd` modulo 2."""

    conditions: tuple[Condition, ...]
    parity: tuple[int, ...] = ()
    odd: int = 1

    @property
    def bits(self) -> set[int]:
        """Every bit that is looked at."""
        return {bit for condition in self.conditions for bit in condition.bits} | set(self.parity)


ALWAYS, NEVER = BitTest(()), BitTest((Condition((), 0, True),))
_AND = (expr.Binary.Op.LOGIC_AND, expr.Binary.Op.BIT_AND)
_OR = (expr.Binary.Op.LOGIC_OR, expr.Binary.Op.BIT_OR)
_NOT = (expr.Unary.Op.LOGIC_NOT, expr.Unary.Op.BIT_NOT)


def read_condition(condition, clbits: Mapping) -> BitTest | str:
    """`condition`, its bits numbered by `clbits`; what it is, as text, where no `BitTest` says the same."""
    if isinstance(condition, tuple):
        return _equals(condition[0], int(condition[1]), clbits)
    found = _read(condition, clbits)
    return f"the expression {condition}" if found is None else found


def opposite(test: BitTest) -> BitTest | None:
    """What holds exactly where `test` does not."""
    if test.parity:
        return None if test.conditions else BitTest((), test.parity, 1 - test.odd)
    if not test.conditions:
        return NEVER
    merged = _merged(test.conditions)
    if len(merged) > 1:
        return None
    return BitTest(_merged((merged[0]._replace(negated=not merged[0].negated),)))


def _read(node, clbits: Mapping) -> BitTest | None:
    while isinstance(node, expr.Cast):
        node = node.operand
    if isinstance(node, expr.Value):
        return ALWAYS if node.value else NEVER
    if isinstance(node, expr.Var):
        return _equals(node.var, 1, clbits) if isinstance(node.var, Clbit) else None
    if isinstance(node, expr.Index):
        return _indexed(node, clbits)
    if isinstance(node, expr.Unary) and node.op in _NOT and isinstance(node.operand.type, types.Bool):
        inner = _read(node.operand, clbits)
        return None if inner is None else opposite(inner)
    if not isinstance(node, expr.Binary):
        return None
    if node.op in (expr.Binary.Op.EQUAL, expr.Binary.Op.NOT_EQUAL):
        return _compared(node, clbits)
    if not isinstance(node.left.type, types.Bool) or not isinstance(node.right.type, types.Bool):
        return None
    if node.op is expr.Binary.Op.BIT_XOR:
        return _odd_one(_terms(node), clbits)
    left, right = _read(node.left, clbits), _read(node.right, clbits)
    if left is None or right is None:
        return None
    if node.op in _AND:
        return _both(left, right)
    if node.op in _OR:
        neither = _both(opposite(left), opposite(right))
        return None if neither is None else opposite(neither)
    return None


def _compared(node: expr.Binary, clbits: Mapping) -> BitTest | None:
    left, right = node.left, node.right
    if isinstance(_bare(left), expr.Value):
        left, right = right, left
    left, right = _bare(left), _bare(right)
    differs = node.op is expr.Binary.Op.NOT_EQUAL
    found = None
    if isinstance(left.type, types.Bool):
        one = _read(left, clbits)
        if isinstance(right, expr.Value) and one is not None and right.value in (0, 1):
            return opposite(one) if bool(right.value) == differs else one
        # Bits differ where one of them is 1: equality is the parity's opposite.
        found = _odd_one((left, right), clbits)
        return found if found is None or differs else opposite(found)
    if isinstance(right, expr.Value) and isinstance(left, expr.Var) and isinstance(left.var, ClassicalRegister):
        found = _equals(left.var, int(right.value), clbits)
    return opposite(found) if found is not None and differs else found


def _bare(node):
    while isinstance(node, expr.Cast):
        node = node.operand
    return node


def _indexed(index: expr.Index, clbits: Mapping) -> BitTest | None:
    register = getattr(index.target, "var", None)
    if isinstance(register, ClassicalRegister) and isinstance(index.index, expr.Value):
        return _equals(register[int(index.index.value)], 1, clbits)
    return None


def _equals(target, value: int, clbits: Mapping) -> BitTest:
    bits = (target,) if isinstance(target, Clbit) else tuple(target)
    return BitTest((Condition(tuple(clbits[bit] for bit in bits), value, False),))


def _both(left: BitTest | None, right: BitTest | None) -> BitTest | None:
    if left is None or right is None or (left.parity and right.parity):
        return None
    parity, odd = (left.parity, left.odd) if left.parity else (right.parity, right.odd)
    return BitTest(_merged(left.conditions + right.conditions), parity, odd)


def _terms(node) -> Iterator:
    """What a chain of exclusive ors is made of."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, expr.Binary) and node.op is expr.Binary.Op.BIT_XOR:
            pending += [node.right, node.left]
        else:
            yield node


def _odd_one(nodes: Iterable, clbits: Mapping) -> BitTest | None:
    """That an odd number of `nodes` is true, each a single bit or a parity."""
    bits: set[int] = set()
    total = 0
    for node in nodes:
        term = _read(node, clbits)
        parity = None if term is None else _as_parity(term)
        if parity is None:
            return None
        bits.symmetric_difference_update(parity[0])
        total ^= 1 - parity[1]
    odd = 1 - total
    if len(bits) > 1:
        return BitTest((), tuple(sorted(bits)), odd)
    if bits:
        return BitTest((Condition(tuple(bits), odd, False),))
    return NEVER if odd else ALWAYS


def _as_parity(test: BitTest) -> tuple[tuple[int, ...], int] | None:
    """(Bits, odd): `test` holds where they add up to `odd` modulo 2."""
    if test.parity:
        return None if test.conditions else (test.parity, test.odd)
    if test == ALWAYS:
        return (), 0
    if test == NEVER:
        return (), 1
    if len(test.conditions) == 1 and len(test.conditions[0].bits) == 1:
        condition = _merged(test.conditions)[0]
        return (condition.bits, condition.value) if condition.value < 2 else None
    return None


def _merged(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The same conditions, those that ask for one value of each of their bits as one: so they can be turned around."""
    if len(conditions) == 1 and not (conditions[0].negated and len(conditions[0].bits) == 1):
        return conditions
    bits: tuple[int, ...] = ()
    value = 0
    others = []
    for condition in conditions:
        if condition.value >> len(condition.bits) or (condition.negated and len(condition.bits) != 1):
            others.append(condition)
            continue
        wanted = 1 - condition.value if condition.negated else condition.value
        value |= wanted << len(bits)
        bits += condition.bits
    return ((Condition(bits, value, False),) if bits else ()) + tuple(others)
