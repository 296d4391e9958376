"""The state-vector engine: a program followed densely, branch by branch, under the engines' protocol.

In: a `Job` and its `Allotment`. Out: `Counts`, exact up to float32 (`infidelity_bound`). 8 B per amplitude and a
few MiB of buffers; measurements and resets in the middle split the shots, and each part that is not empty goes on
with its own state (at most log2(shots) of them wait at a time). What does not fit the memory allotted is run in
stages, over memory and disk (`tiers`).
"""

from __future__ import annotations

from collections.abc import Mapping

from qrex import _kernels
from qrex.engines.constants import require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.engines.statevector.calibration import CONSTANT_NAMES, measured_constants
from qrex.engines.statevector.costs import (
    estimated_bytes,
    infidelity_bound,
    least_tiered_costs,
    modelled_seconds,
    run_bytes,
    tiered_cost,
)  # fmt: skip
from qrex.engines.statevector.tiers.sampling_job import explain_tiered, sample_tiered
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError
from qrex.profile import Profile
from qrex.units import format_bytes

__all__ = ["MAX_WIRES", "StateVectorEngine"]

MAX_WIRES = 60
_SLICE_SECONDS = 0.02  # between two reports
_SEED_RANGE = 1 << 64


class StateVectorEngine:
    """Runs every program. Cost constants: see `calibration`."""

    name = "statevector"
    constant_names = CONSTANT_NAMES

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)

    def supports(self, profile: Profile) -> Support:
        if profile.obstacle:
            return Support(False, profile.obstacle)
        wires = profile.active_qubits if profile.dense is None else profile.dense.wires
        if wires > MAX_WIRES:
            return Support(False, f"{wires} qubits: at most {MAX_WIRES} fit an address")
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Modelled seconds, and the bytes that `run` checks against the allotment. EngineError where constants are
        missing."""
        constants = require_constants(self)
        gates = profile.one_qubit_gates + profile.two_qubit_gates + profile.many_qubit_gates
        needed = estimated_bytes(profile, allotment.threads)
        instead: tuple[Cost, ...] = ()
        if needed > allotment.memory_bytes:
            in_stages = tiered_cost(constants, profile, allotment)
            if in_stages is not None:
                return in_stages
            instead = least_tiered_costs(constants, profile, allotment)
        return Cost(
            seconds=modelled_seconds(constants, profile, allotment.threads),
            peak_bytes=needed,
            infidelity=infidelity_bound(gates),
            instead=instead,
        )

    def explain(self, job: Job, allotment: Allotment) -> str:
        """The stages of a state that is larger than the memory, a line for each; "" for any other."""
        if job.program.obstacle:
            return ""
        wires, amplitudes, _ = _kernels.dense_outline(job.program, job.shots)
        needed = run_bytes(amplitudes, wires, allotment.threads, job.shots, job.program.num_clbits)
        return "" if needed <= allotment.memory_bytes else explain_tiered(job, allotment, self.constants)

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`. EngineError on a program that is not the whole circuit; InfeasibleError where it can fit
        no machine, MemoryLimitError where it does not fit the allotment: all before anything is allocated."""
        program, width = job.program, job.program.num_clbits
        if program.obstacle:
            raise EngineError(f"statevector: {job.name}: {program.obstacle}; choose an engine that reads circuits")
        wires, amplitudes, _ = _kernels.dense_outline(program, job.shots)
        if wires > MAX_WIRES:
            raise InfeasibleError(
                f"statevector: {job.name} needs {wires} qubits; at most {MAX_WIRES} are possible, and memory "
                "sets a lower bound: choose another engine"
            )
        needed = run_bytes(amplitudes, wires, allotment.threads, job.shots, width)
        if needed > allotment.memory_bytes:
            try:
                return sample_tiered(job, allotment, self.constants, progress)
            except InfeasibleError as error:
                raise MemoryLimitError(f"statevector: {job.name}: {error}") from error
        beside = needed - int(8 * amplitudes)
        room = allotment.memory_bytes - beside
        running = _kernels.DenseRun(program, job.shots, job.seed % _SEED_RANGE, allotment.threads, room)
        try:
            while not running.advance(_SLICE_SECONDS):
                progress(0.99 * running.fraction)
        except MemoryError as error:
            raise _too_large(job, running.wires, running.needed_bytes + beside, allotment) from error
        counts = running.counts()
        metadata = {
            "method": "state vector",
            "precision": "float32",
            "qubits": running.wires,
            "passes": running.passes,
            "branches": running.branches,
            "norm": running.norm,
            "infidelity": infidelity_bound(min(running.gates, len(program))),
        }
        probabilities = {}
        # Exact probabilities, unless they would take more reads than a few sweeps.
        if job.probe and not running.collapsed and len(job.probe) << running.unread <= 4 * running.size:
            probabilities = {bits: running.probability(bits) for bits in job.probe}
            if running.all_read:
                metadata["collision_probability"] = running.collision_probability()
        progress(1.0)
        return Counts(counts, job.shots, probabilities, metadata)

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the cost constants with `threads` threads, in about a second."""
        return measured_constants(threads)


def _too_large(job: Job, wires: int, needed: int, allotment: Allotment) -> MemoryLimitError:
    return MemoryLimitError(
        f"statevector: {job.name}: {wires} qubits need {format_bytes(needed)}; "
        f"{format_bytes(allotment.memory_bytes)} are allotted; allot more or choose another engine"
    )
