"""Fusion and planning keep the circuit's unitary, whatever the sizes of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import DiagonalGate, RYGate, UnitaryGate
from qiskit.quantum_info import Statevector

from qrex import _kernels
from qrex.circuits.flattening import flatten

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
    """Against Qiskit's Statevector; also checks that no qubit in a known state got amplitudes."""
    measured = circuit.copy()
    measured.measure_all()
    run = _kernels.DenseRun(
        flatten(measured), 1, 1, threads, 1 << 30, inner_bits=inner_bits, instruction_set=instruction_set, **sizes
    )
    while not run.advance(1.0):
        pass
    re, im, sources = run.amplitudes()
    index = np.arange(2**circuit.num_qubits)
    places, possible = np.zeros_like(index), np.ones(len(index), dtype=bool)
    for qubit, (position, inverted) in enumerate(sources):
        bit = (index >> qubit & 1) ^ inverted
        if position < 0:
            possible &= bit == 0
        else:
            places |= bit << position
    got = np.where(possible, re[places] + 1j * im[places], 0).astype(complex)
    reference = Statevector(circuit).data
    residue = got - reference * np.vdot(reference, got)
    return np.vdot(residue, residue).real / np.vdot(got, got).real


@settings(max_examples=60, deadline=None)
@given(circuits(), st.sampled_from([(15, 6), (7, 4), (8, 4), (8, 5)]), st.sampled_from([2, 5, 11]))
def test_stages_preserve_the_state(circuit, sizes, inner_bits):
    block_bits, chunk_bits = sizes
    assert _infidelity(circuit, block_bits=block_bits, chunk_bits=chunk_bits, inner_bits=inner_bits) < 1e-11


@pytest.mark.parametrize("sizes", [{}, {"block_bits": 9, "chunk_bits": 4, "inner_bits": 5}])
@pytest.mark.parametrize("seed", range(8))
def test_matrices_tables_and_wide_controls(seed, sizes):
    """Gates that are never taken apart, on wires some of which are flipped or still known."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(10)
    circuit.h(rng.choice(10, 5, replace=False).tolist())
    for _ in range(12):
        width = int(rng.integers(2, 6))
        qubits = rng.permutation(10).tolist()
        circuit.x(qubits[0])
        kind = int(rng.integers(5))
        if kind == 0:
            matrix = np.linalg.qr(rng.normal(size=(2**width, 2**width, 2)) @ np.array([1, 1j]))[0]
            circuit.append(UnitaryGate(matrix), qubits[:width])
        elif kind == 1:
            circuit.append(DiagonalGate(list(np.exp(1j * rng.normal(size=2**width)))), qubits[:width])
        elif kind == 2:
            circuit.cswap(*qubits[:3])
        elif kind == 3:
            circuit.append(RYGate(0.7).control(width - 1, ctrl_state=0), qubits[:width])
        else:
            circuit.mcp(0.9, qubits[: width - 1], qubits[width - 1])
    assert _infidelity(circuit, **sizes) < 1e-11


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
    planned = _kernels.dense_plan(flatten(circuit), block_bits=10, chunk_bits=5)
    gates, position_of = planned["gates"], planned["position_of"]
    ran = []
    for local, steps in planned["passes"]:
        places = {position_of[wire] for wire in range(20) if local >> wire & 1}
        assert len(places) == 10
        assert places >= {0, 1, 2, 3, 4}
        for members in steps:
            for k in members:
                kind, dense, _, _ = gates[k]
                assert kind == "phases" or len(members) == 1
                assert not dense & ~local
            ran += members
    assert sorted(ran) == list(range(len(gates)))


def _passes(circuit, **sizes):
    return len(_kernels.dense_plan(flatten(circuit), **sizes)["passes"])


def _dense(circuit):
    """Wires that must be local for each gate."""
    return [dense for _, dense, _, _ in _kernels.dense_plan(flatten(circuit))["gates"]]


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
    mixed = QuantumCircuit(20)
    mixed.h(range(20))
    before = _passes(mixed, block_bits=6, chunk_bits=4)
    for qubit in range(20):
        mixed.cz(qubit, (qubit + 7) % 20)
        mixed.t(qubit)
    assert _passes(mixed, block_bits=6, chunk_bits=4) == before


def test_fusion_merges_where_it_is_cheaper():
    """A dense gate swallows its neighbors; rotations and their phases stay apart; a pair undone vanishes."""
    dense = QuantumCircuit(2)
    dense.h(0)
    dense.rxx(0.4, 0, 1)
    dense.ryy(0.3, 1, 0)
    dense.t(1)
    assert len(_dense(dense)) == 1
    light = QuantumCircuit(1)
    light.ry(0.3, 0)
    light.rz(0.4, 0)
    assert _dense(light) == [1, 0]
    undone = QuantumCircuit(2)
    undone.cz(0, 1)
    undone.cz(1, 0)
    assert _dense(undone) == []


def test_swap_and_x_are_renamings():
    circuit = QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.swap(0, 2)
    circuit.x(1)
    circuit.measure(range(3), range(3))
    planned = _kernels.dense_plan(flatten(circuit))
    assert (planned["gates"], planned["wires"]) == ([], 0)
    assert planned["sources"] == [(-1, False), (-1, True), (-1, True)]


def test_block_sizes_that_leave_no_room_are_refused():
    with pytest.raises(ValueError, match="a gate on 3 qubits does not fit"):
        wide = QuantumCircuit(8)
        wide.h(range(8))
        wide.append(UnitaryGate(np.eye(8)[::-1]), [0, 1, 2])
        _infidelity(wide, block_bits=6, chunk_bits=4)
    with pytest.raises(ValueError, match="chunk_bits"):
        _kernels.DenseRun(flatten(QuantumCircuit(20)), 1, 1, 1, 1 << 30, block_bits=6, chunk_bits=5)
