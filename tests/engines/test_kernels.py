"""The compiled kernels against dense NumPy simulation, on every instruction set of this processor."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chi2

from qrex import _kernels

SETS = _kernels.instruction_sets()
X = np.array([[0, 1], [1, 0]], dtype=complex)
RX = np.array([[0.6, -0.8j], [-0.8j, 0.6]])
RY = np.array([[0.6, -0.8], [0.8, 0.6]], dtype=complex)


def _unitary(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]


def _dense(psi, num_qubits, qubits, matrix):
    """`matrix` on `qubits` (first = low bit of its index) of psi, by reshaping."""
    k = len(qubits)
    axes = [num_qubits - 1 - q for q in reversed(qubits)]
    tensor = np.moveaxis(psi.reshape([2] * num_qubits), axes, range(k))
    tensor = (matrix @ tensor.reshape(2**k, -1)).reshape([2] * num_qubits)
    return np.moveaxis(tensor, range(k), axes).reshape(-1)


class _Pair:
    """One stage, and the same gates applied by NumPy."""

    def __init__(self, rng, num_qubits, local, instruction_set, inner_bits):
        self.rng, self.n, self.local = rng, num_qubits, local
        psi = rng.normal(size=2**num_qubits) + 1j * rng.normal(size=2**num_qubits)
        self.psi = psi / np.linalg.norm(psi)
        self.re, self.im = _kernels.allocate_state(num_qubits)
        self.re[:], self.im[:] = self.psi.real, self.psi.imag
        self.stage = _kernels.Stage(num_qubits, local, inner_bits, instruction_set)
        self.index = np.arange(2**num_qubits)

    def one(self, target, matrix, controls):
        mask = sum(1 << q for q, _ in controls)
        value = sum(v << q for q, v in controls)
        self.stage.one(target, matrix, mask, value)
        self.psi = np.where((self.index & mask) == value, _dense(self.psi, self.n, [target], matrix), self.psi)

    def select(self, selector, target, matrices):
        self.stage.select(selector, target, matrices)
        both = [_dense(self.psi, self.n, [target], m) for m in matrices]
        self.psi = np.where(self.index >> selector & 1, both[1], both[0])

    def two(self, low, high, matrix, controls=()):
        mask = sum(1 << q for q, _ in controls)
        value = sum(v << q for q, v in controls)
        self.stage.two(low, high, matrix, mask, value)
        applied = _dense(self.psi, self.n, [low, high], matrix)
        self.psi = np.where((self.index & mask) == value, applied, self.psi)

    def many(self, positions, matrix):
        self.stage.many(positions, matrix)
        self.psi = _dense(self.psi, self.n, positions, matrix)

    def table(self, positions, entries):
        self.stage.table(positions, entries)
        row = sum((self.index >> q & 1) << k for k, q in enumerate(positions))
        self.psi = self.psi * entries[row]

    def diagonal(self, masks, angles):
        self.stage.diagonal(masks, angles)
        for mask, angle in zip(masks, angles, strict=True):
            self.psi = self.psi * np.where((self.index & mask) == mask, np.exp(1j * angle), 1)

    def random_gate(self, kind):
        rng = self.rng
        target, second = (int(q) for q in rng.choice(self.local, 2, replace=False))
        others = [q for q in range(self.n) if q != target]
        if kind == 0:
            self.one(target, _unitary(rng, 2), [])
        elif kind in (1, 2, 3):
            chosen = rng.choice(others, int(rng.integers(0, 4)), replace=False)
            self.one(target, (X, RX, RY)[kind - 1], [(int(q), int(rng.integers(2))) for q in chosen])
        elif kind == 4:
            self.select(int(rng.choice(others)), target, np.array([_unitary(rng, 2), _unitary(rng, 2)]))
        elif kind == 5:
            self.two(target, second, _unitary(rng, 4))
        elif kind == 6:
            self.two(target, second, np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(complex))
        elif kind == 9:
            size = int(rng.integers(1, min(len(self.local), 5) + 1))
            matrix = _unitary(rng, 2**size)
            if rng.random() < 0.5:  # most entries zero
                matrix = np.diag(rng.choice([1, 1j, -1], 2**size))[rng.permutation(2**size)]
            self.many([int(q) for q in rng.choice(self.local, size, replace=False)], matrix)
        elif kind == 10:
            size = int(rng.integers(1, min(self.n, 6) + 1))
            positions = [int(q) for q in rng.choice(self.n, size, replace=False)]
            self.table(positions, np.exp(1j * rng.normal(size=2**size)))
        elif kind == 11:
            free = [q for q in others if q != second]
            chosen = rng.choice(free, int(rng.integers(1, min(len(free), 3) + 1)), replace=False)
            self.two(target, second, _unitary(rng, 4), [(int(q), int(rng.integers(2))) for q in chosen])
        else:
            sizes = rng.integers(1, 4 if kind == 8 else 3, size=(1, 4, 3 * self.n)[int(rng.integers(3))])
            masks = [sum(1 << int(q) for q in rng.choice(self.n, k, replace=False)) for k in sizes]
            self.diagonal(masks, list(rng.normal(size=len(masks))))

    def error(self, threads=1):
        self.stage.run(self.re, self.im, threads)
        return np.abs(self.re + 1j * self.im - self.psi).max()


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("num_qubits", [4, 5, 8, 10, 12])
def test_random_stages_match_dense_simulation(instruction_set, num_qubits):
    rng = np.random.default_rng(num_qubits)
    lanes = _kernels.lane_bits(instruction_set)
    for trial in range(10):
        size = int(rng.integers(max(lanes, 2), num_qubits + 1))
        high = rng.choice(range(lanes, num_qubits), size - lanes, replace=False) if size > lanes else []
        local = [*range(lanes), *sorted(int(q) for q in high)]
        pair = _Pair(rng, num_qubits, local, instruction_set, inner_bits=int(rng.choice([2, 5, 9])))
        for gate in range(36):
            pair.random_gate(gate % 12)
        assert pair.error(threads=1 + trial % 3) < 1e-6


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("pair_of", [(0, 1), (1, 0), (0, 15), (15, 2), (3, 15), (14, 15), (15, 14), (3, 4)])
def test_gates_on_the_lowest_and_highest_qubits(instruction_set, pair_of):
    pair = _Pair(np.random.default_rng(3), 16, [0, 1, 2, 3, 4, 14, 15], instruction_set, 5)
    pair.two(*pair_of, _unitary(pair.rng, 4))
    pair.one(pair_of[0], RX, [(pair_of[1], 1)])
    pair.one(15, X, [(0, 1), (9, 0)])
    pair.diagonal([1 << 15 | 1 << 9, 1 << 9], [0.7, 1.1])
    assert pair.error(2) < 1e-6


def _turn(angle, crossing):
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -1j * sine], [-1j * sine, cosine]] if crossing else [[cosine, -sine], [sine, cosine]])


@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("local", [range(14), [*range(6), 7, 9, *range(11, 14)]])
def test_layers_of_one_qubit_gates(instruction_set, crossing, local):
    """Turns by any angle, with others among them that have no scale or unlike entries on the diagonal."""
    rng = np.random.default_rng(4)
    pair = _Pair(rng, 14, list(local), instruction_set, inner_bits=9)
    unlike = np.diag([1, -1]) @ _turn(0.7, crossing)
    special = [unlike, _turn(np.pi / 2, crossing), _turn(np.pi / 2 - 1e-5, crossing), _turn(np.pi, crossing)]
    for layer in range(12):
        for target in rng.permutation(pair.local):
            matrix = _turn(rng.uniform(0, 7), crossing)
            if layer % 3 == 2 and rng.random() < 0.4:
                matrix = special[int(rng.integers(4))]
            pair.one(int(target), matrix.astype(complex), [])
            if rng.random() < 0.1:
                pair.one(int(target), _turn(0.3, not crossing).astype(complex), [])
    assert pair.error(2) < 2e-6


@pytest.mark.parametrize("instruction_set", SETS)
def test_gathered_blocks_of_several_rows(instruction_set):
    """Blocks of 2^13 amplitudes, and targets on both sides of the ends of their rows."""
    rng = np.random.default_rng(8)
    local = [*range(12), 14]
    pair = _Pair(rng, 15, local, instruction_set, inner_bits=11)
    for low, high in ((9, 10), (10, 11), (11, 14), (0, 14), (1, 2), (9, 14)):
        pair.two(low, high, _unitary(rng, 4))
        pair.two(high, low, np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(complex), [(13, 1)])
        pair.one(high, X, [(low, 1)])
        pair.one(low, RX, [])
    pair.many([3, 10, 14], _unitary(rng, 8))
    pair.table([1, 9, 10, 14], np.exp(1j * rng.normal(size=16)))
    masks = [1 << a | 1 << b for a in range(15) for b in range(a + 1)]
    pair.diagonal(masks, list(rng.normal(size=len(masks))))
    assert pair.error(2) < 1e-6


@pytest.mark.parametrize("instruction_set", SETS)
def test_dense_gates_stay_within_rounding(instruction_set):
    """Three real products for a complex one round more often: the errors stay of the size of float32's own."""
    rng = np.random.default_rng(2)
    pair = _Pair(rng, 10, list(range(10)), instruction_set, 11)
    for _ in range(400):
        pair.two(*(int(q) for q in rng.choice(10, 2, replace=False)), _unitary(rng, 4))
    pair.error()
    got = pair.re.astype(complex) + 1j * pair.im
    infidelity = np.linalg.norm(got - pair.psi * np.vdot(pair.psi, got)) ** 2
    assert infidelity < 400 * 1e-14  # what one rounding of every part of every product would give, ten times over


@pytest.mark.parametrize("instruction_set", SETS)
def test_a_fused_diagonal_of_many_terms_beyond_the_block(instruction_set):
    rng = np.random.default_rng(5)
    pair = _Pair(rng, 14, [0, 1, 2, 3, 4, 6, 8, 9, 11, 12, 13], instruction_set, 9)
    masks = [1 << a | 1 << b for a in range(14) for b in range(a + 1)]
    pair.diagonal(masks, list(rng.normal(size=len(masks))))
    star = [1 << 12 | 1 << b for b in range(12)]
    pair.diagonal(star, list(rng.normal(size=len(star))))
    assert pair.error(2) < 1e-6


def test_known_zeros_within_a_block_are_not_read():
    re, im = _kernels.allocate_state(12)
    re[0] = 1
    stage = _kernels.Stage(12, [*range(6), 10, 11])
    stage.one(10, RY)
    re[1 << 11] = im[1 << 10] = 5.0
    stage.run(re, im, 1, 0b111111 << 6)
    assert np.flatnonzero(re).tolist() == [0, 1 << 10]
    assert np.allclose(re[[0, 1 << 10]], [0.6, 0.8])
    assert not im.any()


def test_blocks_whose_controls_are_not_met_stay_as_they_are():
    """Also where part of a block is known to be zero and is not yet in memory: there it becomes so."""
    for known, left in ((0, 5.0), (1 << 10, 0.0)):
        re, im = _kernels.allocate_state(12)
        re[0] = 1
        stage = _kernels.Stage(12, [*range(6), 10])
        stage.one(10, RY, 1 << 11, 1 << 11)
        re[1 << 10] = 5.0
        stage.run(re, im, 1, known)
        assert re[0] == 1 and re[1 << 10] == left
        assert np.count_nonzero(re) == 1 + bool(left)


def test_known_zeros_are_left_out():
    re, im = _kernels.allocate_state(10)
    re[0] = 1
    stage = _kernels.Stage(10, list(range(6)))
    stage.one(0, RY)
    re[1 << 9] = 5.0  # a lie: not read, so not changed
    stage.run(re, im, 1, 0b1111 << 6)
    assert re[1 << 9] == 5.0
    assert np.allclose(re[:2], [0.6, 0.8])


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="no instruction set 'sse9'"):
        _kernels.instruction_set("sse9")
    with pytest.raises(ValueError, match="ascend"):
        _kernels.Stage(8, [0, 1, 2, 3, 5, 4])
    with pytest.raises(ValueError, match="lowest"):
        _kernels.Stage(8, [4, 5, 6])
    stage = _kernels.Stage(8, [0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="position 7 is not local"):
        stage.two(0, 7, np.eye(4, dtype=complex))
    with pytest.raises(ValueError, match="expected 4 matrix entries, got 16"):
        stage.one(0, np.eye(4, dtype=complex))
    with pytest.raises(ValueError, match="a gate on 9 qubits: at most 8"):
        stage.many([0] * 9, np.zeros(1 << 18, dtype=complex))
    with pytest.raises(ValueError, match="cannot control itself"):
        stage.two(0, 1, np.eye(4, dtype=complex), 2, 2)
    with pytest.raises(ValueError, match="another number of qubits"):
        stage.run(*_kernels.allocate_state(9))
    assert _kernels.instruction_set() == SETS[0]


def _random_state(num_qubits, seed):
    rng = np.random.default_rng(seed)
    re, im = _kernels.allocate_state(num_qubits)
    re[:], im[:] = rng.normal(size=(2, 2**num_qubits))
    return re, im, re.astype(float) ** 2 + im.astype(float) ** 2


@pytest.mark.parametrize("instruction_set", SETS)
def test_norms_and_marginals(instruction_set):
    re, im, p = _random_state(15, 1)
    norms = _kernels.block_norms(re, im, 1, instruction_set)
    assert np.allclose(norms, p.reshape(-1, 4096).sum(axis=1), rtol=1e-12)
    assert (norms == _kernels.block_norms(re, im, 3, instruction_set)).all()
    index = np.arange(2**15)
    for mask, value in ((0, 0), (0b101, 0b001), (2**15 - 1, 77)):
        assert np.isclose(_kernels.masked_norm(re, im, mask, value), p[(index & mask) == value].sum(), rtol=1e-12)


def test_samples_follow_the_probabilities():
    re, im, p = _random_state(13, 2)
    re[p > np.quantile(p, 0.5)] = 0  # holes, and blocks of uneven weight
    im[re == 0] = 0
    p = re.astype(float) ** 2 + im.astype(float) ** 2
    norms = _kernels.block_norms(re, im)
    uniforms = np.sort(np.random.default_rng(3).random(200_000))
    drawn = _kernels.sample(re, im, norms, uniforms, 2)
    assert (drawn == _kernels.sample(re, im, norms, uniforms, 1)).all()
    assert (p[drawn] > 0).all()
    # The definition itself: inverse of the cumulated probabilities.
    expected = np.searchsorted(np.cumsum(p) / p.sum(), uniforms, side="right")
    assert (drawn != expected).mean() < 1e-4  # only where a uniform falls on an edge, within rounding
    groups = np.bincount(drawn // 64, minlength=128)
    wanted = p.reshape(128, -1).sum(axis=1) / p.sum() * len(uniforms)
    assert chi2.sf(((groups - wanted) ** 2 / wanted).sum(), 127) > 1e-3


def test_sampling_at_the_edges():
    re, im = _kernels.allocate_state(14)
    re[5000] = re[9000] = 1
    norms = _kernels.block_norms(re, im)
    uniforms = np.array([0.0, 0.4999, 0.5, np.nextafter(1, 0)])
    assert _kernels.sample(re, im, norms, uniforms).tolist() == [5000, 5000, 9000, 9000]
    with pytest.raises(ValueError, match="no norm"):
        _kernels.sample(re * 0, im, norms * 0, uniforms)


def _reachable_slowly(dense, zed, local):
    """By definition: a gate runs when it is local and commutes past every earlier gate that does not run."""
    left, runs = [], []
    for k, (d, z) in enumerate(zip(dense, zed, strict=True)):
        commutes = all(not (d & (dense[j] | zed[j]) or z & dense[j]) for j in left)
        runs.append(int(commutes and not d & ~local))
        if not runs[-1]:
            left.append(k)
    return runs


def test_reachable_and_choice():
    rng = np.random.default_rng(9)
    for _ in range(200):
        dense = 1 << rng.integers(0, 8, size=30) | rng.integers(0, 2, size=30) << rng.integers(0, 8, size=30)
        dense = np.where(rng.random(30) < 0.3, 0, dense).astype(np.uint64)
        zed = (1 << rng.integers(0, 8, size=30)).astype(np.uint64) & ~dense
        weight = np.ones(30)
        local = int(rng.integers(256))
        expected = _reachable_slowly(dense.tolist(), zed.tolist(), local)
        assert _kernels.reachable(dense, zed, weight, 255, local).tolist() == expected
        chosen = _kernels.choose_local(dense, zed, weight, 255, 0b11, 5)
        assert chosen.bit_count() == 5
        assert chosen & 0b11 == 0b11
        assert sum(_reachable_slowly(dense.tolist(), zed.tolist(), chosen)) > 0


def test_threads_that_do_not_start_leave_their_share_to_the_others():
    """A memory limit counts the stacks of threads: with no room for one more, kernels run on those there are."""
    code = """
import resource, threading
import subprocess
import sys

import numpy as np
from qrex import _kernels
re, im = _kernels.allocate_state(18)
re.fill(1.0)
im.fill(0.0)
with open("/proc/self/statm") as statm:
    held = int(statm.read().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (held + (4 << 20), resource.RLIM_INFINITY))
try:
    threading.Thread(target=print).start()
    raise SystemExit("a thread found room")
except RuntimeError:
    pass
print(float(_kernels.block_norms(re, im, 8).sum()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 2**18
