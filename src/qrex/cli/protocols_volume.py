"""`qrex measure volume`: quantum volume with Qiskit's preset level 3 and with everything on, on the same circuits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrex.cli.protocols import Findings, _run
from qrex.cli.readings import Reading
from qrex.errors import InfeasibleError
from qrex.expansion.session import Session
from qrex.expansion.volume import EverythingOn, PresetCompiler, VolumeSearch
from qrex.measure.quantum_volume import LEAST_CIRCUITS, MOST_WIDE, QuantumVolume, VolumeResult
from qrex.suppress import IdleNoise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["volume"]

BEFORE, AFTER = "preset level 3", "everything on"


def volume(session: Session, shots: int, width: int | None) -> Findings:
    """One width, or widths from 2 up to the first that fails, for each of the two."""
    target = session.qpu.target
    seed = session.seed_for("measure volume")
    noise = IdleNoise.of(session.qpu.backend, session.platform.qpus[0].noise)
    steps = {BEFORE: PresetCompiler(seed), AFTER: EverythingOn(seed, noise)}
    widths = [width] if width else list(range(2, min(MOST_WIDE, target.num_qubits) + 1))
    if not widths or widths[0] > target.num_qubits:
        raise InfeasibleError(
            f"width {widths[0] if widths else 2} was asked for; {session.qpu.name} has {target.num_qubits} qubits"
        )
    found: dict[str, list[VolumeResult]] = {name: [] for name in steps}
    running = list(steps)
    for n in widths:
        plans = {
            f"{name}, width {n}": QuantumVolume.plan(target, width=n, seed=seed, compile=steps[name])
            for name in running
        }
        results = _run(session, shots, f"Quantum volume, width {n}", plans)
        for name in running:
            found[name].append(results[f"{name}, width {n}"])
        running = [name for name in running if found[name][-1].passed]
        if not running:
            break
    readings, notes = [], []
    for name, results in found.items():
        if not width:
            figure = VolumeSearch(tuple(results)).measurement
            readings.append(Reading("quantum volume", name, figure))
        for one in results:
            readings.append(Reading("heavy-output probability", name, one.hop, one.width, "qubits"))
            notes.append(_note(name, one))
    notes.append(f"{LEAST_CIRCUITS} circuits of each width, the same ones for both; readout is not mitigated")
    before, after = found[BEFORE], found[AFTER]

    def draw(heading: str, subtitle: str) -> Figure:
        from qrex.report.volume_plot import volume_figure

        return volume_figure(before, after, heading, subtitle)

    return Findings("Quantum volume", tuple(readings), draw, tuple(notes))


def _note(name: str, one: VolumeResult) -> str:
    original = "passes" if one.passed_original else "does not pass"
    if not one.passed_original and one.more_circuits_original is not None:
        original += f", about {one.more_circuits_original:,} more circuits would"
    return (
        f"{name}, width {one.width}: {one.verdict}; 2σ bound {one.lower:.4f} (bootstrap), "
        f"{one.lower_original:.4f} (original interval: {original})"
    )
