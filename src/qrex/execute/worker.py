"""The process that runs tasks: warm, limited in memory, gone when its parent is.

In, over a pipe: the grants of a batch with, for each of its tasks, the pickled function and arguments (where those
are large, in messages of their own that follow); an empty message takes back whatever of the batch has not begun.
Out: ("ready", resident bytes) once it is warm; then, for each task in turn, ("progress", place, fraction) while it
runs, and ("ended", place, `Figures`) followed by the pickled (value, error). Results are sent one by one: what is
finished stays finished if a later task of the batch takes the process with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from qrex.errors import EngineError, MemoryLimitError, QrexError
from qrex.execute.memory import (
    DATA_SLACK_BYTES,
    HELPER_THREADS,
    STACK_BYTES,
    data_bytes,
    own_peak_bytes,
    reset_own_peak,
    resident_bytes,
    return_freed_memory,
    wants_memory,
)
from qrex.execute.task import Grant, Grantable
from qrex.units import format_bytes

__all__ = ["PRELOAD", "Figures", "serve"]

PRELOAD = ("qiskit", "qiskit_aer", "stim", "qrex.engines.aer", "qrex.execute.jobs", "qrex.execute.solving")
"""Imported once, in the process that workers are forked from."""

_GROWN_BYTES = 16 * 2**20
"""Growth after a task that is worth giving back: looking for it takes a few milliseconds."""

_PROGRESS_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1

@dataclass(frozen=True, slots=True)
class Figures:
    """Of one task: when it began and when its memory was given back (`time.monotonic`), what it took, and what the
    process held before, at most, and after."""

    started: float
    finished: float
    seconds: float
    base_bytes: int
    peak_bytes: int
    resident_bytes: int
    breach: bool


def serve(connection: Connection, warm_ups: Sequence[Callable[[], None]]) -> None:
    """Warm up, then run batches until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    # Standard output is the parent's results alone; what engines print there, also from native code, is a remark.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    # Failures come back as errors, with the reason; a second copy on stderr would only break the display.
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for warm_up in warm_ups:
        warm_up()
    # What is loaded now stays: collections need not walk it, and its pages stay shared.
    gc.collect()
    gc.freeze()
    try:
        connection.send(("ready", resident_bytes()))
        while True:
            header = connection.recv_bytes()
            if not header:
                continue  # nothing is left that could be taken back
            grants, payloads = pickle.loads(header)
            if payloads is None:
                payloads = [connection.recv_bytes() for _ in grants]
            payloads.reverse()
            for place, grant in enumerate(grants):
                if place and connection.poll():
                    connection.recv_bytes()
                    break
                _run(place, grant, payloads.pop(), connection)
    except (EOFError, OSError):
        return  # the parent has gone


def _run(place: int, grant: Grant, payload: bytes, connection: Connection) -> None:
    base = reset_own_peak()
    unlimited = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data_bytes() + grant.memory_bytes + DATA_SLACK_BYTES + (grant.threads + HELPER_THREADS) * STACK_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, unlimited[1]))
    value = error = None
    breach = False
    started = time.monotonic()
    try:
        function, arguments = pickle.loads(payload)
        del payload
        value = function(*(_told(one, grant) for one in arguments), _progress_to(connection, place))
        answer = pickle.dumps((value, None), pickle.HIGHEST_PROTOCOL)
    except QrexError as refusal:
        error, breach = refusal, isinstance(refusal, MemoryLimitError)
    except Exception as failure:
        error, breach = _translated(failure, grant)
    finally:
        seconds = time.monotonic() - started
        resource.setrlimit(resource.RLIMIT_DATA, unlimited)
    if error is not None:
        answer = _pickled_error(error)
    peak = own_peak_bytes()
    value = error = arguments = None
    if resident_bytes() > base + _GROWN_BYTES:
        gc.collect()
        return_freed_memory()
    left = resident_bytes()
    figures = Figures(started, time.monotonic(), seconds, base, max(base, peak), left, breach)
    connection.send(("ended", place, figures))
    connection.send_bytes(answer)


def _told(argument: object, grant: Grant) -> object:
    return argument.granted(grant.threads, grant.memory_bytes) if isinstance(argument, Grantable) else argument


def _pickled_error(error: QrexError) -> bytes:
    with contextlib.suppress(Exception):
        return pickle.dumps((None, error.with_traceback(None)), pickle.HIGHEST_PROTOCOL)
    return pickle.dumps((None, EngineError(str(error))), pickle.HIGHEST_PROTOCOL)


def _translated(error: Exception, grant: Grant) -> tuple[QrexError, bool]:
    """What a failure means, and whether want of memory may be behind it."""
    text = str(error)
    if wants_memory(error):
        limit = format_bytes(grant.memory_bytes)
        return MemoryLimitError(f"went past its memory limit of {limit}; give it more with --memory"), True
    last = traceback.extract_tb(error.__traceback__)[-1]
    # LAPACK reports a workspace that it could not allocate as a failure to converge.
    suspected = type(error).__name__ == "LinAlgError"
    return EngineError(f"{type(error).__name__}: {text} (at {last.name}, line {last.lineno})"), suspected


def _progress_to(connection: Connection, place: int) -> Callable[[float], None]:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_SECONDS:
            last = now
            connection.send(("progress", place, fraction))

    return report
