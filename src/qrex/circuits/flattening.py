"""Qiskit circuits as programs: loops unrolled, definitions opened, conditions attached.

In: a Qiskit circuit. Out: its `Program`. Some 2 µs per gate. Standard gates that have a row of their own keep
it; controlled one-qubit gates become one row whatever the number of controls; matrices of up to
`MAX_MATRIX_QUBITS` qubits stay whole; everything else is replaced by its definition.

An if statement looks at its bits when it is entered, a row when it is reached. Where a statement measures into bits
that it tests, the new values wait in qubits of their own, behind those of the circuit, until the statement ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from qiskit.circuit import ControlledGate, QuantumCircuit
from qiskit.circuit.library import CUGate

from qrex.circuits.classical import ALWAYS, BitTest, read_condition
from qrex.circuits.condition_text import condition_text
from qrex.circuits.program import OPCODES, OPERATIONS, Condition, Program
from qrex.errors import InputError

__all__ = ["MAX_MATRIX_QUBITS", "MAX_REPEATED_ROWS", "MAX_ROWS", "MAX_WAITING_BITS", "flatten"]

MAX_ROWS = 20_000_000
"""Refuse to unroll past this many rows: no engine of ours would end such a circuit either."""

MAX_WAITING_BITS = 8
"""Bits whose new values may wait at once, each in a qubit; and how deep such statements may be in others, being
unrolled twice."""

MAX_REPEATED_ROWS = 200_000
"""Rows that one if statement may add by repeating its block under alternatives."""

MAX_MATRIX_QUBITS = 6

_DROPPED = frozenset(["barrier", "delay", "id", "global_phase"])
_PLAIN = {operation.name: code for code, operation in enumerate(OPERATIONS) if operation.num_qubits > 0}
_MEASURE, _RESET = OPCODES["measure"], OPCODES["reset"]
# Relative-phase Toffolis permute basis states up to phases: whole, they split nothing.
_WHOLE = frozenset(["rccx", "rcccx"])
_INVOLUTIONS = frozenset(
    OPCODES[name]
    for name in ("x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ecr", "ccx", "ccz", "cswap", "mcx")
)
_MAX_PARITY_BITS = 6
_SAME = {"u1": "p", "cu1": "cp", "u3": "u"}


def flatten(circuit: QuantumCircuit) -> Program:
    """The program of `circuit`.

    Raises InputError on an unbound parameter or when unrolling passes `MAX_ROWS`.
    """
    rows = _Rows(circuit)
    qubits = {bit: index for index, bit in enumerate(circuit.qubits)}
    clbits = {bit: index for index, bit in enumerate(circuit.clbits)}
    rows.walk(circuit, qubits, clbits, ())
    return rows.program(circuit.num_qubits, circuit.num_clbits)


class _Rows:
    """Rows as they are found. Definitions of standard gates are remembered, being rebuilt at each access."""

    def __init__(self, circuit: QuantumCircuit) -> None:
        self.circuit = circuit
        self.opcode: list[int] = []
        self.qubit_start: list[int] = [0]
        self.qubits: list[int] = []
        self.param_start: list[int] = [0]
        self.params: list[float] = []
        self.clbit: list[int] = []
        self.guard: list[int] = []
        self.guards: dict[tuple[Condition, ...], int] = {}
        self.obstacle = ""
        self.definitions: dict[tuple, QuantumCircuit | None] = {}
        # Classical bit to the qubit in which its new value waits, while a statement that tests it is unrolled.
        self.waiting: dict[int, int] = {}
        self.outdated: set[int] = set()  # of the waiting bits, those that were measured meanwhile
        self.spare: list[int] = []
        self.extra = 0
        self.depth = 0  # of if statements in one another

    def program(self, num_qubits: int, num_clbits: int) -> Program:
        return Program(
            num_qubits + self.extra,
            num_clbits,
            np.array(self.opcode, dtype=np.uint8),
            np.array(self.qubit_start, dtype=np.int32),
            np.array(self.qubits, dtype=np.int32),
            np.array(self.param_start, dtype=np.int32),
            np.array(self.params, dtype=np.float64),
            np.array(self.clbit, dtype=np.int32),
            np.array(self.guard, dtype=np.int32),
            tuple(self.guards),
            self.obstacle,
        )

    def add(
        self, opcode: int, qubits: Sequence[int], params: Sequence[float], guard: int, clbit: int = -1
    ) -> None:
        self.opcode.append(opcode)
        self.qubits.extend(qubits)
        self.qubit_start.append(len(self.qubits))
        self.params.extend(params)
        self.param_start.append(len(self.params))
        self.clbit.append(clbit)
        self.guard.append(guard)

    def walk(
        self,
        circuit: QuantumCircuit,
        qubits: Mapping,
        clbits: Mapping,
        conditions: tuple[Condition, ...],
    ) -> None:
        guard = -1 if not conditions else self.guards.setdefault(conditions, len(self.guards))
        for instruction in circuit.data:
            name = instruction.name
            code = _PLAIN.get(name)
            if code is not None and (code <= _RESET or instruction.is_standard_gate()):
                where = [qubits[bit] for bit in instruction.qubits]
                if code > _RESET:
                    params = instruction.params
                    self.add(code, where, self.numbers(instruction, params) if params else (), guard)
                else:
                    clbit = clbits[instruction.clbits[0]] if code == _MEASURE else -1
                    if clbit in self.waiting:
                        self.later(where[0], clbit, guard)
                    else:
                        self.add(code, where, (), guard, clbit)
            elif name not in _DROPPED:
                self.special(instruction, name, qubits, clbits, conditions, guard)
            if len(self.opcode) > MAX_ROWS:
                raise InputError(f"the circuit unrolls past {MAX_ROWS:,} operations; shorten its loops")

    def special(self, instruction, name: str, qubits, clbits, conditions, guard: int) -> None:
        if instruction.is_control_flow():
            self.control_flow(instruction, qubits, clbits, conditions)
            return
        where = [qubits[bit] for bit in instruction.qubits]
        if name == "store":
            self.obstacle = self.obstacle or "a classical variable is assigned"
            return
        operation = instruction.operation
        if name in _SAME and instruction.is_standard_gate():
            self.add(OPCODES[_SAME[name]], where, self.numbers(instruction, instruction.params), guard)
            return
        if name == "u2" and instruction.is_standard_gate():
            phi, lam = self.numbers(instruction, instruction.params)
            self.add(OPCODES["u"], where, (np.pi / 2, phi, lam), guard)
            return
        if name == "diagonal":
            self.add(OPCODES["diagonal"], where, _interleaved(np.asarray(operation.params, dtype=complex)), guard)
            return
        if (name == "unitary" or name in _WHOLE) and len(where) <= MAX_MATRIX_QUBITS:
            self.add(OPCODES["unitary"], where, _interleaved(np.asarray(operation.to_matrix())), guard)
            return
        if isinstance(operation, ControlledGate) and operation.num_ctrl_qubits == len(where) - 1:
            self.controlled(instruction, where, guard)
            return
        definition = self.definition(instruction)
        if definition is None:
            self.obstacle = self.obstacle or f"'{name}' has no definition by unitary gates"
            return
        inner_qubits = dict(zip(definition.qubits, where, strict=True))
        outer_clbits = [clbits[bit] for bit in instruction.clbits]
        inner_clbits = dict(zip(definition.clbits, outer_clbits, strict=True))
        self.walk(definition, inner_qubits, inner_clbits, conditions)

    def controlled(self, instruction, where: list[int], guard: int) -> None:
        """One row for a controlled one-qubit gate, between flips of the controls that wait for a 0."""
        gate = instruction.operation
        base = gate.base_gate
        try:
            matrix = np.asarray(base.to_matrix(), dtype=complex)
        except TypeError:
            self.numbers(instruction, instruction.params)
            raise
        if isinstance(gate, CUGate):  # its base gate leaves out the phase
            matrix = matrix * np.exp(1j * float(gate.params[3]))
        zeros = [q for place, q in enumerate(where[:-1]) if not gate.ctrl_state >> place & 1]
        for qubit in zeros:
            self.add(OPCODES["x"], (qubit,), (), guard)
        if base.name == "x":
            self.add(OPCODES["cx" if len(where) == 2 else "ccx" if len(where) == 3 else "mcx"], where, (), guard)
        elif base.name in ("p", "u1"):
            angle = float(base.params[0])
            self.add(OPCODES["cp" if len(where) == 2 else "mcp"], where, (angle,), guard)
        elif base.name == "z":
            self.add(OPCODES["cz"] if len(where) == 2 else OPCODES["mcp"], where,
                     () if len(where) == 2 else (np.pi,), guard)  # fmt: skip
        else:
            self.add(OPCODES["mcu"], where, _interleaved(matrix), guard)
        for qubit in zeros:
            self.add(OPCODES["x"], (qubit,), (), guard)

    @staticmethod
    def numbers(instruction, params) -> list[float]:
        try:
            return [float(value) for value in params]
        except TypeError as error:
            raise InputError(
                f"gate {instruction.name!r} has unbound parameters {params}; bind them with assign_parameters"
            ) from error

    def definition(self, instruction) -> QuantumCircuit | None:
        if not instruction.is_standard_gate():
            return getattr(instruction.operation, "definition", None)
        key = (instruction.name, *self.numbers(instruction, instruction.params))
        if key not in self.definitions:
            self.definitions[key] = instruction.operation.definition
        return self.definitions[key]

    def control_flow(self, instruction, qubits, clbits, conditions: tuple[Condition, ...]) -> None:
        operation, name = instruction.operation, instruction.name
        if name in ("break_loop", "continue_loop"):
            return

        def inside(block, extra: tuple[Condition, ...] = ()) -> None:
            inner_q = {a: qubits[b] for a, b in zip(block.qubits, instruction.qubits, strict=True)}
            inner_c = {a: clbits[b] for a, b in zip(block.clbits, instruction.clbits, strict=True)}
            self.walk(block, inner_q, inner_c, conditions + extra)

        if name == "if_else":
            self.if_else(operation, clbits, inside)
        elif name == "for_loop":
            indices, parameter, body = operation.params
            if any(i.name in ("break_loop", "continue_loop") for i in _all_instructions(body)):
                self.obstacle = self.obstacle or "a loop that may break cannot be followed"
            for index in indices:
                bind = {} if parameter is None else {parameter: index}
                inside(body.assign_parameters(bind, strict=False) if bind else body)
        elif name == "box":
            inside(operation.blocks[0])
        else:  # while, switch: how often a block runs is known only at run time
            self.obstacle = self.obstacle or f"a {name.split('_')[0]} statement cannot be followed"
            for block in operation.blocks:
                inside(block)

    def if_else(self, operation, clbits, inside: Callable[..., None]) -> None:
        tests = [self.test(operation.condition, clbits, not number) for number in range(len(operation.blocks))]
        bits: set[int] = set().union(*(test.bits for test in tests))
        if not bits.isdisjoint(self.outdated):
            self.obstacle = self.obstacle or "an if statement tests a bit that changed in a statement that tests it too"
        start, guards, obstacle = len(self.opcode), len(self.guards), self.obstacle
        before = set(self.outdated)
        self.depth += 1

        def unroll() -> None:
            after = set(before)
            for block, test in zip(operation.blocks, tests, strict=True):
                opening = len(self.opcode)
                for number, alternative in enumerate(test.alternatives):
                    self.outdated = set(before)
                    first = len(self.opcode)
                    inside(block, alternative)
                    after |= self.outdated
                    if test.parity:
                        self.under_parity(first, test.parity, test.odd)
                    if not number and (len(self.opcode) - opening) * (len(test.alternatives) - 1) > MAX_REPEATED_ROWS:
                        self.unfollowed(operation.condition, clbits, " over so many gates")
                        break
            self.outdated = after

        unroll()
        changed = [] if bits.isdisjoint(self.clbit[start:-1]) else sorted(bits.intersection(self.clbit[start:]))
        self.depth -= 1
        if not changed:
            return
        if max(self.depth, len(self.waiting) + len(changed)) > MAX_WAITING_BITS:
            self.obstacle = self.obstacle or "if statements change too many of the bits they test"
            return
        self.undo(start)
        self.guards = dict(itertools.islice(self.guards.items(), guards))
        self.obstacle = obstacle
        for bit in changed:
            self.waiting[bit] = self.ancilla()
            under = (Condition((bit,), 1, False),)
            self.add(OPCODES["x"], (self.waiting[bit],), (), self.guards.setdefault(under, len(self.guards)))
        self.depth += 1
        unroll()
        self.depth -= 1
        for bit in changed:
            qubit = self.waiting.pop(bit)
            self.add(_MEASURE, (qubit,), (), -1, bit)
            self.add(_RESET, (qubit,), (), -1)
            self.spare.append(qubit)
        self.outdated.difference_update(changed)

    def later(self, qubit: int, clbit: int, guard: int) -> None:
        """Measure `qubit` without touching `clbit` yet: a copy in the basis of the measurement waits."""
        self.add(_RESET, (self.waiting[clbit],), (), guard)
        self.add(OPCODES["cx"], (qubit, self.waiting[clbit]), (), guard)
        self.outdated.add(clbit)

    def ancilla(self) -> int:
        if self.spare:
            return self.spare.pop()
        self.extra += 1
        return self.circuit.num_qubits + self.extra - 1

    def test(self, condition, clbits: Mapping, holds: bool) -> BitTest:
        test = read_condition(condition, clbits, holds)
        if test is None:
            self.unfollowed(condition, clbits)
            return ALWAYS
        return test

    def unfollowed(self, condition, clbits: Mapping, where: str = "") -> None:
        if not self.obstacle:
            names = {bit: _name_of(self.circuit, index) for bit, index in clbits.items()}
            self.obstacle = f"the expression {condition_text(condition, names)}{where} cannot be followed"

    def under_parity(self, first: int, bits: tuple[int, ...], odd: int) -> None:
        """Put rows from `first` on under the parity of `bits`, which no list of comparisons can say. A gate that is
        its own inverse stands once under each bit instead; anything else under each value with that parity."""
        rows = [self.taken(row) for row in range(first, len(self.opcode))]
        twice_is_nothing = all(row[0] in _INVOLUTIONS for row in rows)
        if twice_is_nothing:
            values = [Condition((bit,), 1, False) for bit in bits] + ([] if odd else [None])
        elif len(bits) <= _MAX_PARITY_BITS:
            values = [Condition(bits, value, False) for value in range(1 << len(bits)) if value.bit_count() % 2 == odd]
        else:
            self.obstacle = self.obstacle or f"the parity of {len(bits)} bits over such gates cannot be followed"
            return
        conditions = list(self.guards)
        self.undo(first)
        # Self-inverse gates of one statement need not commute: each is finished before the next.
        order = [(row, value) for row in rows for value in values] if twice_is_nothing else [
            (row, value) for value in values for row in rows
        ]  # fmt: skip
        for (opcode, qubits, params, clbit, guard), value in order:
            under = (conditions[guard] if guard >= 0 else ()) + (() if value is None else (value,))
            self.add(opcode, qubits, params, self.guards.setdefault(under, len(self.guards)) if under else -1, clbit)

    def undo(self, first: int) -> None:
        del self.opcode[first:], self.clbit[first:], self.guard[first:]
        del self.qubit_start[first + 1 :], self.param_start[first + 1 :]
        del self.qubits[self.qubit_start[-1] :], self.params[self.param_start[-1] :]

    def taken(self, row: int) -> tuple:
        qubits = self.qubits[self.qubit_start[row] : self.qubit_start[row + 1]]
        params = self.params[self.param_start[row] : self.param_start[row + 1]]
        return self.opcode[row], qubits, params, self.clbit[row], self.guard[row]


def _name_of(circuit: QuantumCircuit, clbit: int) -> str:
    registers = circuit.find_bit(circuit.clbits[clbit]).registers
    return f"{registers[0][0].name}[{registers[0][1]}]" if registers else f"bit {clbit}"


def _all_instructions(circuit: QuantumCircuit) -> Iterator:
    for instruction in circuit.data:
        yield instruction
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                yield from _all_instructions(block)


def _interleaved(values: np.ndarray) -> list[float]:
    """Real and imaginary parts, alternating."""
    return np.ascontiguousarray(values, dtype=np.complex128).ravel().view(np.float64).tolist()
