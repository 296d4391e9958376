"""A compiled circuit as a list of what happens to a device, and when.

In: a circuit over physical qubits, the device's noise and parameters. Out: `Events`, for the trajectories
(`src/cpp/trajectory.hpp`). Instructions stand as late as they can; time without an instruction is idle, whether a delay
is written there or not. A pulse acts in the middle of its duration. Of a cross-resonance gate (cx, ecr) the second
qubit is driven about x and does not see shifts of its frequency, and the first is flipped in the middle; a cz leaves
both as they are. The shift between the two is part of the gate. What of a calibrated gate error T1 and T2 do not
explain is over-rotation about the gate's own axis, by the share that is assumed, and depolarizing. Where T1 and T2
explain more than the whole of it, the gate error is believed: it was measured on that gate, while T2 is an echo's over
a hundred times as long, and noise that is slower than a gate dephases it less than 1/T2 says. White dephasing is then
weaker while the gate lasts. (So it is for every fifth gate of the Eagles that are calibrated, by up to a factor of 5.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rustworkx as rx
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Instruction

from qrex.errors import InputError
from qrex.twin.channels import average_relaxation_fidelity
from qrex.twin.noise import DeviceNoise, delay_seconds
from qrex.twin.parameters import TwinParameters

__all__ = ["Events", "GateError", "events_of", "split_error"]

_TURN, _FLIP, _ONE, _TWO, _BEGIN, _END, _NOISE, _NOISE2, _MEASURE, _RESET, _SETTLE, _CALM = range(12)
_TICK = 1e-15  # seconds: instants are whole numbers of them, so that those that should be equal are
_DRIVEN = {"cx": 2, "ecr": 2}  # bit 0: the first qubit, bit 1: the second
_ECHOED = ("cx",)  # an ecr ends with its first qubit flipped, as its own matrix says
_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Z = np.diag([1.0, -1.0]).astype(complex)


@dataclass(frozen=True, slots=True)
class GateError:
    """Of one gate on given qubits: angle of the over-rotation in rad, probability of depolarizing, and the part of the
    white dephasing that goes on meanwhile."""

    angle: float
    probability: float
    white: float = 1.0


@dataclass(frozen=True, slots=True)
class Events:
    """Arrays as `_kernels.sample_trajectories` takes them."""

    kinds: np.ndarray
    operands: np.ndarray
    values: np.ndarray
    matrices: np.ndarray
    num_clbits: int
    touched: tuple[int, ...]

    @property
    def entangled(self) -> int:
        """The most qubits that two-qubit gates connect."""
        graph = rx.PyGraph()
        graph.add_nodes_from(range(max(self.touched, default=0) + 1))
        pairs = self.operands[self.kinds == _TWO, :2].tolist()
        graph.add_edges_from_no_data([(a, b) for a, b in pairs])
        return max(map(len, rx.connected_components(graph)), default=0)

    @property
    def gates(self) -> int:
        """Events that touch amplitudes."""
        return int(np.isin(self.kinds, (_ONE, _TWO)).sum())


def split_error(error: float, seconds: float, times: Sequence[tuple[float, float]], coherent_share: float) -> GateError:
    """What of an average gate error decoherence during the gate does not explain, split in two.

    An angle ε about a Pauli axis costs sin²(ε/2)·d/(d + 1) on average, depolarizing with p costs p·(d − 1)/d.
    """
    d = 2 ** len(times)
    excess = max(error - (1 - average_relaxation_fidelity(seconds, list(times))), 0.0)
    coherent = coherent_share * excess
    angle = 2 * math.asin(math.sqrt(min(coherent * (d + 1) / d, 1.0)))
    white = 1.0 if excess or not error else _white_share(error, seconds, times)
    return GateError(angle, min((excess - coherent) * d / (d - 1), 1.0), white)


def _white_share(error: float, seconds: float, times: Sequence[tuple[float, float]]) -> float:
    """The factor of all rates of white dephasing with which relaxation costs `error`; 0 where T1 alone costs more."""

    def cost(factor: float) -> float:
        rates = [(t1, 0.5 / t1 + factor * max(1 / t2 - 0.5 / t1, 0.0)) for t1, t2 in times]
        return 1 - average_relaxation_fidelity(seconds, [(t1, 1 / rate if rate else math.inf) for t1, rate in rates])

    if cost(0.0) >= error:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if cost(middle) > error else (middle, high)
    return (low + high) / 2


class _Writer:
    def __init__(self, noise: DeviceNoise, parameters: TwinParameters):
        self.noise, self.parameters = noise, parameters
        self.rows: list[tuple[int, int, int, int, int, float]] = []  # instant, kind, a, b, matrix, value
        self.matrices: list[np.ndarray] = []
        self._known: dict[tuple, int] = {}
        self._errors: dict[tuple[str, tuple[int, ...]], GateError] = {}

    def add(self, instant: int, kind: int, a: int, b: int = 0, matrix: int = 0, value: float = 0.0) -> None:
        self.rows.append((instant, kind, a, b, matrix, value))

    def error(self, name: str, qubits: tuple[int, ...]) -> GateError:
        key = (name, qubits)
        if key not in self._errors:
            entry = self.noise.target[name].get(qubits) if name in self.noise.target else None
            times = [self.noise.relaxation_times(q) for q in qubits]
            known = (entry.error, entry.duration) if entry is not None else (None, None)
            self._errors[key] = split_error(known[0] or 0.0, known[1] or 0.0, times, self.parameters.coherent_share)
        return self._errors[key]

    def calm(self, qubits: tuple[int, ...], error: GateError, begin: int, end: int) -> None:
        """Less dephasing while a gate lasts whose calibrated error asks for it. Events of an instant keep the order in
        which they are written, and a gate is written before the one that follows it."""
        for instant, value in ((begin, error.white), (end, 1.0)) if error.white < 1 else ():
            for qubit in qubits:
                self.add(instant, _CALM, qubit, value=value)

    def matrix(self, key: tuple, make) -> int:
        if key not in self._known:
            made = np.asarray(make(), dtype=complex)
            padded = np.zeros((4, 4), dtype=complex)
            padded.reshape(-1)[: made.size] = made.reshape(-1)
            self._known[key] = len(self.matrices)
            self.matrices.append(padded)
        return self._known[key]

    def single(self, operation: Gate, qubit: int, begin: int, length: int, *, known: bool) -> None:
        """`known`: of what follows only the qubit's z basis matters."""
        name, centre, end = operation.name, begin + length // 2, begin + length
        if name == "rz":
            self.add(begin, _TURN, qubit, value=float(operation.params[0]))
            return
        error = self.error(name, (qubit,))
        self.calm((qubit,), error, begin, end)
        if name == "x" and (known or error.angle == 0.0):
            self.add(centre, _FLIP, qubit)
            if known and error.angle:  # no coherence that it could make matters: flipped or not
                missed = math.sin(error.angle / 2) ** 2
                self.add(centre, _NOISE, qubit, value=2 * missed)
        elif name != "id":
            angle = error.angle if name in ("x", "sx") else 0.0
            key = (name, tuple(operation.params), angle)
            index = self.matrix(key, lambda: _rotation(_X, angle) @ operation.to_matrix())
            self.add(centre, _ONE, qubit, matrix=index)
        if error.probability:
            self.add(end, _NOISE, qubit, value=error.probability)

    def pair(self, operation: Gate, qubits: tuple[int, int], begin: int, length: int) -> None:
        (a, b), name = qubits, operation.name
        centre, end = begin + length // 2, begin + length
        error = self.error(name, qubits)
        key = (name, tuple(operation.params), error.angle)
        index = self.matrix(key, lambda: _rotation(_axis(name), error.angle) @ operation.to_matrix())
        self.calm(qubits, error, begin, end)
        self.add(begin, _BEGIN, a, b, value=float(_DRIVEN.get(name, 0)))
        self.add(centre, _TWO, a, b, matrix=index)
        if name in _ECHOED:
            self.add(centre, _FLIP, a)
            self.add(end, _FLIP, a)
        self.add(end, _END, a, b)
        if error.probability:
            self.add(end, _NOISE2, a, b, value=error.probability)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    return math.cos(angle / 2) * np.eye(len(axis)) - 1j * math.sin(angle / 2) * axis


def _axis(name: str) -> np.ndarray:
    """The generator of a native gate, its first qubit least significant."""
    return np.kron(_Z, _Z) if name in ("cz", "rzz") else np.kron(_X, _Z)


def events_of(circuit: QuantumCircuit, noise: DeviceNoise, parameters: TwinParameters) -> Events:
    """What happens in `circuit`, whose qubit i is physical qubit i. InputError for what the device has not got."""
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    bits = {bit: index for index, bit in enumerate(circuit.clbits)}
    placed = _as_late_as_possible(circuit, noise, place)
    last = _last_turns(circuit, place)
    writer = _Writer(noise, parameters)
    for number, (instruction, (begin, length)) in enumerate(zip(circuit.data, placed, strict=True)):
        operation, name = instruction.operation, instruction.name
        qubits = tuple(place[q] for q in instruction.qubits)
        if name in ("barrier", "delay"):
            continue
        if name == "measure":
            writer.add(begin, _MEASURE, qubits[0], bits[instruction.clbits[0]])
        elif name == "reset":
            writer.add(begin + length // 2, _RESET, qubits[0])
        elif not isinstance(operation, Gate) or len(qubits) > 2:
            raise InputError(f"{name!r} on qubits {qubits} cannot be run here; compile it first")
        elif len(qubits) == 1:
            writer.single(operation, qubits[0], begin, length, known=number > last.get(qubits[0], -1))
        else:
            writer.pair(operation, qubits, begin, length)
        for qubit in qubits:
            if last.get(qubit) == number and name not in ("measure", "reset"):
                writer.add(begin + length, _SETTLE, qubit)
    return _sorted(writer, circuit.num_clbits)


def _sorted(writer: _Writer, num_clbits: int) -> Events:
    rows = sorted(writer.rows, key=lambda row: row[0])  # stable: what is written first happens first
    table = np.array([row[1:5] for row in rows], dtype=np.int32).reshape(-1, 4)
    instants = np.array([row[0] for row in rows], dtype=float)
    values = np.array([row[5] for row in rows], dtype=float)
    touched = sorted({int(q) for q in table[:, 1]})
    return Events(
        np.ascontiguousarray(table[:, 0].astype(np.uint8)),
        np.ascontiguousarray(table[:, 1:]),
        np.column_stack([_TICK * (instants - instants.min(initial=0.0)), values]),
        np.array(writer.matrices or [np.eye(4)], dtype=complex),
        num_clbits,
        tuple(touched),
    )


def _as_late_as_possible(circuit: QuantumCircuit, noise: DeviceNoise, place) -> list[tuple[int, int]]:
    """(begin, length) of every instruction, in ticks before or after an arbitrary instant."""
    until_end = dict.fromkeys([*circuit.qubits, *circuit.clbits], 0)
    placed = []
    for instruction in reversed(circuit.data):
        length = _ticks(instruction.operation, tuple(place[q] for q in instruction.qubits), noise)
        bits = [*instruction.qubits, *instruction.clbits]
        latest = max((until_end[bit] for bit in bits), default=0) + length
        until_end.update(dict.fromkeys(bits, latest))
        placed.append((-latest, length))
    return placed[::-1]


def _ticks(operation: Instruction, qubits: tuple[int, ...], noise: DeviceNoise) -> int:
    if operation.name == "barrier":
        return 0
    if operation.name == "delay":
        return round(delay_seconds(operation, noise.dt) / _TICK)
    target = noise.target
    entry = target[operation.name].get(qubits) if target.get(operation.name) else None
    return round((getattr(entry, "duration", None) or 0.0) / _TICK)


def _last_turns(circuit: QuantumCircuit, place) -> dict[int, int]:
    """Of each qubit the last instruction after which more than its z basis matters no more: what follows there are
    delays, rz, flips and measurements. A flip counts where the qubit is read afterwards."""
    last: dict[int, int] = {}
    read: set[int] = set()
    closed: set[int] = set()
    for number in range(len(circuit.data) - 1, -1, -1):
        instruction = circuit.data[number]
        name = instruction.name
        for qubit in (place[q] for q in instruction.qubits):
            if qubit in closed or name in ("barrier", "delay", "rz", "id"):
                continue
            if name == "measure":
                read.add(qubit)
            elif name != "x" or qubit in read:
                last[qubit] = number
                closed.add(qubit)
    return last
