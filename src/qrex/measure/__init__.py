"""Protocols that measure a device: circuits out, counts in; nothing is run here.

In: a Qiskit `Target` (what the device is) and counts (what it answered). Out: physical circuits over all of
the device's qubits that need no further transpiling, and results made of `qrex.evidence.Measurement`s.
A protocol is a frozen dataclass, deterministic by its seed: `plan(target, …)` fixes it, `circuits(target)`
writes its circuits, `analyze(counts, source)` takes one counts mapping per circuit, in the same order.

    batch          several protocols as one list of circuits
    rb             randomized benchmarking over one- and two-qubit Clifford groups
    links, bell    quality of every link: direct randomized benchmarking, Bell witness
    layer_fidelity everything that a layer does at once; chains says on which qubits
    interleaved    one gate or idle window between random Cliffords
    entanglement   the density E and its companions, computed from link qualities
    tomography     one-qubit process tomography
    coherence      Q of an idle window, plain or decoupled; sequences; window_search finds a window by its Q
    quantum_volume square random circuits and their heavy outputs; the caller gives the compile step
    relaxation, zz T1, Ramsey and echo of every qubit; ZZ of every link
    fidelity       counts against an ideal distribution, counts against counts
    statistics, decay, curves, clifford, schedule   what the above are made of

Nothing is imported here, so that naming the room costs nothing.
"""

__all__: list[str] = []
