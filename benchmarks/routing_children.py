"""A contender in a process of its own that is kept warm, stopped when it takes too long, and started again.

In: circuits by path. Out: seconds from the prepared circuit to counts, measured in the child, or why there are none.
The child is forked from a parent that has loaded every package and runs no threads, so a new one costs some
milliseconds; `RLIMIT_DATA` keeps each one from taking the machine's memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import pickle
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit, qpy
from routing_contenders import Contender, OutOfMemory, Refused, Stopped
from routing_forms import mirror

__all__ = ["Child", "Outcome"]

_START_SECONDS = 60.0
_GRACE_SECONDS = 0.25  # for those that stop by themselves
_MESSAGE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state`: "ok", "refused", "memory" (refused or died for want of it), "died", "stopped" (at the limit)."""

    state: str
    seconds: float | None = None
    why: str = ""
    infidelity: float | None = None
    zeros: float = 0.0
    peak_bytes: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] | None = None


class Child:
    """The process of one contender. `make` is called in it, once per start."""

    def __init__(self, name: str, make: Callable[[], Contender], memory_bytes: int, shots: int, prepared: Path):
        self.name, self.shots = name, shots
        self._make, self._memory_bytes, self._prepared = make, memory_bytes, prepared
        self._process = None
        self.starts = 0

    def prepare(self, path: str, limit_seconds: float, *, mirrored: bool = False, hint: str = "") -> Outcome:
        """Make the circuit (or its mirror) ready; state "ok" or why not."""
        return self._ask(("prepare", path, mirrored, hint), limit_seconds)

    def run(self, seed: int, limit_seconds: float, *, want_counts: bool = False) -> Outcome:
        """From the prepared circuit to counts, once."""
        return self._ask(("run", seed, limit_seconds, want_counts), limit_seconds)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        target = (self._make, self._memory_bytes, self.shots, self._prepared / self.name, theirs)
        self._process = context.Process(target=_serve, args=target, daemon=True)
        sys.stdout.flush()
        self._process.start()
        theirs.close()
        self.starts += 1
        if not self._pipe.poll(_START_SECONDS):
            raise RuntimeError(f"{self.name} did not start within {_START_SECONDS:g} s")
        ready = self._pipe.recv()
        if ready != "ready":
            raise RuntimeError(f"{self.name} did not start: {ready}")

    def _ask(self, message: tuple, limit_seconds: float) -> Outcome:
        if self._process is None:
            self._start()
        self._pipe.send(message)
        if not self._pipe.poll(limit_seconds + _GRACE_SECONDS):
            self.close()
            return Outcome("stopped", why=f"over {limit_seconds:.3g} s")
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.close()
            # SIGABRT is how programs in C++ and Rust end when an allocation fails, SIGKILL how the system ends them.
            return Outcome("memory" if code in (-6, -9) else "died", why=f"its process ended with {code}")


def _serve(make, memory_bytes: int, shots: int, prepared: Path, pipe) -> None:
    """The child's loop."""
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        contender = make()
        _warm(contender)
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}")
        raise
    gc.collect()
    gc.freeze()  # collections need not walk what every package has loaded
    pipe.send("ready")
    current: Any = None
    while True:
        message = pipe.recv()
        try:
            if message[0] == "prepare":
                current = None
                current = _prepare(contender, *message[1:], prepared)
                answer = Outcome("ok")
            else:
                answer = _run(contender, current, shots, *message[1:])
        except Stopped:
            answer = Outcome("stopped", why=f"over {message[-2]:.3g} s")
        except Refused as error:
            answer = Outcome("refused", why=_short(error))
        except (MemoryError, OutOfMemory) as error:
            answer = Outcome("memory", why=_short(error))
        except Exception as error:  # whatever a peer raises is its way of refusing
            state = "memory" if "bad_alloc" in str(error) or "out of memory" in str(error).lower() else "refused"
            answer = Outcome(state, why=f"{type(error).__name__}: {_short(error)}")
        pipe.send(answer)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MESSAGE_CHARACTERS]


def _warm(contender: Contender) -> None:
    """First uses, so that they are in nobody's time: of a Clifford circuit and of another one."""
    for angle in (0.0, 0.3):
        circuit = QuantumCircuit(4)
        circuit.h(range(4))
        if angle:
            circuit.rzz(angle, 0, 1)
        circuit.cx(0, 3)
        circuit.measure_all()
        with contextlib.suppress(Refused):
            prepared = contender.tune(contender.prepare(circuit, barriers=False))
            for seed in (1, 2):
                contender.run(contender.fresh(prepared), 100, seed, 60.0)


_WORTH_KEEPING_SECONDS = 0.5


def _prepare(contender: Contender, path: str, mirrored: bool, hint: str, folder: Path) -> Any:
    kept = folder / f"{Path(path).stem}{'.mirror' if mirrored else ''}.pickle"
    if contender.keepable and kept.exists():
        with contextlib.suppress(Exception), open(kept, "rb") as file:
            return contender.tune(pickle.load(file))
    began = time.perf_counter()
    with open(path, "rb") as file:
        circuit = qpy.load(file)[0]
    made = contender.prepare(mirror(circuit) if mirrored else circuit, barriers=mirrored, hint=hint)
    if time.perf_counter() - began > _WORTH_KEEPING_SECONDS and contender.keepable:
        folder.mkdir(parents=True, exist_ok=True)
        with open(kept, "wb") as file:
            pickle.dump(made, file)
    return contender.tune(made)


def _run(contender, current, shots: int, seed: int, limit_seconds: float, want_counts: bool) -> Outcome:
    if current is None:
        raise Refused("not prepared")
    fresh = contender.fresh(current)
    gc.collect()
    # What earlier circuits left in the allocator would hide what this one takes.
    ctypes.CDLL(None).malloc_trim(0)
    before = _reset_peak()
    began = time.perf_counter()
    answer = contender.run(fresh, shots, seed, limit_seconds)
    seconds = time.perf_counter() - began
    if seconds > limit_seconds:
        raise Stopped
    zeros = sum(n for key, n in answer.counts.items() if "1" not in key) / shots
    return Outcome(
        "ok", seconds, "", answer.infidelity, zeros, max(0, _memory("VmHWM") - before), dict(answer.facts),
        dict(answer.counts) if want_counts else None,
    )  # fmt: skip


def _reset_peak() -> int:
    """Forget the peak of resident memory; the resident bytes now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0
