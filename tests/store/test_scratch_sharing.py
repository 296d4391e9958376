"""One process at a time, links and other people's files left alone, and areas that nobody wants any more."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from qrex.errors import StoreError
from qrex.store import ScratchArea, claim, remove_area, stale_areas

FILES = ("manifest", "committed", "blocks", "lock", "manifest.new")


def _area(folder, identity="job"):
    return ScratchArea.open(folder, identity, 4096, 8)


def _started(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(claim, "_PATIENCE_SECONDS", 0.1)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the area, with one commit."""
    process = _started("""
        import sys
        from qrex.store import ScratchArea
        area = ScratchArea.open(sys.argv[1], "job", 4096, 8)
        area.commit({"by": "holder"}, holds=area.take(1))
        print("held", flush=True)
        sys.stdin.read()
    """, tmp_path)  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_an_area_in_use_is_refused_by_the_name_of_its_process(tmp_path, holder, impatient):
    words = rf"qrex-job is in use by process {holder.pid}: wait until it ends, or end it, or name another .*--scratch"
    with pytest.raises(StoreError, match=words):
        _area(tmp_path)
    with pytest.raises(StoreError, match=words):
        remove_area(tmp_path / "qrex-job")
    assert stale_areas(tmp_path) == []
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert [area.identity for area in stale_areas(tmp_path)] == ["job"]
    with _area(tmp_path) as area:
        assert area.resumed and area.records() == [{"by": "holder"}]


def test_a_process_that_is_ending_is_waited_for(tmp_path, holder):
    ending = _started("import os, sys, time; time.sleep(0.5); os.kill(int(sys.argv[1]), 9)", holder.pid)
    began = time.monotonic()
    with _area(tmp_path) as area:
        assert area.resumed and time.monotonic() - began > 0.2
    ending.communicate()


def test_one_process_has_it_once(tmp_path, impatient):
    with _area(tmp_path), pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        _area(tmp_path)
    _area(tmp_path).close()


def test_processes_that_make_and_remove_one_area_never_meet_in_it(memory_folder):
    code = """
        import os, sys
        from qrex.store import ScratchArea, claim
        claim._PATIENCE_SECONDS = 100  # three that never pause let one wait long
        for _ in range(60):
            with ScratchArea.open(sys.argv[1], "job", 4096, 8) as area:
                assert not area.resumed
                alone = os.path.join(sys.argv[1], "alone")
                os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
                area.commit({}, holds=area.take(1))
                os.unlink(alone)
                area.remove()
        print("done")
    """
    processes = [_started(code, memory_folder) for _ in range(3)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["done\n"] * 3
    assert list(memory_folder.iterdir()) == []


@pytest.mark.parametrize("kept", [False, True], ids=["removed", "removed but for other files"])
def test_the_lock_of_an_area_that_was_removed_meanwhile_is_worth_nothing(tmp_path, monkeypatch, impatient, kept):
    original, seen = claim.fcntl.flock, []

    def late(handle, operation):
        if not seen and kept:
            (tmp_path / "qrex-job" / "lock").unlink()  # by the one who held it when this one opened it
            (tmp_path / "qrex-job" / "lock").touch()  # by the next one
        elif not seen:
            shutil.rmtree(tmp_path / "qrex-job")
        seen.append(handle)
        original(handle, operation)

    monkeypatch.setattr(claim.fcntl, "flock", late)
    with _area(tmp_path) as area:
        assert len(seen) == 2 and area.path.exists()
        with pytest.raises(StoreError, match="in use by process"):
            _area(tmp_path)


def test_a_forked_child_neither_uses_the_area_nor_holds_its_lock(tmp_path):
    process = _started("""
        import os, sys
        from qrex.store import ScratchArea
        area = ScratchArea.open(sys.argv[1], "job", 4096, 8)
        area.commit({"number": 0}, holds=area.take(1))
        inherited = list(area._claim._handles)
        reading, writing = os.pipe()
        if not os.fork():
            def closed(handle):
                try:
                    os.fstat(handle)
                except OSError:
                    return True
            assert all(closed(handle) for handle in inherited)
            for use in (lambda: area.take(1), lambda: area.commit({})):
                try:
                    use()
                except ValueError as error:
                    assert "closed" in str(error)
                else:
                    raise AssertionError
            os.write(writing, b"x")
            sys.stdin.read()
            os._exit(0)
        os.close(writing)
        assert os.read(reading, 1) == b"x"
        assert area.commit({"number": 1}) == 1  # what the child closed is still open here
        print("child lives", flush=True)
        os._exit(0)
    """, tmp_path)  # fmt: skip
    try:
        assert process.stdout.readline() == "child lives\n"
        process.wait()
        with _area(tmp_path) as area:
            assert area.records() == [{"number": 0}, {"number": 1}]
    finally:
        process.communicate()  # ends the child


# Links and other files -------------------------------------------------------------------------------------------


def test_a_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "qrex-job").symlink_to(tmp_path / "theirs")
    with pytest.raises(StoreError, match="must be a folder, not a file or a link; move it away or name another"):
        _area(tmp_path)
    assert list((tmp_path / "theirs").iterdir()) == [] and stale_areas(tmp_path) == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "qrex-job").write_text("mine")
    with pytest.raises(StoreError, match="must be a folder"):
        _area(tmp_path)
    assert (tmp_path / "qrex-job").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_a_file_of_the_area_that_is_something_else_is_refused(tmp_path, name, kind):
    _area(tmp_path).close()
    theirs, path = tmp_path / "theirs", tmp_path / "qrex-job" / name
    path.unlink(missing_ok=True)
    if kind == "link":
        theirs.write_text("precious")
    match kind:
        case "link" | "dangling":
            path.symlink_to(theirs)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    for use in (lambda: _area(tmp_path), lambda: remove_area(path.parent)):
        with pytest.raises(StoreError, match=rf"{name} must be a file, not a folder or a link; remove it or name"):
            use()
    assert path.is_symlink() or path.exists()
    assert theirs.exists() == (kind == "link") and (kind != "link" or theirs.read_text() == "precious")


def test_a_folder_that_is_no_area_is_left_alone(tmp_path):
    theirs = tmp_path / "qrex-job"
    theirs.mkdir(mode=0o700)
    (theirs / "blocks").write_text("building blocks")
    for use in (lambda: _area(tmp_path), lambda: remove_area(theirs)):
        with pytest.raises(StoreError, match=r"qrex-job is no scratch area: it holds blocks; move it away"):
            use()
    assert [path.name for path in theirs.iterdir()] == ["blocks"] and stale_areas(tmp_path) == []


def test_a_folder_open_to_others_is_refused(tmp_path):
    _area(tmp_path).close()
    (tmp_path / "qrex-job").chmod(0o750)
    with pytest.raises(StoreError, match=r"qrex-job is open to others \(mode 0750\); make it private"):
        _area(tmp_path)
    assert stale_areas(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="files can be given away by root only")
def test_a_folder_of_another_user_is_refused(tmp_path):
    _area(tmp_path).close()
    os.chown(tmp_path / "qrex-job", 12345, 12345)
    with pytest.raises(StoreError, match=r"qrex-job belongs to another user; name another folder with --scratch"):
        _area(tmp_path)


def test_other_files_in_an_area_survive_everything(tmp_path):
    with _area(tmp_path) as area:
        area.commit({}, holds=area.take(1))
        (area.path / "notes.txt").write_text("mine")
    with _area(tmp_path) as area:
        assert area.resumed
    with ScratchArea.open(tmp_path, "job", 8192, 8) as area:
        assert not area.resumed
        area.remove()
    assert [path.name for path in (tmp_path / "qrex-job").iterdir()] == ["notes.txt"]
    assert (tmp_path / "qrex-job" / "notes.txt").read_text() == "mine"


def test_a_parent_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot use .*qrex-job for scratch: .*; name another folder with --scratch"):
        _area(tmp_path / "file")


# Areas that are left ---------------------------------------------------------------------------------------------


def test_removing_leaves_nothing(tmp_path):
    with _area(tmp_path) as area:
        area.commit({}, holds=area.take(1))
        area.compact(1)
        area.remove()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="is closed"):
        area.take(1)


def test_areas_that_nobody_holds_are_listed_and_removed(tmp_path):
    assert stale_areas(tmp_path / "nowhere") == []
    for identity in ("b", "a"):
        ScratchArea.open(tmp_path, identity, 4096, 256).close()
    os.utime(tmp_path / "qrex-b" / "lock", (0, 0))
    for name in ("manifest", "committed", "blocks"):
        os.utime(tmp_path / "qrex-b" / name, (0, time.time() - 3600))
    (tmp_path / "qrex-empty").mkdir(mode=0o700)
    with _area(tmp_path, "held"):
        first, second = stale_areas(tmp_path)
    assert (first.identity, second.identity) == ("a", "b")
    assert (first.path, second.path) == (tmp_path / "qrex-a", tmp_path / "qrex-b")
    assert first.age_seconds < 600 and 3600 <= second.age_seconds < 4200
    assert 256 * 4096 <= first.disk_bytes < 256 * 4096 + 65536
    for area in (first, second):
        remove_area(area.path)
    assert [area.identity for area in stale_areas(tmp_path)] == ["held"]


def test_listing_changes_nothing(tmp_path):
    _area(tmp_path).close()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "qrex-job").iterdir()}
    assert len(stale_areas(tmp_path)) == 1
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@pytest.mark.parametrize("name", ["qrex-absent", "absent", "other"])
def test_only_areas_are_removed(tmp_path, name):
    (tmp_path / "other").mkdir(mode=0o700)
    for file in ("lock", "blocks"):
        (tmp_path / "other" / file).write_text("theirs")
    with pytest.raises(StoreError, match="no scratch area"):
        remove_area(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["blocks", "lock", "other"]
