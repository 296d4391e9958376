"""Which slots of a scratch area are free, taken or held: one byte for each.

In: numbers of slots. Out: free ones, in as few pieces as there can be. A slot is *free*, then *taken* by whoever
writes a block into it, then *held* by the commit that names it, until a later commit frees it. Taking is O(slots), at
the speed of a search through bytes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable

__all__ = ["SlotTable"]

_FREE, _TAKEN, _HELD = b"f", b"t", b"h"
_WORDS = {_FREE: "free", _TAKEN: "taken", _HELD: "held"}
_RUNS = re.compile(_FREE + b"+")


class SlotTable:
    """The state of `count` slots; those in `held` are held, the others free. Raises ValueError for a slot that is not
    there, is named twice, or is not in the state that the change starts from; then nothing was changed.

    >>> table = SlotTable(6)
    >>> first = table.take(4)
    >>> table.apply(*table.checked(holds=first[:2], frees=[]))
    >>> table.give_back(first[2:])
    >>> table.held(), table.free, table.take(3)
    ([0, 1], 4, [2, 3, 4])
    """

    def __init__(self, count: int, held: Iterable[int] = ()) -> None:
        self._states = bytearray(_FREE * count)
        self._move(self._numbers(held, _FREE), _HELD)

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self._states.count(_FREE)

    def held(self) -> list[int]:
        """Slots that commits hold, ascending."""
        return [slot for slot, state in enumerate(self._states) if state == _HELD[0]]

    def take(self, count: int) -> list[int]:
        """`count` free slots, ascending, out of as few runs of free slots as possible and out of small runs first:
        a request that fits into one run does not break up a longer one."""
        if not 0 <= count <= self.free:
            raise ValueError(f"{count} slots were asked for, {self.free} are free")
        chosen: list[int] = []
        runs = [range(*found.span()) for found in _RUNS.finditer(self._states)]
        runs.sort(key=lambda run: (-len(run), run.start))
        for place, run in enumerate(runs):
            missing = count - len(chosen)
            if len(run) >= missing:
                fitting = (other for other in runs[place:] if len(other) >= missing)
                chosen += min(fitting, key=lambda other: (len(other), other.start))[:missing]
                break
            chosen += run
        self._move(chosen, _TAKEN)
        return sorted(chosen)

    def give_back(self, slots: Iterable[int]) -> None:
        """Slots that were taken and are not wanted after all."""
        self._move(self._numbers(slots, _TAKEN), _FREE)

    def checked(self, holds: Iterable[int], frees: Iterable[int]) -> tuple[list[int], list[int]]:
        """What a commit may `apply`: the slots it holds are taken, those it frees are held."""
        return self._numbers(holds, _TAKEN), self._numbers(frees, _HELD)

    def apply(self, holds: list[int], frees: list[int]) -> None:
        """What `checked` returned, once the commit is on the disk."""
        self._move(holds, _HELD)
        self._move(frees, _FREE)

    def restore(self, holds: list[int], frees: list[int]) -> None:
        """A commit of another process, read from its manifest."""
        now_held, now_free = self._numbers(holds, _FREE), self._numbers(frees, _HELD)
        self.apply(now_held, now_free)

    def _numbers(self, slots: Iterable[int], state: bytes) -> list[int]:
        numbers = [operator.index(slot) for slot in slots]
        count = len(self._states)
        wrong = [slot for slot in numbers if not 0 <= slot < count or self._states[slot] != state[0]]
        if wrong:
            raise ValueError(f"slot {wrong[0]} is not {_WORDS[state]}; there are slots 0 to {count - 1}")
        if len(set(numbers)) != len(numbers):
            raise ValueError("a slot is named twice")
        return numbers

    def _move(self, slots: Iterable[int], state: bytes) -> None:
        for slot in slots:
            self._states[slot] = state[0]
