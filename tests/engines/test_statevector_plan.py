"""Fusion and planning keep the circuit's unitary, whatever the sizes of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from qrex import _kernels
from qrex.engines.statevector.gates import Phases
from qrex.engines.statevector.lowering import lower
from qrex.engines.statevector.planning import plan
from qrex.engines.statevector.simulation import simulate

ONE = ("h", "x", "y", "z", "s", "t", "sx", "rx", "ry", "rz", "p")
TWO = ("cx", "cz", "cp", "rzz", "rxx", "swap", "iswap", "crx", "cy", "ecr")
WIDE = ("ccx", "ccz", "cswap", "rccx")


@st.composite
def circuits(draw, most=9):
    num_qubits = draw(st.integers(1, most))
    circuit = QuantumCircuit(num_qubits)
    names = ONE + (TWO if num_qubits > 1 else ()) + (WIDE if num_qubits > 2 else ())
    for _ in range(draw(st.integers(0, 40))):
        name = draw(st.sampled_from(names))
        width = 1 if name in ONE else 2 if name in TWO else 3
        qubits = draw(st.permutations(range(num_qubits)))[:width]
        angles = [draw(st.floats(-4, 4))] if name in ("rx", "ry", "rz", "p", "cp", "rzz", "rxx", "crx") else []
        getattr(circuit, name)(*angles, *qubits)
    return circuit


def _infidelity(circuit, instruction_set="", threads=1, inner_bits=11, **sizes):
    """Against Qiskit's Statevector; also checks that no idle wire got amplitudes."""
    measured = circuit.copy()
    measured.measure_all()
    lowered = lower(measured)
    planned = plan(lowered.gates, lowered.num_wires, inner_bits=inner_bits, **sizes)
    assert sum(len(s.gates) for s in planned.stages) <= len(lowered.gates)
    amplitudes = simulate(planned, threads, instruction_set=instruction_set, inner_bits=inner_bits).amplitudes()
    index = np.arange(2**circuit.num_qubits)
    wires, possible = np.zeros_like(index), np.ones(len(index), dtype=bool)
    for qubit in range(circuit.num_qubits):
        bit = (index >> qubit & 1) ^ lowered.inverted[qubit]
        source = lowered.sources[qubit]
        if source is None:
            possible &= bit == 0
        else:
            wires |= bit << source
    got = np.where(possible, amplitudes[wires], 0).astype(complex)
    reference = Statevector(circuit).data
    residue = got - reference * np.vdot(reference, got)
    return np.vdot(residue, residue).real / np.vdot(got, got).real


@settings(max_examples=60, deadline=None)
@given(circuits(), st.sampled_from([(15, 6), (6, 4), (7, 4), (7, 5)]), st.sampled_from([2, 5, 11]))
def test_stages_preserve_the_state(circuit, sizes, inner_bits):
    block_bits, chunk_bits = sizes
    assert _infidelity(circuit, block_bits=block_bits, chunk_bits=chunk_bits, inner_bits=inner_bits) < 1e-11


@pytest.mark.parametrize("instruction_set", _kernels.instruction_sets())
def test_every_instruction_set(instruction_set):
    circuit = QuantumCircuit(12)
    rng = np.random.default_rng(4)
    for _ in range(6):
        for qubit in range(12):
            circuit.u(*rng.uniform(0, 6, 3), qubit)
        order = rng.permutation(12).tolist()
        for k in range(0, 12, 2):
            circuit.rxx(rng.uniform(0, 6), order[k], order[k + 1])
            circuit.cp(rng.uniform(0, 6), order[k], order[k - 1])
    assert _infidelity(circuit, instruction_set, 2, inner_bits=5, block_bits=8, chunk_bits=4) < 1e-11


def test_stage_gates_are_local_and_every_dense_gate_runs_once():
    rng = np.random.default_rng(6)
    circuit = QuantumCircuit(20)
    for _ in range(150):
        a, b = rng.choice(20, 2, replace=False).tolist()
        circuit.rxx(float(rng.uniform(1, 2)), a, b)
        circuit.rz(0.3, a)
        circuit.h(b)
    lowered = lower(circuit)
    planned = plan(lowered.gates, 20, block_bits=10, chunk_bits=5)
    ran = []
    for stage in planned.stages:
        assert len(stage.local) == 10
        assert stage.local[:5] == (0, 1, 2, 3, 4)
        for gate in stage.gates:
            places = {planned.position_of[w] for w in range(20) if gate.dense >> w & 1}
            assert places <= set(stage.local)
            ran += [] if isinstance(gate, Phases) else [id(gate)]
    assert sorted(ran) == sorted(id(g) for g in lowered.gates if not isinstance(g, Phases))


def _passes(circuit, **sizes):
    lowered = lower(circuit)
    return len(plan(lowered.gates, lowered.num_wires, **sizes).stages)


def test_known_numbers_of_passes():
    """Two suffice for a quantum Fourier transform and for a chain; diagonal gates need none of their own."""
    fourier = QuantumCircuit(20)
    for target in reversed(range(20)):
        fourier.h(target)
        for control in range(target):
            fourier.cp(np.pi / 2 ** (target - control), control, target)
    assert _passes(fourier, block_bits=12, chunk_bits=4) == 2
    chain = QuantumCircuit(20)
    for _ in range(4):
        for qubit in range(20):
            chain.ry(0.3, qubit)
        for qubit in range(19):
            chain.cx(qubit, qubit + 1)
    assert _passes(chain, block_bits=14, chunk_bits=4) <= 3
    phases = QuantumCircuit(20)
    for qubit in range(20):
        phases.cz(qubit, (qubit + 7) % 20)
        phases.t(qubit)
    assert _passes(phases, block_bits=6, chunk_bits=4) == 1


def test_fusion_merges_where_it_is_cheaper():
    """A dense gate swallows its neighbors; rotations and their phases stay apart; a pair undone vanishes."""
    dense = QuantumCircuit(2)
    dense.h(0)
    dense.rxx(0.4, 0, 1)
    dense.ryy(0.3, 1, 0)
    dense.t(1)
    assert len(lower(dense).gates) == 1
    light = QuantumCircuit(1)
    light.ry(0.3, 0)
    light.rz(0.4, 0)
    assert [g.dense for g in lower(light).gates] == [1, 0]
    undone = QuantumCircuit(2)
    undone.cz(0, 1)
    undone.cz(1, 0)
    assert lower(undone).gates == []


def test_swap_and_x_are_renamings():
    circuit = QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.swap(0, 2)
    circuit.x(1)
    circuit.measure(range(3), range(3))
    lowered = lower(circuit)
    assert (lowered.gates, lowered.num_wires) == ([], 0)
    assert [lowered.inverted[bit] for bit in range(3)] == [False, True, True]


def test_block_sizes_that_leave_no_room_are_refused():
    with pytest.raises(ValueError, match="chunk_bits"):
        plan([], 20, block_bits=6, chunk_bits=5)
