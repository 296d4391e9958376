"""A routed circuit is moved to other qubits of its device.

In: a circuit of device instructions and where each of its qubits is to go. Out: the same circuit there, valid
on the device. A two-qubit gate that the device has in the other direction only is turned by one-qubit gates,
which are merged with their neighbours. O(instructions).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiskit import QuantumCircuit, QuantumRegister
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import GateDirection, Optimize1qGatesDecomposition

from qrex.compilation import ErrorTable

__all__ = ["move_circuit"]


def move_circuit(circuit: QuantumCircuit, places: Mapping[int, int], target: Any,
                 table: ErrorTable) -> tuple[QuantumCircuit, tuple[int, ...]]:
    """Move physical qubit q of `circuit` to `places[q]`.

    Args:
        circuit: device instructions on all device qubits, without control flow.
        places: injective; under it every coupled pair must be coupled again, in either direction.
        target: the device's Qiskit `Target`.
        table: the device's `ErrorTable`.

    Returns:
        The moved circuit, and the permutation of all device qubits that extends `places`. The circuit carries
        no TranspileLayout: who moves it keeps the layout.
    """
    permutation = _complete(places, circuit.num_qubits)
    return _turn(_relabel(circuit, permutation), target, table), permutation


def _complete(places: Mapping[int, int], num_qubits: int) -> tuple[int, ...]:
    """Qubits that are not moved stay, where they can."""
    taken = set(places.values())
    free = [qubit for qubit in range(num_qubits) if qubit not in taken]
    stay = set(free).difference(places)
    spare = iter([qubit for qubit in free if qubit not in stay])
    return tuple(places[q] if q in places else (q if q in stay else next(spare)) for q in range(num_qubits))


def _relabel(circuit: QuantumCircuit, permutation: tuple[int, ...]) -> QuantumCircuit:
    moved = QuantumCircuit(QuantumRegister(circuit.num_qubits, "q"), name=circuit.name,
                           global_phase=circuit.global_phase, metadata=circuit.metadata)
    moved.add_bits(circuit.clbits)
    for register in circuit.cregs:
        moved.add_register(register)
    place = {bit: moved.qubits[permutation[index]] for index, bit in enumerate(circuit.qubits)}
    for one in circuit.data:
        moved.append(one.replace(qubits=tuple(place[bit] for bit in one.qubits)))
    return moved


def _turn(circuit: QuantumCircuit, target: Any, table: ErrorTable) -> QuantumCircuit:
    index = {bit: place for place, bit in enumerate(circuit.qubits)}
    for one in circuit.data:
        places = table.instructions.get(one.name, {})
        if len(one.qubits) == 2 and not (None in places or tuple(index[bit] for bit in one.qubits) in places):
            passes = [GateDirection(None, target=target), Optimize1qGatesDecomposition(target=target)]
            return PassManager(passes).run(circuit)
    return circuit
