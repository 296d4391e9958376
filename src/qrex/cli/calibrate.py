"""`qrex calibrate`: cost constants measured here, dated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qrex.cli import options
from qrex.cli.tables import print_table

if TYPE_CHECKING:
    from qrex.balance import CostConstants

__all__ = ["command"]

_BUDGET_SECONDS = 12.0
_BUSY = 0.1  # of the time: constants may then be some tens of percent too large


@click.command("calibrate", short_help="Measure the engines' cost constants on this host.")
@click.option("--kept", is_flag=True, help="Show the constants in use and their age; measure only what is missing.")
@options.platform
@options.cores
@options.store
@options.quiet
@options.json_flag
def command(
    kept: bool, platform: str | None, cores: int | None, store: str | None, quiet: bool, as_json_flag: bool
) -> None:
    """Measure every engine's cost constants on this host and keep them with their date (also done at first use,
    with fewer passes, and again after 30 days or where versions changed)."""
    from qrex.cli.opening import open_session

    with open_session((), platform, cores=cores, store=store, quiet=quiet) as session:
        constants = session.constants if kept else session.calibrate_now(_BUDGET_SECONDS)
    if as_json_flag:
        options.as_json(constants.to_dict() | {"age_seconds": constants.age_seconds()})
        return
    _show(constants)


def _show(constants: CostConstants) -> None:
    from qrex.units import format_seconds

    passes = f"median of up to {constants.passes} passes" if constants.passes > 1 else "one pass"
    click.echo(
        f"measured at {constants.measured_at} ({_age(constants)}) for up to {constants.threads} threads in "
        f"{format_seconds(constants.seconds)}, {passes}\n"
    )
    rows = [
        (engine, name, _value(name, value), *_range(constants, engine, name))
        for engine, values in constants.values.items()
        for name, value in values.items()
    ]
    print_table(
        ("engine", "constant", "value", "least", "largest"), rows, right=("value", "least", "largest")
    )
    if constants.busy > _BUSY:
        click.echo(
            f"qrex: other work had the processors for {constants.busy:.0%} of the time; measure again when it is quiet",
            err=True,
        )
    for engine, reason in constants.failures.items():
        click.echo(f"qrex: {engine} has no constants: {reason}", err=True)


def _age(constants: CostConstants) -> str:
    from qrex.units import format_seconds

    seconds = round(constants.age_seconds())
    if seconds >= 2 * 86400:
        return f"{seconds // 86400} days ago"
    return f"{format_seconds(seconds)} ago" if seconds else "now"


def _range(constants: CostConstants, engine: str, name: str) -> tuple[str, str]:
    """Least and largest over the passes; empty where there was one pass."""
    ends = constants.ranges.get(engine, {}).get(name)
    return ("", "") if ends is None else (_value(name, ends[0]), _value(name, ends[1]))


def _value(name: str, value: float) -> str:
    from qrex.balance.calibration import constant_unit
    from qrex.units import format_bytes, format_seconds

    unit = constant_unit(name)
    if unit == "B":
        return format_bytes(value)
    if unit == "":
        return f"{value:g}"
    return f"{value * 1e12:.3g} ps" if 0 < value < 0.9995e-9 else format_seconds(value)
