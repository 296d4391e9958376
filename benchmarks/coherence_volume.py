"""Quantum volume of twins with memory: what a plain user gets, and with everything on, on the same model circuits.

Widths rise from 2 until one fails, 100 circuits each; the rule is the one-sided 2σ bound of the interval by Baldwin et
al. (arXiv:2110.14808), with the original bound beside it. Nothing is mitigated. Simulated throughout.
"""

from __future__ import annotations

import time
from typing import Any

from coherence_windows import twin

from qrex.expansion.volume import EverythingOn, PresetCompiler, VolumeSearch, search_volume
from qrex.measure.quantum_volume import QuantumVolume, VolumeResult
from qrex.suppress import IdleNoise

__all__ = ["six_qubits", "volumes"]

SEED = 4026  # of the model circuits; no compiler was developed on them
CIRCUITS = 100


def volumes(name: str, shots: int, log) -> dict[str, Any]:
    """Both searches on one twin."""
    backend = twin(name)
    compilers = {"before": PresetCompiler(SEED), "after": EverythingOn(SEED, IdleNoise.of(backend))}
    found: dict[str, Any] = {"device": name, "shots": shots, "circuits": CIRCUITS, "seed": SEED}
    for side, compiler in compilers.items():

        def told(result: VolumeResult, side: str = side) -> None:
            hop = result.hop
            log(f"{name} {side}, width {result.width}: HOP {hop.value:.4f} [{hop.low:.4f}, {hop.high:.4f}], 2σ bound "
                f"{result.lower:.4f} (original {result.lower_original:.4f}), {result.verdict}")  # fmt: skip

        search = search_volume(backend.target, _runner(backend, shots), compiler, seed=SEED, source="simulated",
                               circuits=CIRCUITS, on_width=told)  # fmt: skip
        found[side] = {"volume": search.volume, "widths": _table(search)}
    log(f"{name}: quantum volume {found['before']['volume']} -> {found['after']['volume']}")
    return found


def six_qubits(shots: int, log) -> dict[str, float]:
    """Seconds of a quantum volume of six qubits and 100 circuits on Guadalupe, compiled, run and judged."""
    backend, seconds = twin("FakeGuadalupeV2"), {}
    for side, compiler in (("before", PresetCompiler(7)), ("after", EverythingOn(7, IdleNoise.of(backend)))):
        began = time.perf_counter()
        plan = QuantumVolume.plan(backend.target, width=6, seed=7, compile=compiler, circuits=CIRCUITS)
        circuits = plan.circuits(backend.target)
        compiled = time.perf_counter() - began
        plan.analyze(_runner(backend, shots)(circuits), "simulated")
        seconds[side] = time.perf_counter() - began
        log(f"six qubits, {CIRCUITS} circuits, {shots} shots, {side}: {seconds[side]:.1f} s, of which compiling "
            f"{compiled:.1f} s")  # fmt: skip
    return seconds


def _runner(backend, shots: int):
    def run(circuits):
        result = backend.run(list(circuits), shots=shots, seed_simulator=SEED, memory=False).result()
        return [{k.replace(" ", ""): v for k, v in result.get_counts(i).items()} for i in range(len(circuits))]

    return run


def _table(search: VolumeSearch) -> list[dict[str, Any]]:
    return [
        {
            "width": result.width, "hop": result.hop.value, "low": result.hop.low, "high": result.hop.high,
            "lower_2_sigma": result.lower, "lower_2_sigma_original": result.lower_original, "passed": result.passed,
            "passed_original": result.passed_original, "heavy": list(result.heavy), "shots": list(result.shots),
        }
        for result in search.widths
    ]  # fmt: skip
