"""The report on disk: five files, each written aside and renamed.

In: a `Summary` and a folder. Out: report.md, report.html, summary.json, circuits.csv and the chart.
Everything is rendered before the first byte is written, so a fault in rendering leaves an older report
whole.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from qrex.errors import InputError

if TYPE_CHECKING:
    from qrex.report.summary import Side, Summary

__all__ = ["check_writable", "circuits_csv", "save_summary"]


def _refusal(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the report cannot be written into {str(folder)!r} ({error.strerror or error}); "
        "choose a folder that you may write, with --out FOLDER"
    )


def check_writable(folder: str | Path) -> Path:
    """Make `folder` where it does not exist and try a write in it: call this before measuring anything.

    Raises `InputError` that says what to do.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".qrex-", dir=folder)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise _refusal(folder, error) from error
    return folder


def _write_atomically(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".qrex-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that nobody else may read
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets a leading quote."""
    if isinstance(value, str):
        value = " ".join(value.split())
        return "'" + value if value[:1] in ("=", "+", "-", "@") else value
    return "" if value is None else value


def _side_cells(side: Side) -> list[object]:
    fidelity = side.fidelity
    return [
        side.outcome, side.where, side.why, side.seconds, side.predicted_seconds, side.peak_bytes,
        side.predicted_bytes, side.device_seconds, fidelity and fidelity.value, fidelity and fidelity.low,
        fidelity and fidelity.high, fidelity and fidelity.n, side.fidelity_kind, side.perfect_sampler,
    ]  # fmt: skip


_SIDE_COLUMNS = (
    "outcome", "where", "why", "host_seconds", "predicted_seconds", "peak_bytes", "predicted_bytes",
    "device_seconds", "fidelity", "fidelity_low", "fidelity_high", "fidelity_samples", "fidelity_kind",
    "perfect_sampler_fidelity",
)  # fmt: skip


def circuits_csv(summary: Summary) -> str:
    """One line per circuit and target, before and after side by side."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["name", "circuit_id", "target", "num_qubits", "two_qubit_gates", "depth", "shots"]
    writer.writerow(columns + [f"{side}_{name}" for side in ("before", "after") for name in _SIDE_COLUMNS])
    for row in summary.circuits:
        cells = [getattr(row, name) for name in columns]
        writer.writerow([_cell(c) for c in (*cells, *_side_cells(row.before), *_side_cells(row.after))])
    return text.getvalue()


def save_summary(summary: Summary, folder: str | Path) -> dict[str, Path]:
    """Write all files of the report into `folder`; see `Summary.save`."""
    from qrex.report.chart import chart_name, chart_png
    from qrex.report.markdown import render_markdown
    from qrex.report.render import render_html

    folder = check_writable(folder)
    png = chart_png(summary)
    name = chart_name(summary)
    text = json.dumps(summary.to_dict(), indent=1, ensure_ascii=False) + "\n"
    contents = {
        "markdown": ("report.md", render_markdown(summary, name).encode()),
        "html": ("report.html", render_html(summary, png, name).encode()),
        "json": ("summary.json", text.encode()),
        "csv": ("circuits.csv", circuits_csv(summary).encode()),
        "chart": (name, png),
    }
    paths = {}
    for kind, (file_name, content) in contents.items():
        paths[kind] = folder / file_name
        try:
            _write_atomically(paths[kind], content)
        except OSError as error:
            raise _refusal(folder, error) from error
    return paths
