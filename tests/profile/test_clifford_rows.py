"""Clifford rows of programs, and conditions brought down to one bit."""

import numpy as np
import pytest
import stim
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import UnitaryGate
from qiskit.quantum_info import Operator, random_clifford

from qrex.circuits.flattening import flatten
from qrex.circuits.program import Condition
from qrex.profile.clifford_rows import read_clifford
from qrex.profile.feedback import resolve_guard


@pytest.mark.parametrize("written", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("held", [0, 1])
def test_guards_against_their_truth_table(written, held):
    """Every pair of comparisons of two bits, over all values that the unknown bits can take."""
    values = dict.fromkeys((0, 1), held) | dict.fromkeys(written)
    conditions = [Condition((0, 1), value, negated) for value in range(5) for negated in (False, True)]
    conditions += [Condition((bit,), value, False) for bit in (0, 1) for value in (0, 1)]
    for one in conditions:
        for other in conditions:
            found = resolve_guard([one, other], values)
            truth = {}
            for number in range(4):
                bits = [number >> place & 1 for place in (0, 1)]
                if any(values[bit] is not None and values[bit] != bits[bit] for bit in (0, 1)):
                    continue
                runs = all(
                    (sum(bits[b] << k for k, b in enumerate(c.bits)) == c.value) != c.negated for c in (one, other)
                )
                truth[tuple(bits)] = runs
            if not found.single:
                assert len(written) == 2
                continue
            for bits, runs in truth.items():
                assert runs == (bool(found.value) if found.bit is None else bits[found.bit] == found.value)


def test_gates_of_one_kind_and_other_width_are_told_apart():
    """A phase of π is Clifford on two qubits and not on three."""
    circuit = QuantumCircuit(4)
    circuit.mcp(np.pi, [0], 1)
    circuit.mcp(np.pi, [0, 1], 2)
    circuit.mcp(np.pi, [0, 1, 2], 3)
    found = read_clifford(flatten(circuit))
    assert len(set(found.gate.tolist())) == 3
    assert found.non_clifford == 2 and "on 3 qubits" in found.obstacle


@pytest.mark.parametrize("seed", range(5))
def test_matrices_are_recognized(seed):
    """A two-qubit Clifford given as a matrix, against Qiskit's own tableau of it."""
    wanted = random_clifford(2, seed=seed)
    circuit = QuantumCircuit(2)
    circuit.append(UnitaryGate(Operator(wanted).data), [0, 1])
    found = read_clifford(flatten(circuit))
    assert not found.obstacle
    written = stim.Circuit()
    for name, places in found.operations[0]:
        written.append(name, places)
    unitary = written.to_tableau().to_unitary_matrix(endian="little") if len(written) else np.eye(4)
    assert Operator(unitary).equiv(Operator(wanted))


def test_rows_that_never_run_are_no_obstacle():
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(1), register)
    with circuit.if_test((register, 1)):
        circuit.t(0)
    assert read_clifford(flatten(circuit)).obstacle == ""
    circuit.measure(0, 0)
    with circuit.if_test((register, 1)):
        circuit.t(0)
    assert read_clifford(flatten(circuit)).obstacle == "t is not a Clifford gate"


@pytest.mark.parametrize(("what", "forks"), [("pauli", 0), ("h", 2), ("register", 3), ("measure", 2)])
def test_only_what_parts_shots_is_counted(what, forks):
    register = ClassicalRegister(2, "c")
    circuit = QuantumCircuit(QuantumRegister(3), register)
    circuit.h([0, 1])
    circuit.reset(2)
    circuit.measure(0, 0)
    if what == "register":
        circuit.measure(1, 1)
    with circuit.if_test((register, 1)):
        if what == "measure":
            circuit.measure(1, 1)
        else:
            circuit.h(2) if what == "h" else circuit.y(2)
    circuit.measure(2, 1)
    followed = read_clifford(flatten(circuit)).followed
    assert followed.forks == forks
    assert (followed.branching_row >= 0) == (forks > 0)
