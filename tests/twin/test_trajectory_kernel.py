"""The trajectories of a device with memory against its master equation, integrated directly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import expm_multiply
from scipy.stats import chi2

from qrex import _kernels

TURN, FLIP, ONE, TWO, BEGIN, END, NOISE, NOISE2, MEASURE, RESET, SETTLE, CALM = range(12)
SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
X = np.array([[0, 1], [1, 0]], dtype=complex)
Z = np.diag([1, -1]).astype(complex)
DOWN = np.array([[0, 1], [0, 0]], dtype=complex)
NUMBER = np.diag([0, 1]).astype(complex)
PAULIS = [np.eye(2), X, np.array([[0, -1j], [1j, 0]]), Z]


def _embedded(matrix):
    out = np.zeros((4, 4), dtype=complex)
    out.reshape(-1)[: matrix.size] = matrix.reshape(-1)
    return out


def _on(operators, n):
    """Tensor product with `operators[q]` on qubit q, qubit 0 least significant."""
    out = np.eye(1)
    for q in reversed(range(n)):
        out = np.kron(out, operators.get(q, np.eye(2)))
    return out


def _on_pair(matrix, a, b, n):
    """A 4 x 4 matrix, a least significant, on qubits a and b of n."""
    out = np.zeros((2**n, 2**n), dtype=complex)
    for column in range(2**n):
        low = (column >> a & 1) | (column >> b & 1) << 1
        rest = column & ~(1 << a | 1 << b)
        for row in range(4):
            out[rest | (row & 1) << a | (row >> 1) << b, column] += matrix[row, low]
    return out


class Oracle:
    """A density matrix, and what happens to it between events and in them. Signs of the parity are fixed."""

    def __init__(self, noise, pairs, zeta, parity):
        self.n = len(noise)
        self.noise, self.pairs, self.zeta, self.parity = noise, pairs, zeta, parity
        self.driven, self.resting, self.now = set(), set(), 0.0
        self.rho = np.zeros((2**self.n,) * 2, dtype=complex)
        self.rho[0, 0] = 1

    def wait(self, until):
        n, size = self.n, 2**self.n
        hamiltonian = np.zeros((size, size), dtype=complex)
        for q in range(n):
            if q not in self.driven:
                hamiltonian += self.parity[q] * self.noise[q, 3] * _on({q: NUMBER}, n)
        for (a, b), zeta in zip(self.pairs, self.zeta, strict=True):
            if frozenset((a, b)) in self.resting or {a, b} <= self.driven:
                continue
            left = 0.5 * np.eye(2) if a in self.driven else NUMBER
            right = 0.5 * np.eye(2) if b in self.driven else NUMBER
            hamiltonian += zeta * _on({a: left, b: right}, n)
        one = np.eye(size)
        generator = -1j * (np.kron(hamiltonian, one) - np.kron(one, hamiltonian.T))
        jumps = [np.sqrt(self.noise[q, 0]) * _on({q: DOWN}, n) for q in range(n)]
        jumps += [np.sqrt(self.noise[q, 1] / 2) * _on({q: Z}, n) for q in range(n)]
        for jump in jumps:
            square = jump.conj().T @ jump
            generator += np.kron(jump, jump.conj()) - (np.kron(square, one) + np.kron(one, square.T)) / 2
        elapsed = csr_array(generator * (until - self.now))
        self.rho = expm_multiply(elapsed, self.rho.reshape(-1), traceA=elapsed.trace()).reshape(size, size)
        self.now = until

    def apply(self, unitary):
        self.rho = unitary @ self.rho @ unitary.conj().T

    def event(self, kind, operands, values, matrices):
        n, (a, b, m) = self.n, operands
        self.wait(values[0])
        if kind == TURN:
            self.apply(_on({a: np.diag([1, np.exp(1j * values[1])])}, n))
        elif kind == FLIP:
            self.apply(_on({a: X}, n))
        elif kind == ONE:
            self.apply(_on({a: matrices[m].reshape(-1)[:4].reshape(2, 2)}, n))
        elif kind == TWO:
            self.apply(_on_pair(matrices[m], a, b, n))
        elif kind in (BEGIN, END):
            self.driven -= {a, b}
            self.resting.discard(frozenset((a, b)))
            if kind == BEGIN:
                self.resting.add(frozenset((a, b)))
                self.driven |= {q for k, q in enumerate((a, b)) if int(values[1]) >> k & 1}
        elif kind in (NOISE, NOISE2):
            qubits = (a,) if kind == NOISE else (a, b)
            mixed = sum(
                _on(dict(zip(qubits, some, strict=True)), n) @ self.rho @ _on(dict(zip(qubits, some, strict=True)), n)
                for some in itertools.product(PAULIS, repeat=len(qubits))
            ) / 4 ** len(qubits)
            self.rho = (1 - values[1]) * self.rho + values[1] * mixed
        elif kind == RESET:
            zero, lowered = _on({a: np.diag([1, 0])}, n), _on({a: DOWN}, n)
            self.rho = zero @ self.rho @ zero + lowered @ self.rho @ lowered.conj().T


def _random_events(rng, n, count, pairs):
    """Gates, pulses, noise and idling of random lengths; everything is read at the end."""
    events, now, together = [], 0.0, None
    for _ in range(count):
        now += float(rng.uniform(0, 3e-7))
        a = int(rng.integers(n))
        b = int(rng.choice([q for q in range(n) if q != a]))
        kinds = [TURN, FLIP, FLIP, ONE, ONE, ONE, TWO] if together is None else [FLIP, TURN, ONE]
        rare = [NOISE, NOISE2, RESET]
        kind = int(rng.choice([*kinds, END if together else BEGIN]))
        if together is None and rng.uniform() < 0.1:
            kind = int(rng.choice(rare))
        if together and kind != END and a in together:
            continue
        if kind == BEGIN:
            a, b = (int(q) for q in pairs[rng.integers(len(pairs))])
            together = (a, b)
            events.append((kind, (a, b, 0), (now, float(rng.integers(4)))))
        elif kind == END:
            events.append((kind, (*together, 0), (now, 0.0)))
            together = None
        else:
            value = {TURN: rng.uniform(-3, 3), NOISE: 0.1, NOISE2: 0.1}.get(kind, 0.0)
            events.append((kind, (a, b, int(rng.integers(2)) if kind == ONE else 2 + int(rng.integers(2))),
                           (now, float(value))))  # fmt: skip
    events += [(END, (*together, 0), (now, 0.0))] if together else []
    now += 2e-7
    # SETTLE is what the compiler of schedules writes where a measurement follows and nothing between turns the qubit.
    events += [(SETTLE if q % 2 else TURN, (q, q, 0), (now, 0.0)) for q in range(n)]
    return events + [(MEASURE, (q, q, 0), (now + 2e-7, 0.0)) for q in range(n)]


def _run(noise, pairs, zeta, events, matrices, shots, seed, **limits):
    kinds, operands, values = (np.array(column) for column in zip(*events, strict=True))
    return _kernels.sample_trajectories(
        noise, np.array(pairs, dtype=np.int32).reshape(-1, 2), np.array(zeta, dtype=float), kinds.astype(np.uint8),
        operands.astype(np.int32), values.astype(float), matrices, len(noise), shots, seed, 2, **limits,
    )  # fmt: skip


def _random_unitary(rng, size):
    q, r = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return q * (np.diag(r) / abs(np.diag(r)))


@pytest.mark.parametrize("seed", range(16))
def test_outcomes_are_those_of_the_master_equation(seed):
    rng = np.random.default_rng(seed)
    n, shots = 2 + seed % 3, 100_000
    pairs = [(q, q + 1) for q in range(n - 1)] + ([(0, n - 1)] if n > 2 else [])
    zeta = rng.uniform(4e6, 1.2e7, len(pairs)) * rng.choice([-1, 1], len(pairs))
    noise = np.zeros((n, 8))
    noise[:, 0] = rng.uniform(0.5e5, 4e5, n)
    noise[:, 1] = rng.uniform(1e5, 4e5, n)
    noise[:2, 3] = rng.uniform(1e6, 5e6, 2)
    matrices = np.array([_embedded(SX), _embedded(_random_unitary(rng, 2)), _random_unitary(rng, 4),
                         np.diag([1, 1, 1, -1]).astype(complex)])  # fmt: skip
    events = _random_events(rng, n, 24, pairs)
    bits, twirled, live = _run(noise, pairs, zeta, events, matrices, shots, seed)
    assert twirled == 0 and live <= n
    found = np.bincount(bits @ (1 << np.arange(n)), minlength=2**n)
    expected = np.zeros(2**n)
    for signs in itertools.product((1, -1), repeat=2):
        oracle = Oracle(noise, pairs, zeta, (*signs, 1, 1))
        for event in events:
            oracle.event(*event, matrices)
        expected += np.diag(oracle.rho).real / 4
    assert expected.sum() == pytest.approx(1)
    likely = expected * shots > 5
    statistic = ((found - shots * expected)[likely] ** 2 / (shots * expected[likely])).sum()
    assert statistic < chi2.ppf(1 - 1e-5, max(likely.sum() - 1, 1))


def _ramsey(noise, elapsed, echo, shots, seed):
    """P(0) of one qubit after sx, `elapsed` seconds, sx: with a flip in the middle where `echo` says so."""
    table = np.zeros((1, 8))
    table[0, : len(noise)] = noise
    events = [(ONE, (0, 0, 0), (0.0, 0.0))]
    events += [(FLIP, (0, 0, 0), (elapsed / 2, 0.0))] if echo else []
    events += [(ONE, (0, 0, 0), (elapsed, 0.0)), (MEASURE, (0, 0, 0), (elapsed, 0.0))]
    bits, _, _ = _run(table, [], [], events, np.array([_embedded(SX)]), shots, seed)
    return 1 - bits.mean()


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("kind", ["white", "static", "parity", "drift"])
def test_each_kind_of_dephasing_decays_as_it_should(kind, echo):
    """Free decay and echo of white, static and Ornstein-Uhlenbeck noise (Cywinski et al., arXiv:0712.2225)."""
    t, shots = 5e-6, 200_000
    width, tau = 3e5, 3e-6
    a, b = t / tau, t / (2 * tau)
    free = np.exp(-((width * tau) ** 2) * (a - 1 + np.exp(-a)))
    echoed = np.exp(-((width * tau) ** 2) * (a - 3 + 4 * np.exp(-b) - np.exp(-a)))
    noise, left = {
        "white": ([0, 2e5], (np.exp(-2e5 * t), np.exp(-2e5 * t))),
        "static": ([0, 0, width], (np.exp(-((width * t) ** 2) / 2), 1.0)),
        "parity": ([0, 0, 0, width], (np.cos(width * t), 1.0)),
        "drift": ([0, 0, 0, 0, width, tau], (free, echoed)),
    }[kind]
    # Two sx make a flip, and with an exact flip between them the identity.
    expected = (1 + left[1]) / 2 if echo else (1 - left[0]) / 2
    assert abs(_ramsey(noise, t, echo, shots, 7) - expected) < 4.5 * np.sqrt(0.25 / shots)


def test_white_dephasing_is_weaker_while_it_is_calmed():
    rate, t, shots = 2e5, 5e-6, 200_000
    events = [(ONE, (0, 0, 0), (0.0, 0.0)), (CALM, (0, 0, 0), (1e-6, 0.25)), (CALM, (0, 0, 0), (4e-6, 1.0))]
    events += [(ONE, (0, 0, 0), (t, 0.0)), (MEASURE, (0, 0, 0), (t, 0.0))]
    table = np.zeros((1, 8))
    table[0, 1] = rate
    bits, _, _ = _run(table, [], [], events, np.array([_embedded(SX)]), shots, 7)
    left = np.exp(-rate * (2e-6 + 0.25 * 3e-6))
    assert abs((1 - bits.mean()) - (1 - left) / 2) < 4.5 * np.sqrt(0.25 / shots)


@pytest.mark.parametrize("most_live", [1, 3])
def test_a_twirled_phase_leaves_each_qubit_what_the_exact_one_does(most_live):
    """Of a chain in |+>, the middle read along x: cos^2 of half of each phase, whether its neighbours are followed
    with it or their phases are drawn as random ZZ."""
    zeta, t, shots = [2e5, -3.5e5], 4e-6, 200_000
    events = [(ONE, (q, 0, 0), (0.0, 0.0)) for q in range(3)]
    events += [(ONE, (1, 0, 0), (t, 0.0)), (MEASURE, (1, 0, 0), (t, 0.0))]
    bits, twirled, live = _run(np.zeros((3, 8)), [(0, 1), (1, 2)], zeta, events, np.array([_embedded(SX)]), shots, 3,
                               most_live=most_live)  # fmt: skip
    assert (twirled > 0, live) == ((True, 1) if most_live == 1 else (False, 3))
    coherence = np.prod([(1 + np.exp(-1j * z * t)) / 2 for z in zeta]).real
    assert abs((1 - bits[:, 0].mean()) - (1 - coherence) / 2) < 4.5 * np.sqrt(0.25 / shots)
