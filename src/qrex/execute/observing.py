"""A final state observed: in this process for who calls `observe`, in a worker for `qrex run --observable`.

In: a circuit and what is wanted of its final state. Out: an `Observation`, from a worker as a JSON-able dictionary.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from qrex.circuits import MAX_SHOTS, Circuit
from qrex.circuits.program import Program
from qrex.engines import Allotment
from qrex.engines.statevector.observing import Observation, Wanted, observe_program
from qrex.engines.statevector.tiers import CODECS
from qrex.errors import InfeasibleError, InputError
from qrex.platform import probe_host
from qrex.store.paths import path_from
from qrex.units import format_bytes, parse_bytes

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp

__all__ = ["ObservationRequest", "observe", "observe_in_worker"]

_MEMORY_SHARE = 0.8  # of what is free, where no limit is given: the machine is not ours alone
_DISK_SHARE = 0.5


def observe(
    circuit: QuantumCircuit | Circuit | str | os.PathLike[str],
    *,
    observables: Sequence[str | os.PathLike[str] | Mapping[str, float] | Sequence[tuple[str, float]] | SparsePauliOp]
    = (),
    marginals: Sequence[Sequence[int]] = (),
    probabilities: Sequence[str] = (),
    final_state: str | os.PathLike[str] | np.ndarray | None = None,
    shots: int = 0,
    seed: int = 0,
    memory: int | str | None = None,
    scratch: str | os.PathLike[str] | None = None,
    disk: int | str | None = None,
    codec: str = "float32",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Observation:  # fmt: skip
    """Run `circuit` as a state vector, in this process, and observe its state before the final measurements.

    `circuit`: a Qiskit circuit, a `Circuit`, or the path of an OpenQASM file.
    `observables`: Pauli sums, "0.5*ZZI - XYZ" (qubit 0 rightmost) or "0.5*Z1*Z2 - X0", {"ZZI": 0.5}, pairs, a
    `SparsePauliOp`, or the path of a JSON file with the like.
    `marginals`: lists of at most 20 qubits; of all their values the probabilities, the first qubit least significant.
    `probabilities`: outcomes of all classical bits, bit 0 rightmost.
    `final_state`: an .npy file to be written, which may be larger than the memory, or a complex64 array of 2^n: all
    amplitudes up to a global phase, qubit 0 least significant.
    `memory`: bytes, or text such as "4GB", that the state and what belongs to it may take; by default 80 % of what is
    free. `scratch`: a folder for a state that is larger, which may take `disk` bytes of it (by default half of what is
    free), 8, 4 or 2 per amplitude as `codec` is float32, int16 or int8. Without it no disk is used. The same call again
    goes on after an interruption, unless `final_state` is an array.
    `progress` is told the finished fraction; what it raises stops the run.

    Raises InputError for what is asked wrongly, InfeasibleError where the outcome of a measurement or a reset decides
    what follows (then there is no one final state) or where the state does not fit: both before any work. EngineError
    where a norm is wrong, StoreError where a disk fails.

    >>> from qiskit import QuantumCircuit
    >>> bell = QuantumCircuit(2)
    >>> _ = bell.h(0), bell.cx(0, 1)
    >>> found = observe(bell, observables=["ZZ", "0.5*X0*X1 - Z0"], marginals=[[0]], memory="64MB")
    >>> [round(value, 5) for value in found.expectation_values], found.marginals[0].round(5).tolist()
    ([1.0, 0.5], [0.5, 0.5])
    """
    given = circuit if isinstance(circuit, Circuit) else _loaded(circuit)
    for name, value, least, most in (("shots", shots, 0, MAX_SHOTS), ("seed", seed, 0, 2**64 - 1),
                                     ("threads", threads, 1, 4096)):  # fmt: skip
        whole = isinstance(value, Integral) and not isinstance(value, bool) and least <= value <= most
        if not whole and not (value is None and name == "threads"):
            raise InputError(f"{name} is {value!r}; it must be a whole number from {least} to {most}")
    if progress is not None and not callable(progress):
        raise InputError(f"progress is {progress!r:.60}; give a function of the finished fraction")
    if codec not in CODECS:
        raise InputError(f"there is no codec {codec!r}; there are {', '.join(CODECS)}")
    bits = given.quantum_circuit.num_clbits
    wanted = Wanted.of(given.num_qubits, bits, observables, marginals, probabilities)
    allotment = _allotment(memory, scratch, disk, codec, threads)
    return observe_program(
        given.program, given.num_qubits, wanted, allotment, {}, progress or _silent, shots=shots, seed=seed,
        final_state=final_state,
    )  # fmt: skip


def _silent(_fraction: float) -> None:
    return


def _loaded(circuit: QuantumCircuit | str | os.PathLike[str]) -> Circuit:
    from qrex.circuits import load_workload

    if isinstance(circuit, list | tuple):
        raise InputError(f"{len(circuit)} circuits are given; observe one at a time")
    circuits = load_workload(circuit, strict=True).circuits
    if len(circuits) != 1:
        raise InputError(f"{os.fspath(circuit)!r} has {len(circuits)} circuits; observe one at a time")
    return circuits[0]


def _allotment(
    memory: int | str | None, scratch: str | os.PathLike[str] | None, disk: int | str | None, codec: str,
    threads: int | None,
) -> Allotment:  # fmt: skip
    host = probe_host(measure=False)
    memory_bytes = int(_MEMORY_SHARE * host.memory_available_bytes) if memory is None else _size(memory)
    if memory_bytes > host.memory_bytes:
        raise InfeasibleError(
            f"asked to use {format_bytes(memory_bytes)} of memory; this host has {format_bytes(host.memory_bytes)}"
        )
    threads = threads or host.cores
    if scratch is None:
        if disk is not None:
            raise InputError(f"disk is {disk!r} and no folder is given; name one with scratch")
        return Allotment(threads, memory_bytes, codec=codec)
    folder = path_from(scratch, "the scratch folder")
    if not folder.is_dir():
        what = "is no folder; name one" if folder.exists() else "does not exist; make it, or name another"
        raise InputError(f"the scratch folder '{folder}' {what}")
    free = shutil.disk_usage(scratch).free
    return Allotment(
        threads, memory_bytes, str(folder), int(_DISK_SHARE * free) if disk is None else _size(disk), codec=codec
    )


def _size(given: int | str | None) -> int:
    found = parse_bytes(given)
    if found < 0:
        raise InputError(f"{given!r} is no amount of bytes; give a positive one")
    return found


@dataclass(frozen=True, slots=True)
class ObservationRequest:
    """A circuit of `num_qubits` qubits as a program, and what is wanted of its final state; see `observe`."""

    program: Program
    num_qubits: int
    wanted: Wanted
    allotment: Allotment
    constants: Mapping[str, float]
    shots: int
    seed: int
    final_state: str | None = None

    def granted(self, threads: int, memory_bytes: int) -> ObservationRequest:
        """The same within what the pool grants."""
        return replace(self, allotment=replace(self.allotment, threads=threads, memory_bytes=memory_bytes))


def observe_in_worker(request: ObservationRequest, progress: Callable[[float], None]) -> dict[str, Any]:
    """The fields of an `Observation`, JSON-able. Raises what `observe_program` does."""
    found = observe_program(
        request.program, request.num_qubits, request.wanted, request.allotment, request.constants, progress,
        shots=request.shots, seed=request.seed, final_state=request.final_state,
    )  # fmt: skip
    return {
        "counts": dict(found.counts),
        "expectation_values": list(found.expectation_values),
        "expectation_errors": list(found.expectation_errors),
        "marginals": [table.tolist() for table in found.marginals],
        "probabilities": dict(found.probabilities),
        "probability_error": found.probability_error,
        "infidelity": found.infidelity,
        "norm": found.norm,
        "tiers": found.tiers,
        "final_state": found.final_state,
    }
