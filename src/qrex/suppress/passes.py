"""Decoupling as a pass for anyone's pass manager, and trains planned for windows in which a whole device idles.

In: a circuit that is compiled for a device; scheduling first is not needed. Out: the same circuit, scheduled as late as
possible, with its gaps as delays and the chosen pulses in them:

    PassManager([ZZAwareDecoupling(backend)]).run(circuits)

Use it after `generate_preset_pass_manager(backend=backend)`, with no other decoupling switched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.converters import circuit_to_dag, dag_to_circuit
from qiskit.dagcircuit import DAGCircuit
from qiskit.providers import BackendV2
from qiskit.transpiler import Target, TransformationPass
from qiskit.transpiler.exceptions import TranspilerError

from qrex.errors import InputError
from qrex.measure.schedule import Timing
from qrex.measure.sequences import PlannedTrains, PulseTrain, WindowSequence
from qrex.platform import NoiseAssumptions
from qrex.suppress.decoupling import SEQUENCES, ZZ_AWARE, decouple_circuit, pulse_lengths
from qrex.suppress.noise import IdleNoise
from qrex.suppress.occupancy import read_occupancy
from qrex.suppress.planning import Choice, choose_trains

__all__ = ["Decoupler", "ZZAwareDecoupling", "choose_idle", "plan_idle", "window_sequence"]


class ZZAwareDecoupling(TransformationPass):
    """Fills idle windows with pulses, each by what its qubit and its neighbors suffer: see `suppress.planning`.

    `noise` None reads the calibration of `backend`. `sequence` takes any other of `SEQUENCES` for every window alike.
    Circuits with control flow are refused with a TranspilerError, since they have no schedule.
    """

    def __init__(self, backend: BackendV2, noise: IdleNoise | None = None, *, sequence: str = ZZ_AWARE):
        super().__init__()
        if sequence not in SEQUENCES:
            raise InputError(f"decoupling sequence {sequence!r} is not known; there are {', '.join(SEQUENCES)}")
        self.target = backend.target
        train = SEQUENCES[sequence]
        self.how: PulseTrain | IdleNoise = train if train is not None else noise or IdleNoise.of(backend)

    def run(self, dag: DAGCircuit) -> DAGCircuit:
        circuit = dag_to_circuit(dag)
        if any(one.is_control_flow() for one in circuit.data):
            raise TranspilerError(f"circuit {circuit.name!r} has control flow, which has no schedule; leave it out")
        if circuit.num_qubits > self.target.num_qubits:
            raise TranspilerError(
                f"circuit {circuit.name!r} has {circuit.num_qubits} qubits, the device {self.target.num_qubits}; "
                "compile it for the device first"
            )
        made, _ = decouple_circuit(circuit, self.target, self.how)
        return circuit_to_dag(made)


@dataclass(frozen=True)
class Decoupler:
    """Decoupling of finished circuits as a protocol takes it (`measure.sequences.CircuitFiller`): it travels to workers
    and is known by its repr. `noise` is what "zz-aware" decides by."""

    name: str
    noise: IdleNoise | None = None

    def fill(self, circuits: Sequence[QuantumCircuit], target: Target) -> list[QuantumCircuit]:
        how = SEQUENCES[self.name] or self.noise
        if how is None:
            raise InputError(f"{self.name} decoupling decides by the device's noise; give it an IdleNoise")
        return [decouple_circuit(one, target, how)[0] for one in circuits]


def window_sequence(
    backend: BackendV2, sequence: str, windows_seconds: Sequence[float], assumed: NoiseAssumptions | None = None
) -> WindowSequence:
    """One of `SEQUENCES` as `IdleCoherence` takes it; "zz-aware" is planned for those windows."""
    if sequence not in SEQUENCES:
        raise InputError(f"decoupling sequence {sequence!r} is not known; there are {', '.join(SEQUENCES)}")
    return SEQUENCES[sequence] or plan_idle(backend, windows_seconds, assumed=assumed)


def plan_idle(
    backend: BackendV2,
    windows_seconds: Sequence[float],
    *,
    noise: IdleNoise | None = None,
    assumed: NoiseAssumptions | None = None,
) -> PlannedTrains:
    """Trains for windows in which all qubits of the device idle in superposition, as `IdleCoherence` measures them:
    the same ones whatever is prepared, so that what is measured is one channel."""
    chosen = choose_idle(backend, windows_seconds, noise=noise, assumed=assumed)
    plans = {(qubit, ticks): choice.pulses for ticks, choices in chosen.items() for qubit, choice in choices.items()}
    return PlannedTrains(ZZ_AWARE, plans)


def choose_idle(
    backend: BackendV2,
    windows_seconds: Sequence[float],
    *,
    noise: IdleNoise | None = None,
    assumed: NoiseAssumptions | None = None,
) -> dict[int, dict[int, Choice]]:
    """What `plan_idle` chose and why: by window in ticks, in the order asked for, then by qubit."""
    target, timing = backend.target, Timing.of(backend.target)
    noise = noise or IdleNoise.of(backend, assumed)
    lengths = pulse_lengths(target)
    chosen: dict[int, dict[int, Choice]] = {}
    for seconds in windows_seconds:
        ticks = timing.ticks(seconds)
        circuit = QuantumCircuit(target.num_qubits)
        for last in (False, True):
            circuit.sx(range(target.num_qubits))
            if not last:
                circuit.barrier()
                circuit.delay(ticks if timing.in_dt else timing.seconds(ticks), unit="dt" if timing.in_dt else "s")
                circuit.barrier()
        choices = choose_trains(read_occupancy(circuit, target), noise, lengths)
        chosen[ticks] = {window.qubit: choice for window, choice in choices.items()
                         if window.end - window.begin == ticks}  # fmt: skip
    return chosen
