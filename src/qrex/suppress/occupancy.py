"""Who is idle when in a compiled circuit, and what its neighbors do meanwhile.

In: a circuit over physical qubits and the device's target. Out: an `Occupancy`: when each instruction starts, the idle
windows, and for every qubit the sign with which its z enters the phases that neighbors gather (the toggling frame):
+1 or −1, which x pulses change; 0 while a cross-resonance gate drives it; and the instants at which what was gathered
about its z is lost, since another gate arrives. Instructions stand as late as they can. The control of a cx is echoed
in the middle of the gate and back at its end, that of an ecr in the middle; a cz leaves both as they are.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from qiskit import QuantumCircuit

from qrex.measure.schedule import Timing

__all__ = ["Occupancy", "Signs", "Window", "read_occupancy"]

_DIAGONAL = frozenset({"rz", "p", "u1", "z", "s", "sdg", "t", "tdg", "id"})
_FLIPS = frozenset({"x", "y"})
_PASSIVE = frozenset({"barrier", "delay"})


@dataclass(frozen=True, slots=True)
class Window:
    """Idle time of `qubit` between two of its instructions, in ticks. `cuts`: barriers that no pulse may straddle.

    `only_z`: nothing but its z basis matters until it is read, so that no phase does.
    """

    qubit: int
    begin: int
    end: int
    cuts: tuple[int, ...] = ()
    only_z: bool = False


@dataclass(slots=True)
class Signs:
    """Of one qubit: from `times[i]` on its sign is `values[i]`; before the first it is in |0⟩. `lost`: instants at
    which gathered phases are closed."""

    times: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    @property
    def begun(self) -> int | None:
        return self.times[0] if self.times else None

    def set(self, when: int, value: int) -> None:
        if self.times and self.times[-1] == when:
            self.values[-1] = value
        else:
            self.times.append(when)
            self.values.append(value)

    def at(self, when: int) -> int:
        place = bisect_right(self.times, when) - 1
        return self.values[place] if place >= 0 else 0


@dataclass(frozen=True, slots=True)
class Occupancy:
    """`starts[i]` and `lengths[i]` of instruction i, in ticks from the beginning; `windows` by qubit, in order."""

    timing: Timing
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    windows: tuple[tuple[Window, ...], ...]
    signs: tuple[Signs, ...]


def read_occupancy(circuit: QuantumCircuit, target: Any) -> Occupancy:
    """Qubit i of `circuit` is physical qubit i."""
    timing = Timing.of(target)
    place = {bit: index for index, bit in enumerate(circuit.qubits)}
    lengths = [_ticks(one, tuple(place[q] for q in one.qubits), target, timing) for one in circuit.data]
    starts = _as_late_as_possible(circuit, lengths)
    signs = [Signs() for _ in circuit.qubits]
    windows: list[list[Window]] = [[] for _ in circuit.qubits]
    free: list[int | None] = [None] * circuit.num_qubits  # since when; None: in |0⟩
    cuts: list[list[int]] = [[] for _ in circuit.qubits]
    last = _last_mixing(circuit, place)
    for number, (one, begin, length) in enumerate(zip(circuit.data, starts, lengths, strict=True)):
        qubits = [place[q] for q in one.qubits]
        if one.name == "delay":
            continue
        if one.is_directive():
            for qubit in qubits:
                cuts[qubit].append(begin)
            continue
        for qubit in qubits:
            since = free[qubit]
            if since is not None and begin > since:
                inner = tuple(cut for cut in cuts[qubit] if since < cut < begin)
                windows[qubit].append(Window(qubit, since, begin, inner, number > last[qubit]))
            cuts[qubit].clear()
            free[qubit] = None if one.name == "reset" else begin + length
        _note(one.name, [signs[q] for q in qubits], begin, begin + length // 2, begin + length)
    return Occupancy(timing, tuple(starts), tuple(lengths), tuple(map(tuple, windows)), tuple(signs))


def _note(name: str, signs: list[Signs], begin: int, centre: int, end: int) -> None:
    for one in signs:
        if one.begun is None:
            one.set(begin, 1)
    if name in _DIAGONAL or name in ("cz", "rzz", "cp"):
        return
    if name in _FLIPS:
        signs[0].set(centre, -signs[0].at(centre))
    elif name in ("cx", "ecr"):
        control, driven = signs
        sign = control.at(begin)
        control.set(centre, -sign)
        if name == "cx":
            control.set(end, sign)
        _close(driven, begin)
        driven.set(begin, 0)
        _close(driven, end)
        driven.set(end, 1)
    else:
        for one in signs:
            if len(signs) > 1:  # a gate between qubits that is not known better: both are driven
                _close(one, begin)
                one.set(begin, 0)
            _close(one, end if len(signs) > 1 else centre)
            one.set(end if len(signs) > 1 else centre, 1)


def _close(one: Signs, when: int) -> None:
    if not one.lost or one.lost[-1] < when:
        one.lost.append(when)


def _ticks(instruction: Any, qubits: tuple[int, ...], target: Any, timing: Timing) -> int:
    operation, name = instruction.operation, instruction.name
    if name == "delay":
        if operation.unit == "dt":
            return int(operation.duration)
        scale = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}[operation.unit]
        return round(operation.duration * scale / timing.tick_seconds)
    if name == "barrier" or name not in target.operation_names:
        return 0
    return timing.gate_ticks(target, name, qubits)


def _as_late_as_possible(circuit: QuantumCircuit, lengths: list[int]) -> list[int]:
    until_end = dict.fromkeys([*circuit.qubits, *circuit.clbits], 0)
    before_end = []
    for one, length in zip(reversed(circuit.data), reversed(lengths), strict=True):
        bits = [*one.qubits, *one.clbits]
        latest = max((until_end[bit] for bit in bits), default=0) + length
        until_end.update(dict.fromkeys(bits, latest))
        before_end.append(latest)
    total = max(before_end, default=0)
    return [total - latest for latest in reversed(before_end)]


def _last_mixing(circuit: QuantumCircuit, place: dict) -> list[int]:
    """Of each qubit the last instruction after which a phase about z still matters; -1 where there is none."""
    last = [-1] * circuit.num_qubits
    for number, one in enumerate(circuit.data):
        if one.name not in _PASSIVE and one.name not in _DIAGONAL and one.name not in ("x", "y", "measure", "reset"):
            for qubit in one.qubits:
                last[place[qubit]] = number
    return last
