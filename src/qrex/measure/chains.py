"""Which chain of qubits a layer fidelity is measured on, where nobody names one.

In: a Target, and the calibration snapshot if there is one. Out: a simple path on the coupling map. Snapshots of some
makers name the best chains that they found, with the layer fidelity they measured there; else the path of least
product of gate errors is sought by a beam search (links · beam steps, milliseconds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qiskit.transpiler import Target

from qrex.errors import InputError
from qrex.measure.schedule import coupling_links, native_pair

__all__ = ["NamedChain", "best_chain", "gate_product", "named_chain"]

_BEAM = 2000
_WORST = 0.5  # gates worse than this count as broken: snapshots write 1


@dataclass(frozen=True, slots=True)
class NamedChain:
    """Qubits in order, and the layer fidelity that the snapshot states for them."""

    qubits: tuple[int, ...]
    fidelity: float


def named_chain(properties: Any, length: int) -> NamedChain | None:
    """The chain `lf_<length>` of a snapshot's properties; None where it names none."""
    name = f"lf_{length}"
    lists = {str(one["name"]): one["qubits"] for one in getattr(properties, "general_qlists", None) or ()}
    values = {str(one.name): one.value for one in getattr(properties, "general", None) or ()}
    if name not in lists or name not in values:
        return None
    return NamedChain(tuple(int(qubit) for qubit in lists[name]), float(values[name]))


def _loss(target: Target, link: tuple[int, int]) -> float | None:
    """-ln of the process fidelity that the stated gate error stands for; None for a broken gate."""
    name, pair = native_pair(target, link)
    entry = target[name].get(pair) if target[name] else None
    error = getattr(entry, "error", None) or 0.0
    return None if error >= _WORST else -math.log(1 - 5 / 4 * error)


def best_chain(target: Target, length: int) -> tuple[int, ...]:
    """A path of `length` qubits, or of as many as there are in a row, of little total gate error.

    InputError where no two qubits are coupled by a gate that works.
    """
    losses = {}
    for link in coupling_links(target):
        loss = _loss(target, link)
        if loss is not None:
            losses[link] = losses[link[::-1]] = loss
    around: dict[int, list[int]] = {}
    for a, b in losses:
        around.setdefault(a, []).append(b)
    if not around:
        raise InputError("no two qubits of this device are coupled by a gate that works; there is no chain to measure")
    paths = [(0.0, (qubit,)) for qubit in sorted(around)]
    for _ in range(length - 1):
        longer = [
            (loss + losses[path[-1], following], (*path, following))
            for loss, path in paths
            for following in around[path[-1]]
            if following not in path
        ]
        if not longer:
            break
        paths = sorted(longer)[:_BEAM]
    return min(paths)[1]


def gate_product(target: Target, layers: Sequence[Sequence[tuple[int, ...]]]) -> float | None:
    """Product of the process fidelities that the stated errors of a layer's gates stand for, an idle qubit counting as
    one sx: what the layer fidelity would be if gates did not disturb each other. None where an error is not stated.
    """
    total = 0.0
    for group in (group for layer in layers for group in layer):
        name, factor = ("sx", 3 / 2) if len(group) == 1 else (native_pair(target, (group[0], group[1]))[0], 5 / 4)
        entry = target[name].get(tuple(group)) if target[name] else None
        error = getattr(entry, "error", None)
        if error is None or error * factor >= 1:
            return None
        total += math.log(1 - factor * error)
    return math.exp(total)
