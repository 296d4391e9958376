"""Circuits in: OpenQASM 2, OpenQASM 3 and Qiskit circuits become a `Workload`.

In: a folder, files, standard input, or Qiskit circuits. Out: circuits with content ids, and for each file
that could not be read the reason with its place.
"""

from __future__ import annotations

from qrex.circuits.workload import DEFAULT_SHOTS, Circuit, Target, Workload

__all__ = ["DEFAULT_SHOTS", "Circuit", "Target", "Workload"]
