"""Opens a QPU by its description: calibration snapshots, BackendV2 classes by import path, live devices.

In: `QpuDescription`. Out: `Qpu`, simulated or hardware. A backend that brings only a calibration is wrapped
so that it runs; one that comes from an import path and answers by itself is kept as it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from qiskit.providers import BackendV2

from qrex.errors import PlatformError
from qrex.platform import QpuDescription, fake_backend_names, nearest, normalize_fake_name
from qrex.twin.backend import SimulatedQpu
from qrex.twin.qpu import Qpu, make_qpu

__all__ = ["open_qpu"]


def open_qpu(description: QpuDescription, *, service: Callable[..., Any] | None = None) -> Qpu:
    """The QPU that `description` names, ready to run.

    `service` makes the runtime service of a live device from keyword options (instance, channel); None
    means `QiskitRuntimeService`. Raises `PlatformError` that says what exists and what to do.
    """
    if description.kind == "fake":
        backend = SimulatedQpu(_fake_backend(description.spec), description.noise)
        return make_qpu(description, backend, "simulated", backend.noise_description)
    if description.kind == "import":
        backend = _imported_backend(description.spec)
        if _only_calibrated(backend):
            simulated = SimulatedQpu(backend, description.noise)
            return make_qpu(description, simulated, "simulated", simulated.noise_description)
        if description.noise is not None:
            raise PlatformError(f"{description.spec} answers by itself: leave out the noise that the platform gives it")
        source = description.options.get("source", "simulated")
        if source not in ("simulated", "hardware"):
            raise PlatformError(f"{description.spec}: source {source!r} must be 'simulated' or 'hardware'")
        words = f"as {type(backend).__module__}.{type(backend).__name__} runs it; nothing added"
        return make_qpu(description, backend, source, words)
    if description.kind == "live":
        backend = _live_backend(description, service)
        return make_qpu(description, backend, "hardware", "a real device")
    raise PlatformError(f"QPU {description.name!r} has kind {description.kind!r}; fake, import or live exist")


def _fake_backend(spec: str) -> BackendV2:
    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError as error:
        raise PlatformError(
            f"{spec} is a calibration of qiskit-ibm-runtime, which is missing: pip install qiskit-ibm-runtime"
        ) from error
    name = normalize_fake_name(spec)
    stem = "".join(part.capitalize() for part in name.split("_"))
    for class_name in (stem, f"{stem}V2"):
        if hasattr(fake_provider, class_name):
            return getattr(fake_provider, class_name)()
    known = [known.removeprefix("fake_") for known in fake_backend_names()]
    close = nearest(name.removeprefix("fake_"), known)
    hint = f"nearest: {', '.join('fake_' + c for c in close)}" if close else f"there are {len(known)}"
    raise PlatformError(f"no fake backend {spec!r}; {hint}")


def _imported_backend(spec: str) -> BackendV2:
    module_name, _, attribute = spec.partition(":")
    if not attribute:
        raise PlatformError(f'{spec!r} is no import path; write "package.module:Name"')
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise PlatformError(f"{spec}: {module_name} cannot be imported ({error}); install it") from error
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        close = nearest(attribute, dir(found))
        hint = f"; nearest: {', '.join(close)}" if close else ""
        raise PlatformError(f"{spec}: {module_name} has no {attribute}{hint}") from error
    if not isinstance(found, BackendV2) and callable(found):
        try:
            found = found()
        except Exception as error:  # a stranger's constructor may raise anything
            raise PlatformError(f"{spec}: could not be made without arguments ({error})") from error
    if not isinstance(found, BackendV2):
        raise PlatformError(
            f"{spec} gives {type(found).__name__}; a BackendV2 is needed: its class, an instance or a factory"
        )
    return found


def _only_calibrated(backend: BackendV2) -> bool:
    """Whether `backend` is a calibration whose own `run` would only simulate it."""
    from qiskit.providers.fake_provider import GenericBackendV2
    from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2

    return isinstance(backend, (FakeBackendV2, GenericBackendV2))


def _live_backend(description: QpuDescription, service: Callable[..., Any] | None) -> BackendV2:
    if service is None:
        try:
            from qiskit_ibm_runtime import QiskitRuntimeService as service
        except ImportError as error:
            raise PlatformError(
                f"{description.spec} is a live device; reaching it takes: pip install qiskit-ibm-runtime"
            ) from error
    options = {("name" if key == "account" else key): value for key, value in description.options.items()}
    try:
        connected = service(**options)
    except Exception as error:  # the client raises many kinds, of account, network and instance
        raise PlatformError(
            f"live device {description.spec!r}: no access ({error}). Save an account once with "
            "QiskitRuntimeService.save_account(channel=..., token=..., instance=...), or put a calibration "
            f"in its place: fake = \"{normalize_fake_name(description.spec.removeprefix('ibm_'))}\""
        ) from error
    try:
        return connected.backend(description.spec)
    except Exception as error:
        try:
            names = [backend.name for backend in connected.backends()]
        except Exception:
            names = []
        close = nearest(description.spec, names) or tuple(names[:5])
        hint = f"this account has: {', '.join(close)}" if close else "this account lists no devices"
        raise PlatformError(f"live device {description.spec!r} cannot be used ({error}); {hint}") from error
