"""Clifford programs in which shots part ways: gates, measurements or resets under measured bits.

In: a program, its conversion, shots. Out: for each way that shots took, one plain stim circuit and how many
shots took it. A way fixes the outcome of every measurement and reset up to the last row that needs it; from there
on all its shots are sampled together. At most min(shots, 2^random outcomes) ways, each O(rows × qubits).

Method: a measurement that is random is forced. If P stabilizes the state before it and anticommutes with the
measured Z, then P maps one outcome's state onto the other's, so "measure, and apply P if the outcome is not the
wanted one" prepares the wanted state exactly (Aaronson and Gottesman, quant-ph/0406196, section III).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import stim

from qrex.circuits.program import Program
from qrex.engines.stabilizer.conversion import Conversion
from qrex.profile.clifford_rows import CliffordRows, follow_guards
from qrex.profile.feedback import resolve_guard

__all__ = ["Way", "ways"]

_PAULIS = "_XYZ"
_PLAIN_ROWS = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True)
class Way:
    """`shots` of `circuit`, classical bit k being its record `columns[k]`."""

    circuit: stim.Circuit
    columns: dict[int, int]
    shots: int


@dataclass(slots=True)
class _Open:
    """A way still being followed: everything before `row` is done, with the outcomes in `values`."""

    row: int
    simulator: stim.TableauSimulator
    text: list[str]
    values: dict[int, int]
    records: int
    shots: int


def ways(
    program: Program, rows: CliffordRows, conversion: Conversion, shots: int, random: np.random.Generator
) -> Iterator[Way]:
    """Every way that any of `shots` takes."""
    last = rows.followed.branching_row
    events = np.flatnonzero((rows.gate < 0) | (program.guard >= 0))
    stops = events[events <= last].tolist()
    simulator = stim.TableauSimulator(seed=0)
    simulator.set_num_qubits(program.num_qubits)
    pending = [_Open(0, simulator, [], {}, 0, shots)]
    while pending:
        way = pending.pop()
        for row in stops[bisect_left(stops, way.row) :]:
            _write(way, conversion, way.row, row)
            way.row = row + 1
            if not _runs(program, row, way.values):
                continue
            if rows.gate[row] < 0:
                way = _collapsed(way, program, row, random, pending)
            else:
                _write(way, conversion, row, row + 1)
        yield _finished(way, program, rows, conversion)


def _runs(program: Program, row: int, values: dict[int, int]) -> bool:
    guard = int(program.guard[row])
    return guard < 0 or bool(resolve_guard(program.guards[guard], values).value)


def _write(way: _Open, conversion: Conversion, begin: int, end: int) -> None:
    """Add rows that run; none of them a measurement or a reset."""
    if begin == end:
        return
    text = conversion.text(_PLAIN_ROWS, begin, end, 0)
    way.text.append(text)
    way.simulator.do(stim.Circuit(text))


def _collapsed(
    way: _Open, program: Program, row: int, random: np.random.Generator, pending: list[_Open]
) -> _Open:
    """Go on with one outcome of a measurement, or of the one that a reset makes unseen; the other outcome, where
    any shot has it, joins `pending`."""
    qubit, clbit = program.qubits_of(row)[0], int(program.clbit[row])
    sure = way.simulator.peek_z(qubit)
    if sure:
        return _after(way, qubit, clbit, int(sure < 0), [], way.shots)
    ones = int(random.binomial(way.shots, 0.5))
    found = []
    for value, shots in ((0, way.shots - ones), (1, ones)):
        if not shots:
            continue
        simulator = way.simulator.copy()
        outcome, kickback = simulator.measure_kickback(qubit)
        if outcome != bool(value):
            simulator.do(kickback)
        other = _Open(way.row, simulator, list(way.text), dict(way.values), way.records, way.shots)
        found.append(_after(other, qubit, clbit, value, _forced(kickback, value), shots))
    pending.extend(found[1:])
    return found[0]


def _after(way: _Open, qubit: int, clbit: int, value: int, forced: Iterable[str], shots: int) -> _Open:
    """`way` once `qubit` was found in `value`; `clbit` is -1 for a reset."""
    way.text += [f"M {qubit}", *forced]
    way.records += 1
    way.shots = shots
    if clbit >= 0:
        way.values[clbit] = value
    else:
        way.text.append(f"R {qubit}")
        way.simulator.reset(qubit)
    return way


def _forced(kickback: stim.PauliString, value: int) -> Iterator[str]:
    """Apply `kickback` where the last record is not `value`."""
    for qubit in kickback.pauli_indices():
        pauli = _PAULIS[kickback[qubit]]
        yield f"C{pauli} rec[-1] {qubit}"
        if value:
            yield f"{pauli} {qubit}"


def _finished(way: _Open, program: Program, rows: CliffordRows, conversion: Conversion) -> Way:
    """The rest of the program, the bits known so far as records of constants."""
    constants = list(way.values.items())
    if constants:
        way.text.append("MPAD " + " ".join(str(value) for _, value in constants))
    columns = {bit: way.records + place for place, (bit, _) in enumerate(constants)}
    before = way.records + len(constants)
    rest = follow_guards(program, rows.gate, rows.operations, way.row, way.values)
    way.text.append(conversion.text(rest.action, way.row, len(program), 0))
    columns |= {bit: before + record for bit, record in rest.columns.items()}
    return Way(stim.Circuit("\n".join(way.text)), columns, way.shots)
