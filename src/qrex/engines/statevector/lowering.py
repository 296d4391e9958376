"""A Qiskit circuit as kernel gates.

In: a circuit of unitary gates with measurements at its end. Out: `Lowered`: fused gates on the wires that
need amplitudes, and where each classical bit comes from. SWAP and X only rename: they cost nothing. Wires
are given out at first use, so idle qubits take no memory. Gates on more than two qubits stay whole when they
are a controlled one-qubit gate, and are taken apart by their definition otherwise. O(gates).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ControlFlowOp, ControlledGate
from qiskit.exceptions import QiskitError

from qrex.engines.statevector.fusion import Fuser
from qrex.engines.statevector.gates import Gate, One, Phases, matrix_flags, snapped
from qrex.errors import EngineError

__all__ = ["Lowered", "lower"]

_NOTHING = frozenset({"barrier", "delay", "id", "global_phase"})
_STANDARD = "qiskit.circuit.library.standard_gates"
_CACHE_ENTRIES = 65_536


@dataclass(frozen=True, slots=True)
class Lowered:
    """`gates` in order on wires 0 to num_wires-1, all starting in 0.

    Classical bit c reads wire `sources[c]`, inverted where `inverted[c]`; a source of None reads constant 0.
    Bits that are never written are not in `sources`.
    """

    gates: list[Gate]
    num_wires: int
    sources: Mapping[int, int | None]
    inverted: Mapping[int, bool]


@dataclass(slots=True)
class _Lowering:
    fuser: Fuser = field(default_factory=Fuser)
    label_of: dict[int, int] = field(default_factory=dict)  # qubit -> label; SWAP exchanges labels
    flipped: dict[int, bool] = field(default_factory=dict)  # label -> X pending
    wires: dict[int, int] = field(default_factory=dict)  # label -> wire
    measured: set[int] = field(default_factory=set)
    known: dict[Any, tuple[int, np.ndarray]] = field(default_factory=dict)

    def wire(self, qubit: int) -> int:
        return self.wires.setdefault(self.label_of[qubit], len(self.wires))

    def is_flipped(self, qubit: int) -> bool:
        return self.flipped.get(self.label_of[qubit], False)

    def apply(self, operation: Any, qubits: Sequence[int]) -> None:
        name = operation.name
        if name in _NOTHING:
            return
        if self.measured and not self.measured.isdisjoint(qubits):
            raise EngineError(
                f"statevector: '{name}' acts on a qubit that was measured before; "
                "this engine takes measurements at the end only"
            )
        if name == "reset":
            label = self.label_of[qubits[0]]
            if label in self.wires or self.flipped.get(label):
                raise EngineError("statevector: reset after a gate; this engine takes unitary circuits only")
        elif name == "x" and len(qubits) == 1:
            label = self.label_of[qubits[0]]
            self.flipped[label] = not self.flipped.get(label, False)
        elif name == "swap":
            a, b = qubits
            self.label_of[a], self.label_of[b] = self.label_of[b], self.label_of[a]
        elif isinstance(operation, ControlFlowOp):
            raise EngineError(f"statevector: control flow ('{name}'); this engine takes unitary circuits")
        elif len(qubits) <= 2 and (found := self.matrix(operation)) is not None:
            self.small(found, qubits)
        elif isinstance(operation, ControlledGate) and operation.base_gate.num_qubits == 1:
            self.controlled(operation, qubits)
        else:
            self.definition(operation, qubits)

    def matrix(self, operation: Any) -> tuple[int, np.ndarray] | None:
        """Flags and snapped matrix, or None where the gate has only a definition."""
        key = None
        base = getattr(operation, "base_class", type(operation))  # shared gates have classes without a module
        if (base.__module__ or "").startswith(_STANDARD):
            key = (operation.name, tuple(operation.params), getattr(operation, "ctrl_state", None))
            found = self.known.get(key)
            if found is not None:
                return found
        try:
            matrix = snapped(np.array(operation.to_matrix(), dtype=complex))
        except (QiskitError, AttributeError):
            return None
        except TypeError as error:
            raise EngineError(f"statevector: '{operation.name}' has parameters without a value") from error
        found = (matrix_flags(matrix), matrix)
        if key is not None and len(self.known) < _CACHE_ENTRIES:
            self.known[key] = found
        return found

    def small(self, found: tuple[int, np.ndarray], qubits: Sequence[int]) -> None:
        flags, matrix = found
        flips = sum(self.is_flipped(qubit) << place for place, qubit in enumerate(qubits))
        if flips:  # X U X: rows and columns renamed
            order = np.arange(len(matrix)) ^ flips
            matrix = snapped(matrix[order][:, order])
            flags = matrix_flags(matrix)
        if len(qubits) == 1:
            self.fuser.one(self.wire(qubits[0]), flags, matrix)
        else:
            self.fuser.two((self.wire(qubits[0]), self.wire(qubits[1])), flags, matrix)

    def controlled(self, gate: ControlledGate, qubits: Sequence[int]) -> None:
        matrix = np.array(gate.base_gate.to_matrix(), dtype=complex)
        *controls, target = qubits
        if self.is_flipped(target):
            matrix = np.ascontiguousarray(matrix[::-1, ::-1])
        mask = value = 0
        for place, qubit in enumerate(controls):
            bit = 1 << self.wire(qubit)
            mask |= bit
            if (gate.ctrl_state >> place & 1) != self.is_flipped(qubit):
                value |= bit
        wire = self.wire(target)
        diagonal = abs(matrix[0, 1]) + abs(matrix[1, 0]) < 1e-12
        if diagonal and abs(matrix[0, 0] - 1) < 1e-12 and value == mask:
            everything = mask | 1 << wire
            angle = float(np.angle(matrix[1, 1]))
            self.fuser.other(Phases((everything,), (angle,), 0, everything, 1.0))
        else:
            share = 2.0 ** -len(controls)
            self.fuser.other(One(wire, matrix, mask, value, 1 << wire, mask, 1.0 + 9.3 * share))

    def definition(self, operation: Any, qubits: Sequence[int]) -> None:
        definition = getattr(operation, "definition", None)
        if definition is None:
            whole = QuantumCircuit(len(qubits))
            try:
                whole.append(operation, range(len(qubits)))
                definition = transpile(whole, basis_gates=["u", "cx"], optimization_level=0)
            except QiskitError as error:
                raise EngineError(f"statevector: '{operation.name}' has no unitary: {error}") from error
        place = {bit: k for k, bit in enumerate(definition.qubits)}
        for step in definition.data:
            self.apply(step.operation, [qubits[place[bit]] for bit in step.qubits])


def lower(circuit: QuantumCircuit) -> Lowered:
    """Kernel gates of `circuit`; EngineError where it is not unitary with measurements at its end."""
    lowering = _Lowering(label_of={k: k for k in range(circuit.num_qubits)})
    place = {bit: k for k, bit in enumerate(circuit.qubits)}
    clbit = {bit: k for k, bit in enumerate(circuit.clbits)}
    read: dict[int, tuple[int, bool]] = {}
    for step in circuit.data:
        operation = step.operation
        qubits = [place[bit] for bit in step.qubits]
        if operation.name == "measure":
            label = lowering.label_of[qubits[0]]
            read[clbit[step.clbits[0]]] = (label, lowering.flipped.get(label, False))
            lowering.measured.add(qubits[0])
        else:
            lowering.apply(operation, qubits)
    return Lowered(
        gates=lowering.fuser.finish(),
        num_wires=len(lowering.wires),
        sources={bit: lowering.wires.get(label) for bit, (label, _) in read.items()},
        inverted={bit: flipped for bit, (_, flipped) in read.items()},
    )
