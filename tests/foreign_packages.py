"""Puts a package with engines where Python finds it, as pip would, without pip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path, module: str, source: str, engines: Mapping[str, str], distribution: str, version: str
) -> Path:
    """A module and its dist-info in `folder`, which then belongs on sys.path. `engines`: what each is called, and the
    object that makes it ("module:attribute")."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {target}" for name, target in engines.items()]
    (info / "entry_points.txt").write_text("\n".join(["[qrex.engines]", *lines, ""]))
    return folder
