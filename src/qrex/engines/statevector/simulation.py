"""Running a plan, and reading its state.

In: a `Plan`. Out: `State`: planar float32 amplitudes, samples and probabilities. 8 B per amplitude; each
stage reads and writes the state once; sampling reads it once for the norms and then only the blocks it hits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qrex import _kernels
from qrex.engines.statevector.planning import BLOCK_BITS, INNER_BITS, Plan, PlannedStage, kernel_stage

__all__ = ["State", "simulate", "state_bytes"]

_SCRATCH_BYTES = 8 << 20  # a stage's coefficients, at most 4096 gates of 2 KiB


_SWEEP = 1 << 16  # amplitudes at once: temporaries stay in cache


def state_bytes(num_wires: int, threads: int) -> int:
    """Bytes that `simulate` allocates: amplitudes, one block per thread, tables, norms."""
    positions = max(num_wires, 4)
    amplitudes = 8 << positions
    block = 0 if positions <= BLOCK_BITS else 8 << BLOCK_BITS
    tables = 8 * (BLOCK_BITS + 2) << 8
    return amplitudes + max(threads, 1) * (block + tables) + _SCRATCH_BYTES + (8 << max(positions - 12, 0))


@dataclass(frozen=True, slots=True)
class State:
    """Amplitudes re + i·im, shape (2^positions,), and the position of each wire."""

    re: np.ndarray
    im: np.ndarray
    norms: np.ndarray  # of consecutive blocks of 4096 amplitudes, float64
    position_of: tuple[int, ...]
    passes: int

    @property
    def norm(self) -> float:
        """Sum of the probabilities: 1 within rounding."""
        return float(self.norms.sum())

    def sample(self, shots: int, seed: int, threads: int) -> np.ndarray:
        """`shots` basis states (uint64, bit p for position p) in ascending order.

        The same seed gives the same samples for any number of threads.
        """
        uniforms = np.sort(np.random.default_rng(seed).random(shots))
        return _kernels.sample(self.re, self.im, self.norms, uniforms, threads)

    def probability(self, mask: int, value: int) -> float:
        """Probability that (x & mask) == value, normalized; 2^(positions outside the mask) reads."""
        return _kernels.masked_norm(self.re, self.im, mask, value) / self.norm

    def collision_probability(self) -> float:
        """Sum of the squared probabilities, normalized: the chance that two samples are equal. One sweep."""
        total = 0.0
        for start in range(0, len(self.re), _SWEEP):
            part = slice(start, start + _SWEEP)
            squares = np.square(self.re[part]) + np.square(self.im[part])
            total += float(np.dot(squares, squares))
        return total / self.norm**2

    def amplitudes(self) -> np.ndarray:
        """complex64, shape (2^wires,), wire 0 least significant: a copy, for checks of small states."""
        index = np.arange(1 << len(self.position_of), dtype=np.uint64)
        place = np.zeros_like(index)
        for wire, position in enumerate(self.position_of):
            place |= (index >> np.uint64(wire) & np.uint64(1)) << np.uint64(position)
        return (self.re[place] + 1j * self.im[place]).astype(np.complex64)


def simulate(
    plan: Plan,
    threads: int,
    progress: Callable[[float], None] = lambda fraction: None,
    instruction_set: str = "",
    inner_bits: int = INNER_BITS,
) -> State:
    """Run `plan` from |0...0>. `progress` is called after each pass and may raise to cancel."""
    re, im = _kernels.allocate_state(plan.num_positions)
    re[0] = 1.0
    for done, stage in enumerate(plan.stages, start=1):
        kernel_stage(plan, stage, instruction_set, inner_bits).run(re, im, threads, _outside(stage))
        progress(done / len(plan.stages))
    norms = _kernels.block_norms(re, im, threads, instruction_set)
    return State(re, im, norms, plan.position_of, len(plan.stages))


def _outside(stage: PlannedStage) -> int:
    local = 0
    for position in stage.local:
        local |= 1 << position
    return stage.zero_mask & ~local
