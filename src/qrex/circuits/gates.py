"""Gates by name: those of the standard includes, those a program defines, and the modifiers of OpenQASM 3.

In: a name with numbers for its parameters. Out: a Qiskit gate and the global phase that goes with it (`Built`).
Conventions: U is Qiskit's UGate; `u2` and `u3` of stdgates.inc carry their phase -(φ+λ)/2, which matters only
under `ctrl` (OpenQASM 3, arXiv:2104.14722, appendix A).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from qiskit.circuit import Gate, QuantumCircuit
from qiskit.circuit.library import (
    C3SXGate,
    C3XGate,
    C4XGate,
    CPhaseGate,
    CUGate,
    GlobalPhaseGate,
    IGate,
    PhaseGate,
    RC3XGate,
    UGate,
    get_standard_gate_name_mapping,
)
from qiskit.quantum_info import Operator

__all__ = [
    "RESERVED",
    "Built",
    "Standard",
    "controlled",
    "inverted",
    "powered",
    "same_gate",
    "standard_gates",
]

_STDGATES = "p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu CX phase cphase id u1 u2 u3"
_MAX_REPEATS = 256  # of `pow(k)` written out as k copies; beyond, the matrix is raised
_MAX_MATRIX_QUBITS = 6
_SIMULATOR_NAMES = (
    "unitary diagonal initialize set_statevector kraus superop roerror pauli pauli_evolution permutation "
    "multiplexer ucr mcx mcx_gray mcy mcz mcrx mcry mcrz mcr mcp mcphase mcu mcu1 mcu2 mcu3 mcswap mcsx cu2 csxdg "
    "barrier measure reset delay snapshot nop store if_else for_loop while_loop switch_case box jump mark"
)
RESERVED = frozenset(_SIMULATOR_NAMES.split())
"""Names that simulators give a meaning of their own; a program's gate of that name is renamed."""


@dataclass(frozen=True, slots=True)
class Built:
    """A gate ready to append, the global phase beside it, and the number of operations inside."""

    gate: Gate
    phase: float = 0.0
    size: int = 1


@dataclass(frozen=True, slots=True)
class Standard:
    """A gate known by name: `make(*parameters)` builds it."""

    make: Callable[..., Gate]
    num_parameters: int
    num_qubits: int
    phase: Callable[..., float] | None = None

    def build(self, parameters: tuple[float, ...]) -> Built:
        return Built(self.make(*parameters), self.phase(*parameters) if self.phase else 0.0)


@cache
def standard_gates(file: str) -> dict[str, Standard]:
    """Gates of "builtin" (OpenQASM 3), "stdgates.inc", or "qelib1.inc" with all later additions of exporters."""
    known = {
        name: Standard(gate.base_class, len(gate.params), gate.num_qubits)
        for name, gate in get_standard_gate_name_mapping().items()
        if isinstance(gate, Gate) and gate.num_qubits
    }
    known |= {
        name: Standard(_shared(entry.make), 0, entry.num_qubits)
        for name, entry in known.items()
        if not entry.num_parameters
    }
    known |= {
        "U": Standard(UGate, 3, 1),
        "CX": known["cx"],
        "phase": known["p"],
        "cphase": known["cp"],
        "u0": Standard(lambda _: IGate(), 1, 1),
        "u1": Standard(PhaseGate, 1, 1),
        "u2": Standard(lambda phi, lam: UGate(math.pi / 2, phi, lam), 2, 1),
        "u3": Standard(UGate, 3, 1),
        "cu1": Standard(CPhaseGate, 1, 2),
        "cu3": Standard(lambda theta, phi, lam: CUGate(theta, phi, lam, 0), 3, 2),
        "c3x": Standard(C3XGate, 0, 4),
        "c4x": Standard(C4XGate, 0, 5),
        "c3sqrtx": Standard(C3SXGate, 0, 4),
        "rc3x": Standard(RC3XGate, 0, 4),
    }
    if file == "builtin":
        return {"U": known["U"], "gphase": Standard(GlobalPhaseGate, 1, 0)}
    if file == "stdgates.inc":
        phased = {
            "u2": Standard(known["u2"].make, 2, 1, lambda phi, lam: -(phi + lam) / 2),
            "u3": Standard(UGate, 3, 1, lambda theta, phi, lam: -(phi + lam) / 2),
        }
        return {name: known[name] for name in _STDGATES.split()} | phased
    return known


def _shared(make: Callable[[], Gate]) -> Callable[[], Gate]:
    gate = make()  # gates without parameters are immutable singletons
    return lambda: gate


def same_gate(built: Built, standard: Gate) -> float | None:
    """The phase φ with `built` = exp(iφ)·`standard`, or None where they differ (5 qubits at most are compared)."""
    if built.gate.num_qubits != standard.num_qubits or standard.num_qubits > 5:
        return None
    product = Operator(built.gate).data @ Operator(standard).adjoint().data
    scale = product[0, 0]
    if abs(abs(scale) - 1) > 1e-9 or abs(product - scale * Operator(_idle(standard.num_qubits)).data).max() > 1e-9:
        return None
    return math.atan2(scale.imag, scale.real) + built.phase


def _idle(num_qubits: int) -> Gate:
    return QuantumCircuit(num_qubits).to_gate()


def _wrap(name: str, parts: list[Gate], num_qubits: int, phase: float) -> Gate:
    """One gate made of `parts` in a row, with its global phase inside."""
    definition = QuantumCircuit(num_qubits, global_phase=phase)
    for part in parts:
        definition.append(part, range(num_qubits))
    gate = Gate(name, num_qubits, [])
    gate.definition = definition
    return gate


def inverted(built: Built) -> Built:
    """`inv @`."""
    return Built(built.gate.inverse(), -built.phase, built.size)


def powered(built: Built, exponent: float) -> Built:
    """`pow(exponent) @`; raises ValueError where that needs the matrix of a gate on many qubits."""
    gate, phase = built.gate, built.phase * exponent
    if gate.num_qubits == 0:
        return Built(GlobalPhaseGate(gate.params[0] * exponent), phase)
    if exponent == 1:
        return built
    if float(exponent).is_integer() and abs(exponent) <= _MAX_REPEATS and not gate.params:
        base = gate if exponent >= 0 else gate.inverse()
        count = int(abs(exponent))
        repeated = _wrap(f"{gate.name}_pow_{int(exponent)}", [base] * count, gate.num_qubits, 0.0)
        return Built(repeated, phase, built.size * max(count, 1))
    if gate.num_qubits > _MAX_MATRIX_QUBITS:
        raise ValueError(
            f"pow({exponent}) of a gate on {gate.num_qubits} qubits is not supported; whole exponents up to "
            f"{_MAX_REPEATS}, or any exponent up to {_MAX_MATRIX_QUBITS} qubits, are"
        )
    return Built(gate.power(exponent), phase, built.size)


def controlled(built: Built, count: int, positive: bool) -> Built:
    """`ctrl(count) @` or `negctrl(count) @`: the new control qubits come first."""
    gate = built.gate
    if gate.num_qubits == 0:  # a controlled global phase is a phase gate on the last control
        angle = gate.params[0] + built.phase
        last = PhaseGate(angle)
        if not positive:
            flip = QuantumCircuit(1)
            flip.x(0)
            last = _wrap("p_o0", [flip.to_gate(), last, flip.to_gate()], 1, 0.0)
        gate, count = last, count - 1
        built = Built(gate)
        if count == 0:
            return built
    elif built.phase:
        gate = _wrap(f"{gate.name}_phased", [gate], gate.num_qubits, built.phase)
    return Built(gate.control(count, ctrl_state=None if positive else 0), 0.0, built.size * (count + 1))
