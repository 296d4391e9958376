"""Command line: one file per verb, loaded when it is called.

In: arguments. Out: results on stdout, progress and notes on stderr, and an exit code: 0 done, 1 a run failed,
2 bad usage or bad input, 3 infeasible on this platform, 4 a required threshold missed.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from qrex import __version__
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

    def resolve_command(self, ctx: click.Context, args: list[str]):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} The verbs are: {', '.join(VERBS)}.", ctx) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="qrex")
def qrex() -> None:
    """What can the resources you have do for your quantum circuits, how do you get more, and what is the proof?

    \b
    Start here:   qrex expand examples/workload --out out
    A verb's own help:   qrex VERB --help
    """


def main() -> None:
    """Entry point: runs `qrex`, turns errors into messages and exit codes."""
    try:
        sys.exit(qrex.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        click.echo("qrex: interrupted; what was finished is kept, the same command goes on from there", err=True)
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("qrex: interrupted; what was finished is kept, the same command goes on from there", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has gone; stdout must not be flushed into the void at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except QrexError as error:
        click.echo(f"qrex: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
