import itertools
import math
from types import SimpleNamespace

import pytest
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeFez, FakeGuadalupeV2, FakeManilaV2

from qrex.errors import InputError
from qrex.measure.chains import best_chain, gate_product, named_chain
from qrex.measure.schedule import coupling_links


def losses(target):
    found = {}
    for pair, properties in target["cx"].items():
        link = tuple(sorted(pair))
        found[link] = min(found.get(link, math.inf), -math.log(1 - 1.25 * properties.error))
    return found


def test_the_best_chain_is_the_best_of_all_paths():
    target = FakeGuadalupeV2().target
    loss = losses(target)
    around = {q: [a + b - q for a, b in loss if q in (a, b)] for q in range(16)}
    paths = [(q,) for q in range(16)]
    for _ in range(6):
        paths = [(*p, q) for p in paths for q in around[p[-1]] if q not in p]
    least = min(sum(loss[tuple(sorted(link))] for link in itertools.pairwise(p)) for p in paths)
    found = best_chain(target, 7)
    assert len(set(found)) == 7
    assert sum(loss[tuple(sorted(link))] for link in itertools.pairwise(found)) == pytest.approx(least)


def test_a_small_device_gives_what_it_has():
    assert sorted(best_chain(FakeManilaV2().target, 10)) == [0, 1, 2, 3, 4]


def test_broken_gates_are_left_out():
    target = FakeFez().target
    broken = {tuple(sorted(pair)) for pair, p in target["cz"].items() if p.error is not None and p.error >= 0.5}
    chain = best_chain(target, 10)
    used = {tuple(sorted(link)) for link in itertools.pairwise(chain)}
    assert broken and len(used) == 9 and not used & broken and used <= set(coupling_links(target))


def test_a_device_without_links_has_no_chain(make_target):
    with pytest.raises(InputError, match="no chain"):
        best_chain(make_target(2, []), 4)


def test_snapshots_name_chains_and_what_was_measured_there():
    backend = FakeBrisbane()
    found = named_chain(backend.properties(), 10)
    # Read off the snapshot's own file.
    assert found.qubits == (11, 12, 17, 30, 31, 32, 36, 51, 50, 49)
    assert found.fidelity == pytest.approx(0.8937, abs=5e-5)
    assert named_chain(backend.properties(), 3) is None
    assert named_chain(FakeManilaV2().properties(), 10) is None
    assert named_chain(None, 10) is None
    assert named_chain(SimpleNamespace(), 10) is None


def test_the_product_of_gate_errors(make_target):
    target = make_target(3, [(0, 1), (1, 2)])  # cx 1e-2, sx 1e-4
    found = gate_product(target, [((0, 1), (2,)), ((1, 2), (0,))])
    assert found == pytest.approx((1 - 1.25e-2) ** 2 * (1 - 1.5e-4) ** 2)
    target["cx"][0, 1].error = None
    assert gate_product(target, [((0, 1), (2,))]) is None
