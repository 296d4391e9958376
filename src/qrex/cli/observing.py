"""The options of `qrex run` that ask for more of a final state than samples, and how their answers are shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from qrex.cli.tables import plain
from qrex.errors import InputError

if TYPE_CHECKING:
    from qrex.circuits import Circuit
    from qrex.engines.statevector.observing import Wanted
    from qrex.expansion.session import Session

__all__ = ["Asked", "check_asked", "observed", "observing_options", "show_observed"]

ENGINE = "statevector"
_SHOWN = 8

_OPTIONS: tuple[Callable, ...] = (
    click.option(
        "--observable", metavar="SUM", multiple=True,
        help='Expectation value of a Pauli sum: "0.5*ZZI - IXY" (qubit 0 rightmost), "Z0*Z1 + 0.3*X4", or a .json file '
        'with {"ZZI": 0.5}. Repeatable.',
    ),
    click.option(
        "--marginal", metavar="QUBITS", multiple=True,
        help='Probabilities of all values of some qubits, e.g. "0,3,7" (at most 20), the first named rightmost. '
        "Repeatable.",
    ),
    click.option(
        "--probability", metavar="BITS", multiple=True,
        help="Exact probability of one outcome of all classical bits, bit 0 rightmost. Repeatable.",
    ),
    click.option(
        "--final-state", metavar="FILE", type=click.Path(),
        help='Write all amplitudes to a new .npy file (complex64, qubit 0 least significant). "{name}" in it becomes '
        "the circuit's name.",
    ),
)  # fmt: skip


def observing_options(command: Callable) -> Callable:
    """`command` with all of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    observables: tuple[str, ...]
    marginals: tuple[str, ...]
    probabilities: tuple[str, ...]
    final_state: str | None

    def __bool__(self) -> bool:
        return bool(self.observables or self.marginals or self.probabilities or self.final_state is not None)


def check_asked(engine: str | None) -> None:
    """InputError where the engine that was asked for gives counts alone."""
    if engine not in (None, ENGINE):
        raise InputError(
            f"--observable, --marginal, --probability and --final-state are of a final state, which the engine "
            f"{ENGINE!r} gives; --engine {engine} was asked for: leave it out"
        )


def observed(session: Session, asked: Asked) -> Iterator[tuple[Circuit, dict[str, Any]]]:
    """Each circuit with the part of its row that its observation makes.

    Raises InputError, before anything runs, where what was asked does not fit a circuit or a QPU was asked for.
    """
    from qrex.expansion.observing import run_observed

    circuits = session.workload.circuits
    wanted = {circuit.name: _wanted(circuit, asked) for circuit in circuits}
    files = _files(circuits, asked.final_state)
    payloads = run_observed(session, wanted, files)
    for circuit in circuits:
        payload = payloads[circuit.name]
        row = {
            "engine": ENGINE,
            "kept": payload["kept"],
            "reason": "asked for its final state",
            "seconds": payload["seconds"],
            "peak_bytes": payload["peak_rss_bytes"],
        }
        if payload["value"] is None:
            fits_not = payload["error_type"] in ("InfeasibleError", "MemoryLimitError")
            yield circuit, row | {"outcome": "infeasible" if fits_not else "failed", "error": payload["error"]}
        else:
            yield circuit, row | {"outcome": "ran"} | _answered(asked, payload["value"])


def _wanted(circuit: Circuit, asked: Asked) -> Wanted:
    from qrex.engines.statevector.observing import Wanted

    if circuit.target in ("qpu", "both"):
        raise InputError(
            f"{circuit.name} has the target {circuit.target!r}; a QPU gives counts and no final state: set its target "
            'to "simulate" in workload.toml, or leave out --observable and the like'
        )
    try:
        return Wanted.of(
            circuit.num_qubits, circuit.quantum_circuit.num_clbits, asked.observables,
            [_qubits(text) for text in asked.marginals], asked.probabilities,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{circuit.name}: {error}") from None


def _qubits(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise InputError(f'--marginal {text!r} names no qubits; write their numbers, counted from 0, as in "0,3,7"')
    return [int(part) for part in parts]


def _files(circuits: tuple[Circuit, ...], pattern: str | None) -> dict[str, str]:
    """Where the final state of each circuit goes, by its name."""
    from qrex.engines.statevector.state_file import check_state_path

    if pattern is None:
        return {}
    if len(circuits) > 1 and "{name}" not in pattern:
        raise InputError(
            f"--final-state {pattern!r} is one file for {len(circuits)} circuits; write {{name}} where the circuit's "
            "name is to stand"
        )
    files = {c.name: os.path.abspath(pattern.replace("{name}", c.name.replace(os.sep, "_"))) for c in circuits}
    for path in files.values():
        check_state_path(path)
    if len(set(files.values())) < len(files):
        raise InputError(f"--final-state {pattern!r} is the same file for two circuits; run them one at a time")
    return files


def _answered(asked: Asked, value: dict[str, Any]) -> dict[str, Any]:
    """Answers under what was typed; None for what was not asked."""
    sums = zip(asked.observables, value["expectation_values"], value["expectation_errors"], strict=True)
    tables = zip(asked.marginals, value["marginals"], strict=True)
    return {
        "infidelity": value["infidelity"],
        "norm": value["norm"],
        "tiers": value["tiers"],
        "counts": value["counts"],
        "observables": {text: {"value": mean, "error_bound": error} for text, mean, error in sums} or None,
        "marginals": {text: _by_bits(table) for text, table in tables} or None,
        "probabilities": {text: value["probabilities"][text.replace(" ", "")] for text in asked.probabilities} or None,
        "probability_error_bound": value["probability_error"],
        "final_state": value["final_state"],
    }


def _by_bits(table: list[float]) -> dict[str, float]:
    width = len(table).bit_length() - 1
    return {format(index, f"0{width}b"): share for index, share in enumerate(table)}


def show_observed(row: dict[str, Any]) -> None:
    """What was asked of the final state of `row`, in lines on stdout."""
    for text, found in (row.get("observables") or {}).items():
        bound = f"{found['error_bound']:.1g}"
        click.echo(plain(f"    <{text}> = {found['value']:.8g}, off by at most {bound} at that infidelity"))
    off = f"off by at most {row.get('probability_error_bound') or 0.0:.1g} at that infidelity"
    for text, share in (row.get("probabilities") or {}).items():
        click.echo(plain(f"    probability of {text}: {share:.8g}, {off}"))
    for text, table in (row.get("marginals") or {}).items():
        click.echo(plain(f"    marginal of qubits {text}, the first rightmost; {off}"))
        likely = sorted(table.items(), key=lambda item: (-item[1], item[0]))
        for bits, share in likely[:_SHOWN]:
            click.echo(f"    {bits}  {share:.8f}")
        if len(likely) > _SHOWN:
            click.echo(f"    and {len(likely) - _SHOWN:,} more values (--json has all)")
    if row.get("final_state"):
        click.echo(plain(f"    final state: {row['final_state']}"))
