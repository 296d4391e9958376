"""The frozen types of this room: a host, a QPU as described (not opened), and the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qrex.evidence import Measurement

__all__ = ["Gpu", "Host", "HostLimits", "NoiseAssumptions", "Platform", "QpuDescription", "QpuKind"]

QpuKind = Literal["fake", "import", "live"]


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Host:
    """What this computer has. `cores` and `memory_bytes` already obey affinity masks and cgroup limits.

    Bandwidths are Measurements in B/s (source "host"), or None where they were not measured.
    """

    hostname_hash: str  # tells two machines apart without naming them
    cpu_model: str
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    gpus: tuple[Gpu, ...]
    scratch_dir: str
    scratch_free_bytes: int
    instruction_sets: tuple[str, ...]
    ram_bandwidth: Measurement | None
    disk_read_bandwidth: Measurement | None
    disk_write_bandwidth: Measurement | None
    probed_at: str  # ISO 8601, UTC
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What a platform file or an option allows of the host; None means all that the probe finds."""

    cores: int | None = None
    memory_bytes: int | None = None
    scratch_dir: str | None = None
    scratch_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NoiseAssumptions:
    """What no calibration snapshot says, as the twin of a device assumes it.

    `t2_star_ratio`: T2* over T2. `parity_hz`: shift of a qubit's frequency by its charge parity, plus or minus.
    `zz_hz`: ZZ of links for which none is reported; None takes what devices with the same kind of gate report.
    `coherent_share`: of the gate error that T1 and T2 do not explain, the part that is an over-rotation. `drift_hz`:
    standard deviation of a detuning that changes within a shot, correlated over `drift_seconds`.
    """

    t2_star_ratio: float = 0.6
    parity_hz: float = 1e3
    zz_hz: float | None = None
    coherent_share: float = 0.2
    drift_hz: float = 0.0
    drift_seconds: float = 100e-6


@dataclass(frozen=True, slots=True)
class QpuDescription:
    """A QPU as a platform file names it. `twin` opens it.

    `spec` is a fake backend's name ("fake_guadalupe"), an import path ("package.module:Name", a BackendV2
    class, instance or factory), or a live backend's name. `rep_delay_seconds` None means the device's own.
    """

    name: str
    kind: QpuKind
    spec: str
    rep_delay_seconds: float | None = None
    job_overhead_seconds: float = 0.0
    max_shots: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # instance, channel of a live device
    noise: NoiseAssumptions | None = None  # None: a simulated device without memory


@dataclass(frozen=True, slots=True)
class Platform:
    """A host's limits and the QPUs beside it; the first QPU is the default one."""

    name: str
    origin: str  # path of the file, or "<default>"
    limits: HostLimits
    qpus: tuple[QpuDescription, ...]
