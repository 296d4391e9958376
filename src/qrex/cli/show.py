"""`qrex show [ID]`: past runs from the store."""

from __future__ import annotations

import datetime

import click

from qrex.cli import options
from qrex.cli.tables import print_table
from qrex.errors import InputError

__all__ = ["command"]


@click.command("show", short_help="Past runs, and predicted beside actual costs.")
@click.argument("run_id", metavar="[ID]", required=False, default="")
@click.option("--predictions", is_flag=True, help="Predicted beside actual cost of every stored run.")
@options.store
@options.json_flag
def command(run_id: str, predictions: bool, store: str | None, as_json_flag: bool) -> None:
    """List past runs, or show the one whose id starts with ID."""
    from qrex.store import Store

    with Store(store) as opened:
        if predictions:
            _show_predictions(opened.predictions(), as_json_flag)
            return
        runs = opened.runs(run_id)
    if run_id and not runs:
        raise InputError(f"no run's id starts with {run_id!r}; `qrex show` lists them")
    rows = [
        {
            "id": run.id,
            "verb": run.verb,
            "title": run.title,
            "status": run.status,
            "started": datetime.datetime.fromtimestamp(run.started_at, datetime.UTC).isoformat(timespec="seconds"),
            "arguments": run.arguments,
            "result": run.result,
        }
        for run in runs
    ]
    if as_json_flag:
        options.as_json(rows)
    elif run_id and len(rows) == 1:
        _show_run(rows[0])
    elif rows:
        columns = ("id", "started", "status", "verb", "title")
        print_table(columns, [[row["id"][:12], *(row[name] for name in columns[1:])] for row in rows])
    else:
        click.echo("nothing kept yet; `qrex expand WORKLOAD` makes the first run")


def _show_run(row: dict) -> None:
    """What the run was, then what it found; --json has all of it."""
    result = row["result"] or {}
    for name in ("id", "verb", "title", "status", "started"):
        click.echo(f"{name:10} {row[name]}")
    click.echo(f"{'command':10} {row['arguments'].get('command') or 'not given'}")
    for kind, path in result.get("files", {}).items():
        click.echo(f"{kind:10} {path}")
    if "summary" in result:
        from qrex.report import Summary

        click.echo()
        Summary.from_dict(result["summary"]).print()


def _show_predictions(rows: list[dict], as_json_flag: bool) -> None:
    from qrex.units import format_bytes, format_seconds

    if as_json_flag:
        options.as_json(rows)
        return
    if not rows:
        click.echo("nothing kept yet; `qrex run WORKLOAD` makes the first predictions")
        return

    def shown(value: float | None, form) -> str:
        return "" if value is None else form(value)

    columns = ("engine", "circuit", "predicted time", "actual time", "predicted memory", "actual memory")
    print_table(
        columns,
        [
            (row["engine"], row["circuit_id"][:12], shown(row["predicted_seconds"], format_seconds),
             shown(row["actual_seconds"], format_seconds), shown(row["predicted_bytes"], format_bytes),
             shown(row["actual_bytes"], format_bytes))
            for row in rows
        ],
        right=columns[2:],
    )  # fmt: skip
