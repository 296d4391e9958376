"""Command line: one file per verb, loaded when it is called.

In: arguments. Out: results on stdout, progress and notes on stderr, and an exit code: 0 done, 1 a run failed,
2 bad usage or bad input, 3 infeasible on this platform, 4 a required threshold missed.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys

import click

from qrex import __version__
from qrex.cli.tables import plain
from qrex.errors import QrexError

__all__ = ["VERBS", "main", "qrex"]

VERBS = ("expand", "run", "profile", "plan", "probe", "calibrate", "measure", "engines", "show")
_INTERRUPTED = 130


class _Verbs(click.Group):
    """Loads a verb's module when its name is typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f"qrex.cli.{name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0].startswith("-") or args[0] in VERBS:
            return super().resolve_command(ctx, args)
        close = difflib.get_close_matches(args[0], VERBS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise click.UsageError(f"there is no verb {args[0]!r}{hint}; the verbs are {', '.join(VERBS)}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.get_command(ctx, name).get_short_help_str(limit=200)) for name in VERBS]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


@click.group(
    cls=_Verbs,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a run failed, 2 bad usage or bad input, 3 infeasible on this platform, "
    "4 a required threshold missed.",
)
@click.version_option(__version__, prog_name="qrex", message="%(prog)s %(version)s")
def qrex() -> None:
    """What can the resources you have do for your quantum circuits, how do you get more, and what is the proof?

    \b
    Start here:           qrex expand examples/workload --out out
    A verb's own help:    qrex VERB --help
    """


def main() -> None:
    """Entry point: runs `qrex`, turns errors into messages and exit codes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ or τ still gets the rest
    try:
        sys.exit(_run(sys.argv[1:]))
    except click.exceptions.Exit as stop:  # --help and --version end so
        sys.exit(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx else "qrex"
        click.echo(f"qrex: {error.format_message()}\nSee `{verb} --help`.", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"qrex: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("qrex: interrupted; what was finished is kept, the same command goes on from there", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has gone; stdout must not be flushed into the void at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        click.echo(plain(f"qrex: cannot read or write{where}: {error.strerror or error}"), err=True)
        sys.exit(1)
    except QrexError as error:
        click.echo(plain(f"qrex: {error}"), err=True)
        sys.exit(error.exit_code)


def _run(arguments: list[str]) -> int:
    if "_QREX_COMPLETE" in os.environ:
        qrex.main()  # a shell asks for completions
    # Not `qrex.main`, which would take a closed pipe for a failure.
    with qrex.make_context("qrex", arguments) as context:
        qrex.invoke(context)
    return 0


if __name__ == "__main__":
    main()
