"""A job that is larger than its memory, under the engines' protocol.

In: a `Job` and its `Allotment`. Out: `Counts`. Where a scratch folder is allotted, a run that was stopped goes on from
there when the same job comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from qrex.engines.protocol import Allotment, Counts, Job, Progress
from qrex.engines.statevector.costs import infidelity_bound
from qrex.engines.statevector.tiers.outputs import Probabilities
from qrex.engines.statevector.tiers.plan import ALIGNMENT, Budget, TierPlan
from qrex.engines.statevector.tiers.run import TieredRun, outcomes_needed
from qrex.engines.statevector.tiers.segment_run import Output, Traffic
from qrex.errors import InfeasibleError, StoreError
from qrex.store import ScratchArea

__all__ = ["budget_of", "explain_tiered", "run_in_area", "sample_tiered", "stated_infidelity", "tiers_told"]

_SEED_RANGE = 1 << 64


def budget_of(allotment: Allotment) -> Budget:
    """The same as the tiers have it."""
    return Budget(
        allotment.memory_bytes, allotment.disk_bytes if allotment.scratch_dir else 0, allotment.threads,
        allotment.codec, allotment.disk_bytes_per_second,
    )  # fmt: skip


def explain_tiered(job: Job, allotment: Allotment, constants: Mapping[str, float]) -> str:
    """The stages of `job` up to the first outcome that is needed; why there are none where they do not fit."""
    try:
        return TieredRun(job.program, budget_of(allotment), constants, shots=job.shots).plan.explain()
    except InfeasibleError as error:
        return str(error)


def sample_tiered(job: Job, allotment: Allotment, constants: Mapping[str, float], progress: Progress) -> Counts:
    """Sample `job` within `allotment`. InfeasibleError, before any work, where its stages do not fit; EngineError and
    StoreError as `TieredRun.run` has them."""
    program, seed = job.program, job.seed % _SEED_RANGE
    budget = budget_of(allotment)
    outputs: list[Output] = []
    probed = Probabilities("probe", job.probe, program.num_clbits, allotment.threads)
    if job.probe and not outcomes_needed(program):
        outputs.append(probed)
    run = TieredRun(program, budget, constants, shots=job.shots, seed=seed, outputs=outputs)
    traffic = run_in_area(run, allotment.scratch_dir, progress)
    plan = run.plan
    metadata = {
        "method": "state vector in stages",
        "precision": "float32",
        "qubits": plan.wires,
        "passes": sum(stage.passes * stage.sub_states for stage in plan.stages),
        "branches": run.branches,
        "norm": traffic.norm,
        "infidelity": stated_infidelity(run, traffic, len(program)),
        "tiers": tiers_told(plan, traffic),
    }
    return Counts(dict(run.counts), job.shots, dict(probed.values) if outputs else {}, metadata)


def run_in_area(
    run: TieredRun, scratch_dir: str | None, progress: Progress, finish: Callable[[], None] = lambda: None
) -> Traffic:
    """`run`, with its scratch area in `scratch_dir` where it has more than one stage. The area is removed after
    `finish`; where anything fails before, it stays, and the same run goes on from there."""
    plan, area = run.plan, None
    if scratch_dir and (len(plan.stages) > 1 or run.collapses):
        slots, slot_bytes = (plan.slots, plan.slot_bytes) if plan.slots else (1, ALIGNMENT)
        area = ScratchArea.open(scratch_dir, run.identity, slot_bytes, slots)
    with area or nullcontext():
        traffic = run.run(area, progress)
        finish()
        if area is not None:
            try:
                area.remove()
            except StoreError as error:  # the answer is there
                traffic.left = str(error)
    return traffic


def stated_infidelity(run: TieredRun, traffic: Traffic, rows: int) -> float:
    """Of the state that a program of `rows` rows ended in, in the worst branch: what arithmetic may have lost, and what
    codecs did."""
    arithmetic = infidelity_bound(min(run.gates, rows))
    return min(1.0, arithmetic + traffic.codec_infidelity)


def tiers_told(plan: TierPlan, traffic: Traffic) -> dict[str, Any]:
    """How a state went over the tiers, JSON-able."""
    return {
        "stages": len(plan.stages),
        "sub_state_qubits": [stage.bits for stage in plan.stages],
        "codec": plan.codec,
        "codec_infidelity": traffic.codec_infidelity,
        "disk_bytes": plan.disk_bytes,
        "read_bytes": traffic.read_bytes,
        "written_bytes": traffic.written_bytes,
        "resumed": traffic.resumed,
        "stage_seconds": traffic.stage_seconds,
        "left": traffic.left,
    }
