"""One circuit from rows to counts: reduced, split, routed, raced, joined; against the branching oracle."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from conformance.families import FAMILIES
from conformance.oracle import exact_distribution
from qiskit import QuantumCircuit
from scipy.stats import chi2

from qrex.balance import CLASSICAL, CostConstants, calibrate
from qrex.circuits import Circuit
from qrex.engines import Allotment, Cost, Counts, Job, Stage, Support
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError
from qrex.execute import solving
from qrex.execute.solving import SolveRequest, prepare, solve

ROOM = Allotment(threads=1, memory_bytes=1 << 30)
SHOTS = 4000
LEVEL = 1e-6


@pytest.fixture(scope="module")
def constants():
    return CostConstants.from_dict(calibrate(1, budget_seconds=0.0).to_dict()).values


def request(circuit, constants, *, shots=SHOTS, seed=5, probe=(), **others) -> SolveRequest:
    named = Circuit(circuit.name, circuit.name, "<python>", "Qiskit", circuit, shots=shots)
    return SolveRequest(Job(named, shots, seed, tuple(probe)), constants, ROOM, **others)


def quiet(fraction: float) -> None:
    assert 0 <= fraction <= 1


def agrees(counts, expected) -> bool:
    assert set(counts) <= {text for text, p in expected.items() if p > 1e-12}
    cells = [(counts.get(text, 0), p * SHOTS) for text, p in expected.items() if p * SHOTS >= 5]
    seen, want = (SHOTS - sum(cell[k] for cell in cells) for k in (0, 1))
    if want > 1e-6:
        cells.append((seen, want))
    statistic = sum((a - b) ** 2 / b for a, b in cells)
    return len(cells) < 2 or chi2.sf(statistic, len(cells) - 1) > LEVEL


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_agree_with_the_oracle(constants, family):
    circuit = FAMILIES[family]()
    answer = solve(request(circuit, constants), quiet)
    assert sum(answer["counts"].values()) == SHOTS
    assert {len(text) for text in answer["counts"]} == {circuit.num_clbits}
    assert agrees(answer["counts"], exact_distribution(circuit))
    assert answer["decision_seconds"] > 0


def two_halves() -> QuantumCircuit:
    """Two independent entangled triples, a coin, a certain bit and one that is never written."""
    circuit = QuantumCircuit(8, 9)
    for first in (0, 3):
        circuit.ry(0.7 + first, first)
        circuit.cx(first, first + 1)
        circuit.crx(1.1, first + 1, first + 2)
        circuit.cry(0.4, first + 2, first)
    circuit.ry(1.3, 6)
    circuit.x(7)
    circuit.measure(range(8), [8, 1, 6, 3, 4, 0, 2, 7])
    return circuit


def test_parts_run_apart_and_come_back_together(constants):
    circuit = two_halves()
    expected = exact_distribution(circuit)
    probe = [*sorted(expected)[:5], "0" * 9]
    answer = solve(request(circuit, constants, probe=probe), quiet)
    assert len(answer["parts"]) == 2
    assert agrees(answer["counts"], expected)
    for text, probability in answer["probabilities"].items():
        assert probability == pytest.approx(expected.get(text, 0.0), abs=1e-5)
    again = solve(request(circuit, constants), quiet)
    other = solve(request(circuit, constants, seed=6), quiet)
    assert again["counts"] == answer["counts"] != other["counts"]


def test_certain_outcomes_and_coins_need_no_engine(constants):
    circuit = QuantumCircuit(70, 70)
    circuit.x(range(0, 70, 3))
    for qubit in range(69):
        circuit.cx(qubit, qubit + 1)
    circuit.h(69)
    circuit.measure(range(70), range(70))
    answer = solve(request(circuit, constants), quiet)
    assert answer["engine"] == CLASSICAL and not answer["parts"]
    assert len(answer["counts"]) == 2 and sum(answer["counts"].values()) == SHOTS


def test_what_no_program_can_say_runs_as_written(constants):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.h(0)
        circuit.measure(0, 0)
    circuit.x(1)
    circuit.measure(1, 1)
    answer = solve(request(circuit, constants, shots=50), quiet)
    assert answer["engine"].startswith("aer-") and answer["counts"] == {"10": 50}


def test_a_plan_travels_without_the_circuit(constants):
    wanted = request(two_halves(), constants)
    prepared = prepare(wanted)
    light = SolveRequest(Job(None, SHOTS, 5, label="x"), constants, ROOM, prepared=prepared)
    assert solve(light, quiet)["counts"] == solve(wanted, quiet)["counts"]


@pytest.mark.parametrize("engine", ["statevector", "aer-statevector", "aer-mps", "aer-automatic"])
def test_an_engine_asked_for_by_name_runs(constants, engine):
    answer = solve(request(two_halves(), constants, engine=engine), quiet)
    assert answer["engine"] == engine
    assert agrees(answer["counts"], exact_distribution(two_halves()))


def test_an_engine_that_cannot_says_so(constants):
    with pytest.raises(InfeasibleError, match="Clifford"):
        solve(request(two_halves(), constants, engine="stabilizer"), quiet)
    with pytest.raises(EngineError, match="nothing"):
        solve(request(two_halves(), constants, engine="nothing"), quiet)


@dataclass
class Made:
    """An engine that answers all zeros after `total` seconds of its own clock, or fails for memory."""

    name: str
    seconds: float
    bound: bool = False
    fails: bool = False
    infidelity: float = 0.0
    constants: dict = field(default_factory=dict)

    def supports(self, profile):
        return Support(True)

    def estimate(self, profile, allotment):
        return Cost(self.seconds, 10, upper_bound=self.bound)

    def run(self, job, allotment, progress):
        if self.fails:
            raise MemoryLimitError(f"{self.name} needs more")
        bits = "0" * job.program.num_clbits
        return Counts({bits: job.shots}, job.shots, {}, {"method": self.name, "infidelity": self.infidelity})


@dataclass
class Stepped(Made):
    forecasts: tuple = ()

    def start(self, job, allotment):
        return _Run(self, job, list(self.forecasts))


@dataclass
class _Run:
    engine: Stepped
    job: Job
    forecasts: list

    def advance(self, seconds):
        if self.engine.fails:
            raise MemoryLimitError("grew too large")
        time.sleep(seconds)  # a race is judged by time spent
        left = self.forecasts.pop(0)
        return Stage(not left, 0.5, 7, 1234, left)

    def finish(self, progress):
        return self.engine.run(self.job, ROOM, progress)


def with_engines(monkeypatch, *engines):
    monkeypatch.setattr(solving, "engines_of", lambda request: {engine.name: engine for engine in engines})


def entangled() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(0.3, 0)
    circuit.cry(0.4, 0, 1)
    circuit.crx(0.4, 1, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_a_breach_of_memory_is_tried_again_elsewhere(monkeypatch):
    with_engines(monkeypatch, Made("greedy", 0.1, fails=True), Made("modest", 0.5))
    answer = solve(request(entangled(), {}), quiet)
    assert answer["engine"] == "modest"
    assert "greedy needs more" in answer["note"]
    with_engines(monkeypatch, Made("greedy", 0.1, fails=True))
    with pytest.raises(MemoryLimitError, match="greedy needs more"):
        solve(request(entangled(), {}), quiet)


@dataclass
class Faulty(Stepped):
    """Does `wrong` at the moment `when`."""

    when: str = "run"
    wrong: object = None
    ran: int = 0

    def _does_wrong(self):
        self.ran += 1
        if isinstance(self.wrong, BaseException):
            raise self.wrong
        return self.wrong

    def start(self, job, allotment):
        return self._does_wrong() if self.when == "start" else _FaultyRun(self, job, list(self.forecasts))

    def run(self, job, allotment, progress):
        return self._does_wrong()


class _FaultyRun(_Run):
    def advance(self, seconds):
        return self.engine._does_wrong() if self.engine.when == "advance" else super().advance(seconds)


class Panic(BaseException):
    """As compiled code raises it."""


SPACED = Counts({"0 0": SHOTS}, SHOTS)


@pytest.mark.parametrize(
    "wrong", [ValueError("no idea"), Panic("index"), SystemExit(1), InfeasibleError("no"), SPACED, None]
)
def test_an_engine_at_fault_is_named_and_the_next_one_tried(monkeypatch, wrong):
    with_engines(monkeypatch, Faulty("faulty", 0.1, wrong=wrong), Made("sound", 0.5))
    answer = solve(request(entangled(), {}), quiet)
    assert answer["engine"] == "sound" and answer["counts"] == {"00": SHOTS}
    assert answer["note"].startswith("faulty did not do: ")
    with_engines(monkeypatch, Faulty("faulty", 0.1, wrong=wrong))
    with pytest.raises(EngineError, match=r"faulty|^no$"):
        solve(request(entangled(), {}), quiet)


@pytest.mark.parametrize("when", ["start", "advance", "finish"])
@pytest.mark.parametrize("guarded", [False, True])
def test_a_contender_at_fault_is_blamed_itself(monkeypatch, when, guarded):
    """A wrong answer is its own as well; the certain engine is not suspected, and nothing is tried twice."""
    faulty = Faulty("faulty", 1e3, bound=True, forecasts=(0.01, 0.0), when=when,
                    wrong=SPACED if when == "finish" else ValueError("no idea"))  # fmt: skip
    other = Stepped("other", 1e4, bound=True, forecasts=(0.01, 0.0)) if guarded else Made("certain", 0.5)
    with_engines(monkeypatch, other, faulty)
    wanted = request(entangled(), {})
    answer = solve(replace(wanted, allotment=replace(ROOM, memory_bytes=5)) if guarded else wanted, quiet)
    assert answer["engine"] == other.name and faulty.ran == 1
    assert "faulty did not do: engine 'faulty' " in answer["note"] and f"{other.name} did not" not in answer["note"]


def test_what_progress_raises_cancels_and_is_nobodys_fault(monkeypatch):
    class Cancelled(Exception):
        pass

    class Reporting(Made):
        def run(self, job, allotment, progress):
            try:
                progress(0.5)
            except Cancelled as stop:
                raise RuntimeError("interrupted") from stop

    def cancel(fraction):
        raise Cancelled

    with_engines(monkeypatch, Reporting("reporting", 0.1), Made("sound", 0.5))
    with pytest.raises(Cancelled):
        solve(request(entangled(), {}), cancel)


def test_want_of_memory_is_told_from_a_fault(monkeypatch):
    with_engines(monkeypatch, Faulty("faulty", 0.1, wrong=RuntimeError("std::bad_alloc")))
    with pytest.raises(MemoryLimitError, match=r"faulty went past its memory limit of 1\.07 GB"):
        solve(request(entangled(), {}), quiet)


def test_an_answer_that_lost_too_much_is_not_taken(monkeypatch):
    with_engines(monkeypatch, Made("blurred", 0.1, infidelity=0.01), Made("sharp", 0.5))
    answer = solve(request(entangled(), {}), quiet)
    assert answer["engine"] == "sharp" and "0.01" in answer["note"]


def test_races_are_run_and_told(monkeypatch):
    quick = Stepped("quick", 1e3, bound=True, forecasts=(0.01, 0.0))
    with_engines(monkeypatch, Made("certain", 0.5), quick)
    answer = solve(request(entangled(), {}), quiet)
    assert answer["engine"] == "quick" and answer["certain"]
    assert answer["parts"][0]["race"]["quick"]["size"] == 7
    assert answer["predicted_bytes"] == 1234 + prepare(request(entangled(), {})).plan.answer_bytes
    hopeless = Stepped("hopeless", 1e3, bound=True, forecasts=(99.0,) * 20)
    with_engines(monkeypatch, Made("certain", 0.5), hopeless)
    answer = solve(request(entangled(), {}), quiet)
    assert answer["engine"] == "certain" and "hopeless" in answer["note"]


def test_seeds_of_parts_differ(constants):
    """Two equal independent parts must not give equal bits."""
    circuit = QuantumCircuit(4, 4)
    for first in (0, 2):
        circuit.ry(1.2, first)
        circuit.cry(0.9, first, first + 1)
        circuit.crx(0.7, first + 1, first)
    circuit.measure(range(4), range(4))
    counts = solve(request(circuit, constants), quiet)["counts"]
    halves = np.array([[int(text[:2], 2), int(text[2:], 2), n] for text, n in counts.items()])
    same = halves[halves[:, 0] == halves[:, 1]][:, 2].sum()
    assert same < 0.9 * SHOTS
