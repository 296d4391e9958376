"""Physical circuits with every idle time written out.

In: a Target, pulses and gates on physical qubits. Out: a QuantumCircuit over all qubits of the device, as
late as possible, idle time as explicit delays that honor the device's timing granularity, virtual rz merged.
Cost: linear in the number of instructions. Bit order: qubit 0 and classical bit 0 least significant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qiskit.circuit import ClassicalRegister, Delay, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZGate, SXGate, XGate
from qiskit.transpiler import Target

from qrex.errors import PlatformError

__all__ = ["ENTANGLERS", "Timeline", "Timing", "coupling_links", "native_pair"]

ENTANGLERS = {"cx": CXGate, "ecr": ECRGate, "cz": CZGate}
"""Native two-qubit gates that the protocols know, in order of preference."""

_FALLBACK_TICK_SECONDS = 1e-9
_PULSES = {"sx": SXGate(), "x": XGate()}


def coupling_links(target: Target) -> tuple[tuple[int, int], ...]:
    """Every coupled pair of the device once, smaller qubit first, sorted. Empty where nothing is coupled."""
    coupling = target.build_coupling_map()
    if coupling is None:
        return ()
    return tuple(sorted({(min(a, b), max(a, b)) for a, b in coupling.get_edges()}))


def native_pair(target: Target, link: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """The link's own two-qubit gate and the order of qubits it takes: least error, then shortest.

    Raises PlatformError where the link has none of cx, ecr and cz.
    """
    found = []
    for name in ENTANGLERS:
        if name not in target.operation_names:
            continue
        for pair in (link, link[::-1]):
            if target.instruction_supported(name, pair):
                entries = target[name]
                properties = entries.get(pair) if entries else None
                error = properties.error if properties and properties.error is not None else 0.0
                seconds = properties.duration if properties and properties.duration is not None else 0.0
                found.append((error, seconds, len(found), name, tuple(pair)))
    if not found:
        raise PlatformError(
            f"link {link} has none of the two-qubit gates {', '.join(ENTANGLERS)}; the device offers "
            f"{', '.join(sorted(target.operation_names))}: measure links that have one of them"
        )
    best = min(found)
    return best[3], best[4]


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock of a device: seconds per tick, and the granule (in ticks) that delays are multiples of.

    Devices without a clock get ticks of 1 ns, and their delays are written in seconds.
    """

    tick_seconds: float
    granule: int
    in_dt: bool

    @classmethod
    def of(cls, target: Target) -> Timing:
        if target.dt is None:
            return cls(_FALLBACK_TICK_SECONDS, 1, False)
        return cls(float(target.dt), math.lcm(target.granularity or 1, target.pulse_alignment or 1), True)

    def ticks(self, seconds: float) -> int:
        """The multiple of the granule nearest to `seconds`, in ticks."""
        return round(seconds / self.tick_seconds / self.granule) * self.granule

    def seconds(self, ticks: int) -> float:
        return ticks * self.tick_seconds

    def gate_ticks(self, target: Target, name: str, qubits: tuple[int, ...]) -> int:
        """Duration of a gate in ticks; 0 where the device does not say."""
        entries = target[name]
        properties = entries.get(qubits) if entries else None
        seconds = properties.duration if properties is not None else None
        return 0 if seconds is None else round(seconds / self.tick_seconds)


class Timeline:
    """Gathers pulses and gates, then lays them out as late as possible.

    Rz rotations are virtual: quarter turns are added up per qubit and written once, before the next pulse
    or gate. A barrier aligns all the qubits that it names.
    """

    def __init__(self, target: Target):
        missing = [name for name in ("rz", "sx", "measure") if name not in target.operation_names]
        if missing:
            raise PlatformError(
                f"the protocols need rz, sx and measure; {', '.join(missing)} not among the device's "
                f"{', '.join(sorted(target.operation_names))}: name a device with that basis"
            )
        self.target = target
        self.timing = Timing.of(target)
        self._has_x = "x" in target.operation_names
        self._turns: dict[int, float] = {}
        self._ops: list[tuple[str, tuple[int, ...], float]] = []
        self._durations: dict[tuple[str, tuple[int, ...]], int] = {}

    def rz(self, qubit: int, quarter_turns: float) -> None:
        self._turns[qubit] = (self._turns.get(qubit, 0) + quarter_turns) % 4

    def _flush(self, qubits: Sequence[int]) -> None:
        for qubit in qubits:
            turns = self._turns.pop(qubit, 0)
            if turns:
                self._ops.append(("rz", (qubit,), turns))

    def pulse(self, name: str, qubit: int) -> None:
        """An `sx` or `x` pulse; `x` becomes two `sx` on a device without it."""
        self._flush((qubit,))
        parts = (name,) if name == "sx" or self._has_x else ("sx", "sx")
        self._ops.extend((part, (qubit,), 0) for part in parts)

    def gate(self, name: str, pair: tuple[int, int]) -> None:
        """A native two-qubit gate."""
        self._flush(pair)
        self._ops.append((name, pair, 0))

    def delay(self, qubit: int, ticks: int) -> None:
        if ticks > 0:
            # Rz commutes with idling, so a pending turn may wait until after the delay.
            self._ops.append(("delay", (qubit,), ticks))

    def barrier(self, qubits: Sequence[int]) -> None:
        if len(qubits) > 1:
            self._flush(qubits)
            self._ops.append(("barrier", tuple(qubits), 0))

    def pulse_ticks(self, qubit: int) -> int:
        """Duration of an x pulse on this qubit, in ticks."""
        name = "x" if self._has_x else "sx"
        return self._ticks(name, (qubit,)) * (1 if self._has_x else 2)

    def _ticks(self, name: str, qubits: tuple[int, ...]) -> int:
        key = (name, qubits)
        if key not in self._durations:
            self._durations[key] = self.timing.gate_ticks(self.target, name, qubits)
        return self._durations[key]

    def _placed(self) -> list[tuple[str, tuple[int, ...], float]]:
        """The instructions in order, with the delays that aligning as late as possible asks for."""
        until_end: dict[int, int] = {}
        backwards: list[tuple[str, tuple[int, ...], float]] = []
        granule = self.timing.granule
        used = sorted({qubit for _, qubits, _ in self._ops for qubit in qubits})

        def align(qubits: Sequence[int]) -> int:
            latest = max(until_end.get(qubit, 0) for qubit in qubits)
            for qubit in qubits:
                wait = round((latest - until_end.get(qubit, 0)) / granule) * granule
                if wait:
                    backwards.append(("delay", (qubit,), wait))
                until_end[qubit] = latest
            return latest

        for name, qubits, value in reversed(self._ops):
            if name == "rz":
                backwards.append((name, qubits, value))
            elif name == "delay":
                backwards.append((name, qubits, value))
                until_end[qubits[0]] = until_end.get(qubits[0], 0) + int(value)
            elif name == "barrier":
                align(qubits)
                backwards.append((name, qubits, value))
            else:
                end = align(qubits) + self._ticks(name, qubits)
                backwards.append((name, qubits, value))
                for qubit in qubits:
                    until_end[qubit] = end
        if used:
            align(used)
        return backwards[::-1]

    def circuit(self, measured: Sequence[int], name: str) -> QuantumCircuit:
        """The circuit; `measured` qubits are read at once into register "c", bit i from measured[i]."""
        self._flush(sorted(self._turns))
        self.barrier(sorted(set(measured) | {q for _, qubits, _ in self._ops for q in qubits}))
        circuit = QuantumCircuit(
            QuantumRegister(self.target.num_qubits, "q"), ClassicalRegister(len(measured), "c"), name=name
        )
        rz = {turns: RZGate(angle) for turns, angle in ((1.0, math.pi / 2), (2.0, math.pi), (3.0, -math.pi / 2))}
        gates = {key: kind() for key, kind in ENTANGLERS.items()}
        for kind, qubits, value in self._placed():
            if kind == "rz":
                if value not in rz:
                    rz[value] = RZGate(math.remainder(value * math.pi / 2, 2 * math.pi))
                circuit.append(rz[value], qubits, copy=False)
            elif kind == "delay":
                ticks = int(value)
                length, unit = (ticks, "dt") if self.timing.in_dt else (self.timing.seconds(ticks), "s")
                circuit.append(Delay(length, unit), qubits)
            elif kind == "barrier":
                circuit.barrier(*qubits)
            else:
                circuit.append(_PULSES.get(kind) or gates[kind], qubits, copy=False)
        circuit.measure(list(measured), list(range(len(measured))))
        return circuit
