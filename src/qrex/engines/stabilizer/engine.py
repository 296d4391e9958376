"""Clifford circuits by stabilizer simulation (stim), sampled from a compiled circuit.

In: a program whose gates are Clifford, with measurements, resets and conditions anywhere. Paulis under one
measured bit are followed for all shots at once; whatever else stands under measured bits makes shots part ways
(see `branching`). Out: exact samples, infidelity 0.
Cost: conversion O(rows); one reference run O(rows × qubits); then O((rows / 64 + measurements) × shots).
The same seed gives the same counts on machines with the same instruction set (stim's rule).
Reference: Gidney, arXiv:2103.02202.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import stim

from qrex.engines.bits import count_packed_rows
from qrex.engines.constants import require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.engines.stabilizer import costs
from qrex.engines.stabilizer.branching import ways
from qrex.engines.stabilizer.calibration import measured_constants
from qrex.engines.stabilizer.conversion import Conversion
from qrex.errors import MemoryLimitError
from qrex.profile import Profile
from qrex.profile.clifford_rows import CliffordRows, read_clifford
from qrex.units import format_bytes

__all__ = ["StabilizerEngine"]

_SEEDS = 2**63


class StabilizerEngine:
    """Runs Clifford circuits. Cost constants: see `costs`."""

    name = "stabilizer"
    constant_names = costs.CONSTANT_NAMES

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)

    def supports(self, profile: Profile) -> Support:
        if profile.stabilizer_obstacle:
            return Support(False, profile.stabilizer_obstacle)
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Seconds from calibrated constants; raises EngineError where they are missing."""
        return costs.estimate(require_constants(self), costs.sizes_of(profile))

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`; raises EngineError on a circuit that is not supported, MemoryLimitError before
        allocating past the allotment."""
        program = job.program
        rows = read_clifford(program)
        conversion = Conversion(program, rows)
        sizes = costs.Sizes(
            len(program), program.num_qubits, rows.followed.records, program.num_clbits, job.shots, rows.followed.forks
        )
        needed = costs.run_bytes(sizes)
        if needed > allotment.memory_bytes:
            raise MemoryLimitError(
                f"stabilizer: {job.shots} shots of {job.name} need {format_bytes(needed)}; "
                f"{format_bytes(allotment.memory_bytes)} allotted; take fewer shots or allot more"
            )
        progress(0.0)
        counts: dict[str, int] = {}
        done, found = 0, 0
        for sampler, columns, shots in _samplers(job, rows, conversion):
            found += 1
            chunk = costs.chunk_shots(sizes)
            for start in range(0, shots, chunk):
                part = min(chunk, shots - start)
                drawn = count_packed_rows(sampler.sample_bit_packed(part), columns, program.num_clbits)
                if counts:
                    for text, count in drawn.items():
                        counts[text] = counts.get(text, 0) + count
                else:
                    counts = dict(drawn)
                done += part
                progress(done / job.shots)
        return Counts(counts, job.shots, {}, {"method": "stabilizer (stim)", "infidelity": 0.0, "ways": found})

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the constants with tiny runs, about 0.3 s; `threads` changes nothing for this engine."""
        return measured_constants()


def _samplers(
    job: Job, rows: CliffordRows, conversion: Conversion
) -> Iterator[tuple[stim.CompiledMeasurementSampler, Mapping[int, int], int]]:
    """(Sampler, record of each classical bit, shots) for each way that shots take; one, as a rule."""
    if rows.followed.branching_row < 0:
        circuit = stim.Circuit(conversion.text(rows.followed.action, 0, len(job.program), 0))
        yield circuit.compile_sampler(seed=job.seed % _SEEDS), rows.followed.columns, job.shots
        return
    random = np.random.default_rng(job.seed)
    for way in ways(job.program, rows, conversion, job.shots, random):
        yield way.circuit.compile_sampler(seed=int(random.integers(_SEEDS))), way.columns, way.shots
