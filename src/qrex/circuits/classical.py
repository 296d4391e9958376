"""Conditions of Qiskit circuits as those of a program.

In: the condition of an if statement, in either of Qiskit's forms. Out: a `BitTest`: alternatives of which no two
hold at once, each a list of comparisons, and perhaps the parity of some bits. Understood are bits, registers
compared with constants, not, and, or, exclusive or, equality of bits; anything else on few bits by trying their
values (`qrex.circuits.truth_tables`).

Every part of an expression is read as what holds where it is true and what holds where it is false, so that
nothing has to be turned around afterwards: an order is a single list of comparisons either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

from qrex.circuits.program import Condition
from qrex.circuits.truth_tables import leaves, truth_table

__all__ = ["MAX_ALTERNATIVES", "BitTest", "read_condition"]

MAX_ALTERNATIVES = 64
"""Each alternative repeats the rows of its block."""

_MAX_PARITY_BITS = 6
_Conjunction = tuple[Condition, ...]


class BitTest(NamedTuple):
    """One of `alternatives` holds, which means all its conditions, and no two do; and, unless `parity` is empty,
    its bits add up to `odd` modulo 2."""

    alternatives: tuple[_Conjunction, ...]
    parity: tuple[int, ...] = ()
    odd: int = 1

    @property
    def bits(self) -> set[int]:
        """Every bit that is looked at."""
        conditions = (condition for alternative in self.alternatives for condition in alternative)
        return {bit for condition in conditions for bit in condition.bits} | set(self.parity)


class _Sides(NamedTuple):
    """Where a part of an expression holds and where it fails; None where there is no saying."""

    holds: BitTest | None
    fails: BitTest | None


ALWAYS, NEVER = BitTest(((),)), BitTest(())
_UNKNOWN = _Sides(None, None)
_Op = expr.Binary.Op
_MIRRORED = {
    _Op.LESS: _Op.GREATER,
    _Op.LESS_EQUAL: _Op.GREATER_EQUAL,
    _Op.GREATER: _Op.LESS,
    _Op.GREATER_EQUAL: _Op.LESS_EQUAL,
    _Op.EQUAL: _Op.EQUAL,
    _Op.NOT_EQUAL: _Op.NOT_EQUAL,
}


def read_condition(condition, clbits: Mapping, holds: bool = True) -> BitTest | None:
    """Where `condition` holds, or where it fails, its bits numbered by `clbits`; None if no `BitTest` says so."""
    if isinstance(condition, tuple):
        return _equals(condition[0], int(condition[1]), clbits, holds)
    return _read(condition, clbits)[0 if holds else 1]


def _read(node, clbits: Mapping) -> _Sides:
    found = _structure(node, clbits)
    if None not in found:
        return found
    table = truth_table(node, clbits)
    if table is None:
        return found
    bits, values = table
    ways = leaves(bits, values), leaves(bits, [not value for value in values])
    return _Sides(*(_within_limit(way) for way in ways))


def _structure(node, clbits: Mapping) -> _Sides:
    while isinstance(node, expr.Cast) and isinstance(node.operand.type, types.Bool):
        node = node.operand
    if isinstance(node, expr.Value):
        return _Sides(ALWAYS, NEVER) if node.value else _Sides(NEVER, ALWAYS)
    if isinstance(node, expr.Var) and isinstance(node.var, Clbit):
        return _both_ways(node.var, 1, clbits)
    if isinstance(node, expr.Index):
        register = getattr(node.target, "var", None)
        if isinstance(register, ClassicalRegister) and isinstance(node.index, expr.Value):
            return _both_ways(register[int(node.index.value)], 1, clbits)
    if isinstance(node, expr.Unary) and isinstance(node.operand.type, types.Bool):
        return _turned(_read(node.operand, clbits))
    if not isinstance(node, expr.Binary):
        return _UNKNOWN
    if not isinstance(node.left.type, types.Bool) or not isinstance(node.right.type, types.Bool):
        return _compared(node, clbits)
    if node.op in (_Op.BIT_XOR, _Op.NOT_EQUAL):
        return _differ(node, clbits)
    if node.op is _Op.EQUAL:
        return _turned(_differ(node, clbits))
    if node.op in (_Op.LOGIC_AND, _Op.BIT_AND):
        return _and(_read(node.left, clbits), _read(node.right, clbits))
    if node.op in (_Op.LOGIC_OR, _Op.BIT_OR):
        return _turned(_and(_turned(_read(node.left, clbits)), _turned(_read(node.right, clbits))))
    return _UNKNOWN


def _turned(sides: _Sides) -> _Sides:
    return _Sides(sides.fails, sides.holds)


def _compared(node: expr.Binary, clbits: Mapping) -> _Sides:
    """A register and a constant."""
    op, left, right = node.op, _bare(node.left), _bare(node.right)
    if isinstance(left, expr.Value):
        op, left, right = _MIRRORED.get(op), right, left
    register = getattr(left, "var", None)
    if not isinstance(right, expr.Value) or not isinstance(register, ClassicalRegister) or op not in _MIRRORED:
        return _UNKNOWN
    value, bits = int(right.value), tuple(clbits[bit] for bit in register)
    if op in (_Op.EQUAL, _Op.NOT_EQUAL):
        sides = _both_ways(register, value, clbits)
        return sides if op is _Op.EQUAL else _turned(sides)
    first = value if op in (_Op.LESS, _Op.GREATER_EQUAL) else value + 1
    sides = _Sides(_at_most(bits, first - 1), _at_least(bits, first))
    return sides if op in (_Op.LESS, _Op.LESS_EQUAL) else _turned(sides)


def _bare(node):
    """A register or constant without casts that only widen it."""
    while isinstance(node, expr.Cast) and _width(node.type) >= _width(node.operand.type):
        node = node.operand
    return node


def _width(kind: types.Type) -> int:
    return getattr(kind, "width", 1)


def _at_most(bits: tuple[int, ...], most: int) -> BitTest:
    """A larger number has a 1 where `most` has a 0, and above that equals it: for no such place is it so."""
    if most < 0:
        return NEVER
    # From the top: what one comparison settles, the next ones need not look at.
    return _all(_prefix(bits, most, place, 1) for place in reversed(range(len(bits))) if not most >> place & 1)


def _at_least(bits: tuple[int, ...], least: int) -> BitTest:
    """The mirror image of `_at_most`."""
    if least >> len(bits):
        return NEVER
    return _all(_prefix(bits, least, place, 0) for place in reversed(range(len(bits))) if least >> place & 1)


def _prefix(bits: tuple[int, ...], number: int, place: int, bit: int) -> Condition:
    """Not: `bits` from `place` on hold `bit` and then what `number` has there."""
    return Condition(bits[place:], (number >> place & ~1 | bit) & (1 << len(bits) - place) - 1, True)


def _both_ways(target: Clbit | ClassicalRegister, value: int, clbits: Mapping) -> _Sides:
    return _Sides(_equals(target, value, clbits, True), _equals(target, value, clbits, False))


def _equals(target: Clbit | ClassicalRegister, value: int, clbits: Mapping, holds: bool) -> BitTest:
    bits = (clbits[target],) if isinstance(target, Clbit) else tuple(clbits[bit] for bit in target)
    if value < 0 or value >> len(bits):
        return NEVER if holds else ALWAYS
    if not holds and len(bits) == 1:
        return BitTest(((Condition(bits, 1 - value, False),),))
    return BitTest(((Condition(bits, value, not holds),),))


def _and(left: _Sides, right: _Sides) -> _Sides:
    holds = _both(left.holds, right.holds)
    fails = None if holds is None else _opposite(holds)
    if fails is None:
        fails = _either(left.fails, _both(left.holds, right.fails))
    return _Sides(holds, fails)


def _opposite(test: BitTest) -> BitTest | None:
    """What a single comparison, or parity, becomes when turned around; None for anything longer."""
    if test.parity:
        return test._replace(odd=1 - test.odd) if test.alternatives == ALWAYS.alternatives else None
    if test in (ALWAYS, NEVER):
        return NEVER if test == ALWAYS else ALWAYS
    if len(test.alternatives) == 1 and len(test.alternatives[0]) == 1:
        condition = test.alternatives[0][0]
        return _all([condition._replace(negated=not condition.negated)])
    return None


def _either(left: BitTest | None, right: BitTest | None) -> BitTest | None:
    """One of two tests that exclude each other."""
    if left is None or right is None or NEVER in (left, right):
        return right if left == NEVER else left if right == NEVER else None
    left, right = _spelled(left), _spelled(right)
    return None if left is None or right is None else _within_limit(left.alternatives + right.alternatives)


def _both(left: BitTest | None, right: BitTest | None) -> BitTest | None:
    if NEVER in (left, right):
        return NEVER
    if left is None or right is None:
        return None
    if left.parity and right.parity:
        left = _spelled(left)
        if left is None:
            return None
    if len(left.alternatives) * len(right.alternatives) > MAX_ALTERNATIVES**2:
        return None
    pairs = (_merged(a + b) for a in left.alternatives for b in right.alternatives)
    found = _within_limit([pair for pair in pairs if pair is not None])
    if found is None or not found.alternatives:
        return found
    parity, odd = (left.parity, left.odd) if left.parity else (right.parity, right.odd)
    return found._replace(parity=parity, odd=odd)


def _within_limit(alternatives: Sequence[_Conjunction]) -> BitTest | None:
    return BitTest(tuple(alternatives)) if len(alternatives) <= MAX_ALTERNATIVES else None


def _spelled(test: BitTest) -> BitTest | None:
    """The same test, its parity as the values that have it."""
    if not test.parity:
        return test
    if len(test.parity) > _MAX_PARITY_BITS:
        return None
    values = (value for value in range(1 << len(test.parity)) if value.bit_count() % 2 == test.odd)
    spelled = BitTest(tuple((Condition(test.parity, value, False),) for value in values))
    return _both(BitTest(test.alternatives), spelled)


def _differ(node: expr.Binary, clbits: Mapping) -> _Sides:
    """That an odd number of the terms of a chain of exclusive ors, or of the two sides of a comparison, is true."""
    terms = [_read(term, clbits) for term in _terms(node)]
    found = _odd_one(terms)
    if found is not None:
        return _Sides(found, _opposite(found))
    left = terms[0]
    for right in terms[1:]:
        left = _Sides(
            _either(_both(left.holds, right.fails), _both(left.fails, right.holds)),
            _either(_both(left.holds, right.holds), _both(left.fails, right.fails)),
        )
    return left


def _terms(node: expr.Binary) -> Iterator:
    """What a chain of exclusive ors is made of."""
    pending = [node.right, node.left]
    while pending:
        node = pending.pop()
        if isinstance(node, expr.Binary) and node.op is _Op.BIT_XOR and isinstance(node.type, types.Bool):
            pending += [node.right, node.left]
        else:
            yield node


def _odd_one(terms: Iterable[_Sides]) -> BitTest | None:
    """That an odd number of `terms` is true, each a single bit or a parity."""
    bits: set[int] = set()
    total = 0
    for term in terms:
        parity = None if term.holds is None else _as_parity(term.holds)
        if parity is None:
            return None
        bits.symmetric_difference_update(parity[0])
        total ^= 1 - parity[1]
    odd = 1 - total
    if len(bits) > 1:
        return BitTest(((),), tuple(sorted(bits)), odd)
    if bits:
        return BitTest(((Condition(tuple(bits), odd, False),),))
    return NEVER if odd else ALWAYS


def _as_parity(test: BitTest) -> tuple[tuple[int, ...], int] | None:
    """(Bits, odd): `test` holds where they add up to `odd` modulo 2."""
    if test == NEVER:
        return (), 1
    if len(test.alternatives) > 1:
        return None
    (conditions,) = test.alternatives
    if test.parity or not conditions:
        return None if conditions else (test.parity, test.odd if test.parity else 0)
    (first, *others) = conditions
    return None if others or len(first.bits) > 1 else (first.bits, first.value)


def _all(conditions: Iterable[Condition]) -> BitTest:
    found = _merged(tuple(conditions))
    return NEVER if found is None else BitTest((found,))


def _merged(conditions: _Conjunction) -> _Conjunction | None:
    """The same conditions, shortest: those that ask for one value of each of their bits as one, the others without
    the bits this settles. None where they exclude each other."""
    known: dict[int, int] = {}
    others: list[dict[int, int]] = []
    for condition in conditions:
        wanted = {bit: condition.value >> place & 1 for place, bit in enumerate(condition.bits)}
        if condition.negated:
            others.append(wanted)
        elif any(known.setdefault(bit, value) != value for bit, value in wanted.items()):
            return None
    settled = -1
    while settled != len(known):  # a comparison of which one bit is left settles that bit, too
        settled = len(known)
        kept = []
        for wanted in others:
            if any(known.get(bit, value) != value for bit, value in wanted.items()):
                continue
            rest = {bit: value for bit, value in wanted.items() if bit not in known}
            if not rest:
                return None
            if len(rest) == 1:
                ((bit, value),) = rest.items()
                known[bit] = 1 - value
            elif rest not in kept:
                kept.append(rest)
        others = kept
    first = (_condition(known, False),) if known else ()
    return first + tuple(_condition(wanted, True) for wanted in others)


def _condition(wanted: Mapping[int, int], negated: bool) -> Condition:
    return Condition(tuple(wanted), sum(bit << place for place, bit in enumerate(wanted.values())), negated)
