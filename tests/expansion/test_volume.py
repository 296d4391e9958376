"""The search for a quantum volume: where it stops, what both compile steps share, and that everything on is better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2, FakeManilaV2

from qrex.expansion.volume import EverythingOn, PresetCompiler, search_volume
from qrex.measure.quantum_volume import QuantumVolume
from qrex.platform import NoiseAssumptions
from qrex.suppress import IdleNoise
from qrex.twin import SimulatedQpu

MANILA = IdleNoise.of(FakeManilaV2())


def perfect(circuits):
    """Counts without noise, by Aer."""
    return AerSimulator(method="statevector", max_parallel_threads=1).run(
        [c.remove_final_measurements(inplace=False) if not c.num_clbits else c for c in circuits],
        shots=150, seed_simulator=5,
    ).result().get_counts()  # fmt: skip


def coin(circuits):
    width = circuits[0].num_clbits
    return [{format(v, f"0{width}b"): 5 for v in range(2**width)} for _ in circuits]


@pytest.mark.parametrize("step", [PresetCompiler(3), EverythingOn(3, MANILA, beam=6, sequence="")])
def test_a_perfect_device_passes_every_width(step):
    heard = []
    found = search_volume(FakeManilaV2().target, perfect, step, seed=1, source="simulated", last=3,
                          on_width=heard.append)  # fmt: skip
    assert [one.width for one in found.widths] == [2, 3] and heard == list(found.widths)
    assert found.volume == 8 and found.measurement.value == 8 == found.measurement.high
    for one in found.widths:
        # What approximate gates lose is small beside the 2/3 to be passed.
        assert one.hop.value == pytest.approx(one.hop.detail["ideal"], abs=0.02)


def test_a_device_that_forgets_everything_fails_at_two_qubits():
    found = search_volume(FakeManilaV2().target, coin, PresetCompiler(3), seed=1, source="simulated")
    assert len(found.widths) == 1 and found.volume == 2 and found.measurement.high == 2


def test_everything_on_gains_on_the_twin_over_the_same_circuits():
    twin = SimulatedQpu(FakeGuadalupeV2(), NoiseAssumptions())
    results = []
    for step in (PresetCompiler(3), EverythingOn(3, IdleNoise.of(twin), beam=48)):
        plan = QuantumVolume.plan(twin.target, width=5, seed=9, compile=step, circuits=16)
        counts = twin.run(plan.circuits(twin.target), shots=400, seed_simulator=2).result().get_counts()
        results.append(plan.analyze(counts, "simulated"))
    before, after = results
    assert before.ideal_hops == after.ideal_hops
    assert after.hop.low > before.hop.high
    same, other = (repr(EverythingOn(3, replace(IdleNoise.of(twin), zeta=zeta))) for zeta in ({}, {(0, 1): 2.0}))
    assert same != other and same == repr(EverythingOn(3, replace(IdleNoise.of(twin), zeta={})))
