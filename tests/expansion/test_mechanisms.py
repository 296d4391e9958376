import pytest
from qiskit import QuantumCircuit

from qrex.circuits import circuit_from_qiskit
from qrex.errors import InputError
from qrex.evidence import Measurement
from qrex.expansion.device import Configuration, DeviceStage
from qrex.expansion.mechanisms import (
    DeviceOption,
    choose_per_circuit,
    fidelity_comparisons,
    merged_stage,
    paired_differences,
)
from qrex.expansion.rows import device_rows
from qrex.measure.fidelity import CROSS_ENTROPY, HELLINGER
from qrex.profile import profile_circuit


def named(name):
    circuit = QuantumCircuit(2, 2, name=name)
    circuit.rx(len(name) + ord(name[-1]) / 100, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit_from_qiskit(circuit, name=name)


CIRCUITS = (named("a"), named("b"))


def stage(*fidelities, half=0.01, success=0.5, kinds=(HELLINGER, HELLINGER), perfect=0.99):
    values = {}
    for circuit, value, kind in zip(CIRCUITS, fidelities, kinds, strict=True):
        made = value if value is None else Measurement(
            value, value - half, value + half, "", 1000, 1, "made up", "simulated"
        ).to_dict()  # fmt: skip
        values[circuit.id] = {"fidelity": made, "fidelity_kind": kind, "perfect_sampler": perfect,
                              "predicted_success": success, "device_seconds": 1.0}  # fmt: skip
    return DeviceStage(CIRCUITS, values, {})


def option(configuration, measured, pilot):
    return DeviceOption(configuration, measured, pilot)


BASELINE = option(Configuration(), stage(0.5, 0.5), stage(0.5, 0.5))
LAYOUT = Configuration(24, None)
PULSES = Configuration(0, "XY4")


def test_paired_difference_against_the_closed_form():
    (found,) = paired_differences(stage(0.5, 0.6), stage(0.6, 0.9), CIRCUITS)
    assert found.value == pytest.approx(0.2)
    half = (4 * 0.01**2) ** 0.5 / 2
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert paired_differences(stage(None, None), stage(0.6, 0.9), CIRCUITS) == ()


MIXED = (HELLINGER, CROSS_ENTROPY)


def test_kinds_of_fidelity_are_never_mixed_into_one_mean():
    before, after = stage(0.5, 0.6, kinds=MIXED, perfect=0.8), stage(0.6, 0.9, kinds=MIXED, perfect=0.8)
    hellinger, entropy = fidelity_comparisons("f", before, after, CIRCUITS, title="Mean {kind} of {circuits}")
    assert (hellinger.key, hellinger.title) == ("f", "Mean Hellinger fidelity of 1 circuit")
    assert (hellinger.before.value, hellinger.after.value) == (0.5, 0.6)
    assert (entropy.key, entropy.title) == ("f_cross_entropy", "Mean cross-entropy of 1 circuit")
    assert (entropy.before.value, entropy.after.value) == (0.6, 0.9)
    # A perfect sampler's Hellinger score says nothing of cross-entropy, where it scores 1.
    assert "perfect sampler would score 0.800" in hellinger.note
    assert "perfect sampler would score 1.000" in entropy.note
    assert [str(d).split(" by ")[0] for d in paired_differences(before, after, CIRCUITS)] == [
        "Hellinger fidelity", "cross-entropy",
    ]  # fmt: skip
    with pytest.raises(InputError, match="one kind"):
        before.mean_fidelity(CIRCUITS)


def test_a_circuit_judged_by_different_kinds_is_in_no_mean():
    before, after = stage(0.5, 0.6), stage(0.6, 0.9, kinds=MIXED)
    (only,) = fidelity_comparisons("f", before, after, CIRCUITS)
    assert (only.before.value, only.after.value) == (0.5, 0.6)


def test_pilot_shots_decide_and_not_the_reported_ones():
    tempting = option(LAYOUT, stage(0.9, 0.9), stage(0.9, 0.4))
    kept = choose_per_circuit(BASELINE, [tempting])
    assert [kept[c.id].configuration for c in CIRCUITS] == [LAYOUT, Configuration()]
    merged = merged_stage(CIRCUITS, kept)
    assert [merged.fidelity(c).value for c in CIRCUITS] == [0.9, 0.5]


def test_a_gain_within_one_standard_error_is_not_kept():
    slight = option(LAYOUT, stage(0.5, 0.5), stage(0.505, 0.52))
    kept = choose_per_circuit(BASELINE, [slight])
    # standard error of the difference: sqrt(2) · 0.01 / 1.96 = 0.0072
    assert [kept[c.id].configuration for c in CIRCUITS] == [Configuration(), LAYOUT]


def test_the_best_of_several_is_kept():
    layout = option(LAYOUT, stage(0.6, 0.6), stage(0.6, 0.7))
    pulses = option(PULSES, stage(0.7, 0.7), stage(0.7, 0.6))
    kept = choose_per_circuit(BASELINE, [layout, pulses])
    assert [kept[c.id].configuration for c in CIRCUITS] == [PULSES, LAYOUT]


def test_without_a_fidelity_predicted_success_chooses_layouts_and_never_pulses():
    blind = option(Configuration(), stage(None, None, success=0.3), stage(None, None))
    layout = option(LAYOUT, stage(None, None, success=0.6), stage(None, None))
    pulses = option(PULSES, stage(None, None, success=0.9), stage(None, None))
    kept = choose_per_circuit(blind, [pulses, layout])
    assert {kept[c.id].configuration for c in CIRCUITS} == {LAYOUT}


def test_a_circuit_that_failed_everywhere_keeps_its_error():
    failed = DeviceStage(CIRCUITS, {}, {c.id: ("EngineError", "broken") for c in CIRCUITS})
    kept = choose_per_circuit(option(Configuration(), failed, failed), [option(LAYOUT, failed, failed)])
    assert merged_stage(CIRCUITS, kept).errors == failed.errors


def test_a_row_judged_by_cross_entropy_shows_a_perfect_sampler_of_its_own_kind():
    # What earlier versions kept beside cross-entropy is a Hellinger score.
    kept = stage(0.5, 0.6, kinds=MIXED, perfect=0.216)
    for circuit in CIRCUITS:
        kept.values[circuit.id].update(
            used_qubits=[0, 1], choice={}, two_qubit_gates=0, notes=[], run_seconds=0.1
        )
    profiles = {c.id: profile_circuit(c, 100) for c in CIRCUITS}
    rows = device_rows(kept, kept, profiles, {c.id: 100 for c in CIRCUITS}, "q")
    assert [row.after.perfect_sampler for row in rows] == [0.216, 1.0]
