"""Sums of Pauli strings, read from text, JSON files, mappings, pairs and Qiskit operators.

In: "0.5*ZZI - 1.2*IXY + ZII" (a letter of I, X, Y, Z for each qubit, qubit 0 rightmost), "Z0*Z1 + 0.3*X4" (only the
qubits named), the path of a file {"ZZI": 0.5, ...} or [["ZZI", 0.5], ...], or the same as Python objects. Out: pairs of
a string for all qubits and a real coefficient, no string twice.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrex.errors import InputError

if TYPE_CHECKING:
    from qiskit.quantum_info import SparsePauliOp

__all__ = ["Terms", "pauli_terms"]

Terms = tuple[tuple[str, float], ...]
"""(string, coefficient): one letter of I, X, Y, Z per qubit, qubit 0 rightmost."""

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<letter>[IXYZ])(?P<qubit>[0-9]{1,9})|(?P<string>[IXYZ]+)(?!\w)|"
    r"(?P<mark>[+*-])"
)
_FORMS = 'write "0.5*ZZI - XYZ" (a letter of I, X, Y, Z per qubit, qubit 0 rightmost) or "0.5*Z1*Z2 - X0"'
_SHOWN = 40  # characters of what was given, in a message


def pauli_terms(given: str | os.PathLike[str] | Mapping[str, float] | SparsePauliOp | Sequence[tuple[str, float]],
                num_qubits: int) -> Terms:  # fmt: skip
    """The terms of a sum on `num_qubits` qubits. A text that ends with ".json", and any path, is read as a file.

    Raises InputError for what is no such sum: other letters, strings of another length, qubits that do not exist,
    a string or a qubit of a term twice, coefficients that are not finite real numbers, files that cannot be read.

    >>> pauli_terms("0.5*ZZI - X0 + 2", 3)
    (('ZZI', 0.5), ('IIX', -1.0), ('III', 2.0))
    >>> pauli_terms({"Z0*Z1": 1.5}, 2)
    (('ZZ', 1.5),)
    """
    if isinstance(given, os.PathLike) or (isinstance(given, str) and given.strip().endswith(".json")):
        return _distinct(_read(Path(given)), num_qubits, f"{os.fspath(given)!r}")
    if isinstance(given, str):
        return _distinct(_split(given), num_qubits, _quoted(given))
    if hasattr(given, "to_list"):  # a SparsePauliOp: equal strings in it are added up
        given = given.simplify(atol=0).to_list()
        given = [(label, value.real if value.imag == 0 else value) for label, value in given]
    return _distinct(_pairs(given, "the Pauli sum"), num_qubits, "the Pauli sum")


def _distinct(found: Iterable[tuple[str, float]], num_qubits: int, where: str) -> Terms:
    terms: dict[str, float] = {}
    for text, coefficient in found:
        label = _label(text, num_qubits, where)
        if label in terms:
            raise InputError(f"{where} has {text.strip()!r} twice; add the coefficients up and name it once")
        terms[label] = coefficient
    if not terms:
        raise InputError(f"{where} has no terms; {_FORMS}")
    if not math.isfinite(sum(map(abs, terms.values()))):
        raise InputError(f"{where} has coefficients that add up to more than a number can hold; scale them")
    return tuple(terms.items())


def _split(text: str) -> list[tuple[str, float]]:
    """Terms of a sum in text: products as they stand there, and their coefficients."""
    found: list[tuple[str, float]] = []
    sign, number, factors, pending = 1.0, None, [], True
    for token in [*_tokens(text), None]:
        mark = token.group("mark") if token else "+"
        if token and mark == "*":
            if pending:
                raise InputError(f"{_quoted(text)} has nothing before a '*' in column {token.start() + 1}; {_FORMS}")
            pending = True
        elif mark:
            first = not found and number is None and not factors
            if pending and not (first and token):
                raise InputError(f"{_quoted(text)} has a term with nothing in it; {_FORMS}")
            if not pending:
                found.append(("*".join(factors), _finite(sign * (1.0 if number is None else number), _quoted(text))))
            sign, number, factors, pending = -1.0 if mark == "-" else 1.0, None, [], True
        else:
            assert token is not None
            pending = False
            if not token.group("number"):
                factors.append(token.group())
            elif number is None and not factors:
                number = float(token.group())
            else:
                raise InputError(f"{_quoted(text)} has {token.group()} within a term; its coefficient goes first")
    return found


def _tokens(text: str) -> Iterable[re.Match[str]]:
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        token = _TOKEN.match(text, place)
        if token is None:
            raise InputError(f"{_quoted(text)} is no Pauli sum: {text[place]!r} in column {place + 1}; {_FORMS}")
        yield token
        place = token.end()


def _label(text: str, num_qubits: int, where: str) -> str:
    """The string for all qubits of one product of Paulis; "" is the identity."""
    if not isinstance(text, str):
        raise InputError(f"{where} has {text!r} where a Pauli string was expected; {_FORMS}")
    tokens = list(_tokens(text))
    strings = [token.group() for token in tokens if token.group("string")]
    if strings:
        if len(tokens) > 1:
            raise InputError(f"{where} multiplies {text.strip()!r}; write one string for all qubits, or name qubits")
        if len(strings[0]) != num_qubits:
            raise InputError(
                f"{where} has the string {strings[0]!r} of {len(strings[0])} letters; the circuit has {num_qubits} "
                'qubits: write a letter for each, or name the qubits as in "Z0*Z1"'
            )
        return strings[0]
    letters = ["I"] * num_qubits
    named = set()
    for token in tokens:
        if token.group("mark") == "*":
            continue
        if not token.group("letter"):
            raise InputError(f"{where} has {text.strip()!r} where a Pauli string was expected; {_FORMS}")
        qubit = int(token.group("qubit"))
        if qubit >= num_qubits:
            raise InputError(f"{where} names qubit {qubit}; the circuit has {num_qubits} qubits, counted from 0")
        if qubit in named:
            raise InputError(f"{where} names qubit {qubit} twice in {text.strip()!r}; a term has one Pauli for each")
        named.add(qubit)
        letters[-1 - qubit] = token.group("letter")
    return "".join(letters)


def _read(path: Path) -> list[tuple[str, float]]:
    where = f"{os.fspath(path)!r}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: pairs)
    except OSError as error:
        raise InputError(f"the Pauli sum {where} cannot be read: {error.strerror}; name a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f'{where} is not JSON ({error}); write {{"ZZI": 0.5}} or [["ZZI", 0.5]]') from None
    return _pairs(found, where)


def _pairs(given: Any, where: str) -> list[tuple[str, float]]:
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, Sequence) or any(not isinstance(pair, Sequence) or len(pair) != 2 or isinstance(pair, str)
                                              for pair in pairs):  # fmt: skip
        raise InputError(f'{where} is no Pauli sum; give {{"ZZI": 0.5}} or [["ZZI", 0.5]]')
    return [(text, _finite(value, where)) for text, value in pairs]


def _finite(value: Any, where: str) -> float:
    with suppress(OverflowError):  # of whole numbers that no float holds
        if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    raise InputError(f"{where} has the coefficient {_quoted(value)}; an observable needs finite real numbers")


def _quoted(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
