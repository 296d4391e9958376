"""Circuits of two-qubit blocks: the same outputs after routing, SWAPs taken into blocks, fewer gates than a preset."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, QFTGate, RZGate, SXGate, UnitaryGate, XGate
from qiskit.quantum_info import Statevector, random_unitary
from qiskit.transpiler import InstructionProperties, Target
from qiskit_ibm_runtime.fake_provider import FakeGuadalupeV2

from qrex.compilation import ErrorTable, compile_at
from qrex.errors import InfeasibleError, InputError
from qrex.fabric.block_routing import Region, RouteSearch
from qrex.fabric.blocks import BlockCompiler, best_regions
from qrex.measure.quantum_volume import QuantumVolume
from qrex.measure.schedule import coupling_links, native_pair


def outputs(compiled, width):
    """Probabilities over the circuit's own bits, by Qiskit's state vector of the qubits that are used."""
    used = list(compiled.used_qubits)
    small = QuantumCircuit(len(used), width)
    read = {}
    for one in compiled.circuit.data:
        places = [used.index(compiled.circuit.find_bit(q).index) for q in one.qubits if one.name not in ("barrier",)]
        if one.name == "measure":
            read[compiled.circuit.find_bit(one.clbits[0]).index] = places[0]
        elif one.name not in ("delay", "barrier"):
            small.append(one.operation, places)
    return Statevector(small.remove_final_measurements(inplace=False)).probabilities([read[b] for b in range(width)])


def models(width, number, seed=2):
    return QuantumVolume(width, number, seed, lambda cs, _t: list(cs)).models()


def perfect(gate):
    """Five qubits, four in a row and one beside, whose gates are too good for an approximation to be worth it."""
    target = Target(num_qubits=5, dt=1e-9, granularity=8)
    each = [(qubit,) for qubit in range(5)]
    pulse = InstructionProperties(duration=32e-9, error=0.0)
    target.add_instruction(RZGate(Parameter("a")), {q: InstructionProperties(duration=0.0, error=0.0) for q in each})
    target.add_instruction(SXGate(), {q: pulse for q in each})
    target.add_instruction(XGate(), {q: pulse for q in each})
    target.add_instruction(Delay(Parameter("t")), {q: None for q in each})
    target.add_instruction(Measure(), {q: InstructionProperties(duration=1e-6, error=0.0) for q in each})
    links = [(0, 1), (2, 1), (2, 3), (4, 2)]
    target.add_instruction(gate, {link: InstructionProperties(duration=320e-9, error=1e-12) for link in links})
    return target


@pytest.mark.parametrize("gate", [CXGate(), ECRGate(), CZGate()])
@pytest.mark.parametrize("width", [3, 4, 5])
def test_outputs_are_those_of_the_circuit(gate, width):
    chosen = models(width, 3)
    made = BlockCompiler(perfect(gate), seed=1, beam=24).compile([m.circuit("m") for m in chosen])
    for model, compiled in zip(chosen, made, strict=True):
        assert np.allclose(outputs(compiled, width), model.probabilities(), atol=1e-6)
        assert compiled.scheduled and len(compiled.used_qubits) == width
        read = {compiled.circuit.find_bit(one.clbits[0]).index: compiled.circuit.find_bit(one.qubits[0]).index
                for one in compiled.circuit.data if one.name == "measure"}  # fmt: skip
        assert compiled.final_layout == tuple(read[v] for v in range(width))


def test_approximation_pays_on_a_noisy_device_and_stays_close():
    target = FakeGuadalupeV2().target
    table = ErrorTable.from_target(target)
    chosen = models(5, 6)
    circuits = [m.circuit("m") for m in chosen]
    found = BlockCompiler(target, seed=1, beam=48, table=table).compile(circuits)
    presets = [compile_at(qc, target, 3, 1, label="preset", table=table) for qc in circuits]
    assert sum(one.two_qubit_gates for one in found) < sum(one.two_qubit_gates for one in presets)
    assert np.mean([one.predicted_success for one in found]) > np.mean([one.predicted_success for one in presets])
    for model, compiled in zip(chosen, found, strict=True):
        overlap = float((np.sqrt(outputs(compiled, 5) * model.probabilities())).sum() ** 2)
        assert overlap > 0.95


def test_the_same_seed_gives_the_same_circuits():
    target = FakeGuadalupeV2().target
    circuits = [m.circuit("m") for m in models(4, 2)]
    first, second = (BlockCompiler(target, seed=5, beam=16).compile(circuits) for _ in range(2))
    assert [one.circuit for one in first] == [one.circuit for one in second]


def line_of(size):
    links = tuple((k, k + 1) for k in range(size - 1))
    return Region(tuple(range(size)), links, np.full(size - 1, 0.03), np.full(size - 1, 3e-7), np.full(size, 1e3))


def flat_search(pairs, layers, size):
    """Every block and its mirror cost 0.03 and three gates, on every link."""
    shape = (len(pairs), 2, size - 1)
    return RouteSearch(line_of(size), pairs, layers, np.full(shape, 0.03), np.full(shape, 3))


def test_a_triangle_on_a_line_needs_no_swap_of_its_own():
    route = flat_search([(0, 1), (1, 2), (0, 2)], [0, 1, 2], 3).best(16, np.random.default_rng(1))
    assert all(one.block is not None for one in route.placed)
    assert any(one.mirrored for one in route.placed)


@pytest.mark.parametrize("seed", range(4))
def test_routes_are_valid_and_no_worse_than_swaps_first(seed):
    """Played back place by place: every block finds its qubits on its link. Counting SWAPs alone would need more."""
    rng = np.random.default_rng(seed)
    pairs, layers = [], []
    for layer in range(5):
        order = rng.permutation(5).tolist()
        pairs += [(order[0], order[1]), (order[2], order[3])]
        layers += [layer, layer]
    search = flat_search(pairs, layers, 5)
    route = search.best(48, np.random.default_rng(seed))
    holder = {place: qubit for qubit, place in enumerate(route.start)}
    seen = []
    for one in route.placed:
        u, v = search.region.links[one.link]
        if one.block is None or one.mirrored:
            if one.block is not None:
                assert {holder[u], holder[v]} == set(pairs[one.block]) and holder[one.first] == pairs[one.block][0]
                seen.append(one.block)
            holder[u], holder[v] = holder[v], holder[u]
            continue
        assert {holder[u], holder[v]} == set(pairs[one.block]) and holder[one.first] == pairs[one.block][0]
        seen.append(one.block)
    assert sorted(seen) == list(range(10))
    for qubit in range(5):
        assert [b for b in seen if qubit in pairs[b]] == [b for b in range(10) if qubit in pairs[b]]
    assert [holder[place] for place in route.end] == list(range(5))
    plain = RouteSearch(search.region, pairs, layers, np.where(np.arange(2)[None, :, None], 0.06, search.costs),
                        search.gates).best(48, np.random.default_rng(seed))  # fmt: skip
    swaps = [sum(one.block is None for one in found.placed) for found in (route, plain)]
    assert swaps[0] <= swaps[1] + sum(one.mirrored for one in plain.placed)


def test_gates_in_a_row_on_one_pair_are_one_block():
    target = FakeGuadalupeV2().target
    qc = QuantumCircuit(2, 2)
    for seed, pair in ((1, (0, 1)), (2, (1, 0)), (3, (0, 1))):
        qc.append(UnitaryGate(random_unitary(4, seed=seed)), pair)
    ideal = Statevector(qc).probabilities()
    qc.measure([0, 1], [0, 1])
    (compiled,) = BlockCompiler(target, seed=1, beam=8).compile([qc])
    assert compiled.two_qubit_gates <= 3
    assert float((np.sqrt(outputs(compiled, 2) * ideal)).sum() ** 2) > 0.97


def test_regions_are_connected_and_ranked():
    target = FakeGuadalupeV2().target
    table = ErrorTable.from_target(target)
    natives = {link: native_pair(target, link) for link in coupling_links(target)}
    regions = best_regions(target, table, natives, 5, 8)
    assert len(regions) == 8 and len({region.qubits for region in regions}) == 8
    for region in regions:
        assert np.isfinite(region.distances()).all() and region.distances().max() <= 4


def test_of_too_many_regions_the_better_half_of_the_device_is_kept(monkeypatch):
    """The oracle is the full list: the best regions survive a cap, wherever on the device they lie."""
    target = FakeGuadalupeV2().target
    table = ErrorTable.from_target(target)
    natives = {link: native_pair(target, link) for link in coupling_links(target)}
    everything = best_regions(target, table, natives, 6, 1000)
    monkeypatch.setattr("qrex.fabric.blocks._MOST_REGIONS", len(everything) // 2)
    kept = best_regions(target, table, natives, 6, 1000)
    assert len(kept) == len(everything) // 2
    assert kept[0].qubits in [region.qubits for region in everything[:3]]


def test_other_circuits_are_refused():
    compiler = BlockCompiler(FakeGuadalupeV2().target, seed=1)
    one_qubit = QuantumCircuit(2)
    one_qubit.h(0)
    with pytest.raises(InputError, match="choose_layout"):
        compiler.compile([one_qubit])
    wide = QuantumCircuit(3)
    wide.append(QFTGate(3), [0, 1, 2])
    with pytest.raises(InputError, match="choose_layout"):
        compiler.compile([wide])
    too_wide = QuantumCircuit(17)
    too_wide.cx(0, 1)
    with pytest.raises(InfeasibleError, match="17 connected qubits"):
        compiler.compile([too_wide])
    assert compiler.compile([]) == []
