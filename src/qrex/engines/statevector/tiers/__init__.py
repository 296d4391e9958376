"""One state vector over cache, RAM and disk: states larger than the memory they are given.

In: a program, and what may be used. Out: samples of its final state. The circuit is cut into stages (`plan`); a
sub-state, the amplitudes over the wires that a stage needs local, is brought into memory, all gates of the stage are
applied to it in cache-sized blocks (`segment_run`), and it goes back (`blocks`) or, in the last stage, is sampled
(`sampling`), looked at (`outputs`) and dropped. `run` follows the outcomes that are needed in between, and
`sampling_job` puts all of it under the engines' protocol.

Traffic: in the first stage the wires that are not local are still in |0>, so that it lives in memory; the last one is
never written. k stages move 2(k - 2) states, two stages none.
"""

from __future__ import annotations

from qrex.engines.statevector.tiers.plan import CODECS, Budget, StagePlan, TierPlan, plan_tiers
from qrex.engines.statevector.tiers.run import TieredRun
from qrex.engines.statevector.tiers.segment_run import Output, Traffic

__all__ = [
    "CODECS", "Budget", "Output", "StagePlan", "TierPlan", "TieredRun", "Traffic", "plan_tiers",
]  # fmt: skip
