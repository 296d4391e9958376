"""Every verb's help, what it costs to show, and the reference made from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from qrex.cli import VERBS
from qrex.cli import qrex as group
from qrex.cli.reference import reference

ROOT = Path(__file__).parents[2]
HEAVY = ("qiskit", "numpy", "matplotlib", "scipy", "stim", "rich", "jinja2", "psutil")


def test_the_program_lists_every_verb(qrex):
    shown = qrex("--help")
    assert shown.code == 0 and shown.err == ""
    for verb in VERBS:
        assert f"\n  {verb} " in shown.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_its_help(qrex, verb):
    for flag in ("--help", "-h"):
        shown = qrex(verb, flag)
        assert shown.code == 0 and shown.err == ""
        assert shown.out.startswith(f"Usage: qrex {verb} ")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_its_words(verb):
    with click.Context(group) as context:
        command = group.get_command(context, verb)
    assert command.help and command.short_help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_time_limits_that_differ_name_each_other():
    limits = {}
    for verb in ("expand", "run"):
        with click.Context(group) as context:
            command = group.get_command(context, verb)
        (limits[verb],) = (option for option in command.params if option.name == "time_limit")
    for verb, other in (("expand", "run"), ("run", "expand")):
        assert f"`{other}` allows {limits[other].default:g} by default" in limits[verb].help
        assert limits[verb].show_default


def test_help_imports_nothing_heavy():
    program = f"""
import json, sys
from click.testing import CliRunner
from qrex.cli import VERBS, qrex
found = {{}}
for arguments in (["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)):
    assert CliRunner().invoke(qrex, arguments).exit_code == 0
    found[" ".join(arguments)] = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps(found))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout)
    assert len(found) == len(VERBS) + 2
    assert all(heavy == [] for heavy in found.values()), found


def test_no_arguments_show_the_help(qrex):
    shown = qrex()
    assert shown.code == 2 and "Usage: qrex" in shown.err and shown.out == ""


def test_version(qrex):
    from qrex import __version__

    assert qrex("--version").out == f"qrex {__version__}\n"


def test_the_committed_reference_is_the_programs_own():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_reference_names_every_option():
    page = reference()
    with click.Context(group) as context:
        for verb in VERBS:
            section = page.split(f"\n## qrex {verb}\n")[1].split("\n## ")[0]
            for option in group.get_command(context, verb).params:
                if isinstance(option, click.Option):
                    assert all(f"`{name}`" in section for name in option.opts), (verb, option.opts)
