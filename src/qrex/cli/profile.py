"""`qrex profile WORKLOAD`: what each circuit needs."""

from __future__ import annotations

import click

from qrex.cli import options
from qrex.cli.tables import print_table

__all__ = ["command"]


@click.command("profile", short_help="What each circuit needs.")
@options.workload
@options.strict
@options.json_flag
def command(workload: tuple[str, ...], strict: bool, as_json_flag: bool) -> None:
    """Read off what each circuit of WORKLOAD needs, without running it.

    "parts" are sets of qubits that no gate joins; "log2 bond" bounds the bond dimension of a matrix product
    state. Exit 2 where a file cannot be read; the others are shown all the same.
    """
    from qrex.cli.opening import check_all_read, read_workload
    from qrex.profile import profile_circuit

    loaded = read_workload(workload, strict=strict)
    profiles = [(circuit, profile_circuit(circuit)) for circuit in loaded.circuits]
    if as_json_flag:
        options.as_json([{"name": circuit.name, **found.to_dict()} for circuit, found in profiles])
        check_all_read(loaded)
        return
    print_table(_COLUMNS, [_row(circuit.name, found) for circuit, found in profiles], right=_COLUMNS[1:-1])
    check_all_read(loaded)


_COLUMNS = ("circuit", "qubits", "active", "depth", "1q", "2q", "3q+", "non-Clifford", "parts", "log2 bond", "notes")


def _row(name: str, found) -> list[str]:
    notes = [
        text
        for on, text in (
            (found.is_clifford, "Clifford"),
            (not found.terminal_measurements_only, "mid-circuit measurement"),
            (found.resets, _count(found.resets, "reset")),
            (found.conditionals, _count(found.conditionals, "condition")),
        )
        if on
    ]
    numbers = (
        found.num_qubits, found.active_qubits, found.depth, found.one_qubit_gates, found.two_qubit_gates,
        found.many_qubit_gates, found.non_clifford_gates, found.components,
    )  # fmt: skip
    return [name, *map(str, numbers), f"{found.max_log2_schmidt:.0f}", ", ".join(notes)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
