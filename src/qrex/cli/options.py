"""Options that several verbs share, and their types."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import click

from qrex.circuits import MAX_SHOTS
from qrex.errors import InputError
from qrex.units import parse_bytes, parse_seconds

__all__ = [
    "BYTES",
    "DEFAULT_SEED",
    "SECONDS",
    "TIME_LIMIT",
    "as_json",
    "codec",
    "cores",
    "disk",
    "engine",
    "json_flag",
    "measure_all",
    "memory",
    "platform",
    "qpu",
    "quiet",
    "scratch",
    "seed",
    "shots",
    "store",
    "strict",
    "target",
    "workload",
]

DEFAULT_SEED = 20250723


class _Bytes(click.ParamType):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            size = parse_bytes(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if size <= 0:
            self.fail(f"{value!r} is not a positive size", param, ctx)
        return size


class _Seconds(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = parse_seconds(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if seconds <= 0:
            self.fail(f"{value!r} is not a positive time", param, ctx)
        return seconds


class _TimeLimit(click.FloatRange):
    """NaN is within any range for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


BYTES = _Bytes()
TIME_LIMIT = _TimeLimit(min=0.1)
SECONDS = _Seconds()

Decorator = Callable[[Callable], Callable]

workload: Decorator = click.argument("workload", nargs=-1, required=True, type=click.Path())
platform: Decorator = click.option(
    "--platform", metavar="FILE",
    help="Platform file (TOML) or a fake backend's name. Default: this host and fake_guadalupe.",
)  # fmt: skip
qpu: Decorator = click.option("--qpu", metavar="NAME", help="Which QPU of the platform. Default: its first.")
engine: Decorator = click.option(
    "--engine", metavar="NAME", help='Leave no choice: an engine of `qrex engines`, or "qpu".'
)
store: Decorator = click.option(
    "--store", metavar="FILE", type=click.Path(), envvar="QREX_STORE",
    help="The store of kept results. Default: $QREX_STORE, else qrex/qrex.db in the user's data folder.",
)  # fmt: skip
seed: Decorator = click.option(
    "--seed", metavar="N", type=click.IntRange(0, 2**31 - 1), default=DEFAULT_SEED, show_default=True,
    help="Of everything random.",
)  # fmt: skip
shots: Decorator = click.option(
    "--shots", metavar="N", type=click.IntRange(1, MAX_SHOTS),
    help="Shots per circuit. Default: the workload's own, else 1000.",
)  # fmt: skip
memory: Decorator = click.option("--memory", type=BYTES, help='Memory that all runs together may use, e.g. "8GB".')
cores: Decorator = click.option(
    "--cores", metavar="N", type=click.IntRange(1, 4096), help="Cores to use. Default: all there are."
)
scratch: Decorator = click.option(
    "--scratch", metavar="FOLDER", type=click.Path(),
    help="Folder for states larger than the memory; its disk is probed. Default: the platform's, else the system's "
    "temporary folder.",
)  # fmt: skip
disk: Decorator = click.option(
    "--disk", metavar="SIZE", type=BYTES,
    help='What states may take there, e.g. "60GB". Default: the platform\'s limit, else half of what is free.',
)  # fmt: skip
codec: Decorator = click.option(
    "--codec", type=click.Choice(["float32", "int16", "int8"]), default="float32", show_default=True,
    help="What states on disk are kept as: 8, 4 or 2 bytes per amplitude. The infidelity that it brings is measured.",
)  # fmt: skip
strict: Decorator = click.option("--strict", is_flag=True, help="Stop at the first file that cannot be read.")
target: Decorator = click.option(
    "--target", type=click.Choice(["auto", "simulate", "qpu", "both"]),
    help="What is wanted of every circuit. Default: the workload's own, else auto.",
)  # fmt: skip
measure_all: Decorator = click.option(
    "--measure-all", is_flag=True,
    help="Measure every qubit at the end of circuits that measure nothing, into a new register.",
)  # fmt: skip
quiet: Decorator = click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
json_flag: Decorator = click.option("--json", "as_json_flag", is_flag=True, help="Print JSON on stdout.")


def as_json(data: Any) -> None:
    """Print `data` for machines."""
    click.echo(json.dumps(data, indent=2, sort_keys=False))
