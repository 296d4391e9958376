"""A bit that flips, a file that is cut off: the work is taken up whole or begun anew, never from a mixture."""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
from pathlib import Path

import pytest
import scratch_toy
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.store import manifest as manifests

AREA = f"qrex-{scratch_toy.IDENTITY}"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
STOPS = (1, 4, 7, 10)  # before and after the manifest is compacted


class _Stop(BaseException):
    """The process ends here."""


@functools.cache
def _left_after(commits):
    """The files of an area whose process ended after so many commits, the blocks for the next one being written: they
    lie in slots that the last one freed."""
    kept = []

    def meet(name, call, *arguments, **named):
        if name == "fdatasync" and len(kept) == commits:
            raise _Stop
        return call(*arguments, **named)

    def tell(what, value):
        if what == "kept":
            kept.append(value)

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        with pytest.raises(_Stop), scratch_toy.interposed(meet):
            scratch_toy.run(folder, tell)
        return {path.name: path.read_bytes() for path in (Path(folder) / AREA).iterdir()}


def _outcome(files):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        area = Path(folder) / AREA
        area.mkdir(mode=0o700)
        for name, content in files.items():
            (area / name).write_bytes(content)
        return scratch_toy.run(folder)


def _resealed(manifest, change):
    """A manifest whose JSON was changed, with checksums that are right."""
    lines, checksum = [], b""
    for number, line in enumerate(manifest.splitlines()):
        body = json.loads(line.partition(b" ")[2])
        change(number, body)
        sealed, checksum = manifests._line(checksum, manifests._json(body))
        lines.append(sealed)
    return b"".join(lines)


def test_without_damage_it_goes_on():
    for commits in STOPS:
        outcome = _outcome(_left_after(commits))
        assert (outcome.began, outcome.resumed, outcome.note) == (commits, True, "")
        assert outcome.digest == scratch_toy.undisturbed()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(STOPS), st.sampled_from(["manifest", "committed", "lock", "blocks"]), st.data())
def test_a_flipped_bit_anywhere(commits, name, data):
    files = dict(_left_after(commits))
    content = bytearray(files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    files[name] = bytes(content)
    try:
        outcome = _outcome(files)
    except scratch_toy.ToyDamageError:
        assert name == "blocks"  # whose checksums are the caller's
        return
    assert outcome.digest == scratch_toy.undisturbed()
    if name == "manifest":
        assert not outcome.resumed and f"{AREA} is begun anew: its " in outcome.note
    else:
        assert outcome.began == commits and outcome.note == ""


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(STOPS), st.sampled_from(["manifest", "committed", "blocks"]), st.data())
def test_a_file_that_is_cut_off(commits, name, data):
    files = dict(_left_after(commits))
    files[name] = files[name][: data.draw(st.integers(0, len(files[name]) - 1))]
    outcome = _outcome(files)
    assert outcome.digest == scratch_toy.undisturbed()
    assert outcome.resumed == (name == "committed")
    assert bool(outcome.note) == (name != "committed")


@pytest.mark.parametrize("name", ["manifest", "committed", "blocks", "lock"])
def test_a_file_that_is_gone(name):
    files = dict(_left_after(4))
    del files[name]
    if name == "lock":
        with pytest.raises(scratch_toy.QrexError, match="is no scratch area: it holds blocks; move it away"):
            _outcome(files)
        return
    outcome = _outcome(files)
    assert outcome.digest == scratch_toy.undisturbed()
    assert outcome.resumed == (name == "committed")
    assert ("its blocks are gone" in outcome.note) == (name == "blocks")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_a_line_that_was_not_finished_is_dropped_and_its_commit_done_again(data):
    files, later = dict(_left_after(4)), _left_after(5)["manifest"]
    whole = files["manifest"]
    assert later.startswith(whole)
    half = later[len(whole) : data.draw(st.integers(len(whole), len(later) - 2))]
    tail = data.draw(st.sampled_from([half, half + bytes(300), bytes(len(half)), half + b"\n", half[1:] + b"x\ny\n"]))
    outcome = _outcome(files | {"manifest": whole + tail})
    assert outcome.digest == scratch_toy.undisturbed()
    assert (outcome.began, outcome.resumed) == (4, True)
    assert outcome.note == ("commit 4 was not finished and is done again" if tail else "")


def test_what_was_dropped_is_gone(tmp_path):
    area = tmp_path / AREA
    area.mkdir(mode=0o700)
    for name, content in _left_after(4).items():
        (area / name).write_bytes(content + b"x" * 5000 if name == "manifest" else content)
    for note in ("commit 4 was not finished and is done again", ""):
        with scratch_toy.ScratchArea.open(tmp_path, scratch_toy.IDENTITY, 4096, scratch_toy.SLOTS) as opened:
            assert opened.resumed and opened.note == note


def test_a_line_of_another_area_does_not_count():
    files, later = dict(_left_after(4)), _left_after(5)["manifest"]
    other = _resealed(later, lambda number, body: body.update({"identity": "other"} if number == 0 else {}))
    foreign = other.splitlines(keepends=True)[-1]
    assert foreign.partition(b" ")[2] == later[len(files["manifest"]) :].partition(b" ")[2]
    outcome = _outcome(files | {"manifest": files["manifest"] + foreign})
    assert (outcome.began, outcome.digest) == (4, scratch_toy.undisturbed())


def test_a_line_that_was_finished_counts_though_the_mark_does_not_know_it():
    outcome = _outcome(_left_after(4) | {"manifest": _left_after(5)["manifest"]})
    assert (outcome.began, outcome.resumed, outcome.digest) == (5, True, scratch_toy.undisturbed())


def test_an_unfinished_line_beside_a_damaged_mark_is_no_ground_to_go_on():
    files = dict(_left_after(4))
    files |= {"manifest": files["manifest"] + b"0123", "committed": b"0" + files["committed"][2:]}
    outcome = _outcome(files)
    assert not outcome.resumed and "its manifest and its mark are damaged" in outcome.note
    assert outcome.digest == scratch_toy.undisturbed()


def test_an_older_manifest_is_not_believed():
    outcome = _outcome(_left_after(5) | {"manifest": _left_after(4)["manifest"]})
    assert not outcome.resumed and "its manifest is damaged after commit 4 of 5" in outcome.note


@pytest.mark.parametrize(
    ("line", "change", "words"),
    [
        (0, {"layout": 2}, r"another version of qrex made it \(layout 2; this one reads 1\)"),
        (0, {"format": "zip"}, "its header is that of something else"),
        (0, {"new": 1}, "its header is that of something else"),
        (0, {"identity": "other"}, "it is of another job"),
        (0, {"slots": 99}, "it has 99 slots of 4096 bytes; 16 of 4096 bytes are wanted"),
        (0, {"held": [3]}, "its commits contradict each other .slot 3 is not free"),
        (2, {"number": 7}, "commit 1 is none"),
        (2, {"holds": [77]}, "its commits contradict each other .slot 77 is not free"),
        (2, {"frees": [15]}, "its commits contradict each other .slot 15 is not held"),
        (2, {"holds": None}, "its commits contradict each other"),
        (2, {"holds": ["0"]}, "its commits contradict each other"),
        (2, {"more": 0}, "commit 1 is none"),
    ],
)
def test_what_checks_and_yet_makes_no_sense_is_not_believed_either(line, change, words):
    files = dict(_left_after(4))
    manifest = _resealed(files["manifest"], lambda number, body: body.update(change) if number == line else None)
    outcome = _outcome(files | {"manifest": manifest})
    assert not outcome.resumed and outcome.digest == scratch_toy.undisturbed()
    assert re.search(words, outcome.note)
