"""Click options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Any], Any]


class Positive(click.FloatRange):
    """A finite number greater than 0."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse infinity, and NaN, which click accepts in every range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail("must be a finite number", param, ctx)
        return number


#: Where the context keeps that a server is used: its messages name its own routes.
SERVER_KEY = "musicgate.server"


def _note_server(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    context.meta[SERVER_KEY] = bool(value)
    return value


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
CONFIG = click.option(
    "--config", metavar="FILE", help="Settings file.  [default: musicgate.toml, if it exists]"
)
URL = click.option(
    "--url",
    envvar="MUSICGATE_URL",
    metavar="URL",
    callback=_note_server,
    help="Use this musicgate server instead of this process.  [env: MUSICGATE_URL]",
)
KEY = click.option(
    "--key",
    envvar="MUSICGATE_API_KEY",
    metavar="KEY",
    help="API key for that server.  [env: MUSICGATE_API_KEY]",
)

#: Where the context keeps it: `musicgate.cli.progress` asks there, so no command has to hand it on.
QUIET_KEY = "musicgate.quiet"


def _keep_quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[QUIET_KEY] = value


QUIET = click.option(
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_keep_quiet,
    help="Print a line for each step instead of a progress bar, as where there is no terminal.",
)


def run_options(command: Any) -> Any:
    """Add the options of commands that wait for a job and write its audio."""
    return combined(
        click.option(
            "-o",
            "--output",
            metavar="PATH",
            help="File or folder; further tracks get -2, -3.  [default: song]",
        ),
        click.option(
            "--force", is_flag=True, help="Overwrite existing files instead of taking the next free number."
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="Print the job as JSON, with the paths of the files."
        ),
        URL,
        KEY,
        click.option(
            "--timeout",
            "timeout_s",
            type=Positive(),
            metavar="SECONDS",
            help="Stop waiting after this time; the job continues.",
        ),
        QUIET,
        CONFIG,
    )(command)


def combined(*options: Decorator) -> Decorator:
    """One decorator that adds several options, in this order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add
