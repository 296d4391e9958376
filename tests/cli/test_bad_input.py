"""What is wrong is refused with its place and with what to do, by the exit code that was promised."""

from __future__ import annotations

import pytest

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
HOSTILE = {
    "empty": (b"", "1:1: the file is empty"),
    "truncated": ((TWO + "qreg q[2];\ncx q[0],").encode(), "4:"),
    "binary": (bytes(range(256)) * 8, "not UTF-8"),
    "NUL bytes": (b"OPENQASM 2.0;\n\0\0\0", "2:1: "),
    "an ELF header": (b"\x7fELF\x02\x01\x01\0" + b"\0" * 64, "1:8: "),
    "unknown gate": ((TWO + "qreg q[2];\nhh q[0];\n").encode(), "4:1: gate 'hh'"),
    "recursion": ((TWO + "gate a q { a q; }\nqreg q[1];\n").encode(), "3:12: gate 'a' calls itself"),
    "mutual recursion": (
        b'OPENQASM 3.0;\ninclude "stdgates.inc";\ngate a q { b q; }\ngate b q { a q; }\nqubit q;\n',
        "3:12: gate 'b' is not defined before",
    ),
    "a million characters in a line": ((TWO + "x" * 1_000_000).encode(), "3:"),
    "nested brackets": ((TWO + "qreg q[1]; rz(" + "(" * 100_000).encode(), "3:"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(qrex, tmp_path, name):
    content, place = HOSTILE[name]
    path = tmp_path / "wrong.qasm"
    path.write_bytes(content)
    shown = qrex("profile", path)
    assert shown.code == 2 and shown.out == ""
    assert f"qrex: not read: {path}:" in shown.err and place in shown.err
    assert max(map(len, shown.err.splitlines())) < 500  # the message does not carry the file


def test_standard_input_is_read_and_named(qrex, bell):
    assert qrex("profile", "-", "--json", stdin=bell.read_bytes()).json[0]["num_qubits"] == 2
    shown = qrex("profile", "-", stdin=b"OPENQASM 2.0;\nqreg q[1]\n")
    assert shown.code == 2 and "<stdin>:" in shown.err


def test_a_bad_file_stops_no_other_but_is_not_forgotten(qrex, bell):
    (bell.parent / "also.qasm").write_text(TWO + "foo q;")
    shown = qrex("profile", bell.parent, "--json")
    assert [row["name"] for row in shown.json] == ["bell"]
    assert shown.code == 2 and "also.qasm:3:1" in shown.err and "1 of 2 files could not be read" in shown.err


def test_strict_stops_at_it(qrex, bell):
    (bell.parent / "also.qasm").write_text(TWO + "foo q;")
    shown = qrex("profile", bell.parent, "--strict")
    assert shown.code == 2 and shown.out == "" and shown.err.startswith("qrex: ") and "also.qasm:3:1" in shown.err


@pytest.mark.parametrize("verb", ["expand", "run", "profile", "plan"])
def test_a_workload_that_is_not_there(qrex, tmp_path, verb):
    out = ("--out", tmp_path / "out") if verb == "expand" else ()
    shown = qrex(verb, tmp_path / "missing", *out)
    assert shown.code == 2 and "does not exist" in shown.err and shown.out == ""
    (tmp_path / "empty").mkdir()
    shown = qrex(verb, tmp_path / "empty", *out)
    assert shown.code == 2 and "holds no circuits" in shown.err


def test_nothing_readable_is_no_job(qrex, tmp_path):
    (tmp_path / "w.qasm").write_bytes(b"\xff\xfe")
    for arguments in (("expand", tmp_path, "--out", tmp_path / "out"), ("run", tmp_path), ("plan", tmp_path)):
        shown = qrex(*arguments)
        assert shown.code == 2 and "no circuit could be read" in shown.err and shown.out == ""


@pytest.mark.parametrize("verb", ["expand", "measure"])
@pytest.mark.parametrize("place", ["under a file", "a file", "/proc"])
def test_an_output_folder_that_cannot_be_written_stops_before_anything_is_measured(qrex, tmp_path, bell, verb, place):
    (tmp_path / "taken").write_text("")
    out = {"under a file": tmp_path / "taken" / "out", "a file": tmp_path / "taken", "/proc": "/proc/qrex-out"}[place]
    subject = bell if verb == "expand" else "rb"
    shown = qrex(verb, subject, "--out", out)
    assert shown.code == 2 and str(out) in shown.err and "--out" in shown.err
    assert "Probe" not in shown.err and shown.out == ""


def test_a_metrics_file_that_cannot_be_written_stops_before_anything_is_measured(qrex, tmp_path, bell):
    shown = qrex("expand", bell, "--out", tmp_path / "out", "--metrics-file", "/proc/qrex/metrics.prom")
    assert shown.code == 2 and "/proc/qrex" in shown.err and "Probe" not in shown.err


def _platform(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_an_unknown_platform_key_shows_the_nearest(qrex, tmp_path, bell):
    path = _platform(tmp_path, "[host]\ncoers = 2\n")
    shown = qrex("plan", bell, "--platform", path)
    assert shown.code == 2 and "'host.coers'" in shown.err and "'cores'" in shown.err


def test_platforms_that_are_not_there_show_the_nearest(qrex, tmp_path, bell):
    _platform(tmp_path, "[host]\ncores = 2\n")
    shown = qrex("plan", bell, "--platform", tmp_path / "mien.toml")
    assert shown.code == 2 and "no such platform file" in shown.err and "mine.toml" in shown.err
    shown = qrex("measure", "rb", "--platform", "fake_guadaloupe", "--out", tmp_path)
    assert shown.code == 2 and "fake_guadalupe" in shown.err


def test_a_platform_file_that_is_not_toml(qrex, tmp_path, bell):
    shown = qrex("plan", bell, "--platform", _platform(tmp_path, "cores: 2"))
    assert shown.code == 2 and "not TOML" in shown.err


def test_a_qpu_that_the_platform_has_not(qrex, tmp_path):
    path = _platform(tmp_path, "".join(f'[[qpu]]\nname = "{name}"\nfake = "fake_lima"\n' for name in ("left", "right")))
    shown = qrex("measure", "rb", "--platform", path, "--qpu", "rigth", "--out", tmp_path)
    assert shown.code == 2 and "did you mean 'right'?" in shown.err and "left" in shown.err


def test_a_platform_without_a_qpu_can_measure_none(qrex, tmp_path):
    shown = qrex("measure", "rb", "--platform", _platform(tmp_path, "[host]\ncores = 1\n"), "--out", tmp_path)
    assert shown.code == 3 and "[[qpu]]" in shown.err


WRONG_USAGE = {
    "unknown verb": (("expnd", "x"), "did you mean expand?", "qrex --help"),
    "unknown option": (("run", "x", "--shot", "5"), "--shots", "qrex run --help"),
    "no workload": (("run",), "WORKLOAD", "qrex run --help"),
    "negative shots": (("run", "x", "--shots", "-5"), "-5 is not in the range", "qrex run --help"),
    "no shots": (("run", "x", "--shots", "0"), "0 is not in the range", "qrex run --help"),
    "shots in words": (("run", "x", "--shots", "many"), "'many' is not a valid integer", "qrex run --help"),
    "memory without a unit that is known": (("plan", "x", "--memory", "3 elephants"), "elephants", "qrex plan --help"),
    "shots past the limit of Python and workload.toml": (
        ("run", "x", "--shots", "1000000001"), "not in the range 1<=x<=1000000000", "qrex run --help",
    ),
    "memory past all numbers": (("run", "x", "--memory", "1e400GB"), "'1e400GB' is not a number", "qrex run --help"),
    "memory past all numbers with its unit": (("plan", "x", "--memory", "1e300GB"), "'1e300GB'", "qrex plan --help"),
    "a time limit that is no number": (("run", "x", "--time-limit", "nan"), "'nan' is not a", "qrex run --help"),
    "the other time limit": (("expand", "x", "--time-limit", "nan"), "'nan' is not a number", "qrex expand --help"),
    "no memory": (("plan", "x", "--memory", "0GB"), "not a positive size", "qrex plan --help"),
    "seed too large": (("expand", "x", "--seed", "99999999999"), "not in the range", "qrex expand --help"),
    "threshold beyond 1": (("expand", "x", "--require-coherence", "1.5"), "not in the range", "qrex expand --help"),
    "unknown protocol": (("measure", "magic"), "'rb', 'tomography'", "qrex measure --help"),
    "a volume of one qubit": (("measure", "volume", "--width", "1"), "volume has 2 to 12", "qrex measure --help"),
    "benchmarking of three qubits": (("measure", "rb", "--width", "3"), "rb has 1 and 2", "qrex measure --help"),
    "width of another protocol": (("measure", "t1", "--width", "2"), "rb, interleaved and volume;", "measure --help"),
    "option of another protocol": (("measure", "rb", "--gate", "x"), "--gate is an option of tomography", "measure"),
    "no chain": (("measure", "layer", "--chain", "0-1", "--platform", "fake_manila", "-q"), "not a chain of", "0,1,2"),
    "gate and window": (("measure", "interleaved", "--gate", "x", "--window", "1us", "--platform", "fake_manila", "-q"),
                        "a gate or windows", "--gate or --window"),
    "negative window": (("measure", "coherence", "--window", "-5us"), "not a time", "qrex measure --help"),
    "window of no length": (("measure", "coherence", "--window", "0us"), "not a positive time", "measure --help"),
    "unknown sequence": (("measure", "coherence", "--sequence", "XYZ"), "'XX', 'XY4'", "qrex measure --help"),
}


@pytest.mark.usefixtures("constants")
def test_more_cores_than_there_are_is_infeasible_as_more_memory_is(qrex, bell):
    for option, value, words in (("--cores", 4096, "4096 cores"), ("--memory", "4000TB", "4 PB of memory")):
        shown = qrex("run", bell, option, value)
        assert shown.code == 3 and f"asked to use {words}; this host has" in shown.err and shown.out == ""


@pytest.mark.parametrize("name", WRONG_USAGE)
def test_wrong_usage_says_what_is_right(qrex, name):
    arguments, words, where = WRONG_USAGE[name]
    shown = qrex(*arguments)
    assert shown.code == 2 and shown.out == ""
    assert shown.err.startswith("qrex: ") and words in shown.err and where in shown.err


def test_an_unknown_engine_is_refused_before_anything_is_measured(qrex, bell):
    for verb in ("run", "plan"):
        shown = qrex(verb, bell, "--engine", "statevectr")
        assert shown.code == 2 and "did you mean 'statevector'?" in shown.err and "Calibrate" not in shown.err


@pytest.mark.parametrize("verb", [("show",), ("plan", "WORKLOAD"), ("measure", "rb", "--out", "OUT")])
def test_a_store_that_is_none(qrex, tmp_path, bell, verb):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, and they stay what they are\n" * 50)
    arguments = [{"WORKLOAD": bell, "OUT": tmp_path}.get(word, word) for word in verb]
    shown = qrex(*arguments, "--store", path)
    assert shown.code == 1 and str(path) in shown.err and "--store" in shown.err
    assert path.read_text().startswith("these are notes")


def test_a_run_that_was_never_made(qrex):
    shown = qrex("show", "ffffffffff")
    assert shown.code == 2 and "`qrex show` lists them" in shown.err
