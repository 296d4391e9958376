"""Decoupling sequences that a coherence protocol can put into its idle window.

In: a window, a pulse length and the timing granule, in ticks, and the color of the qubit. Out: when each
pulse starts and about which axis it turns. Pulses stand at the Carr-Purcell-Meiboom-Gill times (k - 1/2)·τ/n,
which cancel a static detuning exactly; a staggered train shifts odd colors by half a period, so that the
coupling between neighbors cancels too. References: Viola and Lloyd, quant-ph/9803057; Niu et al.,
arXiv:2403.05391 (staggering).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from qrex.errors import InputError
from qrex.measure.schedule import Timeline

__all__ = ["X2", "X2_STAGGERED", "XY4", "XY4_STAGGERED", "PulseTrain", "WindowSequence", "fill_window"]


@runtime_checkable
class WindowSequence(Protocol):
    """What a coherence protocol asks of a sequence."""

    @property
    def name(self) -> str: ...

    def pulses(self, window: int, pulse: int, granule: int, color: int) -> tuple[tuple[int, str], ...]:
        """Start ticks and axes ("x" or "y") in a window; () where it is too short, which leaves it idle."""
        ...


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Pulses about `axes`, evenly spaced and symmetric; the whole train is the identity.

    >>> XY4.pulses(window=1600, pulse=160, granule=16, color=0)
    ((128, 'x'), (528, 'y'), (928, 'x'), (1328, 'y'))
    """

    name: str
    axes: tuple[str, ...]
    staggered: bool = False

    def __post_init__(self) -> None:
        if (
            not set(self.axes) <= {"x", "y"}
            or any(self.axes.count(axis) % 2 for axis in "xy")
            or not self.axes
        ):
            raise InputError(
                f"sequence {self.name!r} has pulses {self.axes}; give an even number of x and of y"
            )

    def pulses(self, window: int, pulse: int, granule: int, color: int) -> tuple[tuple[int, str], ...]:
        shift = color if self.staggered else 0
        axes = self.axes * 2 ** (shift // 2)  # colors 2 and 3 run twice as fast: all trains stay orthogonal
        count = len(axes)
        if count * (pulse + granule) > window:
            return ()
        phase = 1.0 if shift % 2 else 0.5
        starts = []
        for k in range(count):
            start = (k + phase) * window / count - pulse / 2
            # The last pulse of a shifted train ends with the window.
            nearest = math.floor(start / granule + 0.5) * granule  # half up, so that spacing stays even
            starts.append(min(nearest, (window - pulse) // granule * granule))
        return tuple(zip(starts, axes, strict=True))


X2 = PulseTrain("X2", ("x", "x"))
XY4 = PulseTrain("XY4", ("x", "y", "x", "y"))
X2_STAGGERED = PulseTrain("X2 staggered", ("x", "x"), staggered=True)
XY4_STAGGERED = PulseTrain("XY4 staggered", ("x", "y", "x", "y"), staggered=True)


def fill_window(line: Timeline, qubit: int, window: int, sequence: WindowSequence | None, color: int) -> int:
    """Append an idle window of `window` ticks, decoupled by `sequence` if given; returns the pulse count."""
    length = line.pulse_ticks(qubit)
    train = sequence.pulses(window, length, line.timing.granule, color) if sequence is not None else ()
    now = 0
    for start, axis in train:
        line.delay(qubit, start - now)
        # y as rz(-90°)·x·rz(+90°): symmetric, so that pulse errors keep the sequence's own cancellation.
        line.rz(qubit, -1 if axis == "y" else 0)
        line.pulse("x", qubit)
        line.rz(qubit, 1 if axis == "y" else 0)
        now = start + length
    line.delay(qubit, window - now)
    return len(train)
