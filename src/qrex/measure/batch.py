"""Several protocols run as one list of circuits.

In: protocols and a Target. Out: their circuits in a row, and later each protocol's own part of the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.evidence import Source

__all__ = ["Batch", "MeasureProtocol", "gather"]


class MeasureProtocol(Protocol):
    """What every protocol of this room offers."""

    def circuits(self, target: Target) -> list[QuantumCircuit]: ...

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> Any: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Protocols with their circuits in one list; part i of the list is `bounds[i]` to `bounds[i + 1]`."""

    protocols: tuple[MeasureProtocol, ...]
    circuits: tuple[QuantumCircuit, ...]
    bounds: tuple[int, ...]

    def analyze(self, counts: Sequence[Mapping[str, int]], source: Source) -> tuple[Any, ...]:
        """Each protocol's result, in order, from one counts mapping per circuit of the list."""
        if len(counts) != len(self.circuits):
            raise InputError(
                f"{len(counts)} counts for {len(self.circuits)} circuits; hand back one for each"
            )
        spans = zip(self.bounds, self.bounds[1:], strict=False)
        return tuple(
            protocol.analyze(counts[start:stop], source)
            for protocol, (start, stop) in zip(self.protocols, spans, strict=True)
        )


def gather(protocols: Sequence[MeasureProtocol], target: Target) -> Batch:
    """Write all circuits of `protocols` for this target."""
    circuits: list[QuantumCircuit] = []
    bounds = [0]
    for protocol in protocols:
        circuits.extend(protocol.circuits(target))
        bounds.append(len(circuits))
    return Batch(tuple(protocols), tuple(circuits), tuple(bounds))
