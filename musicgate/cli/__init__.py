"""The command line: the table of commands, and how exceptions become messages and exit codes.

Each command is imported when it is called, so that ``--help`` is fast.

Exit codes: 0 done; 1 the vendor, the server or the gateway failed; 2 the request or the command line is
wrong; 3 a setting is wrong or missing; 4 not finished within ``--timeout`` (the job continues);
130 interrupted.
"""

from __future__ import annotations

import errno
import os
from importlib import import_module
from typing import Any

import click

from musicgate.cli.terminal import guard, printable

__all__ = ["cli", "main"]

EXIT_INTERRUPTED = 130

#: Command -> (module of this package, attribute, line in ``--help``), in the order of the help.
COMMANDS = {
    "generate": ("generate", "generate", "Generate music and write it to files."),
    "plan": ("plan", "plan", "Show candidates, native requests and prices; send nothing."),
    "jobs": ("jobs", "jobs", "List the jobs on this machine."),
    "fetch": ("jobs", "fetch", "Wait for a job and write its audio to files."),
    "cancel": ("jobs", "cancel", "Cancel a job."),
    "assets": ("assets", "assets", "Verify, move, import and export the kept audio."),
    "store": ("store", "store", "Copy the store of jobs to another database."),
    "serve": ("serve", "serve", "Run the HTTP server."),
    "sandbox": ("serve", "sandbox", "Run the HTTP server with emulated vendors, at no cost."),
    "mcp": ("mcp", "mcp", "Serve an agent by the Model Context Protocol (stdio)."),
    "emulate": ("emulate", "emulate", "Serve one emulated vendor, to test a client of it."),
    "providers": ("lists", "providers", "List the providers and whether they have a key."),
    "models": ("lists", "models", "List the models and their providers."),
    "plugins": ("lists", "plugins", "List the installed plugins; check one or create one."),
    "validate": ("contract", "validate", "Check a request file against the published schema."),
    "schema": ("contract", "schema", "Print a published JSON Schema."),
    "version": ("contract", "version", "Print the version."),
}

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 the request or the command line is wrong, "
    "3 a setting is wrong or missing, 4 not finished in time (the job continues), 130 interrupted."
)


class FailedError(click.ClickException):
    """The vendor, the server or the gateway failed."""

    exit_code = 1


class RefusedError(click.ClickException):
    """The request is wrong; the caller can fix it."""

    exit_code = 2


class SettingsError(click.ClickException):
    """A setting is wrong or missing."""

    exit_code = 3


class TimeUpError(click.ClickException):
    """Not finished in time; the job continues."""

    exit_code = 4


class LazyGroup(click.Group):
    """The commands of `COMMANDS`, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of ``--help`` from the table; no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the command line; an error about it is made safe to print."""
        try:
            return super().make_context(*args, **extra)
        except click.ClickException as error:
            raise _printable(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn an exception into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        except click.ClickException as error:
            raise _printable(error) from error.__cause__
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as exc:
            is_closed_pipe = isinstance(exc, OSError) and exc.errno == errno.EPIPE
            if is_closed_pipe or ctx.params.get("debug") or os.environ.get("MUSICGATE_TRACEBACK"):
                raise
            from musicgate.cli.error_text import as_click_error

            raise _printable(as_click_error(exc)) from exc


def _printable(error: click.ClickException) -> click.ClickException:
    """Escape control characters in what the message quotes of vendors, servers and callers."""
    error.message = printable(error.message, err=True)  # type: ignore[misc]  # click itself assigns it
    return error


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show tracebacks (same as MUSICGATE_TRACEBACK=1).")
def cli(debug: bool) -> None:
    """One API for every music model: generate songs, or run the gateway."""


def main() -> None:
    """Run the command line."""
    guard()
    cli(prog_name="musicgate")
