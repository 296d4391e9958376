"""Pauli twirling: copies of a compiled circuit whose two-qubit errors are, on average, stochastic Pauli errors.

In: a `Compiled` and its device. Out: `Compiled` copies, each with random Paulis around its two-qubit gates that change
nothing but the signs of its errors; run each with a share of the shots and add up the counts. It is Qiskit's
`pauli_twirl_2q_gates`, and the schedule of what it gives. It turns coherent errors, which add up, into random ones,
which do not; it does not lessen their rate (Wallman and Emerson, arXiv:1512.01098).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qiskit.circuit import pauli_twirl_2q_gates

from qrex.compilation import Compiled, ErrorTable, pad_schedule, predict_success, target_of
from qrex.errors import InputError

__all__ = ["twirl"]

_TWIRLED = ("cx", "cz", "ecr")


def twirl(compiled: Compiled, target: Any, *, copies: int, seed: int) -> tuple[Compiled, ...]:
    """`copies` of `compiled`, before decoupling: idle windows are scheduled anew. The same seed gives the same ones.

    Raises InputError for fewer copies than one, and where no gate of the circuit can be twirled.
    """
    if copies < 1:
        raise InputError(f"{copies} twirled copies were asked for; give 1 or more")
    if not set(_TWIRLED) & set(compiled.circuit.count_ops()):
        raise InputError(f"the circuit has none of the gates that can be twirled: {', '.join(_TWIRLED)}")
    target = target_of(target)
    table = ErrorTable.from_target(target)
    bare = compiled.circuit.copy_empty_like()
    for one in compiled.circuit.data:
        if one.name != "delay":
            bare.append(one)
    made = pauli_twirl_2q_gates(bare, list(_TWIRLED), seed=seed, num_twirls=copies, target=target)
    found = []
    for circuit in made:
        schedule = pad_schedule(circuit, target, table)
        found.append(replace(
            compiled, circuit=schedule.circuit, duration_seconds=schedule.duration_seconds,
            idle_windows=schedule.idle_windows, breakdown=predict_success(schedule.circuit, table),
            label=f"{compiled.label}, twirled", scheduled=not schedule.refusal,
            notes=compiled.notes + ((schedule.refusal,) if schedule.refusal else ()),
        ))  # fmt: skip
    return tuple(found)
