"""Layout on a fixed device, chosen by predicted success instead of by SWAP count.

In: a circuit, a device, how many candidates and a seed. Out: a `LayoutChoice` with the baseline beside it.

1. Route the circuit many times: preset levels 2 and 3 with different seeds, on the whole device and on
   sub-lattices that leave its worst qubits out (LightSABRE, arXiv:2409.08368, does each routing).
2. Move each routed circuit to every place where its pairs are couplings again (VF2) and score all of them
   at once by the project's one success evaluator, idle decay of the rescheduled circuit included.
3. Schedule the best few in earnest and keep the best; the baseline is a candidate, so the choice is never
   predicted to be worse than it.

Scoring moved circuits by their calibration is mapomatic's idea (arXiv:2209.15512); idle time, and so the
schedule on the new links, is what is added here. About 25 ms per candidate for 5 to 16 qubits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.transpiler.exceptions import TranspilerError

from qrex.compilation import (
    Compiled,
    ErrorTable,
    compile_baseline,
    finish,
    has_control_flow,
    predict_success,
    recorded_layout,
    require_width,
    route,
    target_of,
)
from qrex.errors import InputError
from qrex.fabric.moving import move_circuit
from qrex.fabric.placement_score import PlacementScore
from qrex.fabric.placements import enumerate_placements
from qrex.fabric.sub_lattice import best_sub_lattice, restricted_target

__all__ = ["DEFAULT_CANDIDATES", "LayoutCandidate", "LayoutChoice", "choose_layout"]

DEFAULT_CANDIDATES = 24
PLACEMENTS_PER_CANDIDATE = 1000
FINALISTS = 3
"""Candidates scheduled by Qiskit in the end: alignment rules of a device can reorder close scores."""

SPARE_QUBITS = (0, 1, 2, 4)
"""Sizes of the sub-lattices tried: as many qubits as the circuit has, and so many more for detours."""


@dataclass(frozen=True, slots=True)
class LayoutCandidate:
    """One routed circuit on its best place."""

    label: str
    seed: int
    predicted_success: float
    placements: int  # how many places it was scored on


@dataclass(frozen=True, slots=True)
class LayoutChoice:
    """`best.predicted_success` is never below `baseline.predicted_success`. `candidates` are in the order
    tried, the baseline first. `reason` says in words what was chosen and why."""

    best: Compiled
    baseline: Compiled
    candidates: tuple[LayoutCandidate, ...]
    reason: str
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class _Routed:
    circuit: QuantumCircuit
    level: int
    seed: int
    label: str


@dataclass(frozen=True, slots=True)
class _Placed:
    routed: _Routed
    log_success: float
    places: dict[int, int] | None  # physical qubit as routed -> physical qubit moved to; None: not moved


def choose_layout(qc: QuantumCircuit, backend_or_target: Any, *, candidates: int = DEFAULT_CANDIDATES,
                  seed: int = 0, time_budget_seconds: float | None = None, table: ErrorTable | None = None,
                  baseline: Compiled | None = None) -> LayoutChoice:
    """Choose the layout of `qc` on a fixed device by predicted success.

    Args:
        qc: at most as wide as the device. Mid-circuit measurements and resets are fine; a circuit with
            control flow is routed but neither moved nor scheduled (`reason` says so).
        backend_or_target: a BackendV2 or a Qiskit `Target`.
        candidates: routings to try beside the baseline, at least 1.
        seed: of everything random here; the same seed gives the same choice.
        time_budget_seconds: start no further candidate after this time; the choice then depends on the
            speed of the machine.
        table: the device's `ErrorTable`, to save reading it again for every circuit.
        baseline: an earlier `compile_baseline` of `qc` on this device; compiled with `seed` where None.

    Raises:
        InfeasibleError: the circuit has more qubits than the device.
        InputError: fewer than one candidate.
    """
    if candidates < 1:
        raise InputError(f"{candidates} layout candidates were asked for; at least 1 is needed")
    started = time.monotonic()
    target = target_of(backend_or_target)
    table = table or ErrorTable.from_target(target)
    require_width(qc, table)
    baseline = baseline or compile_baseline(qc, target, seed, table=table)
    tried = [LayoutCandidate("baseline", baseline.seed, baseline.predicted_success, 1)]
    placed: list[_Placed] = []
    for routed in _routings(qc, target, table, candidates, seed):
        one, scored = _place(routed, table, baseline.scheduled, seed)
        placed.append(one)
        tried.append(LayoutCandidate(routed.label, routed.seed, math.exp(one.log_success), scored))
        if time_budget_seconds is not None and time.monotonic() - started > time_budget_seconds:
            break
    placed.sort(key=lambda one: -one.log_success)
    finalists = [_finish(one, target, table) for one in placed[:FINALISTS]]
    best = max([baseline, *finalists], key=lambda one: one.predicted_success)
    reason = _reason(best, baseline, tried, has_control_flow(qc))
    return LayoutChoice(best, baseline, tuple(tried), reason, time.monotonic() - started)


def _routings(qc: QuantumCircuit, target: Any, table: ErrorTable, count: int, seed: int) -> Iterator[_Routed]:
    """`count` routed circuits, the likeliest to be good first, so that a time budget cuts the tail."""
    seeds = [int(value) for value in np.random.default_rng(seed).integers(0, 2**31 - 1, size=count)]
    places: list[tuple[Any, str]] = [(target, "whole device")]
    seen: set[tuple[int, ...]] = set()
    for spare in SPARE_QUBITS if qc.num_qubits > 1 else ():
        if qc.num_qubits + spare >= table.num_qubits:
            break
        qubits = best_sub_lattice(table, qc.num_qubits + spare)
        if qubits is not None and qubits not in seen:
            seen.add(qubits)
            places.append((restricted_target(target, qubits), f"sub-lattice of {len(qubits)}"))
    for turn, value in enumerate(seeds):
        where, name = places[turn % len(places)]
        level = 2 if turn % 4 == 3 else 3
        label = f"level {level}, {name}"
        try:
            yield _Routed(route(qc, where, level, value), level, value, label)
        except TranspilerError:
            if where is target:
                raise
            # A router may find a sub-lattice too narrow; the whole device never is.
            yield _Routed(route(qc, target, level, value), level, value, f"level {level}, whole device")


def _place(routed: _Routed, table: ErrorTable, scheduled: bool, seed: int) -> tuple[_Placed, int]:
    if has_control_flow(routed.circuit):
        success = predict_success(routed.circuit, table).success
        return _Placed(routed, math.log(max(success, 1e-300)), None), 1
    score = PlacementScore(routed.circuit, table)
    own = np.array([score.nodes], dtype=np.intp)
    everywhere = own
    if score.movable and score.nodes:
        linked = {node for edge in score.edges for node in edge}
        lone = {node: score.lone_node_costs(node) for node in range(len(score.nodes)) if node not in linked}
        both_ways = tuple(sorted({pair for a, b in table.couplings for pair in ((a, b), (b, a))}))
        moved = enumerate_placements(len(score.nodes), score.edges, both_ways, table.num_qubits,
                                     lone_costs=lone, limit=PLACEMENTS_PER_CANDIDATE, seed=seed)
        everywhere = np.concatenate([own, moved])
    values = score.log_success(everywhere, scheduled=scheduled)
    winner = int(np.argmax(values))
    places = None if winner == 0 else dict(zip(score.nodes, map(int, everywhere[winner]), strict=True))
    return _Placed(routed, float(values[winner]), places), len(everywhere)


def _finish(one: _Placed, target: Any, table: ErrorTable) -> Compiled:
    routed = one.routed
    if one.places is None:
        return finish(routed.circuit, target, table, level=routed.level, seed=routed.seed, label=routed.label)
    moved, permutation = move_circuit(routed.circuit, one.places, target, table)
    layout, final_layout = recorded_layout(routed.circuit)
    return finish(
        moved, target, table, level=routed.level, seed=routed.seed, label=routed.label + ", moved",
        layout=tuple(permutation[qubit] for qubit in layout),
        final_layout=tuple(permutation[qubit] for qubit in final_layout),
    )


def _reason(best: Compiled, baseline: Compiled, tried: list[LayoutCandidate], control_flow: bool) -> str:
    places = sum(one.placements for one in tried[1:])
    effort = f"{len(tried) - 1} routings on {places} places"
    limits = ""
    if control_flow:
        limits = "; circuits with control flow are not moved and their idle time is not charged"
    before, after = f"{baseline.predicted_success:.3g}", f"{best.predicted_success:.3g}"
    if best is baseline:
        return f"kept the baseline: none of {effort} is predicted better than {before}{limits}"
    chosen = f"{best.label}, seed {best.seed}"
    return f"best of {effort}: predicted success {before} → {after} ({chosen}){limits}"
