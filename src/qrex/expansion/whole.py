"""The main job in one call.

In: what `Expansion` takes, and the thresholds. Out: a `Summary`, from the store where this very job was
finished before.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qrex import __version__
from qrex.circuits import Target
from qrex.expansion.pipeline import DEFAULT_SEED, Expansion
from qrex.platform import Platform
from qrex.report import Summary, check_writable
from qrex.store import Store, content_key
from qrex.telemetry import StageProgress
from qrex.units import format_bytes

__all__ = ["resource_expansion"]

_FORM = 2
"""Counts changes of what a summary says: one that an earlier form made is made anew, from work that is kept."""


def resource_expansion(
    workload: Any,
    platform: str | Path | Platform | None = None,
    *,
    out: str | Path | None = None,
    coherence_threshold: float = 0.9,
    density_threshold: float = 3.8,
    require_coherence: bool = False,
    require_density: bool = False,
    seed: int = DEFAULT_SEED,
    shots: int | None = None,
    target: Target | None = None,
    cores: int | None = None,
    memory_bytes: int | None = None,
    scratch_dir: str | None = None,
    disk_bytes: int | None = None,
    codec: str = "float32",
    wall_seconds: float = 120.0,
    strict: bool = False,
    store: str | Path | Store | None = None,
    progress: StageProgress | None = None,
    command: str = "",
) -> Summary:
    """All nine calls of the founding text, in its order; arguments are those of `Expansion`.

    `out` is a folder for the report, checked before anything is measured. The same job again gives the
    summary that the store kept. Raises what `Expansion` raises, and InputError for an `out` that cannot be
    written.
    """
    if out is not None:
        check_writable(out)
    with Expansion(
        workload, platform, seed=seed, shots=shots, target=target, cores=cores, memory_bytes=memory_bytes,
        scratch_dir=scratch_dir, disk_bytes=disk_bytes, codec=codec, wall_seconds=wall_seconds, strict=strict,
        store=store, progress=progress, command=command,
    ) as x:  # fmt: skip
        session = x.session
        thresholds = (coherence_threshold, density_threshold, require_coherence, require_density)
        run_id = _run_id(x, thresholds)
        summary = _kept_summary(session.store, run_id)
        if summary is not None:
            session.progress.note(f"this job was finished on {summary.created_at}; nothing is run again")
        else:
            session.progress.note(
                f"may use up to {format_bytes(session.usable_bytes)} of memory and {session.cores} "
                f"thread{'s' * (session.cores != 1)}; limit with --memory, --cores"
            )
            session.store.start_run(run_id, "expand", session.workload.name, {"command": command})
            try:
                summary = _all_nine(x, *thresholds)
            except KeyboardInterrupt:
                session.store.finish_run(run_id, "interrupted", None)
                raise
            except BaseException:
                session.store.finish_run(run_id, "failed", None)
                raise
            session.store.finish_run(run_id, "done", {"summary": summary.to_dict()})
    if out is not None:
        summary.save(out)
    return summary


def _kept_summary(store: Store, run_id: str) -> Summary | None:
    done = next((run for run in store.runs(run_id) if run.status == "done"), None)
    try:
        return None if done is None else Summary.from_dict(done.result["summary"])
    except (AttributeError, LookupError, TypeError, ValueError):
        store.leave_aside("a finished job")
        return None


def _all_nine(
    x: Expansion, coherence: float, density: float, require_coherence: bool, require_density: bool
) -> Summary:
    x.apply_dynamical_decoupling()
    x.reconfigure_trap_layout()
    x.calibrate_error_correction()
    x.activate_memory_banks("quantum-tiered")
    x.allocate_storage("quantum-ssd-blocks")
    x.optimize_workload_balancer("qpu-cpu-gpu")
    x.run_quantum_benchmark("qasm_circuits")
    x.validate_coherence_threshold(coherence, required=require_coherence)
    x.verify_entanglement_fidelity(density, required=require_density)
    return x.summary()


def _run_id(x: Expansion, thresholds: tuple) -> str:
    session = x.session
    packages = ("qiskit", "qiskit-aer", "qiskit-ibm-runtime", "stim", "numpy")
    return content_key(
        "expand",
        {
            "form": _FORM,
            "workload": session.workload.name,
            "circuits": [[c.name, c.id, c.target, c.shots] for c in session.workload.circuits],
            "unreadable": {origin: str(error) for origin, error in session.workload.failures.items()},
            "platform": session.platform.name,
            "limits": asdict(session.platform.limits),
            "qpu": [repr(session.platform.qpus[0]), session.qpu.calibration_id] if session.qpu else None,
            "settings": asdict(session.settings),
            "thresholds": list(thresholds),
            "host": session.host.hostname_hash,
            "versions": {"qrex": __version__}
            | {name: importlib.metadata.version(name) for name in packages}
            | session.foreign_versions,
        },
    )
