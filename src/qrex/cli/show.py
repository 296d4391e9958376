"""`qrex show [ID]`: past runs from the store."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from qrex.cli import options
from qrex.cli.tables import plain, print_table, print_wrapped
from qrex.errors import InputError

if TYPE_CHECKING:
    from qrex.balance import Accuracy, Refinement

__all__ = ["command"]


@click.command("show", short_help="Past runs, and how true predictions were.")
@click.argument("run_id", metavar="[ID]", required=False, default="")
@click.option("--predictions", is_flag=True,
              help="How true each engine's predictions were, what was learned, and the newest runs.")  # fmt: skip
@options.store
@options.json_flag
def command(run_id: str, predictions: bool, store: str | None, as_json_flag: bool) -> None:
    """List past runs, or show the one whose id starts with ID."""
    from qrex.store import Store

    with Store(store) as opened:
        if predictions:
            names = opened.names()
            rows = [row | {"circuit": names.get(row["circuit_id"])} for row in opened.predictions()]
            _show_predictions(rows, as_json_flag)
            return
        runs = opened.runs(run_id)
        held = opened.held()
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
    elif held["results"]:
        kept = " and ".join(f"{count:,} {what if count != 1 else what[:-1]}" for what, count in held.items())
        click.echo(f"no runs are listed; {kept} are kept (`qrex show --predictions`): the commands that made them, "
                   "given again, take them from here")  # fmt: skip
    else:
        click.echo("nothing kept yet; `qrex run WORKLOAD` or `qrex expand WORKLOAD` makes the first run")


def _show_run(row: dict) -> None:
    """What the run was, then what it found; --json has all of it."""
    result = row["result"] or {}
    for name in ("id", "verb", "title", "status", "started"):
        click.echo(plain(f"{name:10} {row[name]}"))
    click.echo(plain(f"{'command':10} {row['arguments'].get('command') or 'not given'}"))
    for kind, path in result.get("files", {}).items():
        click.echo(f"{kind:10} {path}")
    if "circuits" in result:
        click.echo()
        _show_circuits(result["circuits"])
    if "summary" in result:
        from qrex.report import Summary

        click.echo()
        Summary.from_dict(result["summary"]).print()


def _show_circuits(rows: list[dict]) -> None:
    from qrex.units import format_bytes, format_seconds

    def shown(value: float | None, form) -> str:
        return "" if value is None else form(value)

    columns = ("circuit", "outcome", "engine", "shots", "time", "memory")
    print_table(
        columns,
        [
            (row["name"], row["outcome"], row.get("engine") or "", f"{row['shots']:,}",
             shown(row.get("seconds"), format_seconds), shown(row.get("peak_bytes"), format_bytes))
            for row in rows
        ],
        right=columns[3:],
    )  # fmt: skip
    for row in rows:
        if "error" in row:
            click.echo(plain(f"{row['name']}: {row['error']}"))
    click.echo("the same command again shows the counts: they are kept")


_SHOWN_RUNS = 20
_ENGINES_LEGEND = (
    "ratio: median of actual over predicted seconds, then where 90 % of the runs lie; memory: share of runs within "
    "20 %; corrected by: the factor learned for predictions to come"
)
_RUNS_LEGEND = (
    "said: before anything ran, by the model (bound: its bound, which a run may stay far below, and which is no "
    "promise); race: after the first round of a race; late: when the race was over",
    "memory, held: peak of the whole worker process, predicted and measured",
)


def _show_predictions(rows: list[dict], as_json_flag: bool) -> None:
    from qrex.balance import accuracy

    engines = accuracy(rows)
    learned = _current_corrections(rows)
    if as_json_flag:
        corrections = learned.to_dict()["seconds"]
        options.as_json({
            "engines": [
                one.to_dict()
                | {"correction": _correction(learned, one.engine), "fitted": corrections.get(one.engine)}
                for one in engines
            ],
            "runs": rows,
        })  # fmt: skip
        return
    if not rows:
        click.echo("nothing kept yet; `qrex run WORKLOAD` makes the first predictions")
        return
    _show_engines(engines, learned)
    click.echo()
    _show_runs(rows[-_SHOWN_RUNS:])
    if len(rows) > _SHOWN_RUNS:
        click.echo(f"and {len(rows) - _SHOWN_RUNS:,} earlier runs (--json has all)")


def _current_corrections(rows: list[dict]) -> Refinement:
    """What is learned for the host and the constants of the newest run."""
    from qrex.balance.refinement import observations, refine

    newest = (rows[-1]["host"], rows[-1]["scope"]) if rows else None
    return refine(observations(row for row in rows if (row["host"], row["scope"]) == newest))


def _correction(learned: Refinement, engine: str) -> dict | None:
    """Of seconds at the engine's median prediction: factor, 95 % interval, circuits learned from."""
    found = learned.seconds.get(engine)
    if found is None:
        return None
    low, high = found.interval(10**found.center)
    return {"factor": found.typical(), "low": low, "high": high, "circuits": found.circuits}


def _ratio(value: float) -> str:
    """With decimals where they tell something: columns stay narrow.

    >>> _ratio(0.517), _ratio(51.93), _ratio(11753.4)
    ('0.52', '52', '11,753')
    """
    return f"{value:.2f}" if value < 9.995 else f"{value:,.0f}"


def _show_engines(engines: tuple[Accuracy, ...], learned: Refinement) -> None:
    columns = ("engine", "runs", "within 2x", "ratio", "90 % of runs", "memory", "corrected by")

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    table = []
    for one in engines:
        if one.runs:
            found = _correction(learned, one.engine)
            table.append((
                one.engine, f"{one.runs:,}", share(one.within_2x), _ratio(one.median_ratio),
                f"{_ratio(one.low_ratio)} to {_ratio(one.high_ratio)}", share(one.bytes_within_20),
                f"{found['factor']:.2f} [{found['low']:.2f}, {found['high']:.2f}]" if found else "nothing yet",
            ))  # fmt: skip
    if table:
        print_table(columns, table, right=columns[1:])
        click.echo()
        print_wrapped(_ENGINES_LEGEND)
    for one in engines:
        if one.bounds:
            click.echo(f"{one.engine}: bounds of the model {one.bounds:,}, of which {share(one.bounds_held)} held")


def _show_runs(rows: list[dict]) -> None:
    from qrex.units import format_bytes, format_seconds

    def shown(value: float | None, form) -> str:
        return "" if value is None else form(value)

    columns = ("engine", "circuit", "predicted", "said", "took", "memory", "held")
    print_table(
        columns,
        [
            (row["engine"], row["circuit"] or row["circuit_id"][:12], shown(row["predicted_seconds"], format_seconds),
             _said(row), shown(row["actual_seconds"], format_seconds), shown(row["predicted_bytes"], format_bytes),
             shown(row["actual_bytes"], format_bytes))
            for row in rows
        ],
        right=("predicted", "took", "memory", "held"),
    )  # fmt: skip
    click.echo()
    for line in _RUNS_LEGEND:
        print_wrapped(line)


def _said(row: dict) -> str:
    """When, in a word; a bound stays one after a race that was lost."""
    when = {0: "before", 1: "race", 2: "late", None: ""}[row["features"].get("said")]
    return "bound" if row["upper_bound"] else when
