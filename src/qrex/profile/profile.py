"""The frozen type of this room: what a circuit needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts and bounds read off one circuit without running it.

    `one_qubit_gates` … `many_qubit_gates` count unitary gates by width as written; `fused_blocks` is the
    number of one- and two-qubit blocks left once neighbours on the same pair are merged.
    `max_log2_schmidt` bounds log2 of the bond dimension over all cuts of the qubit order as written:
    each gate across a cut adds its operator-Schmidt log-rank (CX, CZ, RZZ 1; any other two-qubit gate 2),
    capped by the qubits on the smaller side.
    `terminal_measurements_only`: no gate, reset or condition follows or depends on a measurement.
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
