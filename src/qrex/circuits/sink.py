"""Where instructions gather: the program itself, a gate's body, or a branch of `if`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from qiskit.circuit import CircuitInstruction, ClassicalRegister, Clbit, IfElseOp, QuantumCircuit

from qrex.circuits.conditions import condition_resources

__all__ = ["Sink", "conditional"]


@dataclass(slots=True)
class Sink:
    """Instructions in order, their global phase, and the count of operations inside defined gates."""

    instructions: list[CircuitInstruction] = field(default_factory=list)
    phase: float = 0.0
    size: int = 0


def conditional(condition: object, then: Sink, otherwise: Sink) -> CircuitInstruction | None:
    """`if (condition) then else otherwise` on just the bits that it touches; None where it does nothing.

    The global phase of a branch is dropped: which branch ran is known from the measured bits, so no observable
    depends on it.
    """
    everything = then.instructions + otherwise.instructions
    if not everything:
        return None
    registers = dict.fromkeys(_registers_read(everything))
    qubits = list(dict.fromkeys(bit for instruction in everything for bit in instruction.qubits))
    clbits = dict.fromkeys(bit for instruction in everything for bit in instruction.clbits)
    for resource in condition_resources(condition):
        clbits.update(dict.fromkeys([resource] if isinstance(resource, Clbit) else resource))

    def block(sink: Sink) -> QuantumCircuit:
        body = QuantumCircuit.from_instructions(sink.instructions, qubits=qubits, clbits=list(clbits))
        for register in registers:
            body.add_register(register)
        return body

    operation = IfElseOp(condition, block(then), block(otherwise) if otherwise.instructions else None)
    return CircuitInstruction(operation, qubits, list(clbits))


def _registers_read(instructions: list[CircuitInstruction]) -> Iterator[ClassicalRegister]:
    """Registers in the conditions of nested `if`s, at any depth."""
    for instruction in instructions:
        if isinstance(instruction.operation, IfElseOp):
            resources = condition_resources(instruction.operation.condition)
            yield from (r for r in resources if isinstance(r, ClassicalRegister))
            for body in instruction.operation.blocks:
                yield from body.cregs
