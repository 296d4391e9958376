"""The oracle: exact distributions of small circuits, by following every branch densely in numpy.

Written without any of the code under test: gates are matrices from Qiskit, applied by tensor contraction.
"""

from __future__ import annotations

import operator

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr
from qiskit.quantum_info import Operator

__all__ = ["applied", "exact_distribution", "outcomes"]

_BINARY = {
    "EQUAL": operator.eq,
    "NOT_EQUAL": operator.ne,
    "LESS": operator.lt,
    "LESS_EQUAL": operator.le,
    "GREATER": operator.gt,
    "GREATER_EQUAL": operator.ge,
    "BIT_OR": operator.or_,
    "BIT_XOR": operator.xor,
    "BIT_AND": operator.and_,
    "LOGIC_AND": lambda left, right: left and right,
    "LOGIC_OR": lambda left, right: left or right,
}


def exact_distribution(circuit: QuantumCircuit) -> dict[str, float]:
    """Probability of every bit string, over all branches of measurements, resets and noise."""
    start = np.zeros([2] * circuit.num_qubits, dtype=complex)
    start[(0,) * circuit.num_qubits] = 1
    branches = [(start, (0,) * circuit.num_clbits)]
    branches = _follow(circuit, branches, {q: i for i, q in enumerate(circuit.qubits)},
                       {c: i for i, c in enumerate(circuit.clbits)})  # fmt: skip
    result: dict[str, float] = {}
    for state, bits in branches:
        text = "".join(str(bit) for bit in reversed(bits))
        result[text] = result.get(text, 0.0) + float(np.vdot(state, state).real)
    return result


def _follow(circuit, branches, qubits, clbits):
    for item in circuit.data:
        where = [qubits[q] for q in item.qubits]
        name, operation = item.operation.name, item.operation
        if name == "barrier":
            continue
        if name == "measure":
            bit = clbits[item.clbits[0]]
            branches = [
                (projected, (*bits[:bit], value, *bits[bit + 1 :]))
                for state, bits in branches
                for value, projected in outcomes(state, where[0])
            ]
        elif name == "reset":
            branches = [
                (applied(np.array([[0, 1], [1, 0]]), projected, where) if value else projected, bits)
                for state, bits in branches
                for value, projected in outcomes(state, where[0])
            ]
        elif name == "if_else":
            branches = [
                outcome
                for branch in branches
                for outcome in _conditional(operation, branch, item, qubits, clbits)
            ]
        elif name == "kraus":
            branches = [
                (applied(np.asarray(matrix), state, where), bits)
                for state, bits in branches
                for matrix in operation.params
            ]
        elif name == "while_loop":
            branches = _looped(operation, branches, item, qubits, clbits)
        elif name == "for_loop":
            body = operation.blocks[0]
            for _ in operation.params[0]:
                inner_q = {q: qubits[o] for q, o in zip(body.qubits, item.qubits, strict=True)}
                inner_c = {c: clbits[o] for c, o in zip(body.clbits, item.clbits, strict=True)}
                branches = _follow(body, branches, inner_q, inner_c)
        else:
            matrix = Operator(operation).data
            branches = [(applied(matrix, state, where), bits) for state, bits in branches]
    return branches


def _conditional(operation, branch, item, qubits, clbits):
    blocks = operation.blocks
    held = _holds(operation.condition, branch[1], clbits)
    body = blocks[0] if held else (blocks[1] if len(blocks) > 1 else None)
    return [branch] if body is None else _inside(body, [branch], item, qubits, clbits)


def _inside(body, branches, item, qubits, clbits):
    inner_q = {q: qubits[o] for q, o in zip(body.qubits, item.qubits, strict=True)}
    inner_c = {c: clbits[o] for c, o in zip(body.clbits, item.clbits, strict=True)}
    return _follow(body, branches, inner_q, inner_c)


def _looped(operation, branches, item, qubits, clbits):
    """Branches leave as their condition fails; those that keep on have no weight left before long."""
    left = []
    while branches:
        left += [b for b in branches if not _holds(operation.condition, b[1], clbits)]
        inside = [b for b in branches if _holds(operation.condition, b[1], clbits)]
        inside = [b for b in inside if np.vdot(b[0], b[0]).real > 1e-12]
        branches = _inside(operation.blocks[0], inside, item, qubits, clbits) if inside else []
    return left


def _holds(condition, bits, clbits) -> bool:
    return bool(_value(condition, bits, clbits))


def _value(node, bits, clbits):
    if isinstance(node, tuple):
        return _value(node[0], bits, clbits) == int(node[1])
    if isinstance(node, Clbit):
        return bits[clbits[node]]
    if isinstance(node, ClassicalRegister):
        return sum(bits[clbits[bit]] << place for place, bit in enumerate(node))
    if isinstance(node, expr.Var):
        return _value(node.var, bits, clbits)
    if isinstance(node, expr.Value):
        return int(node.value)
    if isinstance(node, expr.Cast):
        return _value(node.operand, bits, clbits)
    if isinstance(node, expr.Index):
        return _value(node.target.var[node.index.value], bits, clbits)
    if isinstance(node, expr.Unary):
        return not _value(node.operand, bits, clbits)
    return _BINARY[node.op.name](_value(node.left, bits, clbits), _value(node.right, bits, clbits))


def outcomes(state, qubit):
    for value in (0, 1):
        projected = np.zeros_like(state)
        index = [slice(None)] * state.ndim
        index[qubit] = value
        projected[tuple(index)] = state[tuple(index)]
        if np.vdot(projected, projected).real > 1e-15:
            yield value, projected


def applied(matrix, state, where):
    """`matrix` with the first of `where` as its least significant qubit."""
    count = len(where)
    tensor = np.asarray(matrix).reshape([2] * (2 * count))
    axes = [where[count - 1 - place] for place in range(count)]
    moved = np.tensordot(tensor, state, axes=(list(range(count, 2 * count)), axes))
    return np.moveaxis(moved, list(range(count)), axes)
