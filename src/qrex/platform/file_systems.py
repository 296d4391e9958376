"""What kind of file system a folder is on.

In: a path. Out: its type as the system names it (ext4, xfs, tmpfs, ...), "" where the system does not tell.
"""

from __future__ import annotations

import os

__all__ = ["MEMORY_FILE_SYSTEMS", "file_system_of"]

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
"""What is written there is in memory."""


def file_system_of(path: str) -> str:
    """The type of the file system that `path` is on, from /proc/self/mounts."""
    real = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                _, place, found, *_ = line.split(" ")
                place = place.encode("utf-8", "surrogateescape").decode("unicode_escape")
                inside = real == place or real.startswith(place.rstrip("/") + "/")
                if inside and len(place) >= len(best):  # the later of two mounts in one place hides the other
                    best, kind = place, found
    except OSError:
        return ""
    return kind
