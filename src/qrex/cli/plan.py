"""`qrex plan WORKLOAD`: where each circuit would run, and why nowhere else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from qrex.cli import options
from qrex.cli.tables import print_table, print_wrapped

if TYPE_CHECKING:
    from qrex.circuits import Circuit
    from qrex.execute.solving import Prepared
    from qrex.expansion.session import Session
    from qrex.expansion.simulation import PlannedRoutes

__all__ = ["command"]


@click.command("plan", short_help="Where each circuit would run, and why nowhere else.")
@options.workload
@options.platform
@options.shots
@options.cores
@options.memory
@options.scratch
@options.disk
@options.codec
@click.option("--engine", metavar="NAME", help="Plan for this engine of `qrex engines` only.")
@options.measure_all
@options.strict
@options.store
@options.quiet
@options.json_flag
def command(
    workload: tuple[str, ...],
    platform: str | None,
    shots: int | None,
    cores: int | None,
    memory: int | None,
    scratch: str | None,
    disk: int | None,
    codec: str,
    engine: str | None,
    measure_all: bool,
    strict: bool,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Say for each circuit of WORKLOAD: engine, seconds, bytes, and why each other engine was passed over.

    Nothing of the workload is run. Exit 3 where a circuit fits no engine for certain, 2 where a file cannot be
    read.
    """
    from qrex.cli.opening import check_all_read, check_engine, open_session
    from qrex.errors import InfeasibleError
    from qrex.expansion.simulation import plan_routes

    check_engine(engine)
    with open_session(
        workload, platform, shots=shots, cores=cores, memory=memory, scratch=scratch, disk=disk, codec=codec,
        measure_all=measure_all, strict=strict, store=store, quiet=quiet,
    ) as session:  # fmt: skip
        planned = plan_routes(session, session.workload.circuits, engine)
        rows = [_row(session, planned, circuit, engine) for circuit in planned.circuits]
        process_bytes = session.process_bytes
    if as_json_flag:
        options.as_json(rows)
    else:
        _show(rows, process_bytes)
    unsure = sum(row["feasible"] is not True for row in rows)
    if unsure:
        raise InfeasibleError(
            f"{unsure} of {len(rows)} circuits {'fits' if unsure == 1 else 'fit'} no engine for certain; the reasons, "
            "and what would make it feasible, stand with each"
        )
    check_all_read(session.workload)


def _row(session: Session, planned: PlannedRoutes, circuit: Circuit, engine: str | None) -> dict[str, Any]:
    """`feasible` is True, False, or None where an engine can only try it."""
    from qrex.expansion.simulation import explain_routes

    row = {"name": circuit.name, "id": circuit.id, "qubits": circuit.num_qubits}
    found = planned.prepared.get(circuit.id)
    if found is None:
        return row | {"feasible": False, "engine": None, "seconds": None, "bytes": None, "disk_bytes": None,
                      "upper_bound": None, "reason": planned.refused[circuit.id], "passed_over": {}, "parts": [],
                      "explanation": [], "advice": ""}  # fmt: skip
    chosen, sure = found.plan, not found.plan.guarded
    return row | {
        "feasible": True if sure else None,
        "engine": chosen.engine,
        "seconds": chosen.cost.seconds if sure else None,
        "bytes": chosen.cost.peak_bytes,
        "disk_bytes": chosen.cost.disk_bytes,
        "upper_bound": chosen.cost.upper_bound,
        "reason": chosen.reason,
        "passed_over": dict(chosen.passed_over),
        "parts": [
            {"engine": part.engine, "seconds": part.cost.seconds, "contenders": list(part.contenders)}
            for part in chosen.routes
        ],
        "explanation": explain_routes(session, circuit, found),
        "advice": "" if sure else _advice(session, found, engine),
    }


def _advice(session: Session, found: Prepared, engine: str | None) -> str:
    """The least memory with which an engine is certain to run the parts that are not certain to fit."""
    from qrex.engines import Job
    from qrex.engines.asking import ask_cost, ask_support
    from qrex.errors import EngineError
    from qrex.execute.solving import SolveRequest, engines_of
    from qrex.expansion.refusals import enough_memory

    whole = session.allotment(session.cores, session.memory_bytes)
    engines = engines_of(SolveRequest(Job(None, 1, 0), session.constants.values, whole, engine=engine))
    profiles = (found.analysis.profile,) if found.plan.whole else found.analysis.part_profiles
    least, name = 0, ""
    for chosen, profile in zip(found.plan.routes, profiles, strict=True):
        if not chosen.guarded:
            continue
        wanted = []
        for other, candidate in engines.items():
            if getattr(candidate, "delegates", False):
                continue
            with contextlib.suppress(EngineError):
                if ask_support(other, candidate, profile).supported:
                    cost = ask_cost(other, candidate, profile, whole)
                    if not cost.upper_bound:
                        wanted.append((cost.peak_bytes, other))
        if not wanted:
            return "a QPU, or a circuit with fewer qubits or weaker entanglement, would make it feasible"
        least, name = max((least, name), min(wanted))
    return f"with {name}, {enough_memory(session, least)}; a QPU, or fewer qubits, would make it feasible as well"


def _show(rows: list[dict[str, Any]], process_bytes: int) -> None:
    """One table of all circuits, then the reasons of each."""
    from qrex.units import format_bytes, format_seconds

    disk = any(row["disk_bytes"] for row in rows)
    columns = ("circuit", "qubits", "engine", "seconds", "bytes", *(["disk"] if disk else []), "")
    table = []
    for row in rows:
        seconds = "-" if row["seconds"] is None else format_seconds(row["seconds"])
        held = "-" if row["bytes"] is None else format_bytes(row["bytes"])
        remark = {True: "bound" if row["upper_bound"] else "", None: "would try", False: "infeasible"}[row["feasible"]]
        written = [format_bytes(row["disk_bytes"] or 0)] if disk else []
        table.append((row["name"], str(row["qubits"]), row["engine"] or "none", seconds, held, *written, remark))
    print_table(columns, table, right=("qubits", "seconds", "bytes", "disk"))
    click.echo()
    remarks = {line[-1] for line in table}
    if "bound" in remarks:
        print_wrapped("bound: what the model gives for the worst state that the structure allows; a run may stay far "
                      "below, and the model is no promise")  # fmt: skip
    print_wrapped(f"bytes: of the engine, beside at most {format_bytes(process_bytes)} that its worker process holds")
    if disk:
        print_wrapped("disk: at most; the stages say what it will be")
    for row in rows:
        click.echo()
        print_wrapped(f"{row['name']}: {row['reason']}", hanging="    ")
        for line in "\n".join(row["explanation"]).splitlines():
            print_wrapped(line.lstrip(), indent="    " if line[0] != " " else "      ", hanging="  ")
        for line in _grouped(row["passed_over"]):
            print_wrapped(f"not {line}", indent="    ", hanging="    ")
        if row["advice"]:
            print_wrapped(row["advice"], indent="    ", hanging="    ")


_OWN = re.compile(r"(slower)?(?:: )?((?:predicted|bound of the model|needs) .+?)[,;] (.*)")


def _grouped(passed_over: Mapping[str, str]) -> list[str]:
    """Engines with the same reason on one line, each with its own figure where that alone tells them apart.

    >>> _grouped({"b": "slower: predicted 2 s, a 1 s", "c": "slower: predicted 3 s, a 1 s", "d": "no", "e": "no"})
    ['b (predicted 2 s), c (predicted 3 s): slower, a 1 s', 'd, e: no']
    """
    groups: dict[str, list[str]] = {}
    for name, why in passed_over.items():
        own = _OWN.fullmatch(why)
        reason = why if own is None else ", ".join(filter(None, (own[1], own[3])))
        groups.setdefault(reason, []).append(name if own is None else f"{name} ({own[2]})")
    return [f"{', '.join(names)}: {reason}" for reason, names in groups.items()]
