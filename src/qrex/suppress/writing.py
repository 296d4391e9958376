"""Writes pulses into the idle windows of a circuit.

In: a circuit over physical qubits, its `Occupancy`, the pulses of each window. Out: the same circuit of the same
duration with explicit delays, every gap filled. A π pulse about an axis in the x-y plane is rz·x·rz, symmetric about
the pulse, since the devices have no other: rz is virtual and takes no time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit.circuit.library import RZGate, XGate, YGate

from qrex.measure.schedule import Timing
from qrex.measure.sequences import Pulse
from qrex.suppress.occupancy import Occupancy, Window

__all__ = ["write_pulses"]


def write_pulses(
    circuit: QuantumCircuit,
    occupancy: Occupancy,
    pulses: Mapping[Window, tuple[Pulse, ...]],
    pulse_ticks: Any,
    *,
    native_y: bool = False,
) -> QuantumCircuit:
    """Windows that `pulses` does not name stay idle."""
    writer = _Writer(circuit, occupancy.timing, native_y)
    place = {bit: index for index, bit in enumerate(circuit.qubits)}
    upcoming = [list(windows) for windows in occupancy.windows]
    for one, begin, length in zip(circuit.data, occupancy.starts, occupancy.lengths, strict=True):
        if one.name == "delay":
            continue
        for bit in one.qubits:
            qubit = place[bit]
            windows = upcoming[qubit]
            if windows and windows[0].begin < begin:
                window = windows[0]
                for start, axis in pulses.get(window, ()):
                    if writer.now[qubit] <= window.begin + start < begin:
                        writer.wait(qubit, window.begin + start)
                        writer.pulse(qubit, axis, pulse_ticks[qubit])
                if window.end <= begin:
                    windows.pop(0)
            writer.wait(qubit, begin)
        writer.made.append(one)
        for bit in one.qubits:
            writer.now[place[bit]] = begin + length
    return writer.made


class _Writer:
    def __init__(self, circuit: QuantumCircuit, timing: Timing, native_y: bool):
        self.made = circuit.copy_empty_like()
        self.timing, self.native_y = timing, native_y
        self.now = [0] * circuit.num_qubits

    def wait(self, qubit: int, until: int) -> None:
        ticks = until - self.now[qubit]
        if ticks > 0:
            length, unit = (ticks, "dt") if self.timing.in_dt else (self.timing.seconds(ticks), "s")
            self.made.append(Delay(length, unit), [qubit])
            self.now[qubit] = until

    def pulse(self, qubit: int, axis: float, length: int) -> None:
        axis %= 4
        if self.native_y and axis == 1:
            self.made.append(YGate(), [qubit])
        else:
            angle = math.remainder(axis * math.pi / 2, 2 * math.pi)
            if angle:
                self.made.append(RZGate(-angle), [qubit])
            self.made.append(XGate(), [qubit])
            if angle:
                self.made.append(RZGate(angle), [qubit])
        self.now[qubit] += length
