"""`qrex profile WORKLOAD`: what each circuit needs."""

from __future__ import annotations

import click

from qrex.cli import options

__all__ = ["command"]


@click.command("profile")
@options.workload
@options.strict
@options.json_flag
def command(workload: tuple[str, ...], strict: bool, as_json_flag: bool) -> None:
    """Read off what each circuit of WORKLOAD needs, without running it."""
    from qrex.cli.opening import read_workload
    from qrex.profile import profile_circuit

    loaded = read_workload(workload, strict=strict)
    profiles = [(circuit, profile_circuit(circuit)) for circuit in loaded.circuits]
    if as_json_flag:
        options.as_json([{"name": circuit.name, **found.to_dict()} for circuit, found in profiles])
        return
    click.echo(
        f"{'circuit':28} {'qubits':>6} {'active':>6} {'depth':>7} {'1q':>7} {'2q':>7} {'3q+':>5} {'non-Cliff':>9} "
        f"{'parts':>5} {'log2 bond':>9}  notes"
    )
    for circuit, found in profiles:
        notes = [
            text
            for on, text in (
                (found.is_clifford, "Clifford"),
                (not found.terminal_measurements_only, "mid-circuit measurement"),
                (found.resets, f"{found.resets} resets"),
                (found.conditionals, f"{found.conditionals} conditions"),
            )
            if on
        ]
        click.echo(
            f"{circuit.name[:28]:28} {found.num_qubits:>6} {found.active_qubits:>6} {found.depth:>7} "
            f"{found.one_qubit_gates:>7} {found.two_qubit_gates:>7} {found.many_qubit_gates:>5} "
            f"{found.non_clifford_gates:>9} {found.components:>5} {found.max_log2_schmidt:>9.0f}  {', '.join(notes)}"
        )
