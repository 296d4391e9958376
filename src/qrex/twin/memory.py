"""Samples one compiled circuit on a twin with memory.

In: a circuit over physical qubits, the device's noise and parameters, shots, a seed. Out: bits, one row per shot. Every
shot is a trajectory of its own, with its own static detunings: see `src/cpp/trajectory.hpp`. Qubits that gates entangle
are followed exactly, and so are idle neighbours that share a phase with them, as long as gates and such phases together
entangle few qubits: `most_joined`. Where it would be more, such a phase is twirled into random ZZ, which leaves
what one qubit shows of it as it is. Clifford circuits whose gates entangle more than 24 qubits go by Pauli frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qrex import _kernels
from qrex.errors import InfeasibleError
from qrex.twin.events import Events, events_of
from qrex.twin.frames import clifford_gates, sample_frames
from qrex.twin.noise import DeviceNoise
from qrex.twin.parameters import TwinParameters

__all__ = ["MOST_JOINED", "MemorySample", "is_static", "most_joined", "sample_with_memory"]

MOST_JOINED = 12
_MOST_JOINED_WIDE = 5
_MOST_GATED = 24
_AMPLITUDES_PER_SHOT = 2**18  # gates times amplitudes: about a millisecond


@dataclass(frozen=True, slots=True)
class MemorySample:
    """`bits` of shape (shots, classical bits), column i being classical bit i. `twirled`: phases between idle
    neighbours that were applied as random ZZ, over all shots; `joined`: qubits followed together at most. `frames`: all
    by Pauli frames (`twin.frames`), since gates entangle more qubits than amplitudes can follow."""

    bits: NDArray[np.uint8]
    twirled: int
    joined: int
    frames: bool = False


def is_static(circuit: QuantumCircuit) -> bool:
    """Whether nothing in `circuit` depends on an outcome."""
    return not any(one.is_control_flow() or one.name == "store" for one in circuit.data)


def most_joined(events: Events) -> int:
    """How many qubits idle phases may entangle: 12 where no more take part and gates are few, down to 5."""
    if len(events.touched) > MOST_JOINED:
        return _MOST_JOINED_WIDE
    affordable = _AMPLITUDES_PER_SHOT // max(events.gates, 1)
    return min(max(affordable.bit_length() - 1, _MOST_JOINED_WIDE), MOST_JOINED)


def sample_with_memory(
    circuit: QuantumCircuit, noise: DeviceNoise, parameters: TwinParameters, shots: int, seed: Sequence[int],
    *, threads: int = 1, joined: int | None = None,
) -> MemorySample:  # fmt: skip
    """Equal seeds give equal bits, whatever `threads` is. InputError for what the device cannot run, InfeasibleError
    where gates that are no Clifford's entangle too many qubits. `joined` takes the place of `most_joined`."""
    events = events_of(circuit, noise, parameters)
    chosen = np.abs(parameters.zeta_rad_per_s) > 0
    pairs = np.array(parameters.edges, dtype=np.int32).reshape(-1, 2)[chosen]
    limit = most_joined(events) if joined is None else joined
    word = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0])
    if events.entangled > _MOST_GATED:
        random = events_of(circuit, noise, replace(parameters, coherent_share=0.0))  # over-rotation as depolarizing
        gates = clifford_gates(random)
        if gates is None:
            raise InfeasibleError(
                f"circuit {circuit.name!r}: gates that are not all Clifford entangle {events.entangled} qubits; with "
                f"memory at most {_MOST_GATED} can be followed: use fewer, a device without memory, or a live one"
            )
        return MemorySample(sample_frames(random, gates, parameters, shots, word), 0, 0, frames=True)
    try:
        bits, twirled, largest = _kernels.sample_trajectories(
            np.ascontiguousarray(parameters.noise_table()), np.ascontiguousarray(pairs),
            np.ascontiguousarray(parameters.zeta_rad_per_s[chosen]), events.kinds, events.operands, events.values,
            events.matrices, events.num_clbits, shots, word, threads, limit, _MOST_GATED,
        )  # fmt: skip
    except ValueError as error:
        raise InfeasibleError(f"circuit {circuit.name!r}: {error}; use fewer qubits, or a live device") from error
    return MemorySample(bits, twirled, largest)
