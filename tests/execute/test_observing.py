"""`qrex.observe` against Qiskit's state vector: in memory, in stages through the disk, stopped and gone on."""

from __future__ import annotations

import mmap
import os
import shutil

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import SparsePauliOp, Statevector

import qrex
from qrex.engines.statevector import observing
from qrex.engines.statevector.state_file import StateFile
from qrex.engines.statevector.tiers import Budget
from qrex.errors import InfeasibleError, InputError, StoreError


def _tangled(num_qubits, seed=1):
    """Entangled all over, some qubits inverted and swapped at the end, one finished at once, one idle."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(num_qubits, name="tangled")
    for _ in range(120):
        first, second = rng.choice(num_qubits - 2, 2, replace=False).tolist()
        circuit.ry(rng.uniform(0.5, 2.5), first)
        circuit.cx(first, second)
    circuit.ry(0.7, num_qubits - 2)
    circuit.x([0, 3])
    circuit.swap(1, num_qubits - 3)
    circuit.cx(2, 4)
    return circuit


def _overlap(found, exact):
    return abs(np.vdot(exact, np.asarray(found, dtype=complex)))


def _random_sum(num_qubits, terms, seed):
    rng = np.random.default_rng(seed)
    labels = {"".join(rng.choice(list("IXYZ"), num_qubits, p=[0.7, 0.1, 0.1, 0.1])) for _ in range(terms)}
    labels |= {"I" * (num_qubits - 1 - q) + "Z" + "I" * q for q in range(num_qubits)}
    return SparsePauliOp.from_list([(label, rng.normal()) for label in sorted(labels)])


@pytest.fixture(scope="module")
def tangled():
    """The circuit measured, and its exact state."""
    circuit = _tangled(15)
    exact = Statevector(circuit)
    circuit.measure_all()
    return circuit, exact


@pytest.fixture
def split(monkeypatch):
    """Sub-states of 10 qubits: a memory so small holds no process."""

    def small(allotment):
        return Budget(
            1 << 30, allotment.disk_bytes, allotment.threads, allotment.codec, sizes=((10, 10),), block_bytes=1 << 9,
            cache=(7, 4, 5),
        )  # fmt: skip

    monkeypatch.setattr(observing, "budget_of", small)


@pytest.mark.parametrize("codec", ["float32", "int16"])
def test_a_state_in_stages_through_the_disk(tangled, split, codec, tmp_path):
    circuit, exact = tangled
    energy = _random_sum(15, 10, 3)
    likely = format(int(np.argmax(exact.probabilities())), "015b")
    file = tmp_path / "state.npy"
    found = qrex.observe(
        circuit, observables=[energy, "Z0*Z3 - 0.5*X13 + 2"], marginals=[[3, 13, 0], [14]], probabilities=[likely],
        final_state=file, shots=500, scratch=tmp_path, codec=codec, threads=2,
    )  # fmt: skip
    assert found.tiers["stages"] > 2 and found.tiers["written_bytes"] > 0 and found.tiers["codec"] == codec
    sparse = SparsePauliOp.from_sparse_list([("ZZ", [0, 3], 1), ("X", [13], -0.5), ("", [], 2)], 15)
    answers = zip(found.expectation_values, found.expectation_errors, (energy, sparse), strict=True)
    for value, error, operator in answers:
        assert abs(value - exact.expectation_value(operator).real) <= error < 0.01
    for table, qubits in zip(found.marginals, ([3, 13, 0], [14]), strict=True):
        np.testing.assert_allclose(table, exact.probabilities(qubits), atol=found.probability_error)
    assert found.probabilities[likely] == pytest.approx(exact.probabilities()[int(likely, 2)], rel=1e-3)
    amplitudes = np.load(file, mmap_mode="r")
    assert amplitudes.dtype == np.complex64 and amplitudes.shape == (1 << 15,)
    assert 1 - _overlap(amplitudes, exact.data) ** 2 / found.norm < 1e-5
    assert sum(found.counts.values()) == 500
    assert [path.name for path in tmp_path.iterdir()] == ["state.npy"]


def test_a_state_in_memory_is_the_same(tangled, tmp_path):
    circuit, exact = tangled
    energy = _random_sum(15, 10, 3)
    state = np.full(1 << 15, 7, dtype=np.complex64)
    found = qrex.observe(circuit, observables=[energy], marginals=[[0, 3, 13]], final_state=state, memory="64MB")
    assert found.tiers is None and found.final_state is None and found.counts == {}
    assert found.expectation_values[0] == pytest.approx(exact.expectation_value(energy).real, abs=1e-5)
    np.testing.assert_allclose(found.marginals[0], exact.probabilities([0, 3, 13]), atol=1e-6)
    assert _overlap(state, exact.data) == pytest.approx(1, abs=1e-6)
    assert found.norm == pytest.approx(1, abs=1e-5)


def test_two_stages_take_no_disk(tmp_path):
    circuit = QuantumCircuit(18)
    for qubit in range(18):
        circuit.ry(0.3 + qubit, qubit)
        circuit.cz(qubit, (qubit + 1) % 18)
    found = qrex.observe(circuit, observables=["Z17", "X0*X17"], memory="35MB")
    exact = Statevector(circuit)
    assert found.tiers["stages"] == 2 and found.tiers["disk_bytes"] == 0
    for value, label in zip(found.expectation_values, ("Z" + "I" * 17, "X" + "I" * 16 + "X"), strict=True):
        assert value == pytest.approx(exact.expectation_value(SparsePauliOp(label)).real, abs=1e-5)


@pytest.mark.parametrize("num_qubits", [1, 2, 5])
def test_few_qubits_from_every_kind_of_circuit(num_qubits, tmp_path):
    circuit = QuantumCircuit(num_qubits, num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(0.4 + qubit, qubit)
    if num_qubits > 1:
        circuit.cx(0, num_qubits - 1)
    circuit.measure(range(num_qubits), reversed(range(num_qubits)))
    circuit.x(0)  # after its measurement: the state has it, the outcome has not
    path = tmp_path / "few.qasm"
    path.write_text(qasm2.dumps(circuit))
    (read,) = qrex.load_workload(path).circuits
    unmeasured = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name != "measure":
            unmeasured.append(item)
    exact = Statevector(unmeasured)
    outcome = "0" * num_qubits
    wanted = exact.probabilities()[1]  # qubit 0 was inverted since
    for given in (circuit, read, path):
        found = qrex.observe(given, observables=[{"Z0": 1.0}], probabilities=[outcome], memory="64MB")
        value = exact.expectation_value(SparsePauliOp("I" * (num_qubits - 1) + "Z")).real
        assert found.expectation_values[0] == pytest.approx(value, abs=1e-6)
        assert found.probabilities == {outcome: pytest.approx(wanted, abs=1e-6)}


def test_more_qubits_than_any_state_has_where_they_are_idle():
    circuit = QuantumCircuit(90, 1)
    circuit.h(70)
    circuit.cx(70, 2)
    circuit.x(89)
    circuit.measure(2, 0)
    found = qrex.observe(circuit, observables=["X2*X70", "Z89 + Z88"], marginals=[[89, 2, 70]], probabilities=["1"])
    assert found.expectation_values == (pytest.approx(1), pytest.approx(0))
    np.testing.assert_allclose(found.marginals[0], [0, 0.5, 0, 0, 0, 0, 0, 0.5], atol=1e-6)
    assert found.probabilities["1"] == pytest.approx(0.5)


class _Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_with_its_file(tangled, split, tmp_path):
    circuit, exact = tangled
    file, energy = tmp_path / "state.npy", _random_sum(15, 6, 2)

    def run(progress=lambda _fraction: None):
        return qrex.observe(
            circuit, observables=[energy, "Z13"], marginals=[[1, 2]], final_state=file, scratch=tmp_path, threads=1,
            progress=progress,
        )  # fmt: skip

    for limit in (0.4, 0.7, 0.95):

        def stop(fraction, limit=limit):
            if fraction > limit:
                raise _Stopped

        with pytest.raises(_Stopped):
            run(stop)
        assert not file.exists()
    (part,) = (path for path in tmp_path.iterdir() if path.name.startswith(".state.npy."))
    found = run()
    assert found.tiers["resumed"] and file.exists() and not part.exists()
    assert _overlap(np.load(file), exact.data) == pytest.approx(1, abs=1e-6)
    for value, operator in zip(found.expectation_values, (energy, SparsePauliOp("I" + "Z" + "I" * 13)), strict=True):
        assert value == pytest.approx(exact.expectation_value(operator).real, abs=1e-5)
    np.testing.assert_allclose(found.marginals[0], exact.probabilities([1, 2]), atol=1e-6)


@pytest.mark.parametrize("damage", [lambda part: part.unlink(), lambda part: os.truncate(part, 100_000)])
def test_a_file_that_was_deleted_or_cut_off_meanwhile_is_written_anew(tangled, split, damage, tmp_path):
    circuit, exact = tangled
    file = tmp_path / "state.npy"

    def stop(fraction):
        if fraction > 0.95:
            raise _Stopped

    asked = {"final_state": file, "scratch": tmp_path, "threads": 1}
    with pytest.raises(_Stopped):
        qrex.observe(circuit, progress=stop, **asked)
    (part,) = tmp_path.glob(".state.npy.*")
    damage(part)
    assert not qrex.observe(circuit, **asked).tiers["resumed"]
    assert _overlap(np.load(file), exact.data) == pytest.approx(1, abs=1e-6)


def test_arrays_of_every_kind_are_filled(tangled, split, tmp_path):
    """A private memory map forgets what was written when it is told to: it must not be."""
    circuit, exact = tangled
    np.zeros(1 << 15, dtype=np.complex64).tofile(tmp_path / "amplitudes")
    private = mmap.mmap(-1, 8 << 15, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for array in (
        np.memmap(tmp_path / "amplitudes", np.complex64, "c"), np.ndarray((1 << 15,), np.complex64, buffer=private),
        np.ones(1 << 15, dtype=np.complex64),
    ):  # fmt: skip
        qrex.observe(circuit, final_state=array, scratch=tmp_path, threads=1)
        assert _overlap(array, exact.data) == pytest.approx(1, abs=1e-6)


def test_an_array_that_cannot_take_the_state_stays_as_it_is(tangled):
    circuit, _ = tangled
    ones, locked = np.ones(1 << 14, dtype=np.complex64), np.ones(1 << 15, dtype=np.complex64)
    locked.flags.writeable = False
    for array in (ones, locked):
        with pytest.raises(InputError, match="array"):
            qrex.observe(circuit, final_state=array)
        assert array.all()


def test_wide_marginals_of_a_stopped_run_are_taken_again(tangled, split, tmp_path):
    circuit, exact = tangled
    qubits = list(range(12))

    def stop(fraction):
        if fraction > 0.95:
            raise _Stopped

    with pytest.raises(_Stopped):
        qrex.observe(circuit, marginals=[qubits], scratch=tmp_path, threads=1, progress=stop)
    (manifest,) = tmp_path.glob("qrex-*/manifest")
    assert manifest.stat().st_size < 1 << 17
    found = qrex.observe(circuit, marginals=[qubits], scratch=tmp_path, threads=1)
    assert found.tiers["resumed"]
    np.testing.assert_allclose(found.marginals[0], exact.probabilities(qubits), atol=1e-6)


def test_an_answer_is_not_lost_with_its_scratch_area(tangled, split, tmp_path):
    circuit, exact = tangled
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def vanish(fraction):
        if fraction > 0.95:
            shutil.rmtree(scratch)
            scratch.mkdir()

    found = qrex.observe(circuit, observables=["Z13"], scratch=scratch, threads=1, progress=vanish)
    assert found.expectation_values[0] == pytest.approx(
        exact.expectation_value(SparsePauliOp("IZ" + "I" * 13)).real, abs=1e-5
    )
    assert "cannot remove" in found.tiers["left"]


def test_a_failed_run_in_memory_leaves_no_file(tmp_path):
    circuit = _tangled(16)

    def stop(_fraction):
        raise _Stopped

    with pytest.raises(_Stopped):
        qrex.observe(circuit, final_state=tmp_path / "state.npy", scratch=tmp_path, progress=stop, memory="64MB")
    with pytest.raises(InfeasibleError, match=r"needs 33\.8 MB of memory; .* may be used"):
        qrex.observe(circuit, final_state=tmp_path / "state.npy", memory="1MB")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_writes_is_left_alone(tmp_path):
    with StateFile(tmp_path / "a.npy", 3, "0123"), pytest.raises(StoreError, match="another process"):
        StateFile(tmp_path / "a.npy", 3, "0123")


def _one_bit(*steps):
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.cx(0, 1)
    for step in steps:
        step(circuit)
    return circuit


def test_what_has_no_one_final_state_is_refused(tmp_path):
    measured = _one_bit(lambda c: c.measure(0, 0), lambda c: c.h(0))
    tested = _one_bit(lambda c: c.measure(0, 0))
    with tested.if_test((0, 1)):
        tested.x(1)
    for circuit in (measured, tested):
        with pytest.raises(InfeasibleError, match="no one final state"):
            qrex.observe(circuit, observables=["ZZ"], memory="64MB")
    reset = _one_bit(lambda c: c.reset(0))
    found = qrex.observe(reset, observables=["Z0", "Z1", "Z0*Z1"], memory="64MB")
    assert found.expectation_values == (pytest.approx(1), pytest.approx(0), pytest.approx(0))
    with pytest.raises(InfeasibleError, match="mixed"):
        qrex.observe(reset, final_state=tmp_path / "a.npy", memory="64MB")
    assert list(tmp_path.iterdir()) == []
    wide = QuantumCircuit(70)
    wide.h(range(70))
    with pytest.raises(InfeasibleError, match="70 qubits are in use"):
        qrex.observe(wide, observables=["Z0"], memory="64MB")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"observables": "ZZ"}, "give a list"), ({"observables": [{"ZZ": 1.0}, "ZZ"]}, "twice"),
        ({"marginals": [0, 1]}, "give a list"), ({"marginals": [[0, 0]]}, "different qubits"),
        ({"marginals": [[2]]}, "has 2 qubits"), ({"marginals": [[]]}, "different qubits"),
        ({"marginals": [["0"]]}, "numbers"), ({"marginals": [[0], [0]]}, "twice"),
        ({"probabilities": ["0"]}, "no classical bits"), ({"final_state": "a.txt"}, "ends so"),
        ({"final_state": np.zeros(3, np.complex64)}, "of 4 amplitudes"), ({"shots": -1}, "shots"),
        ({"codec": "int4"}, "no codec"), ({"disk": "1GB"}, "no folder"), ({"scratch": "/nowhere"}, "does not exist"),
        ({"memory": "much"}, "amount of bytes"), ({"threads": 0}, "threads"), ({"final_state": "/no/a.npy"}, "folder"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_refused(asked, said):
    with pytest.raises(InputError, match=said):
        qrex.observe(_one_bit() if "probabilities" not in asked else QuantumCircuit(2), **asked)


def test_a_file_is_never_written_over(tmp_path):
    file = tmp_path / "state.npy"
    file.write_text("mine")
    with pytest.raises(InputError, match="exists; delete it"):
        qrex.observe(_one_bit(), final_state=file, memory="64MB")
    assert file.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("none", ["", 5, b"/tmp", "\0", [1]])
def test_what_is_no_path_is_refused(none, tmp_path):
    with pytest.raises(InputError, match="given as"):
        qrex.observe(_one_bit(), scratch=none, memory="64MB")
    with pytest.raises(InputError, match="given as"):
        qrex.observe(_one_bit(), final_state=none, memory="64MB")


def test_one_circuit_at_a_time_and_no_more_memory_than_there_is(tmp_path):
    with pytest.raises(InputError, match="one at a time"):
        qrex.observe([_one_bit(), _one_bit()])
    with pytest.raises(InfeasibleError, match="this host has"):
        qrex.observe(_one_bit(), memory="10EB")
    with pytest.raises(InfeasibleError, match="ask for fewer marginals"):
        qrex.observe(_one_bit(), marginals=[[0]], memory=100)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder; name one"):
        qrex.observe(_one_bit(), scratch=tmp_path / "file")


def test_shots_alone_are_had_of_a_circuit_with_outcomes_in_the_middle():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    found = qrex.observe(circuit, shots=200, memory="64MB", progress=None)
    assert set(found.counts) == {"00", "11"} and sum(found.counts.values()) == 200
    with pytest.raises(InfeasibleError, match="ask for shots alone"):
        qrex.observe(circuit, shots=200, memory="64MB", probabilities=["00"])


def test_nothing_asked_is_an_error():
    with pytest.raises(InputError, match="nothing is asked"):
        qrex.observe(_one_bit(), memory="64MB")
    with pytest.raises(InputError, match="progress is 3"):
        qrex.observe(_one_bit(), shots=1, progress=3)
    with pytest.raises(InfeasibleError, match="may be used"):
        qrex.observe(_tangled(16), shots=10, memory="1MB")
