"""What each engine takes, found out by asking it.

In: engines. Out: a `SupportRow` each. Small circuits, one feature each, are profiled and shown to `supports`; what
an estimate says with made-up constants tells whether its answers are exact and whether threads help. Nothing is
run, so a foreign engine, which no suite of ours has tested, is taken at its word where it refuses; its yes counts
where it states it (see `protocol.Engine`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Instruction
from qiskit.quantum_info import Kraus

from qrex.circuits import Circuit
from qrex.engines.asking import ask_cost, ask_support, comes_from
from qrex.engines.protocol import Allotment, Cost, Engine, SteppedEngine
from qrex.engines.registry import describe
from qrex.errors import EngineError, EngineFaultError
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
    """`gates` is "any", "Clifford" or "none"; `takes` answers `FEATURES`; `error` is "exact" or "bounded"; `stops` is
    "steps" (can be looked at and given up), "polls" (ends soon after it is cancelled) or "no" (works in one call
    that nothing interrupts); `threads`: whether it expects to be faster with more of them. None: not stated, or, of
    `error` and `threads`, the engine gives no estimate."""

    engine: str
    gates: str
    takes: Mapping[str, bool | None]
    error: str | None
    stops: str | None
    threads: bool | None


def support_row(name: str, build: Callable[[Mapping[str, float]], Engine], *, trusted: bool) -> SupportRow:
    """Ask the engine that `build` makes from constants. `trusted`: what it says was tested by our suite.

    Raises EngineError where it fails when it is asked.
    """
    profiles = _profiles()
    engine = build({})

    def yes(asked: str) -> bool:
        return ask_support(name, engine, profiles[asked]).supported

    any_gate = yes("any gates")
    clifford = any_gate or yes("Clifford gates")
    # Features are asked for with Clifford gates, lest an engine refuse for the gates' sake.
    stated = FEATURES if trusted else getattr(engine, "takes", ())
    takes = {feature: yes(feature) and (feature in stated or None) for feature in FEATURES}
    wide = "wide" if any_gate else "wide Clifford"
    if not yes(wide):
        wide = "any gates" if any_gate else "Clifford gates"
    one, four = _estimates(name, engine, build, profiles[wide])
    error = threads = None
    if one is not None and four is not None:
        exact = trusted or getattr(engine, "exact", False)
        error = "bounded" if one.infidelity > 0 else "exact" if exact else None
        threads = one.seconds != four.seconds or (False if trusted else None)
    return SupportRow(
        name, "any" if any_gate else "Clifford" if clifford else "none", takes, error, _stops(engine, trusted), threads
    )


def _stops(engine: Engine, trusted: bool) -> str | None:
    if isinstance(engine, SteppedEngine):
        return "steps"
    one_call = getattr(engine, "one_call", False if trusted else None)
    return None if one_call is None else "no" if one_call else "polls"


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
    name: str, engine: Engine, build: Callable[[Mapping[str, float]], Engine], profile: Profile
) -> tuple[Cost | None, Cost | None]:
    """With one and with four threads, if every constant had a value of its own."""
    names = getattr(engine, "constant_names", ())
    try:
        made_up = build({constant: (place + 1) * 1e-9 for place, constant in enumerate(names)})
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise EngineFaultError(f"it cannot be made: {describe(error)}{comes_from(name)}") from None
    try:
        one, four = (ask_cost(name, made_up, profile, Allotment(threads=n, memory_bytes=1 << 40)) for n in (1, 4))
    except EngineFaultError:
        if hasattr(engine, "calibrate") and not names:
            return None, None  # it may read constants that it does not name
        raise
    except EngineError:
        return None, None
    return one, four
