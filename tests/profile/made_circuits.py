"""Random circuits that are rich in what a reduction looks for, and exact distributions of programs.

The oracle follows all branches densely with Qiskit's matrices; it shares nothing with the code under test.
"""

from __future__ import annotations

import numpy as np
from conformance.oracle import applied, outcomes
from qiskit import QuantumCircuit
from qiskit.circuit.library import DiagonalGate, RYGate, UnitaryGate, XXMinusYYGate, XXPlusYYGate
from qiskit.quantum_info import Operator, random_unitary

from qrex.circuits.program import Program
from qrex.circuits.rebuilding import rebuild
from qrex.profile.reduction import Reduced

__all__ = ["joined_distribution", "matrices", "program_distribution", "random_circuit"]

ONE = ["x", "h", "t", "s", "sx", "y", "z", "sdg", "tdg", "sxdg"]
ONE_ANGLE = ["rx", "ry", "rz", "p"]
TWO = ["cx", "cz", "swap", "iswap", "ch", "cy", "ecr", "dcx", "cs", "csdg", "csx"]
TWO_ANGLE = ["cp", "rzz", "rxx", "crz", "cry", "crx", "rzx", "ryy"]
ANGLES = [np.pi / 2, np.pi, -np.pi / 2, np.pi / 4, 0.7, 1.3, 0.0, 2 * np.pi]


def random_circuit(seed: int, dynamic: bool, measured: bool = True) -> QuantumCircuit:
    """2 to 5 qubits, 3 to 21 gates of every kind; with `dynamic` also measurements, resets and conditions."""
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 6))
    circuit = QuantumCircuit(size, size + 1)

    def bit() -> int:
        return int(random.integers(size + 1))

    def event(first: int, gate_share: float, qubits: list[int]) -> None:
        draw = random.random()
        if draw < gate_share:
            _append_gate(circuit, random, qubits)
        elif draw < (1 + gate_share) / 2:
            circuit.measure(first, bit())
        else:
            circuit.reset(first)

    for _ in range(int(random.integers(3, 22))):
        qubits = [int(q) for q in random.permutation(size)]
        if dynamic and random.random() < 0.15:
            with circuit.if_test((circuit.clbits[bit()], int(random.integers(2)))):
                event(qubits[0], 0.7, qubits)
        else:
            event(qubits[0], 0.8 if dynamic else 1.0, qubits)
    if measured:
        count = int(random.integers(1, size + 1))
        for qubit, clbit in zip(random.permutation(size)[:count], random.permutation(size + 1), strict=False):
            circuit.measure(int(qubit), int(clbit))
    return circuit


def _append_gate(circuit: QuantumCircuit, random: np.random.Generator, q: list[int]) -> None:
    def angle() -> float:
        return float(random.choice(ANGLES))

    kind = random.choice(["x", "h", "one", "one", "angle", "two", "two", "two angle", "matrix", "three", "wide"])
    if kind in ("x", "h"):
        getattr(circuit, kind)(q[0])
    elif kind == "one":
        getattr(circuit, random.choice(ONE))(q[0])
    elif kind == "angle":
        if random.random() < 0.3:
            circuit.u(angle(), angle(), angle(), q[0])
        else:
            getattr(circuit, random.choice(ONE_ANGLE))(angle(), q[0])
    elif kind == "two":
        getattr(circuit, random.choice(TWO))(q[0], q[1])
    elif kind == "two angle":
        getattr(circuit, random.choice(TWO_ANGLE))(angle(), q[0], q[1])
    elif kind == "matrix":
        choice = random.integers(4)
        if choice == 0:
            circuit.append(XXPlusYYGate(angle(), angle()), q[:2])
        elif choice == 1:
            circuit.append(XXMinusYYGate(angle(), angle()), q[:2])
        elif choice == 2:
            circuit.cu(angle(), angle(), angle(), angle(), q[0], q[1])
        else:
            circuit.append(UnitaryGate(random_unitary(4, seed=int(random.integers(99)))), q[:2])
    elif kind == "three" and len(q) > 2:
        getattr(circuit, random.choice(["ccx", "cswap", "ccz", "rccx"]))(*q[:3])
    elif kind == "wide" and len(q) > 3:
        choice = random.integers(4)
        if choice == 0:
            circuit.mcx(q[:3], q[3])
        elif choice == 1:
            circuit.mcp(angle(), q[:3], q[3])
        elif choice == 2:
            circuit.append(DiagonalGate([complex(np.exp(1j * angle())) for _ in range(8)]), q[:3])
        else:
            circuit.append(RYGate(angle()).control(2, annotated=False), q[:3])


def matrices(program: Program) -> list[np.ndarray | None]:
    """Every row's matrix by Qiskit; None for measurements and resets."""
    bare = Program(
        program.num_qubits, program.num_clbits, program.opcode, program.qubit_start, program.qubits,
        program.param_start, program.params, program.clbit, np.full(len(program), -1, dtype=np.int32),
    )  # fmt: skip
    return [
        None if item.operation.name in ("measure", "reset") else Operator(item.operation).data
        for item in rebuild(bare).data
    ]


def program_distribution(program: Program) -> dict[str, float]:
    """Probability of every bit string, by following all branches densely."""
    start = np.zeros([2] * program.num_qubits, dtype=complex)
    start[(0,) * program.num_qubits] = 1
    branches = [(start, (0,) * program.num_clbits)]
    for row, matrix in enumerate(matrices(program)):
        branches = [after for branch in branches for after in _step(program, row, matrix, *branch)]
    result: dict[str, float] = {}
    for state, bits in branches:
        text = "".join(str(bit) for bit in reversed(bits))
        result[text] = result.get(text, 0.0) + float(np.vdot(state, state).real)
    return result


def _step(program: Program, row: int, matrix, state, bits):
    where = list(program.qubits_of(row))
    if program.guard[row] >= 0 and not all(
        (sum(bits[bit] << place for place, bit in enumerate(one.bits)) == one.value) != one.negated
        for one in program.guards[program.guard[row]]
    ):
        yield state, bits
    elif matrix is not None:
        yield applied(matrix, state, where), bits
    else:
        clbit = int(program.clbit[row])
        for value, projected in outcomes(state, where[0]):
            if clbit >= 0:
                yield projected, (*bits[:clbit], value, *bits[clbit + 1 :])
            else:
                yield applied(np.array([[0, 1], [1, 0]]), projected, where) if value else projected, bits


def joined_distribution(reduced: Reduced) -> dict[str, float]:
    """The product of the parts' exact distributions, coins and constants."""
    width = reduced.num_clbits
    total = {"0" * width: 1.0}
    pieces = [(part.clbits, program_distribution(part.program)) for part in reduced.parts]
    pieces += [
        ((int(bit),), {"0": 1 - float(one), "1": float(one)})
        for bit, one in zip(reduced.coin_bits, reduced.coin_ones, strict=True)
    ]
    pieces.append((tuple(reduced.constants), {"".join(map(str, reversed(reduced.constants.values()))): 1.0}))
    for clbits, distribution in pieces:
        wider: dict[str, float] = {}
        for text, weight in total.items():
            for own, probability in distribution.items():
                letters = list(text)
                for local, bit in enumerate(clbits):
                    letters[width - 1 - bit] = own[len(own) - 1 - local]
                key = "".join(letters)
                wider[key] = wider.get(key, 0.0) + weight * probability
        total = wider
    return {text: weight for text, weight in total.items() if weight > 1e-14}
