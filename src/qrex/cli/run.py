"""`qrex run WORKLOAD`: counts for every circuit, and what else is asked of its final state."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from qrex.cli import options
from qrex.cli.observing import Asked, check_asked, observed, observing_options, show_observed
from qrex.cli.tables import plain, print_wrapped

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qrex.circuits import Circuit
    from qrex.expansion.session import Session

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
@options.disk
@options.codec
@click.option("--time-limit", metavar="SECONDS", type=options.TIME_LIMIT, default=3600.0, show_default=True,
              help="Seconds that one circuit may take; `expand` allows 120 by default.")  # fmt: skip
@observing_options
@options.measure_all
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
    disk: int | None,
    codec: str,
    time_limit: float,
    observable: tuple[str, ...],
    marginal: tuple[str, ...],
    probability: tuple[str, ...],
    final_state: str | None,
    measure_all: bool,
    strict: bool,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Sample every circuit of WORKLOAD by the engine predicted to finish it first, or by --engine.

    Circuits whose target is "qpu" run on the platform's QPU, compiled as a plain user would. Exit 1 where a
    run failed, 3 where a circuit fits no engine, 2 where a file cannot be read; the others are run all the same.

    An outcome has one character per classical bit, bit 0 rightmost; several registers are joined without spaces,
    the first declared rightmost. --json names the "registers", with the "bits" of each counted from the right, and
    the "infidelity" that the engine states for its answer (0: exact); "tiers" says how a state larger than the memory
    was run (null: it was not larger). "predicted_seconds" and "predicted_bytes" are
    those of `qrex show --predictions`: what was said before anything ran or, where engines raced, after the first
    round ("predicted_when"); bytes are of the whole worker process at its peak.

    With --observable, --marginal, --probability or --final-state every circuit runs as a state vector, in stages where
    the state is larger than the memory; what they ask for is of the state before the final measurements. A circuit in
    which an outcome decides what follows has no one final state and is refused. With an infidelity of ε, an expectation
    value is off by at most 2·√ε·Σ|coefficient| ("error_bound"), a probability by √ε.
    """
    from qrex.cli.opening import check_all_read, check_engine, open_session

    forced_qpu = engine == QPU
    check_engine(None if forced_qpu else engine)
    asked = Asked(observable, marginal, probability, final_state)
    if asked:
        check_asked(engine)
    with (
        open_session(
            workload, platform, seed=seed, shots=shots, target="qpu" if forced_qpu else None, cores=cores,
            memory=memory, scratch=scratch, disk=disk, codec=codec, time_limit=time_limit, measure_all=measure_all,
            strict=strict, store=store, quiet=quiet,
        ) as session,
        _recorded(session, engine, asked) as rows,
    ):  # fmt: skip
        if asked:
            rows += [_asked(session, circuit) | _predicted(None) | row for circuit, row in observed(session, asked)]
        else:
            rows += _simulate(session, None if forced_qpu else engine)
            rows += _run_on_qpu(session)
        _tell_unfinished(session, rows)
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


@contextmanager
def _recorded(session: Session, engine: str | None, observing: Asked) -> Iterator[list[dict[str, Any]]]:
    """The rows of a run that `qrex show` lists; counts stay with the results, under their own keys."""
    from qrex.store import content_key

    workload = session.workload
    asked = {
        "circuits": [[c.name, c.id, c.target, session.shots_of(c)] for c in workload.circuits],
        "platform": session.platform.name,
        "engine": engine,
        "settings": asdict(session.settings),
    } | ({"observing": asdict(observing)} if observing else {})
    run_id = content_key("run", asked)
    count = len(workload.circuits)
    title = f"{workload.name}, {count:,} circuit{'s' * (count != 1)}" + (f", on {engine}" if engine else "")
    session.store.start_run(run_id, "run", title, {"command": shlex.join(["qrex", *sys.argv[1:]])})
    rows: list[dict[str, Any]] = []
    try:
        yield rows
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        session.store.finish_run(run_id, "interrupted" if stopped else "failed", None)
        raise
    left_out = ("counts", "fidelity", "marginals")
    told = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
    status = "failed" if any(row["outcome"] == "failed" for row in rows) else "done"
    session.store.finish_run(run_id, status, {"circuits": told})


def _simulate(session, engine: str | None) -> list[dict]:
    if not session.simulated:
        return []
    from qrex.expansion.simulation import run_expanded

    stage = run_expanded(session, side_by_side=True, engine=engine, timed=False)
    rows = []
    for circuit in stage.circuits:
        row = _asked(session, circuit)
        if circuit.id in stage.refused:
            rows.append(row | {"outcome": "infeasible", "error": stage.refused[circuit.id]})
            continue
        payload, chosen = stage.payloads[circuit.id], stage.routes[circuit.id]
        value = payload["value"] or {"engine": chosen.engine, "note": ""}
        row |= {
            "engine": value["engine"],
            "kept": payload["kept"],
            "reason": "; ".join(filter(None, (chosen.grounds, value["note"]))),
            "seconds": payload["seconds"],
            "peak_bytes": payload["peak_rss_bytes"],
            **_predicted(stage.predictions.get(circuit.id)),
        }
        if payload["value"] is None and chosen.guarded:
            # No prediction said that it fits: that it did not is the platform's limit, not a fault.
            tried = f"{chosen.engine} tried: {payload['error']}; `qrex plan` says what would make it feasible"
            rows.append(row | {"outcome": "infeasible", "error": tried})
        elif payload["value"] is None:
            rows.append(row | {"outcome": "failed", "error": payload["error"]})
        else:
            stated = payload["value"]["metadata"].get("infidelity")
            tiers = payload["value"]["metadata"].get("tiers")
            told = {"infidelity": stated, "tiers": tiers, "counts": payload["value"]["counts"]}
            rows.append(row | {"outcome": "ran"} | told)
    return rows


def _tell_unfinished(session: Session, rows: list[dict[str, Any]]) -> None:
    """Names what stopped runs left in the scratch folder: it takes room, and the same command goes on with it."""
    from qrex.store import stale_areas
    from qrex.units import format_bytes

    if all(row["outcome"] == "ran" and row.get("kept") for row in rows):
        return  # nothing was run
    folder, _ = session.scratch_room
    left = [area for area in stale_areas(folder) if area.disk_bytes >= _TOLD_BYTES] if folder else []
    if left:
        total = format_bytes(sum(area.disk_bytes for area in left))
        names = ", ".join(str(area.path) for area in left)
        session.tell(
            f"runs that were stopped left {total} on the disk, from which the command that was stopped goes on: "
            f"{names}; delete what is not wanted"
        )


def _predicted(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """What had been predicted, as `qrex show --predictions` tells it; all None where nothing had been."""
    from qrex.expansion.predictions import when_said

    if kept is None:
        return dict.fromkeys(("predicted_seconds", "predicted_bytes", "predicted_when", "predicted_is_bound"))
    return {
        "predicted_seconds": kept["predicted_seconds"],
        "predicted_bytes": kept["predicted_bytes"],
        "predicted_when": when_said(kept) or None,
        "predicted_is_bound": kept["upper_bound"],
    }


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
        row = _asked(session, circuit) | {"engine": session.qpu.name}
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
                "infidelity": None,  # stated by simulators; a device's answer has a measured fidelity instead
                "counts": value["counts"],
            }
        )
    return rows


def _asked(session: Session, circuit: Circuit) -> dict[str, Any]:
    return {
        "name": circuit.name,
        "id": circuit.id,
        "shots": session.shots_of(circuit),
        "registers": _registers(circuit.quantum_circuit),
    }


def _registers(circuit: QuantumCircuit) -> list[dict[str, Any]]:
    """Classical registers as declared; bit k of a key of the counts stands k places from its right end."""
    return [
        {"name": register.name, "size": register.size, "bits": [circuit.find_bit(bit).index for bit in register]}
        for register in circuit.cregs
    ]


_SHOWN = 8
_TOLD_BYTES = 1 << 20


def _show(row: dict) -> None:
    if row["outcome"] != "ran":
        click.echo(plain(f"{row['name']}: {row['outcome']}: {row['error']}"))
        return
    lost = f", stated infidelity at most {row['infidelity']:.1g}" if row["infidelity"] else ""
    click.echo(plain(f"{row['name']}: {_where(row)}, {row['shots']:,} shots{lost}"))
    said = (_tiers(row.get("tiers")), _said(row), row["reason"])
    print_wrapped("; ".join(filter(None, said)), indent="    ", hanging="  ")
    counts = sorted(row["counts"].items(), key=lambda item: (-item[1], item[0]))
    width = len(str(counts[0][1])) if counts else 0
    for outcome, count in counts[:_SHOWN]:
        click.echo(f"    {outcome}  {count:>{width}}")
    if len(counts) > _SHOWN:
        click.echo(f"    and {len(counts) - _SHOWN:,} more outcomes (--json has all)")
    show_observed(row)


def _tiers(found: dict | None) -> str:
    """What a state larger than the memory took."""
    from qrex.units import format_bytes

    if found is None:
        return ""
    moved = found["read_bytes"] + found["written_bytes"]
    disk = (
        f"{format_bytes(found['disk_bytes'])} of disk as {found['codec']}, {format_bytes(moved)} moved"
        if found["disk_bytes"] else "no disk"
    )  # fmt: skip
    resumed = ", resumed" if found["resumed"] else ""
    left = f"; {found['left']}" if found.get("left") else ""
    stages = f"{found['stages']} stages of at most {max(found['sub_state_qubits'])} qubits in memory"
    return f"{stages}, {disk}{resumed}{left}"


def _said(row: dict) -> str:
    from qrex.units import format_seconds

    if row.get("predicted_seconds") is None:
        return ""
    what = "bound of the model" if row["predicted_is_bound"] else "predicted"
    when = f" {row['predicted_when']}" if row["predicted_when"] else ""
    return f"{what} {format_seconds(row['predicted_seconds'])}{when}"


def _where(row: dict) -> str:
    from qrex.units import format_seconds

    took = format_seconds(row["seconds"])
    if "source" not in row:
        return f"{row['engine']}, {took}{', kept from an earlier run' if row['kept'] else ''}"
    device = "" if row["device_seconds"] is None else f"{format_seconds(row['device_seconds'])} of device time"
    if row["source"] == "simulated":
        return f"{row['engine']}, simulated in {took} ({device} by the model)"
    return f"{row['engine']}, {row['source']}{', ' + device if device else ''}"
