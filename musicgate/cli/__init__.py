"""The command line: which commands there are and what becomes of an error; each command is imported when it is called.

Exit codes: 0 done; 1 the vendor, the server or the gateway failed; 2 the request or the command line is wrong; 3 a setting is wrong
or missing; 4 not finished in the time given by ``--timeout`` (the job goes on); 130 interrupted.
"""

from __future__ import annotations

import errno
import os
from importlib import import_module
from typing import Any

import click

from musicgate.cli.terminal import guard, printable

__all__ = ["FailedError", "RefusedError", "SettingsError", "TimeUpError", "cli", "main"]

EXIT_INTERRUPTED = 130

#: Command -> (module below this package, attribute, one line for ``--help``). In the order of the help.
COMMANDS = {
    "generate": ("generate", "generate", "Make music and write it to files."),
    "plan": ("plan", "plan", "Show who would be asked, with what, for how much; spend nothing."),
    "jobs": ("jobs", "jobs", "List the local jobs."),
    "fetch": ("jobs", "fetch", "Wait for a job if need be, and write its audio."),
    "cancel": ("jobs", "cancel", "Stop a job."),
    "serve": ("serve", "serve", "Run the HTTP server."),
    "sandbox": ("serve", "sandbox", "Run the HTTP server with every vendor played on this machine."),
    "providers": ("lists", "providers", "List the providers that can be asked."),
    "models": ("lists", "models", "List the models, with who offers them."),
    "plugins": ("lists", "plugins", "List the installed plugins, the broken ones too."),
    "validate": ("contract", "validate", "Check a request file against the published schema."),
    "schema": ("contract", "schema", "Print a published JSON Schema."),
    "version": ("contract", "version", "Print the version."),
}

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 the request or the command line is wrong, 3 a setting is wrong or missing, "
    "4 not finished in time (the job goes on), 130 interrupted."
)


class FailedError(click.ClickException):
    """The vendor, the server or the gateway failed."""

    exit_code = 1


class RefusedError(click.ClickException):
    """The request cannot be served as it is; the caller can mend it."""

    exit_code = 2


class SettingsError(click.ClickException):
    """A setting is wrong or missing."""

    exit_code = 3


class TimeUpError(click.ClickException):
    """Not finished in the time that was given; the job goes on."""

    exit_code = 4


class LazyGroup(click.Group):
    """Commands from `COMMANDS`, imported when they are called; errors come out as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of ``--help``, from the table: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the words of the command line; a complaint about them shows them as they can be shown."""
        try:
            return super().make_context(*args, **extra)
        except click.ClickException as error:
            raise _shown(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        except click.ClickException as error:
            raise _shown(error) from error.__cause__
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as exc:
            is_closed_pipe = isinstance(exc, OSError) and exc.errno == errno.EPIPE
            if is_closed_pipe or ctx.params.get("debug") or os.environ.get("MUSICGATE_TRACEBACK"):
                raise
            from musicgate.cli.error_text import complaint_about

            raise _shown(complaint_about(exc)) from exc


def _shown(error: click.ClickException) -> click.ClickException:
    """The same error; what it quotes of vendors, servers and callers steers no terminal."""
    error.message = printable(error.message, err=True)  # type: ignore[misc]  # a hint of the stub; click itself sets it late
    return error


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error comes from (also: MUSICGATE_TRACEBACK=1).")
def cli(debug: bool) -> None:
    """One API for every music model: make a song, or run the gateway."""


def main() -> None:
    """The entry point."""
    guard()
    cli(prog_name="musicgate")
