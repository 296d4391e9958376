"""Fabric: which qubits and links of a device a circuit gets.

In: circuits and a fixed device's calibration. Out: a layout chosen by predicted success, the baseline beside
it, and the sub-lattice that is in use.
"""

from __future__ import annotations

from qrex.fabric.blocks import BlockCompiler
from qrex.fabric.layout import DEFAULT_CANDIDATES, LayoutCandidate, LayoutChoice, choose_layout
from qrex.fabric.moving import move_circuit
from qrex.fabric.placement_score import PlacementScore
from qrex.fabric.placements import enumerate_placements
from qrex.fabric.sub_lattice import best_sub_lattice, restricted_target, sub_lattice

__all__ = [
    "DEFAULT_CANDIDATES",
    "BlockCompiler",
    "LayoutCandidate",
    "LayoutChoice",
    "PlacementScore",
    "best_sub_lattice",
    "choose_layout",
    "enumerate_placements",
    "move_circuit",
    "restricted_target",
    "sub_lattice",
]
