"""One suite for every engine, those of other packages that are installed too: a new engine is done when it passes
`pytest tests/conformance -k NAME`."""

from __future__ import annotations

import functools
import json
import math
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qrex.circuits.flattening import flatten
from qrex.engines import Allotment, Counts, Engine, Job, available_engines, engine_status
from qrex.engines.asking import check_counts
from qrex.engines.protocol import SteppedEngine
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError
from qrex.profile import profile_circuit

from .families import FAMILIES, adder_of_basis_states, named
from .judging import LEVEL, SHOTS, chi_square_p
from .oracle import exact_distribution

ENGINES = available_engines({})
OURS = {status.name for status in engine_status() if not status.distribution}
ROOM = Allotment(threads=1, memory_bytes=1 << 30)


def quiet(fraction: float) -> None:
    assert 0 <= fraction <= 1


def run(
    engine: Engine, circuit: QuantumCircuit, *, shots: int = SHOTS, seed: int = 7, probe=(), room=ROOM
) -> Counts:
    return engine.run(Job(named(circuit, shots), shots, seed, tuple(probe)), room, quiet)


def supports(engine: Engine, circuit: QuantumCircuit):
    return engine.supports(profile_circuit(named(circuit)))


def takes_any_gate(engine: Engine) -> bool:
    return supports(engine, FAMILIES["random"]()).supported


@functools.cache
def family(name: str) -> tuple[QuantumCircuit, dict[str, float]]:
    circuit = FAMILIES[name]()
    return circuit, exact_distribution(circuit)


def brickwork(num_qubits: int, layers: int, *, clifford: bool) -> QuantumCircuit:
    random = np.random.default_rng(3)
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.h(qubit) if clifford else circuit.u(*random.uniform(0, 6, 3), qubit)
        for left in range(layer % 2, num_qubits - 1, 2):
            circuit.cx(left, left + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


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


def test_oracle_follows_noise_and_loops():
    """Closed forms: damping by 0.64 of cos²/sin² weights, and a loop left with probability cos²(0.6) each time."""
    damped = exact_distribution(FAMILIES["noise"]())
    second = sum(p for text, p in damped.items() if text[0] == "1")
    assert second == pytest.approx(math.sin(0.55) ** 2 * 0.36)
    looped = exact_distribution(FAMILIES["until zero"]())
    stay = math.sin(0.6) ** 2
    wanted = sum((1 - stay) * stay ** (k - 1) * math.sin(0.25 * k) ** 2 for k in range(1, 60))
    assert looped["10"] == pytest.approx(wanted)
    assert sum(looped.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", FAMILIES)
def test_agrees_with_the_exact_distribution(engine, name):
    circuit, exact = family(name)
    support = supports(engine, circuit)
    if not support.supported:
        assert support.reason
        with pytest.raises(EngineError):
            run(engine, circuit)
        return
    # A density matrix that is measured midway is evolved anew for each shot: fewer of them are enough.
    shots = SHOTS // 8 if engine.name == "aer-density-matrix" else SHOTS
    answer = run(engine, circuit, shots=shots)
    check_counts(engine.name, answer, circuit.num_clbits, shots)
    assert chi_square_p(answer.counts, exact, shots) > LEVEL


@pytest.mark.parametrize("name", ["clifford", "register condition", "multi-controlled", "overwritten bit", "reuse"])
def test_a_program_is_enough(engine, name):
    """The same, for a job that holds no circuit."""
    circuit, exact = family(name)
    if not supports(engine, circuit).supported:
        return
    job = Job(None, SHOTS, 7, given=flatten(circuit), label=name)
    answer = engine.run(job, ROOM, quiet)
    assert chi_square_p(answer.counts, exact, SHOTS) > LEVEL


def test_wide_arithmetic_on_basis_states(engine):
    """70 qubits that are never in superposition: exact for whoever takes it within its memory."""
    circuit, expected = adder_of_basis_states()
    if not supports(engine, circuit).supported:
        return
    try:
        assert run(engine, circuit, shots=100).counts == {expected: 100}
    except (InfeasibleError, MemoryLimitError) as error:
        # A dense engine, which refuses 2^70 amplitudes; of ours, none but those.
        assert "statevector" in engine.name or engine.name not in OURS, error


def test_the_suite_would_notice_a_wrong_distribution():
    expected = exact_distribution(FAMILIES["random"]())
    rotated = {text[1:] + text[0]: p for text, p in expected.items()}
    drawn = np.random.default_rng(1).multinomial(SHOTS, list(rotated.values()))
    counts = dict(zip(rotated, drawn.tolist(), strict=True))
    assert chi_square_p({text: n for text, n in counts.items() if n}, expected, SHOTS) < LEVEL


def test_every_family_has_an_engine_and_every_engine_a_family(engine):
    taken = {name: [e.name for e in ENGINES.values() if supports(e, family(name)[0]).supported] for name in FAMILIES}
    assert all(taken.values()), taken
    assert engine.name in taken["bit order"]


def test_same_seed_same_counts(engine):
    circuit = FAMILIES["random" if takes_any_gate(engine) else "clifford"]()
    if not supports(engine, circuit).supported:
        circuit = QuantumCircuit(4, 4)
        circuit.h(range(4))
        circuit.measure(range(4), range(4))
    first, again, other = (run(engine, circuit, seed=seed).counts for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_memory_limit_is_refused_before_it_is_passed(engine):
    """A state of 26 qubits, entangled all over, in 64 MB; samples that do not fit where no such state is kept."""
    clifford = not takes_any_gate(engine)
    circuit = brickwork(26, 1 if clifford else 26, clifford=clifford)
    room = Allotment(threads=1, memory_bytes=64 << 20)
    if engine.name == "aer-stabilizer":  # bounded by construction: a tableau of this size takes kilobytes
        assert run(engine, circuit, shots=10, room=room).shots == 10
        return
    with pytest.raises((MemoryLimitError, EngineError), match=r"\d.*(allot|memory)") as refused:
        run(engine, circuit, shots=10_000_000 if clifford else 10, room=room)
    # Aer's matrix product state is held to bonds that fit, and then the answer is what is missing.
    assert isinstance(refused.value, MemoryLimitError) or engine.name == "aer-mps"


def test_probed_probabilities_are_right_where_given(engine):
    circuit = FAMILIES["random" if takes_any_gate(engine) else "bit order"]()
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


def test_a_long_run_is_given_up_midway(engine):
    """Cancelled at the third report: there must be more than the first and the last."""
    if getattr(engine, "one_call", False):
        pytest.skip("one call into another library: it says so, and only the end of its process stops it")
    clifford = not takes_any_gate(engine)
    circuit = brickwork(40 if clifford else 21, 40, clifford=clifford)
    reports = []

    def cancel(fraction: float) -> None:
        reports.append(fraction)
        if len(reports) == 3:
            raise InterruptedError

    shots = 3_000_000 if clifford else 1000
    with pytest.raises(InterruptedError):
        engine.run(Job(named(circuit), shots, 1), ROOM, cancel)
    assert reports == sorted(reports) and reports[-1] < 0.9


@pytest.mark.parametrize("name", ["random", "reuse", "nested conditions"])
def test_stepping_changes_nothing(engine, name):
    """Advanced in slices that are too short for anything, a run gives the counts that `run` gives."""
    circuit, _ = family(name)
    if not isinstance(engine, SteppedEngine) or not supports(engine, circuit).supported:
        return
    job = Job(named(circuit), SHOTS, 7)
    stepped = engine.start(job, ROOM)
    fractions = []
    while not (stage := stepped.advance(1e-6)).done:
        fractions.append(stage.fraction)
        assert 0 <= stage.held_bytes <= ROOM.memory_bytes and stage.forecast_seconds >= 0
    assert fractions == sorted(fractions)
    assert stepped.finish(quiet).counts == run(engine, circuit).counts


def test_no_estimate_without_measured_constants(engine):
    if not getattr(engine, "constant_names", ()):
        assert engine.name not in OURS
        pytest.skip("it states no constants")
    with pytest.raises(EngineError, match="calibrate"):
        engine.estimate(profile_circuit(named(FAMILIES["bit order"]())), ROOM)


def test_answer_travels(engine):
    """Results go through a pipe and into the store."""
    answer = run(engine, FAMILIES["bit order"](), shots=10)
    assert pickle.loads(pickle.dumps(answer)) == answer
    json.dumps(dict(answer.metadata), allow_nan=False)
    assert isinstance(engine, Engine)
