"""`qrex show [ID]`: past runs from the store."""

from __future__ import annotations

import datetime

import click

from qrex.cli import options
from qrex.errors import InputError

__all__ = ["command"]


@click.command("show")
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
        for name, value in rows[0].items():
            click.echo(f"{name:10} {value}")
    elif rows:
        for row in rows:
            click.echo(f"{row['id'][:12]}  {row['started']}  {row['status']:8} {row['verb']:8} {row['title']}")
    else:
        click.echo("nothing kept yet; `qrex expand WORKLOAD` makes the first run")


def _show_predictions(rows: list[dict], as_json_flag: bool) -> None:
    if as_json_flag:
        options.as_json(rows)
        return
    click.echo(f"{'engine':16} {'circuit':14} {'predicted s':>12} {'actual s':>10} {'predicted MB':>13} {'actual MB':>10}")
    for row in rows:
        predicted_mb = "" if row["predicted_bytes"] is None else f"{row['predicted_bytes'] / 1e6:.1f}"
        actual_mb = "" if row["actual_bytes"] is None else f"{row['actual_bytes'] / 1e6:.1f}"
        predicted = "" if row["predicted_seconds"] is None else f"{row['predicted_seconds']:.3f}"
        click.echo(
            f"{row['engine']:16} {row['circuit_id'][:12]:14} {predicted:>12} {row['actual_seconds']:>10.3f} "
            f"{predicted_mb:>13} {actual_mb:>10}"
        )
