"""`qrex engines`: what can run circuits here, and what each engine takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from qrex.cli import options
from qrex.cli.tables import plain, print_table

if TYPE_CHECKING:
    from qrex.engines.support import SupportRow

__all__ = ["command"]

# Short heads, so that the table fits 80 columns; the words below it say what they mean.
_HEADS = {
    "measured midway": "mid",
    "conditions": "if",
    "resets": "reset",
    "loops": "loop",
    "noise": "noise",
}
_ERRORS = {"exact": "exact", "bounded": "bound", None: "?"}
_STOPS = {
    "steps": "can be looked at while it runs, and given up",
    "polls": "ends soon after it is cancelled",
    "no": "works in one call that only the end of its process interrupts",
}


@click.command("engines", short_help="What can run circuits here.")
@options.json_flag
def command(as_json_flag: bool) -> None:
    """List engines: installed, not installed (with the install line), or broken (with the reason); and what each
    takes, found out by asking it about small circuits."""
    from qrex.engines.registry import engine_details

    details = engine_details()
    if as_json_flag:
        options.as_json([asdict(status) | {"support": asdict(row) if row else None} for status, row in details])
        return
    found, rows = [status for status, _ in details], [row for _, row in details if row]
    print_table(("engine", "state", "what it is"), [(s.name, s.state, s.summary) for s in found])
    for status in found:
        if status.state != "installed":
            install = f"; install: {status.install}" if status.install else ""
            click.echo(plain(f"{status.name} is {status.state}: {status.reason}{install}"))
    if rows:
        click.echo()
        _print_matrix(rows)


def _print_matrix(rows: list[SupportRow]) -> None:
    from qrex.engines.support import FEATURES

    heads = ("engine", "gates", *(_HEADS[feature] for feature in FEATURES), "error", "cores", "stops")
    print_table(
        heads,
        [
            (
                row.engine,
                row.gates,
                *(_yes(row.takes[feature]) for feature in FEATURES),
                _ERRORS[row.error],
                _yes(row.threads),
                row.stops or "?",
            )
            for row in rows
        ],
    )
    click.echo()
    for feature, meaning in FEATURES.items():
        click.echo(f"{_HEADS[feature]}: {meaning}")
    click.echo("error: exact, or a bound on the infidelity that comes with every answer")
    click.echo("cores: whether more of them make it faster")
    shown = {row.stops for row in rows}
    for stops, meaning in _STOPS.items():
        if stops in shown:
            click.echo(f"stops {stops}: {meaning}")
    if any(None in (*row.takes.values(), row.error, row.stops, row.threads) for row in rows):
        click.echo("?: not stated by the engine, and not known")


def _yes(answer: bool | None) -> str:
    return "?" if answer is None else "yes" if answer else "-"
