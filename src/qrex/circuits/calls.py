"""Gate calls and gate definitions of a program being imported.

In: `FlatCall`, `GateCall`, `GateDefinition` and `Include` statements. Out: instructions in the importer's sink.
A defined gate is built once per set of parameter values, from its own body; definitions may only call what
stands before them, so recursion is impossible and reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import CircuitInstruction, Gate, QuantumCircuit, Qubit

from qrex.circuits import syntax
from qrex.circuits.expressions import evaluate, parse_expression
from qrex.circuits.gates import (
    RESERVED,
    Built,
    Standard,
    controlled,
    inverted,
    powered,
    same_gate,
    standard_gates,
)
from qrex.circuits.lexer import END, Lexer
from qrex.circuits.parser import parse_call
from qrex.circuits.scope import MAX_OPERATIONS, Qubits, Scope, Variable, nearest
from qrex.circuits.sink import Sink
from qrex.errors import CircuitError

if TYPE_CHECKING:
    from qrex.circuits.importer import Importer

__all__ = ["Calls"]

_MAX_DEFINITION_DEPTH = 60  # gates within gates; Qiskit takes them apart by recursion
_IN_BODY = (syntax.GateCall, syntax.For, syntax.If, syntax.Barrier, syntax.Declare)
_INCLUDES = {2: "qelib1.inc", 3: "stdgates.inc"}


class Calls:
    """The gates a program knows, and the calls it makes."""

    def __init__(self, importer: Importer):
        self.importer, self.lexer, self.version = importer, importer.lexer, importer.version
        # Older exporters of OpenQASM 2 forget the include: its names are always known there.
        self.standard: dict[str, Standard] = dict(standard_gates("qelib1.inc" if self.version == 2 else "builtin"))
        self.defined: dict[str, syntax.GateDefinition] = {}
        self.depths: dict[str, int] = {}
        self.built: dict[tuple[str, tuple[float, ...]], Built] = {}
        self.numbers: dict[str, tuple[float, ...]] = {}  # parameters of flat calls, by their text

    def include(self, node: syntax.Include, scope: Scope) -> None:
        if node.file not in _INCLUDES.values():
            self.lexer.fail(
                f"include of '{node.file}' is not supported: only qelib1.inc and stdgates.inc are, and no file is "
                "read; paste its gate definitions here",
                node.position,
            )
        for name, gate in standard_gates(node.file).items():
            if name not in self.defined:
                self.standard[name] = gate

    # Calls

    def flat(self, node: syntax.FlatCall, scope: Scope) -> None:
        """The common case, checked in full; anything unusual goes the general way, which explains errors."""
        standard = self.standard.get(node.name)
        if standard is None or standard.phase is not None or len(node.operands) != standard.num_qubits:
            return self._as_general(node, scope)
        names, qubits = self.importer.globals.names, []
        for name, index in node.operands:
            register = names.get(name)
            if type(register) is not Qubits or register.single or index >= len(register.bits):
                return self._as_general(node, scope)
            qubits.append(register.bits[index])
        if len(qubits) > 1 and len(set(qubits)) < len(qubits):
            return self._as_general(node, scope)
        parameters: tuple[float, ...] = ()
        if node.parameters is not None:
            known = self.numbers.get(node.parameters)
            if known is None:
                try:
                    known = self._read_numbers(node.parameters)
                except CircuitError:
                    return self._as_general(node, scope)
                self.numbers[node.parameters] = known
            parameters = known
        if len(parameters) != standard.num_parameters:
            return self._as_general(node, scope)
        self.importer.sink.instructions.append(CircuitInstruction(standard.make(*parameters), qubits))
        return None

    def _read_numbers(self, text: str) -> tuple[float, ...]:
        """Values of comma-separated expressions without names; CircuitError where there are any."""
        lexer, values = Lexer(text, ""), []
        while lexer.peek().kind != END:
            code = parse_expression(lexer, self.version)
            values.append(float(evaluate(code, lexer.error_for_name, self.version, lexer.fail)))
            if not lexer.accept(","):
                break
        if lexer.peek().kind != END:
            lexer.fail("unexpected text", 0)
        return tuple(values)

    def _as_general(self, node: syntax.FlatCall, scope: Scope) -> None:
        """Read the statement once more, by the full grammar."""
        lexer = Lexer(self.lexer.text, self.lexer.file, node.position)
        self.general(parse_call(lexer, self.version), scope)

    def general(self, node: syntax.GateCall, scope: Scope) -> None:
        importer = self.importer
        parameters = tuple(float(importer.number(code, scope, "a gate's parameter")) for code in node.parameters)
        arity = self._check_signature(node, len(parameters))
        controls = self._count_controls(node, scope)
        if len(node.operands) != arity + controls and not (arity + controls == 0 and not node.operands):
            self.lexer.fail(
                f"'{node.name}' acts here on {arity + controls} qubits, but {len(node.operands)} are given",
                node.position,
            )
        operands = [importer.bits(operand, scope, Qubits) for operand in node.operands]
        rows = self._broadcast(operands, node)
        built = self._modified(self.build(node.name, parameters, node.position), node, scope)
        sink = importer.sink
        for row in rows:
            if len(set(row)) < len(row):
                self.lexer.fail(f"'{node.name}' is given the same qubit twice", node.position)
            sink.phase += built.phase
            if built.gate.num_qubits == 0:
                sink.phase += built.gate.params[0]
                continue
            sink.size += built.size - 1
            sink.instructions.append(CircuitInstruction(built.gate, row))
        self._check_total(sink.size + len(sink.instructions), node)

    def _check_total(self, total: int, node: syntax.GateCall) -> None:
        if total > MAX_OPERATIONS:
            self.lexer.fail(f"written out, the gates make more than {MAX_OPERATIONS:,} operations", node.position)

    def _broadcast(self, operands: list[tuple[list[Qubit], bool]], node: syntax.GateCall) -> list[tuple[Qubit, ...]]:
        sizes = {len(bits) for bits, single in operands if not single}
        if len(sizes) > 1:
            found = " and ".join(str(size) for size in sorted(sizes))
            self.lexer.fail(f"'{node.name}' is given registers of different sizes ({found})", node.position)
        count = sizes.pop() if sizes else 1
        return list(zip(*(bits * count if single else bits for bits, single in operands), strict=True)) or [()]

    def _check_signature(self, node: syntax.GateCall, count: int) -> int:
        """Number of qubits the named gate acts on; fails for an unknown name or a wrong number of parameters."""
        defined = self.defined.get(node.name)
        if defined is not None:
            expected, arity = len(defined.parameters), len(defined.qubits)
            if defined.opaque:
                self.lexer.fail(f"'{node.name}' is opaque: nobody says what it does; define it", node.position)
        elif node.name in self.standard:
            expected, arity = self.standard[node.name].num_parameters, self.standard[node.name].num_qubits
        else:
            self._unknown(node)
        if count != expected:
            self.lexer.fail(f"'{node.name}' takes {expected} parameters, {count} are given", node.position)
        return arity

    def _unknown(self, node: syntax.GateCall) -> None:
        include = _INCLUDES[self.version]
        if node.name in standard_gates(include):
            self.lexer.fail(f"gate '{node.name}' is not defined; add: include \"{include}\";", node.position)
        elif self.version == 3 and node.name in standard_gates("qelib1.inc"):
            self.lexer.fail(f"gate '{node.name}' is not part of {include}; define it in the file", node.position)
        close = nearest(node.name, [*self.defined, *self.standard])
        self.lexer.fail(f"gate '{node.name}' is not defined before this place{close}", node.position)

    def _count_controls(self, node: syntax.GateCall, scope: Scope) -> int:
        total = 0
        for kind, argument in node.modifiers:
            if kind in ("ctrl", "negctrl"):
                count = self.importer.whole(argument, scope, f"the argument of {kind}") if argument else 1
                if count < 1:
                    self.lexer.fail(f"{kind} needs at least one control, not {count}", node.position)
                total += count
        return total

    def _modified(self, built: Built, node: syntax.GateCall, scope: Scope) -> Built:
        try:
            for kind, argument in reversed(node.modifiers):
                if kind == "inv":
                    built = inverted(built)
                elif kind == "pow":
                    if argument is None:
                        self.lexer.fail("pow needs an exponent: pow(2) @", node.position)
                    built = powered(built, self.importer.number(argument, scope, "an exponent"))
                else:
                    count = self.importer.whole(argument, scope, "a number of controls") if argument else 1
                    built = controlled(built, count, kind == "ctrl")
        except CircuitError:
            raise
        except Exception as error:  # Qiskit refuses in many ways, all about this gate
            self.lexer.fail(f"this modifier cannot be applied to '{node.name}': {error}", node.position)
        return built

    # Definitions

    def define(self, node: syntax.GateDefinition, scope: Scope) -> None:
        if node.name in self.defined or (self.version == 3 and node.name in self.standard):
            self.lexer.fail(f"gate '{node.name}' is defined twice", node.position)
        names = [*node.parameters, *node.qubits]
        if len(set(names)) < len(names):
            self.lexer.fail(f"gate '{node.name}' uses a name twice among its parameters and qubits", node.position)
        if not node.qubits:
            self.lexer.fail(f"gate '{node.name}' names no qubits", node.position)
        depth = 1 + max((self.depths.get(name, 0) for name in self._called(node, node.body)), default=0)
        if depth > _MAX_DEFINITION_DEPTH:
            self.lexer.fail(f"gates call gates more than {_MAX_DEFINITION_DEPTH} deep", node.position)
        self.defined[node.name] = node
        self.standard.pop(node.name, None)
        self.depths[node.name] = depth
        if not node.opaque:
            # Built once with arbitrary numbers, so that a wrong body is reported even when nothing calls it.
            self.build(node.name, tuple(0.5 / (i + 1) for i in range(len(node.parameters))), node.position)

    def _called(self, node: syntax.GateDefinition, body: tuple[syntax.Statement, ...]) -> list[str]:
        names: list[str] = []
        for statement in body:
            if not isinstance(statement, _IN_BODY):
                self.lexer.fail(f"a gate's body may hold only gates; see gate '{node.name}'", statement.position)
            if isinstance(statement, syntax.GateCall):
                if statement.name == node.name:
                    self.lexer.fail(f"gate '{node.name}' calls itself", statement.position)
                names.append(statement.name)
            elif isinstance(statement, syntax.For):
                names += self._called(node, statement.body)
            elif isinstance(statement, syntax.If):
                names += self._called(node, (*statement.then, *statement.otherwise))
        return names

    def formal_qubits(self, scope: Scope) -> list[Qubit] | None:
        """The qubits of the gate whose body is being built, or None outside of gates."""
        found: Scope | None = scope
        while found is not None and not found.gate:
            found = found.outer
        return [entry.bits[0] for entry in found.names.values() if isinstance(entry, Qubits)] if found else None

    def build(self, name: str, parameters: tuple[float, ...], position: int) -> Built:
        """The gate `name` with these parameters."""
        node = self.defined.get(name)
        if node is None:
            return self.standard[name].build(parameters)
        key = (name, parameters)
        if key not in self.built:
            self.built[key] = self._build_definition(node, parameters)
        return self.built[key]

    def _build_definition(self, node: syntax.GateDefinition, parameters: tuple[float, ...]) -> Built:
        importer = self.importer
        qubits = [Qubit() for _ in node.qubits]
        scope = Scope(importer.globals, gate=True)
        for formal, value in zip(node.parameters, parameters, strict=True):
            scope.names[formal] = Variable("angle", value, True)
        for formal, qubit in zip(node.qubits, qubits, strict=True):
            scope.names[formal] = Qubits([qubit], single=True)
        outside, importer.sink = importer.sink, Sink()
        try:
            importer.body(node.body, scope)
            inside = importer.sink
        finally:
            importer.sink = outside
        definition = QuantumCircuit.from_instructions(inside.instructions, qubits=qubits, global_phase=inside.phase)
        gate = Gate(node.name, len(qubits), [])
        gate.definition = definition
        built = Built(gate, 0.0, max(1, len(inside.instructions) + inside.size))
        return self._recognized(built, node, parameters)

    def _recognized(self, built: Built, node: syntax.GateDefinition, parameters: tuple[float, ...]) -> Built:
        """The standard gate that the definition spells out, where its name says so and its matrix agrees.

        Exporters write out gates such as rzz in full. A gate that merely shares its name with a standard one is
        renamed, since simulators go by names.
        """
        standard = standard_gates("qelib1.inc").get(node.name)
        if standard and standard.num_parameters == len(parameters) and standard.num_qubits == len(node.qubits):
            gate = standard.make(*parameters)
            phase = same_gate(built, gate) if built.size < 1000 else None
            if phase is not None:
                return Built(gate, phase)
        if standard or node.name in RESERVED:
            renamed = Gate(f"{node.name}_as_defined", built.gate.num_qubits, [])
            renamed.definition = built.gate.definition
            return Built(renamed, built.phase, built.size)
        return built
