"""qrex as a contender: from a fresh Qiskit circuit to counts, deciding included; or one of its engines by name.

In: Qiskit circuits and cost constants. Out: answers with what was predicted when the engine was chosen, and the
seconds that deciding took.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import Any

from qiskit import QuantumCircuit, qpy
from routing_contenders import Answer, OutOfMemory, Refused, Stopped

from qrex.circuits import Circuit
from qrex.engines import Allotment, Job
from qrex.errors import EngineError, InfeasibleError, MemoryLimitError
from qrex.execute.solving import SolveRequest, solve

__all__ = ["MAX_INFIDELITY", "OURS", "Ours", "engine_names"]

OURS = "qrex"
MAX_INFIDELITY = 1e-3
_RELOADED_BYTES = 4_000_000

Constants = Mapping[str, Mapping[str, float]]


def engine_names(constants: Constants) -> list[str]:
    """Engines to be compared by name: all but those that only choose among others."""
    from qrex.engines.registry import available_engines

    found = available_engines(constants)
    return [name for name, engine in found.items() if not getattr(engine, "delegates", False)]


class Ours:
    """qrex's own choice, or the engine called `engine`."""

    keepable = False

    def __init__(self, constants: Constants, threads: int, memory_bytes: int, engine: str | None = None) -> None:
        self.constants, self.threads, self.memory_bytes, self.engine = constants, threads, memory_bytes, engine

    def prepare(self, circuit: QuantumCircuit, *, barriers: bool, hint: str = "") -> tuple[Any, str | None]:
        """Serialized, so that every run gets objects that nobody has looked into. `hint`: the engine that
        answered before, for a mirror."""
        engine = self.engine or (hint or None if barriers else None)
        buffer = io.BytesIO()
        qpy.dump(circuit, buffer)
        return (circuit if buffer.tell() > _RELOADED_BYTES else buffer.getvalue()), engine

    def tune(self, prepared: Any) -> Any:
        return prepared

    def fresh(self, prepared: tuple[Any, str | None]) -> tuple[Circuit, str | None]:
        held, engine = prepared
        circuit = qpy.load(io.BytesIO(held))[0] if isinstance(held, bytes) else held
        return Circuit("benchmark", "benchmark", "<python>", "Qiskit", circuit), engine

    def run(self, prepared: tuple[Circuit, str | None], shots: int, seed: int, limit_seconds: float) -> Answer:
        circuit, engine = prepared
        ends = time.perf_counter() + limit_seconds

        def progress(_fraction: float) -> None:
            if time.perf_counter() > ends:
                raise Stopped

        allotment = Allotment(self.threads, self.memory_bytes, wall_seconds=limit_seconds)
        request = SolveRequest(Job(circuit, shots, seed), self.constants, allotment, MAX_INFIDELITY, engine)
        try:
            answer = solve(request, progress)
        except (MemoryLimitError, MemoryError) as error:
            raise OutOfMemory(str(error)) from error
        except (InfeasibleError, EngineError) as error:
            raise Refused(str(error)) from error
        return Answer(answer["counts"], answer["metadata"].get("infidelity"), _facts(answer))


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What was decided and predicted. "settings": the one engine that ran all parts, "" where there were several.
    "lost_race_seconds": what was spent on engines that did not answer in the end."""
    names = {part["engine"] for part in answer["parts"]}
    lost = [
        told["seconds"]
        for part in answer["parts"]
        for name, told in part.get("race", {}).items()
        if name != part["engine"]
    ]
    kept = ("engine", "predicted_seconds", "predicted_bytes", "certain", "decision_seconds", "note")
    return {name: answer[name] for name in kept} | {
        "settings": names.pop() if len(names) == 1 else "",
        "parts": len(answer["parts"]),
        "lost_race_seconds": sum(lost),
    }
