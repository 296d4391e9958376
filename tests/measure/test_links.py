import json
from dataclasses import fields

import numpy as np
import pytest
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from qrex.errors import InputError, PlatformError
from qrex.evidence import Measurement
from qrex.measure.bell import BellWitness
from qrex.measure.entanglement import isotropic_ebits
from qrex.measure.links import LinkQuality

PATH = [(0, 1), (1, 2), (2, 3), (3, 4)]


def noise_model(gate, pair, readout):
    model = NoiseModel(basis_gates=[gate, "rz", "sx", "x", "id"])
    model.add_all_qubit_quantum_error(depolarizing_error(pair, 2), [gate])
    if readout:
        model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.06, 0.94]]))
    return model


@pytest.mark.parametrize("gate", ["cx", "ecr", "cz"])
def test_an_ideal_device_has_one_ebit_per_link(gate, make_target, run_aer):
    target = make_target(5, PATH, gate)
    plan = LinkQuality.plan(target, seed=1, depths=(1, 10, 30), samples=2)
    result = plan.analyze(run_aer(plan.circuits(target), 300), "simulated")
    figures = result.figures()
    assert figures.links_per_qubit == 0.8
    assert figures.density.value == pytest.approx(0.8, abs=1e-3)
    assert figures.simultaneous.value == pytest.approx(0.4, abs=1e-3)  # links 0-1 and 3-4
    assert figures.min_cut.value == pytest.approx(1, abs=1e-3)
    witness = BellWitness.plan(target)
    found = witness.analyze(run_aer(witness.circuits(target), 300), "simulated")
    assert all(found[link].value == 1.0 for link in PATH)
    assert all(found[link].low < 1 for link in PATH)


def test_layer_fidelity_is_the_depolarizing_closed_form(make_target, run_aer):
    # Noise on the native gate alone, depolarizing with probability p: α = 1 - p, F = 1 - 15p/16.
    target = make_target(5, PATH)
    plan = LinkQuality.plan(target, seed=2)
    noise = noise_model("cx", 0.016, readout=True)
    result = plan.analyze(run_aer(plan.circuits(target), 2000, noise), "simulated")
    truth = 1 - 0.016 * 15 / 16
    for measured in result.fidelities:
        assert measured.value == pytest.approx(truth, abs=1.5e-3)
    assert sum(m.low <= truth <= m.high for m in result.fidelities) >= 3
    figures = result.figures()
    density = 0.8 * float(isotropic_ebits(truth))
    assert figures.density.low <= density <= figures.density.high
    assert figures.fidelity_weighted.value == pytest.approx(0.8 * truth, abs=2e-3)
    # Three classes of one 320 ns gate each.
    assert len(plan.classes) == 3
    assert figures.rate.value == pytest.approx(figures.density.value / 0.96, rel=1e-6)
    units = {name: getattr(figures, name).unit for name in ("density", "simultaneous", "rate", "min_cut")}
    assert units == {
        "density": "ebits per qubit", "simultaneous": "ebits per qubit", "rate": "ebits per qubit per µs",
        "min_cut": "ebits",
    }  # fmt: skip
    for field in fields(figures):
        measured = getattr(figures, field.name)
        assert not isinstance(measured, Measurement) or json.dumps(measured.to_dict(), allow_nan=False)


def test_sub_lattice_counts_its_own_links_and_qubits(make_target, run_aer):
    target = make_target(5, PATH)
    plan = LinkQuality.plan(target, seed=2, depths=(1, 20), samples=2)
    result = plan.analyze(run_aer(plan.circuits(target), 300, noise_model("cx", 0.02, False)), "simulated")
    part = result.figures([0, 1, 2])
    assert part.links_per_qubit == pytest.approx(2 / 3)
    ebits = isotropic_ebits(np.array([m.value for m in result.fidelities[:2]]))
    assert part.density.value == pytest.approx(ebits.sum() / 3)
    assert set(part.density.detail["ebits"]) == {"0-1", "1-2"}
    assert part.density.detail["qubits"] == [0, 1, 2]
    alone = result.figures([0, 2])
    assert alone.density.value == alone.links_per_qubit == alone.min_cut.value == 0
    with pytest.raises(InputError, match="0 to 4"):
        result.figures([5])


def test_bell_witness_of_a_depolarized_pair(make_target, run_aer):
    # F = 1 - 3p/4 for depolarizing p on the gate, nothing else noisy.
    target = make_target(2, [(0, 1)])
    plan = BellWitness.plan(target)
    found = plan.analyze(run_aer(plan.circuits(target), 20000, noise_model("cx", 0.1, False)), "simulated")[
        0, 1
    ]
    assert found.low <= 1 - 0.075 <= found.high
    assert found.high - found.low < 0.02
    assert found.detail["YY"] == pytest.approx(-0.9, abs=0.02)


def test_held_out_repeat_draws_other_circuits_on_the_same_links(make_target):
    target = make_target(5, PATH)
    first, second = (LinkQuality.plan(target, seed=s) for s in (1, 2))
    assert first.classes == second.classes
    assert first.circuits(target) != second.circuits(target)
    assert first.circuits(target) == LinkQuality.plan(target, seed=1).circuits(target)


def test_simultaneous_links_are_two_couplings_apart_though_some_are_not_measured(make_target):
    target = make_target(5, PATH)
    plan = LinkQuality.plan(target, seed=1, links=[(0, 1), (3, 2)])
    assert len(plan.classes) == 2  # joined by the link (1, 2), which is not in the set
    with pytest.raises(PlatformError, match="choose among"):
        LinkQuality.plan(target, seed=1, links=[(0, 4)])


def test_a_dead_link_entangles_nothing(make_target):
    # Chance at every depth fits any α: the link must not come out as a perfect one.
    target = make_target(3, [(0, 1), (1, 2)], "cx")
    plan = LinkQuality.plan(target, seed=5)
    rng = np.random.default_rng(6)
    counts = []
    for _ in plan.circuits(target):
        flat = rng.multinomial(1000, [0.25] * 4)
        counts.append({format(i, "02b"): int(n) for i, n in enumerate(flat) if n})
    result = plan.analyze(counts, "simulated")
    assert [f.value for f in result.fidelities] == [1 / 16, 1 / 16]
    assert "dead" in result.decays[0].alpha.method
    assert result.figures().density.value == 0
