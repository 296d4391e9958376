"""Compilation: from a circuit to what a device would run, and what that is worth.

In: a Qiskit circuit and a device (BackendV2 or Target). Out: a `Compiled`: device instructions, scheduled as
late as possible, idle gaps as explicit delays, with its idle windows and its predicted success. The success
evaluator lives here because layouts, decoupling, tools and reports are all compared by it.
"""

from __future__ import annotations

from qrex.compilation.baseline import (
    BASELINE_LEVEL,
    compile_at,
    compile_baseline,
    finish,
    recorded_layout,
    require_width,
    route,
)
from qrex.compilation.compiled import Compiled, IdleWindow, workload_window
from qrex.compilation.error_table import ErrorTable, InstructionCost, idle_log_fidelity, target_of
from qrex.compilation.scheduling import (
    Schedule,
    has_control_flow,
    pad_schedule,
    read_schedule,
    scheduling_passes,
    trim_delays,
)
from qrex.compilation.success import SuccessBreakdown, delay_seconds, predict_success

__all__ = [
    "BASELINE_LEVEL",
    "Compiled",
    "ErrorTable",
    "IdleWindow",
    "InstructionCost",
    "Schedule",
    "SuccessBreakdown",
    "compile_at",
    "compile_baseline",
    "delay_seconds",
    "finish",
    "has_control_flow",
    "idle_log_fidelity",
    "pad_schedule",
    "predict_success",
    "read_schedule",
    "recorded_layout",
    "require_width",
    "route",
    "scheduling_passes",
    "target_of",
    "trim_delays",
    "workload_window",
]
