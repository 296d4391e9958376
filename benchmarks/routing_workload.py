"""Whole workloads through the path of `qrex run`: how many circuits per second, and whether memory limits hold.

In: circuits, cores, a memory limit. Out: circuits per second; what the operating system says that the processes
held. The path is that of the command: a session with its pool of workers, routes, units of work, a store; only
reading files is left out. Both parts run in a process of their own, from which workers can be started.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from qiskit import QuantumCircuit
from routing_set import Item, load

from qrex.circuits import Circuit, Workload
from qrex.expansion.session import Session, Settings
from qrex.expansion.simulation import run_expanded
from qrex.platform import load_platform
from qrex.store import Store
from qrex.telemetry import SilentProgress

__all__ = ["dispatch_figures", "memory_figures"]

_SAMPLE_SECONDS = 0.01
_SHOTS = 1000


def dispatch_figures(cores: int, count: int, passes: int = 3) -> dict[str, Any]:
    """Distinct circuits of two qubits, decided, run and stored; the median of a few passes."""
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(passes):
            circuits = tuple(_trivial(number * count + k) for k in range(count))
            with _session(circuits, folder, Settings(seed=1, shots=100, cores=cores)) as session:
                _ = session.pool, session.constants
                began = time.perf_counter()
                stage = run_expanded(session, side_by_side=True, timed=False)
                seconds = time.perf_counter() - began
            if len(stage.finished()) != count:
                raise RuntimeError(f"{count - len(stage.finished())} of {count} trivial circuits did not finish")
            rates.append(count / seconds)
    median = round(statistics.median(rates), 1)
    return {"dispatch_per_second": median, "dispatch_passes": [round(rate, 1) for rate in rates]}


def memory_figures(items: Sequence[Item], cores: int, memory_bytes: int, wall_seconds: float) -> dict[str, Any]:
    """The set with a memory limit for all runs together, watched from outside the workers.

    A breach is a process whose peak resident memory passes `memory_bytes`, what it held when idle included.
    """
    circuits = tuple(_circuit(load(item), item.name) for item in items)
    settings = Settings(seed=1, shots=_SHOTS, cores=cores, memory_bytes=memory_bytes, wall_seconds=wall_seconds)
    swapped = _swapped_out()
    with tempfile.TemporaryDirectory() as folder, _session(circuits, folder, settings) as session:
        _ = session.pool, session.constants
        with _Watch() as watch:
            stage = run_expanded(session, side_by_side=True, timed=False)
    ends = Counter(_end(payload) for payload in stage.payloads.values()) + Counter(refused=len(stage.refused))
    errors = {c.name: stage.payloads[c.id]["error"] or "" for c in stage.circuits if c.id in stage.payloads}
    return {
        "memory_2gb_breaches": sum(peak > memory_bytes for peak in watch.peaks.values()),
        "memory_2gb_workers_died": {name: error for name, error in errors.items() if "died" in error},
        "memory_2gb_largest_process_bytes": max(watch.peaks.values(), default=0),
        "memory_2gb_all_above_idle_bytes": watch.most_above_idle,
        "memory_2gb_processes": len(watch.peaks),
        "memory_2gb_ends": dict(ends),
        "memory_2gb_time_limit_seconds": wall_seconds,
        "swapped_bytes": (_swapped_out() - swapped) * os.sysconf("SC_PAGE_SIZE"),
    }


def _end(payload: Mapping[str, Any]) -> str:
    if payload["value"]:
        return "finished"
    return "stopped or died" if payload["lost"] else payload["error_type"]


@dataclass
class _Watch:
    """Samples every descendant process: its peak as the kernel keeps it, and what all hold together."""

    peaks: dict[int, int] = field(default_factory=dict)
    most_above_idle: int = 0
    _idle: dict[int, int] = field(default_factory=dict)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> _Watch:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        known, listed = [], 0.0
        while not self._done.wait(_SAMPLE_SECONDS):
            if time.monotonic() - listed > 10 * _SAMPLE_SECONDS:
                known, listed = [child.pid for child in me.children(recursive=True)], time.monotonic()
            above = 0
            for pid in known:
                held = _held(pid)
                if held is not None:
                    resident, peak = held
                    self.peaks[pid] = max(self.peaks.get(pid, 0), peak)
                    above += resident - self._idle.setdefault(pid, resident)
            self.most_above_idle = max(self.most_above_idle, above)


def _held(pid: int) -> tuple[int, int] | None:
    """Resident bytes now and at most, or None where the process has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Vm")}
    return (found["VmRSS"], found["VmHWM"]) if "VmRSS" in found else None


def _swapped_out() -> int:
    for line in Path("/proc/vmstat").read_text().splitlines():
        if line.startswith("pswpout "):
            return int(line.split()[1])
    return 0


def _session(circuits: tuple[Circuit, ...], folder: str, settings: Settings) -> Session:
    """On a store of its own, where the cost constants are kept once they are measured."""
    store = Store(f"{folder}/qrex.db")
    return Session(Workload("benchmark", circuits), load_platform(None), settings, store, SilentProgress())


def _circuit(quantum_circuit: QuantumCircuit, name: str) -> Circuit:
    return Circuit(f"benchmark-{name}", name, "<python>", "Qiskit", quantum_circuit, "simulate")


def _trivial(number: int) -> Circuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(1e-4 * (number + 1), 0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return _circuit(circuit, f"trivial-{number}")
