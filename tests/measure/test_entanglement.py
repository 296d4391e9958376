from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.errors import InputError
from qrex.measure.entanglement import (
    algebraic_connectivity,
    bell_diagonal_ebits,
    best_simultaneous_set,
    color_links,
    isotropic_ebits,
    link_conflicts,
    min_cut,
)

RING = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5))


@pytest.mark.parametrize(("fidelity", "ebits"), [(0.96, 0.694), (0.99, 0.903), (0.995, 0.947)])
def test_published_values(fidelity, ebits):
    assert float(isotropic_ebits(fidelity)) == pytest.approx(ebits, abs=5e-4)


def test_hashing_bound_vanishes_near_a_werner_fidelity_of_0_81():
    assert float(isotropic_ebits(0.810)) == 0
    assert float(isotropic_ebits(0.812)) > 0
    assert float(isotropic_ebits(0.0)) == 0  # not the other end of the formula


@given(st.floats(0.25, 1))
def test_isotropic_is_the_bell_diagonal_with_equal_rest(fidelity):
    rest = (1 - fidelity) / 3
    assert float(isotropic_ebits(fidelity)) == pytest.approx(
        bell_diagonal_ebits([fidelity, rest, rest, rest]), abs=1e-9
    )


def test_weights_must_be_probabilities():
    with pytest.raises(InputError, match="four probabilities"):
        bell_diagonal_ebits([0.5, 0.6, 0, 0])


def test_links_of_a_ring_conflict_up_to_distance_two():
    conflicts = {frozenset((RING[i], RING[j])) for i, j in link_conflicts(RING)}
    assert frozenset(((0, 1), (1, 2))) in conflicts  # share a qubit
    assert frozenset(((0, 1), (2, 3))) in conflicts  # joined by the link (1, 2)
    assert frozenset(((0, 1), (3, 4))) not in conflicts
    assert len(color_links(RING, link_conflicts(RING))) == 3


def test_weak_interaction_lets_neighbors_fire_at_once():
    path = ((0, 1), (1, 2), (2, 3))
    times = dict.fromkeys(path, 400e-9)
    # 2π·ζ·400 ns reaches 0.15 rad at 59.7 kHz.
    weak, strong = ({link: rate for link in path} for rate in (59e3, 60e3))
    assert (0, 2) not in link_conflicts(path, times, weak)
    assert (0, 2) in link_conflicts(path, times, strong)
    assert {(0, 1), (1, 2)} <= set(link_conflicts(path, times, weak))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_best_set_is_brute_forces(data):
    count = data.draw(st.integers(1, 8))
    weights = data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    pairs = list(combinations(range(count), 2))
    conflicts = [pair for pair in pairs if data.draw(st.booleans())]
    best = max(
        sum(weights[i] for i in chosen)
        for size in range(count + 1)
        for chosen in combinations(range(count), size)
        if not any(set(pair) <= set(chosen) for pair in conflicts)
    )
    chosen, proved = best_simultaneous_set(weights, conflicts)
    assert proved
    assert not any(set(pair) <= set(chosen) for pair in conflicts)
    assert sum(weights[i] for i in chosen) == pytest.approx(best, abs=1e-5)


def test_connectivity_of_a_path_is_its_closed_form():
    # λ₂ of a path of n vertices with weight w is 2w(1 - cos(π/n)).
    path = [(i, i + 1) for i in range(6)]
    assert algebraic_connectivity(range(7), path, [0.8] * 6) == pytest.approx(1.6 * (1 - np.cos(np.pi / 7)))
    assert algebraic_connectivity([0, 1, 2], [(0, 1)], [1.0]) == pytest.approx(0)


def test_min_cut_takes_the_weakest_ways_round_a_ring():
    weights = [0.9, 0.2, 0.9, 0.9, 0.3, 0.9]
    value, side = min_cut(range(6), RING, weights)
    assert value == pytest.approx(0.5)
    assert set(side) in ({2, 3, 4}, {0, 1, 5})
    assert min_cut(range(3), [(0, 1)], [1.0]) == (0.0, (2,))
