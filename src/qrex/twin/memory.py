"""Samples one compiled circuit on a twin with memory.

In: a circuit over physical qubits, the device's noise and parameters, shots, a seed. Out: bits, one row per shot. Every
shot is a trajectory of its own, with its own static detunings: see `src/cpp/trajectory.hpp`. Qubits that gates entangle
are followed exactly, and so are idle neighbours that share a phase with them, as long as not more than `MOST_JOINED`
qubits are entangled by both; where it would be more, such a phase is twirled into random ZZ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qrex import _kernels
from qrex.circuits import RANDOMIZED
from qrex.errors import InfeasibleError
from qrex.twin.events import events_of
from qrex.twin.noise import DeviceNoise
from qrex.twin.parameters import TwinParameters

__all__ = ["MOST_JOINED", "MemorySample", "is_static", "sample_with_memory"]

MOST_JOINED = 12
_MOST_JOINED_WIDE = 5  # where more qubits than that take part, or random gates twirl the phases anyway
_MOST_GATED = 24


@dataclass(frozen=True, slots=True)
class MemorySample:
    """`bits` of shape (shots, classical bits), column i being classical bit i. `twirled`: phases between idle
    neighbours that were applied as random ZZ, over all shots; `joined`: qubits followed together at most."""

    bits: NDArray[np.uint8]
    twirled: int
    joined: int


def is_static(circuit: QuantumCircuit) -> bool:
    """Whether nothing in `circuit` depends on an outcome."""
    return not any(one.is_control_flow() or one.name == "store" for one in circuit.data)


def sample_with_memory(
    circuit: QuantumCircuit, noise: DeviceNoise, parameters: TwinParameters, shots: int, seed: Sequence[int],
    *, threads: int = 1, most_joined: int | None = None,
) -> MemorySample:  # fmt: skip
    """Equal seeds give equal bits, whatever `threads` is. InputError for what the device cannot run, InfeasibleError
    where gates entangle too many qubits."""
    events = events_of(circuit, noise, parameters)
    chosen = np.abs(parameters.zeta_rad_per_s) > 0
    pairs = np.array(parameters.edges, dtype=np.int32).reshape(-1, 2)[chosen]
    if most_joined is None:
        narrow = len(events.touched) <= MOST_JOINED and not (circuit.metadata or {}).get(RANDOMIZED)
        most_joined = MOST_JOINED if narrow else _MOST_JOINED_WIDE
    word = int(np.random.SeedSequence(list(seed)).generate_state(1, np.uint64)[0])
    try:
        bits, twirled, joined = _kernels.sample_trajectories(
            np.ascontiguousarray(parameters.noise_table()), np.ascontiguousarray(pairs),
            np.ascontiguousarray(parameters.zeta_rad_per_s[chosen]), events.kinds, events.operands, events.values,
            events.matrices, events.num_clbits, shots, word, threads, most_joined, _MOST_GATED,
        )  # fmt: skip
    except ValueError as error:
        raise InfeasibleError(f"circuit {circuit.name!r}: {error}; use fewer qubits, or a live device") from error
    return MemorySample(bits, twirled, joined)
