"""One run of a circuit as a matrix product state, under the protocol of stepped runs.

In: a job and its allotment. Out: stages while it runs, then `Counts` with exact probabilities of probed bit strings
and a bound on the infidelity. Time: updates · bond³; memory: sites · bond². Compiled: src/cpp/mps_run.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from qrex import _kernels
from qrex.engines.mps.linear_algebra import routines
from qrex.engines.protocol import Allotment, Counts, Job, Progress, Stage
from qrex.errors import EngineError, MemoryLimitError
from qrex.units import format_bytes

__all__ = ["BASE_BYTES", "BYTES_PER_OUTCOME", "MAX_INFIDELITY", "SLICE_SECONDS", "TARGET_INFIDELITY",
           "MatrixProductRun"]  # fmt: skip

MAX_INFIDELITY = 1e-3
"""A matrix product state that lost more than this to truncation is an error, not an answer."""

SLICE_SECONDS = 0.01
BASE_BYTES = 8 << 20
BYTES_PER_OUTCOME = 200  # besides its text: words, dictionary entry, string object
TARGET_INFIDELITY = 4e-4
"""Bound on what all truncations of a circuit may add up to, if each drops all it may."""

_EVEN_SHARE = 0.2  # of its square root: to all gates alike; the rest goes to who needs it
_THRESHOLDS = (1e-15, 1e-14)  # squared weight that a decomposition may drop, whatever the bond; rounding is below
# The same until three quarters of the other share are used up; then it falls. Most decompositions drop nothing at all,
# and what was dropped is noise above every finer threshold: bonds grow fast where it falls soon.
_RELAXED = 1e-9
_COARSEST = 1e-9  # the same where the bond is larger than _GENEROUS_BOND
_GENEROUS_BOND = 24
_SAMPLING_SHARE = 0.9

T = TypeVar("T")


class MatrixProductRun:
    """See `qrex.engines.protocol.SteppedRun`."""

    def __init__(self, job: Job, allotment: Allotment, seconds_per_product: float):
        program = job.program
        if program.obstacle:
            raise EngineError(f"mps: {job.name}: {program.obstacle}")
        self._job, self._allotment, self._width = job, allotment, program.num_clbits
        widths = np.diff(program.qubit_start)
        gates = int(np.count_nonzero(widths > 1))
        # The bound on the infidelity is the square of a sum.
        low, high = _THRESHOLDS
        target = math.sqrt(TARGET_INFIDELITY)
        allowed = (_EVEN_SHARE * target / max(1, gates)) ** 2
        fine, coarse = min(high, max(low, allowed)), max(low, min(_COARSEST, allowed))
        outcomes = min(job.shots, 1 << min(self._width, 62)) * (2 * self._width + BYTES_PER_OUTCOME)
        room = allotment.memory_bytes - BASE_BYTES - outcomes - program.nbytes
        if room < BASE_BYTES:
            raise MemoryLimitError(
                f"mps: {job.name}: {job.shots} samples of {self._width} bits need {format_bytes(outcomes + BASE_BYTES)}"
                f" besides the state; {format_bytes(allotment.memory_bytes)} are allotted"
            )
        self._besides = BASE_BYTES + program.nbytes
        self._fraction = 0.0
        self._run = _kernels.MatrixProductRun(
            program, dict(routines()), job.shots, job.seed & (2**64 - 1), allotment.threads, room, fine, coarse,
            _GENEROUS_BOND, _RELAXED, (1 - _EVEN_SHARE) * target, MAX_INFIDELITY, seconds_per_product,
        )  # fmt: skip

    def advance(self, seconds: float) -> Stage:
        done, fraction, bond, held, forecast = self._guarded(lambda: self._run.advance(seconds))
        # Work that a branch adds is known only when it splits off: what was reached stays reached.
        self._fraction = max(self._fraction, fraction)
        return Stage(done, self._fraction, bond, held + self._besides, forecast)

    def finish(self, progress: Progress) -> Counts:
        while not self._guarded(lambda: self._run.sample(SLICE_SECONDS)):
            progress(_SAMPLING_SHARE)
        counts = _counted(*self._run.samples(), self._width)
        probabilities = self._probabilities(self._job.probe)
        infidelity = self._run.infidelity
        if infidelity > MAX_INFIDELITY:
            raise EngineError(
                f"mps: {self._job.name}: truncations may have lost {infidelity:.2g} of the state, over "
                f"{MAX_INFIDELITY:g}; allot more memory or take another engine"
            )
        progress(1.0)
        metadata = {
            "method": "matrix product state",
            "infidelity": infidelity,
            "largest_bond": self._run.largest_bond,
            "updates": self._run.updates,
            "branches": self._run.branches,
        }
        return Counts(counts, self._job.shots, probabilities, metadata)

    def _probabilities(self, probe: Sequence[str]) -> dict[str, float]:
        if self._run.branches > 1:
            return {}
        found = {}
        for text in probe:
            if len(text) != self._width or set(text) - {"0", "1"}:
                found[text] = 0.0
                continue
            bits = np.frombuffer(text.encode("ascii"), dtype=np.uint8)[::-1] - ord("0")
            found[text] = self._run.probability(np.ascontiguousarray(bits))
        return found

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (MemoryError, _kernels.MatrixProductMemoryLimit) as error:
            raise MemoryLimitError(
                f"mps: {self._job.name}: {error}; bond {self._run.largest_bond} was reached within "
                f"{format_bytes(self._allotment.memory_bytes)}; allot more or take another engine"
            ) from error
        except RuntimeError as error:
            raise EngineError(f"mps: {self._job.name}: {error}") from error


def _counted(rows: np.ndarray, numbers: np.ndarray, width: int) -> dict[str, int]:
    """Counts by bit string; `rows` holds ⌈width / 64⌉ words per outcome."""
    if width == 0:
        return {"": int(numbers.sum())}
    packed = rows.astype("<u8", copy=False).view(np.uint8).reshape(len(numbers), -1)
    bits = np.unpackbits(packed, axis=1, count=width, bitorder="little")[:, ::-1]
    joined = (bits + np.uint8(ord("0"))).tobytes().decode("ascii")
    counts: dict[str, int] = {}
    for index, number in enumerate(numbers.tolist()):
        text = joined[index * width : (index + 1) * width]
        counts[text] = counts.get(text, 0) + number
    return counts
