"""What each engine takes, found out by asking it.

In: engines. Out: a `SupportRow` each. Small circuits, one feature each, are profiled and shown to `supports`; what
an estimate says with made-up constants tells whether its answers are exact and whether threads help. Nothing is
run and nothing is written down by hand, so a foreign engine gets its row too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Instruction
from qiskit.quantum_info import Kraus

from qrex.circuits import Circuit
from qrex.engines.protocol import Allotment, Engine, SteppedEngine
from qrex.profile import Profile, profile_circuit

__all__ = ["FEATURES", "SupportRow", "feature_circuits", "support_row"]

FEATURES: Mapping[str, str] = {
    "measured midway": "gates after a measurement of the same qubit",
    "conditions": "gates under measured bits and registers",
    "resets": "a qubit put back to 0",
    "loops": "loops whose length only the run shows",
    "noise": "noise instructions (Kraus operators)",
}
"""Columns that are answered by yes or no, and what each asks."""

_SHOTS = 1000
_DAMPING = 0.2
_WIDE = 22


@dataclass(frozen=True, slots=True)
class SupportRow:
    """`gates` is "any", "Clifford" or "none"; `takes` answers `FEATURES`; `error` is "exact", "bounded" or, where
    the engine gives no estimate, "unknown"; `stops` is "steps" (can be looked at and given up), "polls" (ends
    soon after it is cancelled) or "no" (works in one call that nothing interrupts); `threads`: whether it expects
    to be faster with more of them."""

    engine: str
    gates: str
    takes: Mapping[str, bool]
    error: str
    stops: str
    threads: bool | None


def support_row(name: str, build: Callable[[Mapping[str, float]], Engine]) -> SupportRow:
    """Ask the engine that `build` makes from constants."""
    profiles = _profiles()
    engine = build({})
    any_gate = engine.supports(profiles["any gates"]).supported
    clifford = any_gate or engine.supports(profiles["Clifford gates"]).supported
    # Features are asked for with Clifford gates, lest an engine refuse for the gates' sake.
    takes = {feature: engine.supports(profiles[feature]).supported for feature in FEATURES}
    wide = profiles["wide" if any_gate else "wide Clifford"]
    if not engine.supports(wide).supported:
        wide = profiles["any gates" if any_gate else "Clifford gates"]
    one, four, infidelity = _estimates(engine, build, wide)
    stops = "no" if getattr(engine, "one_call", False) else "polls"
    return SupportRow(
        name,
        "any" if any_gate else "Clifford" if clifford else "none",
        takes,
        "unknown" if infidelity is None else "exact" if infidelity == 0 else "bounded",
        "steps" if isinstance(engine, SteppedEngine) else stops,
        None if one is None else one != four,
    )


def feature_circuits() -> dict[str, QuantumCircuit]:
    """The circuits that are asked about: two of gates only, then one for each of `FEATURES`."""
    circuits = {feature: QuantumCircuit(QuantumRegister(2), ClassicalRegister(2, "c")) for feature in FEATURES}
    for feature, circuit in circuits.items():
        circuit.h(0)
        circuit.cx(0, 1)
        _add(circuit, feature)
        if feature != "loops":
            circuit.measure([0, 1], [0, 1])
    return {"any gates": _layers(2, 2, clifford=False), "Clifford gates": _layers(2, 2, clifford=True)} | circuits


def _layers(num_qubits: int, layers: int, *, clifford: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.h(qubit) if clifford else circuit.u(0.3 + layer, 0.4, 0.5 + qubit, qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def _add(circuit: QuantumCircuit, feature: str) -> None:
    register = circuit.cregs[0]
    if feature == "resets":
        circuit.reset(0)
        circuit.h(0)
        return
    if feature == "noise":
        circuit.append(_amplitude_damping(), [0])
        return
    circuit.measure(0, 0)
    if feature == "measured midway":
        circuit.h(0)
    elif feature == "conditions":
        circuit.measure(1, 1)
        with circuit.if_test((register, 3)):
            circuit.h(1)
        with circuit.if_test((register[0], 1)):
            circuit.x(0)
    else:
        with circuit.while_loop((register[0], 0)):
            circuit.h(0)
            circuit.measure(0, 0)


def _amplitude_damping() -> Instruction:
    """A channel that is no mixture of unitaries."""
    kept = (1 - _DAMPING) ** 0.5
    return Kraus([[[1, 0], [0, kept]], [[0, _DAMPING**0.5], [0, 0]]]).to_instruction()


@functools.cache
def _profiles() -> Mapping[str, Profile]:
    circuits = feature_circuits()
    # Threads and rounding show only where there is something to do.
    circuits["wide"] = _layers(_WIDE, 4, clifford=False)
    circuits["wide Clifford"] = _layers(_WIDE, 4, clifford=True)
    return {
        name: profile_circuit(Circuit(name, name, "<python>", "Qiskit", circuit, shots=_SHOTS))
        for name, circuit in circuits.items()
    }


def _estimates(
    engine: Engine, build: Callable[[Mapping[str, float]], Engine], profile: Profile
) -> tuple[float | None, float | None, float | None]:
    """Seconds with one and with four threads, and the infidelity, if every constant had a value of its own."""
    names = getattr(engine, "constant_names", ())
    made_up = build({constant: (place + 1) * 1e-9 for place, constant in enumerate(names)})
    try:
        costs = [made_up.estimate(profile, Allotment(threads=count, memory_bytes=1 << 40)) for count in (1, 4)]
    except Exception:  # a foreign engine may raise anything; its row says that it gives no estimate
        return None, None, None
    return costs[0].seconds, costs[1].seconds, costs[0].infidelity
