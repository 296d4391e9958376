"""A program followed in segments and stages, over memory and disk.

In: a program, a budget, what is wanted of its final state. Out: that. All shots go together until the outcome of a
measurement or reset is needed; there the state is on disk, the shots are split binomially, and each part that is not
empty goes on from the half of the state that its outcome leaves. The part with fewer shots goes first, so that at most
log2(shots) states wait.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qrex import _kernels
from qrex.circuits.program import Program
from qrex.engines.statevector.tiers.blocks import BlockTable, KeptState, Placement, SubState
from qrex.engines.statevector.tiers.plan import Branches, Budget, TierPlan, plan_later, plan_tiers
from qrex.engines.statevector.tiers.sampling import StreamingSampler
from qrex.engines.statevector.tiers.segment_run import Area, Buffers, Meter, Output, SegmentRun, Traffic, check_norm
from qrex.errors import InfeasibleError
from qrex.store import content_key

__all__ = ["TieredRun", "outcomes_needed", "program_hash"]

_FORMAT = 2  # of manifests and blocks: raised when either changes


@dataclass(slots=True)
class _Branch:
    path: str  # the outcomes so far
    cursor: Any
    shots: int
    start: KeptState | None = None
    gates: int = 0  # so far
    codec_infidelity: float = 0.0  # so far


class TieredRun:
    """`shots` samples of one program, drawn with `seed`, and `outputs` of its final state, within `budget`.

    Raises InfeasibleError, before any work, where it cannot fit, or where a final state is asked for that is random.
    """

    def __init__(
        self, program: Program, budget: Budget, constants: Mapping[str, float], *, shots: int = 0, seed: int = 0,
        outputs: Sequence[Output] = (),
    ):  # fmt: skip
        self._program = _kernels.TieredProgram(program)
        self._budget, self._constants = budget, constants
        self._shots, self._seed, self._outputs = shots, seed, outputs
        self._segment = self._program.segment(self._program.start())
        self.collapses = self._segment.collapsing >= 0
        if self.collapses and outputs:
            raise InfeasibleError(
                "the outcome of a measurement or a reset is needed in the middle of the circuit, so that there is no "
                "one final state; ask for shots alone"
            )
        for output in outputs:
            output.request(self._segment)
        branches = None
        if self.collapses:
            wires, amplitudes, outcomes = _kernels.dense_outline(program, shots)
            branches = Branches(wires, amplitudes, outcomes, min(outcomes, shots.bit_length()))
        self.plan: TierPlan = plan_tiers(self._segment, budget, constants, shots=shots, branches=branches)
        self._buffers = Buffers()
        self.identity = content_key(
            "tiered",
            {
                "format": _FORMAT, "program": program_hash(program), "shots": shots, "seed": seed,
                "outputs": [output.name for output in outputs], "codec": self.plan.codec,
                "block_bits": self.plan.block_bits, "memory": budget.memory_bytes if self.collapses else 0,
                "stages": [stage.local for stage in self.plan.stages],
                "kernels": _kernels.instruction_set(),
            },
        )  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.branches = 0
        self.gates = 0  # of the kernels, in the branch that has most

    def run(self, area: Area | None, progress: Callable[[float], None]) -> Traffic:
        """Do it; `counts` has the samples then. What `progress` raises stops the run, and `area` has what is needed to
        go on. EngineError where a norm is wrong, StoreError where the disk fails."""
        traffic, worst = Traffic(), 0.0
        meter = Meter(progress, sum(max(stage.seconds, 1e-9) for stage in self.plan.stages))
        kept = area.records() if area is not None else []
        waiting = [_Branch("", self._program.start(), self._shots)]
        while waiting:
            branch = waiting.pop()
            traffic.codec_infidelity = branch.codec_infidelity
            waiting += self._follow(branch, area, kept, meter, traffic)
            worst = max(worst, traffic.codec_infidelity)
        traffic.codec_infidelity = worst
        progress(1.0)
        return traffic

    def _follow(
        self, branch: _Branch, area: Area | None, kept: Sequence[Mapping[str, Any]], meter: Meter, traffic: Traffic
    ) -> list[_Branch]:
        """One branch up to the next outcome that is needed, or to its end; the branches that go on from there."""
        segment, plan, budget = self._segment, self.plan, self._budget
        if branch.start is not None:
            segment = self._program.segment(branch.cursor)
            plan = plan_later(segment, budget, self._constants, self.plan, branch.start.fixed, branch.shots)
            meter.total += sum(max(stage.seconds, 1e-9) for stage in plan.stages)
        gates = branch.gates + sum(stage.gates for stage in plan.stages)
        self.gates = max(self.gates, gates)
        seed = int.from_bytes(hashlib.sha256(f"{self._seed}|{branch.path}".encode()).digest()[:8], "little")
        collapsing = segment.collapsing
        if collapsing >= 0:
            halves = _Halves(collapsing, budget.threads)
            run = SegmentRun(segment, plan, budget, [halves], branch.path, self._buffers)
            table = run.run(branch.start, area, kept, meter, traffic)
            assert table is not None
            total = halves.zero + halves.one
            check_norm(total, f"the gates before outcome {len(branch.path) + 1}", traffic.codec_infidelity)
            ones = int(np.random.Generator(np.random.PCG64(seed)).binomial(branch.shots, min(halves.one / total, 1.0)))
            self._drop(branch.path, table, collapsing, ones, branch.shots, area, kept)
            traffic.codec_infidelity += table.infidelity
            parts = [(1, ones, halves.one), (0, branch.shots - ones, halves.zero)]
            return [
                _Branch(
                    branch.path + str(outcome), segment.next.settled(collapsing, bool(outcome)), shots,
                    KeptState(table, {collapsing: outcome}, (share / total) ** -0.5), gates, traffic.codec_infidelity,
                )
                for outcome, shots, share in sorted(parts, key=lambda part: -part[1])
                if shots
            ]  # fmt: skip
        self.branches += 1
        sampler = StreamingSampler(branch.shots, seed, budget.threads)
        run = SegmentRun(segment, plan, budget, [sampler, *self._outputs], branch.path, self._buffers)
        run.run(branch.start, area, kept, meter, traffic)
        check_norm(sampler.norm, "the last gate", traffic.codec_infidelity)
        traffic.norm = sampler.norm
        self.counts.update(sampler.finish())
        return []

    def _drop(
        self, path: str, table: BlockTable, wire: int, ones: int, shots: int, area: Area | None,
        kept: Sequence[Mapping[str, Any]],
    ) -> None:  # fmt: skip
        """Frees the half of a state that no shot goes on from."""
        at = [path, -1, 0]
        if 0 < ones < shots or area is None or any(record["at"] == at for record in kept):
            return
        area.commit({"at": at}, frees=table.slots_where(wire, 0 if ones else 1))


def outcomes_needed(program: Program) -> bool:
    """Whether the outcome of a measurement or reset decides how the program goes on, so that its final state is
    random."""
    lowered = _kernels.TieredProgram(program)
    return lowered.segment(lowered.start()).collapsing >= 0


class _Halves:
    """Norms of the halves of a state in which a wire is 0 and 1: an `Output`."""

    name = "halves"
    recorded = True

    def __init__(self, wire: int, threads: int):
        self._wire, self._threads = wire, threads
        self._last, self._place = 0, Placement(0, ())
        self.zero = self.one = 0.0

    def request(self, segment: Any) -> None:
        return

    def prepare(self, segment: Any, placed: Sequence[Placement]) -> None:
        self._last, self._place = len(placed) - 1, placed[-1]

    def wants(self, stage: int) -> bool:
        return stage == self._last

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        if self._place.local(self._wire):
            sums = _kernels.marginal(state.re, state.im, [self._place.position_of[self._wire]], self._threads)
            record = {"zero": float(sums[0]), "one": float(sums[1])}
        else:
            norm = float(_kernels.block_norms(state.re, state.im, self._threads).sum())
            record = {"zero": 0.0, "one": 0.0, ("zero", "one")[value >> self._place.number(self._wire) & 1]: norm}
        self.enter(record)
        return record

    def enter(self, record: Mapping[str, Any]) -> None:
        self.zero += record["zero"]
        self.one += record["one"]


def program_hash(program: Program) -> str:
    """Of all that the program does."""
    digest = hashlib.sha256(repr((program.num_qubits, program.num_clbits, program.guards)).encode())
    for array in (program.opcode, program.qubit_start, program.qubits, program.param_start, program.params,
                  program.clbit, program.guard):  # fmt: skip
        digest.update(array.tobytes())
    return digest.hexdigest()
