"""The stages of one segment, the sub-states of each read, worked on and written at the same time.

In: where the state comes from, a plan, what is to be gathered, and a scratch area where one is needed. Out: the state
after the last stage, on disk or nowhere. Of a stage's sub-states one is computed on while the next is read and the one
before is written (and the one before that committed), so three are in memory; a first stage that starts from |0...0>
has one, which the second reads from memory. Each sub-state that was written or looked at is committed with its
checksums: a run that was stopped, however, goes on after the last of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from time import monotonic
from typing import Any, Protocol

from qrex import _kernels
from qrex.engines.statevector.tiers.blocks import (
    BlockSource,
    BlockTable,
    KeptState,
    MemorySource,
    Placement,
    Source,
    SubState,
    ZeroSource,
    boundary,
    enter,
    wires_of,
    write_sub_state,
)  # fmt: skip
from qrex.engines.statevector.tiers.plan import Budget, TierPlan
from qrex.errors import EngineError

__all__ = ["Area", "Buffers", "Meter", "Output", "SegmentRun", "Traffic", "check_norm"]

_SLICE_SECONDS = 0.05  # between two reports
_MOST_UNCOMMITTED = 2  # sub-states that lie on disk and are not committed yet: the plan has slots for them
_NORM_TOLERANCE = 1e-4  # of float32 arithmetic over very many gates; codecs add what they measured


class Area(Protocol):
    """Where blocks and records are kept: `qrex.store.ScratchArea`."""

    fd: int
    slot_bytes: int

    def take(self, count: int) -> list[int]: ...
    def give_back(self, slots: Iterable[int]) -> None: ...
    def commit(self, record: Mapping[str, Any], *, holds: Iterable[int] = (), frees: Iterable[int] = ()) -> Any: ...
    def records(self) -> list[dict[str, Any]]: ...


class Output(Protocol):
    """Something wanted of the final state, gathered sub-state by sub-state, in ascending order of their numbers."""

    name: str
    recorded: bool
    """Whether what `take` returns is little enough for a manifest; else a resumed run does the last stage again."""

    def request(self, segment: Any) -> None:
        """Called once, before the stages are planned: to ask for wires to be local together."""
        ...

    def prepare(self, segment: Any, placed: Sequence[Placement]) -> None:
        """Called once, when the stages are known."""
        ...

    def wants(self, stage: int) -> bool:
        """Whether it looks at the sub-states of this stage once its gates have been applied."""
        ...

    def take(self, stage: int, value: int, state: SubState) -> dict[str, Any]:
        """Look at one; what a resumed run has to know of it, JSON-able."""
        ...

    def enter(self, record: Mapping[str, Any]) -> None:
        """Take up what `take` returned in an earlier process."""
        ...


@dataclass(slots=True)
class Traffic:
    """What a run moved and met: bytes of state read from and written to the disk by this process, the infidelity that
    the codec was measured to bring (summed over the stages that wrote, in the worst branch), the norm of the final
    state as computed, whether an earlier process had done part of it, the seconds that each stage took here, and why
    the scratch area is still there, "" where it is not."""

    read_bytes: int = 0
    written_bytes: int = 0
    codec_infidelity: float = 0.0
    norm: float = 1.0
    resumed: bool = False
    stage_seconds: list[float] = field(default_factory=list)
    left: str = ""


@dataclass(slots=True)
class Meter:
    """Progress in modelled seconds; where a run branches, `share` of it falls to the branch at hand."""

    report: Callable[[float], None]
    total: float
    done: float = 0.0
    share: float = 1.0

    def at(self, weight: float, fraction: float) -> None:
        self.report(min((self.done + self.share * weight * fraction) / self.total, 0.999))

    def add(self, weight: float) -> None:
        self.done += self.share * weight


@dataclass(slots=True)
class Buffers:
    """Sub-states to be reused from stage to stage."""

    free: dict[int, list[SubState]] = field(default_factory=dict)

    @contextmanager
    def lend(self, bits: int, count: int) -> Iterator[list[SubState]]:
        for other in [key for key in self.free if key != bits]:
            del self.free[other]
        kept = self.free.pop(bits, [])[:count]
        kept += [SubState(bits) for _ in range(count - len(kept))]
        yield kept
        self.free[bits] = kept


@dataclass(slots=True)
class _Work:
    """One stage, with all that its sub-states pass through."""

    number: int
    source: Source
    sink: BlockTable | None
    records: dict[int, dict[str, Any]]
    values: list[int]
    weight: float  # of one sub-state in the progress


class SegmentRun:
    """One segment, planned: see the module. `path` tells its records from those of other segments."""

    def __init__(
        self, segment: Any, plan: TierPlan, budget: Budget, outputs: Sequence[Output], path: str, buffers: Buffers
    ):  # fmt: skip
        self._segment, self.plan, self._budget, self._outputs = segment, plan, budget, outputs
        self._path, self._buffers = path, buffers
        self._stages = [segment.stage(k, *budget.cache) for k in range(len(plan.stages))]
        self.placed = [Placement.of(stage) for stage in self._stages]
        for output in outputs:
            output.prepare(segment, self.placed)

    def run(
        self, start: KeptState | None, area: Area | None, kept: Sequence[Mapping[str, Any]], meter: Meter,
        traffic: Traffic,
    ) -> BlockTable | None:  # fmt: skip
        """Run it from `start`, or from |0...0>. The final state's blocks, where the segment ends with an outcome that
        is needed. EngineError where the norm after a stage is wrong, StoreError where the disk fails."""
        last = len(self._stages) - 1
        records: list[dict[int, dict[str, Any]]] = [{} for _ in self._stages]
        for record in kept:
            path, stage, value = record["at"]
            if path == self._path and stage >= 0:
                records[stage][value] = dict(record)
                traffic.resumed = True
        resident = start is None
        tables = self._tables(records, resident)
        begin = max((number for number in range(last + 1) if records[number]), default=0)
        complete = bool(records[begin]) and len(records[begin]) == len(self._values(begin, resident))
        if complete:
            begin += 1
        if resident and begin == 1 and last > 0:
            begin = 0  # the first stage lived in memory
        traffic.codec_infidelity += sum(tables[number].infidelity for number in range(begin - 1) if number in tables)
        for number in range(last + 1):
            if number == 0 and begin == 0 and resident and last > 0:
                continue  # it is looked at again
            for output in self._outputs:
                for record in records[number].values():
                    if output.name in record:
                        output.enter(record[output.name])
        meter.add(sum(stage.seconds for stage in self.plan.stages[:begin]))
        first: SubState | None = None
        for number in range(begin, last + 1):
            source = self._source(number, start, first, tables, area, traffic)
            values = self._values(number, resident)
            weight = self.plan.stages[number].seconds / len(values)
            work = _Work(number, source, tables.get(number), records[number], values, weight)
            began = monotonic()
            if number == 0 and resident and work.sink is None:
                first = self._first(work, meter, area)
                if last == 0:
                    first = None
            else:
                self._run_stage(work, area, meter, traffic)
                first = None
            traffic.stage_seconds.append(monotonic() - began)
        return tables.get(last)

    def _source(
        self, number: int, start: KeptState | None, first: SubState | None, tables: Mapping[int, BlockTable],
        area: Area | None, traffic: Traffic,
    ) -> Source:  # fmt: skip
        threads, used = self._budget.threads, int(self._segment.used)
        if number == 0:
            if start is None:
                return ZeroSource()
            return BlockSource(area, start, self.placed[0], self.plan.codec, used, self._budget.io_threads)
        if number - 1 not in tables:
            assert first is not None
            return MemorySource(first, self.placed[0], self.placed[1], used, threads)
        table = tables[number - 1]
        check_norm(table.norm, f"stage {number} of {len(self._stages)}", traffic.codec_infidelity)
        traffic.codec_infidelity += table.infidelity
        return BlockSource(area, KeptState(table), self.placed[number], self.plan.codec, used, self._budget.io_threads)

    def _tables(self, records: Sequence[Mapping[int, Mapping[str, Any]]], resident: bool) -> dict[int, BlockTable]:
        """Where each stage writes to: the next one reads from there, or whoever goes on after the outcome."""
        tables, used, last = {}, int(self._segment.used), len(self._stages) - 1
        collapsing = self._segment.collapsing
        for number in range(last + (collapsing >= 0)):
            if number == 0 and resident and last > 0:
                continue
            reader = self.placed[min(number + 1, last)]
            gone = collapsing if number == last else None
            table = BlockTable(boundary(self.placed[number], reader, used, self.plan.block_bits, gone))
            visited = set(self._values(number, resident))
            for value in range(1 << (used.bit_count() - self.placed[number].bits)):
                if value not in visited:
                    table.leave_zero(self.placed[number], value)
            for value, record in records[number].items():
                enter(table, self.placed[number], value, record["blocks"])
            tables[number] = table
        return tables

    def _values(self, number: int, resident: bool) -> list[int]:
        """Sub-states of a stage that are not known to be zero: wires outside it that no gate has reached are in |0>."""
        if number == 0 and resident:
            return [0]
        outside = wires_of(int(self._segment.used) & ~self.plan.stages[number].local)
        reached = int(self._segment.touched_before(number))
        still = sum(1 << k for k, wire in enumerate(outside) if not reached >> wire & 1)
        return [value for value in range(1 << len(outside)) if not value & still]

    def _compute(self, work: _Work, value: int, state: SubState, meter: Meter) -> dict[str, Any]:
        """Apply the stage to one sub-state, and let the outputs see it."""
        stage = self._stages[work.number]
        stage.begin(state.re, state.im, value)
        while not stage.advance(_SLICE_SECONDS, self._budget.threads):
            meter.at(work.weight, stage.fraction)
        seen = {out.name: out.take(work.number, value, state) for out in self._outputs if out.wants(work.number)}
        meter.add(work.weight)
        meter.at(0.0, 0.0)
        return {"at": [self._path, work.number, value]} | seen

    def _first(self, work: _Work, meter: Meter, area: Area | None) -> SubState:
        """The first stage in memory. What was seen of it is committed: a run that goes on later sees it no more."""
        state = SubState(self.placed[0].bits)
        work.source.load(0, state)
        record = self._compute(work, 0, state, meter)
        if area is not None and len(record) > 1:
            area.commit(record)
        return state

    def _run_stage(self, work: _Work, area: Area | None, meter: Meter, traffic: Traffic) -> None:
        """Runs one stage over its sub-states but for those that were committed before."""
        todo = [value for value in work.values if value not in work.records]
        meter.add(work.weight * (len(work.values) - len(todo)))
        placement, plan = self.placed[work.number], self.plan
        stored = work.source if isinstance(work.source, BlockSource) else None
        count = (2 if stored else 1) + (1 if work.sink else 0) + (plan.spare if stored or work.sink else 0)
        recorded = area is not None and all(out.recorded or not out.wants(work.number) for out in self._outputs)
        most_ahead = 1 + (plan.spare > 0) if stored else 0
        with ExitStack() as open_:
            buffers = open_.enter_context(self._buffers.lend(placement.bits, count))
            free: SimpleQueue[SubState | None] = SimpleQueue()
            for buffer in buffers:
                free.put(buffer)
            reader, writer, committer = (open_.enter_context(ThreadPoolExecutor(1)) for _ in range(3))
            open_.callback(free.put, None)  # a reader that waits for a buffer after a failure waits no longer
            desks = _kernels.Desks(self._budget.io_threads)

            def load(value: int) -> SubState:
                state = free.get()
                if state is None:
                    free.put(None)  # for the next one in line
                    raise CancelledError
                work.source.load(value, state)
                return state

            def commit(value: int, record: dict[str, Any], held: Sequence[int]) -> None:
                assert area is not None
                area.commit(record, holds=held, frees=stored.slots_of(value) if stored else [])

            def store(value: int, state: SubState, record: dict[str, Any]) -> None:
                assert work.sink is not None and area is not None
                try:
                    if len(committing) >= _MOST_UNCOMMITTED:
                        committing[-_MOST_UNCOMMITTED].result()
                    held, blocks = write_sub_state(area, work.sink, placement, value, state, plan.codec, desks)
                finally:
                    free.put(state)
                enter(work.sink, placement, value, blocks)
                traffic.written_bytes += len(held) * plan.slot_bytes
                committing.append(committer.submit(commit, value, record | {"blocks": blocks}, held))

            ahead: deque[Future[SubState]] = deque()
            writing: list[Future[None]] = []
            committing: list[Future[None]] = []
            for k, value in enumerate(todo):
                while len(ahead) <= most_ahead and k + len(ahead) < len(todo):
                    ahead.append(reader.submit(load, todo[k + len(ahead)]))
                state = ahead.popleft().result()
                if stored:
                    traffic.read_bytes += len(stored.slots_of(value)) * plan.slot_bytes
                record = self._compute(work, value, state, meter)
                if work.sink is not None:
                    writing.append(writer.submit(store, value, state, record))
                else:
                    free.put(state)
                    if recorded:
                        committing.append(committer.submit(commit, value, record, []))
                for earlier in (*writing, *committing):
                    if earlier.done():
                        earlier.result()
            for earlier in writing:
                earlier.result()
            for earlier in committing:
                earlier.result()


def check_norm(norm: float, where: str, infidelity: float) -> None:
    """EngineError where a state's norm is not 1 within what arithmetic and codecs explain."""
    tolerance = _NORM_TOLERANCE + 10 * infidelity
    if not abs(norm - 1.0) <= tolerance:
        raise EngineError(
            f"the state has norm {norm:.9f} after {where}; 1 within {tolerance:.1e} was expected: the answer would be "
            "wrong and is withheld"
        )
