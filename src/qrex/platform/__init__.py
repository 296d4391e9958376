"""Platform: describes only. A host as probed, and QPUs as a platform file names them; opens nothing.

In: this computer, a TOML file. Out: `Host`, `Platform`. Importing this room loads neither numpy nor qiskit;
`probe_host` imports numpy only while it measures the bandwidth of RAM.
"""

from __future__ import annotations

from qrex.platform.description import Gpu, Host, HostLimits, NoiseAssumptions, Platform, QpuDescription, QpuKind
from qrex.platform.file_systems import MEMORY_FILE_SYSTEMS, file_system_of
from qrex.platform.files import DEFAULT_QPU, load_platform, parse_platform
from qrex.platform.host import host_from_dict, host_to_dict, probe_host
from qrex.platform.names import fake_backend_names, nearest, normalize_fake_name

__all__ = [
    "DEFAULT_QPU",
    "MEMORY_FILE_SYSTEMS",
    "Gpu",
    "Host",
    "HostLimits",
    "NoiseAssumptions",
    "Platform",
    "QpuDescription",
    "QpuKind",
    "fake_backend_names",
    "file_system_of",
    "host_from_dict",
    "host_to_dict",
    "load_platform",
    "nearest",
    "normalize_fake_name",
    "parse_platform",
    "probe_host",
]
