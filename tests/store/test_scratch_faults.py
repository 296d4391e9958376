"""Whatever ends a job, and wherever: who goes on ends with the same state, and nothing that was committed is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import scratch_toy

KINDS = ("kill-before", "kill-after", "kill-half", "full", "broken", "short", "interrupt")
HISTORIES_PER_SEED = 30


def _outcomes(histories):
    script = Path(scratch_toy.__file__)
    done = subprocess.run(
        [sys.executable, str(script)], input=json.dumps(histories), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("seed", range(8))
def test_every_resume_ends_like_the_undisturbed_run(tmp_path, memory_folder, seed):
    rng = random.Random(seed)
    folder = memory_folder if seed else tmp_path  # one on a disk, with its direct transfers
    calls = scratch_toy.count_calls(folder / "undisturbed")
    right = scratch_toy.undisturbed()
    histories = []
    for number in range(HISTORIES_PER_SEED):
        # The first fault is met for certain; those after it where so many calls are left.
        at = [rng.randrange(1, calls + 1), *(rng.randrange(1, calls // 2) for _ in range(rng.randrange(3)))]
        faults = [[rng.choice(KINDS), one] for one in at]
        histories.append({"folder": str(folder / str(number)), "faults": faults})
    resumed = 0
    for history, children in zip(histories, _outcomes(histories), strict=True):
        safe = 0  # steps that a child was told are kept
        for (told, ended), (what, _) in zip(children, [*history["faults"], ["none", 0]], strict=True):
            said = [about for about, _ in told]
            assert "surprised" not in said, (history, told)
            for about, value in told:
                if about == "began":
                    assert value >= safe, (history, told)
                    resumed += value > 0
                elif about == "kept":
                    safe = value + 1
                elif about == "ended":
                    assert value == right, (history, told)
            if not what.startswith("kill"):
                assert ended == 0 and said[-1] in ("ended", "failed")
        assert children[-1][0][-1] == ["ended", right]
        first_told, first_ended = children[0]
        what = history["faults"][0][0]
        assert first_ended == (-9 if what.startswith("kill") else 0)
        if what == "interrupt":
            assert first_told[-1][1].startswith("KeyboardInterrupt")
    assert resumed > HISTORIES_PER_SEED


def test_every_failure_says_where_and_what_to_do(memory_folder):
    calls = scratch_toy.count_calls(memory_folder / "undisturbed")
    histories = [
        {"folder": str(memory_folder / f"{what}-{at}"), "faults": [[what, at]]}
        for what in ("full", "broken")
        for at in range(1, calls + 1, 7)
    ]
    failures = [told[-1][1] for (told, _), _ in _outcomes(histories) if told[-1][0] == "failed"]
    assert len(failures) > len(histories) / 2
    for text in failures:
        assert text.startswith(("StoreError: ", "InfeasibleError: ", "EngineError: a block cannot"))
        if not text.startswith("EngineError"):
            assert str(memory_folder) in text and ("--scratch" in text or "run again" in text)
