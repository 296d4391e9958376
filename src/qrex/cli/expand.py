"""`qrex expand WORKLOAD`: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qrex.cli import options
from qrex.errors import EngineError, InputError, ThresholdError

if TYPE_CHECKING:
    from qrex.report import Summary

__all__ = ["command"]

_NAMED = 3

@click.command("expand", short_help="The main job: measure, expand, measure again, report.")
@options.workload
@options.platform
@click.option("--out", metavar="FOLDER", type=click.Path(), default="out", show_default=True,
              help="Folder for the report.")  # fmt: skip
@options.shots
@options.seed
@options.target
@options.cores
@options.memory
@options.scratch
@options.disk
@options.codec
@click.option("--time-limit", metavar="SECONDS", type=options.TIME_LIMIT, default=120.0, show_default=True,
              help="Seconds that one simulated circuit may take, on either side; `run` allows 3600 by default, since "
                   "it runs each once.")  # fmt: skip
@click.option("--require-coherence", type=click.FloatRange(0, 1), metavar="T",
              help="Exit 4 unless the lower 95 % bound of Q(τ_68) after reaches T.")  # fmt: skip
@click.option("--require-density", type=click.FloatRange(0), metavar="E",
              help="Exit 4 unless the lower 95 % bound of E after reaches E.")  # fmt: skip
@click.option("--metrics-file", metavar="FILE", type=click.Path(), help="Write a Prometheus text file here.")
@options.measure_all
@options.strict
@options.store
@options.quiet
@options.json_flag
def command(
    workload: tuple[str, ...],
    platform: str | None,
    out: str,
    shots: int | None,
    seed: int,
    target: str | None,
    cores: int | None,
    memory: int | None,
    scratch: str | None,
    disk: int | None,
    codec: str,
    time_limit: float,
    require_coherence: float | None,
    require_density: float | None,
    metrics_file: str | None,
    measure_all: bool,
    strict: bool,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Measure WORKLOAD on a platform as it is, expand, measure again, and report before and after.

    WORKLOAD is a folder, OpenQASM files, or - for standard input. The same command again does no work twice;
    one that was stopped goes on where it was. A file that cannot be read is listed in the report. Exit 1 where a
    run after the expansion failed; what only the baseline did not finish, and what is unsupported, are rows of the
    report. Exit 4 goes before 1.
    """
    from qrex.cli.opening import open_store, read_workload
    from qrex.expansion import resource_expansion
    from qrex.report import check_writable
    from qrex.telemetry import SilentProgress, open_progress

    check_writable(out)
    if metrics_file:
        try:
            check_writable(Path(metrics_file).absolute().parent)
        except InputError as error:
            raise InputError(f"--metrics-file {metrics_file} cannot be written there; name another place") from error
    loaded = read_workload(workload, strict=strict, target=target, measure_all=measure_all)
    with SilentProgress() if quiet else open_progress() as progress, open_store(store) as opened:
        summary = resource_expansion(
            loaded, platform, out=out, seed=seed, shots=shots, cores=cores, memory_bytes=memory,
            scratch_dir=scratch, disk_bytes=disk, codec=codec, wall_seconds=time_limit, store=opened,
            progress=progress,
            coherence_threshold=0.9 if require_coherence is None else require_coherence,
            density_threshold=3.8 if require_density is None else require_density,
            require_coherence=require_coherence is not None, require_density=require_density is not None,
            command=shlex.join(["qrex", *sys.argv[1:]]),
        )  # fmt: skip
    if metrics_file:
        _write_metrics(metrics_file, summary, store)
    if as_json_flag:
        options.as_json(summary.to_dict())
    else:
        summary.print()
        click.echo(f"\nReport: {out.rstrip('/')}/report.html")
    missed = [row for row in summary.thresholds if row.required and not row.passed]
    if missed:
        raise ThresholdError("; ".join(
            f"{row.title}: required {row.asked:g}, "
            + (f"measured {row.measured.value:.3f} [{row.measured.low:.3f}, {row.measured.high:.3f}]"
               if row.measured else "not measured")
            for row in missed
        ))  # fmt: skip
    failed = [row for row in summary.circuits if row.after.outcome == "failed"]
    if failed:
        named = "; ".join(f"{row.name} on {row.after.where}: {row.after.why}" for row in failed[:_NAMED])
        rest = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        raise EngineError(f"{len(failed)} of {len(summary.circuits)} circuit runs failed: {named}{rest}")


def _write_metrics(path: str, summary: Summary, store: str | None) -> None:
    from datetime import datetime

    from qrex.balance import accuracy
    from qrex.report.metrics import metrics_snapshot
    from qrex.store import Store
    from qrex.telemetry.prometheus import write_metrics

    engines = tuple(summary.conditions["engines with cost constants"])
    measured_at = datetime.fromisoformat(summary.conditions["cost constants measured at"]).timestamp()
    with Store(store) as opened:
        accuracies = accuracy(opened.predictions())
    write_metrics(path, metrics_snapshot(summary, engines, dict.fromkeys(engines, measured_at), accuracies))
