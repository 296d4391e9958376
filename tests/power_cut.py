"""A disk that forgets: what a power cut may leave of the files of one folder.

In: every call that changes them, while they are made. Out: contents of the folder as they may be found afterwards.
What was flushed is there; of what was not, any part may be, sector by sector and in any order. Changes of the folder
itself (names) come back in order, as from a journal.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

SECTOR = 512


class Recording:
    """What happens to the files in `folder`; those that are in it when this begins are on the disk.

    `meet` stands between a program and its calls (see `scratch_toy.interposed`). `forget`: names of files whose
    fdatasync does nothing, to see that the model tells.
    """

    def __init__(self, folder: Path, forget: Collection[str] = ()) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._folder, self._forget = folder, forget
        self._names: dict[str, int] = {}  # as the program sees them: name → number of the file
        self._numbers: dict[int, int] = {}  # inode → number of the file
        self._initial: dict[str, bytes] = {}
        for path in sorted(folder.iterdir()) if folder.exists() else []:
            self._initial[path.name] = path.read_bytes()
            self._names[path.name] = self._numbers[path.stat().st_ino] = len(self._numbers)
        self._initial_names = dict(self._names)
        self._count = len(self._names)

    def kept(self, value: Any) -> None:
        """The program says that `value` is safe from here on."""
        self.events.append(("kept", value))

    def meet(self, name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if name == "open":
            return self._opened(call, *arguments, **named)
        if name == "rename":
            self.events.append(("names", {arguments[1]: self._names[arguments[0]], arguments[0]: None}))
        elif name == "unlink" and arguments[0] in self._names:
            self.events.append(("names", {arguments[0]: None}))
        elif name in ("fsync", "fdatasync"):
            self._flushed(name, arguments[0])
        elif name in ("pwrite", "ftruncate", "posix_fallocate"):
            number = self._numbers[os.fstat(arguments[0]).st_ino]
            if name == "pwrite":
                self.events.append(("write", number, arguments[2], bytes(arguments[1])))
            else:
                self.events.append(("resize", number, arguments[-1]))
        if self.events and self.events[-1][0] == "names":
            self._apply_names(self._names, self.events[-1][1])
        return call(*arguments, **named)

    def _opened(self, call: Callable[..., int], name: Any, flags: int, *mode: int, **named: Any) -> int:
        handle = call(name, flags, *mode, **named)
        if flags & os.O_CREAT and named.get("dir_fd") is not None and name not in self._names:
            self._names[name] = self._numbers[os.fstat(handle).st_ino] = self._count
            self._count += 1
            self.events.append(("names", {name: self._names[name]}))
        elif flags & os.O_TRUNC:
            self.events.append(("resize", self._names[name], 0))
        return handle

    def _flushed(self, name: str, handle: int) -> None:
        found = os.fstat(handle)
        if os.path.samestat(found, os.stat(self._folder)):
            self.events.append(("names are flushed",))
        elif found.st_ino in self._numbers:  # not the folder above
            number = self._numbers[found.st_ino]
            called = [file for file, its in self._names.items() if its == number]
            if name == "fsync" or not set(called).intersection(self._forget):
                self.events.append(("flush", number))

    @staticmethod
    def _apply_names(names: dict[str, int], change: dict[str, int | None]) -> None:
        for name, number in change.items():
            names.pop(name, None)
            if number is not None:
                names[name] = number

    def after(self, cut: int, rng: random.Random) -> tuple[dict[str, bytes], list[Any]]:
        """The folder as it may be if the power fails after `cut` events, and what the program said was safe."""
        names, changes = dict(self._initial_names), []
        flushed = {number: bytearray(self._initial[name]) for name, number in names.items()}
        pending: dict[int, list[tuple[Any, ...]]] = {number: [] for number in flushed}
        kept = []
        for event in self.events[:cut]:
            match event:
                case ("kept", value):
                    kept.append(value)
                case ("names", change):
                    changes.append(change)
                    for number in change.values():
                        if number is not None and number not in flushed:
                            flushed[number], pending[number] = bytearray(), []
                case ("names are flushed",):
                    for change in changes:
                        self._apply_names(names, change)
                    changes = []
                case ("flush", number):
                    for operation in pending[number]:
                        _apply(flushed[number], operation)
                    pending[number] = []
                case (_, number, *_):
                    pending[number].append(event)
        for change in changes[: rng.randrange(len(changes) + 1)]:
            self._apply_names(names, change)
        return {name: bytes(_part(flushed[number], pending[number], rng)) for name, number in names.items()}, kept


def _apply(content: bytearray, operation: tuple[Any, ...]) -> None:
    match operation:
        case ("write", _, offset, data):
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        case ("resize", _, size):
            del content[size:]
            content.extend(bytes(size - len(content)))


def _part(flushed: bytearray, pending: list[tuple[Any, ...]], rng: random.Random) -> bytearray:
    """`flushed` and some of what was to follow."""
    content = bytearray(flushed)
    chance = rng.choice((0.0, 0.5, 1.0))
    for operation in pending:
        for piece in _pieces(operation):
            if rng.random() < chance:
                _apply(content, piece)
    return content


def _pieces(operation: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """A write, by sectors of the disk."""
    if operation[0] != "write":
        return [operation]
    _, number, offset, data = operation
    ends = [*range(offset // SECTOR * SECTOR + SECTOR, offset + len(data), SECTOR), offset + len(data)]
    begins = [offset, *ends[:-1]]
    return [
        ("write", number, begin, data[begin - offset : end - offset]) for begin, end in zip(begins, ends, strict=True)
    ]
