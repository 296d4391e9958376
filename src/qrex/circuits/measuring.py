"""Circuits that measure nothing: found, and given measurements.

In: circuits. Out: whether one measures, and the same circuit with every qubit measured at its end. Linear time.
"""

from __future__ import annotations

from dataclasses import replace

from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import CircuitInstruction

from qrex.circuits.identity import circuit_id
from qrex.circuits.workload import Circuit, Workload

__all__ = ["measure_all", "measures", "with_measurements"]

_REGISTER = "meas"


def measures(quantum_circuit: QuantumCircuit) -> bool:
    """Whether any qubit is measured, in blocks and in opened definitions too."""
    return any(_measures(instruction) for instruction in quantum_circuit.data)


def _measures(instruction: CircuitInstruction) -> bool:
    operation = instruction.operation
    if operation.name == "measure":
        return True
    if not instruction.clbits:
        return False  # what reaches no classical bit measures nothing
    inner = [*getattr(operation, "blocks", ()), getattr(operation, "definition", None)]
    return any(measures(block) for block in inner if block is not None)


def measure_all(circuit: Circuit) -> Circuit:
    """`circuit` with every qubit measured at its end into a new register, qubit k into its bit k. The register is
    the last one, so its bits stand leftmost in a bit string; the id is that of the new content.

    >>> from qrex.circuits import circuit_from_qiskit
    >>> bare = circuit_from_qiskit(QuantumCircuit(2, name="bare"))
    >>> measures(bare.quantum_circuit), measures(measure_all(bare).quantum_circuit)
    (False, True)
    """
    longer = circuit.quantum_circuit.copy()
    taken = {register.name for register in longer.cregs}
    name, number = _REGISTER, 2
    while name in taken:
        name, number = f"{_REGISTER}{number}", number + 1
    register = ClassicalRegister(longer.num_qubits, name)
    longer.add_register(register)
    longer.measure(longer.qubits, register)
    return replace(circuit, id=circuit_id(longer), quantum_circuit=longer, _program=None)


def with_measurements(workload: Workload) -> Workload:
    """`workload`, its circuits that measure nothing measured as `measure_all` does; the others as they are."""
    circuits = tuple(one if measures(one.quantum_circuit) else measure_all(one) for one in workload.circuits)
    return replace(workload, circuits=circuits)
