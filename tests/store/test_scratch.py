"""The scratch area as its caller sees it: room, slots, commits, and what the disk refuses."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from qrex.errors import InfeasibleError, StoreError
from qrex.store import ScratchArea

SIZE = 4096


def _area(folder, slots=8, slot_bytes=SIZE):
    return ScratchArea.open(folder, "job", slot_bytes, slots)


def _refusing(monkeypatch, name, number, when=lambda *arguments: True):
    original = getattr(os, name)

    def refuse(*arguments, **named):
        if when(*arguments):
            raise OSError(number, os.strerror(number))
        return original(*arguments, **named)

    monkeypatch.setattr(os, name, refuse)


def test_a_new_area_is_private_and_has_all_its_room(tmp_path):
    mask = os.umask(0)
    try:
        area = _area(tmp_path / "made" / "too", slots=64)
    finally:
        os.umask(mask)
    with area:
        assert area.path == tmp_path / "made" / "too" / "qrex-job"
        assert (area.resumed, area.note, area.records(), area.free_slots, area.first) == (False, "", [], 64, 0)
        assert stat.S_IMODE(area.path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in area.path.iterdir()} == {0o600}
        blocks = (area.path / "blocks").stat()
        assert blocks.st_size == 64 * SIZE and blocks.st_blocks * 512 >= 64 * SIZE
        assert not any(os.get_inheritable(handle) for handle in area._claim._handles)


def test_blocks_written_through_the_descriptor_are_there_for_the_next_process(tmp_path):
    with _area(tmp_path) as area, mmap.mmap(-1, SIZE) as page:
        slots = area.take(2)
        for slot in slots:
            page[:] = bytes([slot + 1]) * SIZE
            assert os.pwrite(area.fd, page, slot * SIZE) == SIZE
        assert area.commit({"norm": 1.0, "slots": slots, "name": "ü"}, holds=slots) == 0
    with _area(tmp_path) as area, mmap.mmap(-1, SIZE) as page:
        assert area.resumed and area.records() == [{"norm": 1.0, "slots": slots, "name": "ü"}]
        for slot in slots:
            os.preadv(area.fd, [page], slot * SIZE)
            assert page[:] == bytes([slot + 1]) * SIZE


def test_slots_come_free_with_the_commit_that_frees_them_and_not_before(tmp_path):
    with _area(tmp_path) as area:
        old, unused = area.take(4), area.take(1)
        area.commit({}, holds=old)
        area.give_back(unused)
        new = area.take(4)
        assert not set(old) & set(new) and area.free_slots == 0
        with pytest.raises(StoreError, match=r"1 slots of the scratch area .*qrex-job .* 0 of 8 are free; commit what"):
            area.take(1)
        area.commit({}, holds=new, frees=old)
        assert area.take(4) == old


def test_what_was_taken_and_not_committed_is_free_again_after_a_resume(tmp_path):
    with _area(tmp_path) as area:
        held = area.take(2)
        area.commit({}, holds=held)
        area.take(3)
    with _area(tmp_path) as area:
        assert area.free_slots == 6 and not set(area.take(6)) & set(held)


@pytest.mark.parametrize(
    ("record", "holds", "frees"),
    [
        ({"norm": float("nan")}, [2], []),
        ({"what": object()}, [2], []),
        ({}, [5], []),
        ({}, [2, 2], []),
        ({}, [0], []),
        ({}, [2], [3]),
        ({}, [2], [0, 0]),
        ({}, [99], []),
        ({}, [1.5], []),
    ],
)
def test_a_commit_that_makes_no_sense_never_happened(tmp_path, record, holds, frees):
    with _area(tmp_path) as area:
        area.commit({"first": 1}, holds=area.take(2))
        taken = area.take(2)
        with pytest.raises((ValueError, TypeError)):
            area.commit(record, holds=holds, frees=frees)
        assert area.commit({"second": 2}, holds=taken, frees=[0]) == 1
    with _area(tmp_path) as area:
        assert area.records() == [{"first": 1}, {"second": 2}] and area.free_slots == 5


def test_a_record_of_a_thousand_blocks(tmp_path):
    np = pytest.importorskip("numpy")
    with _area(tmp_path, slots=2048) as area:
        slots = area.take(1024)
        record = {"blocks": [[slot, 2**32 - 1, 0.1 * slot] for slot in slots]}
        area.commit(record, holds=np.array(slots))
    with _area(tmp_path, slots=2048) as area:
        assert area.records() == [record] and area.free_slots == 1024


def test_compacting_forgets_records_and_no_slots(tmp_path):
    with _area(tmp_path) as area:
        first, second = area.take(2), area.take(2)
        area.commit({"number": 0}, holds=first)
        area.commit({"number": 1}, holds=second)
        area.commit({"number": 2}, frees=first[:1])
        before = (area.path / "manifest").stat().st_size
        area.compact(2)
        assert (area.path / "manifest").stat().st_size < before
        assert area.commit({"number": 3}, frees=second) == 3
        for wrong in (1, 5, -1):
            with pytest.raises(ValueError, match=r"records 2 to 4 can be kept from, not"):
                area.compact(wrong)
    with _area(tmp_path) as area:
        assert (area.first, area.records()) == (2, [{"number": 2}, {"number": 3}])
        assert area.free_slots == 7
        area.compact(4)
        assert area.commit({"number": 4}, frees=first[1:]) == 4
    with _area(tmp_path) as area:
        assert (area.first, area.records(), area.free_slots) == (4, [{"number": 4}], 8)


@pytest.mark.parametrize(("slots", "slot_bytes"), [(9, SIZE), (8, 2 * SIZE)])
def test_another_size_is_begun_anew_and_says_so(tmp_path, slots, slot_bytes):
    with _area(tmp_path) as area:
        area.commit({}, holds=area.take(3))
    with _area(tmp_path, slots, slot_bytes) as area:
        assert not area.resumed and area.records() == [] and area.free_slots == slots
        assert f"begun anew: it has 8 slots of 4096 bytes; {slots} of {slot_bytes} bytes are wanted" in area.note
        assert (area.path / "blocks").stat().st_size == slots * slot_bytes


@pytest.mark.parametrize(("slots", "slot_bytes"), [(0, SIZE), (-1, SIZE), (1, 0), (1, 4095), (1, 6144), (1, -SIZE)])
def test_sizes_that_are_none(tmp_path, slots, slot_bytes):
    with pytest.raises(ValueError, match="a multiple of 4096 bytes"):
        _area(tmp_path, slots, slot_bytes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("identity", ["", "..", "a/b", "a b", "x" * 129, "a\n"])
def test_identities_that_are_none(tmp_path, identity):
    with pytest.raises(ValueError, match="is no identity"):
        ScratchArea.open(tmp_path, identity, SIZE, 1)


def test_a_closed_area_does_nothing(tmp_path):
    with _area(tmp_path) as area:
        pass
    for use in (lambda: area.take(1), lambda: area.give_back([]), lambda: area.commit({}), lambda: area.compact(0),
                area.remove):  # fmt: skip
        with pytest.raises(ValueError, match=r"qrex-job is closed"):
            use()
    area.close()
    assert area.fd == -1


# Room ----------------------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_made(tmp_path):
    with ScratchArea.open(tmp_path, "older", SIZE, 1024):
        pass
    slots = 2 * shutil.disk_usage(tmp_path).free // SIZE
    with pytest.raises(InfeasibleError) as refusal:
        _area(tmp_path, slots)
    assert [path.name for path in tmp_path.iterdir()] == ["qrex-older"]
    text = str(refusal.value)
    assert text.startswith("the scratch area needs ") and f" are free in {tmp_path} (areas that earlier runs" in text
    assert "take 4.2" in text and text.endswith("; name another folder with --scratch, or allow a coarser codec")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_room_that_turns_out_not_to_be_there(tmp_path, monkeypatch, number):
    _refusing(monkeypatch, "posix_fallocate", number)
    with pytest.raises(InfeasibleError, match=r"needs 16.8 MB; .* free in .*--scratch"):
        _area(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF])
def test_a_file_system_that_cannot_set_room_aside_is_used_and_told_of(tmp_path, monkeypatch, number):
    _refusing(monkeypatch, "posix_fallocate", number)
    with _area(tmp_path) as area:
        assert area.note == f"{tmp_path} cannot set room aside: if its disk fills up, the run stops and can be resumed"
        assert (area.path / "blocks").stat().st_size == 8 * SIZE
        area.commit({"kept": 1}, holds=area.take(1))
    with _area(tmp_path) as area:
        assert area.resumed and area.note == ""


def test_direct_transfers_are_used_where_there_are_any(tmp_path, monkeypatch):
    with _area(tmp_path) as area:
        assert area.direct == bool(_flags(area.fd) & os.O_DIRECT)
        area.commit({"kept": 1}, holds=area.take(1))
    with monkeypatch.context() as patch:
        _refusing(patch, "open", errno.EINVAL, lambda name, flags, *_: flags & os.O_DIRECT)
        with _area(tmp_path) as area:
            assert area.resumed and not area.direct and not _flags(area.fd) & os.O_DIRECT
    with monkeypatch.context() as patch:
        _refusing(patch, "preadv", errno.EINVAL)
        with _area(tmp_path) as area:
            assert area.resumed and not area.direct and not _flags(area.fd) & os.O_DIRECT


def _flags(handle):
    import fcntl

    return fcntl.fcntl(handle, fcntl.F_GETFL)


# What the disk refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pwrite", "fdatasync"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"no room for a commit of \d+ B to the scratch area .*qrex-job \(No space.* free; 1 commits are "
                       r"kept; make room there and run again"),
        (errno.EDQUOT, "no room for a commit"),
        (errno.EIO, r"the disk under the scratch area .*qrex-job failed in a commit \(Input/output error\); 1 commits"),
    ],
)  # fmt: skip
def test_a_refused_commit_ends_commits_until_the_area_is_opened_again(tmp_path, monkeypatch, name, number, words):
    with _area(tmp_path) as area:
        area.commit({"number": 0}, holds=area.take(2))
        slots = area.take(2)
        with monkeypatch.context() as patch:
            _refusing(patch, name, number)
            with pytest.raises(StoreError, match=words):
                area.commit({"number": 1}, holds=slots, frees=[0])
        # The disk takes it now, but what became of the flush that failed nobody knows.
        with pytest.raises(StoreError, match=words):
            area.commit({"number": 1}, holds=slots, frees=[0])
        with pytest.raises(StoreError, match=words):
            area.compact(0)
        assert area.free_slots == 4
    with _area(tmp_path) as area:
        assert area.resumed and area.records() == [{"number": 0}] and area.free_slots == 6
        assert area.commit({"number": 1}, holds=area.take(2), frees=[0]) == 1


def test_a_commit_that_is_interrupted_ends_commits_too(tmp_path, monkeypatch):
    flushed, original = [], os.fdatasync

    def interrupt(handle):
        original(handle)
        flushed.append(handle)
        if len(flushed) == 2:
            raise KeyboardInterrupt

    with _area(tmp_path) as area:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "fdatasync", interrupt)
            area.commit({"number": 0}, holds=area.take(2))
        with pytest.raises(StoreError, match="was interrupted; run again to resume"):
            area.commit({"number": 1})
    with _area(tmp_path) as area:
        assert area.records() == [{"number": 0}] and area.free_slots == 6  # it was on the disk already


def test_threads_take_slots_while_a_commit_waits_for_the_disk(tmp_path, monkeypatch):
    reached, go_on = threading.Event(), threading.Event()

    def wait(original, handle):
        reached.set()
        assert go_on.wait(30)
        original(handle)

    with _area(tmp_path) as area:
        area.commit({}, holds=area.take(2))
        new = area.take(2)
        monkeypatch.setattr(os, "fdatasync", functools.partial(wait, os.fdatasync))
        thread = threading.Thread(target=area.commit, args=({},), kwargs={"holds": new, "frees": [0, 1]})
        thread.start()
        assert reached.wait(30)
        assert area.take(4) == [4, 5, 6, 7] and area.free_slots == 0
        go_on.set()
        thread.join()
        assert area.take(2) == [0, 1]


def _run(code, *arguments, prefix=()):
    return subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


FILL = """
    import sys
    from qrex.errors import StoreError
    from qrex.store import ScratchArea

    def fill(folder):
        with ScratchArea.open(folder, "job", 4096, 8) as area:
            number = -1
            try:
                for _ in range(40):
                    number = area.commit({"pad": "x" * 30000})
            except StoreError as error:
                print(error)
            print(number)
"""


def test_a_write_that_the_system_cuts_short(tmp_path):
    """A limit on the size of files: the kernel writes what fits of a line, then refuses."""
    done = _run(
        FILL + """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    fill(sys.argv[1])
    """, tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    message, last = done.stdout.splitlines()
    assert "no room for a commit of 30.1 kB" in message and "(File too large)" in message and last == "2"
    assert (tmp_path / "qrex-job" / "manifest").stat().st_size == 100_000
    with _area(tmp_path) as area:
        assert len(area.records()) == 3 and area.note == "commit 3 was not finished and is done again"


def test_a_file_system_that_is_full(tmp_path):
    """A small one of our own, where the system lets a user mount one."""
    own = ("unshare", "--user", "--map-root-user", "--mount")
    mount = f"mount -t tmpfs -o size=17m tmpfs {tmp_path}"
    if not shutil.which("unshare") or subprocess.run([*own, "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    done = _run(
        FILL + """
    import os, shutil, subprocess
    folder = sys.argv[1]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=17m", "tmpfs", folder], check=True)
    ScratchArea.open(folder, "job", 4096, 8).close()
    with open(os.path.join(folder, "other"), "wb") as file:
        file.write(bytes(shutil.disk_usage(folder).free - 100_000))
    fill(folder)
    os.unlink(os.path.join(folder, "other"))
    with ScratchArea.open(folder, "job", 4096, 8) as area:
        print(area.resumed, len(area.records()))
    try:
        ScratchArea.open(folder, "large", 1 << 20, 32)
    except Exception as error:
        print(type(error).__name__, error)
    print(sorted(os.listdir(folder)))
    """, tmp_path, prefix=own)  # fmt: skip
    assert done.returncode == 0, done.stderr
    message, last, resumed, refused, left = done.stdout.splitlines()
    assert message.startswith("no room for a commit of 30.1 kB") and "(No space left on device)" in message
    assert int(last) >= 1 and resumed == f"True {int(last) + 1}"
    assert refused.startswith("InfeasibleError the scratch area needs 50.3 MB; ") and left == "['qrex-job']"
