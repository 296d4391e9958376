"""`qrex engines`: what can run circuits here."""

from __future__ import annotations

from dataclasses import asdict

import click

from qrex.cli import options

__all__ = ["command"]


@click.command("engines")
@options.json_flag
def command(as_json_flag: bool) -> None:
    """List engines: installed, not installed (with the install line), or broken (with the reason)."""
    from qrex.engines.registry import engine_status

    found = engine_status()
    if as_json_flag:
        options.as_json([asdict(status) for status in found])
        return
    for status in found:
        click.echo(f"{status.name:18} {status.state:14} {status.summary}")
        if status.reason:
            click.echo(f"{'':33} {status.reason}")
        if status.install and status.state != "installed":
            click.echo(f"{'':33} install: {status.install}")
