"""CPU and memory limits that control groups put on this process (versions 1 and 2).

In: /proc/self/cgroup and the tree under /sys/fs/cgroup. Out: cores, and bytes with what is already used.
A limit on any ancestor counts, so every level up to the root is read and the tightest wins. Reference: the
Linux kernel documentation, "Control Group v2" and "CPU Accounting / Memory Controller" of version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MemoryLimit", "cpu_limit", "memory_limit"]

_MEMBERSHIP = Path("/proc/self/cgroup")
_TREE = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes "no limit" as a number near 2**63


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The tightest memory limit over all ancestors, and the bytes already charged to that group."""

    bytes: int
    used_bytes: int


def cpu_limit(membership: Path = _MEMBERSHIP, tree: Path = _TREE) -> float | None:
    """Cores that the CPU quota allows, or None where there is none."""
    limits = []
    for folder in _folders(membership, tree, "cpu"):
        words = _read(folder / "cpu.max").split()
        if not words:
            words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        try:
            quota, period = float(words[0]), float(words[1])
        except (ValueError, IndexError):
            continue  # "max", or nothing there
        if quota > 0 and period > 0:
            limits.append(quota / period)
    return min(limits, default=None)


def memory_limit(membership: Path = _MEMBERSHIP, tree: Path = _TREE) -> MemoryLimit | None:
    """The tightest memory limit, or None where there is none."""
    limits = []
    for folder in _folders(membership, tree, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                limit = int(_read(folder / limit_name))
            except ValueError:
                continue
            if limit < _UNLIMITED:
                used = _read(folder / used_name)
                limits.append(MemoryLimit(limit, int(used) if used.isdigit() else 0))
    return min(limits, key=lambda found: found.bytes, default=None)


def _folders(membership: Path, tree: Path, controller: str) -> Iterator[Path]:
    """Every folder that may hold this process's limits: its groups and their ancestors."""
    for line in _read(membership).splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        _, controllers, path = parts
        if controllers == "":
            roots = [tree, tree / "unified"]
        elif controller in controllers.split(","):
            roots = [tree / controllers, tree / controller]
        else:
            continue
        for root in roots:
            if not root.is_dir():
                continue
            # Inside a container the path may be the host's; then only the mounted root exists.
            folder = root / path.lstrip("/")
            while folder != root:
                yield folder
                folder = folder.parent
            yield root


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
