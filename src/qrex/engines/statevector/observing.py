"""Expectation values, marginals, probabilities and the whole of one final state.

In: a program, a `Wanted`, an `Allotment`. Out: an `Observation`. The program is followed as it is, in one stage where
its state fits the memory, else in several, over memory and disk (`tiers`). Measurements that nothing depends on wait
until the end, and the state is the one before them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import sqrt
from numbers import Integral
from typing import Any

import numpy as np

from qrex import _kernels
from qrex.circuits.program import Program
from qrex.engines.protocol import Allotment, Job, Progress
from qrex.engines.statevector.engine import MAX_WIRES, StateVectorEngine
from qrex.engines.statevector.pauli_sums import Terms, pauli_terms
from qrex.engines.statevector.state_file import StateFile
from qrex.engines.statevector.tiers.outputs import SLAB_BYTES, FinalState, Marginal, PauliSum, Probabilities
from qrex.engines.statevector.tiers.run import TieredRun, program_hash
from qrex.engines.statevector.tiers.sampling_job import budget_of, run_in_area, stated_infidelity, tiers_told
from qrex.engines.statevector.tiers.segment_run import Output
from qrex.errors import InfeasibleError, InputError, MemoryLimitError
from qrex.store import content_key
from qrex.units import format_bytes

__all__ = ["Observation", "Wanted", "observe_program"]

_MARGINAL_BYTES = 200  # per value: sums, and what is kept of them between two stages


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a final state, checked against its circuit by `of`. The first qubit of a marginal is the least
    significant; a probability is of a string of all classical bits, bit 0 rightmost."""

    observables: tuple[Terms, ...] = ()
    marginals: tuple[tuple[int, ...], ...] = ()
    probabilities: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, num_qubits: int, num_clbits: int, observables: Iterable[Any] = (),
        marginals: Iterable[Sequence[int]] = (), probabilities: Iterable[str] = (),
    ) -> Wanted:  # fmt: skip
        """Sums as `pauli_terms` reads them; spaces in bit strings are left out. Raises InputError for what does not
        fit the circuit, and for what is asked for twice."""
        sums = tuple(pauli_terms(one, num_qubits) for one in _listed(observables, "observables"))
        tables = tuple(_qubits(qubits) for qubits in _listed(marginals, "marginals"))
        strings = tuple(str(text).replace(" ", "") for text in _listed(probabilities, "probabilities"))
        for what, asked in (("observable", sums), ("marginal", tables), ("probability", strings)):
            if len(set(asked)) < len(asked):
                raise InputError(f"the same {what} is asked for twice; ask once")
        for qubits in tables:
            Marginal.check(qubits, num_qubits)
        for text in strings:
            Probabilities.check(text, num_clbits)
        return cls(sums, tables, strings)


def _qubits(given: Iterable[int]) -> tuple[int, ...]:
    found = tuple(_listed(given, "a marginal"))
    if any(not isinstance(qubit, Integral) or isinstance(qubit, bool) for qubit in found):
        raise InputError(f"a marginal is {given!s:.60}; give the numbers of its qubits, counted from 0")
    return tuple(map(int, found))


def _listed(given: Iterable[Any], what: str) -> Sequence[Any]:
    """One of them instead of a list of them would be taken apart, letter by letter."""
    if isinstance(given, str | os.PathLike | Mapping) or not isinstance(given, Iterable) or hasattr(given, "to_list"):
        raise InputError(f"{what} is {given!s:.60}; give a list, also of one")
    return list(given)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was asked of a final state, in the order in which it was asked.

    `counts` by outcome, bit 0 rightmost. `marginals`: arrays of 2^k probabilities; bit j of an index is the value of
    the j-th qubit named. Values are of the state as computed, divided by its `norm` (1 up to rounding).

    `infidelity` ε is stated as `StateVectorEngine` states it: what arithmetic may lose, bounded, and what codecs lost,
    measured. `expectation_errors` are what it allows: 2 √ε Σ|coefficient|, over the terms that are not the identity.
    `tiers` says how a state larger than the memory was run, None where it was not larger. `final_state` is the file.
    """

    counts: Mapping[str, int]
    expectation_values: tuple[float, ...]
    expectation_errors: tuple[float, ...]
    marginals: tuple[np.ndarray, ...]
    probabilities: Mapping[str, float]
    infidelity: float
    norm: float
    tiers: Mapping[str, Any] | None
    final_state: str | None

    @property
    def probability_error(self) -> float:
        """√ε: what the stated infidelity allows any probability, and any sum of probabilities, to be off."""
        return sqrt(self.infidelity)


def observe_program(
    program: Program, num_qubits: int, wanted: Wanted, allotment: Allotment, constants: Mapping[str, float],
    progress: Progress, *, shots: int = 0, seed: int = 0,
    final_state: str | os.PathLike[str] | np.ndarray | None = None,
) -> Observation:  # fmt: skip
    """Follow `program`, of a circuit of `num_qubits` qubits, within `allotment`. With `constants` {} the stages are
    those that move the fewest bytes. A run with a scratch folder that was stopped goes on when it comes again, unless
    `final_state` is an array.

    Raises InfeasibleError, before any work, where the circuit has no one final state, or does not fit; InputError for a
    file that is there already; EngineError and StoreError as `TieredRun.run` does.
    """
    if program.obstacle:
        raise InfeasibleError(f"the state-vector engine cannot run it: {program.obstacle}")
    wires = _kernels.dense_outline(program, 1)[0]
    if wires > MAX_WIRES:
        raise InfeasibleError(f"{wires} qubits are in use; a state vector of at most {MAX_WIRES} is possible")
    if wanted == Wanted() and final_state is None:
        if not shots:
            raise InputError("nothing is asked: give shots, observables, marginals, probabilities or final_state")
        return _sampled(program, allotment, constants, progress, shots, seed)
    if program.num_qubits > num_qubits:
        raise InfeasibleError(
            "an if statement writes a bit that it tests, so that there is no one final state; ask for shots alone"
        )
    threads, codec = allotment.threads, allotment.codec
    sums = [PauliSum(f"observable {_hash(terms)}", terms, num_qubits, threads) for terms in wanted.observables]
    tables = [Marginal(f"marginal {_hash(qubits)}", qubits, num_qubits, threads) for qubits in wanted.marginals]
    strings = Probabilities(
        f"probabilities {_hash(wanted.probabilities)}", wanted.probabilities, program.num_clbits, threads
    )
    outputs: list[Output] = [*sums, *tables, *([strings] if wanted.probabilities else [])]
    memory = allotment.memory_bytes - sum(_MARGINAL_BYTES << len(qubits) for qubits in wanted.marginals)
    scratch = allotment.scratch_dir
    with ExitStack() as stack:
        file = None
        if isinstance(final_state, np.ndarray):
            outputs.append(FinalState(final_state, num_qubits, threads, f"state {uuid.uuid4().hex}"))
        elif final_state is not None:
            identity = content_key("final state", {"program": program_hash(program), "codec": codec})
            file = stack.enter_context(StateFile(final_state, num_qubits, identity))
            outputs.append(FinalState(file.array, num_qubits, threads, f"state {file.name}", in_file=True))
            memory -= min(SLAB_BYTES, file.array.nbytes)  # so much of it is resident
        if memory <= 0:
            raise InfeasibleError(
                f"what is asked beside the state takes {format_bytes(allotment.memory_bytes - memory)}; "
                f"{format_bytes(allotment.memory_bytes)} of memory may be used: allow more, or ask for fewer marginals"
            )
        budget = budget_of(replace(allotment, memory_bytes=memory))
        run = TieredRun(program, budget, constants, shots=shots, seed=seed, outputs=outputs)
        if isinstance(final_state, np.ndarray):
            final_state[...] = 0
        if file is not None:
            file.reserve()
            file.keep = scratch is not None and len(run.plan.stages) > 1
        traffic = run_in_area(run, scratch, progress, file.finish if file is not None else lambda: None)
    infidelity = stated_infidelity(run, traffic, len(program))
    return Observation(
        counts=dict(run.counts),
        expectation_values=tuple(one.value / traffic.norm for one in sums),
        expectation_errors=tuple(2 * sqrt(infidelity) * _weight(terms) for terms in wanted.observables),
        marginals=tuple(one.table / traffic.norm for one in tables),
        probabilities={text: share / traffic.norm for text, share in strings.values.items()},
        infidelity=infidelity,
        norm=traffic.norm,
        tiers=tiers_told(run.plan, traffic) if len(run.plan.stages) > 1 else None,
        final_state=None if file is None else str(file.path),
    )


def _sampled(
    program: Program, allotment: Allotment, constants: Mapping[str, float], progress: Progress, shots: int, seed: int
) -> Observation:  # fmt: skip
    """Samples alone, which outcomes in the middle do not stand against."""
    try:
        found = StateVectorEngine(constants).run(Job(None, shots, seed, given=program), allotment, progress)
    except MemoryLimitError as error:  # of a worker's allotment: here nothing was done yet
        raise InfeasibleError(str(error)) from error
    told = found.metadata
    return Observation(found.counts, (), (), (), {}, told["infidelity"], told["norm"], told.get("tiers"), None)


def _hash(asked: Any) -> str:
    return content_key("asked", {"of the state": asked})


def _weight(terms: Terms) -> float:
    return sum(abs(coefficient) for text, coefficient in terms if set(text) != {"I"})
