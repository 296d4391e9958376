"""`qrex run WORKLOAD`: counts for every circuit."""

from __future__ import annotations

import sys

import click

from qrex.cli import options
from qrex.cli.tables import plain

__all__ = ["command"]

QPU = "qpu"


@click.command("run", short_help="Counts for every circuit, by the best engine or --engine.")
@options.workload
@options.platform
@options.engine
@options.shots
@options.seed
@options.cores
@options.memory
@options.scratch
@click.option("--time-limit", metavar="SECONDS", type=click.FloatRange(min=0.1), default=3600.0, show_default=True,
              help="Seconds that one circuit may take; `expand` allows 120 by default.")  # fmt: skip
@options.strict
@options.store
@options.quiet
@options.json_flag
def command(
    workload: tuple[str, ...],
    platform: str | None,
    engine: str | None,
    shots: int | None,
    seed: int,
    cores: int | None,
    memory: int | None,
    scratch: str | None,
    time_limit: float,
    strict: bool,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Sample every circuit of WORKLOAD by the engine predicted to finish it first, or by --engine.

    Circuits whose target is "qpu" run on the platform's QPU, compiled as a plain user would. Exit 1 where a
    run failed, 3 where a circuit fits no engine, 2 where a file cannot be read; the others are run all the same.
    """
    from qrex.cli.opening import check_all_read, check_engine, open_session

    forced_qpu = engine == QPU
    check_engine(None if forced_qpu else engine)
    with open_session(
        workload, platform, seed=seed, shots=shots, target="qpu" if forced_qpu else None, cores=cores, memory=memory,
        scratch=scratch, time_limit=time_limit, strict=strict, store=store, quiet=quiet,
    ) as session:  # fmt: skip
        rows = _simulate(session, None if forced_qpu else engine) + _run_on_qpu(session)
    if as_json_flag:
        options.as_json(rows)
    else:
        for row in rows:
            _show(row)
    if any(row["outcome"] == "infeasible" for row in rows):
        sys.exit(3)
    if any(row["outcome"] == "failed" for row in rows):
        sys.exit(1)
    check_all_read(session.workload)


def _simulate(session, engine: str | None) -> list[dict]:
    if not session.simulated:
        return []
    from qrex.expansion.simulation import run_expanded

    stage = run_expanded(session, side_by_side=True, engine=engine, timed=False)
    rows = []
    for circuit in stage.circuits:
        row = {"name": circuit.name, "id": circuit.id, "shots": session.shots_of(circuit)}
        if circuit.id in stage.refused:
            rows.append(row | {"outcome": "infeasible", "error": stage.refused[circuit.id]})
            continue
        payload, chosen = stage.payloads[circuit.id], stage.routes[circuit.id]
        value = payload["value"] or {"engine": chosen.engine, "note": "", "predicted_seconds": None,
                                     "predicted_bytes": None}  # fmt: skip
        row |= {
            "engine": value["engine"],
            "kept": payload["kept"],
            "reason": "; ".join(filter(None, (chosen.reason, value["note"]))),
            "seconds": payload["seconds"],
            "predicted_seconds": value["predicted_seconds"],
            "peak_bytes": payload["peak_bytes"],
            "predicted_bytes": value["predicted_bytes"],
        }
        if payload["value"] is None and chosen.guarded:
            # No prediction said that it fits: that it did not is the platform's limit, not a fault.
            tried = f"{chosen.engine} tried: {payload['error']}; `qrex plan` says what would make it feasible"
            rows.append(row | {"outcome": "infeasible", "error": tried})
        elif payload["value"] is None:
            rows.append(row | {"outcome": "failed", "error": payload["error"]})
        else:
            rows.append(row | {"outcome": "ran", "counts": payload["value"]["counts"]})
    return rows


def _run_on_qpu(session) -> list[dict]:
    wanted = tuple(circuit for circuit in session.workload.circuits if circuit.target in ("qpu", "both"))
    if not wanted:
        return []
    from qrex.errors import InfeasibleError
    from qrex.expansion.device import MEASURED, run_device_stages

    if session.qpu is None:
        raise InfeasibleError("a QPU was asked for; this platform has none: name one in the platform file")
    variant = (None, MEASURED)
    stage = run_device_stages(session, 0, [variant], wanted)[variant]
    rows = []
    for circuit in wanted:
        row = {"name": circuit.name, "id": circuit.id, "shots": session.shots_of(circuit), "engine": session.qpu.name}
        value = stage.value(circuit)
        if value is None:
            kind, message = stage.errors[circuit.id]
            outcome = "infeasible" if kind in ("InfeasibleError", "MemoryLimitError") else "failed"
            rows.append(row | {"outcome": outcome, "error": message})
            continue
        rows.append(
            row
            | {
                "outcome": "ran",
                "source": session.qpu.source,
                "reason": "asked for; compiled by Qiskit's preset level 1",
                "seconds": value["run_seconds"],
                "device_seconds": value["device_seconds"],
                "fidelity": value["fidelity"],
                "counts": value["counts"],
            }
        )
    return rows


_SHOWN = 8


def _show(row: dict) -> None:
    if row["outcome"] != "ran":
        click.echo(plain(f"{row['name']}: {row['outcome']}: {row['error']}"))
        return
    click.echo(plain(f"{row['name']}: {row['shots']:,} shots {_where(row)}; {row['reason']}"))
    counts = sorted(row["counts"].items(), key=lambda item: (-item[1], item[0]))
    width = len(str(counts[0][1])) if counts else 0
    for outcome, count in counts[:_SHOWN]:
        click.echo(f"    {outcome}  {count:>{width}}")
    if len(counts) > _SHOWN:
        click.echo(f"    and {len(counts) - _SHOWN:,} more outcomes (--json has all)")


def _where(row: dict) -> str:
    from qrex.units import format_seconds

    took = format_seconds(row["seconds"])
    if "source" not in row:
        return f"on {row['engine']} in {took}{', kept from an earlier run' if row['kept'] else ''}"
    device = "" if row["device_seconds"] is None else f"{format_seconds(row['device_seconds'])} of device time"
    if row["source"] == "simulated":
        return f"on {row['engine']}, simulated in {took} ({device} by the model)"
    return f"on {row['engine']}, {row['source']}{', ' + device if device else ''}"
