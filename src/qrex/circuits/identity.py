"""Content ids: equal content gives an equal id, whatever its name and place.

In: OpenQASM text, or a Qiskit circuit. Out: 16 hexadecimal digits of a SHA-256. Text is hashed as it stands
(line ends aside); a Qiskit circuit by a walk over its instructions that names bits by position, so that register
names, labels and object identities play no part. Linear time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from qiskit.circuit import (
    ClassicalRegister,
    Clbit,
    ControlFlowOp,
    ControlledGate,
    Operation,
    QuantumCircuit,
)
from qiskit.circuit.classical import expr
from qiskit.circuit.library import get_standard_gate_name_mapping

__all__ = ["circuit_id", "text_id"]

_DIGITS = 16
_STANDARD = frozenset(get_standard_gate_name_mapping())


def text_id(text: str, inputs: Mapping[str, float]) -> str:
    """Id of an OpenQASM program with the values of its inputs."""
    content = text.replace("\r\n", "\n") + "".join(f"\n\0{name}={inputs[name]!r}" for name in sorted(inputs))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def circuit_id(circuit: QuantumCircuit) -> str:
    """Id of a Qiskit circuit."""
    return hashlib.sha256("\n".join(_lines(circuit)).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _lines(circuit: QuantumCircuit, outer: Mapping[Clbit, int] | None = None) -> Iterable[str]:
    # Inside a block, classical bits keep the numbers of the circuit around it.
    clbits = outer or {bit: index for index, bit in enumerate(circuit.clbits)}
    qubits = {bit: index for index, bit in enumerate(circuit.qubits)}
    yield f"circuit {circuit.num_qubits} {circuit.num_clbits} {_value(circuit.global_phase, clbits)}"
    for register in circuit.cregs:
        yield f"register {[clbits[bit] for bit in register]}"
    for instruction in circuit.data:
        places = f"{[qubits[b] for b in instruction.qubits]} {[clbits[b] for b in instruction.clbits]}"
        yield f"{_operation(instruction.operation, instruction.clbits, clbits)} {places}"


def _operation(operation: Operation, places: Iterable[Clbit], clbits: Mapping[Clbit, int]) -> str:
    if isinstance(operation, ControlFlowOp):
        blocks = []
        for block in operation.blocks:
            inner = dict(zip(block.clbits, (clbits[b] for b in places), strict=False))
            blocks.append("{" + ";".join(_lines(block, inner)) + "}")
        heads = [_value(getattr(operation, n), clbits) for n in ("condition", "target") if hasattr(operation, n)]
        plain = [_value(p, clbits) for p in operation.params if not isinstance(p, QuantumCircuit)]
        return f"{operation.name} {heads} {plain} {blocks}"
    parts = [operation.name, *(_value(p, clbits) for p in getattr(operation, "params", ()))]
    if isinstance(operation, ControlledGate):
        parts.append(f"state {operation.ctrl_state}")
    if operation.name == "delay":
        parts.append(operation.unit)
    if operation.name not in _STANDARD and getattr(operation, "definition", None) is not None:
        parts.append("{" + ";".join(_lines(operation.definition)) + "}")
    if operation.name == "store":
        parts += [_value(operation.lvalue, clbits), _value(operation.rvalue, clbits)]
    return " ".join(parts)


def _value(value: Any, clbits: Mapping[Clbit, int]) -> str:
    """A parameter, a condition or an expression, free of names and addresses."""
    match value:
        case bool() | int() | float() | complex() | str() | None:
            return repr(value)
        case Clbit():
            return f"bit {clbits[value]}"
        case ClassicalRegister():
            return f"bits {[clbits[bit] for bit in value]}"
        case tuple() | list():
            return f"({', '.join(_value(part, clbits) for part in value)})"
        case np.ndarray():
            return f"array {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        case np.generic():
            return repr(value.item())
        case expr.Var():
            return _value(value.var, clbits) if isinstance(value.var, (Clbit, ClassicalRegister)) else value.name
        case expr.Value():
            return f"{value.value!r}:{value.type!r}"
        case expr.Expr():
            children = [getattr(value, n) for n in ("left", "right", "operand", "index") if hasattr(value, n)]
            symbol = getattr(value, "op", type(value).__name__)
            return f"{symbol}:{value.type!r}{_value(children, clbits)}"
        case QuantumCircuit():
            return "{" + ";".join(_lines(value)) + "}"
    return repr(value)
