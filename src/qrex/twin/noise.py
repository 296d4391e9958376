"""The noise of a simulated device, gate by gate, from its calibration.

In: a Qiskit `Target` (error and duration per gate, T1 and T2 per qubit, readout) and, where a snapshot has
them, its asymmetric readout numbers. Out: transfer matrices of noisy gates and of delays, and readout
confusion. It is the noise that Qiskit Aer derives from the same backend (`NoiseModel.from_backend`), in
closed form: depolarizing chosen so that it and relaxation over the gate's duration together have the
calibrated average gate error; relaxation on explicit delays; independent readout flips. There is no memory,
no ZZ, no leakage, and measurement and reset take no toll on other qubits unless a delay says so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Gate, Instruction
from qiskit.circuit.library import RZGate
from qiskit.providers import BackendV2

from qrex.errors import InputError
from qrex.twin.channels import (
    IDENTITY_1Q,
    RESET,
    average_relaxation_fidelity,
    depolarizing,
    relaxation,
    rotation_z,
    tensor,
    unitary_channel,
)

__all__ = ["MEMORY_DESCRIPTION", "NOISE_DESCRIPTION", "DeviceNoise", "delay_seconds"]

NOISE_DESCRIPTION = (
    "simulated from the calibration: depolarizing plus T1/T2 relaxation on every gate (together the "
    "calibrated average gate error, or relaxation alone where that exceeds it), T1/T2 relaxation on explicit "
    "delays, independent readout flips; "
    "no memory, no ZZ or other crosstalk, no coherent error, no leakage, no reset or preparation error"
)

MEMORY_DESCRIPTION = (
    "simulated from the calibration, with memory: T1, white dephasing, a static detuning and the sign of the charge "
    "parity new in every shot, ZZ between all neighbours whether driven or not, over-rotation and depolarizing on "
    "every gate, independent readout flips; no leakage, no reset or preparation error; circuits in which an outcome "
    "decides what follows are run without memory"
)

_PER_SECOND = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "ps": 1e-12}


def delay_seconds(operation: Instruction, dt: float | None) -> float:
    """Length of a delay; raises `InputError` for units without a meaning here."""
    unit = operation.unit
    scale = dt if unit == "dt" else _PER_SECOND.get(unit)
    if scale is None or not isinstance(operation.duration, (int, float)):
        raise InputError(
            f"a delay of {operation.duration} {unit} cannot be run: this device "
            f"{'has no dt' if unit == 'dt' else 'takes delays in dt, ns, us, ms or s'}"
        )
    return operation.duration * scale


class DeviceNoise:
    """Noisy transfer matrices and readout confusion of one device, worked out when first asked for."""

    def __init__(self, backend: BackendV2):
        self.target = backend.target
        self.dt = self.target.dt
        self._readout = _readout_table(backend)
        self._fixed: dict[tuple[str, tuple[int, ...]], NDArray[np.float64]] = {}
        self._errors: dict[tuple[str, tuple[int, ...]], NDArray[np.float64] | None] = {}
        self._times = [_relaxation_times(backend.target, q) for q in range(backend.num_qubits)]

    def channel(self, operation: Instruction, qubits: tuple[int, ...]) -> NDArray[np.float64]:
        """Transfer matrix of a gate, delay or reset on physical `qubits`, ideal action and noise together.

        The first qubit is most significant. Raises `InputError` for what is not native there.
        """
        name = operation.name
        if name == "delay":
            t1, t2 = self._times[qubits[0]]
            return relaxation(delay_seconds(operation, self.dt), t1, t2)
        key = (name, qubits)
        if not operation.params:
            known = self._fixed.get(key)
            if known is not None:
                return known
        if name == "reset":
            matrix = RESET
        else:
            matrix = self._ideal(operation, qubits)
            error = self.gate_error(operation, qubits)
            if error is not None:
                matrix = error @ matrix
        if not operation.params:
            self._fixed[key] = matrix
        return matrix

    def gate_error(self, operation: Instruction, qubits: tuple[int, ...]) -> NDArray[np.float64] | None:
        """Transfer matrix of what follows the ideal gate, or None for a gate without calibrated error."""
        key = (operation.name, qubits)
        if key not in self._errors:
            self._errors[key] = self._work_out_error(*key)
        return self._errors[key]

    def relaxation_times(self, qubit: int) -> tuple[float, float]:
        """(T1, T2) in seconds, T2 cut to 2·T1, infinite where the calibration has none."""
        return self._times[qubit]

    def readout_confusion(self, qubit: int) -> NDArray[np.float64]:
        """2 × 2 matrix, entry [read, prepared]."""
        one_for_zero, zero_for_one = self._readout.get(qubit, (0.0, 0.0))
        return np.array([[1 - one_for_zero, zero_for_one], [one_for_zero, 1 - zero_for_one]])

    def error_parameters(self, name: str, qubits: tuple[int, ...]) -> tuple[float, float]:
        """(depolarizing probability, duration in seconds) of a native gate; depolarizing acts first."""
        properties = self.target[name].get(qubits) if name in self.target else None
        if properties is None:
            return 0.0, 0.0
        seconds, error = properties.duration or 0.0, properties.error or 0.0
        times = [self._times[q] for q in qubits]
        fidelity = average_relaxation_fidelity(seconds, times)
        dimension = 2 ** len(qubits)
        excess = min(error, dimension / (dimension + 1)) - (1 - fidelity)
        if excess <= 0:  # relaxation alone already exceeds the calibrated error
            return 0.0, seconds
        most = 4 ** len(qubits) / (4 ** len(qubits) - 1)
        return min(dimension * excess / (dimension * fidelity - 1), most), seconds

    def _work_out_error(self, name: str, qubits: tuple[int, ...]) -> NDArray[np.float64] | None:
        probability, seconds = self.error_parameters(name, qubits)
        if probability == 0.0 and seconds == 0.0:
            return None
        relaxations = [relaxation(seconds, *self._times[q]) for q in qubits]
        decay = relaxations[0] if len(qubits) == 1 else tensor(*relaxations)
        return decay @ depolarizing(probability, len(qubits))

    def _ideal(self, operation: Instruction, qubits: tuple[int, ...]) -> NDArray[np.float64]:
        if operation.name == "id":
            return IDENTITY_1Q
        if isinstance(operation, RZGate):
            return rotation_z(float(operation.params[0]))
        if not isinstance(operation, Gate) or len(qubits) > 2:
            raise InputError(f"{operation.name!r} on qubits {qubits} cannot be run here; compile it first")
        unitary = operation.to_matrix()
        if len(qubits) == 2:  # Qiskit puts a gate's first qubit last
            unitary = unitary.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
        return unitary_channel(unitary)


def _relaxation_times(target, qubit: int) -> tuple[float, float]:
    properties = target.qubit_properties[qubit] if target.qubit_properties else None
    t1 = getattr(properties, "t1", None) or math.inf
    t2 = getattr(properties, "t2", None) or math.inf
    return t1, min(t2, 2 * t1)


def _readout_table(backend: BackendV2) -> dict[int, tuple[float, float]]:
    """Per qubit (P(1 | prepared 0), P(0 | prepared 1)); the two agree where only an average is known."""
    table = {}
    calibrated = backend.properties() if callable(getattr(backend, "properties", None)) else None
    measured = backend.target.get("measure") if "measure" in backend.target else None
    for qubit in range(backend.num_qubits):
        known = calibrated.qubit_property(qubit) if calibrated is not None else {}
        if "prob_meas1_prep0" in known and "prob_meas0_prep1" in known:
            table[qubit] = (known["prob_meas1_prep0"][0], known["prob_meas0_prep1"][0])
        elif measured and measured.get((qubit,)) is not None and measured[(qubit,)].error is not None:
            table[qubit] = (measured[(qubit,)].error, measured[(qubit,)].error)
    return table
