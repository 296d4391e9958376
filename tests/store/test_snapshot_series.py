"""Any sequence of saves and deletions against a dictionary of what should be there."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qrex.store import SnapshotStore
from qrex.store.block_file import HEADER_BYTES, Holes

NAMES = st.sampled_from("ab")
BLOCK_BITS = 4


class Series(RuleBasedStateMachine):
    folder = None  # set by the test
    kept = Bundle("kept")

    def __init__(self):
        super().__init__()
        number = len(list(self.folder.iterdir()))
        self.path = self.folder / str(number)
        self.store = SnapshotStore(self.path)
        self.there, self.last = {}, {}

    def teardown(self):
        self.store.close()

    def _enter(self, name, version, content):
        self.last[name] = self.last.get(name, 0) + 1
        assert version == self.last[name]
        self.there[name, version] = content
        return name, version

    # Few different blocks, so that many are shared, within a state too.
    @rule(target=kept, name=NAMES, seeds=st.lists(st.integers(0, 3), min_size=4, max_size=4),
          codec=st.sampled_from(["float32", "int16", "int8"]))  # fmt: skip
    def save(self, name, seeds, codec):
        blocks = [np.random.default_rng(seed).normal(size=2 << BLOCK_BITS) * bool(seed) for seed in seeds]
        state = np.concatenate(blocks).astype(np.float32).view(np.complex64)
        version = self.store.save(name, state, codec=codec, block_bits=BLOCK_BITS).version
        if codec != "float32":
            # What was coded once is exact from then on: the next version holds it bit for bit.
            state = self.store.restore(name, version)
        return self._enter(name, version, state)

    @rule(target=kept, name=NAMES, seed=st.integers(0, 3), size=st.integers(0, 300))
    def save_array(self, name, seed, size):
        array = np.random.default_rng(seed).random(size) < 0.3
        return self._enter(name, self.store.save_array(name, array), array)

    @rule(target=kept, name=NAMES, text=st.text(max_size=50))
    def save_text(self, name, text):
        return self._enter(name, self.store.save_text(name, text), text)

    @rule(which=consumes(kept))
    def delete(self, which):
        self.store.delete(*which)
        del self.there[which]

    @rule()
    def reopen(self):
        self.store.close()
        self.store = SnapshotStore(self.path)

    @precondition(lambda self: not self.there)
    @rule()
    def nothing_is_left_behind(self):
        assert (self.path / "blocks.bin").stat().st_size == HEADER_BYTES

    @invariant()
    def all_is_there(self):
        assert self.store.damage() == []
        found = {(name, version) for name in "ab" for version in self.store.versions(name)}
        assert found == set(self.there)
        for (name, version), content in self.there.items():
            if isinstance(content, str):
                assert self.store.load_text(name, version) == content
            elif content.dtype == bool:
                assert np.array_equal(self.store.load_array(name, version), content)
            else:
                assert self.store.restore(name, version).tobytes() == content.tobytes()


def test_any_sequence_of_saves_and_deletions(tmp_path):
    Series.folder = tmp_path
    run_state_machine_as_test(Series, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))


def test_holes_are_used_before_the_end_and_never_twice():
    rng = np.random.default_rng(3)
    used = {}
    for step in range(400):
        if used and rng.random() < 0.4:
            del used[list(used)[rng.integers(len(used))]]
        holes = Holes(sorted(used.items()))
        end, free = holes.end, holes.end - HEADER_BYTES - sum(used.values())
        for _ in range(rng.integers(4)):
            count = int(rng.integers(1, 50))
            position = holes.take(count)
            assert position >= HEADER_BYTES
            assert all(position + count <= at or at + size <= position for at, size in used.items())
            used[position] = count
        if step > 10 and free > 50 * len(used):
            assert holes.end == end
