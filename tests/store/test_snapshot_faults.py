"""Snapshots under faults: kill -9, full disks, flipped bits, several processes, other people's files."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from qrex.errors import InputError, StoreError
from qrex.store import SnapshotStore, Store, block_file
from qrex.store.block_file import HEADER_BYTES
from qrex.store.block_index import INDEX

BLOCK_BYTES = 8 << 14


def _state(qubits, seed=0):
    return np.random.default_rng(seed).normal(size=2 << qubits).astype(np.float32).view(np.complex64)


def _child(code, *arguments):
    head = "import sys, numpy as np\nfrom qrex.store import SnapshotStore\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _kill(child):
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()


HALF = """
    with SnapshotStore(sys.argv[1]) as store:
        def pieces():
            yield np.ones((2, 1 << 14), np.float32)
            yield np.full((2, 1 << 14), 2, np.float32)
            print("half", flush=True)
            sys.stdin.readline()
            yield np.full((2, 1 << 15), 3, np.float32)
        store.save_blocks("half", 16, pieces())
        print("done", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "snapshots"


def test_killed_in_the_middle_of_a_save_nothing_of_it_is_left(folder):
    with SnapshotStore(folder) as store:
        store.save("s", _state(16))
    before = (folder / "blocks.bin").stat().st_size
    child = _child(HALF, folder)
    assert child.stdout.readline() == "half\n"
    assert (folder / "blocks.bin").stat().st_size == before + 2 * BLOCK_BYTES
    _kill(child)
    with SnapshotStore(folder) as store:
        assert (folder / "blocks.bin").stat().st_size == before
        assert [(s.name, s.version) for s in store.snapshots()] == [("s", 1)]
        assert store.damage() == [] and np.array_equal(store.restore("s"), _state(16))
        assert store.save("half", _state(16, 1)).version == 1


def test_killed_anywhere_a_version_is_there_entirely_or_not_at_all(folder):
    code = """
        store = SnapshotStore(sys.argv[1])
        done = int(sys.argv[2])
        while True:
            rng = np.random.default_rng(done)
            state = rng.normal(size=2 << 15).astype(np.float32).view(np.complex64)
            for version in store.versions("s")[:-4]:
                store.delete("s", version)
            store.save("s", state, block_bits=10)
            done += 1
            print(done, flush=True)
    """
    pauses = random.Random(1)
    acknowledged = 0
    for _ in range(6):
        child = _child(code, folder, acknowledged)
        first = int(child.stdout.readline())
        timer = threading.Timer(pauses.random() * 0.1, os.kill, (child.pid, signal.SIGKILL))
        timer.start()
        lines = [first, *map(int, child.stdout)]
        timer.join()
        _kill(child)
        acknowledged = lines[-1]
        with SnapshotStore(folder) as store:
            assert store.damage() == []
            versions = store.versions("s")
            assert versions[-1] in (acknowledged, acknowledged + 1)
            acknowledged = versions[-1]
            for version in versions:
                assert np.array_equal(store.restore("s", version), _state(15, version - 1))
            assert len(versions) <= 5
            assert (folder / "blocks.bin").stat().st_size <= HEADER_BYTES + 6 * (8 << 15)


def test_a_limit_is_kept_and_what_does_not_fit_leaves_nothing(folder):
    with SnapshotStore(folder, limit_bytes=HEADER_BYTES + 5 * BLOCK_BYTES) as store:
        store.save("s", _state(16))
        with pytest.raises(StoreError, match=r"no room for 131 kB more: .* may take 655 kB; delete versions"):
            store.save("t", _state(15, 1))
        assert (folder / "blocks.bin").stat().st_size == HEADER_BYTES + 4 * BLOCK_BYTES
        assert store.save("s", _state(16)).version == 2
        store.save("t", _state(14, 1))
        assert store.damage() == []


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_full_disk_is_told_and_leaves_nothing(folder, monkeypatch, after):
    with SnapshotStore(folder) as store:
        store.save("s", _state(15))
        written, real = [], os.pwrite

        def pwrite(handle, content, position):
            written.append(position)
            if len(written) > 2 * after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(handle, content[: max(len(content) // 2, 1)], position) if len(written) % 2 else real(
                handle, content, position
            )

        monkeypatch.setattr(block_file.os, "pwrite", pwrite)
        with pytest.raises(StoreError, match=r"blocks\.bin: No space left on device; make room there"):
            store.save("t", _state(16, 1))
        monkeypatch.undo()
        assert (folder / "blocks.bin").stat().st_size == HEADER_BYTES + 2 * BLOCK_BYTES
        assert store.save("t", _state(16, 1)).version == 1 and store.damage() == []


def test_a_full_disk_under_the_index_is_told_and_leaves_nothing(folder):
    with SnapshotStore(folder) as store:
        store.save("s", _state(10))
        writer = store._folder._index._writer
        writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(StoreError, match=r"cannot save 't' .*full; make room there"):
            store.save("t", _state(12), block_bits=1)
        writer.execute("PRAGMA max_page_count = 100000")
        assert [s.name for s in store.snapshots()] == ["s"] and store.damage() == []
        assert (folder / "blocks.bin").stat().st_size == HEADER_BYTES + (8 << 10)


def _flip(path, position, bit=0):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("codec", ["float32", "int16", "int8"])
def test_a_flipped_bit_is_an_error_that_names_the_block(folder, codec):
    with SnapshotStore(folder) as store:
        first = store.save("s", _state(16), codec=codec)
        changed = _state(16)
        changed[:100] = 0
        store.save("s", changed, codec=codec)
        kept = store.restore("s", 2)
        _flip(folder / "blocks.bin", HEADER_BYTES + first.new_bytes // 4 + 1000, 3)
        for version in (1, 2):
            with pytest.raises(StoreError, match=f"block 1 of state 's' version {version} in .* is damaged"):
                store.restore("s", version)
            assert len(list(store.blocks("s", version, first=2))) == 2
        assert len(store.damage()) == 2
        # What is damaged is mended for all versions when it is saved again.
        store.save("s", changed, codec=codec)
        assert store.damage() == [] and np.array_equal(store.restore("s", 2), kept)


def test_a_file_that_was_cut_off_is_an_error_that_names_the_block(folder):
    with SnapshotStore(folder) as store:
        store.save("s", _state(15))
        os.truncate(folder / "blocks.bin", HEADER_BYTES + BLOCK_BYTES + 1)
        with pytest.raises(StoreError, match="block 1 of state 's' version 1"):
            store.restore("s")
        store.delete("s", 1)
        store.save("s", _state(15))
        assert np.array_equal(store.restore("s"), _state(15))


def test_a_flipped_bit_of_the_index_is_never_a_wrong_answer(folder, tmp_path):
    state, text = _state(10), "text" * 50
    with SnapshotStore(folder) as store:
        store.save("s", state, block_bits=6, metadata={"step": 3})
        store.save("s", state[::-1].copy(), block_bits=6)
        store.save_text("t", text)
    chosen, size = random.Random(2), (folder / "index.db").stat().st_size
    copy, refused = tmp_path / "copy", 0
    for _ in range(300):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        _flip(copy / "index.db", chosen.randrange(size), chosen.randrange(8))
        try:
            with SnapshotStore(copy) as store:
                for name, version, wanted in (("s", 1, state), ("s", 2, state[::-1]), ("t", 1, text)):
                    try:
                        if wanted is text:
                            assert store.load_text(name, version) == text
                        else:
                            assert np.array_equal(store.restore(name, version), wanted)
                        assert store.metadata(name, version) == ({"step": 3} if wanted is state else {})
                    except (StoreError, InputError):
                        refused += 1
        except StoreError:
            refused += 1
    assert refused > 0


def test_readers_go_on_while_another_process_saves(folder):
    with SnapshotStore(folder) as store:
        store.save("s", _state(16))
        child = _child(HALF, folder)
        assert child.stdout.readline() == "half\n"
        assert np.array_equal(store.restore("s"), _state(16))
        with SnapshotStore(folder) as other:
            assert [s.name for s in other.snapshots()] == ["s"]
            other._folder._index._writer.execute("PRAGMA busy_timeout = 50")
            with pytest.raises(StoreError, match="another process writes there"):
                other.save("s", _state(4))
        assert child.communicate("go on\n")[0] == "done\n"
        assert store.snapshot("half").qubits == 16 and store.damage() == []
        blocks = list(store.blocks("half"))
        assert [block[0][0] for block in blocks] == [1, 2, 3, 3]


def test_threads_save_and_read_at_once(folder):
    failures = []
    with SnapshotStore(folder) as store:
        store.save("base", _state(14))

        def work(name):
            try:
                for seed in range(5):
                    version = store.save(name, _state(14, seed), block_bits=10).version
                    assert np.array_equal(store.restore(name, version), _state(14, seed))
                    assert np.array_equal(store.restore("base"), _state(14))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [] and len(store.snapshots()) == 16 and store.damage() == []


def test_what_is_deleted_while_it_is_read_is_told(folder):
    with SnapshotStore(folder) as store:
        store.save("s", _state(16))
        blocks = store.blocks("s")
        next(blocks)
        store.delete("s", 1)
        store.save("t", _state(16, 1))
        with pytest.raises(StoreError, match=r"state 's' version 1 was deleted from .* while it was read"):
            list(blocks)


def test_what_is_no_state_is_refused(tmp_path):
    with SnapshotStore(tmp_path / "s", limit_bytes="1MB") as store:
        state = _state(3, 1)
        for none in ([1, 0], None, 5, "ab", (state.real,), (state.real, [0] * 8)):
            with pytest.raises(InputError, match="give an array of complex64"):
                store.save("s", none)
        store.save("s", state)
        sealed = np.zeros(8, np.complex64)
        sealed.flags.writeable = False
        for none in (sealed, [0] * 8, (np.zeros(8, np.float32),)):
            with pytest.raises(InputError):
                store.restore("s", out=none)
        with pytest.raises(InputError, match="blocks"):
            store.save("s", state, block_bits="2")
        with pytest.raises(InputError, match="convert it"):
            store.save_array("a", [1, 2])
        with pytest.raises(InputError, match="give a str"):
            store.save_text("t", 5)
        assert store.versions("s") == [1]


def test_a_closed_store_says_so(tmp_path):
    store = SnapshotStore(tmp_path / "s")
    store.close()
    store.close()
    for use in (lambda: store.save("s", _state(3, 1)), lambda: store.restore("s"), store.usage, store.damage):
        with pytest.raises(StoreError, match="were closed; open them again"):
            use()


def test_somebody_elses_files_are_refused_and_left_alone(tmp_path):
    for none in ("", 5, b"/tmp", "\0", None):
        with pytest.raises(InputError, match="the folder of snapshots is given as"):
            SnapshotStore(none)
    (tmp_path / "file").write_text("theirs")
    with pytest.raises(StoreError, match="kept in a folder"):
        SnapshotStore(tmp_path / "file")
    Store(tmp_path / "store" / "index.db").close()
    with pytest.raises(StoreError, match=r"no index of snapshots of qrex.*name another folder"):
        SnapshotStore(tmp_path / "store")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "blocks.bin").write_bytes(b"x" * 100)
    with pytest.raises(StoreError, match="without its index"):
        SnapshotStore(tmp_path / "theirs")
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["blocks.bin"]


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    for name in "ab":
        with SnapshotStore(tmp_path / name) as store:
            store.save("s", _state(10))
    shutil.copy(tmp_path / "a" / "blocks.bin", tmp_path / "b" / "blocks.bin")
    with pytest.raises(StoreError, match="belong to another index"):
        SnapshotStore(tmp_path / "b")
    (tmp_path / "b" / "blocks.bin").write_bytes(b"x" * 10_000)
    with pytest.raises(StoreError, match="are not qrex's"):
        SnapshotStore(tmp_path / "b")
    (tmp_path / "b" / "blocks.bin").unlink()
    with pytest.raises(StoreError, match="No such file"):
        SnapshotStore(tmp_path / "b")
    assert not (tmp_path / "b" / "blocks.bin").exists()


def test_a_folder_of_a_newer_release_is_refused(folder):
    SnapshotStore(folder).close()
    with sqlite3.connect(folder / "index.db") as index:
        index.execute(f"PRAGMA user_version = {INDEX.schema_version + 1}")
    index.close()
    with pytest.raises(StoreError, match=r"the index of snapshots .* was written by a newer qrex"):
        SnapshotStore(folder)


def test_a_process_that_was_killed_before_its_first_save_left_a_folder_that_opens(folder):
    SnapshotStore(folder).close()
    (folder / "blocks.bin").write_bytes((folder / "blocks.bin").read_bytes()[:20])
    with SnapshotStore(folder) as store:
        store.save("s", _state(5))
        assert np.array_equal(store.restore("s"), _state(5))
