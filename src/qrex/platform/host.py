"""What this computer has: cores, memory, GPUs, scratch space, instruction sets, bandwidths.

In: /proc, /sys/fs/cgroup (versions 1 and 2), nvidia-smi where it exists, a scratch folder. Out: `Host`.
Nothing here needs a driver or a right; what cannot be read is left out. Without `measure` the probe takes
milliseconds, with it at most about five seconds.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qrex.errors import PlatformError
from qrex.evidence import Measurement
from qrex.platform.bandwidth import measure_disk_bandwidth, measure_ram_bandwidth
from qrex.platform.cgroup import cpu_limit, memory_limit
from qrex.platform.description import Gpu, Host

__all__ = ["host_from_dict", "host_to_dict", "probe_host"]

_PACKAGES = (
    "qrex", "numpy", "scipy", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "stim", "matplotlib", "rustworkx",
)  # fmt: skip
_INSTRUCTION_SETS = (
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_bf16", "amx_tile",
    "asimd", "sve", "sve2",
)  # fmt: skip


def probe_host(scratch_dir: str | None = None, *, measure: bool = True) -> Host:
    """This computer as qrex may use it.

    `scratch_dir` (made if missing) is where slow-tier files would go; None means the system's temporary
    folder. `measure` False leaves the bandwidths None. Raises `PlatformError` for a scratch folder that
    cannot be used.
    """
    scratch = Path(scratch_dir or tempfile.gettempdir())
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(scratch).free
    except OSError as error:
        raise PlatformError(
            f"scratch folder {scratch} cannot be used ({error}); name a writable one with --scratch"
        ) from error
    cores = _cores()
    total, available = _memory()
    ram = measure_ram_bandwidth(cores) if measure else None
    disk = measure_disk_bandwidth(str(scratch)) if measure else None
    return Host(
        hostname_hash=hashlib.sha256(platform.node().encode()).hexdigest()[:12],
        cpu_model=_cpuinfo().get("model name", platform.machine()),
        cores=cores,
        memory_bytes=total,
        memory_available_bytes=available,
        gpus=_gpus(),
        scratch_dir=str(scratch),
        scratch_free_bytes=free,
        instruction_sets=_instruction_sets(),
        ram_bandwidth=ram,
        disk_read_bandwidth=disk[0] if disk else None,
        disk_write_bandwidth=disk[1] if disk else None,
        probed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )


def host_to_dict(host: Host) -> dict[str, Any]:
    """`host` as JSON-able data."""
    data = asdict(host)
    data["versions"] = dict(host.versions)
    return data


def host_from_dict(data: Mapping[str, Any]) -> Host:
    """The inverse of `host_to_dict`, also after a round trip through JSON."""
    fields = dict(data)
    for key in ("ram_bandwidth", "disk_read_bandwidth", "disk_write_bandwidth"):
        fields[key] = Measurement.from_dict(fields[key]) if fields[key] is not None else None
    fields["gpus"] = tuple(Gpu(**gpu) for gpu in fields["gpus"])
    fields["instruction_sets"] = tuple(fields["instruction_sets"])
    return Host(**fields)


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_limit()
    return max(1, min(allowed, math.ceil(quota))) if quota is not None else allowed


def _memory() -> tuple[int, int]:
    """(total, available) bytes, both under the tightest cgroup limit."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        total, available = sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])
    except (OSError, KeyError, ValueError):
        total = available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    if limit is None or limit.bytes >= total:
        return total, available
    return limit.bytes, max(0, min(available, limit.bytes - limit.used_bytes))


def _cpuinfo() -> dict[str, str]:
    """The keys of the first processor in /proc/cpuinfo; empty where there is none."""
    try:
        block = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in block.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _instruction_sets() -> tuple[str, ...]:
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return tuple(name for name in _INSTRUCTION_SETS if name in flags)


def _gpus() -> tuple[Gpu, ...]:
    import subprocess

    program = shutil.which("nvidia-smi")
    if program is not None:
        query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
            rows = [line.rsplit(",", 1) for line in done.stdout.splitlines() if "," in line]
            return tuple(Gpu(name.strip(), int(mebibytes) << 20) for name, mebibytes in rows)
        except (OSError, subprocess.SubprocessError, ValueError):
            pass  # a driver that answers nonsense is as good as none; /proc may still know
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model")]
        found.append(Gpu(models[0] if models else "NVIDIA GPU", 0))  # /proc does not tell the memory
    return tuple(found)


def _versions() -> dict[str, str]:
    import importlib.metadata  # with its parsers of e-mail headers, the slowest import of this file

    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
