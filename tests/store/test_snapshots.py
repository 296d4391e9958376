"""Snapshots: what goes in comes out, blocks are shared, figures are what they say."""

from __future__ import annotations

import doctest
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qrex.errors import InputError, StoreError
from qrex.store import SnapshotStore
from qrex.store.snapshots import default_block_bits


def _state(qubits, seed=0):
    rng = np.random.default_rng(seed)
    state = rng.normal(size=1 << qubits) + 1j * rng.normal(size=1 << qubits)
    return (state / np.linalg.norm(state)).astype(np.complex64)


def _infidelity(given, kept):
    given, kept = given.astype(complex), kept.astype(complex)
    return 1 - abs(np.vdot(given, kept)) ** 2 / (np.vdot(given, given).real * np.vdot(kept, kept).real)


@pytest.fixture
def store(tmp_path):
    with SnapshotStore(tmp_path / "snapshots") as opened:
        yield opened


SIZES = [
    (qubits, bits)
    for qubits in (0, 1, 4, 5, 10, 16)
    for bits in (None, 0, 4, 10)
    if (bits or 0) <= qubits and not (bits == 0 and qubits > 10)
]


@pytest.mark.parametrize(("qubits", "block_bits"), SIZES)
def test_float32_is_restored_bit_for_bit(store, qubits, block_bits):
    state = _state(qubits)
    state[0] = -0.0
    state[-1:] = complex(1e-42, -0.0)
    saved = store.save("s", state, block_bits=block_bits)
    assert store.restore("s").tobytes() == state.tobytes()
    assert (saved.qubits, saved.version, saved.infidelity) == (qubits, 1, 0.0)


@pytest.mark.parametrize(("codec", "bound"), [("int16", 1e-9), ("int8", 5e-5)])
def test_the_stated_infidelity_is_the_real_one(store, codec, bound):
    state = _state(16)
    saved = store.save("s", state, codec=codec)
    real = _infidelity(state, store.restore("s"))
    assert real <= saved.infidelity * (1 + 1e-3) and saved.infidelity <= real * 1.01
    assert saved.infidelity < bound and saved.norm == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("codec", ["int16", "int8"])
def test_what_was_restored_and_saved_again_adds_nothing(store, codec):
    first = store.save("s", _state(16), codec=codec)
    again = store.save("s", store.restore("s"), codec=codec)
    assert first.new_bytes > 0 and again.new_bytes == 0 and again.content == first.content
    assert again.infidelity == 0.0


def test_versions_count_up_and_are_never_given_out_again(store):
    for number in (1, 2, 3):
        assert store.save("s", _state(5, number)).version == number
    store.delete("s", 3)
    assert store.save("s", _state(5, 9)).version == 4
    assert store.versions("s") == [1, 2, 4]
    assert np.array_equal(store.restore("s"), _state(5, 9))
    assert np.array_equal(store.restore("s", 2), _state(5, 2))
    assert store.save("other", _state(5)).version == 1


def test_metadata_and_time_are_kept(store):
    given = {"program": "ab12", "step": 7, "angles": [0.5, 1e-300], "note": "größer"}
    saved = store.save("s", _state(5), metadata=given)
    found = store.snapshot("s", 1)
    assert found == saved and found.metadata == given and store.metadata("s") == given
    assert store.save("s", _state(5)).metadata == {}
    assert store.snapshots() == store.snapshots("s") and len(store.snapshots()) == 2
    assert found.created_at <= store.snapshot("s").created_at


def test_branches_that_differ_in_part_share_the_rest(store):
    base = _state(18)
    block = 8 << default_block_bits(18)
    assert store.save("base", base).new_bytes == base.nbytes
    for branch in range(8):
        changed = base.copy()
        changed[branch << 15 : (branch + 1) << 15] *= np.complex64(1j)
        assert store.save(f"branch {branch}", changed).new_bytes == 2 * block
        assert np.array_equal(store.restore(f"branch {branch}"), changed)
    assert store.stored_bytes("base") == (base.nbytes, 0)
    assert store.stored_bytes("branch 3") == (base.nbytes, 2 * block)


def test_blocks_of_zeros_take_no_space_and_negative_zeros_stay(store):
    state = np.zeros(1 << 18, np.complex64)
    state[5] = 1
    saved = store.save("s", state)
    assert (saved.blocks, saved.zero_blocks, saved.new_bytes) == (16, 15, 8 << 14)
    state[-1] = complex(-0.0, 0)
    assert store.save("s", state).zero_blocks == 14
    assert store.restore("s").tobytes() == state.tobytes()
    assert store.save("empty", np.zeros(32, np.complex64)).zero_blocks == 1
    assert not store.restore("empty").any()


def test_a_state_may_come_and_go_block_by_block(store):
    state = _state(17)
    re, im = np.ascontiguousarray(state.real), np.ascontiguousarray(state.imag)
    pieces = ((re[at : at + (1 << 15)], im[at : at + (1 << 15)]) for at in range(0, 1 << 17, 1 << 15))
    store.save_blocks("s", np.int64(17), pieces, block_bits=np.int64(12))
    blocks = list(store.blocks("s"))
    assert len(blocks) == 32 and all(part.shape == (4096,) for pair in blocks for part in pair)
    assert np.array_equal(np.concatenate([block[0] for block in blocks]), re)
    assert np.array_equal(np.concatenate([block[1] for block in blocks]), im)
    some = list(store.blocks("s", first=3, stop=5))
    assert len(some) == 2 and np.array_equal(some[0][0], blocks[3][0])


def test_a_snapshot_can_be_read_while_another_is_made_of_it(store):
    store.save("s", _state(16))
    store.save_blocks("t", 16, store.blocks("s"))
    assert np.array_equal(store.restore("t"), _state(16)) and store.snapshot("t").new_bytes == 0


def test_restored_into_an_array_a_memory_map_or_planes(store, tmp_path):
    state = _state(15)
    store.save("s", state)
    mapped = np.memmap(tmp_path / "m", np.complex64, "w+", shape=1 << 15)
    assert store.restore("s", out=mapped) is mapped and np.array_equal(mapped, state)
    re, im = np.empty((2, 1 << 15), np.float32)
    store.restore("s", out=(re, im))
    assert np.array_equal(re, state.real) and np.array_equal(im, state.imag)
    for wrong in (np.empty(5, np.complex64), np.empty(1 << 15, complex), (re, im[:5]), (re, im.astype(float))):
        with pytest.raises(InputError, match="32768 amplitudes"):
            store.restore("s", out=wrong)
    store.save("from a map", np.memmap(tmp_path / "m", np.complex64, "r"))
    assert np.array_equal(store.restore("from a map"), state)


def test_deleted_blocks_are_free_and_used_again(store, tmp_path):
    file = tmp_path / "snapshots" / "blocks.bin"
    for seed in range(4):
        store.save("s", _state(16, seed))
    full = file.stat().st_size
    store.delete("s", 2)
    assert file.stat().st_size == full
    store.save("s", _state(16, 7))
    assert file.stat().st_size == full
    for version in (4, 5):
        store.delete("s", version)
    assert np.array_equal(store.restore("s", 1), _state(16, 0)) and np.array_equal(store.restore("s", 3), _state(16, 2))
    for version in (1, 3):
        store.delete("s", version)
    assert file.stat().st_size < 100 and store.versions("s") == []


def test_usage_counts_what_the_files_really_take(store, tmp_path):
    for seed in range(3):
        store.save("s", _state(16, seed), codec="int16")
    events = np.zeros((1000, 24), bool)
    store.save_array("events", events)
    usage = store.usage()
    du = subprocess.run(["du", "-s", "--block-size=1", tmp_path / "snapshots"], capture_output=True, check=True)
    folder = (tmp_path / "snapshots").stat().st_blocks * 512
    assert usage.physical_bytes == int(du.stdout.split()[0]) - folder
    assert usage.logical_bytes == 3 * 16 << 16 and usage.logical_bytes_complex64 == 3 * 8 << 16
    assert usage.other_bytes == events.size and usage.snapshots == 3
    assert usage.effective_storage == pytest.approx(2 * usage.effective_storage_complex64)
    assert 0 < usage.worst_infidelity < 1e-8


def test_requests_that_cannot_be_met_say_what_there_is(store):
    store.save("s", _state(5))
    store.save_text("t", "text")
    with pytest.raises(InputError, match=r"'s' has no version 2 .*; there are 1"):
        store.restore("s", 2)
    with pytest.raises(InputError, match="nothing is kept as"):
        store.blocks("u")
    with pytest.raises(InputError, match=r"nothing is kept as 'u' .*kept are \['s', 't'\]"):
        store.delete("u", 1)
    with pytest.raises(InputError, match="text 't' version 1 is kept: read it with load_text"):
        store.restore("t")
    with pytest.raises(InputError, match="state 's' version 1 is kept: read it with restore"):
        store.load_text("s")
    for state in (np.zeros(6, np.complex64), np.zeros((2, 2), np.complex64), np.zeros(0, np.complex64)):
        with pytest.raises(InputError, match=r"one row of 2\^n"):
            store.save("s", state)
    with pytest.raises(InputError, match="must be complex64"):
        store.save("s", np.zeros(4, complex))
    with pytest.raises(InputError, match="float32, int16, int8"):
        store.save("s", _state(5), codec="int4")
    with pytest.raises(InputError, match="no larger than the state"):
        store.save("s", _state(5), block_bits=6)
    with pytest.raises(InputError, match="metadata of 's'"):
        store.save("s", _state(5), metadata={"value": math.nan})
    for name in ("", " ", "a\nb", 5):
        with pytest.raises(InputError, match="printable text"):
            store.save(name, _state(5))
    bad = _state(16)
    bad[20000] = np.nan
    with pytest.raises(InputError, match=r"block 1 of what was to be saved as 's': .*not finite"):
        store.save("s", bad)
    assert store.versions("s") == [1]


def test_pieces_that_do_not_make_up_the_state_are_refused(store):
    whole = np.ones(64, np.float32)
    with pytest.raises(InputError, match="64 of them were not given"):
        store.save_blocks("s", 7, [(whole, whole)], block_bits=4)
    wrong = [(whole, whole[:32]), (whole[:8], whole[:8]), (whole, whole.astype(float)), (whole[:0], whole[:0])]
    for real, imaginary in wrong:
        with pytest.raises(InputError, match="multiples of 16"):
            store.save_blocks("s", 6, [(real, imaginary)], block_bits=4)
    with pytest.raises(InputError, match=r"lacks 0 of 2\^6"):
        store.save_blocks("s", 6, [(whole, whole)] * 2, block_bits=4)

    def failing():
        yield whole, whole
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        store.save_blocks("s", 7, failing(), block_bits=4)
    assert store.snapshots() == []


def test_a_save_within_a_save_is_refused(store):
    def nested():
        store.save("inner", _state(4))
        yield np.ones((2, 16), np.float32)

    with pytest.raises(StoreError, match="within another save"):
        store.save_blocks("outer", 4, nested())
    assert store.snapshots() == []


def test_the_store_is_known_without_numpy():
    code = "import sys, qrex.store; assert 'numpy' not in sys.modules; qrex.store.SnapshotStore"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("qubits", "bits"), [(3, 3), (14, 14), (20, 14), (30, 14), (31, 15), (34, 18)])
def test_default_blocks(qubits, bits):
    assert default_block_bits(qubits) == bits


def test_the_page_about_snapshots_is_true(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "snapshots.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S))
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples, {}, "snapshots.md", None, 0)
    result = doctest.DocTestRunner().run(test)
    assert result.attempted > 20 and result.failed == 0
