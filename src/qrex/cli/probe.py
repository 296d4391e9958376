"""`qrex probe`: what this host has, measured."""

from __future__ import annotations

import click

from qrex.cli import options

__all__ = ["command"]


@click.command("probe", short_help="Measure this host and open its QPUs.")
@options.platform
@options.scratch
@options.store
@options.json_flag
def command(platform: str | None, scratch: str | None, store: str | None, as_json_flag: bool) -> None:
    """Measure this host (cores, memory, disks, bandwidths; a few seconds), keep it with its date, and open the
    platform's QPUs."""
    from qrex.cli.opening import open_store
    from qrex.expansion.session import keep_probe
    from qrex.platform import host_to_dict, load_platform
    from qrex.twin import open_qpu

    described = load_platform(platform)
    with open_store(store) as opened:
        host = keep_probe(opened, scratch or described.limits.scratch_dir)
    qpus = [
        {
            "name": qpu.name,
            "source": qpu.source,
            "qubits": qpu.num_qubits,
            "calibration_date": qpu.calibration_date,
            "rep_delay_seconds": qpu.rep_delay_seconds,
            "noise": qpu.noise_description,
        }
        for qpu in map(open_qpu, described.qpus)
    ]
    if as_json_flag:
        options.as_json({"host": host_to_dict(host), "qpus": qpus})
        return
    _show(host, qpus)


def _show(host, qpus: list[dict]) -> None:
    from qrex.units import format_bytes

    def rate(measurement) -> str:
        if measurement is None:
            return "not measured"
        low, high = format_bytes(measurement.low), format_bytes(measurement.high)
        return f"{format_bytes(measurement.value)}/s  [{low}/s, {high}/s]  n={measurement.n}"

    rows = [
        ("processor", f"{host.cpu_model}, {host.cores} cores ({', '.join(host.instruction_sets)})"),
        ("memory", f"{format_bytes(host.memory_bytes)}, {format_bytes(host.memory_available_bytes)} free"),
        ("gpus", ", ".join(f"{g.name} ({format_bytes(g.memory_bytes)})" for g in host.gpus) or "none"),
        ("scratch", f"{host.scratch_dir}, {format_bytes(host.scratch_free_bytes)} free"),
        ("RAM copy", rate(host.ram_bandwidth)),
        ("disk read", rate(host.disk_read_bandwidth)),
        ("disk write", rate(host.disk_write_bandwidth)),
        ("probed at", host.probed_at),
    ]
    for name, value in rows:
        click.echo(f"{name:12} {value}")
    for qpu in qpus:
        calibrated = f"calibrated {qpu['calibration_date'] or 'at an unknown date'}"
        click.echo(f"{'QPU':12} {qpu['name']} ({qpu['source']}), {qpu['qubits']} qubits, {calibrated}")
        click.echo(f"{'':12} noise: {qpu['noise']}")
