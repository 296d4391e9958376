"""The frozen type of this room: what a circuit needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from qrex.profile.dense import DenseWork

__all__ = ["Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts and bounds read off one circuit without running it.

    Counted are the rows of the circuit's program: loops unrolled, both branches of a conditional, gates without a
    row of their own replaced by their definitions, barriers and delays left out.

    `one_qubit_gates` … `many_qubit_gates` count unitary gates by width; `fused_blocks` is the number of one-
    and two-qubit blocks left once neighbors on the same pair are merged. `depth` is that of
    the rows.
    `max_log2_schmidt` bounds log2 of the bond dimension over all cuts of the qubit order as written, at any
    moment. Gates count that meet entangled qubits; those that share an axis on one qubit across a cut (a ladder of
    controlled phases) count once; a cut is capped by the entangled qubits on its smaller side, by one more than at
    the neighboring cuts and by `log2_support` (src/cpp/bonds.hpp).
    `terminal_measurements_only`: no gate, reset or condition follows or depends on a measurement.
    `needs_trajectories`: every shot is a run of its own, since the state depends on random outcomes.
    `stabilizer_obstacle` says what a stabilizer simulation cannot do with this circuit; "" if nothing.
    `mps_updates` counts the two-site updates of a matrix product state that moves qubits together by swaps;
    `log2_mps_work` is log2 of the sum over them of the cubed bond bound, `log2_mps_elements` log2 of the
    amplitudes that its tensors hold at their largest. `instructions` counts rows.
    `log2_support` bounds log2 of the number of nonzero amplitudes at any moment. `clifford_prefix` counts the rows
    before the first that is not Clifford, `stabilizer_forks` the measurements and resets after which a stabilizer
    simulation must follow shots one outcome at a time.
    `dense` is what a dense simulation has to do; None where no row can tell or nobody counted.
    `obstacle` is that of the program: where it is not empty, only engines that read the circuit itself can run it, and
    what cannot be told is set to the worst case.
    """

    circuit_id: str
    num_qubits: int
    active_qubits: int
    num_clbits: int
    depth: int
    gate_counts: Mapping[str, int]
    one_qubit_gates: int
    two_qubit_gates: int
    many_qubit_gates: int
    fused_blocks: int
    is_clifford: bool
    non_clifford_gates: int
    measurements: int
    terminal_measurements_only: bool
    resets: int
    conditionals: int
    has_control_flow: bool
    components: int  # groups of qubits that never interact
    widest_component: int
    max_log2_schmidt: float
    shots: int
    needs_trajectories: bool = False
    stabilizer_obstacle: str = ""
    mps_updates: int = 0
    log2_mps_work: float = 0.0
    log2_mps_elements: float = 0.0
    instructions: int = 0
    log2_support: float = inf
    stabilizer_forks: int = 0
    clifford_prefix: int = 0
    obstacle: str = ""
    dense: DenseWork | None = None

    @property
    def log2_outcomes(self) -> float:
        """Bound on log2 of the number of distinct outcomes: each bit, and where all is measured at the end each
        amplitude, has at most one."""
        bits = float(self.num_clbits)
        return bits if self.needs_trajectories or not self.terminal_measurements_only else min(bits, self.log2_support)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values under the field names."""
        return asdict(self) | {"gate_counts": dict(self.gate_counts)}
