"""Cost constants: measured with tiny runs, and the rule that without them an engine gives no estimate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from qrex.errors import EngineError

__all__ = ["best_seconds", "require_constants"]


class _Costed(Protocol):
    name: str
    constants: Mapping[str, float]
    constant_names: tuple[str, ...]


def require_constants(engine: _Costed) -> Mapping[str, float]:
    """The engine's constants; raises EngineError naming those that were not measured."""
    missing = [name for name in engine.constant_names if name not in engine.constants]
    if missing:
        raise EngineError(
            f"{engine.name} has no measured cost constants {', '.join(missing)}; run `qrex calibrate` first"
        )
    return engine.constants


def best_seconds(action: Callable[[], object], repeats: int = 3) -> float:
    """Wall seconds of `action`, the smallest of `repeats`: other work on the machine only ever adds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best
