"""`qrex calibrate`: cost constants measured here, dated."""

from __future__ import annotations

import click

from qrex.cli import options
from qrex.cli.tables import print_table

__all__ = ["command"]


@click.command("calibrate", short_help="Measure the engines' cost constants on this host.")
@options.platform
@options.cores
@options.store
@options.quiet
@options.json_flag
def command(platform: str | None, cores: int | None, store: str | None, quiet: bool, as_json_flag: bool) -> None:
    """Measure every engine's cost constants on this host and keep them with their date (also done at first use)."""
    from qrex.cli.opening import open_session

    with open_session((), platform, cores=cores, store=store, quiet=quiet) as session:
        constants = session.calibrate_now()
    if as_json_flag:
        options.as_json(constants.to_dict())
        return
    click.echo(
        f"measured at {constants.measured_at} for up to {constants.threads} threads, "
        f"median of {constants.passes} pass{'es' * (constants.passes != 1)}\n"
    )
    rows = [
        (engine, name, f"{value:.3e}") for engine, values in constants.values.items() for name, value in values.items()
    ]
    print_table(("engine", "constant", "value"), rows, right=("value",))
    for engine, reason in constants.failures.items():
        click.echo(f"qrex: {engine} has no constants: {reason}", err=True)
