"""Runs in stages with blocks and sub-states as small as they can be."""

from __future__ import annotations

from qrex.circuits.flattening import flatten
from qrex.engines.statevector.tiers import Budget, TieredRun
from qrex.store import ScratchArea

__all__ = ["CONSTANTS", "SMALL_CACHE", "Stopped", "budget_of_sizes", "run_staged", "silent"]

CONSTANTS = {
    "fixed_seconds": 5e-5,
    "seconds_per_row": 3e-7,
    "seconds_per_gate": 7e-7,
    "seconds_per_branch": 2e-6,
    "seconds_per_amplitude_gate_narrow": 4e-10,
    "seconds_per_amplitude_gate": 5e-10,
    "seconds_per_amplitude_pass": 2e-9,
    "seconds_per_amplitude_held": 4e-9,
    "seconds_per_amplitude_collapse": 2e-9,
    "seconds_per_shot": 5e-8,
    "seconds_per_outcome": 2e-7,
    "calibrated_threads": 1.0,
}
SMALL_CACHE = (7, 4, 5)  # blocks of 2^7 amplitudes: passes and gathers within a sub-state of 2^9


def silent(_fraction: float) -> None:
    return


def budget_of_sizes(first, rest, codec="float32", cache=SMALL_CACHE):
    return Budget(
        memory_bytes=1 << 30, disk_bytes=1 << 30, threads=2, codec=codec, io_threads=2, sizes=((first, rest),),
        block_bytes=1 << 9, cache=cache,
    )  # fmt: skip


def run_staged(circuit, outputs, budget, folder, progress=silent, shots=0, seed=0):
    run = TieredRun(flatten(circuit), budget, CONSTANTS, outputs=outputs, shots=shots, seed=seed)
    plan = run.plan
    with ScratchArea.open(folder, run.identity, max(plan.slot_bytes, 4096), max(plan.slots, 1)) as area:
        traffic = run.run(area, progress)
        area.remove()
    return run, traffic


class Stopped(Exception):
    """Raised by progress, to stop a run."""
