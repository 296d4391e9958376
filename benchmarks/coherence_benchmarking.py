"""Randomized benchmarking against tomography, against the model, and against qiskit-experiments.

1. Twenty random devices whose idle noise has no memory: the polarization of `delay(τ)` by interleaved benchmarking and
   Q(τ) by tomography, of the same qubit, with shots of their own.
2. Devices with memory: points of the interleaved curve against 1/2 + E[q^m]/2, the mean over the detunings of a shot of
   the polarization of one window to the power m, which is no exponential. Errors from the scatter over many sequences.
3. The same circuits and counts, fitted here and by qiskit-experiments.

Simulated throughout; one qubit each, since what is compared is a channel.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from coherence_windows import counts_of
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.circuit.library import RZGate, SXGate, XGate
from qiskit.providers import BackendV2, Options, QubitProperties
from qiskit.transpiler import InstructionProperties, Target
from scipy.stats import chi2

from qrex.measure.coherence import IdleCoherence
from qrex.measure.decay import fit_decay
from qrex.measure.interleaved import InterleavedRb
from qrex.measure.rb import expected_flips, group_successes
from qrex.platform import NoiseAssumptions
from qrex.twin.backend import SimulatedQpu

__all__ = ["against_model", "against_peer", "against_tomography"]

TWINS = 20
MODELS = 5
SEQUENCES = 60
SEED = 51
NODES = 64  # of the Gaussian mean over detunings


class Device(BackendV2):
    """One qubit with a calibration."""

    def __init__(self, t1: float, t2: float, *, pulse_seconds: float, error: float, readout: tuple[float, float]):
        super().__init__(name="one_qubit")
        self._target = Target(num_qubits=1, dt=1e-9, granularity=1, qubit_properties=[QubitProperties(t1=t1, t2=t2)])
        pulse = InstructionProperties(duration=pulse_seconds, error=error)
        for gate in (SXGate(), XGate()):
            self._target.add_instruction(gate, {(0,): pulse})
        self._target.add_instruction(RZGate(Parameter("a")), {(0,): InstructionProperties(0.0, 0.0)})
        self._target.add_instruction(Delay(Parameter("t")), {(0,): None})
        self._target.add_instruction(Measure(), {(0,): InstructionProperties(1e-6, sum(readout) / 2)})

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input, **options):
        raise NotImplementedError("a calibration; SimulatedQpu runs it")


def against_tomography(log) -> dict[str, Any]:
    """Differences in units of their standard errors."""
    rng = np.random.default_rng(SEED)
    z, rows = [], []
    for number in range(TWINS):
        t1 = rng.uniform(40e-6, 200e-6)
        t2 = t1 * rng.uniform(0.3, 1.6)
        device = Device(t1, t2, pulse_seconds=32e-9, error=rng.uniform(2e-4, 6e-4), readout=(0.01, 0.02))
        backend = SimulatedQpu(device)
        window = t2 * rng.uniform(0.05, 0.3)
        tomography = IdleCoherence.plan(backend.target, windows_seconds=[window], seed=number, virtual_z=False)
        found = tomography.analyze(counts_of(backend, tomography, 8000, 100 + number), "simulated").windows[0]
        benchmark = InterleavedRb.plan(backend.target, seed=number, window_seconds=window, samples=30)
        ratio = benchmark.analyze(counts_of(backend, benchmark, 1000, 300 + number), "simulated").groups[0].ratio
        spread = math.hypot(found.errors[0], (ratio.high - ratio.low) / 3.92)
        z.append((ratio.value - found.qubits[0].value) / spread)
        rows.append({"window_seconds": window, "tomography": found.qubits[0].value, "benchmarking": ratio.value,
                     "standard_error": spread})  # fmt: skip
    within = sum(abs(one) <= 2 for one in z)
    p_value = float(chi2.sf(sum(one * one for one in z), TWINS))
    log(f"benchmarking against tomography: {within} of {TWINS} within 2 sigma, joint p {p_value:.3f}")
    return {"within_2_sigma": within, "of": TWINS, "p_value": p_value, "twins": rows, "seed": SEED}


def against_model(log) -> dict[str, Any]:
    """χ² of the interleaved curves of devices with memory against the model's E[q^m]."""
    rng = np.random.default_rng(SEED + 1)
    statistic, freedom, exponential = 0.0, 0, 0.0
    rows = []
    for number in range(MODELS):
        t1 = rng.uniform(60e-6, 150e-6)
        t2 = t1 * rng.uniform(0.6, 1.4)
        assumed = NoiseAssumptions(t2_star_ratio=rng.uniform(0.1, 0.25), parity_hz=rng.uniform(0, 6e3))
        # Pulses without duration and error: every phase that the model knows of is gathered in the windows.
        backend = SimulatedQpu(Device(t1, t2, pulse_seconds=0.0, error=0.0, readout=(0.0, 0.0)), assumed)
        window = 0.1 * t2
        depths = (1, 3, 6, 12, 24, 48)
        plan = InterleavedRb.plan(backend.target, seed=number, window_seconds=window, depths=depths, samples=SEQUENCES)
        points = _survivals(plan, counts_of(backend, plan, 500, 700 + number))
        model = [0.5 + 0.5 * mean_power(backend.parameters, plan.window_seconds, m) for m in depths]
        lone = [0.5 + 0.5 * mean_power(backend.parameters, plan.window_seconds, 1) ** m for m in depths]
        for m, (value, error), expected, wrong in zip(depths, points, model, lone, strict=True):
            statistic += ((value - expected) / error) ** 2
            exponential += ((value - wrong) / error) ** 2
            rows.append({"device": number, "depth": m, "survival": value, "standard_error": error, "model": expected})
        freedom += len(depths)
    p_value, other = float(chi2.sf(statistic, freedom)), float(chi2.sf(exponential, freedom))
    log(f"curves with memory against E[q^m]: chi squared {statistic:.1f} for {freedom}, p {p_value:.3f}; "
        f"against E[q]^m {exponential:.0f}, p {other:.1e}")  # fmt: skip
    return {"chi_squared": statistic, "freedom": freedom, "p_value": p_value, "p_value_of_an_exponential": other,
            "points": rows, "seed": SEED + 1}  # fmt: skip


def mean_power(parameters, seconds: float, power: int) -> float:
    """E[q^m] over the static detuning and the charge parity of a shot."""
    t1, t2 = parameters.t1_seconds[0], parameters.t2_seconds[0]
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    total = 0.0
    for sign in (-1, 1):
        turned = (parameters.detuning_rad_per_s[0] * nodes + sign * parameters.parity_rad_per_s[0]) * seconds
        q = (math.exp(-seconds / t1) + 2 * math.exp(-seconds / t2) * np.cos(turned)) / 3
        total += float((q**power) @ weights) / weights.sum() / 2
    return total


def _survivals(plan: InterleavedRb, counts: list[dict[str, int]]) -> list[tuple[float, float]]:
    """Mean survival of the interleaved circuits at each depth, its standard error from the scatter of sequences."""
    values: dict[int, list[float]] = {}
    for (interleaved, i, _, sample), answer in zip(plan._slots(), counts, strict=True):
        if interleaved:
            hits, shots = group_successes(answer, [expected_flips(plan.seed, i, sample, 0, 1)])
            values.setdefault(i, []).append(hits[0] / shots)
    return [(float(np.mean(v)), float(np.std(v, ddof=1) / math.sqrt(len(v)))) for _, v in sorted(values.items())]


def against_peer(backend: SimulatedQpu, log) -> dict[str, Any]:
    """α of one qubit and of a pair, from the same counts of qiskit-experiments' own circuits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qiskit_experiments.library import StandardRB

        found = {}
        for qubits, lengths in (((0,), (1, 100, 300, 600)), ((0, 1), (1, 6, 18, 40))):
            experiment = StandardRB(qubits, lengths, backend=backend, num_samples=6, seed=SEED)
            experiment.set_run_options(shots=1000)
            data = experiment.run(seed_simulator=SEED).block_for_results()
            theirs = data.analysis_results("alpha", dataframe=False).value
            depths = [one["metadata"]["xval"] for one in data.data()]
            zeros = [one["counts"].get("0" * len(qubits), 0) for one in data.data()]
            fit = fit_decay(depths, zeros, [sum(one["counts"].values()) for one in data.data()], offset=None, seed=SEED)
            apart = abs(fit.alpha - theirs.nominal_value) / max(theirs.std_dev, fit.alpha_error)
            found[str(list(qubits))] = {"ours": fit.alpha, "theirs": theirs.nominal_value, "apart_in_sigma": apart,
                                        "standard_error": fit.alpha_error}  # fmt: skip
            log(f"qubits {qubits}: alpha {fit.alpha:.5f} ± {fit.alpha_error:.5f}, qiskit-experiments "
                f"{theirs.nominal_value:.5f} ± {theirs.std_dev:.5f} from the same counts")  # fmt: skip
    return found
