"""Platform files: what is read, and that each refusal names the file, the key and the nearest known one."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from qrex.errors import PlatformError
from qrex.platform import fake_backend_names, load_platform, normalize_fake_name, parse_platform

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "platforms"


def test_default_is_this_host_and_guadalupe():
    platform = load_platform(None)
    assert platform.origin == "<default>"
    assert [(q.kind, q.spec) for q in platform.qpus] == [("fake", "fake_guadalupe")]
    assert platform.limits.cores is None


def test_guadalupe_example_is_the_default_written_out():
    written, default = load_platform(EXAMPLES / "guadalupe.toml"), load_platform(None)
    assert written.qpus == default.qpus
    assert written.limits == default.limits


@pytest.mark.parametrize(
    ("file", "spec"), [("falcon", "fake_montreal"), ("eagle", "fake_sherbrooke"), ("twin", "fake_guadalupe")]
)
def test_examples_load(file, spec):
    assert load_platform(EXAMPLES / f"{file}.toml").qpus[0].spec == spec


@pytest.mark.parametrize("text", ["fake_montreal", "FakeMontrealV2", "montreal"])
def test_bare_fake_names(text):
    assert load_platform(text).qpus[0].spec == "fake_montreal"


def test_a_file_wins_over_a_fake_backend_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "fake_montreal").write_text('[[qpu]]\nfake = "fake_manila"\n')
    monkeypatch.chdir(tmp_path)
    assert load_platform("fake_montreal").qpus[0].spec == "fake_manila"


def test_every_key_reaches_its_field():
    platform = parse_platform(
        """
        name = "lab"
        [host]
        cores = 4
        memory = "16 GB"
        scratch_dir = "/scratch"
        scratch = "1.5 TiB"
        [[qpu]]
        name = "A"
        fake = "FakeManilaV2"
        rep_delay = "100us"
        job_overhead = 2
        max_shots = 20000
        [qpu.noise]
        memory = true
        t2_star_ratio = 0.5
        parity_khz = 2
        zz_khz = 5.5
        coherent_share = 0
        drift_khz = 1
        drift_us = 50
        [[qpu]]
        import = "package.module:Device"
        options = { source = "hardware" }
        [[qpu]]
        live = "ibm_somewhere"
        options = { instance = "crn", channel = "ibm_quantum_platform" }
        """,
        "lab.toml",
    )
    assert platform.name == "lab"
    assert platform.limits.memory_bytes == 16_000_000_000
    assert platform.limits.scratch_bytes == 3 << 39
    assert (platform.limits.cores, platform.limits.scratch_dir) == (4, "/scratch")
    first, second, third = platform.qpus
    assert (first.name, first.spec, first.max_shots) == ("A", "fake_manila", 20000)
    assert first.rep_delay_seconds == pytest.approx(1e-4)
    assert first.job_overhead_seconds == 2.0
    assert dataclasses.astuple(first.noise) == pytest.approx((0.5, 2e3, 5.5e3, 0.0, 1e3, 50e-6))
    assert second.noise is third.noise is None
    assert (second.kind, second.name) == ("import", "package.module:Device")
    assert (third.kind, third.spec, third.options["instance"]) == ("live", "ibm_somewhere", "crn")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nam = 'x'", ["unknown key 'nam'", "did you mean 'name'"]),
        ("[host]\ncroes = 2", ["'host.croes'", "'cores'"]),
        ("[[qpu]]\nfake = 'fake_manila'\nrep_dleay = '1us'", ["'qpu[1].rep_dleay'", "'rep_delay'"]),
        ("[[qpu]]\nfake = 'fake_guadelupe'", ["fake_guadelupe", "nearest: fake_guadalupe"]),
        ("[[qpu]]\nlive = 'x'\noptions = { instanse = 'i' }", ["options.instanse", "'instance'"]),
        ("[[qpu]]\nname = 'x'", ["exactly one of fake, import, live", "none"]),
        ("[[qpu]]\nfake = 'fake_manila'\nlive = 'x'", ["exactly one of", "fake, live"]),
        ("[[qpu]]\nimport = 'no colon'", ["package.module:Name"]),
        ("[[qpu]]\nlive = ''", ["qpu[1].live is empty"]),
        ("qpu = 3", ["[[qpu]]"]),
        ("[[qpu]]\nfake = 'fake_manila'\nnoise = { zz_khz = 4 }", ["qpu[1].noise.zz_khz", "memory = true"]),
        ("[[qpu]]\nfake = 'fake_manila'\nnoise = { memory = 1 }", ["qpu[1].noise.memory", "true or false"]),
        ("[[qpu]]\nlive = 'x'\nnoise = { memory = true }", ["simulated devices", "leave it out"]),
        ("[[qpu]]\nfake = 'fake_manila'\nnoise = { memory = true, t2_star_ratio = 0 }", ["above 0 to 1"]),
        ("[[qpu]]\nfake = 'fake_manila'\nnoise = { memory = true, zz_khz = nan }", ["noise.zz_khz", "from 0"]),
        ("[[qpu]]\nfake = 'fake_manila'\nnoise = { memory = true, t1_us = 3 }", ["noise.t1_us"]),
        ("[host]\ncores = '4'", ["host.cores", "whole number"]),
        ("[host]\ncores = true", ["host.cores", "whole number"]),
        ("[host]\ncores = 0", ["at least 1"]),
        ("[host]\nmemory = '16 parsecs'", ["host.memory", "16 parsecs"]),
        ("[host]\nmemory = -1", ["cannot be negative"]),
        ("[host]\nmemory = []", ["such as"]),
        ("host = 3", ["host is 3", "a table"]),
        ("name = 3", ["text in quotes"]),
        ("name = 3 4", ["not TOML", "line 1"]),
        ("[[qpu]]\nfake = 'fake_manila'\n[[qpu]]\nfake = 'fake_manila'", ["two QPUs", "'fake_manila'"]),
    ],
)
def test_refusals_say_where_what_and_what_else(text, words):
    with pytest.raises(PlatformError) as refusal:
        parse_platform(text, "there.toml")
    message = str(refusal.value)
    assert message.startswith("there.toml: ")
    for word in words:
        assert word in message


def test_missing_file_names_its_neighbors(tmp_path):
    (tmp_path / "falcon.toml").write_text("")
    with pytest.raises(PlatformError, match=r"falcno.toml: no such platform file; beside it: .*falcon\.toml"):
        load_platform(tmp_path / "falcno.toml")


def test_folder_binary_file_and_unknown_name_are_refused(tmp_path):
    with pytest.raises(PlatformError, match="is a folder"):
        load_platform(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlatformError, match="cannot be read"):
        load_platform(tmp_path / "binary.toml")
    with pytest.raises(PlatformError, match="nearest: fake_montreal"):
        load_platform("montreall")
    with pytest.raises(PlatformError, match="neither a platform file nor a fake backend; there are"):
        load_platform("qqqqqqqq")


def test_names_agree_with_the_package():
    from qiskit_ibm_runtime import fake_provider

    for name in fake_backend_names():
        stem = "".join(part.capitalize() for part in name.split("_"))
        assert hasattr(fake_provider, stem) or hasattr(fake_provider, stem + "V2"), name
        assert normalize_fake_name(stem + "V2") == name


def test_platform_imports_nothing_heavy():
    code = (
        "import sys, qrex.platform as p; p.load_platform('fake_manila'); p.probe_host(measure=False);"
        "print([m for m in ('numpy', 'qiskit', 'qiskit_ibm_runtime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
