"""Finds the idle window at which a device's undecoupled median Q has a given value, 0.68 for τ_68.

In: a Target. Out: circuits over a grid of windows, and from their counts the window with its interval. The
grid is geometric and ends a little above the window at which T1 and T2 alone would bring Q there, since
everything else only shortens it. A second, finer search may follow inside the bracket found. Shots and seeds
are the search's own: no figure reported at the window uses them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target
from scipy.optimize import brentq

from qrex.errors import InputError
from qrex.evidence import Measurement, Source
from qrex.measure.coherence import IdleCoherence
from qrex.measure.coherence_result import CoherenceResult, level_crossing, relaxation_ceiling

__all__ = ["WindowFound", "WindowSearch"]

_SHORTEST_SHARE = 1 / 32
_LONGEST_SHARE = 1.15
_UNKNOWN_RANGE_SECONDS = (0.25e-6, 250e-6)


@dataclass(frozen=True, slots=True)
class WindowFound:
    """The window in seconds, or None with the reason; the curve that it was read from."""

    window: Measurement | None
    curve: CoherenceResult
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WindowSearch:
    """Undecoupled Q over a grid of windows, neighbors in |+>."""

    protocol: IdleCoherence
    level: float
    seed: int

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        seed: int,
        level: float = 0.68,
        points: int = 6,
        qubits: Sequence[int] | None = None,
        windows_seconds: Sequence[float] | None = None,
    ) -> WindowSearch:
        """A grid of `points` windows guided by T1 and T2, or the windows given."""
        if not 0 < level < 1 or points < 2:
            raise InputError(
                f"asked for level {level} on {points} points; give a level in (0, 1), two points or more"
            )
        windows = windows_seconds
        if windows is None:
            shortest = IdleCoherence.plan(target, windows_seconds=[1e-3], seed=seed, qubits=qubits)
            low, high = _range(shortest.relaxation, level)
            windows = np.geomspace(low, high, points).tolist()
        protocol = IdleCoherence.plan(
            target, windows_seconds=windows, seed=seed, qubits=qubits, virtual_z=False
        )
        return cls(protocol, level, seed)

    def refined(self, target: Target, found: WindowFound, *, seed: int, points: int = 4) -> WindowSearch:
        """A search over the bracket that `found` ended in, with its own seed."""
        if found.window is None:
            raise InputError(f"nothing to refine: {found.reason}")
        low, high = found.window.detail["bracket_seconds"]
        low = max(low, high / 8)
        windows = np.linspace(low, high * 1.05, points).tolist()
        qubits = [qubit for members in self.protocol.classes for qubit in members]
        return self.plan(target, seed=seed, level=self.level, qubits=qubits, windows_seconds=windows)

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        return self.protocol.circuits(target)

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> WindowFound:
        """The window from one counts mapping per circuit."""
        curve = self.protocol.analyze(counts, source)
        window = level_crossing(curve, self.level, seed=self.seed, source=source)
        if window is not None:
            return WindowFound(window, curve)
        longest = max(self.protocol.windows_seconds)
        return WindowFound(
            None, curve, f"the median Q stays above {self.level:g} up to the longest window, {longest:.3g} s"
        )


def _range(relaxation: Mapping[int, tuple[float, float]], level: float) -> tuple[float, float]:
    if not relaxation:
        return _UNKNOWN_RANGE_SECONDS
    times = list(relaxation.values())

    def above(seconds: float) -> float:
        return float(np.median([relaxation_ceiling(t1, t2, seconds) for t1, t2 in times])) - level

    longest = max(t1 for t1, _ in times) * -np.log(level) * 4
    top = float(brentq(above, 0.0, longest))
    return top * _SHORTEST_SHARE, top * _LONGEST_SHARE
