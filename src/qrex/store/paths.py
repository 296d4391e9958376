"""Paths as users give them. In: anything. Out: a `Path`, or InputError that says what was expected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qrex.errors import InputError

__all__ = ["path_from"]


def path_from(given: Any, what: str) -> Path:
    """`given` as a path; `what` names it in the error, as in "the scratch folder".

    >>> path_from("results", "the folder").name
    'results'
    """
    text = os.fspath(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(f"{what} is given as {given!r:.60}; give a path as text")
    return Path(text)
