"""Routes: made-up engines for the rules, calibrated ones for well-known circuits."""

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate

from qrex.balance import CostConstants, calibrate, route
from qrex.circuits import Circuit
from qrex.engines import Allotment, Cost, Support, available_engines
from qrex.errors import EngineError, InputError, NoEngineError
from qrex.profile import profile_circuit

ROOM = Allotment(threads=2, memory_bytes=4 << 30)


@dataclass
class Made:
    """An engine with the verdict and the cost it is told."""

    name: str
    cost: Cost | None = None
    refusal: str = ""
    delegates: bool = False
    constants: dict = field(default_factory=dict)

    def supports(self, profile):
        return Support(not self.refusal, self.refusal)

    def estimate(self, profile, allotment):
        if self.cost is None:
            raise EngineError("not measured; run `qrex calibrate`")
        return self.cost


def profile(circuit: QuantumCircuit, shots: int = 1000):
    return profile_circuit(Circuit("t", "t", "<python>", "Qiskit", circuit, shots=shots))


def chosen(*engines, room=ROOM, infidelity=1e-3):
    return route(profile(QuantumCircuit(2)), {engine.name: engine for engine in engines}, room, infidelity)


def test_fastest_wins_and_the_others_have_their_reason():
    found = chosen(
        Made("slow", Cost(2.0, 10)),
        Made("fast", Cost(0.5, 10)),
        Made("refuses", refusal="has a T gate"),
        Made("blurred", Cost(0.1, 10, infidelity=0.5)),
        Made("huge", Cost(0.1, 1 << 40)),
        Made("unmeasured"),
        Made("spills", Cost(0.1, 10, disk_bytes=5)),
        Made("asks others", Cost(0.1, 10), delegates=True),
    )
    assert found.engine == "fast" and not found.guarded
    assert [name for name, _ in found.ranked] == ["fast", "slow"]
    assert set(found.passed_over) == {"slow", "refuses", "blurred", "huge", "unmeasured", "spills", "asks others"}
    assert found.passed_over["refuses"] == "has a T gate"
    for name, word in {"slow": "slower", "blurred": "infidelity", "huge": "1.1 TB", "unmeasured": "calibrate",
                       "spills": "disk"}.items():  # fmt: skip
        assert word in found.passed_over[name]


def test_ties_go_by_name():
    assert chosen(Made("b", Cost(1.0, 1)), Made("a", Cost(1.0, 1))).engine == "a"


def test_a_bound_that_does_not_fit_is_tried_only_as_the_last_resort():
    bound = Made("bounded", Cost(1e9, 1 << 60, upper_bound=True))
    assert chosen(bound, Made("slow", Cost(100.0, 10))).engine == "slow"
    last = chosen(bound, Made("huge", Cost(1.0, 1 << 60)))
    assert last.engine == "bounded" and last.guarded
    assert last.cost.peak_bytes == ROOM.memory_bytes
    assert "no engine is certain to fit" in last.reason


@dataclass
class Stepped(Made):
    def start(self, job, allotment):
        raise NotImplementedError


def test_what_may_stay_below_its_bound_races_against_the_certain_one():
    certain = Made("certain", Cost(1.0, 10))
    loose = Stepped("loose", Cost(50.0, 10, upper_bound=True))
    wild = Stepped("wild", Cost(1e9, 1 << 60, upper_bound=True))
    fixed = Made("fixed", Cost(60.0, 10, upper_bound=True))
    found = chosen(certain, loose, wild, fixed)
    assert found.engine == "certain" and found.contenders == ("loose", "wild")
    assert found.race_seconds == pytest.approx(0.1)
    assert "races" in found.passed_over["loose"] and "races" not in found.passed_over["fixed"]
    assert "loose and wild may overtake" in found.reason
    quick = chosen(Made("certain", Cost(0.001, 10)), loose)
    assert not quick.contenders and quick.race_seconds == 0


def test_a_proven_bound_below_all_others_is_chosen_and_may_be_overtaken_itself():
    found = chosen(Stepped("proven", Cost(0.5, 10, upper_bound=True)), Made("certain", Cost(1.0, 10)),
                   Stepped("loose", Cost(50.0, 10, upper_bound=True)))  # fmt: skip
    assert found.engine == "proven" and found.contenders == ("proven", "loose")
    assert "bound of the model 500 ms" in found.reason and "at most 500" not in found.reason
    assert found.grounds.startswith("fastest of 3") and "500 ms" not in found.grounds
    assert "loose may overtake it" in found.grounds


def test_where_nothing_is_certain_the_stepped_ones_race():
    found = chosen(Made("one call", Cost(1e3, 1 << 60, upper_bound=True)),
                   Stepped("a", Cost(1e9, 1 << 60, upper_bound=True)),
                   Stepped("b", Cost(1e8, 1 << 60, upper_bound=True)))  # fmt: skip
    assert found.guarded and found.contenders == ("b", "a") and found.engine == "b"
    assert "b and a race within" in found.reason


def test_earlier_runs_correct_a_prediction():
    def refine(name, cost, _profile):
        return Cost(cost.seconds * (10 if name == "flatters" else 1), cost.peak_bytes)

    engines = {e.name: e for e in (Made("flatters", Cost(0.5, 10)), Made("honest", Cost(1.0, 10)))}
    assert route(profile(QuantumCircuit(2)), engines, ROOM, refine=refine).engine == "honest"


def test_infeasible_says_what_would_help():
    with pytest.raises(NoEngineError, match=r"huge needs the least: 8\.59 GB") as refused:
        chosen(Made("huge", Cost(1.0, 1 << 33)), Made("no", refusal="not Clifford"))
    assert refused.value.needs == {"huge": 1 << 33} and refused.value.reasons["no"] == "not Clifford"
    again = pickle.loads(pickle.dumps(refused.value))
    assert str(again) == str(refused.value) and again.needs == refused.value.needs
    with pytest.raises(NoEngineError, match=r"^engine 'no' cannot run 2 qubits with 0 instructions: not Clifford$"):
        chosen(Made("no", refusal="not Clifford"))


def test_less_memory_or_more_disk_are_told_apart():
    ways = (Cost(3.0, 1 << 32, disk_bytes=1 << 33), Cost(2.0, 1 << 29, disk_bytes=1 << 40))
    with pytest.raises(NoEngineError, match=r"staged needs the least: 4\.29 GB") as refused:
        chosen(
            Made("staged", Cost(1.0, 1 << 33, instead=ways)), Made("other", Cost(1.0, 1 << 34)),
            room=Allotment(2, 1 << 30, "/scratch", 1 << 34),
        )
    assert refused.value.needs == {"staged": 1 << 32, "other": 1 << 34}
    assert refused.value.disk_needs == {"staged": 1 << 40}
    assert refused.value.reasons["staged"] == (
        "needs 8.59 GB or 4.29 GB with 8.59 GB of disk or 537 MB with 1.1 TB of disk; "
        "1.07 GB and 17.2 GB of disk allotted"
    )


def test_an_engine_that_fails_when_it_is_asked_is_passed_over():
    class Raising(Made):
        def supports(self, profile):
            raise KeyError("depth")

    found = chosen(Raising("raises"), Made("says true", cost=True), Made("sound", Cost(1.0, 10)))
    assert found.engine == "sound"
    assert found.passed_over["raises"] == "supports() raised KeyError: 'depth'"
    assert found.passed_over["says true"].startswith("estimate() returned True")


@pytest.fixture(scope="module")
def engines():
    constants = calibrate(1, budget_seconds=0.0)
    assert not constants.failures
    return available_engines(CostConstants.from_dict(constants.to_dict()).values)


def ghz(size):
    circuit = QuantumCircuit(size, size)
    circuit.h(0)
    for qubit in range(size - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def w_state(size):
    circuit = QuantumCircuit(size, size)
    circuit.x(0)
    for qubit in range(size - 1):
        circuit.cry(2 * np.arccos(np.sqrt(1 / (size - qubit))), qubit, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    return circuit


def qft(size):
    circuit = QuantumCircuit(size, size)
    circuit.append(QFTGate(size), range(size))
    return circuit


def deep(size):
    random = np.random.default_rng(1)
    circuit = QuantumCircuit(size, size)
    for layer in range(20):
        for qubit in range(size):
            circuit.u(*random.uniform(0, 6, 3), qubit)
        for left in range(layer % 2, size - 1, 2):
            circuit.cx(left, left + 1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "expected"),
    [
        (ghz(127), {"stabilizer", "sparse"}),
        (ghz(1000), {"stabilizer", "sparse"}),
        (qft(29), {"mps", "sparse"}),
        (qft(64), {"mps", "sparse"}),
        (w_state(27), {"sparse"}),
        (w_state(100), {"sparse"}),
        (deep(22), {"statevector", "aer-statevector"}),
    ],
    ids=["ghz 127", "ghz 1000", "qft 29", "qft 64", "w 27", "w 100", "deep 22"],
)
def test_well_known_circuits_go_where_they_belong(engines, circuit, expected):
    circuit.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    found = route(profile(circuit), engines, ROOM)
    assert found.engine in expected, found
    assert not found.guarded
    assert set(found.passed_over) | {found.engine} == set(engines)


def test_too_wide_and_too_deep_is_raced(engines):
    circuit = deep(60)
    circuit.measure(range(60), range(60))
    found = route(profile(circuit), engines, ROOM)
    assert set(found.contenders) == {"mps", "sparse"}


def test_constants_of_another_shape_are_an_input_error():
    with pytest.raises(InputError, match="qrex calibrate"):
        CostConstants.from_dict({"numbers": {}})
    with pytest.raises(InputError, match="0 threads"):
        calibrate(0)
