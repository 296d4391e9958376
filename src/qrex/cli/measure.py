"""`qrex measure PROTOCOL`: one protocol on one QPU, with a plot, CSV and JSON."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qrex.circuits import MAX_SHOTS
from qrex.cli import options
from qrex.cli.readings import print_readings, readings_csv

if TYPE_CHECKING:
    from qrex.cli.protocols import Findings
    from qrex.expansion.session import Session

__all__ = ["command"]

_OPTIONS_OF = {
    "rb": ("width",), "tomography": ("gate",), "coherence": ("window", "sequence"), "entanglement": (),
    "layer": ("chain", "sequence"), "interleaved": ("gate", "window", "width"), "volume": ("width",),
    "t1": (), "ramsey": (), "echo": (), "zz": (),
}  # fmt: skip
_RELAXATION: dict[str, Any] = {"t1": "T1", "ramsey": "Ramsey", "echo": "echo"}


@click.command("measure", short_help="Run one protocol on one QPU, with plot, CSV and JSON.")
@click.argument("protocol", type=click.Choice(list(_OPTIONS_OF)), metavar="PROTOCOL")
@options.platform
@options.qpu
@click.option("--shots", metavar="N", type=click.IntRange(1, MAX_SHOTS), default=1000, show_default=True,
              help="Shots per circuit.")  # fmt: skip
@options.seed
@click.option("--width", metavar="N", type=click.IntRange(1, 12),
              help="rb: only one-qubit (1) or two-qubit (2) Cliffords. interleaved: which of them; default: 1. volume: "
                   "this width alone, 2 to 12; default: widths from 2 up to the first that fails.")  # fmt: skip
@click.option("--gate", type=click.Choice(["sx", "x", "h", "id"]),
              help="tomography, interleaved: the gate. Default: sx; of pairs their native one.")
@click.option("--chain", metavar="QUBITS",
              help='layer: qubits in a row, e.g. "0,1,2". Default: the best 10 that the calibration names, else a path '
                   "of little gate error.")  # fmt: skip
@click.option("--window", "windows", type=options.SECONDS, multiple=True, metavar="TIME",
              help='coherence, interleaved: an idle window, e.g. "5us"; may be repeated. Default of coherence: six, up '
                   "to where T1 and T2 alone allow Q = 0.68.")  # fmt: skip
@click.option("--sequence", "sequences", multiple=True,
              type=click.Choice(["zz-aware", "XX", "XY4", "XY8", "XX-staggered", "XY4-staggered"]),
              help="coherence, layer: measure with this decoupling sequence as well; may be repeated.")  # fmt: skip
@click.option("--out", metavar="FOLDER", type=click.Path(), default="out", show_default=True,
              help="Folder for the plot, CSV and JSON.")  # fmt: skip
@options.cores
@options.store
@options.quiet
@options.json_flag
def command(
    protocol: str,
    platform: str | None,
    qpu: str | None,
    shots: int,
    seed: int,
    width: int | None,
    gate: str | None,
    chain: str | None,
    windows: tuple[float, ...],
    sequences: tuple[str, ...],
    out: str,
    cores: int | None,
    store: str | None,
    quiet: bool,
    as_json_flag: bool,
) -> None:
    """Run one protocol on one QPU: a table on stdout; a plot, CSV and JSON in --out.

    \b
    PROTOCOL is one of
      rb            Clifford randomized benchmarking, one and two qubits
      tomography    process tomography of a one-qubit gate on every qubit
      coherence     Q of idle windows, plain and decoupled, with the T1/T2 ceiling
      entanglement  fidelity and ebits of every link, the density E beside them
      layer         layer fidelity of a chain: all that its layers do, at once
      interleaved   error of one gate, or of an idle window, between random Cliffords
      volume        quantum volume: Qiskit's preset level 3 and everything on
      t1, echo      T1 and T2 of every qubit
      ramsey        T2* and detuning of every qubit
      zz            ZZ of every link, with its sign

    Raw counts are kept: the same measurement is never made twice.
    """
    _refuse_options_of_others(protocol, {"width": width, "gate": gate, "window": windows, "sequence": sequences,
                                         "chain": chain})  # fmt: skip
    if width and not (width >= 2 if protocol == "volume" else width <= 2):
        there_is = "2 to 12" if protocol == "volume" else "1 and 2"
        raise click.UsageError(f"--width {width} is none of {protocol}: {protocol} has {there_is}")
    from qrex.cli import protocols, protocols_layers, protocols_relaxation, protocols_volume
    from qrex.cli.opening import open_session
    from qrex.errors import InfeasibleError
    from qrex.report import check_writable

    folder = check_writable(out)
    with open_session((), platform, seed=seed, cores=cores, store=store, quiet=quiet, qpu=qpu) as session:
        if session.qpu is None:
            raise InfeasibleError(
                f"{protocol} measures a QPU, and the platform {session.platform.name!r} has none; add a [[qpu]] to its "
                "file, or name a fake backend with --platform"
            )
        run_id = _start_run(session, protocol, shots, {"width": width, "gate": gate, "windows": windows,
                                                       "sequences": sequences, "chain": chain})  # fmt: skip
        try:
            if protocol == "rb":
                findings = protocols.benchmark(session, shots, (width,) if width else (1, 2))
            elif protocol == "tomography":
                findings = protocols.tomography(session, shots, gate or "sx")
            elif protocol == "coherence":
                findings = protocols.coherence(session, shots, windows, sequences)
            elif protocol == "layer":
                findings = protocols_layers.layer(session, shots, chain, sequences)
            elif protocol == "interleaved":
                findings = protocols_layers.interleaved(session, shots, gate, windows, width)
            elif protocol == "entanglement":
                findings = protocols.entanglement(session, shots)
            elif protocol == "volume":
                findings = protocols_volume.volume(session, shots, width)
            elif protocol == "zz":
                findings = protocols_relaxation.zz(session, shots)
            else:
                findings = protocols_relaxation.relaxation(session, shots, _RELAXATION[protocol])
            document = _save(folder, protocol, findings, session, shots)
        except BaseException:
            session.store.finish_run(run_id, "failed", None)
            raise
        session.store.finish_run(run_id, "done", {"files": document["files"]})
    if as_json_flag:
        options.as_json(document)
    else:
        _show(findings, document)


def _refuse_options_of_others(protocol: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value and name not in _OPTIONS_OF[protocol]:
            *others, last = (other for other, names in _OPTIONS_OF.items() if name in names)
            owners = f"{', '.join(others)} and {last}" if others else last
            raise click.UsageError(f"--{name} is an option of {owners}; {protocol} does not take it")


def _start_run(session: Session, protocol: str, shots: int, chosen: dict[str, Any]) -> str:
    from qrex.store import content_key

    asked = {"protocol": protocol, "qpu": session.qpu.name, "calibration": session.qpu.calibration_id,
             "shots": shots, "seed": session.settings.seed, **chosen}  # fmt: skip
    run_id = content_key("measure", asked)
    command_line = shlex.join(["qrex", *sys.argv[1:]])
    session.store.start_run(run_id, "measure", f"{protocol} on {session.qpu.name}", {"command": command_line})
    return run_id


def _save(folder: Path, protocol: str, findings: Findings, session: Session, shots: int) -> dict[str, Any]:
    """Write the three files; returns what the JSON file holds."""
    from qrex.report.protocol_plots import save_png

    qpu = session.qpu
    stem = f"{protocol}_{''.join(c if c.isalnum() or c in '-_' else '_' for c in qpu.name)}"
    files = {kind: folder / f"{stem}.{kind}" for kind in ("png", "csv", "json")}
    subtitle = (
        f"{_source(qpu.source)}, {qpu.num_qubits} qubits, calibrated {_day(qpu.calibration_date)}   ·   "
        f"{shots:,} shots per circuit, seed {session.settings.seed}   ·   error bars: 95 % intervals"
    )
    save_png(findings.draw(f"{findings.title} on {qpu.name}", subtitle), files["png"])
    files["csv"].write_text(readings_csv(findings.readings), encoding="utf-8")
    document = {
        "protocol": protocol,
        "title": findings.title,
        "qpu": {"name": qpu.name, "source": qpu.source, "qubits": qpu.num_qubits,
                "calibration_date": qpu.calibration_date, "calibration_id": qpu.calibration_id,
                "noise": qpu.noise_description},
        "shots_per_circuit": shots,
        "seed": session.settings.seed,
        "readings": [reading.to_dict() for reading in findings.readings],
        "notes": list(findings.notes),
        "files": {kind: str(path) for kind, path in files.items()},
    }  # fmt: skip
    files["json"].write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def _source(source: str) -> str:
    return "simulated from its calibration" if source == "simulated" else source


def _day(date: str | None) -> str:
    return date[:10] if date else "at an unknown date"


def _show(findings: Findings, document: dict[str, Any]) -> None:
    qpu = document["qpu"]
    click.echo(f"{findings.title}: {qpu['name']}, {_source(qpu['source'])}, {qpu['qubits']} qubits, "
               f"{document['shots_per_circuit']:,} shots per circuit")  # fmt: skip
    click.echo(f"noise: {qpu['noise']}\n")
    print_readings(findings.readings)
    for note in findings.notes:
        click.echo(f"note: {note}")
    click.echo(f"\nPlot: {document['files']['png']} (numbers beside it: .csv, .json)")
