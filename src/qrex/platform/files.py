"""Platform files: TOML in, `Platform` out. docs/platform.md documents every key.

In: a path, a bare fake backend name, or None for the default (this host and `fake_guadalupe`). Out: a
`Platform`; nothing is opened and nothing is measured. Every refusal names the file, the key as written, and
the nearest key or name that exists.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qrex.errors import InputError, PlatformError
from qrex.platform.description import HostLimits, NoiseAssumptions, Platform, QpuDescription, QpuKind
from qrex.platform.names import fake_backend_names, nearest, normalize_fake_name
from qrex.units import parse_bytes, parse_seconds

__all__ = ["DEFAULT_QPU", "load_platform", "parse_platform"]

DEFAULT_QPU = "fake_guadalupe"

_TOP_KEYS = ("name", "host", "qpu")
_HOST_KEYS = ("cores", "memory", "scratch_dir", "scratch")
_QPU_KEYS = ("name", "fake", "import", "live", "rep_delay", "job_overhead", "max_shots", "options", "noise")
_NOISE_KEYS = ("memory", "t2_star_ratio", "parity_khz", "zz_khz", "coherent_share", "drift_khz", "drift_us")
_LIVE_OPTIONS = ("instance", "channel", "account")
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def load_platform(source: str | Path | None) -> Platform:
    """The platform that `source` describes.

    `source` is a TOML file, the bare name of a fake backend (this host and that QPU), or None for the
    default. A file wins over a fake backend of the same name. Raises `PlatformError`.
    """
    if source is None:
        return _with_one_fake(DEFAULT_QPU, "<default>")
    path = Path(source)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlatformError(f"{path}: cannot be read ({error}); a platform file is UTF-8 TOML") from error
        return parse_platform(text, str(path), default_name=path.stem)
    text = str(source)
    if path.is_dir():
        raise PlatformError(f"{path} is a folder; name a platform file inside it, or a fake backend")
    looks_like_a_path = path.suffix != "" or "/" in text
    if not looks_like_a_path and normalize_fake_name(text) in fake_backend_names():
        return _with_one_fake(normalize_fake_name(text), text)
    if looks_like_a_path:
        beside = sorted(str(p) for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        close = nearest(text, beside)
        exists = f"; beside it: {', '.join(close or beside[:5])}" if beside else ""
        raise PlatformError(f"{text}: no such platform file{exists}; docs/platform.md has the format")
    raise PlatformError(f"{text!r} is neither a platform file nor a fake backend{_suggest_fake(text)}")


def parse_platform(text: str, origin: str, default_name: str = "platform") -> Platform:
    """The platform written in the TOML `text`; `origin` stands in messages. Raises `PlatformError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlatformError(f"{origin}: not TOML ({error}); docs/platform.md has the format") from error
    _refuse_unknown(data, _TOP_KEYS, origin, "")
    name = _take(data, "name", str, origin, "", default_name)
    limits = _host_limits(_take(data, "host", dict, origin, "", {}), origin)
    tables = data.get("qpu", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise PlatformError(f"{origin}: qpu is a list of tables; write [[qpu]] above each QPU")
    qpus = tuple(_qpu(table, index, origin) for index, table in enumerate(tables, start=1))
    names = [qpu.name for qpu in qpus]
    for repeated in sorted({n for n in names if names.count(n) > 1}):
        raise PlatformError(f"{origin}: two QPUs are called {repeated!r}; give each its own `name`")
    return Platform(name=name, origin=origin, limits=limits, qpus=qpus)


def _with_one_fake(name: str, origin: str) -> Platform:
    return Platform(name, origin, HostLimits(), (QpuDescription(name=name, kind="fake", spec=name),))


def _suggest_fake(asked: str) -> str:
    known = fake_backend_names()
    if not known:
        return "; qiskit-ibm-runtime, which holds them, is not installed: pip install qiskit-ibm-runtime"
    # Without the prefix that all share, which would make everything look alike.
    places = [name.removeprefix("fake_") for name in known]
    close = nearest(normalize_fake_name(asked).removeprefix("fake_"), places)
    if close:
        return f"; nearest: {', '.join('fake_' + place for place in close)} (of {len(known)})"
    return f"; there are {len(known)}, such as {', '.join(known[:: max(1, len(known) // 5)][:5])}"


def _refuse_unknown(data: Mapping[str, Any], known: tuple[str, ...], origin: str, where: str) -> None:
    for key in data:
        if key not in known:
            close = nearest(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            raise PlatformError(f"{origin}: unknown key {where + key!r}; {hint}")


def _take(data: Mapping[str, Any], key: str, kind: type, origin: str, where: str, default: Any) -> Any:
    """data[key], which must be of `kind`; a TOML boolean never passes for a number."""
    if key not in data:
        return default
    value = data[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        want = {str: "text in quotes", int: "a whole number", dict: "a table", bool: "true or false"}[kind]
        raise PlatformError(f"{origin}: {where}{key} is {value!r} ({type(value).__name__}); write {want}")
    return value


def _positive(data: Mapping[str, Any], key: str, origin: str, where: str) -> int | None:
    value = _take(data, key, int, origin, where, None)
    if value is not None and value < 1:
        raise PlatformError(f"{origin}: {where}{key} is {value}; write a whole number of at least 1")
    return value


def _quantity(data: Mapping[str, Any], key: str, parse: Any, origin: str, where: str) -> Any:
    value = data.get(key)
    if value is None:
        return None
    example = '"16 GB"' if parse is parse_bytes else '"250us"'
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise PlatformError(f"{origin}: {where}{key} is {value!r}; write a quantity such as {example}")
    try:
        parsed = parse(value)
    except InputError as error:
        raise PlatformError(f"{origin}: {where}{key}: {error} (such as {example})") from error
    if parsed < 0:
        raise PlatformError(f"{origin}: {where}{key} is {value!r}; it cannot be negative")
    return parsed


def _host_limits(table: Mapping[str, Any], origin: str) -> HostLimits:
    _refuse_unknown(table, _HOST_KEYS, origin, "host.")
    return HostLimits(
        cores=_positive(table, "cores", origin, "host."),
        memory_bytes=_quantity(table, "memory", parse_bytes, origin, "host."),
        scratch_dir=_take(table, "scratch_dir", str, origin, "host.", None),
        scratch_bytes=_quantity(table, "scratch", parse_bytes, origin, "host."),
    )


def _qpu(table: Mapping[str, Any], index: int, origin: str) -> QpuDescription:
    where = f"qpu[{index}]."
    _refuse_unknown(table, _QPU_KEYS, origin, where)
    kinds: tuple[QpuKind, ...] = ("fake", "import", "live")
    given = [kind for kind in kinds if kind in table]
    if len(given) != 1:
        has = ", ".join(given) or "none"
        raise PlatformError(f"{origin}: {where[:-1]} takes exactly one of fake, import, live; it has {has}")
    kind = given[0]
    spec = _take(table, kind, str, origin, where, "")
    if kind == "fake":
        spec = normalize_fake_name(spec)
        if spec not in fake_backend_names():
            raise PlatformError(f"{origin}: {where}fake: no fake backend {spec!r}{_suggest_fake(spec)}")
    if kind == "import" and not _IMPORT_PATH.fullmatch(spec):
        raise PlatformError(f'{origin}: {where}import is {spec!r}; write "package.module:Name"')
    if not spec:
        raise PlatformError(f"{origin}: {where}{kind} is empty; write the device's name")
    options = _take(table, "options", dict, origin, where, {})
    if kind == "live":
        _refuse_unknown(options, _LIVE_OPTIONS, origin, where + "options.")
    return QpuDescription(
        name=_take(table, "name", str, origin, where, spec),
        kind=kind,
        spec=spec,
        rep_delay_seconds=_quantity(table, "rep_delay", parse_seconds, origin, where),
        job_overhead_seconds=_quantity(table, "job_overhead", parse_seconds, origin, where) or 0.0,
        max_shots=_positive(table, "max_shots", origin, where),
        options=options,
        noise=_noise(_take(table, "noise", dict, origin, where, {}), kind, origin, where + "noise."),
    )


def _noise(table: Mapping[str, Any], kind: QpuKind, origin: str, where: str) -> NoiseAssumptions | None:
    """What a twin with memory assumes; None where no memory is asked for."""
    _refuse_unknown(table, _NOISE_KEYS, origin, where)
    if table and kind == "live":
        raise PlatformError(f"{origin}: {where[:-1]} is of simulated devices; a live one has its own: leave it out")
    memory = _take(table, "memory", bool, origin, where, False)
    if not memory:
        if others := sorted(set(table) - {"memory"}):
            raise PlatformError(f"{origin}: {where}{others[0]} means nothing without memory = true; add that line")
        return None
    plain = NoiseAssumptions()
    zz_khz = _number(table, "zz_khz", None, math.inf, origin, where)
    return NoiseAssumptions(
        t2_star_ratio=_number(table, "t2_star_ratio", plain.t2_star_ratio, 1.0, origin, where),
        parity_hz=1e3 * _number(table, "parity_khz", plain.parity_hz / 1e3, math.inf, origin, where),
        zz_hz=None if zz_khz is None else 1e3 * zz_khz,
        coherent_share=_number(table, "coherent_share", plain.coherent_share, 1.0, origin, where),
        drift_hz=1e3 * _number(table, "drift_khz", plain.drift_hz / 1e3, math.inf, origin, where),
        drift_seconds=1e-6 * _number(table, "drift_us", plain.drift_seconds * 1e6, math.inf, origin, where),
    )


def _number(table: Mapping[str, Any], key: str, default: Any, most: float, origin: str, where: str) -> Any:
    value = table.get(key, default)
    if value is None:
        return None
    sound = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
    least_is_open = key in ("t2_star_ratio", "drift_us")
    if not sound or not math.isfinite(value) or (least_is_open and value == 0):
        span = f"{'above' if least_is_open else 'from'} 0" + (f" to {most:g}" if math.isfinite(most) else "")
        raise PlatformError(f"{origin}: {where}{key} is {value!r}; write a number {span}")
    return float(value)
