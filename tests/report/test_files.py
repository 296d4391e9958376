"""The files of a report: what is written, how, and what happens where it cannot be."""

import csv
import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from qrex.errors import InputError
from qrex.report import Summary, check_writable
from qrex.report.definitions import definition_anchor, definitions, unknown_definitions

DOCS = Path(__file__).parents[2] / "docs"


def test_save_writes_five_files_with_the_agreed_names(saved):
    assert {kind: path.name for kind, path in saved.items()} == {
        "markdown": "report.md",
        "html": "report.html",
        "json": "summary.json",
        "csv": "circuits.csv",
        "chart": "Resource_Metrics_Comparison_2025-07-23_00-39-21.png",
    }
    folder = saved["html"].parent
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in saved.values())


def test_chart_is_2400_by_1200(saved):
    head = saved["chart"].read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (2400, 1200)


def test_json_obeys_the_published_schema(saved):
    schema = json.loads((DOCS / "summary.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(saved["json"].read_text())
    assert list(validator.iter_errors(data)) == []
    data["classical"][0]["surprise"] = 1
    assert list(validator.iter_errors(data))


def test_round_trip_through_json_text(summary):
    data = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert Summary.from_dict(data) == summary
    assert Summary.from_dict(data).to_dict() == data


def test_numbers_of_other_libraries_and_nan_become_json(summary):
    import numpy as np

    odd = replace(
        summary, conditions={"a": np.float32(0.5), "b": np.arange(3), "c": float("nan"), "d": {2, 1}}
    )
    assert odd.to_dict()["conditions"] == {"a": 0.5, "b": [0, 1, 2], "c": None, "d": [1, 2]}


@pytest.mark.parametrize("spoil", [{"format": "qrex-summary-0"}, {"circuits": [{}]}, {"quantum": None}])
def test_reading_another_form_says_what_to_do(summary, spoil):
    with pytest.raises(InputError, match="make the report again"):
        Summary.from_dict(summary.to_dict() | spoil)


def test_a_time_that_is_none_is_refused(summary):
    with pytest.raises(InputError, match="ISO 8601"):
        replace(summary, created_at="../../etc/passwd")


def test_timestamp_is_utc(summary):
    assert replace(summary, created_at="2025-07-23T02:39:21+02:00").timestamp == "2025-07-23_00-39-21"


def test_csv_has_a_row_per_circuit_and_no_formulas(saved, summary):
    rows = list(csv.DictReader(saved["csv"].open(newline="")))
    assert len(rows) == len(summary.circuits)
    assert [r["circuit_id"] for r in rows] == [c.circuit_id for c in summary.circuits]
    for row in rows:
        assert not any(str(cell).startswith(("=", "+", "@")) for cell in row.values())
    ran = next(i for i, c in enumerate(summary.circuits) if c.before.fidelity)
    assert float(rows[ran]["before_fidelity"]) == summary.circuits[ran].before.fidelity.value
    assert rows[5]["after_outcome"] == "unsupported" and rows[5]["after_host_seconds"] == ""


def test_check_writable_makes_the_folder_and_leaves_nothing(tmp_path):
    folder = check_writable(tmp_path / "a" / "b")
    assert folder.is_dir() and list(folder.iterdir()) == []


def test_a_file_in_the_way_is_an_input_error(tmp_path, summary):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"cannot be written.*--out FOLDER"):
            summary.save(folder)


def test_a_read_only_folder_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    if os.geteuid() == 0:  # root may write anywhere: let the operating system's answer be played
        monkeypatch.setattr("qrex.report.files.tempfile.mkstemp", refuse)
    else:
        tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"Permission denied.*--out FOLDER"):
        check_writable(tmp_path)


def test_a_full_disk_leaves_the_older_report_whole(tmp_path, summary, monkeypatch):
    paths = summary.save(tmp_path)
    before = paths["html"].read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qrex.report.files.os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        replace(summary, workload="another").save(tmp_path)
    assert paths["html"].read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".qrex-")]


def test_packaged_definitions_are_the_documented_ones():
    packaged = Path(__import__("qrex.report").report.__file__).with_name("definitions.md")
    assert packaged.read_text() == (DOCS / "definitions.md").read_text()
    headings = [line[3:] for line in packaged.read_text().splitlines() if line.startswith("## ")]
    assert [d.heading for d in definitions()] == headings


def test_anchors_in_either_spelling():
    assert definition_anchor("q-quantum-coherence") == "q-quantum-coherence"
    assert definition_anchor("docs/definitions.md#q-quantum-coherence-seed-068--094") == "q-quantum-coherence"
    assert definition_anchor("no such thing") is None


def test_unknown_definitions_are_named(summary):
    assert unknown_definitions(summary) == {}
    bad = replace(summary.classical[0], definition="nowhere")
    assert unknown_definitions(replace(summary, classical=(bad,))) == {"memory": "nowhere"}
