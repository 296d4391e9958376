"""The mechanisms: each toggled alone, measured, and kept only where it measures better.

In: stages run with and without one mechanism. Out: what is kept for each circuit, and `MechanismRow`s. Pilot
shots of their own seeds decide circuit by circuit; the shots that are reported decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qrex.circuits import Circuit
from qrex.evidence import Comparison, Measurement
from qrex.expansion.device import Configuration, DeviceStage
from qrex.measure.fidelity import CROSS_ENTROPY, HELLINGER, FidelityKind
from qrex.measure.statistics import Z95
from qrex.report import MechanismRow

__all__ = [
    "NOT_BUILT",
    "DeviceOption",
    "PairedDifference",
    "choose_per_circuit",
    "decoupling_row",
    "fidelity_comparisons",
    "layout_row",
    "merged_stage",
    "paired_differences",
]

FIDELITY = "fidelity-of-a-run"

NOT_BUILT = {
    "calibrate_error_correction": (
        "Error correction calibrated from measured noise",
        "not built yet: codes, decoders and their calibration come in a later version",
    ),
}


_KINDS = {HELLINGER: "Hellinger fidelity", CROSS_ENTROPY: "cross-entropy"}
_SUFFIXES = {HELLINGER: "", CROSS_ENTROPY: "_cross_entropy"}


def _by_kind(
    before: DeviceStage, after: DeviceStage, circuits: Sequence[Circuit]
) -> dict[FidelityKind, tuple[Circuit, ...]]:
    """Circuits that both sides judge by one kind: kinds are never mixed into one mean."""
    found = {
        kind: tuple(c for c in circuits if before.fidelity_kind(c) == after.fidelity_kind(c) == kind)
        for kind in _KINDS
    }
    return {kind: members for kind, members in found.items() if members}


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean over circuits of (fidelity with − fidelity without), all of one kind, with its 95 % interval."""

    kind: FidelityKind
    value: float
    low: float
    high: float
    circuits: int

    def __str__(self) -> str:
        return (
            f"{_KINDS[self.kind]} by {self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}] over "
            f"{_counted(self.circuits)}"
        )


def paired_differences(
    without: DeviceStage, with_it: DeviceStage, circuits: Sequence[Circuit]
) -> tuple[PairedDifference, ...]:
    """One per kind of fidelity; none where no circuit has a fidelity on both sides. Shot noise of the two sides is
    independent."""
    made = []
    for kind, members in _by_kind(without, with_it, circuits).items():
        pairs = [
            (a, b) for c in members if (a := without.fidelity(c)) is not None and (b := with_it.fidelity(c)) is not None
        ]
        value = float(np.mean([b.value - a.value for a, b in pairs]))
        squares = [((a.high - a.low) / 2) ** 2 + ((b.high - b.low) / 2) ** 2 for a, b in pairs]
        half = float(np.sqrt(np.sum(squares))) / len(pairs)
        made.append(PairedDifference(kind, value, value - half, value + half, len(pairs)))
    return tuple(made)


def fidelity_comparisons(
    key: str,
    before: DeviceStage,
    after: DeviceStage,
    circuits: Sequence[Circuit],
    note: str = "",
    title: str = "Mean {kind} on the QPU",
) -> tuple[Comparison, ...]:
    """One per kind of fidelity; `title` may name the {kind} and count the {circuits}. The key of cross-entropy is
    `key` and "_cross_entropy". One without figures where no circuit has a fidelity on both sides."""
    made = tuple(
        Comparison(
            key + _SUFFIXES[kind], title.format(kind=_KINDS[kind], circuits=_counted(len(members))),
            before.mean_fidelity(members), after.mean_fidelity(members), "higher", FIDELITY,
            "; ".join(filter(None, (note, _perfect_text(after, members)))),
        )
        for kind, members in _by_kind(before, after, circuits).items()
    )  # fmt: skip
    none = "no circuit has a fidelity on both sides"
    return made or (
        Comparison(key, title.format(kind="fidelity", circuits=_counted(0)), None, None, "higher", FIDELITY, none),
    )


def _perfect_text(stage: DeviceStage, circuits: Sequence[Circuit]) -> str:
    scores = [stage.perfect_sampler(circuit) for circuit in circuits]
    told = [score for score in scores if score is not None]
    return f"a perfect sampler would score {np.mean(told):.3f}" if len(told) == len(scores) else ""


@dataclass(frozen=True, slots=True)
class DeviceOption:
    """One configuration run on the whole workload: `measured` shots are reported, `pilot` shots decide."""

    configuration: Configuration
    measured: DeviceStage
    pilot: DeviceStage


def choose_per_circuit(baseline: DeviceOption, options: Sequence[DeviceOption]) -> dict[str, DeviceOption]:
    """What is kept for each circuit, by circuit id: the option of highest pilot fidelity, where it exceeds
    the baseline's by more than one standard error; without a fidelity, the best predicted success.

    Pilot shots decide and other shots are reported, so the choice does not flatter itself.
    """
    kept = {}
    for circuit in baseline.measured.circuits:
        best = baseline
        reference = baseline.pilot.fidelity(circuit)
        for option in options:
            fidelity, best_so_far = option.pilot.fidelity(circuit), best.pilot.fidelity(circuit)
            if reference is None or fidelity is None:
                # Predicted success says nothing of decoupling's benefit: it counts pulses as errors only.
                if option.configuration.decoupling is None and _predicted(option, circuit) > _predicted(best, circuit):
                    best = option
                continue
            error = np.hypot(fidelity.high - fidelity.low, reference.high - reference.low) / _WIDTH_95
            if fidelity.value > best_so_far.value and fidelity.value - reference.value > error:
                best = option
        kept[circuit.id] = best
    return kept


_WIDTH_95 = 2 * Z95


def _predicted(option: DeviceOption, circuit: Circuit) -> float:
    value = option.measured.value(circuit)
    return value["predicted_success"] if value else -1.0


def merged_stage(circuits: tuple[Circuit, ...], kept: Mapping[str, DeviceOption]) -> DeviceStage:
    """Each circuit's reported run under what was kept for it."""
    values, errors = {}, {}
    for circuit in circuits:
        stage = kept[circuit.id].measured
        if (value := stage.value(circuit)) is not None:
            values[circuit.id] = value
        else:
            errors[circuit.id] = stage.errors[circuit.id]
    return DeviceStage(circuits, values, errors)


def decoupling_row(
    baseline: DeviceOption,
    toggled: DeviceOption,
    kept: Mapping[str, DeviceOption],
    undecoupled: Mapping[int, DeviceOption],
    coherence: Sequence[Comparison],
) -> MechanismRow:
    """`undecoupled` by layout candidates: what a circuit that keeps decoupling is compared with; `coherence`
    compares Q of idle windows without and with the sequence."""
    without, with_it = baseline.measured, toggled.measured
    sequence = toggled.configuration.decoupling
    records = {c.id: v["choice"]["decoupling"] for c in with_it.circuits if (v := with_it.value(c))}
    filled = [c for c in with_it.circuits if c.id in records and records[c.id]["windows_filled"]]
    details = {
        "sequence": sequence,
        "windows": sum(record["windows"] for record in records.values()),
        "windows_filled": sum(record["windows_filled"] for record in records.values()),
        "pulses": sum(record["pulses"] for record in records.values()),
        "circuits_with_pulses": len(filled),
    }
    contributions = (
        *fidelity_comparisons("decoupling_fidelity", without, with_it, filled, "every circuit that pulses fit in",
                              "Mean {kind} of {circuits} with pulses"),
        *coherence,
    )
    users = tuple(c for c in with_it.circuits if kept[c.id].configuration.decoupling is not None)
    differences = paired_differences(without, with_it, filled)
    if not differences:
        reason = "no idle window of the workload was long enough for a pulse"
    else:
        reason = f"applied everywhere it would change {_listed(differences)}, paired; "
        reason += _kept_text(len(users), len(kept))
        if users:
            plain = {c.id: undecoupled[kept[c.id].configuration.layout_candidates] for c in users}
            before, after = merged_stage(users, plain), merged_stage(users, kept)
            contributions += fidelity_comparisons(
                "decoupling_kept", before, after, users, "before: the same layout, no pulses",
                "Mean {kind} of {circuits} kept decoupled",
            )  # fmt: skip
            if changed := paired_differences(before, after, users):
                reason += f", where it changed {_listed(changed)}"
        if users and not any(c.verdict == "improved" for c in coherence):
            reason += (
                ". Q of an idle window did not improve, so nothing was refocused; that flipping a qubit also evens out "
                "its decay to |0⟩ is the likely cause"
            )
        elif not users:
            reason += ". Decoupling refocuses only noise that has memory, and its pulses cost what they cost"
    return MechanismRow(
        "apply_dynamical_decoupling", f"Dynamical decoupling ({sequence})",
        "applied" if users else "measured, not applied", reason, contributions,
        "the baseline; for circuits that keep it, the same layout without it", details,
    )  # fmt: skip


def layout_row(
    baseline: DeviceOption, toggled: DeviceOption, kept: Mapping[str, DeviceOption], density: Comparison | None
) -> MechanismRow:
    """`density` compares E of the sub-lattices in use, where links were measured."""
    without, with_it = baseline.measured, toggled.measured
    moved = [
        c for c in with_it.circuits
        if (a := without.value(c)) and (b := with_it.value(c)) and a["used_qubits"] != b["used_qubits"]
    ]  # fmt: skip
    details = {
        "circuits_moved": len(moved),
        "candidates": sum(v["choice"]["layout"]["candidates"] for c in with_it.circuits if (v := with_it.value(c))),
        "two_qubit_gates_before": sum(v["two_qubit_gates"] for c in without.circuits if (v := without.value(c))),
        "two_qubit_gates_after": sum(v["two_qubit_gates"] for c in with_it.circuits if (v := with_it.value(c))),
        "compile_seconds": round(sum(v["compile_seconds"] for c in with_it.circuits if (v := with_it.value(c))), 2),
        "pilot_device_seconds": round(baseline.pilot.device_seconds() + toggled.pilot.device_seconds(), 3),
    }
    device_seconds = Comparison(
        "layout_device_seconds", "QPU time of the workload", _device_seconds(without), _device_seconds(with_it),
        "neither", "vqe-and-hhl-runtime", "modelled: shots × (repetition delay + circuit duration)",
    )  # fmt: skip
    fidelities = fidelity_comparisons("layout_fidelity", without, with_it, with_it.circuits)
    users = sum(option.configuration.layout_candidates > 0 for option in kept.values())
    differences = paired_differences(without, with_it, with_it.circuits)
    reason = f"fixed lattice: {'chose' if users else 'tried'} the best sub-lattice and mapping instead; "
    if differences:
        reason += f"applied everywhere it would change {_listed(differences)}, paired; "
    reason += _kept_text(users, len(kept))
    return MechanismRow(
        "reconfigure_trap_layout", "Layout on a fixed lattice", "applied" if users else "measured, not applied",
        reason, tuple(c for c in (*fidelities, device_seconds, density) if c is not None), "the baseline", details,
    )  # fmt: skip


def _counted(circuits: int) -> str:
    return f"{circuits} circuit{'s' * (circuits != 1)}"


def _listed(differences: Sequence[PairedDifference]) -> str:
    return " and ".join(map(str, differences))


def _kept_text(users: int, circuits: int) -> str:
    return f"kept for {users} of {circuits} circuits, each decided by pilot shots of its own"


def _device_seconds(stage: DeviceStage) -> Measurement | None:
    seconds = stage.device_seconds()
    ran = [c for c in stage.circuits if stage.value(c)]
    if not ran or seconds <= 0:
        return None
    return Measurement(
        seconds, seconds, seconds, "s", len(ran), None,
        "sum over circuits of shots × (repetition delay + circuit duration) + overhead; exact given the calibration",
        "model",
    )  # fmt: skip
