"""The sparse engine: amplitudes against Qiskit, sampled branches against a dense oracle, width, memory, steps."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import DiagonalGate, MCMTGate, MCPhaseGate, RYGate, XXMinusYYGate, XXPlusYYGate
from qiskit.quantum_info import Statevector, random_unitary
from scipy.stats import chi2

from qrex.circuits import Circuit
from qrex.circuits.flattening import flatten
from qrex.engines.protocol import Allotment, Job, SteppedEngine
from qrex.engines.sparse import SparseEngine, nonzero_amplitudes
from qrex.errors import EngineError, MemoryLimitError
from qrex.profile import profile_circuit

ROOM = Allotment(threads=1, memory_bytes=1 << 30)
ONE = ["x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg"]
TWO = ["cx", "cy", "cz", "ch", "cs", "csdg", "csx", "swap", "iswap", "ecr", "dcx"]
THREE = ["ccx", "ccz", "cswap", "rccx"]
TURNS = {"rx": 1, "ry": 1, "rz": 1, "p": 1, "r": 2, "u": 3}
TURNS_TWO = {"cp": 1, "crx": 1, "cry": 1, "crz": 1, "cu": 4, "rxx": 1, "ryy": 1, "rzz": 1, "rzx": 1}


def named(circuit: QuantumCircuit) -> Circuit:
    return Circuit("t", "t", "<python>", "Qiskit", circuit, shots=1)


def sample(circuit: QuantumCircuit, shots: int = 1000, seed: int = 1, room: Allotment = ROOM, probe=()):
    return SparseEngine({}).run(Job(named(circuit), shots, seed, tuple(probe)), room, lambda fraction: None)


def random_gate(random: np.random.Generator, circuit: QuantumCircuit) -> None:
    """Any kind of unitary row, on random qubits, with angles that are often multiples of π/2."""
    where = [int(q) for q in random.permutation(circuit.num_qubits)]

    def angles(count: int) -> list[float]:
        plain = random.integers(0, 2) == 0
        return list(random.integers(-4, 5, count) * np.pi / 2 if plain else random.uniform(-4, 4, count))

    kind = random.integers(0, 10)
    if kind <= 1:
        getattr(circuit, str(random.choice(ONE)))(where[0])
    elif kind == 2:
        name = str(random.choice(list(TURNS)))
        getattr(circuit, name)(*angles(TURNS[name]), where[0])
    elif kind <= 4:
        getattr(circuit, str(random.choice(TWO)))(*where[:2])
    elif kind == 5:
        name = str(random.choice(list(TURNS_TWO)))
        getattr(circuit, name)(*angles(TURNS_TWO[name]), *where[:2])
    elif kind == 6:
        getattr(circuit, str(random.choice(THREE)))(*where[:3])
    elif kind == 7:
        gate = [XXMinusYYGate, XXPlusYYGate][random.integers(0, 2)]
        circuit.append(gate(*angles(2)), where[:2])
    elif kind == 8:
        width = int(random.integers(1, 4))
        circuit.append(DiagonalGate(np.exp(1j * random.uniform(0, 6, 1 << width))), where[:width])
        circuit.unitary(random_unitary(1 << width, seed=int(random.integers(1 << 30))), where[:width])
    else:
        width = int(random.integers(2, min(5, circuit.num_qubits)))
        circuit.mcx(where[:width], where[width], ctrl_state=int(random.integers(1 << width)))
        circuit.append(MCPhaseGate(angles(1)[0], width), where[: width + 1])
        circuit.append(RYGate(angles(1)[0]).control(width), where[: width + 1])
        circuit.append(MCMTGate(RYGate(0.3), 1, 2), where[:3])


def random_circuit(num_qubits: int, gates: int, seed: int) -> QuantumCircuit:
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits)
    for _ in range(gates):
        random_gate(random, circuit)
    return circuit


def overlap(found: dict[int, complex], expected: dict[int, complex]) -> float:
    """|⟨expected|found⟩|, where both have norm 1."""
    norms = [sum(abs(a) ** 2 for a in state.values()) for state in (found, expected)]
    assert norms == pytest.approx([1, 1], abs=1e-10)
    return abs(sum(expected.get(key, 0).conjugate() * a for key, a in found.items()))


def dense(circuit: QuantumCircuit) -> dict[int, complex]:
    return {x: a for x, a in enumerate(Statevector(circuit).data.tolist()) if abs(a) > 1e-12}


@pytest.mark.parametrize("seed", range(40))
def test_amplitudes_are_qiskits(seed):
    circuit = random_circuit(5 + seed % 4, 12 + 2 * seed, seed)
    assert overlap(nonzero_amplitudes(flatten(circuit)), dense(circuit)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("width", [64, 65, 128, 129, 300])
@pytest.mark.parametrize("seed", range(4))
def test_amplitudes_do_not_depend_on_where_the_qubits_lie(width, seed):
    """Seven qubits spread over a wide register whose other qubits are 1."""
    small = random_circuit(7, 40, 100 + seed)
    places = [int(q) for q in np.random.default_rng(seed + width).choice(width, 7, replace=False)]
    wide = QuantumCircuit(width)
    wide.x(range(width))
    wide.x(places)
    wide.compose(small, places, inplace=True)
    rest = sum(1 << q for q in range(width) if q not in places)
    expected = {
        rest + sum((x >> k & 1) << q for k, q in enumerate(places)): a for x, a in dense(small).items()
    }  # fmt: skip
    assert overlap(nonzero_amplitudes(flatten(wide)), expected) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("pad", [0, 60, 130])
def test_states_of_many_chunks(pad):
    """A dense state of 13 qubits lies in four chunks: partitioned passes, on keys of one, two and four words."""
    random = np.random.default_rng(8)
    small = QuantumCircuit(13)
    for _ in range(3):
        for qubit in range(13):
            small.u(*random.uniform(0, 6, 3), qubit)
        for left in range(0, 12):
            small.cx(left, left + 1)
    small.compose(random_circuit(13, 25, 9), inplace=True)
    wide = QuantumCircuit(13 + pad)
    for qubit in range(pad):
        wide.x(qubit)
    wide.compose(small, range(pad, pad + 13), inplace=True)
    ones = (1 << pad) - 1
    expected = {(x << pad) + ones: a for x, a in dense(small).items()}
    assert overlap(nonzero_amplitudes(flatten(wide)), expected) == pytest.approx(1, abs=1e-9)


def test_interference_shrinks_the_state():
    circuit = QuantumCircuit(14)
    circuit.h(range(14))
    for qubit in range(13):
        circuit.cz(qubit, qubit + 1)
    for qubit in range(13):
        circuit.cz(qubit, qubit + 1)
    circuit.h(range(14))
    assert list(nonzero_amplitudes(flatten(circuit))) == [0]
    circuit.measure_all()
    answer = sample(circuit)
    assert answer.counts == {"0" * 14: 1000}
    assert answer.metadata["largest_size"] >= 1 << 12
    assert 0 <= answer.metadata["infidelity"] < 1e-9


# Sampled branches. Steps: ("gate", matrix, qubits), ("measure", qubit, bit), ("reset", qubit); each may have a
# condition (bits, value).


def exact(num_qubits: int, num_clbits: int, steps) -> dict[str, float]:
    start = np.zeros(1 << num_qubits, dtype=complex)
    start[0] = 1
    branches = [(start, [0] * num_clbits)]
    for kind, what, where, condition in steps:
        followed = []
        for state, bits in branches:
            if condition is not None:
                held = sum(bits[bit] << k for k, bit in enumerate(condition[0]))
                if held != condition[1]:
                    followed.append((state, bits))
                    continue
            if kind == "gate":
                followed.append((Statevector(state).evolve(what, where).data, bits))
                continue
            ones = np.arange(len(state)) >> what & 1 == 1
            for value, chosen in ((0, ~ones), (1, ones)):
                kept = np.where(chosen, state, 0)
                if np.vdot(kept, kept).real < 1e-15:
                    continue
                if kind == "measure":
                    written = list(bits)
                    written[where] = value
                    followed.append((kept, written))
                else:
                    moved = np.zeros_like(kept)
                    moved[np.arange(len(state))[chosen] & ~(1 << what)] = kept[chosen]
                    followed.append((moved, bits))
        branches = followed
    out: dict[str, float] = {}
    for state, bits in branches:
        text = "".join(map(str, reversed(bits)))
        out[text] = out.get(text, 0.0) + np.vdot(state, state).real
    return out


def dynamic(seed: int):
    """A random circuit with measurements, resets and conditions, and its steps for `exact`."""
    random = np.random.default_rng(seed)
    num_qubits, num_clbits = 4, 5
    circuit = QuantumCircuit(num_qubits, num_clbits)
    steps = []
    for _ in range(30):
        kind = random.integers(0, 10)
        condition = None
        if random.integers(0, 3) == 0:
            bits = [int(b) for b in random.choice(num_clbits, int(random.integers(1, 3)), replace=False)]
            condition = (bits, int(random.integers(0, 1 << len(bits))))
        inner = QuantumCircuit(num_qubits, num_clbits)
        if kind <= 6:
            random_gate(random, part := QuantumCircuit(num_qubits))
            inner.compose(part, range(num_qubits), inplace=True)
            for item in part.data:
                where = [part.find_bit(q).index for q in item.qubits]
                steps.append(("gate", item.operation, where, condition))
        elif kind <= 8:
            qubit, bit = int(random.integers(num_qubits)), int(random.integers(num_clbits))
            inner.measure(qubit, bit)
            steps.append(("measure", qubit, bit, condition))
        else:
            qubit = int(random.integers(num_qubits))
            inner.reset(qubit)
            steps.append(("reset", qubit, None, condition))
        if condition is None:
            circuit.compose(inner, inplace=True)
        else:
            # One statement per bit: all must hold.
            for bit, place in zip(reversed(condition[0]), reversed(range(len(condition[0]))), strict=True):
                outer = QuantumCircuit(num_qubits, num_clbits)
                wanted = condition[1] >> place & 1
                outer.if_test((outer.clbits[bit], wanted), inner, range(num_qubits), range(num_clbits))
                inner = outer
            circuit.compose(inner, inplace=True)
    for qubit in range(num_qubits):
        bit = int(random.integers(num_clbits))
        circuit.measure(qubit, bit)
        steps.append(("measure", qubit, bit, None))
    return circuit, exact(num_qubits, num_clbits, steps)


def p_value(counts, expected: dict[str, float], shots: int) -> float:
    assert set(counts) <= {text for text, p in expected.items() if p > 1e-12}, "an impossible outcome"
    cells = [(counts.get(text, 0), p * shots) for text, p in expected.items() if p * shots >= 5]
    rest = (shots - sum(a for a, _ in cells), shots - sum(b for _, b in cells))
    if rest[1] > 1e-6:
        cells.append(rest)
    statistic = sum((a - b) ** 2 / b for a, b in cells)
    return float(chi2.sf(statistic, len(cells) - 1)) if len(cells) > 1 else 1.0


@pytest.mark.parametrize("seed", range(30))
def test_branches_are_sampled_exactly(seed):
    circuit, expected = dynamic(seed)
    program = flatten(circuit)
    assert not program.obstacle
    assert sum(expected.values()) == pytest.approx(1)
    answer = sample(circuit, 5000, seed)
    assert sum(answer.counts.values()) == 5000
    assert p_value(answer.counts, expected, 5000) > 1e-6


def test_the_comparison_would_notice_another_circuit():
    (circuit, _), (_, expected) = dynamic(3), dynamic(4)
    try:
        assert p_value(sample(circuit, 5000).counts, expected, 5000) < 1e-6
    except AssertionError as impossible:
        assert "impossible" in str(impossible)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda c: (c.x(0), c.reset(0), c.measure(0, 0)), {"000"}),
        (lambda c: (c.x(0), c.measure(0, 0), c.measure(0, 2)), {"101"}),
        (lambda c: (c.x(0), c.measure(0, 1), c.measure(1, 1)), {"000"}),
        (lambda c: (c.x(0), c.measure(0, 0), c.reset(0), c.measure(0, 1)), {"001"}),
        (lambda c: (c.x(0), c.swap(0, 1), c.measure(1, 1), c.measure(0, 0)), {"010"}),
        (lambda c: (c.h(0), c.measure(0, 0), c.reset(0)), {"000", "001"}),
        (lambda c: (c.h(0), c.measure(0, 0), c.h(0), c.h(0), c.measure(0, 1)), {"000", "011"}),
    ],
)
def test_measurements_at_the_end_and_before_it(build, expected):
    circuit = QuantumCircuit(2, 3)
    build(circuit)
    assert set(sample(circuit).counts) == expected


def test_wide_cat_state():
    circuit = QuantumCircuit(433, 433)
    circuit.h(0)
    for qubit in range(432):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(433), range(433))
    answer = sample(circuit, 10_000, probe=["1" * 433, "0" * 432 + "1"])
    assert set(answer.counts) == {"0" * 433, "1" * 433}
    assert abs(answer.counts["0" * 433] - 5000) < 5 * 50
    assert answer.probabilities == pytest.approx({"1" * 433: 0.5, "0" * 432 + "1": 0.0})


def test_adder_of_200_qubits_on_superposed_inputs():
    """Cuccaro's ripple-carry adder on 99-bit numbers, six bits of one in superposition: outcomes are sums."""
    size = 99
    a, b, extra = QuantumRegister(size), QuantumRegister(size), QuantumRegister(2)
    left, total = ClassicalRegister(size), ClassicalRegister(size + 1)
    circuit = QuantumCircuit(a, b, extra, left, total)
    circuit.h([a[k] for k in (0, 3, 17, 40, 77, 98)])
    constant = 0b1011 << 95 | 0x5A5A5A5A5A5A5A5A5
    for k in range(size):
        if constant >> k & 1:
            circuit.x(b[k])
    carries = [extra[0], *a[:-1]]
    for k in range(size):
        circuit.cx(a[k], b[k])
        circuit.cx(a[k], carries[k])
        circuit.ccx(carries[k], b[k], a[k])
    circuit.cx(a[-1], extra[1])
    for k in reversed(range(size)):
        circuit.ccx(carries[k], b[k], a[k])
        circuit.cx(a[k], carries[k])
        circuit.cx(carries[k], b[k])
    circuit.measure(a, left)
    circuit.measure([*b, extra[1]], total)
    counts = sample(circuit, 2000).counts
    assert len(counts) == 64
    for text in counts:
        assert int(text[: size + 1], 2) == int(text[size + 1 :], 2) + constant % (1 << size)


def test_seeds_and_threads():
    circuit = QuantumCircuit(13)
    for qubit in range(13):
        circuit.ry(0.2 + qubit, qubit)
    for qubit in range(12):
        circuit.crx(1.1 * qubit, qubit, qubit + 1)
    circuit.measure_all()
    mixed, _ = dynamic(5)
    for program in (circuit, mixed):
        first = sample(program, seed=3).counts
        assert first == sample(program, seed=3, room=Allotment(3, 1 << 30)).counts
        assert first != sample(program, seed=4).counts


def test_samples_of_a_state_of_many_chunks():
    """4096 amplitudes lie in two chunks, whose order threads decide: sampling must not depend on it."""
    circuit = QuantumCircuit(12)
    random = np.random.default_rng(2)
    for _ in range(2):
        for qubit in range(12):
            circuit.u(*random.uniform(0, 6, 3), qubit)
        for qubit in range(11):
            circuit.cx(qubit, qubit + 1)
    expected = Statevector(circuit).probabilities_dict()
    circuit.measure_all()
    counts = sample(circuit, 50_000, 5).counts
    assert counts == sample(circuit, 50_000, 5, Allotment(3, 1 << 30)).counts
    assert p_value(counts, expected, 50_000) > 1e-6


def grown(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits, 1)
    for qubit in range(num_qubits):
        circuit.ry(0.4, qubit)
        circuit.cx(qubit, (qubit + 1) % num_qubits)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_limit_is_kept_and_leaves_everything_usable(threads):
    room = Allotment(threads, 24 << 20)
    engine = SparseEngine({})
    run = engine.start(Job(named(grown(40)), 100, 1), room)
    sizes = []
    with pytest.raises(MemoryLimitError, match="nonzero amplitudes after"):
        while True:
            stage = run.advance(0.001)
            sizes.append(stage.size)
            assert stage.held_bytes <= room.memory_bytes
    assert max(sizes) >= (1 << 16) - 1
    with pytest.raises(MemoryLimitError):
        run.advance(0.001)
    assert sum(engine.run(Job(named(grown(8)), 100, 1), room, lambda fraction: None).counts.values()) == 100
    with pytest.raises(MemoryLimitError, match="shots"):
        engine.run(Job(named(grown(8)), 10_000_000, 1), room, lambda fraction: None)


def test_stages_go_forward():
    engine = SparseEngine({})
    assert isinstance(engine, SteppedEngine)
    run = engine.start(Job(named(grown(16)), 100, 1), ROOM)
    with pytest.raises(EngineError, match="advance"):
        run.finish(lambda fraction: None)
    stages = []
    while not stages or not stages[-1].done:
        stages.append(run.advance(0.0005))
    fractions = [stage.fraction for stage in stages]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert all(stage.forecast_seconds >= 0 for stage in stages) and stages[-1].forecast_seconds == 0
    assert sum(run.finish(lambda fraction: None).counts.values()) == 100


def test_an_unfollowed_circuit_is_refused():
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    support = SparseEngine({}).supports(profile_circuit(named(circuit)))
    assert not support.supported and "while" in support.reason
    with pytest.raises(EngineError, match="while"):
        sample(circuit)
