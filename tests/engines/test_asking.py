"""What is no answer is told from what is one, and said in words."""

from __future__ import annotations

import random

import numpy as np
import pytest

from qrex.engines import Allotment, Cost, Counts, Job, Support
from qrex.engines.asking import ask_cost, ask_explanation, ask_support, check_counts
from qrex.errors import EngineError, EngineFaultError

ROOM = Allotment(threads=1, memory_bytes=1 << 30)
EXPECTED = "keys of 3 characters 0/1 are expected"


def counted(counts, shots=5, **others) -> Counts:
    return Counts(counts, shots, **others)


WRONG = {
    "spaces": (counted({"0 00": 5}), f"engine 'spaces' returned '0 00'; {EXPECTED}"),
    "other characters": (counted({"001": 4, "0/1": 1}), f"'0/1'; {EXPECTED}"),
    "a comma where none is seen": (counted({"00": 2, "1,001": 3}), f"'00'; {EXPECTED}"),
    "lengths that make up for each other": (counted({"00": 2, "1001": 3}), f"'00'; {EXPECTED}"),
    "not ASCII": (counted({"00１": 5}), EXPECTED),
    "numbers as keys": (counted({3: 5}), f"returned 3; {EXPECTED}"),
    "too few bits": (counted({"00": 5}), f"'00'; {EXPECTED}"),
    "probabilities": (counted({"000": 0.5, "111": 0.5}), "0.5 (float) for '000'; a positive int is expected"),
    "NumPy's integers": (counted({"000": np.int64(5)}), "(int64) for '000'; a positive int is expected"),
    "none of a key": (counted({"000": 5, "111": 0}), "0 (int) for '111'"),
    "less than none": (counted({"000": 6, "111": -1}), "-1 (int) for '111'"),
    "text": (counted({"000": "5"}), "'5' (str) for '000'"),
    "too few shots": (counted({"000": 4}, 4), "4 shots; 5 are expected"),
    "another number of shots": (counted({"000": 5}, 6), "5 shots and says 6; 5 are expected"),
    "nothing": (counted({}), "0 shots and says 5; 5 are expected"),
    "a dictionary": ({"000": 5}, "{'000': 5}; qrex.engines.Counts are expected"),
    "what cannot be stored": (counted({"000": 5}, metadata={"state": np.zeros(2)}), "not JSON"),
    "an infidelity that is none": (counted({"000": 5}, metadata={"infidelity": "low"}), "no number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_counts_that_cannot_be_right_are_refused(case):
    answer, words = WRONG[case]
    with pytest.raises(EngineFaultError) as refused:
        check_counts("spaces", answer, 3, 5)
    assert words in str(refused.value)


def test_counts_that_can_be_right_are_taken():
    random.seed(3)
    for width in (0, 1, 7, 8, 63, 64, 100):
        keys = {format(random.getrandbits(width), f"0{width}b") if width else "" for _ in range(300)}
        answer = Counts(dict.fromkeys(keys, 2), 2 * len(keys), metadata={"infidelity": None})
        assert check_counts("mps", answer, width, 2 * len(keys)) is answer


class Says:
    """An engine that answers with what it is given, or raises it."""

    name, constants = "says", {}

    def __init__(self, said):
        self.said = said

    def supports(self, *_):
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said

    estimate = supports


class Panic(BaseException):
    """As compiled code raises it."""


@pytest.mark.parametrize("said", [KeyError("x"), SystemExit(3), Panic("index"), True, None])
def test_whatever_goes_wrong_is_the_engines_fault(said):
    with pytest.raises(EngineFaultError, match=r"supports\(\) (raised|returned)"):
        ask_support("says", Says(said), None)
    with pytest.raises(EngineFaultError, match=r"estimate\(\) (raised|returned)"):
        ask_cost("says", Says(said), None, ROOM)


def test_what_an_engine_means_to_say_is_passed_on():
    with pytest.raises(EngineError, match=r"^calibrate me$"):
        ask_cost("says", Says(EngineError("calibrate me")), None, ROOM)
    with pytest.raises(KeyboardInterrupt):
        ask_support("says", Says(KeyboardInterrupt()), None)
    assert ask_support("says", Says(Support(False, "no")), None) == Support(False, "no")


NO_COSTS = [Cost(float("nan"), 1), Cost(-1.0, 1), Cost(1.0, -1), Cost("1", None), Cost(1, 1, 0, -1)]


@pytest.mark.parametrize("cost", NO_COSTS)
def test_costs_that_cannot_be_are_refused(cost):
    with pytest.raises(EngineFaultError, match="no number may be negative"):
        ask_cost("says", Says(cost), None, ROOM)


def test_costs_become_plain_numbers():
    cost = ask_cost("says", Says(Cost(np.float32(1.5), np.int64(7))), None, ROOM)
    assert cost == Cost(1.5, 7) and type(cost.seconds) is float and type(cost.peak_bytes) is int


@pytest.mark.parametrize(("explain", "said"), [(lambda job, allotment: 3, "returned 3"), (None, "explain")])
def test_an_explanation_is_text(explain, said):
    class Odd:
        pass

    job = Job(None, 1, 0)
    assert ask_explanation("odd", Odd(), job, ROOM) == ""
    Odd.explain = staticmethod(explain or (lambda job, allotment: 1 / 0))
    with pytest.raises(EngineFaultError, match=said):
        ask_explanation("odd", Odd(), job, ROOM)
