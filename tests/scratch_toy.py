"""A toy of a state larger than memory: stages that mix blocks of known content through a scratch area, and the calls
to the system that it makes, each of which may go wrong.

As a script it takes histories from stdin, a JSON list of {"folder": …, "faults": [[what, at], …]}: for each fault a
child goes on with the work in the folder and meets it at its `at`-th call to the system; a last child meets none. Out:
for each history a list of what its children told, and how they ended.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import mmap
import os
import random
import signal
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from qrex.errors import EngineError, QrexError
from qrex.store.scratch import ScratchArea

IDENTITY, SLOT_BYTES = "toy", 4096
BLOCKS, GROUP, STAGES = 12, 4, 4
GROUPS = BLOCKS // GROUP
STEPS = STAGES * GROUPS
SLOTS = BLOCKS + GROUP  # what lies between two commits, and no more: freed slots are used again at once
COMPACT_AFTER = 3 * GROUPS - 1

CALLS = ("open", "mkdir", "pwrite", "fdatasync", "fsync", "ftruncate", "posix_fallocate", "rename", "unlink")
Meet = Callable[..., Any]


class ToyDamageError(Exception):
    """A block is not what was written."""


@dataclass(frozen=True)
class Outcome:
    """`digest` of the last state; `began`: the first step that was done here."""

    digest: str
    began: int
    resumed: bool
    note: str


def run(folder: str | os.PathLike[str], tell: Callable[[str, Any], None] = lambda what, value: None) -> Outcome:
    """All steps that the area in `folder` does not know as done. `tell` hears of the first one, and of each commit."""
    with ScratchArea.open(folder, IDENTITY, SLOT_BYTES, SLOTS) as area:
        table: dict[int, tuple[int, int]] = {}  # block → (slot, checksum); a block of zeros has neither
        for record in area.records():
            _enter(table, record)
        began = area.first + len(area.records())
        tell("began", began)
        for step in range(began, STEPS):
            _do(area, step, table)
            tell("kept", step)
            if step == COMPACT_AFTER:
                area.compact(step + 1 - GROUPS)  # since then every block was written anew
        state = b"".join(_read(area, table, block) for block in range(BLOCKS))
        return Outcome(hashlib.sha256(state).hexdigest(), began, area.resumed, area.note)


def undisturbed() -> str:
    """The digest of the last state, without any area."""
    state = [bytes(SLOT_BYTES)] * BLOCKS
    for step in range(STEPS):
        for block, content in _mixed(step, state.__getitem__).items():
            state[block] = content
    return hashlib.sha256(b"".join(state)).hexdigest()


def _mixed(step: int, read: Callable[[int], bytes]) -> dict[int, bytes]:
    """What the blocks of a step become: each depends on itself and on the next one of its group."""
    stage, group = divmod(step, GROUPS)
    order = list(range(BLOCKS))
    random.Random(stage).shuffle(order)
    members = order[group * GROUP : (group + 1) * GROUP]
    old = [read(block) for block in members]
    new = {}
    for place, block in enumerate(members):
        digest = hashlib.blake2b(old[place] + old[(place + 1) % GROUP] + bytes([stage, block])).digest()
        new[block] = bytes(SLOT_BYTES) if digest[0] < 64 else digest * (SLOT_BYTES // len(digest))
    return new


def _do(area: ScratchArea, step: int, table: dict[int, tuple[int, int]]) -> None:
    new = _mixed(step, lambda block: _read(area, table, block))
    slots = area.take(GROUP)
    entries = {}
    for block, content in new.items():
        entries[block] = None
        if any(content):
            entries[block] = (slots.pop(0), zlib.crc32(content))
            _write(area, entries[block][0], content)
    area.give_back(slots)
    frees = [table[block][0] for block in new if block in table]
    record = {"blocks": [[block, entry] for block, entry in entries.items()]}
    number = area.commit(record, holds=[entry[0] for entry in entries.values() if entry], frees=frees)
    assert number == step
    _enter(table, record)


def _write(area: ScratchArea, slot: int, content: bytes) -> None:
    with mmap.mmap(-1, SLOT_BYTES) as page:
        page[:] = content
        try:
            written = os.pwrite(area.fd, page, slot * SLOT_BYTES)
        except OSError as error:
            raise EngineError(f"a block cannot be written: {error}") from error
    if written != SLOT_BYTES:
        raise EngineError("half a block was written")


def _enter(table: dict[int, tuple[int, int]], record: dict[str, Any]) -> None:
    for block, entry in record["blocks"]:
        table.pop(block, None)
        if entry:
            table[block] = tuple(entry)


def _read(area: ScratchArea, table: dict[int, tuple[int, int]], block: int) -> bytes:
    if block not in table:
        return bytes(SLOT_BYTES)
    slot, checksum = table[block]
    with mmap.mmap(-1, SLOT_BYTES) as page:
        os.preadv(area.fd, [page], slot * SLOT_BYTES)
        content = bytes(page)
    if zlib.crc32(content) != checksum:
        raise ToyDamageError(f"block {block} in slot {slot}")
    return content


# What goes wrong ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def interposed(meet: Meet) -> Iterator[None]:
    """Every call to the system that changes something is `meet(name, call, *arguments)`."""
    originals = {name: getattr(os, name) for name in CALLS}
    for name, call in originals.items():
        setattr(os, name, functools.partial(meet, name, call))
    try:
        yield
    finally:
        for name, call in originals.items():
            setattr(os, name, call)


def count_calls(folder: str | os.PathLike[str]) -> int:
    """How many of them an undisturbed run makes."""
    count = 0

    def meet(_name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        return call(*arguments, **named)

    with interposed(meet):
        run(folder)
    return count


def fault(what: str, at: int) -> Meet:
    """The `at`-th call ends the process before it, after it or half-way through a write (kill-…), is refused (full,
    broken), writes less than it was given (short), or is followed by Ctrl-C (interrupt)."""
    count = 0

    def meet(name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count != at:
            return call(*arguments, **named)
        if what in ("full", "broken"):
            number = errno.ENOSPC if what == "full" else errno.EIO
            raise OSError(number, os.strerror(number))
        if what in ("kill-half", "short") and name == "pwrite":
            handle, content, offset = arguments
            with memoryview(content) as view, contextlib.suppress(OSError):  # direct writes may not be halved
                written = call(handle, view[: len(view) // 2], offset)
                if what == "short":
                    return written
        if what in ("none", "short"):
            return call(*arguments, **named)
        if what != "kill-before":
            with contextlib.suppress(OSError):  # such as of what is not there to be removed
                call(*arguments, **named)
        if what.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyboardInterrupt

    return meet


def _child(folder: str, what: str, at: int) -> tuple[list[Any], int]:
    """What a child told, and how it ended: the negative number of a signal, or 0."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)

        def tell(about: str, value: Any) -> None:
            os.write(writing, json.dumps([about, value]).encode() + b"\n")

        try:
            with interposed(fault(what, at)):
                tell("ended", run(folder, tell).digest)
        except (QrexError, KeyboardInterrupt) as error:
            tell("failed", f"{type(error).__name__}: {error}")
        except BaseException as error:
            tell("surprised", repr(error))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = [json.loads(line) for line in pipe]
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    histories = json.load(sys.stdin)
    outcomes = [
        [_child(history["folder"], what, at) for what, at in [*history["faults"], ["none", 0]]] for history in histories
    ]
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
