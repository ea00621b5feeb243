"""The command line: the table of commands, and how exceptions become messages and exit codes.

Each command is imported when it is called, so that ``--help`` is fast.

Exit codes: 0 done; 1 the vendor, the server or the gateway failed; 2 the request or the command line is
wrong; 3 a setting is wrong or missing; 4 not finished within ``--timeout`` (the job continues);
130 interrupted.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import click

from musicgate.cli.groups import LazyGroup
from musicgate.cli.options import SERVER_KEY
from musicgate.cli.routes_as_commands import with_commands
from musicgate.cli.terminal import guard, printable

__all__ = ["cli", "main"]

EXIT_INTERRUPTED = 130
PROGRAM = "musicgate"

#: Command -> (module of this package, attribute, line in ``--help``), in the order of the help.
COMMANDS = {
    "generate": ("generate", "generate", "Generate music and write it to files."),
    "plan": ("plan", "plan", "Show candidates, native requests and prices; send nothing."),
    "play": ("play", "play", "Play a song, also while it is being made."),
    "jobs": ("jobs", "jobs", "List the jobs on this machine."),
    "fetch": ("jobs", "fetch", "Wait for a job and write its audio to files."),
    "cancel": ("jobs", "cancel", "Cancel a job."),
    "usage": ("usage", "usage", "Show what ended jobs used, by day, account, key, model ..."),
    "audit": ("usage", "audit", "Export the audit log: who did what."),
    "assets": ("assets", "assets", "Verify, move, import and export the kept audio."),
    "accounts": ("accounts", "accounts", "List, make, limit and disable accounts."),
    "keys": ("keys", "keys", "List, make, rotate and revoke the keys of callers."),
    "store": ("store", "store", "Copy the store of jobs to another database."),
    "serve": ("serve", "serve", "Run the HTTP server."),
    "sandbox": ("serve", "sandbox", "Run the HTTP server with emulated vendors, at no cost."),
    "mcp": ("mcp", "mcp", "Serve an agent by the Model Context Protocol (stdio)."),
    "emulate": ("emulate", "emulate", "Serve one emulated vendor, to test a client of it."),
    "providers": ("lists", "providers", "List the providers and whether they have a key."),
    "models": ("lists", "models", "List the models and their providers."),
    "plugins": ("lists", "plugins", "List the installed plugins; check one or create one."),
    "doctor": ("doctor", "doctor", "Check settings, keys, vendors, store and FFmpeg."),
    "validate": ("contract", "validate", "Check a request file against the published schema."),
    "schema": ("contract", "schema", "Print a published JSON Schema."),
    "completion": ("completion", "completion", "Print a script that completes commands in a shell."),
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


class _Commands(LazyGroup):
    """All commands; the border where exceptions become messages."""

    TABLE = COMMANDS

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
            raise _printable(error, ctx) from error.__cause__
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as exc:
            is_closed_pipe = isinstance(exc, OSError) and exc.errno == errno.EPIPE
            if is_closed_pipe or ctx.params.get("debug") or os.environ.get("MUSICGATE_TRACEBACK"):
                raise
            from musicgate.cli.error_text import as_click_error

            raise _printable(as_click_error(exc), ctx) from exc


def _printable(error: click.ClickException, ctx: click.Context | None = None) -> click.ClickException:
    """Name commands instead of routes, and escape what the message quotes of vendors, servers and callers.

    A server's message is about what the server has, and commands such as ``musicgate models`` list what is
    here: so it keeps the routes.
    """
    message = error.message
    if ctx is None or not ctx.meta.get(SERVER_KEY):
        message = with_commands(message)
    error.message = printable(message, err=True)  # type: ignore[misc]  # click itself assigns it
    return error


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="musicgate", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks (same as MUSICGATE_TRACEBACK=1).")
def cli(debug: bool) -> None:
    """One API for every music model: generate songs, or run the gateway."""


def main() -> None:
    """Run the command line."""
    guard()
    cli(prog_name=PROGRAM)
