"""Opens a session for a verb: workload, platform, store and progress from what was typed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from qrex.cli.tables import plain
from qrex.errors import InfeasibleError, InputError, StoreError

if TYPE_CHECKING:
    from qrex.circuits import Workload
    from qrex.expansion.session import Session
    from qrex.platform import Platform
    from qrex.store import Store

__all__ = ["check_all_read", "check_engine", "open_session", "open_store", "read_workload"]


_NAMED = 8  # circuits in one warning


def read_workload(
    sources: Sequence[str], *, strict: bool = False, target: str | None = None, measure_all: bool = False
) -> Workload:
    """The workload that was named; what could not be read, and what measures nothing, is told on stderr.

    `measure_all` measures every qubit of the latter. Raises InputError where nothing could be read.
    """
    from qrex.circuits import Workload, load_workload
    from qrex.circuits.measuring import with_measurements

    if not sources:
        return Workload("none", ())
    workload = load_workload(list(sources) if len(sources) > 1 else sources[0], strict=strict, target=target)
    for error in workload.failures.values():
        click.echo(plain(f"qrex: not read: {error}"), err=True)
    if not workload.circuits:
        raise InputError("no circuit could be read, so there is nothing to do; docs/openqasm.md says what is read")
    if measure_all:
        return with_measurements(workload)
    _warn_of_unmeasured(workload)
    return workload


def _warn_of_unmeasured(workload: Workload) -> None:
    from qrex.circuits.measuring import measures

    bare = [circuit for circuit in workload.circuits if not measures(circuit.quantum_circuit)]
    if not bare:
        return
    names = ", ".join(circuit.name for circuit in bare[:_NAMED])
    if len(bare) > _NAMED:
        names += f" and {len(bare) - _NAMED:,} more"
    empty = not any(circuit.quantum_circuit.num_clbits for circuit in bare)
    one = len(bare) == 1
    click.echo(
        plain(
            f"qrex: {names} {'measures' if one else 'measure'} nothing: {'its' if one else 'their'} only outcome is "
            f"{'empty' if empty else 'empty or all 0'}; add measurements or --measure-all"
        ),
        err=True,
    )


def check_all_read(workload: Workload) -> None:
    """Raise InputError, once the rest is done, where a file could not be read."""
    if workload.failures:
        count = len(workload.failures)
        raise InputError(f"{count} of {count + len(workload.circuits)} files could not be read; the others are done")


def check_engine(name: str | None) -> None:
    """Raise InputError for an engine that nobody knows, before anything is measured."""
    from qrex.engines.registry import engine_status
    from qrex.platform import nearest

    if name is None:
        return
    found = {status.name: status for status in engine_status()}
    if name not in found:
        close = nearest(name, found, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"there is no engine {name!r}{hint}; there is {', '.join(found)}; see `qrex engines`")
    status = found[name]
    if status.state != "installed":
        install = f"; install: {status.install}" if status.install else ""
        raise InputError(f"engine {name!r} is {status.state}: {status.reason}{install}")


@contextmanager
def open_store(path: str | None) -> Iterator[Store]:
    """The store; what was wrong with it is told on stderr when the command has printed its results, with exit code 1
    where something could not be kept and nothing worse has happened."""
    from qrex.store import Store

    troubles: list[str] = []

    def tell() -> None:
        if isinstance(sys.exc_info()[1], StoreError):
            return  # which says all that matters of the store
        for trouble in troubles:
            click.echo(plain(f"qrex: {trouble}"), err=True)
        if opened.unkept and sys.exc_info()[0] is None:
            sys.exit(1)

    with Store(path, troubles.append) as opened:
        click.get_current_context().call_on_close(tell)
        yield opened


@contextmanager
def open_session(
    sources: Sequence[str],
    platform: str | None,
    *,
    seed: int = 0,
    shots: int | None = None,
    target: str | None = None,
    cores: int | None = None,
    memory: int | None = None,
    scratch: str | None = None,
    disk: int | None = None,
    codec: str = "float32",
    time_limit: float = 120.0,
    measure_all: bool = False,
    strict: bool = False,
    store: str | None = None,
    quiet: bool = False,
    qpu: str | None = None,
) -> Iterator[Session]:
    """`qpu` names which of the platform's QPUs is the session's; by default the first."""
    from qrex.telemetry import SilentProgress, open_progress

    with SilentProgress() if quiet else open_progress() as progress:
        # Importing Qiskit takes a second: that something is going on is said before.
        with progress.stage("Read the workload" if sources else "Open the platform"):
            from qrex.expansion.session import Session, Settings
            from qrex.platform import load_platform

            described = load_platform(platform)
            if qpu is not None:
                described = _with_first(described, qpu)
            workload = read_workload(sources, strict=strict, target=target, measure_all=measure_all)
            settings = Settings(
                seed=seed, shots=shots, cores=cores, memory_bytes=memory, scratch_dir=scratch, disk_bytes=disk,
                codec=codec, wall_seconds=time_limit,
            )  # fmt: skip
        with open_store(store) as opened, Session(workload, described, settings, opened, progress) as session:
            yield session


def _with_first(platform: Platform, name: str) -> Platform:
    """The same platform with the QPU called `name` as its first."""
    from qrex.platform import nearest

    names = [qpu.name for qpu in platform.qpus]
    if name not in names:
        if not names:
            raise InfeasibleError(f"QPU {name!r} was asked for; the platform {platform.name!r} has none")
        close = nearest(name, names, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise InputError(f"the platform {platform.name!r} has no QPU {name!r}{hint}; it has {', '.join(names)}")
    return replace(platform, qpus=tuple(sorted(platform.qpus, key=lambda qpu: qpu.name != name)))
