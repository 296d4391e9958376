"""The quantum volume of a device, as a plain user gets it and with everything on.

In: a device that runs circuits, seeds. Out: widths from 2 up to the first that fails, before and after, on the same
model circuits. The two compile steps are frozen and callable, so that a protocol that carries one can travel to a
worker and is known by its repr.

Everything on: the layout is chosen among connected regions by predicted success, SWAPs are taken into the SU(4) blocks
beside them, blocks are written with as many native gates as promise the highest fidelity, idle windows are decoupled.
The standard protocol allows this: a compiler may run U' with 1 - F_avg(U, U') small in place of the model circuit U,
and counts native gates by the fidelity that results (Cross et al., arXiv:1811.12926); a permutation of the outputs is
bookkeeping. What is not used: that every qubit starts in |0>, or that only heavy outputs count; and nothing corrects
the readout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit
from qiskit.transpiler import Target

from qrex.compilation import ErrorTable, compile_at
from qrex.evidence import Measurement, Source
from qrex.fabric.blocks import BlockCompiler
from qrex.measure.quantum_volume import MOST_WIDE, THRESHOLD, CompileStep, QuantumVolume, VolumeResult
from qrex.suppress import ZZ_AWARE, IdleNoise, decouple

__all__ = ["EverythingOn", "PresetCompiler", "VolumeSearch", "search_volume"]

Run = Callable[[Sequence[QuantumCircuit]], Sequence[Mapping[str, int]]]
"""Counts of compiled circuits, one mapping each."""


@dataclass(frozen=True)
class PresetCompiler:
    """What a plain user does: Qiskit's preset pass manager, a schedule, no decoupling."""

    seed: int
    level: int = 3

    def __call__(self, circuits: Sequence[QuantumCircuit], target: Target) -> list[QuantumCircuit]:
        table = ErrorTable.from_target(target)
        return [
            compile_at(qc, target, self.level, self.seed, label="preset", table=table).circuit for qc in circuits
        ]


@dataclass(frozen=True)
class EverythingOn:
    """`beam` routes are followed per circuit; `sequence` decouples, "" leaves idle windows alone; `noise` is what
    "zz-aware" decides by."""

    seed: int
    noise: IdleNoise
    beam: int = 192
    sequence: str = ZZ_AWARE

    def __call__(self, circuits: Sequence[QuantumCircuit], target: Target) -> list[QuantumCircuit]:
        compiler = BlockCompiler(target, seed=self.seed, beam=self.beam)
        compiled = compiler.compile(circuits)
        if self.sequence:
            options: dict[str, Any] = {"noise": self.noise, "table": compiler.table}
            compiled = [decouple(one, target, self.sequence, **options).compiled for one in compiled]
        return [one.circuit for one in compiled]


@dataclass(frozen=True, slots=True)
class VolumeSearch:
    """Widths in rising order, the first failure last. `log2_volume` is the last width that passed; 1 where the first
    failed: a quantum volume of 2 is what one qubit has."""

    widths: tuple[VolumeResult, ...]

    @property
    def log2_volume(self) -> int:
        passed = 1
        for result in self.widths:
            if not result.passed:
                break
            passed = result.width
        return passed

    @property
    def volume(self) -> int:
        """2 to the power of that width."""
        return 2**self.log2_volume

    @property
    def measurement(self) -> Measurement:
        """The volume; its interval reaches up to the widths whose interval of the HOP holds or exceeds 2/3."""
        within = 1
        for result in self.widths:
            if result.hop.high <= THRESHOLD:
                break
            within = result.width
        last = self.widths[-1].hop
        return Measurement(
            float(self.volume), float(self.volume), float(max(self.volume, 2**within)), "",
            sum(result.hop.n for result in self.widths), last.seed,
            "2 to the largest width whose one-sided 2σ bound of the heavy-output probability exceeds 2/3; n: shots",
            last.source, {"widths": [result.width for result in self.widths]},
        )  # fmt: skip


def search_volume(
    target: Target,
    run: Run,
    compile: CompileStep,
    *,
    seed: int,
    source: Source,
    circuits: int = 100,
    first: int = 2,
    last: int = MOST_WIDE,
    on_width: Callable[[VolumeResult], None] = lambda _result: None,
) -> VolumeSearch:
    """Widths from `first` up to the first that fails, or `last`. The same `seed` gives the same model circuits for
    every compile step; `on_width` hears of each result."""
    found = []
    for width in range(first, min(last, target.num_qubits) + 1):
        plan = QuantumVolume.plan(target, width=width, seed=seed, compile=compile, circuits=circuits)
        found.append(plan.analyze(run(plan.circuits(target)), source))
        on_width(found[-1])
        if not found[-1].passed:
            break
    return VolumeSearch(tuple(found))
