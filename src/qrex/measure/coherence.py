"""Q(τ), the polarization of an idle window: (Rxx + Ryy + Rzz)/3, normalized to τ = 0.

In: a Target and windows in seconds; a coherence without a duration is refused. Out: circuits, and from their
counts Q of every qubit, the median and 10th percentile with intervals, Q with the best fixed virtual Z, and
the ceiling that T1 and T2 alone would allow.
Six circuits (±x, ±y, ±z prepared and measured along the same axis) give the diagonal of the Pauli transfer
matrix, four more the x-y block; a run at τ = 0 takes out preparation and readout. Qubits of one color class
of the coupling graph run in parallel, their neighbors in |+>. Standard error about 0.41/√shots.
Q = (4·F_pro - 1)/3. References: Nielsen, quant-ph/0205035; Ezzell et al., arXiv:2207.03670.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import rustworkx as rx
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Source
from qrex.measure.coherence_result import CoherenceResult, window_coherence
from qrex.measure.schedule import Timeline, Timing, coupling_links
from qrex.measure.sequences import Filling, fill_window, filled
from qrex.measure.statistics import parity_expectations

__all__ = ["IdleCoherence", "append_measurement", "append_preparation", "qubit_colors", "relaxation_times"]

Setting = tuple[str, int, str]
"""Axis prepared, its sign, axis measured."""

DIAGONAL: tuple[Setting, ...] = tuple((axis, sign, axis) for axis in "XYZ" for sign in (1, -1))
CROSS: tuple[Setting, ...] = tuple((a, sign, b) for a, b in ("XY", "YX") for sign in (1, -1))

# sx turns z into -y, and a quarter turn of rz -y into x: quarter turns that follow it, by axis and sign.
_TURNS_AFTER_SX = {("Y", -1): 0, ("X", 1): 1, ("Y", 1): 2, ("X", -1): 3}


def append_preparation(line: Timeline, qubit: int, axis: str, sign: int) -> None:
    """From |0> to the eigenstate of `axis` with eigenvalue `sign`."""
    if axis == "Z":
        if sign < 0:
            line.pulse("x", qubit)
        return
    line.pulse("sx", qubit)
    line.rz(qubit, _TURNS_AFTER_SX[axis, sign])


def append_measurement(line: Timeline, qubit: int, axis: str) -> None:
    """Turn `axis` to z, where +1 reads 0."""
    if axis != "Z":
        line.rz(qubit, 1 if axis == "X" else 0)
        line.pulse("sx", qubit)


def qubit_colors(target: Target) -> tuple[int, ...]:
    """A proper coloring of the coupling graph, two colors where it is bipartite; entry i for qubit i."""
    graph = rx.PyGraph()
    graph.add_nodes_from(range(target.num_qubits))
    graph.add_edges_from_no_data(list(coupling_links(target)))
    colors = rx.two_color(graph) or rx.graph_greedy_color(graph, strategy=rx.ColoringStrategy.Saturation)
    return tuple(int(colors[qubit]) for qubit in range(target.num_qubits))


@dataclass(frozen=True, slots=True)
class IdleCoherence:
    """Q of one or more idle windows. Circuits class by class: six at τ = 0, then each window's settings.

    `sequence` fills the windows of measured qubits and of their neighbors: a `WindowSequence` here; a
    `CircuitFiller` or a Qiskit pass manager is run over the finished circuits and sees the windows as explicit delays.
    """

    classes: tuple[tuple[int, ...], ...]
    neighbors: tuple[tuple[int, ...], ...]
    colors: tuple[int, ...]
    windows_seconds: tuple[float, ...]
    relaxation: Mapping[int, tuple[float, float]]
    sequence: Filling | None
    label: str
    virtual_z: bool
    seed: int

    def __post_init__(self) -> None:
        if not self.windows_seconds or min(self.windows_seconds) <= 0:
            raise InputError(
                f"a coherence needs the duration it was kept for; got windows {list(self.windows_seconds)}: "
                "give one or more positive durations in seconds"
            )
        if not any(self.classes):
            raise InputError("a coherence was asked of no qubits; name at least one")

    @classmethod
    def plan(
        cls,
        target: Target,
        *,
        windows_seconds: Sequence[float],
        seed: int,
        qubits: Sequence[int] | None = None,
        sequence: Filling | None = None,
        label: str | None = None,
        virtual_z: bool = True,
    ) -> IdleCoherence:
        """Fix the protocol. Windows are rounded to the timing granule; `qubits` are those in use; `label`
        names the sequence in results (its own name, or its class, by default)."""
        timing = Timing.of(target)
        windows = tuple(timing.seconds(timing.ticks(seconds)) for seconds in windows_seconds)
        if any(w <= 0 for w in windows):
            raise InputError(
                f"windows {list(windows_seconds)} s include one below the device's resolution of "
                f"{timing.seconds(timing.granule):.3g} s; a coherence needs a positive duration"
            )
        chosen = set(range(target.num_qubits) if qubits is None else qubits)
        if not chosen <= set(range(target.num_qubits)):
            raise InputError(
                f"asked for qubits {sorted(chosen)}; the device has 0 to {target.num_qubits - 1}"
            )
        colors = qubit_colors(target)
        links = coupling_links(target)
        classes, neighbors = [], []
        for color in sorted(set(colors)):
            members = tuple(sorted(q for q in chosen if colors[q] == color))
            if members:
                around = {q for link in links if set(link) & set(members) for q in link} - set(members)
                classes.append(members)
                neighbors.append(tuple(sorted(around)))
        return cls(
            tuple(classes),
            tuple(neighbors),
            colors,
            windows,
            relaxation_times(target, chosen),
            sequence,
            label
            or ("none" if sequence is None else str(getattr(sequence, "name", type(sequence).__name__))),
            virtual_z,
            seed,
        )

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What is prepared and measured at each window."""
        return DIAGONAL + (CROSS if self.virtual_z else ())

    def circuits(self, target: Target) -> list[QuantumCircuit]:
        """len(classes)·(6 + len(windows)·(10, or 6 without virtual_z)) circuits."""
        made = []
        for c in range(len(self.classes)):
            for w in (None, *self.windows_seconds):
                made += [self._circuit(target, c, w, s) for s in (DIAGONAL if w is None else self.settings)]
        return filled(made, self.sequence, target)

    def _circuit(self, target: Target, c: int, window: float | None, setting: Setting) -> QuantumCircuit:
        line = Timeline(target)
        prepared, sign, measured = setting
        members, around = self.classes[c], self.neighbors[c]
        everyone = sorted((*members, *around))
        for qubit in members:
            append_preparation(line, qubit, prepared, sign)
        for qubit in around:
            append_preparation(line, qubit, "X", 1)
        line.barrier(everyone)
        if window is not None:
            for qubit in everyone:
                fill_window(line, qubit, line.timing.ticks(window), self.sequence, self.colors[qubit])
            line.barrier(everyone)
        for qubit in members:
            append_measurement(line, qubit, measured)
        nanoseconds = 0 if window is None else round(window * 1e9)
        return line.circuit(
            members, f"idle_c{c}_{nanoseconds}ns_{prepared}{'+' if sign > 0 else '-'}{measured}"
        )

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> CoherenceResult:
        """Q of every window from one counts mapping per circuit."""
        width = len(self.settings)
        each = len(DIAGONAL) + width * len(self.windows_seconds)
        if len(counts) != each * len(self.classes):
            raise InputError(
                f"{len(counts)} counts for {each * len(self.classes)} circuits; hand back one for each"
            )
        qubits = tuple(qubit for members in self.classes for qubit in members)
        tables = []
        for c, members in enumerate(self.classes):
            answers = counts[c * each : (c + 1) * each]
            singles = [[place] for place in range(len(members))]
            rows = [parity_expectations(answer, singles, len(members)) for answer in answers]
            # (qubits of the class, circuits) expectations and the shots behind them
            means = np.array([row[0] for row in rows]).T
            tables.append((means, np.broadcast_to([row[1] for row in rows], means.shape)))
        means, shots = (np.concatenate(parts) for parts in zip(*tables, strict=True))
        windows = []
        for number, seconds in enumerate(self.windows_seconds):
            start = len(DIAGONAL) + number * width
            columns = [*range(len(DIAGONAL)), *range(start, start + width)]
            windows.append(
                window_coherence(
                    seconds, qubits, means[:, columns], shots[:, columns], relaxation=self.relaxation,
                    sequence=self.label, seed=self.seed + number, source=source,
                )
            )  # fmt: skip
        return CoherenceResult(qubits, self.label, tuple(windows))


def relaxation_times(target: Target, qubits: Iterable[int]) -> dict[int, tuple[float, float]]:
    """T1 and T2 in seconds, T2 no longer than 2·T1; only qubits for which the device gives both."""
    table = target.qubit_properties or []
    found = {}
    for qubit in sorted(qubits):
        entry = table[qubit] if qubit < len(table) else None
        t1, t2 = getattr(entry, "t1", None), getattr(entry, "t2", None)
        if t1 and t2:
            found[qubit] = (float(t1), min(float(t2), 2 * float(t1)))
    return found
