"""Engines are asked here: whatever one of them raises or returns stays that engine's own fault.

In: an engine, by the name that it is known by, and what it is asked. Out: its `Support`, its `Cost`, its `Counts`
once they were looked at. Raises EngineError as the engine does, and EngineFaultError, which says where the engine
comes from, for anything else that it raises and for what is no answer. Complexity: O(keys × bits) for counts, in a
handful of passes of C code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping

import numpy as np

from qrex.engines.protocol import Allotment, Cost, Counts, Engine, Job, Support
from qrex.engines.registry import describe, distribution_of
from qrex.errors import EngineError, EngineFaultError
from qrex.profile import Profile

__all__ = ["ask_cost", "ask_explanation", "ask_support", "check_counts", "comes_from"]

_SHOWN = 40
_BIT_CODE = ord("0") >> 1  # that of "1" too, and of no other character


def comes_from(name: str) -> str:
    """" (qrex-spaces 0.1)" for an engine of another package, "" for ours."""
    distribution = distribution_of(name)
    return f" ({distribution})" if distribution else ""


def ask_support(name: str, engine: Engine, profile: Profile) -> Support:
    """Whether `engine` takes the circuit."""
    try:
        said = engine.supports(profile)
    except (EngineError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a panic in compiled code is no Exception
        raise _raised(name, "supports", error) from None
    if not isinstance(said, Support):
        raise _no_answer(name, "supports", said, "Support")
    return said


def ask_cost(name: str, engine: Engine, profile: Profile, allotment: Allotment) -> Cost:
    """What `engine` expects, in plain numbers."""
    try:
        said = engine.estimate(profile, allotment)
    except (EngineError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _raised(name, "estimate", error) from None
    if not isinstance(said, Cost):
        raise _no_answer(name, "estimate", said, "Cost")
    try:
        cost = said if _is_plain(said) else Cost(
            float(said.seconds), _whole(said.peak_bytes), _whole(said.disk_bytes), float(said.infidelity),
            bool(said.upper_bound), said.instead,
        )  # fmt: skip
        sound = min(cost.seconds, cost.peak_bytes, cost.disk_bytes, cost.infidelity) >= 0
        sound = sound and not (math.isnan(cost.seconds) or math.isnan(cost.infidelity))
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        raise EngineFaultError(f"estimate() returned {_short(said)}; no number may be negative{comes_from(name)}")
    return cost


def ask_explanation(name: str, engine: Engine, job: Job, allotment: Allotment) -> str:
    """How `engine` would go about `job`, "" where it does not say."""
    explain = getattr(engine, "explain", None)
    if explain is None:
        return ""
    try:
        said = explain(job, allotment)
    except (EngineError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _raised(name, "explain", error) from None
    if not isinstance(said, str):
        raise _no_answer(name, "explain", said, "str")
    return said


def _is_plain(cost: Cost) -> bool:
    sizes = type(cost.peak_bytes) is type(cost.disk_bytes) is int
    return sizes and type(cost.seconds) is type(cost.infidelity) is float


def _whole(count: float) -> int:
    # A bound of ours may be infinite: it stands for a state that no machine holds.
    return count if count == math.inf else int(count)  # type: ignore[return-value]


def check_counts(name: str, answer: Counts, num_clbits: int, shots: int) -> Counts:
    """`answer`, if it is one for so many bits and shots. Raises EngineFaultError saying what it has instead."""
    wrong = _wrong(answer, num_clbits, shots)
    if wrong:
        raise EngineFaultError(f"engine {name!r} returned {wrong}{comes_from(name)}")
    return answer


def _wrong(answer: Counts, num_clbits: int, shots: int) -> str:
    if not isinstance(answer, Counts) or not isinstance(answer.counts, Mapping):
        return f"{_short(answer)}; qrex.engines.Counts are expected"
    counts = answer.counts
    if not _are_bits(counts, num_clbits):
        bad = next((key for key in counts if not _are_bits((key,), num_clbits)), "")
        return f"{_short(bad)}; keys of {num_clbits} characters 0/1 are expected"
    try:
        # A sum is int only where all are: NumPy's integers look like these and cannot be stored.
        total, least = sum(counts.values()), min(set(counts.values()), default=1)
        sound = type(total) is int and least > 0
    except TypeError:
        sound = False
    if not sound:
        key, count = next((k, v) for k, v in counts.items() if type(v) is not int or v < 1)
        return f"{_short(count)} ({type(count).__name__}) for {_short(key)}; a positive int is expected"
    if total != shots or answer.shots != shots:
        told = "" if answer.shots == total else f" and says {_short(answer.shots)}"
        return f"{total:,} shots{told}; {shots:,} are expected"
    return _wrong_besides(answer)


def _are_bits(keys: Collection[str], num_clbits: int) -> bool:
    """Whether all are of that length and of 0 and 1 only: then, each followed by a comma, commas stand where they
    should and bits everywhere else."""
    try:
        text = ",".join((*keys, "")).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return False
    if len(text) != len(keys) * (num_clbits + 1):
        return False
    halved = np.frombuffer(text, dtype=np.uint8) >> 1
    ends = halved[num_clbits :: num_clbits + 1]
    if text[num_clbits :: num_clbits + 1].count(b",") != len(keys):
        return False
    ends[:] = _BIT_CODE
    return bool((halved == _BIT_CODE).all())


def _wrong_besides(answer: Counts) -> str:
    """What is wrong with all that is not counts."""
    try:
        json.dumps(dict(answer.metadata))
        json.dumps(dict(answer.probabilities))
        lost = answer.metadata.get("infidelity")
        if lost is None or lost >= 0:
            return ""
    except (TypeError, ValueError, AttributeError):
        pass
    return "metadata or probabilities that are not JSON, or an infidelity that is no number; see qrex.engines.Counts"


def _raised(name: str, method: str, error: BaseException) -> EngineFaultError:
    return EngineFaultError(f"{method}() raised {describe(error)}{comes_from(name)}")


def _no_answer(name: str, method: str, said: object, wanted: str) -> EngineFaultError:
    return EngineFaultError(
        f"{method}() returned {_short(said)}; a qrex.engines.{wanted} is expected{comes_from(name)}"
    )


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # what a foreign object does when shown is its own
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
