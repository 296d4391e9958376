"""Dynamical decoupling: the idle windows of a compiled circuit get pulses that multiply to the identity.

In: a `Compiled` and the device it was compiled for. Out: a `Decoupled`, the circuit of the same duration with pulses,
and a record of what was filled and why.

Sequences:
    zz-aware         chosen for every window by what is predicted to remain (`planning`): number, times and axes of the
                     pulses, or none; ζ of every link and what the neighbors do at that time count
    XX, XY4, XY8     the same in every window, at the times of Carr, Purcell, Meiboom and Gill. Of two neighbors with
                     equal pulses at equal times neither sees the other's flips: ZZ between them stays
    XX-staggered, XY4-staggered   half a period later on every second color of the coupling graph, so that in windows
                     that coincide ZZ averages out as well (Niu et al., arXiv:2403.05391)
On noise without memory (thermal relaxation on delays) decoupling can only cost: it undoes slow detuning and ZZ, which
such noise does not have. Whether it is kept is for a measurement to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qiskit import QuantumCircuit

from qrex.compilation import Compiled, ErrorTable, predict_success, read_schedule, target_of, trim_delays
from qrex.errors import InputError
from qrex.measure.coherence import qubit_colors
from qrex.measure.schedule import Timing
from qrex.measure.sequences import AXES, Pulse, PulseTrain
from qrex.suppress.noise import IdleNoise
from qrex.suppress.occupancy import Occupancy, Window, read_occupancy
from qrex.suppress.planning import Choice, choose_trains
from qrex.suppress.writing import write_pulses

__all__ = ["SEQUENCES", "ZZ_AWARE", "Decoupled", "DecouplingRecord", "decouple", "decouple_circuit", "pulse_lengths"]

ZZ_AWARE = "zz-aware"

SEQUENCES: dict[str, PulseTrain | None] = {
    ZZ_AWARE: None,
    "XX": PulseTrain("XX", AXES["X2"]),
    "XY4": PulseTrain("XY4", AXES["XY4"]),
    "XY8": PulseTrain("XY8", AXES["XY8"]),
    "XX-staggered": PulseTrain("XX-staggered", AXES["X2"], staggered=True),
    "XY4-staggered": PulseTrain("XY4-staggered", AXES["XY4"], staggered=True),
}
"""What `decouple` takes; None is chosen per window."""


@dataclass(frozen=True, slots=True)
class DecouplingRecord:
    """What decoupling did to one circuit. `reason` says why nothing was filled, or is empty. `chosen`: how many windows
    got which train, by name; `why`: of each qubit with pulses, the choice for its worst window, in words."""

    sequence: str
    windows: int  # idle windows of the schedule
    windows_filled: int
    pulses: int
    shortest_filled_ns: float | None
    reason: str = ""
    chosen: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoupled:
    """`compiled` is the very object that came in where nothing was filled."""

    compiled: Compiled
    record: DecouplingRecord


def decouple(
    compiled: Compiled,
    target: Any,
    sequence: str = ZZ_AWARE,
    *,
    noise: IdleNoise | None = None,
    min_window_ns: float = 0.0,
    table: ErrorTable | None = None,
) -> Decoupled:
    """Fill the idle windows of `compiled`; its duration does not change.

    Left alone: |0⟩ before a qubit's first instruction and after a reset, time after its last instruction,
    and windows that the pulses do not fit in or that are shorter than `min_window_ns`.

    Args:
        compiled: scheduled; otherwise it comes back unchanged with the reason.
        target: the device it was compiled for (a BackendV2 or, for the same train everywhere, a Qiskit `Target`).
        sequence: one of `SEQUENCES`.
        noise: what "zz-aware" decides by; None reads it from the backend's calibration.
        min_window_ns: shortest window to fill, in nanoseconds.
        table: the device's `ErrorTable`, to save reading it again for every circuit.

    Raises:
        InputError: the sequence is not known, or "zz-aware" was given no backend and no noise.
    """
    train = _train(sequence)
    device = target_of(target)
    if train is None and noise is None:
        if not hasattr(target, "target"):
            raise InputError("zz-aware decoupling was given a target alone; give the backend, or its noise (IdleNoise)")
        noise = IdleNoise.of(target)
    table = table or ErrorTable.from_target(device)
    reason = _why_not(compiled, device)
    if reason:
        return _unchanged(compiled, sequence, reason)
    circuit, choices = decouple_circuit(compiled.circuit, device, train or noise, min_window_ns=min_window_ns)
    filled = [choice for choice in choices.values() if choice.pulses]
    if not filled:
        short, dear = "no idle window is long enough for the pulses", "in every window pulses cost more than they save"
        return _unchanged(compiled, sequence, f"not decoupled: {dear if train is None else short}")
    duration = read_schedule(circuit, table).duration_seconds
    if abs(duration - compiled.duration_seconds) > (table.dt or 1e-12):
        return _unchanged(compiled, sequence, "not decoupled: the pulses would change the circuit's duration")
    changed = replace(compiled, circuit=circuit, breakdown=predict_success(circuit, table),
                      label=f"{compiled.label}, {sequence}")  # fmt: skip
    tick = Timing.of(device).tick_seconds
    record = DecouplingRecord(
        sequence, len(compiled.idle_windows), len(filled), sum(len(choice.pulses) for choice in filled),
        min(choice.window.end - choice.window.begin for choice in filled) * tick * 1e9,
        chosen=dict(Counter(choice.sequence for choice in choices.values())),
        why=_reasons(choices.values()) if train is None else {},
    )  # fmt: skip
    return Decoupled(changed, record)


def decouple_circuit(
    circuit: QuantumCircuit, target: Any, how: PulseTrain | IdleNoise, *, min_window_ns: float = 0.0
) -> tuple[QuantumCircuit, dict[Window, Choice]]:
    """`circuit`, whose qubit i is physical qubit i, with its gaps as explicit delays and pulses in them: the same train
    everywhere, or what `how` predicts to be best."""
    occupancy, lengths = read_occupancy(circuit, target), pulse_lengths(target)
    shortest = round(min_window_ns * 1e-9 / occupancy.timing.tick_seconds)
    if isinstance(how, IdleNoise):
        choices = choose_trains(occupancy, how, lengths, min_window=shortest)
    else:
        choices = _same_everywhere(occupancy, how, lengths, target, shortest)
    pulses = {window: choice.pulses for window, choice in choices.items()}
    native_y = "y" in target.operation_names
    return trim_delays(write_pulses(circuit, occupancy, pulses, lengths, native_y=native_y)), choices


def pulse_lengths(target: Any) -> tuple[int, ...]:
    """Of an x pulse of every qubit, in ticks; 0 where it has none, or takes no time."""
    timing = Timing.of(target)
    return tuple(
        timing.gate_ticks(target, "x", (qubit,)) if target.instruction_supported("x", (qubit,)) else 0
        for qubit in range(target.num_qubits)
    )


def _same_everywhere(
    occupancy: Occupancy, train: PulseTrain, lengths: tuple[int, ...], target: Any, shortest: int
) -> dict[Window, Choice]:
    colors = qubit_colors(target)
    choices = {}
    for windows in occupancy.windows:
        for window in windows:
            pulses = _fitting(window, train, lengths, occupancy.timing, colors, shortest)
            choices[window] = _fixed(window, pulses, train)
    return choices


def _fitting(
    window: Window, train: PulseTrain, lengths: tuple[int, ...], timing: Timing, colors: tuple[int, ...], shortest: int
) -> tuple[Pulse, ...]:
    """The pulses of `train`, shifted off barriers within the window; () where they do not fit."""
    length, pulse = window.end - window.begin, lengths[window.qubit]
    if not pulse or length < shortest:
        return ()
    pulses = train.pulses(length, pulse, timing.granule, colors[window.qubit] % 2, window.qubit)
    inside = [cut - window.begin for cut in window.cuts]
    if any(start < cut < start + pulse for start, _ in pulses for cut in inside):
        return ()
    return pulses


def _fixed(window: Window, pulses: tuple[Pulse, ...], train: PulseTrain) -> Choice:
    name = train.name if pulses else "none"
    return Choice(window, name, "even", pulses, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None)


def _train(sequence: str) -> PulseTrain | None:
    if sequence not in SEQUENCES:
        raise InputError(f"decoupling sequence {sequence!r} is not known; there are {', '.join(SEQUENCES)}")
    return SEQUENCES[sequence]


def _reasons(choices) -> dict[str, str]:
    worst: dict[int, Choice] = {}
    for choice in choices:
        held = worst.get(choice.window.qubit)
        if held is None or choice.idle_error > held.idle_error:
            worst[choice.window.qubit] = choice
    return {str(qubit): worst[qubit].why for qubit in sorted(worst)}


def _why_not(compiled: Compiled, target: Any) -> str:
    if not compiled.scheduled:
        return "not decoupled: the circuit has no schedule" + "".join(f" ({note})" for note in compiled.notes)
    if not compiled.idle_windows:
        return "not decoupled: the circuit has no idle window"
    missing = {"x", "rz"}.difference(target.operation_names)
    if missing:
        return f"not decoupled: the device has no {' and no '.join(sorted(missing))} to make the pulses of"
    return ""


def _unchanged(compiled: Compiled, sequence: str, reason: str) -> Decoupled:
    return Decoupled(compiled, DecouplingRecord(sequence, len(compiled.idle_windows), 0, 0, None, reason))
