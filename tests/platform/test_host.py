"""The host probe against the operating system's own answers and made-up control groups."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from qrex.errors import PlatformError
from qrex.platform import Gpu, host_from_dict, host_to_dict, probe_host
from qrex.platform.bandwidth import measure_disk_bandwidth, measure_ram_bandwidth
from qrex.platform.cgroup import cpu_limit, memory_limit


def test_probe_agrees_with_psutil(tmp_path):
    host = probe_host(str(tmp_path), measure=False)
    assert 1 <= host.cores <= len(psutil.Process().cpu_affinity())
    assert 0 < host.memory_bytes <= psutil.virtual_memory().total
    assert host.memory_available_bytes <= host.memory_bytes
    assert host.scratch_free_bytes == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.05)
    assert (host.ram_bandwidth, host.disk_read_bandwidth) == (None, None)
    assert host.versions["qiskit"].split(".")[0].isdigit()


def test_affinity_is_obeyed():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert probe_host(measure=False).cores == 1
    finally:
        os.sched_setaffinity(0, before)


def test_measured_probe_survives_json_and_leaves_nothing(tmp_path):
    host = probe_host(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    for measured in (host.ram_bandwidth, host.disk_read_bandwidth, host.disk_write_bandwidth):
        assert measured.source == "host" and measured.unit == "B/s" and measured.n >= 2
        assert 0 <= measured.low <= measured.value <= measured.high
    assert host_from_dict(json.loads(json.dumps(host_to_dict(host)))) == host


def test_ram_bandwidth_counts_bytes_read_and_written(monkeypatch):
    from qrex.platform import bandwidth

    # A clock that advances one second per reading: each repeat then takes exactly one second.
    ticks = iter(range(10_000))
    monkeypatch.setattr(bandwidth.time, "perf_counter", lambda: float(next(ticks)))
    measured = measure_ram_bandwidth(2, budget_seconds=1e9)
    assert measured.value == measured.low == measured.high == 2 * 2 * (64 << 20)


def test_unwritable_scratch():
    assert measure_disk_bandwidth("/proc") is None
    with pytest.raises(PlatformError, match="--scratch"):
        probe_host("/proc/nothing/here", measure=False)


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_cgroup_v2_takes_the_tightest_ancestor(tmp_path):
    tree = _write(
        tmp_path / "tree",
        {
            "a/cpu.max": "150000 100000\n",
            "a/b/cpu.max": "max 100000\n",
            "a/memory.max": "1000\n",
            "a/memory.current": "400\n",
            "a/b/memory.max": "2000\n",
            "a/b/memory.current": "10\n",
        },
    )
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    assert cpu_limit(membership, tree) == 1.5
    limit = memory_limit(membership, tree)
    assert (limit.bytes, limit.used_bytes) == (1000, 400)


def test_cgroup_v1_and_no_limit(tmp_path):
    tree = _write(
        tmp_path / "tree",
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "50000",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
            "memory/job/memory.limit_in_bytes": "4096",
            "memory/job/memory.usage_in_bytes": "96",
        },
    )
    membership = tmp_path / "cgroup"
    membership.write_text("4:cpu,cpuacct:/job\n3:memory:/job\n")
    assert cpu_limit(membership, tree) == 0.5
    assert memory_limit(membership, tree).bytes == 4096
    membership.write_text("4:cpu,cpuacct:/other\n3:memory:/other\n")
    assert cpu_limit(membership, tree) is None
    assert memory_limit(membership, tree) is None


def test_gpus_from_nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Imaginary A1, 81559'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert probe_host(measure=False).gpus == (Gpu("Imaginary A1", 81559 << 20),)
