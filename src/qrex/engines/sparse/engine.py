"""The sparse-state engine under the engines' protocol, in one go or in steps.

In: a `Job` and its `Allotment`. Out: `Counts`. Time: compiling O(rows); then O(rows × amplitudes), times the
number of branches that random outcomes open (at most one per shot, followed depth first). Memory: 2 (8 W + 16)
bytes per amplitude at most, W = ⌈qubits / 64⌉, and the branches that wait.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qrex import _kernels
from qrex.circuits.program import Program
from qrex.engines.constants import require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Stage, Support
from qrex.engines.sparse.calibration import CONSTANT_NAMES, measured_constants, modelled_cost, result_bytes
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import Profile
from qrex.units import format_bytes

__all__ = ["SparseEngine", "SparseRun", "nonzero_amplitudes"]

FUSED_BITS = 4
"""Bits that a block of fused gates may change: fewer passes against larger groups; 4 measured best."""

_SLICE_SECONDS = 0.01
_MASK64 = (1 << 64) - 1


class SparseEngine:
    """Runs any circuit whose nonzero amplitudes fit. Cost constants: see `calibration`."""

    name = "sparse"
    constant_names = CONSTANT_NAMES

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)

    def supports(self, profile: Profile) -> Support:
        if profile.obstacle:
            return Support(False, profile.obstacle)
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """An upper bound, from the bound on nonzero amplitudes. EngineError where constants are missing."""
        seconds, peak_bytes = modelled_cost(require_constants(self), profile, allotment.threads)
        return Cost(seconds=seconds, peak_bytes=peak_bytes, upper_bound=True)

    def start(self, job: Job, allotment: Allotment) -> SparseRun:
        """A run that can be looked at; EngineError where the program is not the whole circuit."""
        return SparseRun(job, allotment)

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`; MemoryLimitError before the amplitudes pass the allotment."""
        run = self.start(job, allotment)
        progress(0.0)
        while not (stage := run.advance(_SLICE_SECONDS)).done:
            progress(stage.fraction)
        return run.finish(progress)

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the cost constants with `threads` threads, in less than a second."""
        return measured_constants(threads)


class SparseRun:
    """One job under way."""

    def __init__(self, job: Job, allotment: Allotment):
        program = job.program
        if program.obstacle:
            raise EngineError(f"sparse: {job.name}: {program.obstacle}; choose an engine that runs the circuit itself")
        self._job = job
        self._allotted = allotment.memory_bytes
        counting = result_bytes(program.num_clbits, job.shots)
        if counting >= allotment.memory_bytes:
            raise MemoryLimitError(
                f"sparse: {job.shots} shots of {job.name} need {format_bytes(counting)} to be counted; "
                f"{format_bytes(allotment.memory_bytes)} are allotted; take fewer shots or allot more"
            )
        self._counting_bytes = counting
        self._kernel = _kernels.SparseRun(
            program,
            job.shots,
            job.seed & _MASK64,
            allotment.memory_bytes - counting,
            max(1, allotment.threads),
            FUSED_BITS,
        )
        self._done = False

    def advance(self, seconds: float) -> Stage:
        """Work for about `seconds`; MemoryLimitError before the allotment would be passed."""
        kernel = self._kernel
        state = kernel.advance(seconds)
        if state < 0:
            raise MemoryLimitError(
                f"sparse: {self._job.name} has {kernel.size:,} nonzero amplitudes after {kernel.fraction:.0%} of its "
                f"rows and would pass the {format_bytes(self._allotted)} allotted; allot more or choose another engine"
            )
        self._done = state == 1
        return Stage(self._done, kernel.fraction, kernel.size, kernel.held_bytes, kernel.forecast_seconds)

    def finish(self, progress: Progress) -> Counts:
        """The counts, once `advance` has said done."""
        if not self._done:
            raise EngineError("sparse: finish was called before the run was done; call advance until it is")
        job, kernel = self._job, self._kernel
        counts = kernel.counts()
        width = job.program.num_clbits
        probe = [text for text in job.probe if len(text) == width and not set(text) - {"0", "1"}]
        probabilities = dict(zip(probe, kernel.probabilities(probe), strict=False)) if probe else {}
        progress(1.0)
        distance = kernel.trace_distance
        metadata = {
            "method": "sparse state",
            "precision": "float64",
            "largest_size": kernel.largest_size,
            "branches": kernel.branches,
            # Pure states at a trace distance d have fidelity 1 - d²; mixtures 1 - 2 d at least.
            "infidelity": min(1.0, distance**2 if kernel.branches <= 1 else 2 * distance),
            "peak_bytes": kernel.peak_bytes + self._counting_bytes,
        }
        return Counts(counts, job.shots, probabilities, metadata)


def nonzero_amplitudes(program: Program, memory_bytes: int = 1 << 30, seed: int = 0) -> dict[int, complex]:
    """The final state of `program` (of one shot, where outcomes are random), up to a global phase, before
    measurements that nothing follows: {basis state: amplitude}, qubit 0 least significant. For checks."""
    run = _kernels.SparseRun(program, 1, seed, memory_bytes, 1, FUSED_BITS)
    while (state := run.advance(1.0)) == 0:
        pass
    if state < 0:
        raise MemoryLimitError(f"sparse: more amplitudes than {format_bytes(memory_bytes)} hold; allot more")
    keys, values = run.amplitudes()
    places = [1 << 64 * word for word in range(keys.shape[1])]
    whole = (keys.astype(object) * np.array(places, dtype=object)).sum(axis=1)
    return dict(zip(whole.tolist(), values.tolist(), strict=True))
