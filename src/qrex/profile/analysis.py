"""Reads a `Profile` off a circuit or a program, without running it.

In: a `Circuit` or a `Program`. Out: its `Profile`; with `analyze` also the reduced program and a profile of
every part that is left of it. Compiled (src/cpp/survey.cpp, bonds.cpp, support.cpp), O(rows).
"""

from __future__ import annotations

from dataclasses import dataclass

from qiskit import QuantumCircuit

from qrex import _kernels
from qrex.circuits import Circuit
from qrex.circuits.program import OPCODES, OPERATIONS, Program
from qrex.profile.dense import dense_work
from qrex.profile.profile import Profile
from qrex.profile.reduction import Reduced, reduce

__all__ = ["Analysis", "analyze", "profile_circuit", "profile_program"]

_FEW_PARAMETERS = 4  # more are a matrix: nobody wants to read it in a sentence
_PLAIN = frozenset(OPCODES) | {"barrier", "delay", "id", "global_phase", "store", "break_loop", "continue_loop"}


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is left of a circuit and a profile of each part, in order; `profile` of the circuit as it is written is
    None where nobody asked for it."""

    circuit_id: str
    shots: int
    profile: Profile | None
    reduced: Reduced
    part_profiles: tuple[Profile, ...]

    def profiles(self, whole: bool) -> tuple[Profile, ...]:
        """Of what runs: the circuit as it is written, or its parts."""
        if not whole:
            return self.part_profiles
        if self.profile is None:
            raise ValueError("the circuit as it is written was not analyzed")
        return (self.profile,)


def analyze(
    circuit: Circuit, shots: int | None = None, *, as_written: bool = True, reduced: Reduced | None = None
) -> Analysis:
    """Everything that is known of `circuit` before it runs for `shots`, its own number if None.

    Where nothing but its parts matters, not `as_written` saves half of the time: the circuit's own profile is then
    taken only where it cannot be reduced. `reduced`: its reduction, where that was made already.

    Raises InputError on unbound parameters and on endless unrolling.
    """
    shots = circuit.shots if shots is None else shots
    reduced = reduce(circuit.program) if reduced is None else reduced
    obstacle = bool(circuit.program.obstacle)
    profile = profile_circuit(circuit, shots) if as_written or obstacle else None
    if profile is not None and obstacle:  # nothing was reduced: the one part is the circuit
        return Analysis(circuit.id, shots, profile, reduced, (profile,))
    parts = tuple(
        profile_program(part.program, f"{circuit.id}/{index}", shots, reduced=True)
        for index, part in enumerate(reduced.parts)
    )
    return Analysis(circuit.id, shots, profile, reduced, parts)


def profile_circuit(circuit: Circuit, shots: int | None = None) -> Profile:
    """The profile of `circuit` for `shots`, its own number if None.

    Raises InputError on unbound parameters and on endless unrolling.
    """
    quantum_circuit = circuit.quantum_circuit
    return _profile(
        circuit.program, circuit.id, circuit.shots if shots is None else shots, reduced=False, written=quantum_circuit
    )


def profile_program(program: Program, circuit_id: str, shots: int, reduced: bool = False) -> Profile:
    """The profile of a program. `reduced` says that it is a part of a reduction, whose constants are folded: the
    bounds are then looked for in the rows as they are, which is quicker.

    `conditionals` counts different conditions.
    """
    return _profile(program, circuit_id, shots, reduced, None)


def _profile(program: Program, circuit_id: str, shots: int, reduced: bool, written: QuantumCircuit | None) -> Profile:
    found = _kernels.survey_program(program, reduced)
    widths, obstacle = found["widths"], program.obstacle
    non_clifford = found["non_clifford"]
    if obstacle and (written is None or not _is_plain(written)):
        non_clifford = max(1, non_clifford)
    return Profile(
        circuit_id=circuit_id,
        num_qubits=program.num_qubits,
        # Qubits of what no row expresses cannot be told.
        active_qubits=program.num_qubits if obstacle else found["active"],
        num_clbits=program.num_clbits,
        depth=found["depth"],
        gate_counts={
            name: count
            for name, count in sorted(zip((o.name for o in OPERATIONS), found["rows_of"], strict=True))
            if count
        },
        one_qubit_gates=widths[1],
        two_qubit_gates=widths[2],
        many_qubit_gates=widths[3],
        fused_blocks=found["fused_blocks"],
        is_clifford=non_clifford == 0,
        non_clifford_gates=non_clifford,
        measurements=found["rows_of"][OPCODES["measure"]],
        terminal_measurements_only=found["terminal"] and not obstacle,
        resets=found["rows_of"][OPCODES["reset"]],
        conditionals=len(program.guards) if written is None else _conditionals(written),
        has_control_flow=bool(program.guards or obstacle) if written is None
        else any(instruction.is_control_flow() for instruction in written.data),
        components=1 if obstacle else found["components"],
        widest_component=program.num_qubits if obstacle else found["widest"],
        max_log2_schmidt=program.num_qubits / 2 if obstacle else found["max_log2"],
        shots=shots,
        needs_trajectories=found["trajectories"] or bool(obstacle),
        stabilizer_obstacle=_obstacle(program, found["first_foreign"]),
        stabilizer_forks=found["stabilizer_forks"],
        mps_updates=found["mps_updates"],
        log2_mps_work=found["log2_work"],
        log2_mps_elements=found["log2_elements"],
        instructions=len(program),
        log2_support=program.num_qubits if obstacle else found["log2_support"],
        clifford_prefix=found["clifford_prefix"],
        obstacle=obstacle,
        dense=None if obstacle else dense_work(program, shots),
    )  # fmt: skip


def _obstacle(program: Program, row: int) -> str:
    """Why a stabilizer simulation cannot run the program: `row` is the first that is not Clifford, -1 if none."""
    if program.obstacle or row < 0:
        return program.obstacle
    params, width = program.params_of(row), len(program.qubits_of(row))
    angles = f"({', '.join(f'{value:.6g}' for value in params)})" if 0 < len(params) <= _FEW_PARAMETERS else ""
    return f"{program.name_of(row)}{angles}{f' on {width} qubits' * (width > 2)} is not a Clifford gate"


def _is_plain(circuit: QuantumCircuit) -> bool:
    """Whether every gate of `circuit`, inside control flow too, became a row as it is."""
    return all(
        all(_is_plain(block) for block in item.operation.blocks) if item.is_control_flow() else item.name in _PLAIN
        for item in circuit.data
        if not item.is_control_flow() or item.name not in ("break_loop", "continue_loop")
    )


def _conditionals(circuit: QuantumCircuit) -> int:
    """How many if and switch statements are written, also inside other blocks."""
    found, pending = 0, [circuit]
    while pending:
        for instruction in pending.pop().data:
            if instruction.is_control_flow():
                found += instruction.name in ("if_else", "switch_case")
                pending.extend(instruction.operation.blocks)
    return found
