"""One circuit: from OpenQASM text, or from a Qiskit circuit.

In: text or a `QuantumCircuit`. Out: a `Circuit`. Each text goes to the fastest importer that accepts it: OpenQASM
2 without `gate` and `if` to Qiskit's (6 µs a gate), everything else, and whatever that one refuses, to ours
(`qrex.circuits.importer`). `benchmarks/loading.py` measures both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

import numpy as np
from qiskit import QuantumCircuit, qasm2
from qiskit.circuit.library import CPhaseGate, CUGate, PhaseGate, UGate

from qrex.circuits.identity import circuit_id, text_id
from qrex.circuits.importer import import_program
from qrex.circuits.lexer import Lexer
from qrex.circuits.scope import MAX_BITS, MAX_QUBITS
from qrex.circuits.workload import DEFAULT_SHOTS, Circuit, Target
from qrex.errors import CircuitError

__all__ = ["circuit_from_qiskit", "read_circuit"]

_VERSION = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*(OPENQASM)\b\s*([^\s;]*)\s*(;?)", re.DOTALL)
_OLD_WORDS = re.compile(r"^\s*(?:qreg|creg|opaque)\b|\"qelib1\.inc\"", re.MULTILINE)
_NOT_FLAT = re.compile(r"\b(?:gate|opaque|if)\b")
# Without these no value of an expression leaves the range of floating point; looking at every gate takes a while.
_MAY_OVERFLOW = re.compile(r"[eE]\+?\d\d|[eE]-\d{3}|\d{40}|\^|\b(?:exp|ln|sqrt|tan)\b")
_REGISTER = re.compile(r"\b([qc])reg\s+\w+\s*\[\s*(\d+)\s*\]")
_MODERN = {
    "u1": PhaseGate,
    "u3": UGate,
    "cu1": CPhaseGate,
    "cu3": lambda theta, phi, lam: CUGate(theta, phi, lam, 0),
    "u2": lambda phi, lam: UGate(1.5707963267948966, phi, lam),
}
_LEGACY = [
    qasm2.CustomInstruction(c.name, c.num_params, c.num_qubits, _MODERN.get(c.name, c.constructor), builtin=c.builtin)
    for c in qasm2.LEGACY_CUSTOM_INSTRUCTIONS
]


def read_circuit(
    text: str,
    origin: str,
    *,
    name: str | None = None,
    target: Target = "auto",
    shots: int = DEFAULT_SHOTS,
    inputs: Mapping[str, float] | None = None,
) -> Circuit:
    """The circuit of an OpenQASM 2 or 3 program.

    `origin` is the place named in errors and kept in the circuit; `inputs` gives OpenQASM 3 `input` parameters
    their values. Raises CircuitError with line and column for anything that cannot be read; nothing else.

    >>> circuit = read_circuit('OPENQASM 3.0; qubit[2] q; U(0, 0, 0) q[1];', "<input>")
    >>> circuit.num_qubits, circuit.language
    (2, 'OpenQASM 3')
    """
    lexer = Lexer(text, origin)
    version = _version(lexer)
    try:
        quantum_circuit = _fast(text, version) if not inputs else None
        if quantum_circuit is None:
            quantum_circuit = import_program(lexer, version, inputs or {})
    except (RecursionError, MemoryError) as error:
        raise CircuitError(
            f"the program is too deep or too large to read ({type(error).__name__})", file=origin
        ) from None
    name = name or PurePath(origin).stem
    quantum_circuit.name = name
    return Circuit(
        id=text_id(text, inputs or {}),
        name=name,
        origin=origin,
        language="OpenQASM 2" if version == 2 else "OpenQASM 3",
        quantum_circuit=quantum_circuit,
        target=target,
        shots=shots,
    )


def circuit_from_qiskit(
    quantum_circuit: QuantumCircuit,
    name: str | None = None,
    target: Target = "auto",
    shots: int = DEFAULT_SHOTS,
) -> Circuit:
    """A Qiskit circuit as a `Circuit`, copied so that later changes to the original do not reach it.

    Its id is a hash over its instructions. Raises CircuitError where parameters have no values, or infinite ones.
    """
    name = name or quantum_circuit.name
    if quantum_circuit.parameters:
        free = ", ".join(sorted(p.name for p in quantum_circuit.parameters)[:5])
        raise CircuitError(f"circuit '{name}' has parameters without values ({free}); call assign_parameters first",
                           file="<python>")  # fmt: skip
    if not quantum_circuit.num_qubits:
        raise CircuitError(f"circuit '{name}' has no qubits", file="<python>")
    if wrong := _not_finite(quantum_circuit):
        raise CircuitError(f"circuit '{name}': {wrong} is not a finite number", file="<python>")
    copy = quantum_circuit.copy(name)
    return Circuit(circuit_id(copy), name, "<python>", "Qiskit", copy, target, shots)


def _version(lexer: Lexer) -> int:
    """2 or 3, with the lexer moved past the version line; guessed from the words used where there is none."""
    text = lexer.text
    if "\0" in text:
        lexer.fail("this is not OpenQASM text: it holds NUL bytes", text.index("\0"))
    if not text.strip():
        lexer.fail("the file is empty", 0)
    match = _VERSION.match(text)
    if match is None:
        return 2 if _OLD_WORDS.search(text) else 3
    if match[2] not in ("2", "2.0", "3", "3.0", "3.1"):
        shown = match[2][:20] or "nothing"
        lexer.fail(f"OPENQASM {shown} is not supported; 2.0, 3.0 and 3.1 are", match.start(2))
    if not match[3]:
        lexer.fail("expected ';' after the version", match.end(2))
    lexer.seek(match.end())
    return int(match[2][0])


def _fast(text: str, version: int) -> QuantumCircuit | None:
    """The circuit by Qiskit's OpenQASM 2 importer, or None where it does not apply or refuses.

    Programs with gate definitions go to ours: Qiskit's takes a definition of a name it knows as its own gate,
    whatever the body says. So do programs with `if`: it keeps comparisons that can never hold. Sizes
    are checked first, since it allocates whatever is declared.
    """
    if version != 2 or _NOT_FLAT.search(text):
        return None
    size = {"q": 0, "c": 0}
    for kind, count in _REGISTER.findall(text):
        size[kind] += int(count[:12])
    if size["q"] > MAX_QUBITS or size["c"] > MAX_BITS or not size["q"]:
        return None
    try:
        found = qasm2.loads(text, include_path=(), custom_instructions=_LEGACY)
    except Exception:  # ours reads it or says what is wrong, with the place
        return None
    return None if _MAY_OVERFLOW.search(text) and _not_finite(found) else found


def _not_finite(circuit: QuantumCircuit) -> str:
    """The first infinite or undefined number, "" where there is none; blocks included, definitions not."""
    if not np.isfinite(circuit.global_phase):
        return f"global phase {circuit.global_phase}"
    for instruction in circuit.data:
        for value in instruction.params:
            if isinstance(value, QuantumCircuit):
                if inside := _not_finite(value):
                    return inside
            elif isinstance(value, (float, complex, np.ndarray, np.number)) and not np.isfinite(value).all():
                where = ", ".join(str(circuit.find_bit(qubit).index) for qubit in instruction.qubits)
                return f"parameter {value} of {instruction.name} on qubit {where}"
    return ""
