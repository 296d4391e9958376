"""One suite for every engine: a new engine is done when it passes this."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qrex.engines import Allotment, Counts, Engine, Job, available_engines
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import profile_circuit

from .families import FAMILIES, exact_distribution, named
from .judging import LEVEL, SHOTS, chi_square_p

ENGINES = available_engines({})
ROOM = Allotment(threads=1, memory_bytes=1 << 30)


def quiet(fraction: float) -> None:
    assert 0 <= fraction <= 1


def run(
    engine: Engine, circuit: QuantumCircuit, *, shots: int = SHOTS, seed: int = 7, probe=(), room=ROOM
) -> Counts:
    return engine.run(Job(named(circuit, shots), shots, seed, tuple(probe)), room, quiet)


@pytest.fixture(params=sorted(ENGINES))
def engine(request) -> Engine:
    return ENGINES[request.param]


def test_our_engines_are_all_here():
    assert set(ENGINES) >= {
        "statevector", "stabilizer", "aer-automatic", "aer-statevector", "aer-mps", "aer-stabilizer",
    }  # fmt: skip


def test_oracle_knows_closed_forms():
    """The oracle itself: teleported |1⟩ arrives, and adder outcomes are sums."""
    assert {text[0] for text in exact_distribution(FAMILIES["conditional"]())} == {"1"}
    for text, probability in exact_distribution(FAMILIES["arithmetic"]()).items():
        total, left = int(text[:3], 2), int(text[3:], 2)
        assert probability == pytest.approx(1 / 4)
        assert total == (left + 6) % 8
    assert exact_distribution(FAMILIES["bit order"]()) == pytest.approx({"01010": 1.0})
    assert exact_distribution(FAMILIES["loop"]())["00"] == pytest.approx((math.cos(0.2) * math.cos(0.4)) ** 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_the_exact_distribution(engine, family):
    circuit = FAMILIES[family]()
    support = engine.supports(profile_circuit(named(circuit)))
    if not support.supported:
        assert support.reason
        with pytest.raises(EngineError):
            run(engine, circuit)
        return
    answer = run(engine, circuit)
    assert sum(answer.counts.values()) == answer.shots == SHOTS
    assert {len(text) for text in answer.counts} == {circuit.num_clbits}
    assert chi_square_p(answer.counts, exact_distribution(circuit), SHOTS) > LEVEL


def test_the_suite_would_notice_a_wrong_distribution():
    expected = exact_distribution(FAMILIES["random"]())
    rotated = {text[1:] + text[0]: p for text, p in expected.items()}
    drawn = np.random.default_rng(1).multinomial(SHOTS, list(rotated.values()))
    counts = dict(zip(rotated, drawn.tolist(), strict=True))
    assert chi_square_p({text: n for text, n in counts.items() if n}, expected, SHOTS) < LEVEL


def test_every_engine_takes_the_clifford_circuit_or_says_why(engine):
    """Each family is taken by at least one engine, and every engine takes the simplest circuit."""
    taken = {
        family: [
            name for name, other in ENGINES.items()
            if other.supports(profile_circuit(named(build()))).supported
        ]
        for family, build in FAMILIES.items()
    }  # fmt: skip
    assert all(taken.values()), taken
    assert engine.name in taken["bit order"]


def test_same_seed_same_counts(engine):
    circuit = FAMILIES["clifford" if "stabilizer" in engine.name else "random"]()
    if engine.name == "aer-stabilizer":
        circuit = QuantumCircuit(4, 4)
        circuit.h(range(4))
        circuit.measure(range(4), range(4))
    first, again, other = (run(engine, circuit, seed=seed).counts for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_memory_limit_is_refused_before_it_is_passed(engine):
    """A dense state of 26 qubits in 64 MB, or, where no dense state is kept, samples that do not fit."""
    circuit = QuantumCircuit(26, 26)
    circuit.h(range(26))
    if "stabilizer" not in engine.name:
        circuit.rx(0.3, range(26))
    circuit.measure(range(26), range(26))
    room = Allotment(threads=1, memory_bytes=64 << 20)
    if engine.name in ("aer-mps", "aer-stabilizer", "mps"):
        # Bounded by construction: product states and tableaux of this size take under a megabyte.
        assert run(engine, circuit, shots=10, room=room).shots == 10
        return
    shots = 10 if engine.name != "stabilizer" else 10_000_000
    with pytest.raises(MemoryLimitError, match=r"\d"):
        run(engine, circuit, shots=shots, room=room)


def test_probed_probabilities_are_right_where_given(engine):
    circuit = FAMILIES["bit order"]() if "stabilizer" in engine.name else FAMILIES["random"]()
    expected = exact_distribution(circuit)
    probe = sorted(expected)[:3]
    given = run(engine, circuit, probe=probe).probabilities
    assert set(given) <= set(probe)
    for text, probability in given.items():
        assert probability == pytest.approx(expected[text], abs=1e-5)


def test_progress_may_cancel(engine):
    class Cancelled(Exception):
        pass

    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        engine.run(Job(named(FAMILIES["bit order"]()), 10, 1), ROOM, cancel)


def test_no_estimate_without_measured_constants(engine):
    with pytest.raises(EngineError, match="calibrate"):
        engine.estimate(profile_circuit(named(FAMILIES["bit order"]())), ROOM)


def test_answer_travels(engine):
    """Results go through a pipe and into the store."""
    answer = run(engine, FAMILIES["bit order"](), shots=10)
    assert pickle.loads(pickle.dumps(answer)) == answer
    json.dumps(dict(answer.metadata), allow_nan=False)
    assert isinstance(engine, Engine)
