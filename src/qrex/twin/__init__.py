"""Twin: a QPU description made to run.

In: `QpuDescription`. Out: `Qpu`, opened by `open_qpu`: a real device, or a calibration simulated under the
noise that it states. Both run compiled circuits through the same SamplerV2. `Qpu.noise_description` says
which noise a simulated device has and which it has not.
"""

from __future__ import annotations

from qrex.twin.backend import SimulatedQpu
from qrex.twin.noise import NOISE_DESCRIPTION
from qrex.twin.opening import open_qpu
from qrex.twin.qpu import Qpu, QpuRun

__all__ = ["NOISE_DESCRIPTION", "Qpu", "QpuRun", "SimulatedQpu", "open_qpu"]
