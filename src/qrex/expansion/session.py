"""What one expansion holds while it runs: the workload, the platform opened, the store, the workers.

In: paths and settings. Out: the pieces that the stages share. Opening a session costs the import of Qiskit
and, once per host, the probe and the calibration of cost constants (about ten seconds, then kept).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from numbers import Integral
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

import psutil

from qrex import __version__
from qrex.balance import CostConstants, Refinement, calibrate, refine
from qrex.balance.calibration import FIRST_USE_SECONDS, uncalibrated
from qrex.balance.refinement import observations
from qrex.circuits import Circuit, Workload
from qrex.circuits.workload_file import check_shots
from qrex.engines import Allotment
from qrex.engines.registry import foreign_versions
from qrex.engines.statevector.tiers import CODECS
from qrex.errors import InfeasibleError, InputError
from qrex.execute import Pool, Task, UnitRunner, WorkUnit, dispatch_constants
from qrex.execute.jobs import open_qpu_once, warm_engines
from qrex.execute.memory import SLACK_BYTES, WORKER_BYTES
from qrex.platform import (
    MEMORY_FILE_SYSTEMS,
    Host,
    Platform,
    file_system_of,
    host_from_dict,
    host_to_dict,
    probe_host,
)  # fmt: skip
from qrex.store import Store
from qrex.telemetry import Stage, StageProgress
from qrex.units import format_bytes

__all__ = ["Session", "Settings", "keep_probe", "shows_running"]

_Kind = TypeVar("_Kind")

_HOST_MAX_AGE_SECONDS = 7 * 86400.0
_COSTS_MAX_AGE_SECONDS = 30 * 86400.0
_LEARNED_FROM = 2000  # of the newest runs: what was learned long ago gives way
_MEMORY_SHARE = 0.8  # of what is free, where no limit is given: the machine is not ours alone
_PACKAGES = ("qiskit", "qiskit-aer", "stim", "numpy")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose. None means: the workload's, the platform's, or all that the host has."""

    seed: int
    shots: int | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    scratch_dir: str | None = None
    disk_bytes: int | None = None
    codec: str = "float32"
    infidelity: float = 1e-3
    wall_seconds: float = 120.0  # per circuit; what takes longer is stopped and shown as such
    layout_candidates: int = 24
    decoupling: str = "zz-aware"
    metrology_shots: int = 1000

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be meant."""
        check_shots(self.shots, "shots")
        if not self.wall_seconds > 0:  # nor is NaN
            raise InputError(f"wall_seconds is {self.wall_seconds!r}; it must be a positive number of seconds")
        if self.codec not in CODECS:
            raise InputError(f"there is no codec {self.codec!r}; there are {', '.join(CODECS)}")
        for name, least in (("seed", None), ("cores", 1), ("memory_bytes", 1), ("disk_bytes", 0)):
            value = getattr(self, name)
            if value is None and least is not None:
                continue
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if not whole or (least is not None and value < least):
                bound = f" of at least {least}" if least is not None else ""
                raise InputError(f"{name} is {value!r}; it must be a whole number{bound}")


@dataclass
class Session:
    """One expansion's shared state. Use as a context manager."""

    workload: Workload
    platform: Platform
    settings: Settings
    store: Store
    progress: StageProgress
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what stages found out, for the report

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        if "pool" in self.__dict__:
            self.pool.close()

    # The host ----------------------------------------------------------------------------------------

    @cached_property
    def host(self) -> Host:
        scope = _host_scope(self.scratch_dir)
        kept = self._measured("host", scope, _HOST_MAX_AGE_SECONDS, host_from_dict)
        if kept is not None:
            return kept
        with self.stage("Probe this host", 1, 5.0) as stage:
            host = keep_probe(self.store, self.scratch_dir)
            stage.advance(1, note=f"{host.cores} cores, {format_bytes(host.memory_bytes)}")
        return host

    @property
    def scratch_dir(self) -> str | None:
        folder = self.settings.scratch_dir or self.platform.limits.scratch_dir
        if folder is not None and not Path(folder).is_dir():
            what = "is no folder; name one" if Path(folder).exists() else "does not exist; make it, or name another"
            raise InputError(f"the scratch folder {folder!r} {what} with --scratch")
        return folder

    @cached_property
    def scratch_room(self) -> tuple[str | None, int]:
        """Where blocks of states that are larger than the memory go, and how many bytes they may take there: by default
        half of what is free. (None, 0) where the folder is in memory itself, and none was asked for."""
        folder = self.scratch_dir or self.host.scratch_dir
        asked = self.settings.disk_bytes
        if asked is None:
            asked = self.platform.limits.scratch_bytes
        kind = file_system_of(folder)
        if kind in MEMORY_FILE_SYSTEMS:
            if self.settings.scratch_dir is None and not asked:
                return None, 0
            self.tell(f"the scratch folder {folder} is on {kind}, which is memory: name one on a disk with --scratch")
        free = shutil.disk_usage(folder).free
        if asked is None:
            return folder, free // 2
        if asked > free:
            raise InfeasibleError(
                f"asked to use {format_bytes(asked)} of disk in {folder}; {format_bytes(free)} are free there; ask for "
                "less with --disk, or name another folder with --scratch"
            )
        return folder, asked

    def allotment(self, threads: int, memory_bytes: int) -> Allotment:
        """What a run gets, disk included."""
        folder, disk_bytes = self.scratch_room
        given = Allotment(threads, memory_bytes, folder, disk_bytes, codec=self.settings.codec)
        rates = (self.host.disk_read_bandwidth, self.host.disk_write_bandwidth)
        if any(rate is None for rate in rates):
            return given
        return replace(given, disk_bytes_per_second=2 / sum(1 / rate.value for rate in rates))

    @cached_property
    def cores(self) -> int:
        asked = self.settings.cores or self.platform.limits.cores or self.host.cores
        if asked > self.host.cores:
            raise InfeasibleError(
                f"asked to use {asked} cores; this host has {self.host.cores}; ask for fewer with --cores or in the "
                "platform file"
            )
        return asked

    @cached_property
    def memory_bytes(self) -> int:
        """Memory that all runs together may use."""
        asked = self.settings.memory_bytes or self.platform.limits.memory_bytes
        if asked is None:
            return int(_MEMORY_SHARE * self.host.memory_available_bytes)
        if asked > self.host.memory_bytes:
            raise InfeasibleError(
                f"asked to use {format_bytes(asked)} of memory; this host has {format_bytes(self.host.memory_bytes)}; "
                "ask for less with --memory or in the platform file"
            )
        return asked

    @property
    def usable_bytes(self) -> int:
        """What all runs together get now: the budget may come from a probe of days ago, and no more than is free now
        is promised."""
        return min(self.memory_bytes, psutil.virtual_memory().available)

    @property
    def room_bytes(self) -> int:
        """What one run may use when it has all the memory: what a worker holds itself is not its to use."""
        return max(0, self.memory_bytes - self.process_bytes)

    @property
    def process_bytes(self) -> int:
        """What one worker process takes of the memory itself."""
        return WORKER_BYTES + SLACK_BYTES

    @property
    def share_bytes(self) -> int:
        """One core's share of the memory, its worker process taken off: what simulating a QPU's circuit may use."""
        return self.pool.share_bytes

    @cached_property
    def constants(self) -> CostConstants:
        kept = self._measured("costs", self._costs_scope(), _COSTS_MAX_AGE_SECONDS, CostConstants.from_dict)
        if kept is not None and not uncalibrated(kept):
            return kept
        return self.calibrate_now()

    def _measured(self, kind: str, scope: str, max_age_seconds: float, read: Callable[[Any], _Kind]) -> _Kind | None:
        """What was measured earlier, as `read` gives it; None where there is nothing, or it is damaged."""
        kept = self.store.calibration(kind, scope, max_age_seconds=max_age_seconds)
        try:
            return None if kept is None else read(kept)
        except (InputError, AttributeError, LookupError, TypeError, ValueError):
            self.store.leave_aside(f"what was measured of kind {kind!r}")
            return None

    def calibrate_now(self, budget_seconds: float = FIRST_USE_SECONDS) -> CostConstants:
        """Measure every engine's cost constants, and what every run pays, and keep them."""
        with self.stage("Calibrate the cost models", 1, max(8.0, budget_seconds)) as stage:
            constants = calibrate(
                self.cores, budget_seconds, self.host.hostname_hash, lambda: dispatch_constants(self.pool)
            )
            self.store.keep_calibration("costs", self._costs_scope(), constants.to_dict())
            stage.advance(1, note=f"{len(constants.engines)} engines")
        return constants

    @property
    def predictions_scope(self) -> str:
        """What the models' constants hold for: a correction learned on other constants would be a wrong one."""
        return f"{_versions_text(self.foreign_versions)}|{self.constants.measured_at}"

    @cached_property
    def foreign_versions(self) -> dict[str, str]:
        """Package and version of other packages' engines, by engine."""
        return foreign_versions()

    @cached_property
    def refinement(self) -> Refinement:
        """What the stored runs of this host say about the engines' models."""
        rows = self.store.predictions(
            host=self.host.hostname_hash, scope=self.predictions_scope, limit=_LEARNED_FROM
        )
        return refine(observations(rows))

    def _costs_scope(self) -> str:
        return f"{self.host.hostname_hash}|{self.cores}|{_versions_text(self.foreign_versions)}"

    # The QPU -----------------------------------------------------------------------------------------

    @cached_property
    def qpu(self):
        """The platform's first QPU, opened; None where it has none."""
        return open_qpu_once(self.platform.qpus[0]) if self.platform.qpus else None

    # The circuits ------------------------------------------------------------------------------------

    @property
    def simulated(self) -> tuple[Circuit, ...]:
        """Circuits whose exact answer is wanted."""
        return tuple(c for c in self.workload.circuits if c.target != "qpu")

    @property
    def on_device(self) -> tuple[Circuit, ...]:
        """Circuits whose answer by the device is wanted; "auto" means that it fits, control flow included."""
        if self.qpu is None:
            return ()
        return tuple(
            c
            for c in self.workload.circuits
            if c.target in ("qpu", "both") or (self._narrow_auto(c) and c.id not in self.left_to_simulation)
        )

    @cached_property
    def left_to_simulation(self) -> dict[str, str]:
        """Why "auto" circuits that are narrow enough for the QPU are not run there, by circuit id."""
        if self.qpu is None:
            return {}
        found = {c.id: self.qpu.control_flow_obstacle(c.quantum_circuit) for c in self.workload.circuits
                 if self._narrow_auto(c)}  # fmt: skip
        return {name: why for name, why in found.items() if why}

    def _narrow_auto(self, circuit: Circuit) -> bool:
        return circuit.target == "auto" and circuit.num_qubits <= self.qpu.num_qubits

    def shots_of(self, circuit: Circuit) -> int:
        return self.settings.shots or circuit.shots

    def seed_for(self, *labels: object) -> int:
        """A seed that depends on the session's seed and on `labels` alone: the same before and after."""
        text = "|".join(map(str, (self.settings.seed, *labels)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1

    # Work --------------------------------------------------------------------------------------------

    @cached_property
    def pool(self) -> Pool:
        """No worker runs until there is something to run; see `start_workers`."""
        return Pool(self.cores, self.usable_bytes, warm_engines)

    def start_workers(self, units: Sequence[WorkUnit]) -> int:
        """Have warm workers for those of `units` that are not kept; returns how many these are."""
        known = self.store.known([unit.key for unit in units])
        tasks = [unit.task for unit in units if unit.key not in known]
        if tasks and not self.pool.is_warm(tasks):
            # Not `self.stage`: what comes before every clock is no part of the job's own time.
            with self.progress.stage("Start the worker processes"):
                self.pool.warm(tasks)
        return len(tasks)

    @cached_property
    def runner(self) -> UnitRunner:
        return UnitRunner(self.store, self.pool)

    def unit(self, kind: str, parts: Mapping[str, Any], task: Task, *, measured: bool = False) -> WorkUnit:
        """A unit of work that is kept for this host, these versions and nothing else."""
        return WorkUnit(kind, {**parts, "host": self.host.hostname_hash, "versions": _versions()}, task, measured)

    def run_units(
        self, title: str, units: Sequence[WorkUnit], expected_seconds: float | None,
        names: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Payload by task id; see `UnitRunner.run`. A stage is shown only where something is left to do."""
        if not self.start_workers(units):
            return self.runner.run(units)
        shown = names or {}
        with self.stage(title, len(units), expected_seconds) as stage:
            return self.runner.run(
                units, lambda name, _payload: stage.advance(1, note=shown.get(name, name)),
                on_running=shows_running(stage, shown),
            )  # fmt: skip

    def tell(self, note: str) -> None:
        """Show `note` now and in the report."""
        self.progress.note(note)
        self.notes.append(note)

    @contextmanager
    def stage(self, title: str, total: int, expected_seconds: float | None = None) -> Iterator[Any]:
        """A stage of the job: shown while it runs, its seconds kept for the report."""
        began = monotonic()
        with self.progress.stage(title, total=total, expected_seconds=expected_seconds) as stage:
            yield stage
        self.timings[title] = self.timings.get(title, 0.0) + monotonic() - began


def shows_running(stage: Stage, names: Mapping[str, str]) -> Callable[[Mapping[str, float]], None]:
    """What `UnitRunner.run` tells of running tasks, shown by name in `stage`."""
    return lambda began: stage.run({names.get(key, key): since for key, since in began.items()})


def keep_probe(store: Store, scratch_dir: str | None) -> Host:
    """Measure this host now and keep it with its date."""
    host = probe_host(scratch_dir)
    store.keep_calibration("host", _host_scope(scratch_dir), host_to_dict(host))
    return host


def _host_scope(scratch_dir: str | None) -> str:
    return f"{scratch_dir}|{_versions_text()}"


@cache
def _versions() -> dict[str, str]:
    return {"qrex": __version__} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def _versions_text(engines: Mapping[str, str] = MappingProxyType({})) -> str:
    return ",".join(f"{name}={version}" for name, version in sorted((_versions() | dict(engines)).items()))
