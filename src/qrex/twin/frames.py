"""Samples wide Clifford circuits on a twin with memory, by Pauli frames.

In: `Events` whose gates are Clifford, parameters, shots, a seed. Out: bits, one row per shot. stim follows the circuit
without noise and the Paulis that noise turns it by. Between gates each shot adds up its own idle phases, of every
qubit and of every link, pulses being sign flips; before a gate that is not diagonal what is left of a phase φ becomes
a Z with probability sin²(φ/2), that of a link a ZZ. So a shot's detuning stays its own from window to window and
decoupling refocuses it, but phases of windows with a gate between them add up as probabilities, not as amplitudes.
Relaxation is twirled: it no longer prefers |0⟩, and what a neighbor shifts after its decay, or after an error that
flips it, is not followed. Neighbors that have not begun are in |0⟩ and shift nothing.
Cost: gates · links per qubit · shots. References: Gidney, arXiv:2103.02202 (frames); Ghosh et al., arXiv:1210.5799
(twirled relaxation).
"""

from __future__ import annotations

import math

import numpy as np
import stim
from numpy.typing import NDArray

from qrex.twin.events import Events
from qrex.twin.parameters import TwinParameters

__all__ = ["clifford_gates", "sample_frames"]

_TURN, _FLIP, _ONE, _TWO, _BEGIN, _END, _NOISE, _NOISE2, _MEASURE, _RESET, _SETTLE, _CALM = range(12)
_QUARTER = 1e-6  # rad: how near to a multiple of a quarter turn a Clifford's rz is


def clifford_gates(events: Events) -> list[stim.Circuit] | None:
    """Every matrix of `events` as a stim circuit on qubits 0 and 1; None where one, or an rz, is no Clifford."""
    turns = events.values[events.kinds == _TURN, 1] / (math.pi / 2)
    if np.abs(turns - np.round(turns)).max(initial=0.0) > _QUARTER:
        return None
    pairs = set(events.operands[events.kinds == _TWO, 2].tolist())
    made = []
    for number, matrix in enumerate(events.matrices):
        small = matrix if number in pairs else matrix.reshape(-1)[:4].reshape(2, 2)
        try:
            made.append(stim.Tableau.from_unitary_matrix(small, endian="little").to_circuit())
        except ValueError:
            return None
    return made


def sample_frames(
    events: Events, gates: list[stim.Circuit], parameters: TwinParameters, shots: int, seed: int
) -> NDArray[np.uint8]:
    """Shape (shots, classical bits). The same seed gives the same bits."""
    return _Frames(events, gates, parameters, shots, seed).run()


class _Frames:
    def __init__(self, events: Events, gates: list[stim.Circuit], parameters: TwinParameters, shots: int, seed: int):
        self.events, self.gates, self.known, self.shots = events, gates, parameters, shots
        self.rng = np.random.default_rng([seed, 17])
        self.frames = stim.FlipSimulator(batch_size=shots, num_qubits=parameters.num_qubits, seed=seed % 2**63)
        self.ideal = stim.TableauSimulator(seed=0)
        n = parameters.num_qubits
        sign = self.rng.choice((-1.0, 1.0), (n, shots))
        width = parameters.detuning_rad_per_s[:, None]
        self.detuning = width * self.rng.normal(size=(n, shots)) + parameters.parity_rad_per_s[:, None] * sign
        self.drift = parameters.drift_rad_per_s[:, None] * self.rng.normal(size=(n, shots))
        self.angle = np.zeros((n, shots))
        self.common = np.zeros(n)  # phases that all shots share
        self.last = np.zeros(n)
        self.sign, self.white = np.ones(n), np.ones(n)
        self.driven, self.begun = np.zeros(n, bool), np.zeros(n, bool)
        self.edges_of: list[list[int]] = [[] for _ in range(n)]
        for e, (a, b) in enumerate(parameters.edges):
            self.edges_of[a].append(e)
            self.edges_of[b].append(e)
        self.bond, self.bond_last = np.zeros(len(parameters.edges)), np.zeros(len(parameters.edges))
        self.resting = np.zeros(len(parameters.edges), bool)
        self.dephasing = np.maximum(1 / parameters.t2_seconds - 0.5 / parameters.t1_seconds, 0.0)

    def run(self) -> NDArray[np.uint8]:
        read: list[tuple[int, int, bool]] = []  # qubit, bit, what the circuit without noise answers
        for kind, (a, b, matrix), (now, value) in zip(
            self.events.kinds.tolist(), self.events.operands.tolist(), self.events.values.tolist(), strict=True
        ):
            if kind == _TURN:
                self.begin(a, now)
                self.ideal.do(stim.Circuit(["", f"S {a}", f"Z {a}", f"S_DAG {a}"][round(value / (math.pi / 2)) % 4]))
                self.frames.do(stim.Circuit(["", f"S {a}", "", f"S_DAG {a}"][round(value / (math.pi / 2)) % 4]))
            elif kind == _FLIP:
                self.advance_around(a, now)
                self.begin(a, now)
                self.sign[a] = -self.sign[a]
                self.ideal.x(a)
            elif kind in (_ONE, _TWO):
                qubits = [a, b] if kind == _TWO else [a]
                for q in qubits:
                    self.advance_around(q, now)
                    self.flush(q)
                    self.begin(q, now)
                self.apply(self.gates[matrix], qubits)
            elif kind in (_BEGIN, _END):
                for q in (a, b):
                    self.advance_around(q, now)
                    self.begin(q, now)
                drives = int(value) if kind == _BEGIN else 0
                self.driven[a], self.driven[b] = bool(drives & 1), bool(drives & 2)
                for e in set(self.edges_of[a]) & set(self.edges_of[b]):
                    self.resting[e] = kind == _BEGIN
            elif kind == _NOISE:
                self.frames.do(stim.Circuit(f"DEPOLARIZE1({0.75 * value}) {a}"))
            elif kind == _NOISE2:
                self.frames.do(stim.Circuit(f"DEPOLARIZE2({0.9375 * value}) {a} {b}"))
            elif kind == _CALM:
                self.advance(a, now)
                self.white[a] = value
            elif kind == _MEASURE:
                self.advance_around(a, now)
                self.flush(a)
                read.append((a, b, self.ideal.measure(a)))
                self.frames.do(stim.Circuit(f"M {a}"))
            elif kind == _RESET:
                self.advance_around(a, now)
                self.ideal.reset(a)
                self.frames.do(stim.Circuit(f"R {a}"))
        return self.answers(read)

    def answers(self, read: list[tuple[int, int, bool]]) -> NDArray[np.uint8]:
        bits = np.zeros((self.shots, self.events.num_clbits), dtype=np.uint8)
        flips = self.frames.get_measurement_flips()
        for (qubit, bit, ideal), flipped in zip(read, flips, strict=True):
            value = flipped ^ ideal
            wrong = np.where(value, self.known.reads_zero[qubit], self.known.reads_one[qubit])
            bits[:, bit] = value ^ (self.rng.random(self.shots) < wrong)
        return bits

    def apply(self, gate: stim.Circuit, qubits: list[int]) -> None:
        placed = stim.Circuit()
        for one in gate:
            placed.append(one.name, [qubits[target.value] for target in one.targets_copy()])
        self.ideal.do(placed)
        self.frames.do(placed)

    def begin(self, q: int, now: float) -> None:
        if not self.begun[q]:
            self.begun[q], self.last[q] = True, now
            for e in self.edges_of[q]:
                self.bond_last[e] = now

    def insert(self, pauli: str, q: int, chance: np.ndarray | float) -> np.ndarray:
        mask = np.zeros((self.known.num_qubits, self.shots), dtype=bool)
        mask[q] = self.rng.random(self.shots) < chance
        self.frames.broadcast_pauli_errors(pauli=pauli, mask=mask)
        return mask

    def advance(self, q: int, now: float) -> None:
        """Idling of q alone: its own phases, white dephasing and relaxation."""
        elapsed = now - self.last[q]
        if not self.begun[q] or elapsed <= 0:
            return
        self.last[q] = now
        if self.known.drift_rad_per_s[q] > 0:
            tau = self.known.drift_seconds[q]
            kept = math.exp(-elapsed / tau)
            before = self.drift[q].copy()
            spread = self.known.drift_rad_per_s[q] * math.sqrt(1 - kept * kept)
            self.drift[q] = kept * before + spread * self.rng.normal(size=self.shots)
            if not self.driven[q]:  # the trapezoid of its ends: windows are shorter than the correlation time
                self.angle[q] -= self.sign[q] * elapsed * (before + self.drift[q]) / 2
        if not self.driven[q]:
            self.angle[q] -= self.sign[q] * elapsed * self.detuning[q]
        damped = -math.expm1(-elapsed / self.known.t1_seconds[q])
        dephased = -0.5 * math.expm1(-elapsed * (self.white[q] * self.dephasing[q] + 0.5 / self.known.t1_seconds[q]))
        chances = damped / 4, damped / 4, max(dephased - damped / 4, 0.0)
        if sum(chances) > 0:
            x, y, z = chances
            self.frames.do(stim.Circuit(f"PAULI_CHANNEL_1({x},{y},{z}) {q}"))

    def advance_around(self, q: int, now: float) -> None:
        self.advance(q, now)
        for e in self.edges_of[q]:
            a, b = self.known.edges[e]
            elapsed = now - self.bond_last[e]
            self.bond_last[e] = max(now, self.bond_last[e])
            if elapsed <= 0 or self.resting[e] or not (self.begun[a] and self.begun[b]):
                continue
            turned = self.known.zeta_rad_per_s[e] * elapsed
            for one in (a, b):  # of ζ n n the part of each alone
                if not self.driven[one]:
                    self.common[one] -= self.sign[one] * turned / 2
            if not (self.driven[a] or self.driven[b]):
                self.bond[e] += self.sign[a] * self.sign[b] * turned

    def flush(self, q: int) -> None:
        """What is left of the phases of q becomes Paulis."""
        total = self.angle[q] + self.common[q]
        if total.any():
            self.insert("Z", q, np.sin(total / 2) ** 2)
        self.angle[q], self.common[q] = 0.0, 0.0
        for e in self.edges_of[q]:
            if self.bond[e]:
                a, b = self.known.edges[e]
                mask = self.insert("Z", a, math.sin(self.bond[e] / 4) ** 2)
                mask[b] = mask[a]
                mask[a] = False
                self.frames.broadcast_pauli_errors(pauli="Z", mask=mask)
                self.bond[e] = 0.0
        self.sign[q] = 1.0
