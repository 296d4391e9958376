"""What a plain user does: Qiskit's preset pass manager at level 1, then a schedule with explicit delays.

In: a circuit and a device. Out: a `Compiled`. The same `compile_at` compiles at the other levels, so that
both sides of every comparison are scheduled and padded alike.
"""

from __future__ import annotations

from typing import Any

from qiskit import QuantumCircuit
from qiskit.transpiler import generate_preset_pass_manager

from qrex.compilation.compiled import Compiled
from qrex.compilation.error_table import ErrorTable, target_of
from qrex.compilation.scheduling import pad_schedule
from qrex.compilation.success import predict_success
from qrex.errors import InfeasibleError

__all__ = [
    "BASELINE_LEVEL",
    "compile_at",
    "compile_baseline",
    "finish",
    "recorded_layout",
    "require_width",
    "route",
]

BASELINE_LEVEL = 1


def compile_baseline(qc: QuantumCircuit, backend_or_target: Any, seed: int, *,
                     table: ErrorTable | None = None) -> Compiled:
    """Compile `qc` as a plain user would: preset level 1, as late as possible, delays explicit.

    Args:
        qc: at most as wide as the device; control flow compiles, but is not scheduled (see `notes`).
        backend_or_target: a BackendV2 or a Qiskit `Target`.
        seed: the transpiler's; the same seed gives the same circuit.
        table: the device's `ErrorTable`, to save reading it again for every circuit.

    Raises:
        InfeasibleError: the circuit has more qubits than the device.
    """
    return compile_at(qc, backend_or_target, BASELINE_LEVEL, seed, label="baseline", table=table)


def compile_at(qc: QuantumCircuit, backend_or_target: Any, level: int, seed: int, *, label: str,
               table: ErrorTable | None = None) -> Compiled:
    """Compile `qc` at a preset `level` (0 to 3) and schedule it; raises as `compile_baseline`."""
    target = target_of(backend_or_target)
    table = table or ErrorTable.from_target(target)
    require_width(qc, table)
    return finish(route(qc, target, level, seed), target, table, level=level, seed=seed, label=label)


def route(qc: QuantumCircuit, target: Any, level: int, seed: int) -> QuantumCircuit:
    """`qc` in device instructions on device qubits, not scheduled; `layout` is a TranspileLayout."""
    return generate_preset_pass_manager(level, target=target, seed_transpiler=seed).run(qc)


def finish(routed: QuantumCircuit, target: Any, table: ErrorTable, *, level: int, seed: int, label: str,
           layout: tuple[int, ...] | None = None, final_layout: tuple[int, ...] | None = None) -> Compiled:
    """Schedule a routed circuit and predict its success.

    `layout` and `final_layout` default to those that Qiskit recorded in `routed`.
    """
    if layout is None or final_layout is None:
        layout, final_layout = recorded_layout(routed)
    schedule = pad_schedule(routed, target, table)
    return Compiled(
        circuit=schedule.circuit,
        layout=layout,
        final_layout=final_layout,
        duration_seconds=schedule.duration_seconds,
        idle_windows=schedule.idle_windows,
        breakdown=predict_success(schedule.circuit, table),
        two_qubit_gates=_two_qubit_gates(routed),
        seed=seed,
        level=level,
        label=label,
        scheduled=not schedule.refusal,
        notes=(schedule.refusal,) if schedule.refusal else (),
    )


def recorded_layout(routed: QuantumCircuit) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Physical qubit of each virtual qubit at the start and at the end, as Qiskit recorded it in `routed`."""
    recorded = routed.layout
    if recorded is None:  # nothing was moved
        unmoved = tuple(range(routed.num_qubits))
        return unmoved, unmoved
    return (tuple(recorded.initial_index_layout(filter_ancillas=True)),
            tuple(recorded.final_index_layout(filter_ancillas=True)))


def require_width(qc: QuantumCircuit, table: ErrorTable) -> None:
    """Raise InfeasibleError where `qc` has more qubits than the device."""
    if table.num_qubits and qc.num_qubits > table.num_qubits:
        raise InfeasibleError(
            f"the circuit {qc.name!r} needs {qc.num_qubits} qubits; this device has {table.num_qubits}; "
            f"use a device with at least {qc.num_qubits} qubits, or give the circuit the target 'simulate'"
        )


def _two_qubit_gates(circuit: QuantumCircuit) -> int:
    total = 0
    for instruction in circuit.data:
        if instruction.is_control_flow():
            total += sum(map(_two_qubit_gates, instruction.operation.blocks))
        elif len(instruction.qubits) == 2 and not instruction.is_directive():
            total += 1
    return total
