"""`qrex engines`: what can run circuits here."""

from __future__ import annotations

from dataclasses import asdict

import click

from qrex.cli import options
from qrex.cli.tables import print_table

__all__ = ["command"]


@click.command("engines", short_help="What can run circuits here.")
@options.json_flag
def command(as_json_flag: bool) -> None:
    """List engines: installed, not installed (with the install line), or broken (with the reason)."""
    from qrex.engines.registry import engine_status

    found = engine_status()
    if as_json_flag:
        options.as_json([asdict(status) for status in found])
        return
    print_table(("engine", "state", "what it is"), [(s.name, s.state, s.summary) for s in found])
    for status in found:
        if status.state != "installed":
            install = f"; install: {status.install}" if status.install else ""
            click.echo(f"{status.name} is {status.state}: {status.reason}{install}")
