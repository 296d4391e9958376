"""Splits a compiled circuit into parts that never meet, so that each is simulated by itself.

In: a `QuantumCircuit` over physical qubits. Out: `Component`s. Two qubits belong together when a gate, a
condition or a classical bit ties them, directly or through others; barriers tie nothing. Noise of this
device is local, so the joint distribution is exactly the product of the components'. Linear in the
instructions (union-find).
"""

from __future__ import annotations

from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction

__all__ = ["Component", "split_components"]


@dataclass(frozen=True, slots=True)
class Component:
    """Qubits that interact, with what happens to them in circuit order.

    `steps` holds (instruction, qubit indices, classical bit indices). `measured` maps each classical bit to
    the qubit read into it. `is_dynamic`: something follows or depends on a measurement, so one pass over
    the state cannot sample it.
    """

    qubits: tuple[int, ...]
    clbits: tuple[int, ...]
    steps: tuple[tuple[CircuitInstruction, tuple[int, ...], tuple[int, ...]], ...]
    measured: dict[int, int]
    is_dynamic: bool


def split_components(circuit: QuantumCircuit) -> list[Component]:
    """Components of `circuit` that write at least one classical bit, by least qubit.

    What is never read out cannot change any answer and is left out.
    """
    qubit_index = {bit: i for i, bit in enumerate(circuit.qubits)}
    clbit_index = {bit: i for i, bit in enumerate(circuit.clbits)}
    parent = list(range(circuit.num_qubits + circuit.num_clbits))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    steps = []
    for instruction in circuit.data:
        if instruction.name == "barrier":
            continue
        qubits = tuple(qubit_index[bit] for bit in instruction.qubits)
        clbits = tuple(clbit_index[bit] for bit in instruction.clbits)
        nodes = [*qubits, *(circuit.num_qubits + c for c in clbits)]
        steps.append((instruction, qubits, clbits, nodes))
        for other in nodes[1:]:
            parent[find(other)] = find(nodes[0])
    if circuit.num_vars or circuit.num_stretches:
        # Run-time variables can tie anything to anything: everything that acts is one component.
        busy = [node for *_, nodes in steps for node in nodes]
        for node in busy[1:]:
            parent[find(node)] = find(busy[0])

    groups: dict[int, list] = {}
    for instruction, qubits, clbits, nodes in steps:
        root = find(nodes[0]) if nodes else find(0)
        groups.setdefault(root, []).append((instruction, qubits, clbits))
    built = (_build(group, bool(circuit.num_vars)) for group in groups.values())
    return sorted((c for c in built if c.clbits), key=lambda component: component.qubits)


def _build(steps: list, has_variables: bool) -> Component:
    measured: dict[int, int] = {}
    read_qubits: set[int] = set()
    dynamic = has_variables
    for instruction, qubits, clbits in steps:
        if instruction.name == "measure":
            dynamic |= clbits[0] in measured or qubits[0] in read_qubits
            measured[clbits[0]] = qubits[0]
            read_qubits.add(qubits[0])
        elif clbits:
            dynamic = True  # a condition, or a block that may measure
        elif instruction.name != "delay":
            dynamic |= not read_qubits.isdisjoint(qubits)
    return Component(
        qubits=tuple(sorted({q for _, qubits, _ in steps for q in qubits})),
        clbits=tuple(sorted({c for _, _, clbits in steps for c in clbits})),
        steps=tuple(steps),
        measured=measured,
        is_dynamic=dynamic,
    )
