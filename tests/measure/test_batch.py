import json

import pytest

from qrex.errors import InputError
from qrex.evidence import Measurement
from qrex.measure.batch import gather
from qrex.measure.bell import BellWitness
from qrex.measure.coherence import IdleCoherence
from qrex.measure.rb import CliffordRb
from qrex.measure.tomography import ProcessTomography


def test_each_protocol_gets_its_own_counts(make_target, run_aer):
    target = make_target(2, [(0, 1)])
    protocols = [
        CliffordRb.plan(target, seed=1, depths=(1, 5)),
        BellWitness.plan(target),
        IdleCoherence.plan(target, windows_seconds=[1e-6], seed=2),
        ProcessTomography.plan(target, seed=3),
    ]
    batch = gather(protocols, target)
    counts = run_aer(batch.circuits, 200)
    together = batch.analyze(counts, "simulated")
    start = 0
    for protocol, result in zip(protocols, together, strict=True):
        count = len(protocol.circuits(target))
        assert protocol.analyze(counts[start : start + count], "simulated") == result
        start += count
    assert start == len(batch.circuits)
    rb, bell, idle, tomography = together
    shown = [
        rb.median_error,
        rb.groups[0].alpha,
        bell[0, 1],
        idle.windows[0].median,
        idle.windows[0].virtual_z,
    ]
    shown += [tomography.median, tomography.qubits[0].fidelity]
    for measured in shown:
        assert Measurement.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured
    assert json.loads(json.dumps(idle.curve(), allow_nan=False))["ceiling"] == [
        idle.windows[0].ceiling_median
    ]
    with pytest.raises(InputError, match="one for each"):
        batch.analyze(counts[:-1], "simulated")


def test_circuits_use_only_what_the_device_has(make_target):
    for gate in ("cx", "ecr", "cz"):
        target = make_target(4, [(0, 1), (2, 1), (2, 3)], gate, with_x=gate != "cz")
        batch = gather(
            [
                CliffordRb.plan(target, seed=1, depths=(1, 5)),
                CliffordRb.plan(target, seed=1, width=2, depths=(1, 5)),
                BellWitness.plan(target),
                IdleCoherence.plan(target, windows_seconds=[1e-6], seed=2),
                ProcessTomography.plan(target, seed=3),
            ],
            target,
        )
        for circuit in batch.circuits:
            assert circuit.num_qubits == target.num_qubits
            for step in circuit.data:
                places = tuple(circuit.find_bit(q).index for q in step.qubits)
                name = step.operation.name
                assert name == "barrier" or target.instruction_supported(name, places), (name, places)
