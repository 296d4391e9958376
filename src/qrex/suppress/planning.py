"""Chooses for every idle window a train of pulses, or none, by the error that is predicted to remain.

In: an `Occupancy` and `IdleNoise`. Out: one `Choice` per window. What a train leaves in its window, in process
infidelity: with y(t) = ±1 its toggling sign and y_j(t) that of a neighbor (0 while a gate drives it),
    detuning   (1 − exp(−(σ²I² + V)/2)·cos(ν I)·cos μ)/2,   I = ∫ y dt,   μ = Σ_j ζ_j/2 ∫ y dt, where j has left |0⟩
    ZZ         sin²(ζ_j/4 · ∫ y y_j dt)                      for each stretch in which neither loses its phase
    pulses     the product of the real pulses against the identity (`trains`)
V is the variance of the phase that an Ornstein-Uhlenbeck detuning leaves: the filter function of its Lorentzian
spectrum, integrated in time (Cywiński et al., arXiv:0712.2225, eq. 13). Neighbors depend on each other, so windows are
chosen one after the other and again until none changes; the sum of what remains only falls. Decided by the measured ζ
and by absolute time, this colors the graph of windows that overlap, with as many colors as they need. Cost: about a
millisecond per window that is not like one before it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import rustworkx as rx

from qrex.measure.sequences import X2_STAGGERED, Pulse
from qrex.suppress.noise import IdleNoise
from qrex.suppress.occupancy import Occupancy, Window
from qrex.suppress.trains import COUNTS, best_axes, candidate_starts, nearby_starts, timing_name

__all__ = ["Choice", "choose_trains"]

_SWEEPS = 4
_LEAST_GAIN = 1e-7  # of a change of mind: below it sweeps would never end
_GOOD_ENOUGH = 0.1  # share of what remains that another start could still take away
_NEGLIGIBLE = 0.02  # of what the pulses cost
_EVEN = 1e-9  # weight of the longest time between pulses


@dataclass(frozen=True, slots=True)
class Choice:
    """What a window gets: `pulses` start within it. Errors are predicted process infidelities, relaxation apart:
    `idle_error` without pulses, `error` with them; `detuning`, `zz` and `pulse_cost` are the parts of `error`,
    `idle_detuning` is what of `idle_error` there would be without ZZ, `idle_zz` the rest; `neighbor` the one whose ZZ
    weighed most, if any did."""

    window: Window
    sequence: str  # "none" without pulses
    timing: str
    pulses: tuple[Pulse, ...]
    idle_error: float
    error: float
    idle_detuning: float
    idle_zz: float
    detuning: float
    zz: float
    pulse_cost: float
    neighbor: int | None

    @property
    def why(self) -> str:
        """One line for a report."""
        if not self.pulses:
            if self.window.only_z:
                return "none: only read afterwards, no phase matters"
            return f"none: pulses would cost more than the {self.idle_error:.1e} that idling does"
        against = "detuning" if self.idle_detuning >= self.idle_zz else f"ZZ with {self.neighbor}"
        return f"{self.sequence}, {self.timing}: against {against}, {self.idle_error:.1e} to {self.error:.1e}"


@dataclass(frozen=True, slots=True)
class _Neighbor:
    """One neighbor during a window: `area` is ∫ of its sign at `knots`, seconds; `stretches` in which both keep their
    phase; `since` when it left |0⟩. Ticks are relative to the window."""

    qubit: int
    zeta: float
    knots: np.ndarray
    area: np.ndarray
    stretches: tuple[tuple[float, float], ...]
    since: float

    def key(self) -> tuple:
        return self.qubit, self.knots.tobytes(), self.area.tobytes(), self.stretches, self.since


def choose_trains(
    occupancy: Occupancy, noise: IdleNoise, pulse_ticks: Sequence[int], *, min_window: int = 0
) -> dict[Window, Choice]:
    """`pulse_ticks[q]` is the length of an x pulse of qubit q, 0 where it has none."""
    found: dict[Window, Choice] = {}
    for staggered in (True, False):
        plan = _Planner(occupancy, noise, pulse_ticks, min_window, staggered=staggered).run()
        if not found or _left(plan)[0] < _left(found)[0]:
            found = plan
        total, residual = _left(found)
        if residual <= _GOOD_ENOUGH * total:
            break
    return found


def _left(plan: Mapping[Window, Choice]) -> tuple[float, float]:
    """The sum of what remains, and what of it pulses could still undo: detuning and ZZ where there are pulses."""
    residual = sum(choice.detuning + choice.zz for choice in plan.values() if choice.pulses)
    return sum(choice.error for choice in plan.values()), residual


class _Planner:
    """`staggered`: the first choices see neighbors with pulses by color; otherwise without pulses."""

    def __init__(
        self, occupancy: Occupancy, noise: IdleNoise, pulse_ticks: Sequence[int], min_window: int, *, staggered: bool
    ):
        self.occupancy, self.noise, self.pulse_ticks = occupancy, noise, pulse_ticks
        self.tick = occupancy.timing.tick_seconds
        self.granule = occupancy.timing.granule
        self.min_window = min_window
        self.neighbors = noise.neighbors()
        self.begins = [[window.begin for window in windows] for windows in occupancy.windows]
        self.chosen: dict[Window, Choice] = {}
        self.flips: dict[Window, tuple[float, ...]] = {}  # pulse centers, absolute
        self.known: dict[tuple, tuple] = {}
        if staggered:
            colors = _colors(noise)
            for windows in occupancy.windows:
                for window in windows:
                    self._stagger(window, colors[window.qubit])

    def _stagger(self, window: Window, color: int) -> None:
        length, pulse = window.end - window.begin, self.pulse_ticks[window.qubit]
        if self._fits(window):
            pulses = X2_STAGGERED.pulses(length, pulse, self.granule, color, window.qubit)
            self.flips[window] = tuple(window.begin + start + pulse / 2 for start, _ in pulses)

    def run(self) -> dict[Window, Choice]:
        order = sorted((w for windows in self.occupancy.windows for w in windows), key=lambda w: (w.begin, w.qubit))
        stale = set(order)  # windows next to which something has changed since they were chosen
        for _sweep in range(_SWEEPS):
            for window in [one for one in order if one in stale]:
                stale.discard(window)
                before = self.chosen.get(window)
                choice = self.choose(window)
                if before is not None and before.pulses != choice.pulses:
                    # What stands may have been right for neighbors that have moved since: compare both as of now.
                    standing = self.errors(window, before)
                    if standing - choice.error < _LEAST_GAIN:
                        continue
                self.chosen[window] = choice
                half = self.pulse_ticks[window.qubit] / 2
                flips = tuple(window.begin + start + half for start, _ in choice.pulses)
                if flips != self.flips.get(window, ()):
                    self.flips[window] = flips
                    stale.update(self._beside(window))
            if not stale:
                break
        return {window: self.described(window, self.chosen[window]) for window in order}

    def _beside(self, window: Window) -> list[Window]:
        """Windows of neighbors at the same time that could get pulses."""
        return [
            other
            for j, _ in self.neighbors[window.qubit]
            for other in self._overlapping(j, window.begin, window.end)
            if self._fits(other)
        ]

    def _fits(self, window: Window) -> bool:
        length, pulse = window.end - window.begin, self.pulse_ticks[window.qubit]
        return bool(pulse) and not window.only_z and length >= max(self.min_window, 2 * (pulse + self.granule))

    def surroundings(self, window: Window) -> list[_Neighbor]:
        return [self.neighbor(window, j, zeta) for j, zeta in self.neighbors[window.qubit]
                if (begun := self.occupancy.signs[j].begun) is not None and begun < window.end]  # fmt: skip

    def neighbor(self, window: Window, j: int, zeta: float) -> _Neighbor:
        signs, begin, end = self.occupancy.signs[j], window.begin, window.end
        events = [(t, v) for t, v in zip(signs.times, signs.values, strict=True) if begin < t < end] if (
            len(signs.times) < 32) else self._between(signs, begin, end)  # fmt: skip
        flips = sorted(t for t in self._flips(j, begin, end) if begin < t < end)
        early = sum(1 for t in self._flips(j, begin, end) if t <= begin)
        value, sign = signs.at(begin), -1 if early % 2 else 1
        knots, area = [0.0], [0.0]
        pending = sorted([(float(t), v, False) for t, v in events] + [(t, 0, True) for t in flips])
        now = float(begin)
        for when, new, flip in [*pending, (float(end), 0, False)]:
            if when > now:
                knots.append(when - begin)
                area.append(area[-1] + value * sign * (when - now) * self.tick)
                now = when
            if flip:
                sign = -sign
            else:
                value = new
        since = max(signs.begun or 0, begin)
        cuts = [since, *(t for t in signs.lost if since < t < end), end]
        stretches = tuple((a - begin, b - begin) for a, b in pairwise(cuts) if b > a)
        return _Neighbor(j, zeta, np.array(knots), np.array(area), stretches, float(since - begin))

    @staticmethod
    def _between(signs, begin: int, end: int) -> list[tuple[int, int]]:
        low, high = bisect_right(signs.times, begin), bisect_right(signs.times, end - 1)
        return list(zip(signs.times[low:high], signs.values[low:high], strict=True))

    def _flips(self, j: int, begin: int, end: int) -> list[float]:
        """Pulse centers of the windows of j that reach into [begin, end]."""
        return [flip for window in self._overlapping(j, begin, end) for flip in self.flips.get(window, ())]

    def _overlapping(self, j: int, begin: int, end: int) -> list[Window]:
        windows = self.occupancy.windows[j]
        place = max(bisect_right(self.begins[j], begin) - 1, 0)
        found = []
        while place < len(windows) and windows[place].begin < end:
            if windows[place].end > begin:
                found.append(windows[place])
            place += 1
        return found

    def residuals(self, window: Window, around: Sequence[_Neighbor], centers: np.ndarray):
        """Detuning (K,) and ZZ (K, neighbors) that trains with pulse `centers` (K, n) leave; ticks in the window."""
        length = window.end - window.begin
        count = len(centers)
        edges = np.concatenate([np.zeros((count, 1)), centers, np.full((count, 1), float(length))], axis=1)
        signs = _alternating(edges.shape[1] - 1)
        q, noise = window.qubit, self.noise
        inside = (edges[:, 1:] - edges[:, :-1]) * self.tick
        whole = inside @ signs
        local, zz = np.zeros(count), np.zeros((count, max(len(around), 1)))
        for place, other in enumerate(around):
            present = whole
            if other.since > 0:
                later = np.maximum(edges, other.since)
                present = (later[:, 1:] - later[:, :-1]) @ signs * self.tick
            local += other.zeta / 2 * present
            for low, high in other.stretches:
                within = edges if low <= 0 and high >= length else edges.clip(low, high)
                area = np.interp(within, other.knots, other.area)
                zz[:, place] += np.sin(other.zeta / 4 * ((area[:, 1:] - area[:, :-1]) @ signs)) ** 2
        variance = (noise.detuning[q] * whole) ** 2
        if noise.drift[q] > 0:
            variance = variance + _drift_variance(inside, signs, noise.drift[q], noise.drift_seconds[q])
        detuning = (1 - np.exp(-variance / 2) * np.cos(noise.parity[q] * whole) * np.cos(local)) / 2
        return detuning, zz

    def pulse(self, qubit: int, count: int) -> tuple[str, tuple[float, ...], float]:
        noise = self.noise
        shifts = (zeta / 2 for _, zeta in self.neighbors[qubit])
        width = math.hypot(noise.detuning[qubit], noise.parity[qubit], noise.drift[qubit], *shifts)
        turn = width * self.pulse_ticks[qubit] * self.tick
        return best_axes(count, float(noise.pulse_angle[qubit]), float(noise.pulse_error[qubit]), turn)

    def choose(self, window: Window) -> Choice:
        if not self._fits(window):
            return self.made(window, (), 0.0)  # its error is told in the end
        around = self.surroundings(window)
        key = (window.qubit, window.end - window.begin, tuple(c - window.begin for c in window.cuts), window.only_z,
               *(one.key() for one in around))  # fmt: skip
        if key not in self.known:
            self.known[key] = self._search(window, around)
        starts, error = self.known[key]
        return self.made(window, starts, error)

    def made(self, window: Window, starts: tuple[int, ...], error: float) -> Choice:
        name, axes, cost = self.pulse(window.qubit, len(starts)) if starts else ("none", (), 0.0)
        pulses = tuple(zip(starts, axes, strict=True))
        return Choice(window, name, "", pulses, 0.0, error, 0.0, 0.0, 0.0, 0.0, cost, None)

    def _search(self, window: Window, around: list[_Neighbor]) -> tuple[tuple[int, ...], float]:
        length, pulse = window.end - window.begin, self.pulse_ticks[window.qubit]
        detuning, zz = self.residuals(window, around, np.empty((1, 0)))
        best_error, best = float(detuning[0] + zz[0].sum()), ()
        cuts = tuple(cut - window.begin for cut in window.cuts)
        marks = tuple(sorted({round(t) for one in around for t in one.knots if 0 < t < length}))
        for count in COUNTS:
            cost = self.pulse(window.qubit, count)[2]
            if count * (pulse + self.granule) > length or cost >= best_error:
                continue
            starts = candidate_starts(count, length, pulse, self.granule, cuts, marks)
            found, error = self.best_of(window, around, starts)
            step = max(length // 32 // self.granule, 1) * self.granule
            while found is not None and step >= self.granule and error > _NEGLIGIBLE * cost:
                near = nearby_starts(found, step, length, pulse, self.granule, cuts)
                closer, better = self.best_of(window, around, near)
                if closer is not None and better < error - _LEAST_GAIN / 10:
                    found, error = closer, better
                else:
                    step = step // 2 // self.granule * self.granule
            if found is not None and error + cost < best_error:
                best, best_error = tuple(int(s) for s in found), error + cost
        return best, best_error

    def best_of(self, window: Window, around: Sequence[_Neighbor], starts: np.ndarray):
        if not len(starts):
            return None, math.inf
        detuning, zz = self.residuals(window, around, starts + self.pulse_ticks[window.qubit] / 2)
        errors = detuning + zz.sum(axis=1)
        # Of equals the most even: what the model leaves out, faster drifts, is then refocused best.
        length, pulse = window.end - window.begin, self.pulse_ticks[window.qubit]
        ends = np.full((len(starts), 1), length + pulse)
        longest = np.diff(np.concatenate([0 * ends, starts + pulse, ends], axis=1), axis=1).max(axis=1)
        place = int(np.argmin(errors + _EVEN * longest / length))
        return starts[place], float(errors[place])

    def errors(self, window: Window, choice: Choice) -> float:
        detuning, zz = self.parts(window, choice)
        return detuning + float(zz.sum()) + choice.pulse_cost

    def parts(self, window: Window, choice: Choice) -> tuple[float, np.ndarray]:
        centers = np.array([[start + self.pulse_ticks[window.qubit] / 2 for start, _ in choice.pulses]])
        detuning, zz = self.residuals(window, self.surroundings(window), centers)
        return float(detuning[0]), zz[0]

    def described(self, window: Window, choice: Choice) -> Choice:
        """The choice with its errors as all the others stand in the end."""
        if window.only_z:
            return choice
        around = self.surroundings(window)
        idle, idle_zz = self.residuals(window, around, np.empty((1, 0)))
        alone, _ = self.residuals(window, (), np.empty((1, 0)))
        idle_error = float(idle[0] + idle_zz[0].sum())
        detuning, zz = self.parts(window, choice) if choice.pulses else (float(idle[0]), idle_zz[0])
        length, pulse = window.end - window.begin, self.pulse_ticks[window.qubit]
        starts = np.array([start for start, _ in choice.pulses])
        return Choice(
            window, choice.sequence, timing_name(starts, length, pulse, self.granule) if len(starts) else "",
            choice.pulses, idle_error, detuning + float(zz.sum()) + choice.pulse_cost,
            float(alone[0]), max(idle_error - float(alone[0]), 0.0), detuning, float(zz.sum()), choice.pulse_cost,
            around[int(np.argmax(idle_zz[0]))].qubit if around and idle_zz[0].max() > 0 else None,
        )  # fmt: skip


def _colors(noise: IdleNoise) -> list[int]:
    """A proper coloring of the links that have a ζ, two colors where it can be."""
    graph = rx.PyGraph()
    graph.add_nodes_from(range(noise.num_qubits))
    graph.add_edges_from_no_data(list(noise.zeta))
    colors = rx.two_color(graph) or rx.graph_greedy_color(graph, strategy=rx.ColoringStrategy.Saturation)
    return [colors[qubit] for qubit in range(noise.num_qubits)]


@lru_cache
def _alternating(count: int) -> np.ndarray:
    return (-1.0) ** np.arange(count)


def _drift_variance(inside: np.ndarray, signs: np.ndarray, width: float, tau: float) -> np.ndarray:
    """Variance of ∫ y δ dt for an Ornstein-Uhlenbeck δ over pieces of `inside` (K, pieces) seconds."""
    fallen = np.exp(-inside / tau)
    own = 2 * tau * (inside - tau * (1 - fallen))
    reach = signs * tau * (1 - fallen)
    total, carried = own.sum(axis=1), np.zeros(len(inside))
    for piece in range(inside.shape[1]):  # carried: what earlier pieces still say at the start of this one
        total += 2 * carried * reach[:, piece]
        carried = carried * fallen[:, piece] + reach[:, piece]
    return width**2 * total
