"""Bytes, seconds and rates: read from text and written for people.

In: "4GB", "512 MiB", "250us". Out: numbers in bytes and seconds, and short text. Decimal prefixes are
powers of 1000, binary prefixes (Ki, Mi, Gi, Ti) powers of 1024.
"""

from __future__ import annotations

import math
import re

from qrex.errors import InputError

__all__ = ["format_bytes", "format_seconds", "parse_bytes", "parse_seconds"]

_BYTES = {"": 1, "b": 1} | {
    prefix + suffix: base**power
    for power, letter in enumerate("kmgtpe", start=1)
    for prefix, base in ((letter, 1000), (letter + "i", 1024))
    for suffix in ("", "b")
}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0}
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµ]*)\s*")


def _parse(text: str | int | float, table: dict[str, float], what: str, fold_case: bool) -> float:
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return _finite(text, text)
    match = _QUANTITY.fullmatch(str(text))
    suffix = match.group(2) if match else ""
    suffix = suffix.lower() if fold_case else suffix
    if not match or suffix not in table:
        units = ", ".join(sorted((u for u in table if u), key=lambda u: table[u]))
        raise InputError(f"{text!r} is not {what}; write a number and one of: {units}")
    return _finite(float(match.group(1)) * table[suffix], text)


def _finite(value: float, text: str | int | float) -> float:
    if math.isfinite(value):
        return float(value)
    raise InputError(f"{text!r} is not a number that can be used; write a smaller one")


_EXABYTE = 10**18
_CENTURY = 100 * 365.25 * 86400.0


def parse_bytes(text: str | int | float) -> int:
    """Number of bytes in `text`.

    >>> parse_bytes("4GB"), parse_bytes("1.5 GiB"), parse_bytes(2048)
    (4000000000, 1610612736, 2048)
    """
    return int(_parse(text, _BYTES, "an amount of bytes", fold_case=True))


def parse_seconds(text: str | int | float) -> float:
    """Number of seconds in `text`; a bare number is seconds.

    >>> parse_seconds("250us"), parse_seconds("2 min")
    (0.00025, 120.0)
    """
    return _parse(text, _SECONDS, "a time", fold_case=False)


def format_bytes(count: float) -> str:
    """Short text with a decimal prefix and three digits.

    >>> format_bytes(68_719_476_736), format_bytes(0), format_bytes(999), format_bytes(2**2000)
    ('68.7 GB', '0 B', '999 B', 'more than 1 EB')
    """
    if count >= _EXABYTE:
        return "more than 1 EB"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} PB"


def format_seconds(seconds: float) -> str:
    """Short text for a duration.

    >>> format_seconds(2.5e-7), format_seconds(0.0123), format_seconds(75), format_seconds(7320)
    ('250 ns', '12.3 ms', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 0:
        return "-" + format_seconds(-seconds)
    if seconds == 0:
        return "0 s"
    for scale, unit in ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")):
        if seconds < 999.5 * scale and (unit != "s" or seconds < 59.95):
            return f"{seconds / scale:.3g} {unit}"
    if seconds > _CENTURY:
        return "over 100 years"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
