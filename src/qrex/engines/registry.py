"""Which engines there are: those of qrex and those that other packages add.

In: cost constants by engine name. Out: engines by name, and for each known name one of three states:
installed, not installed (with the line that installs it), broken (with the reason). Other packages add
engines through the entry point group `qrex.engines`: the name is the engine's, the object is called with its
constants. Engine modules are imported only when asked for. The QPU is not here: a platform names it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Literal

from qrex.engines.protocol import Engine

if TYPE_CHECKING:
    from qrex.engines.support import SupportRow

__all__ = [
    "ENTRY_POINT_GROUP",
    "EngineStatus",
    "available_engines",
    "engine_calibrations",
    "engine_status",
    "foreign_versions",
    "support_matrix",
]

ENTRY_POINT_GROUP = "qrex.engines"
State = Literal["installed", "not installed", "broken"]
Constants = Mapping[str, Mapping[str, float]]
Calibration = Callable[[int], Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine's state; `reason` says what is wrong and `install` how to get it, "" where nothing is."""

    name: str
    state: State
    summary: str
    reason: str = ""
    install: str = ""


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """How one of our engines is made: `module` and `attribute`, with the Aer method where it is one."""

    name: str
    summary: str
    module: str
    attribute: str
    install: str
    needs: tuple[str, ...] = ()  # packages whose absence means "not installed"
    method: str | None = None

    def build(self, constants: Mapping[str, float]) -> Engine:
        factory = getattr(importlib.import_module(self.module), self.attribute)
        return factory(constants) if self.method is None else factory(constants, self.method)


def _aer(method: str, summary: str) -> _BuiltIn:
    return _BuiltIn(
        f"aer-{method}",
        summary,
        "qrex.engines.aer",
        "AerEngine",
        "pip install qiskit-aer",
        ("qiskit_aer",),
        method,
    )


_BUILT_IN = (
    _BuiltIn(
        "statevector",
        "dense state in single precision, our own kernels",
        "qrex.engines.statevector",
        "StateVectorEngine",
        "pip install --force-reinstall qrex  (builds its C++ module)",
    ),
    _BuiltIn(
        "stabilizer",
        "Clifford circuits, compiled sampling (stim)",
        "qrex.engines.stabilizer",
        "StabilizerEngine",
        "pip install stim",
        ("stim",),
    ),
    _BuiltIn(
        "sparse",
        "nonzero amplitudes only: arithmetic, oracles",
        "qrex.engines.sparse",
        "SparseEngine",
        "pip install --force-reinstall qrex  (builds its C++ module)",
    ),
    _BuiltIn(
        "mps",
        "matrix product state, qubits rerouted as needed",
        "qrex.engines.mps",
        "MatrixProductEngine",
        "pip install --force-reinstall qrex  (builds its C++ module)",
    ),
    _aer("mps", "matrix product state (Aer)"),
    _aer("statevector", "dense state in double precision (Aer)"),
    _aer("density-matrix", "density matrix: resets and noise exactly (Aer)"),
    _aer("stabilizer", "Clifford circuits (Aer)"),
    _aer("automatic", "what a plain user gets from Aer: the baseline"),
)


def available_engines(constants: Constants) -> dict[str, Engine]:
    """Every engine that works here, by name, with its own constants from `constants` (none if absent)."""
    found: dict[str, Engine] = {}
    for name, _, build, _ in _known():
        try:
            found[name] = build(constants.get(name, {}))
        except Exception:  # the reason is engine_status's to tell; a foreign engine may raise anything
            continue
    return found


def engine_status() -> list[EngineStatus]:
    """The state of every known engine, ours first."""
    return [_status(*known) for known in _known()]


def support_matrix() -> list[SupportRow]:
    """What each engine that works here takes, ours first; brings Qiskit with it."""
    from qrex.engines.support import support_row

    working = {status.name for status in engine_status() if status.state == "installed"}
    return [support_row(name, build) for name, _, build, _ in _known() if name in working]


def engine_calibrations(
    threads: int,
) -> Iterator[tuple[str, Callable[[], Mapping[str, Mapping[str, float]]]]]:
    """(Name, measurement) pairs; each measurement gives constants by engine name for runs on `threads`.

    Aer's methods are measured together, since they share code. A foreign engine offers `calibrate(threads)`.
    """

    def aer() -> Mapping[str, Mapping[str, float]]:
        from qrex.engines.aer_calibration import calibrate_aer

        return calibrate_aer(threads)

    for name, engine in available_engines({}).items():
        own = getattr(engine, "calibrate", None)
        if own is not None:
            yield name, lambda name=name, own=own: {name: own(threads)}
    yield "aer", aer


def foreign_versions() -> dict[str, str]:
    """By name of each engine that another package adds, that package and its version: what the engine answers may
    change with it."""
    points = [(name, origin) for name, _, _, origin in _known() if isinstance(origin, EntryPoint)]
    return {name: f"{p.dist.name} {p.dist.version}" if p.dist else "unknown" for name, p in points}


def _known() -> Iterator[tuple[str, str, Callable[[Mapping[str, float]], Engine], _BuiltIn | EntryPoint]]:
    """(Name, summary, factory, where it comes from); a foreign engine cannot take the name of one of ours."""
    for built_in in _BUILT_IN:
        yield built_in.name, built_in.summary, built_in.build, built_in
    taken = {built_in.name for built_in in _BUILT_IN}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        if point.name not in taken:
            taken.add(point.name)
            yield point.name, point.value, lambda constants, point=point: point.load()(constants), point


def _status(
    name: str, summary: str, build: Callable[[Mapping[str, float]], Engine], origin: _BuiltIn | EntryPoint
) -> EngineStatus:
    try:
        build({})
    except ImportError as error:
        needs = origin.needs if isinstance(origin, _BuiltIn) else ()
        if error.name is not None and error.name.split(".")[0] in needs:
            reason = f"the package {error.name.split('.')[0]} is missing"
            return EngineStatus(name, "not installed", summary, reason, origin.install)
        return _broken(name, summary, error, origin)
    except Exception as error:  # whatever a broken installation raises, the others must still be listed
        return _broken(name, summary, error, origin)
    return EngineStatus(name, "installed", summary)


def _broken(name: str, summary: str, error: Exception, origin: _BuiltIn | EntryPoint) -> EngineStatus:
    install = origin.install if isinstance(origin, _BuiltIn) else ""
    return EngineStatus(name, "broken", summary, f"{type(error).__name__}: {error}", install)
