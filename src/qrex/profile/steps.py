"""A circuit as one flat list of steps: loops unrolled, definitions opened, conditions attached.

In: a Qiskit circuit. Out: an iterator of `Step`, whose qubits and classical bits are indices of the outer
circuit. O(steps). Standard gates of up to three qubits, measurements, resets and matrices stay as they are;
every other gate is replaced by its definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from qiskit.circuit import CircuitInstruction, ClassicalRegister, Clbit, QuantumCircuit
from qiskit.circuit.classical import expr

from qrex.errors import InputError

__all__ = ["MAX_STEPS", "Guard", "Step", "flat_steps"]

MAX_STEPS = 20_000_000
"""Refuse to unroll past this many steps: no engine of ours would end such a circuit either."""

_KEPT = frozenset(["measure", "reset", "barrier", "delay", "store", "global_phase"]) | {
    "unitary",
    "initialize",
    "diagonal",
    "multiplexer",
    "kraus",
}
# Relative-phase Toffolis are standard but run as their definitions nearly everywhere.
_OPENED = frozenset({"rccx"})


class Guard(NamedTuple):
    """A condition that a step stands under: `bits` (least significant first) hold `value`, or, if `negated`,
    do not. `bits` is None where the condition is none of that form; `text` describes it."""

    bits: tuple[int, ...] | None
    value: int
    negated: bool
    text: str


class Step(NamedTuple):
    """One instruction on the outer circuit's qubits and classical bits, under all of `guards`."""

    name: str
    params: tuple
    qubits: tuple[int, ...]
    clbits: tuple[int, ...]
    guards: tuple[Guard, ...]
    instruction: CircuitInstruction


def flat_steps(circuit: QuantumCircuit) -> Iterator[Step]:
    """Steps of `circuit` in program order.

    Raises InputError on an unbound parameter or when unrolling passes `MAX_STEPS`.
    """
    walker = _Walker()
    qubits = {bit: index for index, bit in enumerate(circuit.qubits)}
    clbits = {bit: index for index, bit in enumerate(circuit.clbits)}
    for taken, step in enumerate(walker.walk(circuit, qubits, clbits, ())):
        if taken >= MAX_STEPS:
            raise InputError(f"the circuit unrolls past {MAX_STEPS:,} instructions; shorten its loops")
        yield step


class _Walker:
    """Remembers definitions of standard gates, which are rebuilt at each access otherwise."""

    def __init__(self) -> None:
        self.definitions: dict[tuple, QuantumCircuit | None] = {}

    def walk(self, circuit, qubits, clbits, guards) -> Iterator[Step]:
        for instruction in circuit.data:
            name = instruction.name
            if instruction.is_control_flow():
                yield from self.control_flow(instruction, qubits, clbits, guards)
                continue
            where = tuple([qubits[bit] for bit in instruction.qubits])
            if name in _KEPT or (instruction.is_standard_gate() and len(where) <= 3 and name not in _OPENED):
                bits = tuple([clbits[bit] for bit in instruction.clbits]) if instruction.clbits else ()
                yield Step(name, _numbers(instruction), where, bits, guards, instruction)
                continue
            definition = self.definition(instruction)
            if definition is None:
                bits = tuple(clbits[bit] for bit in instruction.clbits)
                yield Step(name, (), where, bits, guards, instruction)
                continue
            inner_qubits = dict(zip(definition.qubits, where, strict=True))
            outer_clbits = [clbits[bit] for bit in instruction.clbits]
            inner_clbits = dict(zip(definition.clbits, outer_clbits, strict=True))
            yield from self.walk(definition, inner_qubits, inner_clbits, guards)

    def definition(self, instruction) -> QuantumCircuit | None:
        if not instruction.is_standard_gate():
            return instruction.operation.definition
        key = (instruction.name, _numbers(instruction))
        if key not in self.definitions:
            self.definitions[key] = instruction.operation.definition
        return self.definitions[key]

    def control_flow(self, instruction, qubits, clbits, guards) -> Iterator[Step]:
        operation, name = instruction.operation, instruction.name
        if name in ("break_loop", "continue_loop"):
            return

        def inside(block, extra) -> Iterator[Step]:
            inner_q = {a: qubits[b] for a, b in zip(block.qubits, instruction.qubits, strict=True)}
            inner_c = {a: clbits[b] for a, b in zip(block.clbits, instruction.clbits, strict=True)}
            return self.walk(block, inner_q, inner_c, guards + extra)

        if name == "if_else":
            guard = _guard(operation.condition, clbits)
            yield from inside(operation.blocks[0], (guard,))
            if len(operation.blocks) > 1:
                yield from inside(operation.blocks[1], (guard._replace(negated=not guard.negated),))
        elif name == "for_loop":
            indices, parameter, body = operation.params
            leaves_early = any(i.name in ("break_loop", "continue_loop") for i in _all_instructions(body))
            extra = (_opaque("a loop that may break"),) if leaves_early else ()
            for index in indices:
                bind = {} if parameter is None else {parameter: index}
                yield from inside(body.assign_parameters(bind, strict=False) if bind else body, extra)
        elif name == "box":
            yield from inside(operation.blocks[0], ())
        else:  # while, switch: how often a block runs is known only at run time
            for block in operation.blocks:
                yield from inside(block, (_opaque(f"a {name.split('_')[0]} statement"),))


def _all_instructions(circuit: QuantumCircuit) -> Iterator[CircuitInstruction]:
    for instruction in circuit.data:
        yield instruction
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                yield from _all_instructions(block)


def _numbers(instruction: CircuitInstruction) -> tuple:
    params = instruction.params
    if not params or instruction.name in _KEPT:
        return ()
    try:
        return tuple([float(value) for value in params])
    except TypeError as error:
        raise InputError(
            f"gate {instruction.name!r} has unbound parameters {params}; bind them with assign_parameters"
        ) from error


def _opaque(text: str) -> Guard:
    return Guard(None, 0, False, text)


def _guard(condition, clbits: dict) -> Guard:
    """A condition of Qiskit in our form; classical expressions beyond ==, != and ! stay opaque."""
    if isinstance(condition, tuple):
        target, value = condition
        return _equals(target, int(value), clbits)
    negated = False
    while isinstance(condition, expr.Unary) and condition.op is expr.Unary.Op.LOGIC_NOT:
        condition, negated = condition.operand, not negated
    if isinstance(condition, expr.Cast):
        condition = condition.operand
    guard = _opaque(f"the expression {condition}")
    if isinstance(condition, expr.Var) and isinstance(condition.var, Clbit):
        guard = _equals(condition.var, 1, clbits)
    elif isinstance(condition, expr.Index):
        guard = _indexed(condition, 1, clbits)
    elif isinstance(condition, expr.Binary) and condition.op in (
        expr.Binary.Op.EQUAL,
        expr.Binary.Op.NOT_EQUAL,
    ):
        left, right = condition.left, condition.right
        if isinstance(left, expr.Value):
            left, right = right, left
        while isinstance(left, expr.Cast):
            left = left.operand
        while isinstance(right, expr.Cast):
            right = right.operand
        if isinstance(right, expr.Value):
            if isinstance(left, expr.Var) and isinstance(left.var, (Clbit, ClassicalRegister)):
                guard = _equals(left.var, int(right.value), clbits)
            elif isinstance(left, expr.Index):
                guard = _indexed(left, int(right.value), clbits)
        negated ^= condition.op is expr.Binary.Op.NOT_EQUAL
    return guard._replace(negated=guard.negated ^ negated)


def _indexed(index: expr.Index, value: int, clbits: dict) -> Guard:
    register = getattr(index.target, "var", None)
    if isinstance(register, ClassicalRegister) and isinstance(index.index, expr.Value):
        return _equals(register[int(index.index.value)], value, clbits)
    return _opaque(f"the expression {index}")


def _equals(target, value: int, clbits: dict) -> Guard:
    bits = (target,) if isinstance(target, Clbit) else tuple(target)
    return Guard(tuple(clbits[bit] for bit in bits), value, False, f"{len(bits)} bit(s) == {value}")
