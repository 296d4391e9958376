"""Opens a session for a verb: workload, platform, store and progress from what was typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from qrex.circuits import Workload
    from qrex.expansion.session import Session

__all__ = ["open_session", "read_workload"]


def read_workload(sources: Sequence[str], *, strict: bool = False, target: str | None = None) -> Workload:
    """The workload that was named; what could not be read is told on stderr."""
    from qrex.circuits import Workload, load_workload

    if not sources:
        return Workload("none", ())
    workload = load_workload(list(sources) if len(sources) > 1 else sources[0], strict=strict, target=target)
    for error in workload.failures.values():
        click.echo(f"qrex: not read: {error}", err=True)
    return workload


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
    time_limit: float = 120.0,
    strict: bool = False,
    store: str | None = None,
    quiet: bool = False,
) -> Iterator[Session]:
    from qrex.expansion.session import Session, Settings
    from qrex.platform import load_platform
    from qrex.store import Store
    from qrex.telemetry import SilentProgress, open_progress

    workload = read_workload(sources, strict=strict, target=target)
    settings = Settings(
        seed=seed, shots=shots, cores=cores, memory_bytes=memory, scratch_dir=scratch, wall_seconds=time_limit
    )
    with SilentProgress() if quiet else open_progress() as progress, Store(store) as opened:
        with Session(workload, load_platform(platform), settings, opened, progress) as session:
            yield session
