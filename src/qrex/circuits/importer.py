"""Statements of an OpenQASM program carried out: a Qiskit circuit.

In: the text after the version line, its version, values for `input` parameters. Out: a `QuantumCircuit` whose
loops are unrolled, whose constants are folded, and whose gate definitions are bound to numbers. About 10 µs per
flat gate; time and memory are bounded by the limits of `qrex.circuits.scope`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from qiskit.circuit import (
    Barrier,
    CircuitInstruction,
    ClassicalRegister,
    Clbit,
    Delay,
    Measure,
    QuantumCircuit,
    QuantumRegister,
    Qubit,
    Reset,
)

from qrex.circuits import conditions, syntax
from qrex.circuits.calls import Calls
from qrex.circuits.expressions import Code, Duration, Item, evaluate, start_of
from qrex.circuits.lexer import Lexer
from qrex.circuits.parser import parse_program
from qrex.circuits.scope import MAX_BITS, MAX_OPERATIONS, MAX_QUBITS, Bits, Qubits, Scope, Variable, nearest
from qrex.circuits.sink import Sink, conditional

__all__ = ["Importer", "import_program"]


def import_program(lexer: Lexer, version: int, inputs: Mapping[str, float]) -> QuantumCircuit:
    """The circuit of the program from the lexer's position on; raises CircuitError with the place."""
    return Importer(lexer, version, inputs).run()


class Importer:
    """The state of one import: the names declared so far, and where instructions gather."""

    def __init__(self, lexer: Lexer, version: int, inputs: Mapping[str, float]):
        self.lexer, self.version, self.inputs = lexer, version, dict(inputs)
        self.globals = Scope()
        self.quantum_registers: list[QuantumRegister] = []
        self.classical_registers: list[ClassicalRegister] = []
        self.qubits: list[Qubit] = []
        self.clbits: list[Clbit] = []
        self.sink = Sink()
        self.measured_depth = 0  # how many conditions on measured bits surround the statement
        self.steps = 0
        self.ended = False
        self.calls = Calls(self)
        self.actions = {
            syntax.FlatCall: self.calls.flat,
            syntax.GateCall: self.calls.general,
            syntax.GateDefinition: self.calls.define,
            syntax.Include: self.calls.include,
            syntax.Declare: self._declare,
            syntax.Alias: self._alias,
            syntax.Assign: self._assign,
            syntax.Measure: self._measure,
            syntax.Reset: self._reset,
            syntax.Barrier: self._barrier,
            syntax.Delay: self._delay,
            syntax.If: self._if,
            syntax.For: self._for,
            syntax.End: self._end,
        }

    def run(self) -> QuantumCircuit:
        self._declare_hardware_qubits()
        for statement in parse_program(self.lexer, self.version):
            self.carry_out(statement, self.globals)
            if self.ended:
                break
        for name in self.inputs.keys() - self.globals.names.keys():
            self.lexer.fail(f"a value is given for '{name}', but the program has no such input", 0)
        if not self.qubits:
            self.lexer.fail("the program declares no qubits", len(self.lexer.text))
        circuit = QuantumCircuit.from_instructions(
            self.sink.instructions, qubits=self.qubits, clbits=self.clbits, global_phase=self.sink.phase
        )
        for register in (*self.quantum_registers, *self.classical_registers):
            circuit.add_register(register)
        return circuit

    def carry_out(self, statement: syntax.Statement, scope: Scope) -> None:
        self.steps += 1
        if self.steps > MAX_OPERATIONS:
            self.lexer.fail(f"the program has more than {MAX_OPERATIONS:,} operations", statement.position)
        self.actions[type(statement)](statement, scope)

    def body(self, statements: tuple[syntax.Statement, ...], scope: Scope) -> None:
        for statement in statements:
            if self.ended:
                return
            self.carry_out(statement, scope)

    # Values and operands

    def value(self, code: Code, scope: Scope) -> Any:
        """Value of an expression: a number, a duration, or something measured."""

        def lookup(name: str, position: int) -> Any:
            found = scope.find(name)
            match found:
                case Variable():
                    return found.value
                case Bits(single=True):
                    return found.bits[0]
                case Bits(register=ClassicalRegister()):
                    return found.register
                case Qubits() | Bits():
                    return self.lexer.fail(f"'{name}' has no value that can be computed with", position)
            return self.lexer.fail(f"'{name}' is not defined{nearest(name, scope.all_names())}", position)

        return evaluate(code, lookup, self.version, self.lexer.fail)

    def number(self, code: Code, scope: Scope, what: str) -> float:
        value = self.value(code, scope)
        if conditions.is_runtime(value) or isinstance(value, Duration):
            self.lexer.fail(f"{what} must be a number known before the run", start_of(code))
        return value

    def whole(self, code: Code, scope: Scope, what: str) -> int:
        value = self.number(code, scope, what)
        if isinstance(value, float) and not value.is_integer():
            self.lexer.fail(f"{what} must be a whole number, not {value}", start_of(code))
        return int(value)

    def bits(self, operand: syntax.Operand, scope: Scope, kind: type[Qubits] | type[Bits]) -> tuple[list, bool]:
        """Bits of an operand, and whether it is one bit (which is repeated beside registers)."""
        found = scope.find(operand.name)
        word = "qubit" if kind is Qubits else "classical bit"
        if found is None:
            close = nearest(operand.name, scope.all_names())
            self.lexer.fail(f"'{operand.name}' is not declared{close}", operand.position)
        if not isinstance(found, kind):
            self.lexer.fail(f"'{operand.name}' is not a {word} or a register of them", operand.position)
        whole = operand.index is None and operand.chosen is None
        if whole:
            return found.bits, found.single
        if found.single:
            self.lexer.fail(f"'{operand.name}' is a single {word} and has no index", operand.position)
        size = len(found.bits)
        if operand.chosen is not None:
            return [found.bits[self._place(code, scope, size, operand)] for code in operand.chosen], False
        if isinstance(operand.index, syntax.Range):
            return [found.bits[i] for i in self._slice(operand.index, scope, size, operand)], False
        return [found.bits[self._place(operand.index, scope, size, operand)]], True

    def _place(self, code: Code, scope: Scope, size: int, operand: syntax.Operand) -> int:
        index = self.whole(code, scope, "an index")
        lowest = -size if self.version == 3 else 0
        if not lowest <= index < size:
            self.lexer.fail(f"index {index} is outside '{operand.name}', which has {size} bits", start_of(code))
        return index % size

    def _slice(self, given: syntax.Range, scope: Scope, size: int, operand: syntax.Operand) -> range:
        step = self.whole(given.step, scope, "a step") if given.step else 1
        if step == 0:
            self.lexer.fail("a range's step must not be 0", operand.position)
        first, last = (0, size - 1) if step > 0 else (size - 1, 0)
        start = self._place(given.start, scope, size, operand) if given.start else first
        stop = self._place(given.stop, scope, size, operand) if given.stop else last
        return range(start, stop + (1 if step > 0 else -1), step)

    def qubits_of(self, operands: tuple[syntax.Operand, ...], scope: Scope) -> list[Qubit]:
        """All qubits of `operands` once each; every qubit of the program where there are none."""
        if not operands:
            return list(self.qubits)
        return list(dict.fromkeys(bit for operand in operands for bit in self.bits(operand, scope, Qubits)[0]))

    # Declarations and assignments

    def _declare_hardware_qubits(self) -> None:
        """A circuit compiled for a device names its qubits $0, $1, …; they become one register."""
        numbers = [int(match[1]) for match in re.finditer(r"\$(\d{1,12})", self.lexer.text)]
        if numbers:
            self._check_size(max(numbers) + 1, MAX_QUBITS, "qubits", self.lexer.text.find("$"))
            register = QuantumRegister(max(numbers) + 1, "hardware")
            self.quantum_registers.append(register)
            self.qubits.extend(register)
            for number in set(numbers):
                self.globals.names[f"${number}"] = Qubits([register[number]], single=True)

    def _check_size(self, count: int, limit: int, what: str, position: int) -> None:
        if count > limit:
            self.lexer.fail(f"the program declares {count:,} {what}; at most {limit:,} can be read", position)

    def _declare(self, node: syntax.Declare, scope: Scope) -> None:
        if node.name in scope.names:
            self.lexer.fail(f"'{node.name}' is declared twice", node.position)
        if node.kind in ("qubit", "bit"):
            self._declare_register(node, scope)
            return
        if node.storage == "input":
            if node.name not in self.inputs:
                self.lexer.fail(
                    f"the input '{node.name}' has no value; give it in workload.toml "
                    f"(inputs = {{ {node.name} = 0.5 }}) or from Python (inputs={{'{node.name}': 0.5}})",
                    node.position,
                )
            value: Any = self.inputs[node.name]
        else:
            value = self._converted(self.value(node.value, scope), node) if node.value else None
        if value is None:
            if node.storage == "const":
                self.lexer.fail(f"the constant '{node.name}' needs a value", node.position)
            value = Duration(0.0, "s") if node.kind == "duration" else 0
        constant = node.storage in ("const", "input")
        scope.names[node.name] = Variable(node.kind, value, constant, self.measured_depth)

    def _converted(self, value: Any, node: syntax.Declare | syntax.Assign, kind: str = "") -> Any:
        kind = kind or node.kind
        if conditions.is_runtime(value):
            self.lexer.fail("variables hold values known before the run; use the measured bits directly", node.position)
        if isinstance(value, Duration) != (kind == "duration"):
            self.lexer.fail(f"this value is not a {kind}", node.position)
        return {"int": int, "uint": int, "bool": bool}.get(kind, lambda same: same)(value)

    def _declare_register(self, node: syntax.Declare, scope: Scope) -> None:
        if scope is not self.globals:
            self.lexer.fail(f"registers are declared outside of all blocks; move '{node.name}' up", node.position)
        if node.storage == "const" or (node.kind == "qubit" and node.storage):
            self.lexer.fail(f"a {node.kind} cannot be {node.storage}", node.position)
        if node.storage == "input":
            self.lexer.fail("input bits are not supported; make it an int and compare that", node.position)
        single = node.size is None
        size = 1 if single else self.whole(node.size, scope, "a register's size")
        if size < 1:
            self.lexer.fail(f"a register needs at least one bit, not {size}", node.position)
        if node.kind == "qubit":
            if scope.find("$0") or any(name.startswith("$") for name in scope.names):
                self.lexer.fail("hardware qubits ($0) and declared qubits cannot be mixed", node.position)
            self._check_size(len(self.qubits) + size, MAX_QUBITS, "qubits", node.position)
            register = QuantumRegister(size, node.name)
            self.quantum_registers.append(register)
            self.qubits.extend(register)
            scope.names[node.name] = Qubits(list(register), single)
            return
        self._check_size(len(self.clbits) + size, MAX_BITS, "classical bits", node.position)
        if node.value is not None and self.value(node.value, scope) != 0:
            self.lexer.fail("bits start at 0; set them by measuring", node.position)
        bits = ClassicalRegister(size, node.name)
        self.classical_registers.append(bits)
        self.clbits.extend(bits)
        scope.names[node.name] = Bits(list(bits), bits, single)

    def _alias(self, node: syntax.Alias, scope: Scope) -> None:
        if node.name in scope.names:
            self.lexer.fail(f"'{node.name}' is declared twice", node.position)
        kind = type(scope.find(node.parts[0].name) or Qubits([]))
        kind = kind if kind in (Qubits, Bits) else Qubits
        bits = [bit for part in node.parts for bit in self.bits(part, scope, kind)[0]]
        if len(set(bits)) < len(bits):
            self.lexer.fail(f"the alias '{node.name}' holds a bit twice", node.position)
        scope.names[node.name] = Qubits(bits) if kind is Qubits else Bits(bits, None)

    def _assign(self, node: syntax.Assign, scope: Scope) -> None:
        variable = scope.find(node.target.name)
        if not isinstance(variable, Variable) or node.target.index is not None:
            known = "only variables can be assigned; bits are set by measuring" if variable else "it is not declared"
            self.lexer.fail(f"cannot assign to '{node.target.name}': {known}", node.position)
        if variable.constant:
            self.lexer.fail(f"'{node.target.name}' is a constant", node.position)
        if self.measured_depth > variable.depth:
            self.lexer.fail("a variable cannot depend on a measurement; use the measured bits directly", node.position)
        value = self.value(node.value, scope)
        if node.operator:
            position = node.position
            steps = (("value", variable.value), ("value", value), ("binary", node.operator))
            value = self.value(tuple(Item(kind, part, position) for kind, part in steps), scope)
        variable.value = self._converted(value, node, variable.kind)

    # Operations other than gates

    def emit(self, operation: Any, qubits: list[Qubit], clbits: list[Clbit] = ()) -> None:  # type: ignore[assignment]
        self.sink.instructions.append(CircuitInstruction(operation, qubits, clbits))

    def _measure(self, node: syntax.Measure, scope: Scope) -> None:
        sources, _ = self.bits(node.source, scope, Qubits)
        targets, _ = self.bits(node.target, scope, Bits)
        if len(sources) != len(targets):
            self.lexer.fail(f"{len(sources)} qubits are measured into {len(targets)} bits", node.position)
        for qubit, clbit in zip(sources, targets, strict=True):
            self.emit(Measure(), [qubit], [clbit])

    def _reset(self, node: syntax.Reset, scope: Scope) -> None:
        for qubit in self.qubits_of(node.operands, scope):
            self.emit(Reset(), [qubit])

    def _barrier(self, node: syntax.Barrier, scope: Scope) -> None:
        qubits = self.calls.formal_qubits(scope) if not node.operands else None
        qubits = self.qubits_of(node.operands, scope) if qubits is None else qubits
        self.emit(Barrier(len(qubits)), qubits)

    def _delay(self, node: syntax.Delay, scope: Scope) -> None:
        duration = self.value(node.duration, scope)
        if not isinstance(duration, Duration):
            self.lexer.fail("a delay needs a length with a unit: delay[100ns] q;", node.position)
        if duration.value < 0 or not math.isfinite(duration.value):
            self.lexer.fail("a delay cannot be negative", node.position)
        if duration.unit == "dt" and not float(duration.value).is_integer():
            self.lexer.fail("a delay in dt must be a whole number of steps", node.position)
        value = int(duration.value) if duration.unit == "dt" else duration.value
        for qubit in self.qubits_of(node.operands, scope):
            self.emit(Delay(value, duration.unit), [qubit])

    # Control flow

    def _if(self, node: syntax.If, scope: Scope) -> None:
        value = self.value(node.condition, scope)
        if not conditions.is_runtime(value):
            self.body(node.then if value else node.otherwise, Scope(scope))
            return
        outside, self.sink = self.sink, Sink()
        self.measured_depth += 1
        then = self.sink
        self.body(node.then, Scope(scope))
        self.sink = otherwise = Sink()
        self.body(node.otherwise, Scope(scope))
        self.sink = outside
        self.measured_depth -= 1
        if self.ended:
            self.lexer.fail("'end' under a condition on measured bits is not supported", node.position)
        instruction = conditional(conditions.condition(value), then, otherwise)
        if instruction is not None:
            self.sink.instructions.append(instruction)

    def _for(self, node: syntax.For, scope: Scope) -> None:
        if isinstance(node.values, syntax.Range):
            given = node.values
            start = self.whole(given.start, scope, "a range's start")  # type: ignore[arg-type]
            stop = self.whole(given.stop, scope, "a range's end")  # type: ignore[arg-type]
            step = self.whole(given.step, scope, "a range's step") if given.step else 1
            if step == 0:
                self.lexer.fail("a range's step must not be 0", node.position)
            values: range | list[int] = range(start, stop + (1 if step > 0 else -1), step)
        else:
            values = [self.whole(code, scope, "a loop's value") for code in node.values]
        # Not len(): a range longer than sys.maxsize has none.
        span = values if isinstance(values, range) else range(len(values))
        count = max(0, -((span.start - span.stop) // span.step))
        if self.steps + count > MAX_OPERATIONS:
            many = f"this loop runs {count:,} times" if count > MAX_OPERATIONS else "the loops run too often"
            self.lexer.fail(f"{many}; a program may have {MAX_OPERATIONS:,} operations", node.position)
        for value in values:
            self.steps += 1
            inner = Scope(scope)
            inner.names[node.variable] = Variable("int", value, True, self.measured_depth)
            self.body(node.body, inner)
            if self.ended:
                return

    def _end(self, node: syntax.End, scope: Scope) -> None:
        self.ended = True
