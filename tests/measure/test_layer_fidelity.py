import math
import warnings

import numpy as np
import pytest
from qiskit.circuit import Delay
from qiskit.circuit.library import RZGate
from qiskit.passmanager import BasePassManager
from qiskit.transpiler import PassManager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, RelaxationNoisePass, depolarizing_error

from qrex.errors import InputError, PlatformError
from qrex.measure.layer_fidelity import LayerFidelity, chain_layers
from qrex.measure.sequences import X2

PATH = [(0, 1), (1, 2), (2, 3), (3, 4)]
CHAIN = [0, 1, 2, 3, 4]


def noise_model(gate="cx", pair=0.016, pulse=0.0, readout=True):
    model = NoiseModel(basis_gates=[gate, "rz", "sx", "x", "id"])
    model.add_all_qubit_quantum_error(depolarizing_error(pair, 2), [gate])
    if pulse:
        model.add_all_qubit_quantum_error(depolarizing_error(pulse, 1), ["sx", "x"])
    if readout:
        model.add_all_qubit_readout_error(ReadoutError([[0.98, 0.02], [0.06, 0.94]]))
    return model


def measured(plan, target, run_aer, shots=500, noise=None):
    return plan.analyze(run_aer(plan.circuits(target), shots, noise), "simulated")


@pytest.mark.parametrize("gate", ["cx", "ecr", "cz"])
def test_an_ideal_device_has_layer_fidelity_one(gate, make_target, run_aer):
    target = make_target(4, PATH[:3], gate)
    plan = LayerFidelity.plan(target, seed=1, chain=CHAIN[:4], depths=(1, 10, 30), samples=2)
    result = measured(plan, target, run_aer, 300)
    assert result.gates == 3
    assert result.fidelity.value == pytest.approx(1, abs=1e-4)
    assert result.eplg.value == pytest.approx(0, abs=1e-4)
    assert result.fidelity.low < 1


def test_it_is_the_depolarizing_closed_form(make_target, run_aer):
    # Depolarizing p on the gate: F = 1 - 15p/16. On pulses, which 20 of 24 Cliffords have one of: to first order
    # 1 - 3/4·20/24·p for every qubit of the layer.
    target = make_target(5, PATH)
    pair, pulse = 0.016, 2e-3
    plan = LayerFidelity.plan(target, seed=2, chain=CHAIN, depths=(1, 20, 60), samples=4)
    assert plan.layers == (((0, 1), (2, 3), (4,)), ((1, 2), (3, 4), (0,)))
    result = measured(plan, target, run_aer, 1000, noise_model(pair=pair, pulse=pulse))
    turn = 1 - 0.75 * 20 / 24 * pulse
    both = (1 - 15 / 16 * pair) * turn**2
    truths = [both, both, turn, both, both, turn]
    found = [fidelity for layer in result.fidelities for fidelity in layer]
    assert sum(one.low <= truth <= one.high for one, truth in zip(found, truths, strict=True)) >= 5
    assert result.fidelity.low <= math.prod(truths) <= result.fidelity.high
    assert result.eplg.low <= 1 - math.prod(truths) ** 0.25 <= result.eplg.high
    assert -math.log(result.fidelity.value) == pytest.approx(-math.log(math.prod(truths)), rel=0.08)
    assert result.fidelity.n == 24 * 1000
    assert result.fidelity.source == "simulated" and result.fidelity.seed == 2


def test_agrees_with_qiskit_experiments(make_target, run_aer):
    links, lengths = [(0, 1), (1, 2), (2, 3)], [1, 20, 60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qiskit_experiments.library.randomized_benchmarking import LayerFidelity as Theirs

        noise = noise_model(pair=0.02, pulse=3e-3, readout=False)
        backend = AerSimulator(noise_model=noise, method="density_matrix", max_parallel_threads=1)
        oracle = Theirs(
            [0, 1, 2, 3], [links[::2], links[1::2]], lengths, num_samples=4, seed=3, two_qubit_gate="cx",
            one_qubit_basis_gates=["rz", "sx", "x"],
        )  # fmt: skip
        circuits = oracle._transpiled_circuits()
        theirs = oracle.run(backend, shots=500, seed_simulator=5).block_for_results()
        frame = theirs.analysis_results("LF", dataframe=True)
        fidelity = frame.value.iloc[0]
    target = make_target(4, links)
    plan = LayerFidelity.plan(target, seed=8, chain=[0, 1, 2, 3], depths=lengths, samples=4)
    assert len(plan.circuits(target)) == len(circuits) == 24
    ours = measured(plan, target, run_aer, 500, noise).fidelity
    spread = math.hypot(fidelity.std_dev, (ours.high - ours.low) / 4)
    assert abs(fidelity.nominal_value - ours.value) < 3.5 * spread
    assert spread < 0.15 * (1 - ours.value)


def test_idle_qubits_wait_as_long_as_the_gates_of_their_layer(make_target, run_aer):
    # Relaxation on delays alone: the idle qubit waits 320 ns at a gate, and 32 ns in the 4 of 24 Cliffords that have no
    # pulse.
    t1, t2 = 20e-6, 12e-6
    target = make_target(3, [(0, 1), (1, 2)])
    plan = LayerFidelity.plan(target, seed=3, layers=[[(0, 1)]], qubits=[0, 1, 2], depths=(1, 15, 45), samples=4)
    assert plan.layers == (((0, 1), (2,)),)
    passes = PassManager([RelaxationNoisePass([t1] * 3, [t2] * 3, dt=1e-9, op_types=Delay)])
    result = plan.analyze(run_aer(passes.run(plan.circuits(target)), 2000), "simulated")
    decays = [(1 + math.exp(-t / t1) + 2 * math.exp(-t / t2)) / 4 for t in (320e-9, 320e-9 + 32e-9)]
    truth = (20 * decays[0] + 4 * decays[1]) / 24
    idle = result.fidelities[0][1]
    assert idle.low <= truth <= idle.high
    assert 1 - idle.value == pytest.approx(1 - truth, rel=0.12)


class Counting(BasePassManager):
    """A pass manager that counts the circuits it sees and leaves them as they are."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def run(self, in_programs, callback=None, **_options):
        self.seen += len(in_programs)
        return in_programs

    def _passmanager_frontend(self, input_program, **_options):
        return input_program

    def _passmanager_backend(self, passmanager_ir, in_program, **_options):
        return passmanager_ir


def detuned(circuits, hertz):
    """Every delay also turns its qubit, and a pulse half as long as it lasts before and after."""
    made = []
    for circuit in circuits:
        moved = circuit.copy_empty_like()
        for step in circuit.data:
            places = [circuit.find_bit(q).index for q in step.qubits]
            length = {"sx": 32, "x": 32}.get(step.operation.name, 0)
            length = step.operation.duration if step.operation.name == "delay" else length / 2
            turn = RZGate(2 * math.pi * hertz * length * 1e-9)
            if length and places[0] == 2:
                moved.append(turn, places)
            moved.append(step.operation, places, [circuit.find_bit(c).index for c in step.clbits])
            if length and places[0] == 2 and step.operation.name != "delay":
                moved.append(turn, places)
        made.append(moved)
    return made


def test_a_sequence_fills_the_windows_of_idle_qubits(make_target, run_aer):
    target = make_target(3, [(0, 1), (1, 2)])
    idle = {}
    for sequence in (None, X2):
        plan = LayerFidelity.plan(
            target, seed=3, layers=[[(0, 1)]], qubits=[0, 1, 2], depths=(1, 15, 45), samples=4, sequence=sequence
        )
        assert plan.label == ("none" if sequence is None else "X2")
        circuits = detuned(plan.circuits(target), 150e3)
        idle[plan.label] = plan.analyze(run_aer(circuits, 500), "simulated").fidelities[0][1].value
    # A turn by φ costs sin²(φ/2); the pulses around the window, half of each, are turned as well.
    lost = 1 - idle["none"]
    assert lost == pytest.approx(math.sin(math.pi * 150e3 * 352e-9) ** 2, rel=0.25)
    assert 1 - idle["X2"] < lost / 8


def test_a_pass_manager_sees_every_circuit(make_target):
    target = make_target(3, [(0, 1), (1, 2)])
    manager = Counting()
    plan = LayerFidelity.plan(target, seed=3, chain=[0, 1, 2], depths=(1, 5), samples=2, sequence=manager)
    assert plan.label == "Counting"
    assert len(plan.circuits(target)) == manager.seen == 8
    named = LayerFidelity.plan(target, seed=3, chain=[0, 1, 2], sequence=manager, label="mine")
    assert named.label == "mine"


def test_a_part_counts_what_reaches_out_by_its_square_root(make_target, run_aer):
    target = make_target(5, PATH)
    plan = LayerFidelity.plan(target, seed=2, chain=CHAIN, depths=(1, 20), samples=2)
    result = measured(plan, target, run_aer, 300, noise_model())
    whole, eplg = result.within(CHAIN)
    assert (whole.value, whole.low, whole.high) == (result.fidelity.value, result.fidelity.low, result.fidelity.high)
    assert eplg.value == pytest.approx(1 - whole.value**0.25)
    named = {
        decay.qubits: one.value
        for layer, ones in zip(result.decays, result.fidelities, strict=True)
        for decay, one in zip(layer, ones, strict=True)
    }
    inner, per_gate = result.within([1, 2, 3])
    expected = math.sqrt(named[0, 1] * named[3, 4]) * named[1, 2] * named[2, 3]
    assert inner.value == pytest.approx(expected)
    assert per_gate.value == pytest.approx(1 - math.sqrt(expected))
    with pytest.raises(InputError, match="measured were"):
        result.within([4, 5])


def test_the_interval_of_a_product_adds_up_as_independent_errors_do(make_target, run_aer):
    target = make_target(5, PATH)
    plan = LayerFidelity.plan(target, seed=2, chain=CHAIN, depths=(1, 20, 60), samples=4)
    result = measured(plan, target, run_aer, 500, noise_model())
    widths = [one.high - one.low for layer in result.fidelities for one in layer]
    assert result.fidelity.high - result.fidelity.low == pytest.approx(math.hypot(*widths), rel=0.25)


def test_depths_follow_the_gate_errors(make_target):
    target = make_target(3, [(0, 1), (1, 2)])  # error 1e-2: α loses 4/3 of it per step
    assert LayerFidelity.plan(target, seed=1, chain=[0, 1, 2]).depths == (1, 4, 16, 52)
    better = make_target(3, [(0, 1), (1, 2)])
    for pair in ((0, 1), (1, 2)):
        better["cx"][pair].error = 1e-4
    assert LayerFidelity.plan(better, seed=1, chain=[0, 1, 2]).depths == (1, 14, 60, 200)
    for pair in ((0, 1), (1, 2)):
        better["cx"][pair].error = None
    assert LayerFidelity.plan(better, seed=1, chain=[0, 1, 2]).depths == (1, 4, 12, 40)


def test_gates_of_a_layer_start_together_and_nothing_else_runs_meanwhile(make_target):
    target = make_target(5, PATH)
    plan = LayerFidelity.plan(target, seed=4, chain=CHAIN, depths=(0, 7), samples=1)
    without, circuit = plan.circuits(target)[:2]
    blocks, current = [], []
    for step in circuit.data:
        if step.operation.name == "barrier" and len(step.qubits) == 5:
            blocks.append(current)
            current = []
        else:
            current.append((step.operation.name, tuple(circuit.find_bit(q).index for q in step.qubits)))
    layers = [
        block
        for block in blocks
        if {("cx", (0, 1)), ("cx", (2, 3))} <= set(block) and not any(name in ("sx", "x") for name, _ in block)
    ]
    assert len(layers) >= 7
    assert all(("delay", (4,)) in block for block in layers)
    assert without.count_ops().get("barrier", 0) < circuit.count_ops()["barrier"]
    assert np.array_equal([c.name for c in plan.circuits(target)][:2], ["layer0_m0_s0", "layer0_m7_s0"])
    assert circuit == plan.circuits(target)[1]
    assert circuit != LayerFidelity.plan(target, seed=5, chain=CHAIN, depths=(0, 7), samples=1).circuits(target)[1]


def test_chains_fall_into_two_layers():
    assert chain_layers([3, 2]) == (((3, 2),),)
    assert chain_layers([5, 4, 3]) == (((5, 4),), ((4, 3),))


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        ({}, InputError, "one of them"),
        ({"chain": [0, 1], "layers": [[(0, 1)]]}, InputError, "one of them"),
        ({"chain": [0]}, InputError, "two or more"),
        ({"chain": [0, 1, 0]}, InputError, "two or more"),
        ({"chain": [0, 2]}, PlatformError, "choose among"),
        ({"layers": [[(0, 1), (1, 2)]]}, InputError, "split it"),
        ({"layers": [[]]}, InputError, "one link or more"),
        ({"layers": [[(0, 1)]], "qubits": [1, 2]}, InputError, "must hold all"),
        ({"layers": [[(0, 1)]], "qubits": [0, 1, 9]}, InputError, "0 to 4"),
        ({"chain": [0, 1], "depths": (4,)}, InputError, "two depths"),
    ],
)
def test_bad_plans_are_refused(asked, kind, says, make_target):
    with pytest.raises(kind, match=says):
        LayerFidelity.plan(make_target(5, PATH), seed=1, **asked)


def test_a_dead_gate_is_not_taken_for_a_perfect_one(make_target):
    # Chance at every depth fits any α.
    plan = LayerFidelity.plan(make_target(5, PATH), seed=1, layers=[[(0, 1)]], qubits=[0, 1, 2])
    rng = np.random.default_rng(6)
    counts = []
    for _ in range(len(plan._slots())):
        flat = rng.multinomial(1000, [1 / 8] * 8)
        counts.append({format(i, "03b"): int(n) for i, n in enumerate(flat) if n})
    result = plan.analyze(counts, "simulated")
    assert [one.value for one in result.fidelities[0]] == [1 / 16, 1 / 4]
    assert "dead" in result.decays[0][0].alpha.method


def test_counts_of_something_else_are_refused(make_target):
    plan = LayerFidelity.plan(make_target(5, PATH), seed=1, chain=CHAIN)
    with pytest.raises(InputError, match="one for each"):
        plan.analyze([], "simulated")
