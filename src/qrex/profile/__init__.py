"""Profile: what a circuit needs, read off it before it runs.

In: a `Circuit`. Out: a `Profile`.
"""

from __future__ import annotations

from qrex.profile.profile import Profile

__all__ = ["Profile"]
