"""The matrix product engine: our own updates, routing and sampling under the engines' protocol.

In: a `Job` and its `Allotment`. Out: `Counts`; `metadata["infidelity"]` bounds what truncations lost. Costs: see
`costs`. References: Vidal, quant-ph/0301063; Hastings, arXiv:0903.3253; Ferris and Vidal, arXiv:1201.3974.
"""

from __future__ import annotations

from collections.abc import Mapping

from qrex.engines.constants import require_constants
from qrex.engines.mps import costs
from qrex.engines.mps.linear_algebra import routines
from qrex.engines.mps.run import MAX_INFIDELITY, SLICE_SECONDS, MatrixProductRun
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.profile import Profile

__all__ = ["MAX_INFIDELITY", "MatrixProductEngine"]

_UNCALIBRATED_PRODUCT = 5e-10  # seconds; only forecasts of sampling lean on it where nothing was measured


class MatrixProductEngine:
    """Runs every circuit that rows can express. Cost constants: see `costs`."""

    name = "mps"
    constant_names = costs.CONSTANT_NAMES

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)
        routines()  # without them the engine is broken, and should say so now

    def supports(self, profile: Profile) -> Support:
        return Support(not profile.obstacle, profile.obstacle)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Upper bounds from the bonds that the profile allows; EngineError where constants are missing."""
        return costs.estimate(require_constants(self), profile, allotment)

    def start(self, job: Job, allotment: Allotment) -> MatrixProductRun:
        return MatrixProductRun(job, allotment, self.constants.get("element", _UNCALIBRATED_PRODUCT))

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`. MemoryLimitError before memory passes the allotment, EngineError where the circuit has
        parts that no row can express."""
        run = self.start(job, allotment)
        while not (stage := run.advance(SLICE_SECONDS)).done:
            progress(0.9 * stage.fraction)
        return run.finish(progress)

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the cost constants with `threads` threads, in well under a second."""
        from qrex.engines.mps.calibration import measured_constants

        return measured_constants(threads)
