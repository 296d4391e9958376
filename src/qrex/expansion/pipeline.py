"""The founding text's pseudo-code, made real: nine calls, each of which returns its evidence.

In: a workload and a platform. Out: mechanism rows, circuit rows, threshold rows, and the `Summary`. What a
call needs is measured when it is first needed and kept in the store; a call repeated is a no-op.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from qrex.circuits import Target, Workload, load_workload
from qrex.errors import InputError
from qrex.expansion.banks import memory_row, storage_row
from qrex.expansion.device import MEASURED, PILOT, Configuration, DeviceStage, run_device_stages
from qrex.expansion.mechanisms import (
    NOT_BUILT,
    DeviceOption,
    choose_per_circuit,
    decoupling_row,
    layout_row,
    merged_stage,
)
from qrex.expansion.metrology import DeviceFigures, compare_coherence, compare_density, measure_device
from qrex.expansion.rows import device_rows, judge, simulation_rows
from qrex.expansion.session import Session, Settings
from qrex.expansion.simulation import SimulationStage, run_baseline, run_expanded
from qrex.expansion.summarize import balancer_row, summarize
from qrex.platform import Platform, load_platform
from qrex.profile import profile_circuit
from qrex.report import CircuitRow, MechanismRow, Summary, ThresholdRow
from qrex.store import Store
from qrex.telemetry import SilentProgress, StageProgress

__all__ = ["DEFAULT_SEED", "Expansion"]

DEFAULT_SEED = 20250723

_BANKS = ("quantum-tiered",)
_BLOCKS = ("quantum-ssd-blocks",)
_BALANCERS = ("qpu-cpu-gpu",)
_BENCHMARKS = ("qasm_circuits",)


class Expansion:
    """Measures a workload on a platform as it is, applies mechanisms, and measures again.

    Args:
        workload: a folder, a file, "-" for standard input, Qiskit circuits, a list of these, or a `Workload`.
        platform: a platform file, a fake backend's name, a `Platform`, or None for this host and
            fake_guadalupe.
        shots: shots per circuit; by default the workload's own.
        memory_bytes, cores: what all runs together may use; by default what the platform and host allow.
        scratch_dir, disk_bytes, codec: where states larger than the memory go, what they may take there, and what
            they are kept as (float32, int16, int8).
        store: the file that keeps finished work; by default the user's own.
        progress: a display of `qrex.telemetry`; by default silent.

    Raises InputError, PlatformError and CircuitError for what cannot be used; close it, or use it as a
    context manager, to stop its worker processes.
    """

    def __init__(
        self,
        workload: Any,
        platform: str | Path | Platform | None = None,
        *,
        seed: int = DEFAULT_SEED,
        shots: int | None = None,
        target: Target | None = None,
        cores: int | None = None,
        memory_bytes: int | None = None,
        scratch_dir: str | None = None,
        disk_bytes: int | None = None,
        codec: str = "float32",
        wall_seconds: float = 120.0,
        strict: bool = False,
        store: str | Path | Store | None = None,
        progress: StageProgress | None = None,
        command: str = "",
    ) -> None:
        loaded = workload if isinstance(workload, Workload) else load_workload(workload, strict=strict, target=target)
        described = platform if isinstance(platform, Platform) else load_platform(platform)
        settings = Settings(
            seed=seed, shots=shots, cores=cores, memory_bytes=memory_bytes, scratch_dir=scratch_dir,
            disk_bytes=disk_bytes, codec=codec, wall_seconds=wall_seconds,
        )  # fmt: skip
        self._command = command
        self._owns_store = not isinstance(store, Store)
        self._session = Session(
            loaded, described, settings, store if isinstance(store, Store) else Store(store),
            progress or SilentProgress(),
        )  # fmt: skip
        self._called: set[str] = set()
        self._after: dict[str | None, DeviceFigures | None] = {}
        self._options: dict[Configuration, DeviceOption] = {}
        self._balancer: tuple[MechanismRow, SimulationStage] | None = None
        self._banks: MechanismRow | None = None
        self._storage: MechanismRow | None = None
        self._thresholds: dict[tuple[str, float], ThresholdRow] = {}

    def __enter__(self) -> Expansion:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the worker processes. What is finished stays in the store."""
        self._session.close()
        if self._owns_store:
            self._session.store.close()

    @property
    def session(self) -> Session:
        """The opened platform, store and workers: for those who build on this class."""
        return self._session

    # What a plain user gets --------------------------------------------------------------------------

    @cached_property
    def baseline_simulation(self) -> SimulationStage:
        """Aer's automatic method, one circuit at a time."""
        return run_baseline(self._session)

    @cached_property
    def baseline_device(self) -> DeviceStage | None:
        """Qiskit's preset level 1 without decoupling, scheduled; None where no circuit runs on a QPU."""
        for circuit in self._session.workload.circuits:
            if circuit.id in self._session.left_to_simulation:
                why = self._session.left_to_simulation[circuit.id]
                self._session.tell(f"{circuit.name} is simulated only: it {why}")
        circuits = self._session.on_device
        if not circuits:
            return None
        return run_device_stages(self._session, 0, [(None, MEASURED)], circuits)[None, MEASURED]

    @cached_property
    def before(self) -> DeviceFigures | None:
        """The device's figures before anything is applied; None where the platform has no QPU."""
        return self._figures("before", None)

    @cached_property
    def profiles(self) -> Mapping[str, Any]:
        """What each circuit needs, by circuit id."""
        session = self._session
        return {c.id: profile_circuit(c, shots=session.shots_of(c)) for c in session.workload.circuits}

    def _figures(self, label: str, decoupling: str | None) -> DeviceFigures | None:
        if self._session.qpu is None:
            return None
        return measure_device(self._session, self.baseline_device, label, decoupling)

    # The nine calls ----------------------------------------------------------------------------------

    def apply_dynamical_decoupling(self) -> MechanismRow:
        """Toggle decoupling alone on the workload and on idle windows; keep it where it measures better."""
        self._called.add("apply_dynamical_decoupling")
        return self._decoupling_row()

    def reconfigure_trap_layout(self) -> MechanismRow:
        """Toggle layout choice alone; on a fixed lattice that is the best sub-lattice and mapping."""
        self._called.add("reconfigure_trap_layout")
        return self._layout_row()

    def calibrate_error_correction(self) -> MechanismRow:
        """Not built yet; says so."""
        return _not_built("calibrate_error_correction")

    def activate_memory_banks(self, banks: str = "quantum-tiered") -> MechanismRow:
        """States larger than the memory over memory and disk, measured on one that is ten times as large. The engines
        choose it for the circuits that need it."""
        _check_choice("memory banks", banks, _BANKS)
        self._called.add("activate_memory_banks")
        return self._memory_row()

    def allocate_storage(self, blocks: str = "quantum-ssd-blocks") -> MechanismRow:
        """Snapshots of states on disk, measured on two series of them."""
        _check_choice("storage", blocks, _BLOCKS)
        self._called.add("allocate_storage")
        return self._storage_row()

    def optimize_workload_balancer(self, units: str = "qpu-cpu-gpu") -> MechanismRow:
        """Every circuit on the engine predicted to finish it first; then independent circuits side by side."""
        _check_choice("balancer", units, _BALANCERS)
        self._called.add("optimize_workload_balancer")
        return self._balancer_row()

    def run_quantum_benchmark(self, benchmark: str = "qasm_circuits") -> tuple[CircuitRow, ...]:
        """Every circuit before and after, with the mechanisms applied so far."""
        _check_choice("benchmark", benchmark, _BENCHMARKS)
        session = self._session
        before, after = self.baseline_simulation, self._after_simulation()
        shots = {c.id: session.shots_of(c) for c in session.workload.circuits}
        rows = simulation_rows(before, after, judge(session, before, after), self.profiles, shots,
                               session.left_to_simulation)  # fmt: skip
        if self.baseline_device is not None:
            rows += device_rows(self.baseline_device, self._after_device(), self.profiles, shots, session.qpu.name)
        return rows

    def validate_coherence_threshold(self, threshold: float = 0.9, *, required: bool = False) -> ThresholdRow:
        """Whether the lower 95 % bound of the median Q(τ_68) after reaches `threshold`."""
        figures = self.after
        measured = figures.q_68 if figures else None
        note = "this platform has no QPU"
        if figures is not None:
            ceiling = figures.ceiling_68
            note = "no window τ_68 was found" if ceiling is None else f"T1 and T2 alone would allow {ceiling:.3f}"
        row = ThresholdRow(
            "validate_coherence_threshold", "Coherence Q(τ_68) after", threshold, measured,
            measured is not None and measured.low >= threshold, required, note,
        )  # fmt: skip
        self._thresholds["validate_coherence_threshold", threshold] = row
        return row

    def verify_entanglement_fidelity(self, density: float = 3.8, *, required: bool = False) -> ThresholdRow:
        """Whether the lower 95 % bound of E after reaches `density` (despite its name: a density, in ebits
        per qubit)."""
        figures = self.after
        entanglement = figures.entanglement if figures else None
        measured = entanglement.density if entanglement else None
        note = "this platform has no QPU" if figures is None else "no two qubits of this device are coupled"
        if entanglement is not None:
            links = entanglement.links_per_qubit
            note = f"{links:.2f} links per qubit bound E on this lattice"
            if links < density:
                note += f": {density:g} cannot exist on it"
        row = ThresholdRow(
            "verify_entanglement_fidelity", "Entanglement density E after", density, measured,
            measured is not None and measured.low >= density, required, note,
        )  # fmt: skip
        self._thresholds["verify_entanglement_fidelity", density] = row
        return row

    def summary(self) -> Summary:
        """The report's content: everything measured so far, before and after."""
        rows = self.run_quantum_benchmark()
        return summarize(
            self._session,
            simulations=(self.baseline_simulation, self._after_simulation()),
            devices=(self.baseline_device, self._after_device()),
            figures=(self.before, self.after),
            mechanisms=self._rows(),
            thresholds=tuple(self._thresholds.values()),
            rows=rows,
            command=self._command,
        )

    # How they do it ----------------------------------------------------------------------------------

    def _rows(self) -> tuple[MechanismRow, ...]:
        """All mechanisms as they stand now: what is kept for a circuit depends on all that were called."""
        makers = {
            "apply_dynamical_decoupling": self._decoupling_row,
            "reconfigure_trap_layout": self._layout_row,
            "activate_memory_banks": self._memory_row,
            "allocate_storage": self._storage_row,
            "optimize_workload_balancer": self._balancer_row,
        }
        order = (
            "apply_dynamical_decoupling", "reconfigure_trap_layout", "calibrate_error_correction",
            "activate_memory_banks", "allocate_storage", "optimize_workload_balancer",
        )  # fmt: skip
        return tuple(
            _not_built(call) if call in NOT_BUILT else makers[call]() if call in self._called else _not_asked(call)
            for call in order
        )

    def _decoupling_row(self) -> MechanismRow:
        if self.baseline_device is None:
            return MechanismRow(
                "apply_dynamical_decoupling", "Dynamical decoupling", "not applied",
                "no circuit of the workload runs on a QPU",
            )  # fmt: skip
        sequence = self._session.settings.decoupling
        toggled = self._option(Configuration(0, sequence))
        coherence = compare_coherence(self._session, self.before, sequence)
        kept = self._kept()
        # What decoupling does for a circuit shows against the same layout without it.
        layouts = {option.configuration.layout_candidates for option in kept.values()}
        without = {layout: self._option(Configuration(layout, None)) for layout in layouts}
        return decoupling_row(self._option(Configuration()), toggled, kept, without, coherence)

    def _layout_row(self) -> MechanismRow:
        if self.baseline_device is None:
            return MechanismRow(
                "reconfigure_trap_layout", "Layout", "not applied", "no circuit of the workload runs on a QPU"
            )
        toggled = self._option(Configuration(self._session.settings.layout_candidates, None))
        density = compare_density(self._session, self.baseline_device, toggled.measured)
        return layout_row(self._option(Configuration()), toggled, self._kept(), density)

    def _memory_row(self) -> MechanismRow:
        if self._banks is None:
            self._banks = memory_row(self._session)
        return self._banks

    def _storage_row(self) -> MechanismRow:
        if self._storage is None:
            self._storage = storage_row(self._session)
        return self._storage

    def _option(self, configuration: Configuration) -> DeviceOption:
        """The workload under one configuration; a layout's decoupling variants share one compilation."""
        if configuration not in self._options:
            sequences = {configuration.decoupling}
            if configuration.layout_candidates and "apply_dynamical_decoupling" in self._called:
                sequences |= {None, self._session.settings.decoupling}
            ordered = sorted(sequences, key=str)
            variants = [(sequence, label) for sequence in ordered for label in (MEASURED, PILOT)]
            stages = run_device_stages(
                self._session, configuration.layout_candidates, variants, self._session.on_device
            )
            for sequence in ordered:
                option = Configuration(configuration.layout_candidates, sequence)
                self._options[option] = DeviceOption(option, stages[sequence, MEASURED], stages[sequence, PILOT])
        return self._options[configuration]

    def _kept(self) -> dict[str, DeviceOption]:
        """By circuit id, among all combinations of the mechanisms that were called."""
        layouts, sequences = [0], [None]
        if "reconfigure_trap_layout" in self._called:
            layouts.append(self._session.settings.layout_candidates)
        if "apply_dynamical_decoupling" in self._called:
            sequences.append(self._session.settings.decoupling)
        options = [self._option(Configuration(layout, sequence)) for layout in layouts for sequence in sequences]
        return choose_per_circuit(options[0], options[1:])

    def _after_device(self) -> DeviceStage | None:
        if self.baseline_device is None or not self._called & {"apply_dynamical_decoupling", "reconfigure_trap_layout"}:
            return self.baseline_device
        return merged_stage(self._session.on_device, self._kept())

    def _balancer_row(self) -> MechanismRow:
        if not self._session.simulated:
            return MechanismRow(
                "optimize_workload_balancer", "Engines chosen, circuits side by side", "not applied",
                "no circuit of the workload is to be simulated",
            )  # fmt: skip
        if self._balancer is None:
            baseline = self.baseline_simulation
            chosen = run_expanded(self._session, side_by_side=False, probes=_outcomes(baseline))
            both = run_expanded(self._session, side_by_side=True, probes=_outcomes(baseline, chosen))
            self._balancer = balancer_row(baseline, chosen, both)
        return self._balancer[0]

    def _after_simulation(self) -> SimulationStage:
        return self._balancer[1] if self._balancer else self.baseline_simulation

    @property
    def after(self) -> DeviceFigures | None:
        """The device's figures again, with other seeds. Q's windows are decoupled where most circuits are.

        A mechanism called later may change what most circuits keep: figures are held by sequence.
        """
        if self.before is None:  # measured first, so that windows and order are those of the report
            return None
        sequence = self._window_sequence()
        if sequence not in self._after:
            self._after[sequence] = self._figures("after", sequence)
        return self._after[sequence]

    def _window_sequence(self) -> str | None:
        if "apply_dynamical_decoupling" not in self._called or self.baseline_device is None:
            return None
        kept = self._kept().values()
        decoupled = sum(option.configuration.decoupling is not None for option in kept)
        return self._session.settings.decoupling if 2 * decoupled > len(kept) else None


def _outcomes(*stages: SimulationStage) -> dict[str, tuple[str, ...]]:
    """Bit strings seen, by circuit id: what the state vector is asked the exact probabilities of."""
    seen: dict[str, set[str]] = {}
    for stage in stages:
        for circuit in stage.finished():
            seen.setdefault(circuit.id, set()).update(stage.counts(circuit))
    return {name: tuple(sorted(strings)) for name, strings in seen.items()}


def _check_choice(what: str, asked: str, known: tuple[str, ...]) -> None:
    if asked not in known:
        raise InputError(f"{what}: {asked!r} is not known; there is {', '.join(map(repr, known))}")


def _not_built(call: str) -> MechanismRow:
    title, reason = NOT_BUILT[call]
    return MechanismRow(call, title, "not applied", reason)


def _not_asked(call: str) -> MechanismRow:
    return MechanismRow(call, call.replace("_", " "), "not applied", "this call was not made")
