"""Effective storage of two series of snapshots, and the speed of the codecs.

The series are those of `qrex.execute.storing`: a Trotter evolution, of which no two snapshots share anything, and
branches of a state that differ from it in one of sixteen parts. Effective storage is logical bytes in complex128, every
version in full, over the bytes that all files of the folder really take. Every snapshot is restored and compared with
what was saved: float32 bit for bit, the others by the infidelity computed in double precision, of which the worst is
printed. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from qrex import _kernels
from qrex.execute.storing import branching_series, dense_series, effective_storage
from qrex.store.snapshots import CODECS

__all__ = ["codec_rates", "main"]

def codec_rates(bits: int = 17, repeats: int = 30) -> dict[str, float]:
    """GB of float32 amplitudes coded and decoded per second by one core, and of bytes checksummed; medians."""
    rng = np.random.default_rng(0)
    re, im = rng.normal(size=(2, 1 << bits)).astype(np.float32)
    rates = {}

    def rate(work: Callable[[], object], count: int) -> float:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return count / statistics.median(seconds) / 1e9

    for codec in CODECS:
        coded = _kernels.encode_amplitudes(re, im, codec)[0]
        rates[f"encode_{codec}"] = rate(partial(_kernels.encode_amplitudes, re, im, codec), 8 << bits)
        rates[f"decode_{codec}"] = rate(partial(_kernels.decode_amplitudes, coded, codec), 8 << bits)
    rates["crc32c"] = rate(partial(_kernels.crc32c, re), re.nbytes)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=20)
    parser.add_argument("--scratch", help="folder for the snapshots")
    options = parser.parse_args()
    found: dict[str, object] = {"qubits": options.qubits, "codec_gb_per_s": codec_rates()}
    for name, series in (("dense", dense_series), ("branching", branching_series)):
        for codec in CODECS:
            of = effective_storage(partial(series, options.qubits), codec, options.scratch)
            found[f"{name}_{codec}"] = of
            print(
                f"{name:10} {codec:8} {of['effective_storage']:6.2f} × complex128, "
                f"{of['effective_storage_complex64']:6.2f} × complex64, infidelity {of['infidelity']:.2e}, "
                f"save {of['save_gb_per_s']:.2f} GB/s, restore {of['restore_gb_per_s']:.2f} GB/s"
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
