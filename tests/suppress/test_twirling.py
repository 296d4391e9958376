"""Twirled copies are the circuit itself, and turn coherent errors into random ones."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator
from qiskit_ibm_runtime.fake_provider import FakeFez, FakeManilaV2, FakeSherbrooke

from qrex.compilation import ErrorTable, compile_baseline, read_schedule
from qrex.errors import InputError
from qrex.suppress import decouple, twirl


def ladder(num_qubits):
    qc = QuantumCircuit(num_qubits)
    for _ in range(3):
        for qubit in range(num_qubits - 1):
            qc.h(qubit)
            qc.cx(qubit, qubit + 1)
    return qc


def acting(circuit):
    """The unitary on the qubits that hold an instruction, without delays."""
    used = sorted({circuit.find_bit(q).index for one in circuit.data if one.name != "barrier" for q in one.qubits})
    small = QuantumCircuit(len(used))
    for one in circuit.data:
        if one.name not in ("delay", "barrier"):
            small.append(one.operation, [used.index(circuit.find_bit(q).index) for q in one.qubits])
    return Operator(small)


@pytest.mark.parametrize("backend", [FakeManilaV2(), FakeSherbrooke(), FakeFez()], ids=["cx", "ecr", "cz"])
def test_copies_do_the_same_and_keep_a_schedule(backend):
    compiled = compile_baseline(ladder(3), backend, seed=3)
    copies = twirl(compiled, backend, copies=5, seed=4)
    assert len({str(copy.circuit) for copy in copies}) == 5
    for copy in copies:
        assert acting(copy.circuit).equiv(acting(compiled.circuit))
        assert set(copy.circuit.count_ops()) <= {*backend.target.operation_names, "barrier"}
        assert copy.scheduled and copy.duration_seconds == pytest.approx(
            read_schedule(copy.circuit, ErrorTable.from_target(backend.target)).duration_seconds
        )
        assert decouple(copy, backend).compiled.circuit.count_ops()["x"] >= 0
    again = twirl(compiled, backend, copies=5, seed=4)
    assert [copy.circuit for copy in again] == [copy.circuit for copy in copies]


def test_a_coherent_error_is_random_on_average():
    """Over-rotated gates on |00⟩: without twirling the angles add up, with it the probabilities do."""
    backend = FakeManilaV2()
    angle, gates = 0.12, 10
    qc = QuantumCircuit(2)
    for _ in range(gates):
        qc.cx(0, 1)
        qc.barrier()
    compiled = compile_baseline(qc, backend, seed=3)

    def stays(circuit):
        noisy = QuantumCircuit(5)
        for one in circuit.data:
            if one.name not in ("delay", "barrier"):
                places = [circuit.find_bit(q).index for q in one.qubits]
                noisy.append(one.operation, places)
                if one.name == "cx":
                    noisy.rx(angle, places[1])
        return abs(Operator(noisy).data[0, 0]) ** 2

    plain = stays(compiled.circuit)
    average = np.mean([stays(copy.circuit) for copy in twirl(compiled, backend, copies=150, seed=9)])
    assert plain == pytest.approx(np.cos(gates * angle / 2) ** 2, abs=1e-6)
    assert average == pytest.approx((1 + np.cos(angle) ** gates) / 2, abs=0.02)
    assert average > plain + 0.2


def test_what_cannot_be_twirled_is_refused():
    backend = FakeManilaV2()
    lone = QuantumCircuit(1)
    lone.h(0)
    with pytest.raises(InputError, match="none of the gates"):
        twirl(compile_baseline(lone, backend, seed=1), backend, copies=2, seed=1)
    with pytest.raises(InputError, match="1 or more"):
        twirl(compile_baseline(ladder(2), backend, seed=1), backend, copies=0, seed=1)
