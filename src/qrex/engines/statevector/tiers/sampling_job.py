"""A job that is larger than its memory, under the engines' protocol.

In: a `Job` and its `Allotment`. Out: `Counts`. Where a scratch folder is allotted, a run that was stopped goes on from
there when the same job comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from qrex.engines.protocol import Allotment, Counts, Job, Progress
from qrex.engines.statevector.costs import infidelity_bound
from qrex.engines.statevector.tiers.outputs import Probabilities
from qrex.engines.statevector.tiers.plan import ALIGNMENT, Budget
from qrex.engines.statevector.tiers.run import TieredRun, outcomes_needed
from qrex.engines.statevector.tiers.segment_run import Output
from qrex.errors import InfeasibleError
from qrex.store import ScratchArea

__all__ = ["explain_tiered", "sample_tiered"]

_SEED_RANGE = 1 << 64


def _budget(allotment: Allotment) -> Budget:
    return Budget(
        allotment.memory_bytes, allotment.disk_bytes if allotment.scratch_dir else 0, allotment.threads,
        allotment.codec, allotment.disk_bytes_per_second,
    )  # fmt: skip


def explain_tiered(job: Job, allotment: Allotment, constants: Mapping[str, float]) -> str:
    """The stages of `job` up to the first outcome that is needed; why there are none where they do not fit."""
    try:
        return TieredRun(job.program, _budget(allotment), constants, shots=job.shots).plan.explain()
    except InfeasibleError as error:
        return str(error)


def sample_tiered(job: Job, allotment: Allotment, constants: Mapping[str, float], progress: Progress) -> Counts:
    """Sample `job` within `allotment`. InfeasibleError, before any work, where its stages do not fit; EngineError and
    StoreError as `TieredRun.run` has them."""
    program, seed = job.program, job.seed % _SEED_RANGE
    budget = _budget(allotment)
    outputs: list[Output] = []
    probed = Probabilities("probe", job.probe, program.num_clbits, allotment.threads)
    if job.probe and not outcomes_needed(program):
        outputs.append(probed)
    run = TieredRun(program, budget, constants, shots=job.shots, seed=seed, outputs=outputs)
    plan = run.plan
    area = None
    if allotment.scratch_dir:
        slots, slot_bytes = (plan.slots, plan.slot_bytes) if plan.slots else (1, ALIGNMENT)
        area = ScratchArea.open(allotment.scratch_dir, run.identity, slot_bytes, slots)
    with area or nullcontext():
        traffic = run.run(area, progress)
        if area is not None:
            area.remove()
    arithmetic = infidelity_bound(min(sum(stage.gates for stage in plan.stages), len(program)))
    metadata = {
        "method": "state vector in stages",
        "precision": "float32",
        "qubits": plan.wires,
        "passes": sum(stage.passes * stage.sub_states for stage in plan.stages),
        "branches": run.branches,
        "norm": traffic.norm,
        "infidelity": min(1.0, arithmetic + traffic.codec_infidelity),
        "tiers": {
            "stages": len(plan.stages),
            "sub_state_qubits": [stage.bits for stage in plan.stages],
            "codec": plan.codec,
            "codec_infidelity": traffic.codec_infidelity,
            "disk_bytes": plan.disk_bytes,
            "read_bytes": traffic.read_bytes,
            "written_bytes": traffic.written_bytes,
            "resumed": traffic.resumed,
            "stage_seconds": traffic.stage_seconds,
        },
    }
    return Counts(dict(run.counts), job.shots, dict(probed.values) if outputs else {}, metadata)
