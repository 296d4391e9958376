"""Which engines there are: those of qrex and those that other packages add.

In: cost constants by engine name. Out: engines by name, and for each known name one of three states:
installed, not installed (with the line that installs it), broken (with the reason). Other packages add
engines through the entry point group `qrex.engines`: the name is the engine's, the object is called with its
constants. What it makes must be an engine by `protocol`, else it is broken: nothing that another package does may
keep the other engines from being found. Engine modules are imported only when asked for. The QPU is not here: a
platform names it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal

from qrex.engines.protocol import Engine
from qrex.errors import EngineError, EngineFaultError

if TYPE_CHECKING:
    from qrex.engines.support import SupportRow

__all__ = [
    "ENTRY_POINT_GROUP",
    "EngineStatus",
    "available_engines",
    "describe",
    "distribution_of",
    "engine_calibrations",
    "engine_details",
    "engine_status",
    "foreign_versions",
]

ENTRY_POINT_GROUP = "qrex.engines"
State = Literal["installed", "not installed", "broken"]
Constants = Mapping[str, Mapping[str, float]]
Calibration = Callable[[int], Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine's state; `reason` says what is wrong and `install` how to get it, "" where nothing is.
    `distribution` is the package that a foreign engine comes with, "" for ours."""

    name: str
    state: State
    summary: str
    reason: str = ""
    install: str = ""
    distribution: str = ""


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


_BUILT_IN_NAMES = frozenset(built_in.name for built_in in _BUILT_IN)


@dataclass(frozen=True, slots=True)
class _Known:
    """An engine that may be there: how it is made, from `constants`, and where it comes from."""

    name: str
    origin: _BuiltIn | EntryPoint

    @property
    def ours(self) -> bool:
        return isinstance(self.origin, _BuiltIn)

    def build(self, constants: Mapping[str, float]) -> Engine:
        """Raises whatever a foreign engine raises, and EngineFaultError where it made no engine."""
        if isinstance(self.origin, _BuiltIn):
            return self.origin.build(constants)
        made = self.origin.load()(constants)
        lacking = [f"{method}()" for method in ("supports", "estimate", "run") if not _has(made, method)]
        lacking += [f"`{attribute}`" for attribute in ("name", "constants") if not hasattr(made, attribute)]
        if lacking:
            raise EngineFaultError(f"it has no {', '.join(lacking)}; docs/engines.md says what an engine is")
        if made.name != self.name:
            raise EngineFaultError(f"its `name` is {made.name!r}, its entry point is called {self.name!r}")
        for attribute in ("constant_names", "takes"):
            names = getattr(made, attribute, ())
            if isinstance(names, str) or not all(isinstance(name, str) for name in names):
                raise EngineFaultError(f"its `{attribute}` is {names!r}; a tuple of names is expected")
        return made


def _has(made: object, method: str) -> bool:
    return callable(getattr(made, method, None))


def available_engines(constants: Constants) -> dict[str, Engine]:
    """Every engine that works here, by name, with its own constants from `constants` (none if absent)."""
    found: dict[str, Engine] = {}
    for known in _known():
        try:
            found[known.name] = known.build(constants.get(known.name, {}))
        except KeyboardInterrupt:
            raise
        except BaseException:  # the reason is engine_status's to tell; a foreign engine may raise anything
            continue
    return found


def engine_status() -> list[EngineStatus]:
    """The state of every known engine, ours first."""
    return [_status(known) for known in _known()]


def engine_details() -> list[tuple[EngineStatus, SupportRow | None]]:
    """The same, and what each engine that works here takes; one that fails when it is asked is broken too. Brings
    Qiskit with it."""
    from qrex.engines.support import support_row

    found: list[tuple[EngineStatus, SupportRow | None]] = []
    for known in _known():
        status, row = _status(known), None
        if status.state == "installed":
            try:
                row = support_row(known.name, known.build, trusted=known.ours)
            except EngineError as error:  # it says where the engine comes from
                status = replace(status, state="broken", reason=str(error))
        found.append((status, row))
    return found


def engine_calibrations(
    threads: int,
) -> Iterator[tuple[str, Callable[[], Mapping[str, Mapping[str, float]]]]]:
    """(Name, measurement) pairs; each measurement gives constants by engine name for runs on `threads`.

    Aer's methods are measured together, since they share code. A foreign engine that names constants offers
    `calibrate(threads)`; if it does not, its measurement fails, which is kept, and is not tried again for ever.
    """

    def aer() -> Mapping[str, Mapping[str, float]]:
        from qrex.engines.aer_calibration import calibrate_aer

        return calibrate_aer(threads)

    for name, engine in available_engines({}).items():
        foreign = name not in _BUILT_IN_NAMES
        if _has(engine, "calibrate") or (foreign and getattr(engine, "constant_names", None)):
            yield name, partial(_measured, name, engine, threads)
    yield "aer", aer


def _measured(name: str, engine: Any, threads: int) -> Mapping[str, Mapping[str, float]]:
    try:
        measured = dict(engine.calibrate(threads))
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic in compiled code
        raise EngineFaultError(f"calibrate() raised {describe(error)}") from None
    missing = set(getattr(engine, "constant_names", ())) - set(measured)
    if missing:
        raise EngineFaultError(f"calibrate() did not measure {', '.join(sorted(missing))}")
    return {name: measured}


def distribution_of(name: str) -> str:
    """The package, with its version, that a foreign engine comes with; "" for ours."""
    if name in _BUILT_IN_NAMES:
        return ""
    return next((_distribution(known.origin) for known in _known() if known.name == name), "")


def foreign_versions() -> dict[str, str]:
    """By name of each engine that another package adds, that package and its version: what the engine answers may
    change with it."""
    return {known.name: _distribution(known.origin) for known in _known() if known.name not in _BUILT_IN_NAMES}


def describe(error: BaseException) -> str:
    """An exception on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a foreign exception that cannot even be shown
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _distribution(origin: _BuiltIn | EntryPoint) -> str:
    if isinstance(origin, _BuiltIn):
        return ""
    try:
        assert origin.dist is not None
        return f"{origin.dist.metadata['Name']} {origin.dist.version}"
    except Exception:  # a damaged installation; the module is still known
        return origin.value


def _known() -> Iterator[_Known]:
    """Ours first; a foreign engine cannot take the name of one of ours."""
    for built_in in _BUILT_IN:
        yield _Known(built_in.name, built_in)
    taken = set(_BUILT_IN_NAMES)
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        if point.name not in taken:
            taken.add(point.name)
            yield _Known(point.name, point)


def _status(known: _Known) -> EngineStatus:
    try:
        made = known.build({})
    except KeyboardInterrupt:
        raise
    except ImportError as error:
        origin = known.origin
        if isinstance(origin, _BuiltIn) and error.name is not None and error.name.split(".")[0] in origin.needs:
            reason = f"the package {error.name.split('.')[0]} is missing"
            return EngineStatus(known.name, "not installed", origin.summary, reason, origin.install)
        return _broken(known, error)
    except BaseException as error:  # whatever a broken installation raises, the others must still be listed
        return _broken(known, error)
    return EngineStatus(known.name, "installed", _summary(known, made), distribution=_distribution(known.origin))


def _summary(known: _Known, made: object = None) -> str:
    """Ours, what a foreign engine says of itself, or where it comes from."""
    if isinstance(known.origin, _BuiltIn):
        return known.origin.summary
    said = getattr(made, "summary", None)
    return " ".join(said.split()) if isinstance(said, str) and said.strip() else f"from {_distribution(known.origin)}"


def _broken(known: _Known, error: BaseException) -> EngineStatus:
    install = known.origin.install if isinstance(known.origin, _BuiltIn) else ""
    distribution = _distribution(known.origin)
    reason = str(error) if isinstance(error, EngineFaultError) else describe(error)
    reason += f" ({distribution})" if distribution else ""
    return EngineStatus(known.name, "broken", _summary(known), reason, install, distribution)
