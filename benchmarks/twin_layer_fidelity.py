"""Does the twin with memory predict the layer fidelities that calibration snapshots report?

    python benchmarks/twin_layer_fidelity.py [--length 10] [--margin 2] [--shots 500] [--seed 21] [DEVICE …]

In: fake backends of qiskit-ibm-runtime by city, by default the Eagles and two Herons. Out: one JSON object per device
and line, with -ln LF of the snapshot, of the product of the stated gate errors, and of the twin under its default
assumptions: of the chain alone, and of the chain inside of `margin` more qubits at each end.

The maker measures long chains at once and reports of each length the best part, in which a gate that reaches out counts
by its square root (qiskit-device-benchmarking, `reconstruct_lf_per_length`): the second figure follows that. What
reaches out is read off the longest chain in the snapshot that holds the shorter one. Nothing is fitted.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence

import qiskit_ibm_runtime.fake_provider as snapshots

from qrex.evidence import Measurement
from qrex.measure.chains import gate_product, named_chain
from qrex.measure.layer_fidelity import LayerFidelity
from qrex.platform import NoiseAssumptions
from qrex.twin import SimulatedQpu

__all__ = ["main"]

DEVICES = ("Sherbrooke", "Brisbane", "Quebec", "Kyiv", "Kawasaki", "Strasbourg", "Brussels", "Fez", "Torino")


def surroundings(properties, chain: tuple[int, ...], margin: int) -> tuple[int, ...]:
    """`chain` with up to `margin` qubits more at each end, from the longest chain of the snapshot that holds it."""
    for length in range(100, len(chain), -1):
        longer = named_chain(properties, length)
        for qubits in (longer.qubits, longer.qubits[::-1]) if longer else ():
            for start in range(len(qubits) - len(chain) + 1):
                if qubits[start : start + len(chain)] == chain:
                    return qubits[max(0, start - margin) : start + len(chain) + margin]
    return chain


def loss(fidelity: Measurement) -> list[float]:
    """-ln of a fidelity with the ends of its interval."""
    return [round(-math.log(x), 4) for x in (fidelity.value, fidelity.high, fidelity.low)]


def compared(city: str, length: int, margin: int, shots: int, seed: int, samples: int = 6) -> dict[str, object]:
    backend = getattr(snapshots, f"Fake{city}")()
    stated = named_chain(backend.properties(), length)
    if stated is None:
        raise SystemExit(f"the snapshot of {city} names no chain of {length} qubits")
    device = SimulatedQpu(backend, NoiseAssumptions())
    snapshot = -math.log(stated.fidelity)
    record: dict[str, object] = {"device": city, "length": length, "snapshot": round(snapshot, 4)}
    chains = {"alone": stated.qubits}
    if margin:
        chains["in its surroundings"] = surroundings(backend.properties(), stated.qubits, margin)
    for name, chain in chains.items():
        begin = time.perf_counter()
        plan = LayerFidelity.plan(backend.target, seed=seed, chain=chain, samples=samples)
        if name == "alone":
            product = gate_product(backend.target, plan.layers)
            record["gate errors"] = None if product is None else round(-math.log(product), 4)
        circuits = plan.circuits(backend.target)
        result = device.run(circuits, shots=shots, seed_simulator=seed, memory=False).result()
        counts = [result.get_counts(index) for index in range(len(circuits))]
        fidelity, _ = plan.analyze(counts, "simulated").within(stated.qubits)
        off = round(-math.log(fidelity.value) / snapshot - 1, 3)
        seconds = round(time.perf_counter() - begin, 1)
        record[name] = {"qubits": len(chain), "twin": loss(fidelity), "off": off, "seconds": seconds}
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devices", nargs="*", default=DEVICES, metavar="DEVICE")
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--margin", type=int, default=2)
    parser.add_argument("--shots", type=int, default=500)
    parser.add_argument("--seed", type=int, default=21)
    chosen = parser.parse_args(arguments)
    for city in chosen.devices:
        print(json.dumps(compared(city, chosen.length, chosen.margin, chosen.shots, chosen.seed)), flush=True)


if __name__ == "__main__":
    main()
