"""The process that runs tasks: warm, limited in memory, gone when its parent is.

In: (function, arguments, memory limit) over a pipe. Out: ("ready",) once it is warm; then for each task
("progress", fraction) while it runs, and ("done", value, peak bytes) or ("failed", error, peak bytes).
"""

from __future__ import annotations

import ctypes
import logging
import pickle
import resource
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from qrex.errors import EngineError, MemoryLimitError, QrexError
from qrex.units import format_bytes

__all__ = ["PRELOAD", "serve"]

PRELOAD = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit.primitives", "stim", "qrex.engines")
"""Imported once, in the process that workers are forked from."""

_SLACK_BYTES = 192 * 2**20
"""Thread stacks, allocator arenas and Python objects that no engine's estimate counts."""

_PROGRESS_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def serve(connection: Connection, warm_up: Callable[[], None] | None) -> None:
    """Warm up, then run tasks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    # Failures come back as errors, with the reason; a second copy on stderr would only break the display.
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if warm_up is not None:
        warm_up()
    try:
        connection.send(("ready",))
        while True:
            connection.send(_run(*connection.recv(), connection))
    except (EOFError, OSError):
        return  # the parent has gone


def _run(function: Callable, arguments: tuple, memory_bytes: int | None, connection: Connection) -> tuple:
    before = _reset_peak()
    unlimited = resource.getrlimit(resource.RLIMIT_DATA)
    if memory_bytes is not None:
        resource.setrlimit(
            resource.RLIMIT_DATA, (_status_bytes("VmData") + memory_bytes + _SLACK_BYTES, unlimited[1])
        )
    try:
        value = function(*arguments, _progress_to(connection))
        pickle.dumps(value)
        outcome = ("done", value)
    except QrexError as error:
        outcome = ("failed", error)
    except Exception as error:
        outcome = ("failed", _translated(error, memory_bytes))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, unlimited)
    return (*outcome, max(0, _status_bytes("VmHWM") - before))


def _translated(error: Exception, memory_bytes: int | None) -> QrexError:
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        limit = format_bytes(memory_bytes) if memory_bytes is not None else "no limit"
        return MemoryLimitError(f"went past its memory limit of {limit}; give it more with --memory")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return EngineError(f"{type(error).__name__}: {error} (at {last.name}, line {last.lineno})")


def _progress_to(connection: Connection) -> Callable[[float], None]:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_SECONDS:
            last = now
            connection.send(("progress", fraction))

    return report


def _status_bytes(field: str) -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> int:
    """Start a new peak of resident memory; returns what is resident now."""
    try:
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
    except OSError:
        # Without it the peak includes earlier tasks: an overestimate, never an underestimate.
        return _status_bytes("VmHWM")
    return _status_bytes("VmRSS")
