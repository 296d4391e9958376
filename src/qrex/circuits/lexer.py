"""OpenQASM text, token by token, each with its place.

In: the text of a program. Out: `Token`s on demand, so that a file of any length costs no list of tokens, and
`CircuitError`s with line and column. Linear time.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from qrex.errors import CircuitError

__all__ = ["END", "Lexer", "Token"]

_SKIP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = r"(?:\d[\d_]*\.(?:\d[\d_]*)?|\.\d[\d_]*|\d[\d_]*)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(
    rf"""(?P<duration>{_NUMBER}[ ]?(?:dt|ns|us|µs|μs|ms|s)\b)
    |(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|{_NUMBER})
    |(?P<name>[^\W\d]\w*)
    |(?P<hardware>\$\d+)
    |(?P<string>"[^"\n]*"|'[^'\n]*')
    |(?P<operator>\*\*=|<<=|>>=|\*\*|\+\+|->|==|!=|<=|>=|&&|\|\||<<|>>|[-+*/%^&|]=|[-+*/%^&|!~<>=(){{}}\[\];:,.@\#])
    """,
    re.VERBOSE,
)
_SHOWN = 24  # longest piece of the user's text that a message repeats
_MAX_TOKEN = 1000  # characters; Python reads longer numbers in quadratic time


class Token(NamedTuple):
    """`kind`: duration, number, name, hardware, string, operator or end. `position`: offset in the text."""

    kind: str
    text: str
    position: int


END = "end"


class Lexer:
    """Reads tokens from `text`; `file` is named in errors."""

    def __init__(self, text: str, file: str, position: int = 0):
        self.text, self.file = text, file
        self._token: Token | None = None
        self.position = position  # where the next token is looked for

    def peek(self) -> Token:
        """The next token, left in place."""
        if self._token is None:
            self._token = self._read()
        return self._token

    def next(self) -> Token:
        """The next token, taken."""
        token = self.peek()
        self.position = token.position + len(token.text)
        self._token = None
        return token

    def seek(self, position: int) -> None:
        self.position, self._token = position, None

    def accept(self, text: str) -> bool:
        """Take the next token if it is the operator or keyword `text`."""
        token = self.peek()
        if token.text == text and token.kind in ("operator", "name"):
            self.next()
            return True
        return False

    def expect(self, text: str, after: str) -> Token:
        """Take `text` or fail, naming what it should have followed."""
        token = self.peek()
        if not self.accept(text):
            self.fail(f"expected '{text}' after {after}, found {self.show(token)}", token.position)
        return token

    def expect_name(self, what: str) -> Token:
        token = self.peek()
        if token.kind != "name":
            self.fail(f"expected {what}, found {self.show(token)}", token.position)
        return self.next()

    def fail(self, reason: str, position: int) -> NoReturn:
        raise self.error(reason, position)

    def error_for_name(self, name: str, position: int) -> NoReturn:
        """A `lookup` for expressions that may hold no names."""
        self.fail(f"'{name}' has no value here", position)

    def error(self, reason: str, position: int) -> CircuitError:
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        return CircuitError(reason, file=self.file, line=line, column=column)

    @staticmethod
    def show(token: Token) -> str:
        """The token as a message repeats it."""
        if token.kind == END:
            return "the end of the file"
        text = token.text if len(token.text) <= _SHOWN else token.text[:_SHOWN] + "…"
        return f"'{text}'"

    def _read(self) -> Token:
        position = _SKIP.match(self.text, self.position).end()
        if position == len(self.text):
            return Token(END, "", position)
        match = _TOKEN.match(self.text, position)
        if self.text.startswith("/*", position):
            self.fail("this comment is never closed; add */", position)
        if match is None:
            character = self.text[position]
            if character in "\"'":
                self.fail("this string is never closed", position)
            self.fail(f"unexpected character {character!r} (U+{ord(character):04X})", position)
        if match.end() - position > _MAX_TOKEN:
            self.fail(f"this word or number is longer than {_MAX_TOKEN} characters", position)
        return Token(match.lastgroup, match.group(), position)
