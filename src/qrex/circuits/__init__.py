"""Circuits in: OpenQASM 2, OpenQASM 3 and Qiskit circuits become a `Workload`.

In: a folder, files, standard input, or Qiskit circuits. Out: circuits with content ids, and for each file
that could not be read the reason with its place. The subset of OpenQASM that is read stands in docs/openqasm.md.

`load_workload`, `read_circuit` and `circuit_from_qiskit` bring Qiskit with them and are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qrex.circuits.workload import DEFAULT_SHOTS, MAX_SHOTS, RANDOMIZED, Circuit, Target, Workload

if TYPE_CHECKING:
    from qrex.circuits.loading import load_workload
    from qrex.circuits.reading import circuit_from_qiskit, read_circuit

__all__ = [
    "DEFAULT_SHOTS",
    "MAX_SHOTS",
    "RANDOMIZED",
    "Circuit",
    "Target",
    "Workload",
    "circuit_from_qiskit",
    "load_workload",
    "read_circuit",
]

_LATER = {
    "circuit_from_qiskit": "qrex.circuits.reading",
    "load_workload": "qrex.circuits.loading",
    "read_circuit": "qrex.circuits.reading",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'qrex.circuits' has no attribute '{name}'")
