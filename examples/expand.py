"""The main job from Python, call by call: what is measured, what was kept and why, and the report.

Run it from the root of the repository:

    .venv/bin/python examples/expand.py                      # examples/workload, into out/
    .venv/bin/python examples/expand.py my_circuits results  # your own folder of OpenQASM files
"""

import sys

import qrex
from qrex.telemetry import open_progress

# A file (docs/platform.md), the name of a calibration snapshot, or None for this host and fake_guadalupe.
PLATFORM = "examples/platforms/guadalupe.toml"


def main(workload: str = "examples/workload", out: str = "out") -> None:
    # Progress is silent by default; this display goes to stderr.
    with open_progress() as progress, qrex.Expansion(workload, PLATFORM, progress=progress) as x:
        # Files that cannot be read stop nothing; here they are, with line and column.
        for error in x.session.workload.failures.values():
            print(f"not read: {error}", file=sys.stderr)

        # Each mechanism is toggled alone against the baseline, measured, and kept only where it measures better.
        for row in (
            x.apply_dynamical_decoupling(),
            x.reconfigure_trap_layout(),
            x.calibrate_error_correction(),  # not built yet: the row says so and holds no number
            x.activate_memory_banks("quantum-tiered"),
            x.allocate_storage("quantum-ssd-blocks"),
            x.optimize_workload_balancer("qpu-cpu-gpu"),
        ):
            print(f"{row.title}: {row.status} ({row.reason})")
            for figure in row.contributions:
                print(f"    {figure.title}: {figure.verdict}")

        # Every circuit, before and after, with what was kept above.
        for circuit in x.run_quantum_benchmark("qasm_circuits"):
            before, after = circuit.before, circuit.after
            print(f"{circuit.name} ({circuit.target}): {before.where} {before.outcome}, {after.where} {after.outcome}")

        # A threshold is compared with the lower end of the 95 % interval.
        for threshold in (x.validate_coherence_threshold(0.9), x.verify_entanglement_fidelity(3.8)):
            print(f"{threshold.title}: {'passed' if threshold.passed else 'missed'} ({threshold.note})")

        summary = x.summary()

    print(summary.verdict)
    print(summary.save(out)["html"])


if __name__ == "__main__":
    main(*sys.argv[1:])
