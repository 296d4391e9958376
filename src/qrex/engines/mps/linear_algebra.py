"""SciPy's BLAS and LAPACK as addresses for compiled code.

In: nothing. Out: `{routine: address}` of routines with 32-bit integers, and `set_threads`, the switch of the same
library's threads (0 where it has none). Found once per process. Reference: scipy.linalg.cython_lapack.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from scipy.linalg import cython_blas, cython_lapack

from qrex.errors import EngineError

__all__ = ["routines", "set_threads_address"]

_BLAS = ("zgemm",)
_LAPACK = ("zheevd", "zgeqrf", "zgeqp3", "zungqr")
_SWITCHES = ("scipy_openblas_set_num_threads", "openblas_set_num_threads", "scipy_openblas_set_num_threads64_")


@functools.cache
def routines() -> Mapping[str, int]:
    """Addresses of the routines that matrix product states call. EngineError where SciPy lacks one."""
    found = {name: _address(cython_blas.__pyx_capi__, name) for name in _BLAS}
    found |= {name: _address(cython_lapack.__pyx_capi__, name) for name in _LAPACK}
    found["set_threads"] = set_threads_address()
    return found


def _address(table: Mapping[str, object], name: str) -> int:
    capsule = table.get(name)
    if capsule is None:
        raise EngineError(f"mps: this SciPy offers no {name}; install scipy 1.11 or later")
    signature_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    signature_of.restype, signature_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = signature_of(capsule)
    if b"int *" not in signature or b"int64" in signature or b"long" in signature:
        raise EngineError(f"mps: SciPy's {name} takes other integers than 32-bit ones: {signature.decode()}")
    return pointer_of(capsule, signature)


def set_threads_address() -> int:
    """Address of `set_num_threads` in the OpenBLAS that SciPy's wheel carries, 0 where it carries none."""
    spec = find_spec("scipy")
    if spec is None or spec.origin is None:
        return 0
    package = Path(spec.origin).parent
    for folder in (package.parent / "scipy.libs", package / ".dylibs"):
        for library in sorted(folder.glob("*openblas*")):
            try:
                loaded = ctypes.CDLL(str(library))
            except OSError:
                continue
            for name in _SWITCHES:
                if hasattr(loaded, name):
                    return ctypes.cast(getattr(loaded, name), ctypes.c_void_p).value or 0
    return 0
