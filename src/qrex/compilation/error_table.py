"""A device's calibration in the form that success prediction reads it.

In: a Qiskit `Target` (or a BackendV2 that has one). Out: an `ErrorTable` with, per instruction and qubits,
the log-probability that it acts without an error and how long it takes, and per qubit T1, T2.

A target reports *average gate infidelity* r. The probability that no Pauli error happens is the process
(entanglement) fidelity, 1 − r·(d + 1)/d with d = 2^qubits: 1 − 1.5·r for one qubit, 1 − 1.25·r for two
(Nielsen, quant-ph/0205035, equation 3). Calibrations taken at different hours can report a gate better than
T1 and T2 allow in its duration; then the relaxation counts, as it does in Aer's noise models, since otherwise
an idle qubit could be improved by pulsing it. A measurement's `error` is its assignment error and is taken as
it is. What a target does not report (an error of None, no T1) is charged nothing.

Building takes O(instructions of the target): about 1 ms for 16 qubits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrex.errors import InputError

__all__ = ["ErrorTable", "InstructionCost", "idle_log_fidelity", "target_of"]

SMALLEST_FIDELITY = 1e-9
"""A link calibrated as broken (error 1) keeps a finite logarithm, so that bad layouts still rank."""


@dataclass(frozen=True, slots=True)
class InstructionCost:
    """`log_fidelity` ≤ 0 is ln P(no error); `seconds` is None where the target does not say."""

    log_fidelity: float
    seconds: float | None


@dataclass(frozen=True)
class ErrorTable:
    """Calibration of one device. Rates are per second; a rate of 0 means that the time is not reported."""

    num_qubits: int
    dt: float | None  # seconds per cycle
    instructions: Mapping[str, Mapping[tuple[int, ...] | None, InstructionCost]]
    t1_rates: np.ndarray  # (num_qubits,) 1/T1 in 1/s
    t2_rates: np.ndarray  # (num_qubits,) 1/T2 in 1/s, T2 clipped to 2·T1
    couplings: tuple[tuple[int, int], ...]  # directed pairs that have a two-qubit gate

    @classmethod
    def from_target(cls, target_or_backend: Any) -> ErrorTable:
        """Read a Qiskit `Target`, or the target of a BackendV2."""
        target = target_of(target_or_backend)
        num_qubits = target.num_qubits or 0
        t1_rates, t2_rates = np.zeros(num_qubits), np.zeros(num_qubits)
        for qubit, properties in enumerate(target.qubit_properties or ()):
            t1, t2 = getattr(properties, "t1", None), getattr(properties, "t2", None)
            t1_rates[qubit] = 1 / t1 if t1 else 0.0
            # A calibrated T2 above 2·T1 is a fit error: no physical channel has it.
            t2_rates[qubit] = max(1 / t2, t1_rates[qubit] / 2) if t2 else t1_rates[qubit] / 2
        instructions: dict[str, dict[tuple[int, ...] | None, InstructionCost]] = {}
        couplings: set[tuple[int, int]] = set()
        for name in target.operation_names:
            costs = instructions.setdefault(name, {})
            for qubits, properties in (target[name] or {None: None}).items():
                costs[qubits] = _instruction_cost(name, qubits, properties, t1_rates, t2_rates)
                if qubits is not None and len(qubits) == 2:
                    couplings.add(qubits)
        return cls(num_qubits, target.dt, instructions, t1_rates, t2_rates, tuple(sorted(couplings)))

    def cost(self, name: str, qubits: tuple[int, ...]) -> InstructionCost:
        """Cost of one instruction on physical `qubits`.

        Raises:
            InputError: the device has no such instruction there.
        """
        costs = self.instructions.get(name)
        if costs is None:
            known = ", ".join(sorted(self.instructions))
            raise InputError(f"{name!r} on qubits {qubits} is not an instruction of this device (it has "
                             f"{known}); compile the circuit for the device first")
        found = costs.get(qubits) or costs.get(None)
        if found is None:
            raise InputError(f"this device has {name!r}, but not on qubits {qubits}; "
                             "compile the circuit for the device first")
        return found

    def cycles(self, seconds: float) -> float:
        """`seconds` on the device's clock: rounded to whole dt, or unchanged where dt is unknown."""
        return seconds if self.dt is None else round(seconds / self.dt) * self.dt


def target_of(target_or_backend: Any) -> Any:
    """The Qiskit `Target` of a BackendV2, or the argument itself where it is a target already."""
    from qiskit.transpiler import Target

    given = target_or_backend
    target = given if isinstance(given, Target) else getattr(given, "target", None)
    if not isinstance(target, Target):
        raise InputError(f"a BackendV2 or a qiskit Target is needed, not {type(target_or_backend).__name__}")
    return target


def idle_log_fidelity(seconds: Any, t1_rate: Any, t2_rate: Any) -> Any:
    """ln of the process fidelity of thermal relaxation over `seconds`; arrays broadcast.

    The Pauli transfer matrix has the diagonal (1, e^{−t/T2}, e^{−t/T2}, e^{−t/T1}); its mean is the fidelity.

    >>> round(float(np.exp(idle_log_fidelity(40e-6, 1 / 50e-6, 1 / 40e-6))), 3)
    0.546
    """
    return np.log1p((np.expm1(-seconds * t1_rate) + 2 * np.expm1(-seconds * t2_rate)) / 4)


def _instruction_cost(name: str, qubits: tuple[int, ...] | None, properties: Any, t1_rates: np.ndarray,
                      t2_rates: np.ndarray) -> InstructionCost:
    error, seconds = getattr(properties, "error", None) or 0.0, getattr(properties, "duration", None)
    if name in ("measure", "reset", "delay") or qubits is None:
        return InstructionCost(math.log(max(1 - error, SMALLEST_FIDELITY)), seconds)
    dimension = 2 ** len(qubits)
    reported = math.log(max(1 - error * (dimension + 1) / dimension, SMALLEST_FIDELITY))
    places = list(qubits)
    relaxed = float(np.sum(idle_log_fidelity(seconds or 0.0, t1_rates[places], t2_rates[places])))
    return InstructionCost(min(reported, relaxed), seconds)
