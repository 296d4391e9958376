"""Ctrl-C, heard between two steps of a loop and never inside one.

In: nothing. Out: a check that raises KeyboardInterrupt. A signal in the middle of reading a result would lose it.
A second Ctrl-C is raised at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["deferred_interrupt"]


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Yields the check. Where Ctrl-C is somebody else's affair already, it is left alone."""
    heard: list[int] = []

    def check() -> None:
        if heard:
            raise KeyboardInterrupt

    def note(number: int, frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    check()  # it came in the last step
