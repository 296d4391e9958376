"""`qrex profile WORKLOAD`: what each circuit needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from qrex.cli import options
from qrex.cli.tables import print_table, print_wrapped

if TYPE_CHECKING:
    from qrex.profile.analysis import Analysis

__all__ = ["command"]


@click.command("profile", short_help="What each circuit needs.")
@options.workload
@options.measure_all
@options.strict
@options.json_flag
def command(workload: tuple[str, ...], measure_all: bool, strict: bool, as_json_flag: bool) -> None:
    """Read off what each circuit of WORKLOAD needs, without running it.

    Of each circuit, "gates" are worked out beforehand where that is possible: "certain" bits then need no run,
    "coins" are bits that are independent of all others, and "parts" are what is left to simulate, each on its own,
    in "rows" on at most "widest" qubits. "Cliff" says yes, or how many rows come before the first gate that is not
    Clifford. "bond" and "supp" bound log2 of the bond dimension of a matrix product state and of its support, the
    number of nonzero amplitudes. Exit 2 where a file cannot be read; the others are shown all the same.
    """
    from qrex.cli.opening import check_all_read, read_workload
    from qrex.profile import analyze

    loaded = read_workload(workload, strict=strict, measure_all=measure_all)
    found = [(circuit.name, analyze(circuit)) for circuit in loaded.circuits]
    if as_json_flag:
        options.as_json([_json(name, analysis) for name, analysis in found])
    else:
        print_table(_COLUMNS, [_row(name, analysis) for name, analysis in found], right=_COLUMNS[1:])
        click.echo()
        for line in _LEGEND:
            print_wrapped(line)
        for name, analysis in found:
            if notes := _notes(analysis):
                print_wrapped(f"{name}: {notes}", hanging="  ")
    check_all_read(loaded)


# Short heads, so that the table fits 80 columns.
_COLUMNS = (
    "circuit", "qubits", "gates", "certain", "coins", "parts", "widest", "rows", "Cliff", "bond", "supp",
)  # fmt: skip
_LEGEND = (
    "certain, coins: outcome bits worked out without a run, and bits independent of all others; parts: what is left "
    "to simulate, in rows on at most widest qubits each",
    "Cliff: Clifford (yes), or the rows before the first gate that is not; bond, supp: log2 of the bounds on the bond "
    "dimension and on the support, the number of nonzero amplitudes",
)


def _notes(analysis: Analysis) -> str:
    reduced, parts = analysis.reduced, analysis.part_profiles
    notes = [
        text
        for on, text in (
            (reduced.relabelled, f"{_count(reduced.relabelled, 'swap')} renamed"),
            (reduced.unseen, f"{_count(reduced.unseen, 'row')} unseen"),
            (any(not part.terminal_measurements_only for part in parts), "mid-circuit measurement"),
            (sum(part.resets for part in parts), _count(sum(part.resets for part in parts), "reset")),
            (sum(part.conditionals for part in parts), _count(sum(part.conditionals for part in parts), "condition")),
            (any(part.program.obstacle for part in reduced.parts), "runs only as written"),
        )
        if on
    ]
    return ", ".join(notes)


def _row(name: str, analysis: Analysis) -> list[str]:
    whole, reduced, parts = analysis.profile, analysis.reduced, analysis.part_profiles
    clifford = "yes"
    if not all(part.is_clifford for part in parts):
        clifford = str(max((part.clifford_prefix for part in parts if not part.is_clifford), default=0))
    numbers = (
        whole.num_qubits, whole.one_qubit_gates + whole.two_qubit_gates + whole.many_qubit_gates,
        len(reduced.constants), len(reduced.coin_bits), len(parts), reduced.widest_part, reduced.rows_after,
    )  # fmt: skip
    bounds = [
        f"{max(bounds):.0f}" if parts else "-"
        for bounds in ([part.max_log2_schmidt for part in parts], [part.log2_support for part in parts])
    ]
    return [name, *map(str, numbers), clifford if parts else "-", *bounds]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _json(name: str, analysis: Analysis) -> dict[str, Any]:
    reduced = analysis.reduced
    return {
        "name": name,
        **analysis.profile.to_dict(),
        "reduced": {
            "certain_bits": {str(bit): value for bit, value in sorted(reduced.constants.items())},
            "coins": dict(zip(map(str, reduced.coin_bits.tolist()), reduced.coin_ones.tolist(), strict=True)),
            "rows": reduced.rows_after,
            "rows_before": reduced.rows_before,
            "rows_folded": reduced.folded,
            "rows_unseen": reduced.unseen,
            "swaps_renamed": reduced.relabelled,
            "parts": [
                {"qubits": part.qubits, "bits": part.clbits, **profile.to_dict()}
                for part, profile in zip(reduced.parts, analysis.part_profiles, strict=True)
            ],
        },
    }
