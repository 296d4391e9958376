import numpy as np
import pytest
from qiskit.quantum_info import Clifford, Operator

from qrex.measure.clifford import ONE_QUBIT, pair_cliffords
from qrex.measure.schedule import Timeline


def test_one_qubit_group_has_24_elements_and_few_pulses():
    overlaps = np.abs(np.einsum("aij,bij->ab", ONE_QUBIT.matrices.conj(), ONE_QUBIT.matrices))
    assert (overlaps > 2 - 1e-9).sum() == 24  # each equals only itself
    for a in ONE_QUBIT.matrices:
        for b in ONE_QUBIT.matrices:
            ONE_QUBIT.index(a @ b)  # closed under products
    assert np.mean([bool(pulse) for _, pulse, _ in ONE_QUBIT.words]) == pytest.approx(20 / 24)


@pytest.mark.parametrize("gate", ["cx", "ecr", "cz"])
def test_pair_group_has_20_cosets_and_one_and_a_half_gates(gate):
    group = pair_cliffords(gate)
    lengths = sorted(len(coset.locals) for coset in group.cosets)
    # Identity, nine of the cx kind, nine of the iswap kind, one swap: arXiv:1210.7011.
    assert lengths == [0] + [1] * 9 + [2] * 9 + [3]


@pytest.mark.parametrize("gate", ["cx", "ecr", "cz"])
def test_written_elements_are_the_cliffords_they_claim(gate, make_target, rng):
    group = pair_cliffords(gate)
    target = make_target(2, [(0, 1)], gate)
    for _ in range(12):
        element = group.sample(rng)
        line = Timeline(target)
        group.apply(line, (0, 1), element)
        circuit = line.circuit([0, 1], "word").remove_final_measurements(inplace=False)
        for index in reversed(range(len(circuit.data))):
            if circuit.data[index].operation.name in ("delay", "barrier"):
                del circuit.data[index]
        assert Operator(circuit).equiv(Operator(group.matrix(element)))
        Clifford(circuit)  # raises where it is none


def test_inverse_is_found_for_products(rng):
    group = pair_cliffords("ecr")
    for _ in range(30):
        total = np.eye(4)
        for _ in range(4):
            total = group.matrix(group.sample(rng)) @ total
        inverse = group.matrix(group.element(total.conj().T))
        assert abs(np.trace(inverse @ total)) == pytest.approx(4)


def test_sampling_is_uniform_enough_to_be_a_two_design(rng):
    # The frame potential of a 2-design in dimension 4 is 2.
    group = pair_cliffords("cx")
    matrices = np.array([group.matrix(group.sample(rng)) for _ in range(3000)])
    overlaps = np.abs(np.einsum("aij,aij->a", matrices[:1500].conj(), matrices[1500:])) ** 4
    assert overlaps.mean() == pytest.approx(2, abs=4 * overlaps.std() / np.sqrt(1500))
