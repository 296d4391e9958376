"""Reads a `Profile` off a circuit, without running it.

In: a `Circuit`. Out: its `Profile`. One pass over the flat steps, O(steps); 250,000 gates take one to two
seconds. Qubits that are still in a known basis state are followed through the classical part of a circuit, so
controlled gates on |0⟩ count as what they are: nothing.
"""

from __future__ import annotations

from collections import Counter

from qrex.circuits import Circuit
from qrex.profile.bonds import bond_bounds
from qrex.profile.clifford_rows import read_clifford
from qrex.profile.profile import Profile
from qrex.profile.steps import Step, flat_steps

__all__ = ["profile_circuit"]

_NOT_GATES = frozenset(["measure", "reset", "barrier", "delay", "store", "global_phase"])
_DIAGONAL_ALONE = frozenset(["id", "z", "s", "sdg", "t", "tdg", "p", "u1", "rz"])
# Diagonal, and the identity wherever any of its qubits is |0⟩.
_SKIP_ON_ZERO = frozenset(["cz", "cs", "csdg", "cp", "cu1", "ccz"])
_DIAGONAL = _DIAGONAL_ALONE | _SKIP_ON_ZERO | {"crz", "rzz", "diagonal"}
_FLIPS = frozenset(["x", "y"])
_CONTROLS = {"ccx": 2, "cswap": 1} | dict.fromkeys(
    ["cx", "cy", "ch", "csx", "crx", "cry", "crz", "cu", "cu3"], 1
)
# Operator-Schmidt log-rank 1 across any cut; every other two-qubit gate has at most 2.
_RANK_ONE = _SKIP_ON_ZERO | (frozenset(_CONTROLS) - {"cswap"}) | {"rxx", "ryy", "rzz", "rzx", "ecr"}
UNKNOWN = -1


def profile_circuit(circuit: Circuit, shots: int | None = None) -> Profile:
    """The profile of `circuit` for `shots`, its own number if None.

    Raises InputError on unbound parameters and on endless unrolling.
    """
    quantum_circuit = circuit.quantum_circuit
    reader = _Reader(quantum_circuit.num_qubits)
    for step in flat_steps(quantum_circuit):
        reader.read(step)
    bonds = bond_bounds(quantum_circuit.num_qubits, reader.first, reader.last, reader.log_rank)
    sizes = reader.component_sizes()
    clifford = read_clifford(circuit.program)
    return Profile(
        circuit_id=circuit.id,
        num_qubits=quantum_circuit.num_qubits,
        active_qubits=sum(reader.active),
        num_clbits=quantum_circuit.num_clbits,
        depth=quantum_circuit.depth(),
        gate_counts=dict(sorted(reader.counts.items())),
        one_qubit_gates=reader.widths[1],
        two_qubit_gates=reader.widths[2],
        many_qubit_gates=reader.widths[3],
        fused_blocks=reader.blocks,
        is_clifford=clifford.non_clifford == 0,
        non_clifford_gates=clifford.non_clifford,
        measurements=reader.counts["measure"],
        terminal_measurements_only=reader.terminal,
        resets=reader.counts["reset"],
        conditionals=reader.conditionals(quantum_circuit),
        has_control_flow=any(instruction.is_control_flow() for instruction in quantum_circuit.data),
        components=len(sizes),
        widest_component=max(sizes, default=0),
        max_log2_schmidt=bonds.max_log2,
        shots=circuit.shots if shots is None else shots,
        needs_trajectories=reader.trajectories,
        stabilizer_obstacle=clifford.obstacle,
        stabilizer_forks=clifford.followed.forks,
        obstacle=circuit.program.obstacle,
        mps_updates=bonds.updates,
        log2_mps_work=bonds.log2_work,
        log2_mps_elements=bonds.log2_elements,
        instructions=reader.instructions,
    )


class _Reader:
    """The running state of one pass over a circuit."""

    def __init__(self, num_qubits: int):
        self.counts: Counter[str] = Counter()
        self.widths = [0, 0, 0, 0]
        self.instructions = 0
        self.terminal, self.trajectories = True, False
        self.active = [False] * num_qubits
        self.measured = [False] * num_qubits
        self.written: set[int] = set()  # classical bits that may differ from 0
        self.known = [0] * num_qubits  # basis state of a qubit, or UNKNOWN
        self.alone = [True] * num_qubits  # never entangled with another qubit
        self.parent = list(range(num_qubits))
        self.first: list[int] = []
        self.last: list[int] = []
        self.log_rank: list[float] = []
        # Fused blocks: what is open on each qubit: None, a one-qubit block (1,) or the pair's block.
        self.blocks = 0
        self.open: list[object] = [None] * num_qubits

    def read(self, step: Step) -> None:
        name = step.name
        self.instructions += 1
        if name == "barrier" or name == "global_phase":
            return
        self.counts[name] += 1
        if step.guards:
            self.read_guards(step)
        if name == "measure":
            self.read_measure(step)
        elif name == "reset":
            self.read_reset(step)
        elif name not in _NOT_GATES:
            self.read_gate(step)

    def read_guards(self, step: Step) -> None:
        if any(guard.bits is None or self.written.intersection(guard.bits) for guard in step.guards):
            self.terminal, self.trajectories = False, True

    def read_measure(self, step: Step) -> None:
        qubit = step.qubits[0]
        self.active[qubit] = self.measured[qubit] = True
        self.written.update(step.clbits)
        self.close(step.qubits)

    def read_reset(self, step: Step) -> None:
        qubit = step.qubits[0]
        if self.measured[qubit]:
            self.terminal = False
        if self.active[qubit] and (self.known[qubit] == UNKNOWN or self.measured[qubit]):
            self.trajectories = True
        self.active[qubit] = True
        # A conditional reset leaves a qubit that may or may not be |0⟩.
        self.known[qubit] = UNKNOWN if step.guards and self.known[qubit] != 0 else 0
        self.close(step.qubits)

    def read_gate(self, step: Step) -> None:
        name, qubits = step.name, step.qubits
        width = len(qubits)
        self.widths[min(width, 3)] += 1
        for qubit in qubits:
            self.active[qubit] = True
            if self.measured[qubit]:
                self.terminal, self.trajectories = False, True
        self.fuse(qubits)
        if width == 1:
            if self.known[qubits[0]] != UNKNOWN and name not in _DIAGONAL:
                flips = name in _FLIPS and not step.guards
                self.known[qubits[0]] = 1 - self.known[qubits[0]] if flips else UNKNOWN
            return
        left, right = min(qubits), max(qubits)
        root = self.find(qubits[0])
        for qubit in qubits[1:]:
            self.parent[self.find(qubit)] = root
        self.first.append(left)
        self.last.append(right)
        self.log_rank.append(self.entangle(step))

    def entangle(self, step: Step) -> float:
        """Follow known basis states through a gate on several qubits; the log-rank it adds to a cut."""
        name, qubits = step.name, step.qubits
        known = [self.known[qubit] for qubit in qubits]
        if name == "swap" and not step.guards:
            a, b = qubits
            self.known[a], self.known[b] = known[1], known[0]
            if self.alone[a] and self.alone[b]:
                return 0.0
        elif name in _SKIP_ON_ZERO or name == "rzz":
            acting = [qubit for qubit in qubits if self.known[qubit] == UNKNOWN]
            if len(acting) <= 1 or (name != "rzz" and 0 in known):
                return 0.0
        elif name in _CONTROLS:
            controls = _CONTROLS[name]
            if 0 in known[:controls]:
                return 0.0
            acting = [qubit for qubit in qubits[:controls] if self.known[qubit] == UNKNOWN]
            if not acting and not step.guards:
                return self.after_known_controls(name, qubits[controls:])
            for qubit in qubits[controls:]:
                if name != "crz":
                    self.known[qubit] = UNKNOWN
        elif name not in _DIAGONAL:
            for qubit in qubits:
                self.known[qubit] = UNKNOWN
        rank = 1.0 if name in _RANK_ONE else 2.0 * (len(qubits) // 2)
        if len(qubits) == 2 and (self.alone[qubits[0]] or self.alone[qubits[1]]):
            # A qubit that is still alone enters in one fixed state: two output dimensions at most.
            rank = min(rank, 1.0)
        for qubit in qubits:
            self.alone[qubit] = False
        return rank

    def after_known_controls(self, name: str, targets: tuple[int, ...]) -> float:
        """All controls are |1⟩: the gate is its base gate on the targets."""
        if name == "cswap":
            a, b = targets
            self.known[a], self.known[b] = self.known[b], self.known[a]
            if self.alone[a] and self.alone[b]:
                return 0.0
            self.alone[a] = self.alone[b] = False
            return 2.0
        target = targets[0]
        if self.known[target] != UNKNOWN and name != "crz":
            self.known[target] = 1 - self.known[target] if name in ("cx", "cy", "ccx") else UNKNOWN
        return 0.0

    def find(self, qubit: int) -> int:
        while self.parent[qubit] != qubit:
            self.parent[qubit] = self.parent[self.parent[qubit]]
            qubit = self.parent[qubit]
        return qubit

    def component_sizes(self) -> list[int]:
        roots = Counter(self.find(qubit) for qubit, active in enumerate(self.active) if active)
        return sorted(roots.values())

    def fuse(self, qubits: tuple[int, ...]) -> None:
        """Count blocks: one-qubit gates join what is open, a new pair absorbs open one-qubit blocks."""
        if len(qubits) == 1:
            if self.open[qubits[0]] is None:
                self.open[qubits[0]] = "one"
                self.blocks += 1
        elif len(qubits) == 2:
            a, b = qubits
            pair = self.open[a]
            if isinstance(pair, list) and pair is self.open[b]:
                return
            self.blocks += 1 - (self.open[a] == "one") - (self.open[b] == "one")
            self.open[a] = self.open[b] = [a, b]
        else:
            self.close(qubits)

    def close(self, qubits: tuple[int, ...]) -> None:
        for qubit in qubits:
            self.open[qubit] = None

    @staticmethod
    def conditionals(quantum_circuit) -> int:
        """How many if and switch statements are written, also inside other blocks."""
        found, pending = 0, [quantum_circuit]
        while pending:
            for instruction in pending.pop().data:
                if instruction.is_control_flow():
                    found += instruction.name in ("if_else", "switch_case")
                    pending.extend(instruction.operation.blocks)
        return found
