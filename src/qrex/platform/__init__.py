"""Platform: describes only. A host as probed, and QPUs as a platform file names them; opens nothing.

In: this computer, a TOML file. Out: `Host`, `Platform`.
"""

from __future__ import annotations

from qrex.platform.description import Gpu, Host, HostLimits, Platform, QpuDescription, QpuKind

__all__ = ["Gpu", "Host", "HostLimits", "Platform", "QpuDescription", "QpuKind"]
