"""`qrex plan WORKLOAD`: where each circuit would run, and why nowhere else."""

from __future__ import annotations

import click

from qrex.cli import options

__all__ = ["command"]


@click.command("plan")
@options.workload
@options.platform
@options.shots
@options.cores
@options.memory
@click.option("--engine", metavar="NAME", help="Plan for this engine only.")
@options.strict
@options.store
@options.quiet
@options.json_flag
def command(
    workload: tuple[str, ...],
    platform: str | None,
    shots: int | None,
    cores: int | None,
    memory: int | None,
    engine: str | None,
    strict: bool,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Say for each circuit of WORKLOAD: engine, seconds, bytes, and why each other engine was passed over.

    Nothing of the workload is run. Exit 3 where a circuit fits no engine.
    """
    from qrex.cli.opening import open_session
    from qrex.errors import InfeasibleError
    from qrex.expansion.simulation import engines_to_choose_from, plan_routes
    from qrex.units import format_bytes, format_seconds

    with open_session(
        workload, platform, shots=shots, cores=cores, memory=memory, strict=strict, store=store, quiet=quiet
    ) as session:
        planned = plan_routes(session, engines_to_choose_from(session, engine), session.workload.circuits)
    rows = []
    for circuit in planned.circuits:
        chosen = planned.routes.get(circuit.id)
        rows.append(
            {
                "name": circuit.name,
                "qubits": circuit.num_qubits,
                "engine": chosen.engine if chosen else None,
                "seconds": chosen.cost.seconds if chosen else None,
                "bytes": chosen.cost.peak_bytes if chosen else None,
                "reason": chosen.reason if chosen else planned.refused[circuit.id],
                "passed_over": dict(chosen.passed_over) if chosen else {},
            }
        )
    if as_json_flag:
        options.as_json(rows)
    else:
        for row in rows:
            cost = (
                f"{format_seconds(row['seconds'])}, {format_bytes(row['bytes'])}" if row["engine"] else "infeasible"
            )
            click.echo(f"{row['name']}  ({row['qubits']} qubits): {row['engine'] or 'no engine'}, {cost}")
            click.echo(f"    {row['reason']}")
            for other, why in row["passed_over"].items():
                click.echo(f"    not {other}: {why}")
    if planned.refused:
        raise InfeasibleError(f"{len(planned.refused)} of {len(rows)} circuits fit no engine; the reasons are above")
