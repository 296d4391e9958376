"""After a power cut: what was flushed is there, of the rest any part; the work goes on from what was committed."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil

import pytest
import scratch_toy
from power_cut import Recording
from scratch_toy import ToyDamageError, interposed

AREA = f"qrex-{scratch_toy.IDENTITY}"


def test_the_folder_is_flushed_into_the_one_above_it(memory_folder):
    flushed = []

    def meet(name, call, *arguments, **named):
        if name == "fsync":
            flushed.append(os.fstat(arguments[0]).st_ino)
        return call(*arguments, **named)

    with interposed(meet), scratch_toy.ScratchArea.open(memory_folder, "job", 4096, 1):
        assert memory_folder.stat().st_ino in flushed


class _Killed(BaseException):
    pass


def _recorded(parent, forget=()):
    recording = Recording(parent / AREA, forget)
    with interposed(recording.meet):
        outcome = scratch_toy.run(parent, lambda what, value: recording.kept(value) if what == "kept" else None)
    return recording, outcome


def _laid_out(parent, files):
    shutil.rmtree(parent / AREA, ignore_errors=True)
    (parent / AREA).mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        (parent / AREA / name).write_bytes(content)


def _safe(kept, before=0):
    return max(kept, default=before - 1) + 1


def test_work_goes_on_after_every_cut_and_after_another_one(memory_folder):
    right = scratch_toy.undisturbed()
    first, outcome = _recorded(memory_folder / "first")
    assert outcome.digest == right and outcome.began == 0
    went_on = 0
    for cut in range(len(first.events) + 1):
        rng = random.Random(cut)
        files, kept = first.after(cut, rng)
        _laid_out(memory_folder / "second", files)
        second, outcome = _recorded(memory_folder / "second")
        assert outcome.began >= _safe(kept) and outcome.digest == right, (cut, outcome)
        went_on += outcome.began > 0
        safe = max(_safe(kept), outcome.began)
        files, kept = second.after(rng.randrange(len(second.events) + 1), rng)
        _laid_out(memory_folder / "third", files)
        outcome = scratch_toy.run(memory_folder / "third")
        assert outcome.began >= _safe(kept, safe) and outcome.digest == right, (cut, outcome)
    assert went_on > len(first.events) / 2


def _flipped(files, rng):
    content = bytearray(files["manifest"])
    place = rng.randrange(len(content))
    content[place] ^= 1 << rng.randrange(8)
    return files | {"manifest": bytes(content)}


def _killed(parent, at):
    """A recording of a process that ends before its `at`-th call to the system, and of the one that takes over; the
    number of events of the first. What the one wrote and did not flush, the other sees."""
    recording, calls = Recording(parent / AREA), itertools.count(1)

    def meet(*arguments, **named):
        if next(calls) == at:
            raise _Killed
        return recording.meet(*arguments, **named)

    def tell(what, value):
        if what == "kept":
            recording.kept(value)

    with contextlib.suppress(_Killed), interposed(meet):
        scratch_toy.run(parent, tell)
    first = len(recording.events)
    with interposed(recording.meet):
        scratch_toy.run(parent, tell)
    return recording, first


@pytest.mark.parametrize("flip", [False, True])
def test_a_kill_and_soon_after_it_a_cut(memory_folder, flip):
    right = scratch_toy.undisturbed()
    went_on = 0
    for at in range(1, scratch_toy.count_calls(memory_folder / "undisturbed") + 1):
        recording, first = _killed(memory_folder / f"killed-{at}", at)
        rng = random.Random(at)
        for _ in range(3):
            files, kept = recording.after(rng.randrange(first, min(first + 20, len(recording.events)) + 1), rng)
            if flip and files.get("manifest"):
                files = _flipped(files, rng)
            _laid_out(memory_folder / "left", files)
            outcome = scratch_toy.run(memory_folder / "left")
            assert outcome.digest == right and (flip or outcome.began >= _safe(kept)), (at, outcome)
            went_on += outcome.began > 0
    assert flip or went_on > 200


def _violations(folder, forget, flip):
    """How often a cut leaves a state that is wrong, or less than what was safe."""
    right = scratch_toy.undisturbed()
    recording, _ = _recorded(folder / "first", forget)
    found = []
    for number in range(3 * len(recording.events)):
        rng = random.Random(number)
        cut = rng.randrange(len(recording.events) + 1)
        files, kept = recording.after(cut, rng)
        if flip and files.get("manifest"):
            files = _flipped(files, rng)
        _laid_out(folder / "second", files)
        try:
            outcome = scratch_toy.run(folder / "second")
        except ToyDamageError as error:
            found.append(str(error))
            continue
        assert outcome.digest == right
        if not flip and outcome.began < _safe(kept):
            found.append(f"{outcome.began} < {_safe(kept)}")
    return found


def test_a_cut_and_a_flipped_bit_together_never_mix_old_and_new(memory_folder):
    assert _violations(memory_folder, (), flip=True) == []


@pytest.mark.parametrize(("forget", "flip"), [("blocks", False), ("manifest", False), ("committed", True)])
def test_each_flush_is_needed_and_the_model_sees_it(memory_folder, forget, flip):
    assert len(_violations(memory_folder, (forget,), flip)) > 3
