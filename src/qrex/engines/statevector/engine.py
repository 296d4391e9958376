"""The state-vector engine: lowering, planning, simulation and sampling joined under the engines' protocol.

In: a `Job` and its `Allotment`. Out: `Counts`, exact up to float32 (`infidelity_bound`). Peak memory 8 B per
amplitude and a few MiB of buffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qrex.engines.bits import count_packed_rows
from qrex.engines.constants import require_constants
from qrex.engines.protocol import Allotment, Cost, Counts, Job, Progress, Support
from qrex.engines.statevector.calibration import CONSTANT_NAMES, measured_constants, modelled_seconds
from qrex.engines.statevector.lowering import Lowered, lower
from qrex.engines.statevector.planning import plan
from qrex.engines.statevector.simulation import State, simulate, state_bytes
from qrex.errors import InfeasibleError, MemoryLimitError
from qrex.profile import Profile
from qrex.units import format_bytes

__all__ = ["MAX_WIRES", "StateVectorEngine", "infidelity_bound"]

MAX_WIRES = 60
_SAMPLING_BYTES_PER_SHOT = 64  # uniforms, their sorted copy, indices, packed rows
_COUNTING_BYTES = 16 << 20  # the rows that differ, as text


class StateVectorEngine:
    """Runs unitary circuits whose measurements stand at the end. Cost constants: see `calibration`."""

    name = "statevector"
    constant_names = CONSTANT_NAMES

    def __init__(self, constants: Mapping[str, float]):
        self.constants = dict(constants)

    def supports(self, profile: Profile) -> Support:
        if profile.obstacle:
            return Support(False, profile.obstacle)
        if profile.has_control_flow or profile.conditionals:
            return Support(False, "control flow: this engine takes unitary circuits only")
        if profile.resets:
            return Support(False, "resets: this engine takes unitary circuits only")
        if not profile.terminal_measurements_only:
            return Support(False, "mid-circuit measurement: this engine measures at the end only")
        if profile.active_qubits > MAX_WIRES:
            return Support(False, f"{profile.active_qubits} qubits: at most {MAX_WIRES} fit an address")
        return Support(True)

    def estimate(self, profile: Profile, allotment: Allotment) -> Cost:
        """Modelled seconds and the bytes that `run` checks against the allotment, or fewer: wires that only X
        and SWAP touch take no memory. EngineError where constants are missing."""
        constants = require_constants(self)
        gates = profile.one_qubit_gates + profile.two_qubit_gates + profile.many_qubit_gates
        return Cost(
            seconds=modelled_seconds(constants, profile, allotment.threads),
            peak_bytes=run_bytes(profile.active_qubits, allotment.threads, profile.shots, profile.num_clbits),
            infidelity=infidelity_bound(gates),
        )

    def run(self, job: Job, allotment: Allotment, progress: Progress) -> Counts:
        """Sample `job`. EngineError on a circuit that is not supported; InfeasibleError where it can fit no
        machine, MemoryLimitError where it does not fit the allotment: both before anything is allocated."""
        circuit = job.quantum_circuit
        lowered = lower(circuit)
        width = circuit.num_clbits
        if lowered.num_wires > MAX_WIRES:
            raise InfeasibleError(
                f"statevector: {job.name} needs {lowered.num_wires} qubits; at most {MAX_WIRES} are "
                "possible, and memory sets a lower bound: choose another engine"
            )
        needed = run_bytes(lowered.num_wires, allotment.threads, job.shots, width)
        if needed > allotment.memory_bytes:
            raise MemoryLimitError(
                f"statevector: {job.name}: {lowered.num_wires} qubits need {format_bytes(needed)}; "
                f"{format_bytes(allotment.memory_bytes)} are allotted; allot more or choose another engine"
            )
        planned = plan(lowered.gates, lowered.num_wires)
        state = simulate(planned, allotment.threads, lambda fraction: progress(0.95 * fraction))
        counts = _counts(lowered, state, job, width, allotment.threads)
        probabilities = _probabilities(lowered, state, job.probe, width)
        progress(1.0)
        metadata = {
            "method": "state vector",
            "precision": "float32",
            "qubits": lowered.num_wires,
            "passes": state.passes,
            "norm": state.norm,
            "infidelity": infidelity_bound(len(lowered.gates)),
        }
        if probabilities and _all_read(lowered):
            metadata["collision_probability"] = state.collision_probability()
        return Counts(counts, job.shots, probabilities, metadata)

    @staticmethod
    def calibrate(threads: int) -> dict[str, float]:
        """Measure the cost constants with `threads` threads, in about a second."""
        return measured_constants(threads)


def infidelity_bound(gates: int) -> float:
    """Bound on the infidelity that float32 leaves after `gates` kernel gates, at most 1.

    Independent roundings add up linearly, those of one gate repeated add up coherently. Both factors are
    about seven times what was found with up to 20,000 gates.
    """
    return min(1.0, 1e-14 * gates + 1e-16 * gates**2)


def run_bytes(num_wires: int, threads: int, shots: int, width: int) -> int:
    """Bytes that one run allocates: state, buffers, samples, and a row of `width` characters per outcome."""
    distinct = min(shots, 1 << min(num_wires, 40))
    return (
        state_bytes(num_wires, threads)
        + _SAMPLING_BYTES_PER_SHOT * shots
        + distinct * (2 * width + 250)
        + _COUNTING_BYTES
    )


def _counts(lowered: Lowered, state: State, job: Job, width: int, threads: int) -> dict[str, int]:
    samples = state.sample(job.shots, job.seed, threads)
    flips = ones = 0
    columns = {}
    for bit, wire in lowered.sources.items():
        if wire is None:
            ones |= lowered.inverted[bit] << bit
        else:
            columns[bit] = state.position_of[wire]
            # One position may go to several bits with different signs: such bits are inverted in the text.
            flips |= lowered.inverted[bit] << bit
    packed = np.ascontiguousarray(samples.astype("<u8")).view(np.uint8).reshape(-1, 8)
    counts = dict(count_packed_rows(packed, columns, width))
    changed = flips | ones
    if not changed:
        return counts
    return {format(int(bits, 2) ^ changed, f"0{width}b"): count for bits, count in counts.items()}


def _all_read(lowered: Lowered) -> bool:
    """Whether every qubit is read into some classical bit: outcomes are then basis states."""
    return len({wire for wire in lowered.sources.values() if wire is not None}) == lowered.num_wires


def _probabilities(lowered: Lowered, state: State, probe: Sequence[str], width: int) -> dict[str, float]:
    """Exact probabilities of `probe`; none where they would take more reads than a few sweeps."""
    read = {wire for wire in lowered.sources.values() if wire is not None}
    free = len(state.re).bit_length() - 1 - len(read)
    if len(probe) << free > 4 * len(state.re):
        return {}
    out = {}
    for bits in probe:
        if len(bits) != width or set(bits) - {"0", "1"}:
            out[bits] = 0.0
            continue
        mask = value = 0
        possible = True
        for bit in range(width):
            one = bits[width - 1 - bit] == "1"
            wire = lowered.sources.get(bit)
            if wire is None:
                possible &= one == lowered.inverted.get(bit, False)
                continue
            one ^= lowered.inverted[bit]
            place = 1 << state.position_of[wire]
            possible &= not mask & place or bool(value & place) == one
            mask |= place
            value |= place * one
        out[bits] = state.probability(mask, value) if possible else 0.0
    return out
