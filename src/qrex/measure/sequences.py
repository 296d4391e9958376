"""Decoupling sequences: when π pulses act in an idle window, and about which axes.

In: a window, a pulse length and the timing granule, in ticks, and the color of the qubit. Out: when each pulse starts
and its axis, in quarter turns about z from x. Times are those of Carr, Purcell, Meiboom and Gill, (k − 1/2)·τ/n, which
cancel a static detuning exactly, or of Uhrig, sin²(π k/(2n + 2))·τ; a staggered train runs half a period later on odd
colors, so that the coupling between neighbors cancels too. References: Viola and Lloyd, quant-ph/9803057; Uhrig,
quant-ph/0609203; Genov et al., arXiv:1609.09416 (UR, phases that cancel pulse errors); Niu et al.,
arXiv:2403.05391 (staggering).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

from qiskit.circuit import QuantumCircuit
from qiskit.passmanager import BasePassManager
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.measure.schedule import Timeline

__all__ = [
    "AXES",
    "X2",
    "X2_STAGGERED",
    "XY4",
    "XY4_STAGGERED",
    "XY8",
    "CircuitFiller",
    "Filling",
    "PlannedTrains",
    "Pulse",
    "PulseTrain",
    "WindowSequence",
    "even_centers",
    "fill_window",
    "filled",
    "uhrig_centers",
]

Pulse = tuple[int, float]
"""Start tick in its window, and axis in quarter turns about z from x: 0 is x, 1 is y, 2 is −x."""

AXES: dict[str, tuple[float, ...]] = {
    "X2": (0, 0),
    "XpXm": (0, 2),
    "XY4": (0, 1, 0, 1),
    "UR4": (0, 2, 2, 0),
    "UR6": (0, 4 / 3, 0, 0, 4 / 3, 0),
    "XY8": (0, 1, 0, 1, 1, 0, 1, 0),
    "UR8": (0, 1, 3, 2, 2, 3, 1, 0),
}
"""Axes of the pulses of each sequence, in time order."""


@runtime_checkable
class WindowSequence(Protocol):
    """What a coherence protocol asks of a sequence."""

    @property
    def name(self) -> str: ...

    def pulses(self, window: int, pulse: int, granule: int, color: int, qubit: int) -> tuple[Pulse, ...]:
        """Pulses of a window, in ticks; () where it is too short, which leaves it idle."""
        ...


@runtime_checkable
class CircuitFiller(Protocol):
    """What fills the windows of finished circuits, each by what happens around it."""

    @property
    def name(self) -> str: ...

    def fill(self, circuits: Sequence[QuantumCircuit], target: Target) -> list[QuantumCircuit]:
        """The same circuits, of the same durations."""
        ...


Filling = WindowSequence | CircuitFiller | BasePassManager
"""What a protocol takes to decouple: a sequence for its own windows, or what is run over its finished circuits."""


def filled(circuits: list[QuantumCircuit], filling: Filling | None, target: Target) -> list[QuantumCircuit]:
    """`circuits` after what is run over finished ones; as they are where `filling` is a sequence for windows."""
    if isinstance(filling, BasePassManager):
        return list(filling.run(circuits))
    if isinstance(filling, CircuitFiller):
        return filling.fill(circuits, target)
    return circuits


def even_centers(count: int) -> tuple[float, ...]:
    """Carr-Purcell-Meiboom-Gill times as shares of the window."""
    return tuple((k + 0.5) / count for k in range(count))


def uhrig_centers(count: int) -> tuple[float, ...]:
    """Uhrig's times as shares of the window; two of them are those of `even_centers`.

    >>> [round(share, 4) for share in uhrig_centers(4)]
    [0.0955, 0.3455, 0.6545, 0.9045]
    """
    return tuple(math.sin(math.pi * (k + 1) / (2 * count + 2)) ** 2 for k in range(count))


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Pulses about `axes`; together they are the identity. `centers` as shares of the window, evenly spaced without.

    >>> XY4.pulses(window=1600, pulse=160, granule=16, color=0, qubit=0)
    ((128, 0), (528, 1), (928, 0), (1328, 1))
    """

    name: str
    axes: tuple[float, ...]
    staggered: bool = False
    centers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        turned = sum(self.axes[::2]) - sum(self.axes[1::2])
        if not self.axes or len(self.axes) % 2 or abs(turned / 2 - round(turned / 2)) > 1e-9:
            raise InputError(
                f"sequence {self.name!r} has axes {self.axes} (quarter turns); their pulses leave a qubit turned: "
                "give an even number of them that together are the identity, such as x x or x y x y"
            )

    def pulses(self, window: int, pulse: int, granule: int, color: int, qubit: int = 0) -> tuple[Pulse, ...]:
        shift = color if self.staggered else 0
        axes = self.axes * 2 ** (shift // 2)  # colors 2 and 3 run twice as fast: all trains stay orthogonal
        count = len(axes)
        if count * (pulse + granule) > window:
            return ()
        centers = self.centers or tuple((k + (1.0 if shift % 2 else 0.5)) / count for k in range(count))
        starts = []
        for share in centers:
            # The last pulse of a shifted train ends with the window.
            nearest = math.floor((share * window - pulse / 2) / granule + 0.5) * granule  # half up: spacing stays even
            starts.append(max(0, min(nearest, (window - pulse) // granule * granule)))
        if any(b - a < pulse for a, b in pairwise(starts)):
            return ()
        return tuple(zip(starts, axes, strict=True))


@dataclass(frozen=True, slots=True)
class PlannedTrains:
    """Trains that were chosen for each qubit and window; windows that none was planned for stay idle.

    `plans` by (qubit, window in ticks).
    """

    name: str
    plans: Mapping[tuple[int, int], tuple[Pulse, ...]]

    def pulses(self, window: int, pulse: int, granule: int, color: int, qubit: int) -> tuple[Pulse, ...]:
        return self.plans.get((qubit, window), ())


X2 = PulseTrain("X2", AXES["X2"])
XY4 = PulseTrain("XY4", AXES["XY4"])
XY8 = PulseTrain("XY8", AXES["XY8"])
X2_STAGGERED = PulseTrain("X2 staggered", AXES["X2"], staggered=True)
XY4_STAGGERED = PulseTrain("XY4 staggered", AXES["XY4"], staggered=True)


def fill_window(line: Timeline, qubit: int, window: int, sequence: Filling | None, color: int) -> int:
    """Append an idle window of `window` ticks, decoupled by `sequence` where that is one for windows; returns the pulse
    count."""
    train: tuple[Pulse, ...] = ()
    if isinstance(sequence, WindowSequence):
        train = sequence.pulses(window, line.pulse_ticks(qubit), line.timing.granule, color, qubit)
    length = line.pulse_ticks(qubit)
    now = 0
    for start, turns in train:
        line.delay(qubit, start - now)
        # The axis by rz before and after: symmetric, so that pulse errors keep the sequence's own cancellation.
        line.rz(qubit, -turns)
        line.pulse("x", qubit)
        line.rz(qubit, turns)
        now = start + length
    line.delay(qubit, window - now)
    return len(train)
