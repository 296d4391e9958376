"""OpenQASM 2 and 3 text to statements.

In: a program without its version line, and the version. Out: an iterator of `qrex.circuits.syntax` statements,
read one at a time, so that a large file is never held as a tree. Linear time. A construct outside the subset of
docs/openqasm.md is an error that names it and says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NoReturn

from qrex.circuits import syntax
from qrex.circuits.expressions import TYPES, Code, parse_expression
from qrex.circuits.lexer import END, Lexer, Token

__all__ = ["parse_call", "parse_program"]

_MAX_NESTING = 50  # blocks within blocks; each costs a few frames of Python's stack
# Possessive throughout: a word of a million letters must fail at once, not be split in every possible way.
_REGISTER = r"([^\W\d]\w*+)\s*+\[\s*+(\d{1,9}+)\s*+\]\s*+"
_FLAT = re.compile(
    rf"\s*+([^\W\d]\w*+)\s*+(?:\(([-+*/.\d\seEpi,]*+)\)\s*+)?+{_REGISTER}(?:,\s*+{_REGISTER})?+(?:,\s*+{_REGISTER})?+;"
)
_UNSUPPORTED = {
    **dict.fromkeys(("def", "return", "extern"), "subroutines are not supported; write a gate, or inline the body"),
    **dict.fromkeys(
        ("cal", "defcal", "defcalgrammar"), "calibrations are not supported; the platform file names the QPU"
    ),
    "while": "'while' is not supported; write a 'for' over a range known before the run",
    "switch": "'switch' is not supported; write 'if' and 'else'",
    **dict.fromkeys(("break", "continue"), "loops are unrolled and cannot be left early; shorten the range"),
    **dict.fromkeys(("array", "complex"), "this type is not supported; use int, float, angle, bool or bit"),
    **dict.fromkeys(("box", "stretch"), "'box' and 'stretch' are not supported; write delays with their lengths"),
    "pragma": "pragmas are not supported; remove the line",
}
_ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "^=", "&=", "|=", "**=", "<<=", ">>="}


def parse_program(lexer: Lexer, version: int) -> Iterator[syntax.Statement]:
    """Statements of the program from the lexer's position on. Raises CircuitError at the first that is wrong."""
    return _Parser(lexer, version).statements()


def parse_call(lexer: Lexer, version: int) -> syntax.GateCall:
    """The gate call at the lexer's position."""
    return _Parser(lexer, version).call()


class _Parser:
    def __init__(self, lexer: Lexer, version: int):
        self.lexer, self.version = lexer, version
        self.depth = 0
        shared: dict[str, Callable[[Token], syntax.Statement]] = {
            "include": self._include,
            "gate": self._gate_definition,
            "qreg": self._old_register,
            "creg": self._old_register,
            "measure": self._measure,
            "reset": self._reset,
            "barrier": self._barrier,
            "if": self._if,
        }
        third: dict[str, Callable[[Token], syntax.Statement]] = {
            "qubit": self._declare,
            **dict.fromkeys(TYPES, self._declare),
            **dict.fromkeys(("const", "input", "output"), self._declare),
            "let": self._alias,
            "for": self._for,
            "delay": self._delay,
            "end": self._end,
            **dict.fromkeys(_UNSUPPORTED, self._unsupported),
        }
        self.keywords = shared | (third if version == 3 else {"opaque": self._gate_definition})

    def statements(self) -> Iterator[syntax.Statement]:
        lexer, flat, text = self.lexer, _FLAT.match, self.lexer.text
        while True:
            match = flat(text, lexer.position)
            if match and match[1] not in self.keywords:
                name, parameters, *operands = match.groups()
                pairs = tuple((operands[i], int(operands[i + 1])) for i in (0, 2, 4) if operands[i] is not None)
                yield syntax.FlatCall(name, parameters, pairs, match.start(1))
                lexer.seek(match.end())
            elif lexer.peek().kind == END:
                return
            else:
                yield self._statement()

    def _statement(self) -> syntax.Statement:
        lexer = self.lexer
        token = lexer.peek()
        if token.text == "@" and token.kind == "operator":  # an annotation tells other tools something: skipped
            end = lexer.text.find("\n", token.position)
            lexer.seek(len(lexer.text) if end < 0 else end)
            return self._statement_after_annotation(token)
        if token.text == "#":
            lexer.fail(_UNSUPPORTED["pragma"], token.position)
        if token.kind not in ("name", "hardware"):
            lexer.fail(f"expected a statement, found {lexer.show(token)}", token.position)
        if token.kind == "name" and token.text in self.keywords:
            return self.keywords[lexer.next().text](token)
        return self._call_or_assign()

    def _statement_after_annotation(self, annotation: Token) -> syntax.Statement:
        while self.lexer.peek().text == "@":
            token = self.lexer.peek()
            end = self.lexer.text.find("\n", token.position)
            self.lexer.seek(len(self.lexer.text) if end < 0 else end)
        if self.lexer.peek().kind == END:
            self.lexer.fail("an annotation must stand before a statement", annotation.position)
        return self._statement()

    def _unsupported(self, token: Token) -> NoReturn:
        self.lexer.fail(_UNSUPPORTED[token.text], token.position)

    def _expression(self) -> Code:
        return parse_expression(self.lexer, self.version)

    def _finish(self, after: str) -> None:
        self.lexer.expect(";", after)

    def _block(self) -> tuple[syntax.Statement, ...]:
        """A block in braces, or one statement."""
        lexer = self.lexer
        opening = lexer.peek()
        self.depth += 1
        if self.depth > _MAX_NESTING:
            lexer.fail(f"blocks nest more than {_MAX_NESTING} deep; flatten the program", opening.position)
        body: list[syntax.Statement] = []
        if self.version == 3 and lexer.accept("{"):
            while not lexer.accept("}"):
                if lexer.peek().kind == END:
                    lexer.fail("this block is never closed; add }", opening.position)
                body.append(self._statement())
        else:
            body.append(self._statement())
        self.depth -= 1
        return tuple(body)

    def _operand(self) -> syntax.Operand:
        lexer = self.lexer
        token = lexer.next() if lexer.peek().kind == "hardware" else lexer.expect_name("a qubit or a register")
        if not lexer.accept("["):
            return syntax.Operand(token.text, None, None, token.position)
        index: Code | syntax.Range | None = None
        chosen = None
        if lexer.accept("{"):
            chosen = self._list("}")
        else:
            index = self._index_or_range()
        lexer.expect("]", "an index")
        return syntax.Operand(token.text, index, chosen, token.position)

    def _index_or_range(self) -> Code | syntax.Range:
        parts: list[Code | None] = []
        while True:
            parts.append(None if self.lexer.peek().text in (":", "]") else self._expression())
            if len(parts) == 3 or not self.lexer.accept(":"):
                break
        if len(parts) == 1:
            return parts[0] if parts[0] is not None else self._expression()
        return syntax.Range(parts[0], parts[1] if len(parts) == 3 else None, parts[-1])

    def _list(self, closing: str) -> tuple[Code, ...]:
        items: list[Code] = []
        while not self.lexer.accept(closing):
            items.append(self._expression())
            if not self.lexer.accept(","):
                self.lexer.expect(closing, "a list")
                break
        return tuple(items)

    def _operands(self) -> tuple[syntax.Operand, ...]:
        operands = [self._operand()]
        while self.lexer.accept(","):
            operands.append(self._operand())
        return tuple(operands)

    def _call_or_assign(self) -> syntax.Statement:
        lexer = self.lexer
        modifiers: list[tuple[str, Code | None]] = []
        while lexer.peek().text in ("ctrl", "negctrl", "inv", "pow") and self.version == 3:
            kind = lexer.next().text
            argument = None
            if lexer.accept("("):
                argument = self._expression()
                lexer.expect(")", f"the argument of {kind}")
            lexer.expect("@", kind)
            modifiers.append((kind, argument))
        if not modifiers:
            start = lexer.position
            target = self._operand()
            if lexer.peek().text in _ASSIGNMENTS and self.version == 3:
                return self._assign(target, lexer.next())
            lexer.seek(start)
        return self.call(tuple(modifiers))

    def call(self, modifiers: tuple[tuple[str, Code | None], ...] = ()) -> syntax.GateCall:
        lexer = self.lexer
        token = lexer.expect_name("a gate")
        parameters = self._list(")") if lexer.accept("(") else ()
        operands = () if lexer.peek().text == ";" else self._operands()
        self._finish("a gate's qubits")
        return syntax.GateCall(token.text, modifiers, parameters, operands, token.position)

    def _assign(self, target: syntax.Operand, symbol: Token) -> syntax.Statement:
        if symbol.text == "=" and self.lexer.accept("measure"):
            source = self._operand()
            self._finish("a measurement")
            return syntax.Measure(source, target, target.position)
        value = self._expression()
        self._finish("an assignment")
        return syntax.Assign(target, symbol.text[:-1], value, target.position)

    def _include(self, token: Token) -> syntax.Include:
        file = self.lexer.next()
        if file.kind != "string":
            self.lexer.fail(f"expected a file name in quotes, found {self.lexer.show(file)}", file.position)
        self._finish("an include")
        return syntax.Include(file.text[1:-1], file.position)

    def _names(self, closing: str) -> tuple[str, ...]:
        names: list[str] = []
        while self.lexer.peek().text != closing or names:
            names.append(self.lexer.expect_name("a name").text)
            if not self.lexer.accept(","):
                break
        return tuple(names)

    def _gate_definition(self, token: Token) -> syntax.GateDefinition:
        lexer = self.lexer
        if self.depth:
            lexer.fail("gates are defined outside of all blocks; move this one up", token.position)
        name = lexer.expect_name("the gate's name")
        parameters: tuple[str, ...] = ()
        if lexer.accept("("):
            parameters = self._names(")")
            lexer.expect(")", "a gate's parameters")
        qubits = self._names("{")
        body: list[syntax.Statement] = []
        if token.text == "opaque":
            self._finish("an opaque gate")
        else:
            opening = lexer.expect("{", "a gate's qubits")
            self.depth = 1
            while not lexer.accept("}"):
                if lexer.peek().kind == END:
                    lexer.fail("this gate's body is never closed; add }", opening.position)
                body.append(self._statement())
            self.depth = 0
        opaque = token.text == "opaque"
        return syntax.GateDefinition(name.text, parameters, qubits, tuple(body), opaque, name.position)

    def _old_register(self, token: Token) -> syntax.Declare:
        name = self.lexer.expect_name("a register's name")
        size = None
        if self.version == 2 or self.lexer.peek().text == "[":
            self.lexer.expect("[", "a register's name")
            size = self._expression()
            self.lexer.expect("]", "a register's size")
        self._finish("a declaration")
        kind = "qubit" if token.text == "qreg" else "bit"
        return syntax.Declare(kind, size, name.text, None, "", name.position)

    def _declare(self, token: Token) -> syntax.Statement:
        lexer = self.lexer
        storage = token.text if token.text in ("const", "input", "output") else ""
        kind = lexer.expect_name("a type").text if storage else token.text
        if kind in _UNSUPPORTED:
            lexer.fail(_UNSUPPORTED[kind], token.position)
        if kind not in TYPES and kind != "qubit":
            lexer.fail(f"unknown type '{kind}'", token.position)
        size = None
        if lexer.accept("["):
            size = self._expression()
            lexer.expect("]", "a type's size")
        name = lexer.expect_name("a name")
        value = None
        if lexer.accept("="):
            if lexer.peek().text == "measure" and kind == "bit":
                # `bit b = measure q;` declares now and measures next: hand the measurement back to the loop.
                lexer.seek(name.position)
                return syntax.Declare(kind, size, name.text, None, "measured", name.position)
            value = self._expression()
        self._finish("a declaration")
        return syntax.Declare(kind, size, name.text, value, storage, name.position)

    def _alias(self, token: Token) -> syntax.Alias:
        name = self.lexer.expect_name("a name")
        self.lexer.expect("=", "the alias's name")
        parts = [self._operand()]
        while self.lexer.accept("++"):
            parts.append(self._operand())
        self._finish("an alias")
        return syntax.Alias(name.text, tuple(parts), name.position)

    def _measure(self, token: Token) -> syntax.Measure:
        source = self._operand()
        if self.lexer.peek().text == ";":
            self.lexer.fail("this measurement's result goes nowhere; write 'c = measure q;'", token.position)
        self.lexer.expect("->", "the measured qubit")
        target = self._operand()
        self._finish("a measurement")
        return syntax.Measure(source, target, token.position)

    def _reset(self, token: Token) -> syntax.Reset:
        operands = self._operands()
        self._finish("a reset")
        return syntax.Reset(operands, token.position)

    def _barrier(self, token: Token) -> syntax.Barrier:
        operands = () if self.lexer.peek().text == ";" else self._operands()
        self._finish("a barrier")
        return syntax.Barrier(operands, token.position)

    def _delay(self, token: Token) -> syntax.Delay:
        self.lexer.expect("[", "delay")
        duration = self._expression()
        self.lexer.expect("]", "a delay's length")
        operands = () if self.lexer.peek().text == ";" else self._operands()
        self._finish("a delay")
        return syntax.Delay(duration, operands, token.position)

    def _if(self, token: Token) -> syntax.If:
        self.lexer.expect("(", "if")
        condition = self._expression()
        self.lexer.expect(")", "a condition")
        then = self._block()
        otherwise = self._block() if self.version == 3 and self.lexer.accept("else") else ()
        return syntax.If(condition, then, otherwise, token.position)

    def _for(self, token: Token) -> syntax.For:
        lexer = self.lexer
        variable = lexer.expect_name("the loop variable")
        if lexer.peek().text != "in":  # what was read is the type; older exporters leave it out
            if variable.text not in ("int", "uint"):
                lexer.fail("a loop variable is an int or uint: 'for int i in [0:3]'", variable.position)
            if lexer.accept("["):
                self._expression()
                lexer.expect("]", "a type's size")
            variable = lexer.expect_name("the loop variable")
        lexer.expect("in", "the loop variable")
        if lexer.accept("{"):
            values: syntax.Range | tuple[Code, ...] = self._list("}")
        else:
            opening = lexer.expect("[", "in")
            found = self._index_or_range()
            if not isinstance(found, syntax.Range) or found.start is None or found.stop is None:
                lexer.fail("a loop's range is written [first:last] or [first:step:last]", opening.position)
            lexer.expect("]", "a range")
            values = found
        return syntax.For(variable.text, values, self._block(), token.position)

    def _end(self, token: Token) -> syntax.End:
        self._finish("end")
        return syntax.End(token.position)
