"""The frozen types of this room: a compiled circuit and its idle windows, and the workload's window τ_w."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qrex.compilation.success import SuccessBreakdown
from qrex.errors import InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

__all__ = ["Compiled", "IdleWindow", "workload_window"]

WINDOW_PERCENTILE = 90


@dataclass(frozen=True, slots=True)
class IdleWindow:
    """A qubit waits between two of its instructions, having left |0⟩ before."""

    qubit: int  # physical
    start_ns: float  # from the start of the circuit
    window_ns: float


@dataclass(frozen=True, slots=True)
class Compiled:
    """A circuit as the device would run it.

    `circuit` acts on all qubits of the device (its qubit i is physical qubit i); where `scheduled`, it is
    scheduled as late as possible and every gap between a used qubit's instructions is an explicit delay.
    Delays after a qubit's last instruction and on unused qubits are left out: they change no outcome.
    `layout[v]` and `final_layout[v]` are the physical qubits of virtual qubit v at the start and at the end.
    `idle_windows` are those of the schedule, also after decoupling has filled them.
    `seed` is the transpiler's. `notes` says what could not be done, and why.
    """

    circuit: QuantumCircuit = field(compare=False, repr=False)
    layout: tuple[int, ...]
    final_layout: tuple[int, ...]
    duration_seconds: float | None  # None where it was not scheduled
    idle_windows: tuple[IdleWindow, ...] = field(repr=False)
    breakdown: SuccessBreakdown
    two_qubit_gates: int
    seed: int
    level: int  # of the preset pass manager
    label: str
    scheduled: bool = True
    notes: tuple[str, ...] = ()

    @property
    def predicted_success(self) -> float:
        """Probability that no error happens; see `predict_success`."""
        return self.breakdown.success

    @property
    def used_qubits(self) -> tuple[int, ...]:
        """Physical qubits that hold an instruction, in rising order."""
        circuit = self.circuit
        places = {bit: place for place, bit in enumerate(circuit.qubits)}
        return tuple(sorted({
            places[bit]
            for instruction in circuit.data
            if not instruction.is_directive()
            for bit in instruction.qubits
        }))


def workload_window(compiled: Iterable[Compiled]) -> float:
    """τ_w in seconds: the median over circuits of each circuit's 90th-percentile idle window.

    Circuits without a schedule or without an idle window say nothing about windows and are left out.

    Raises:
        InputError: no circuit has an idle window.
    """
    percentiles = [
        np.percentile([window.window_ns for window in one.idle_windows], WINDOW_PERCENTILE)
        for one in compiled
        if one.idle_windows
    ]
    if not percentiles:
        raise InputError("a workload window was asked for, but no compiled circuit has an idle window; "
                         "give circuits with two or more interacting qubits, or choose the window yourself")
    return float(np.median(percentiles)) * 1e-9
