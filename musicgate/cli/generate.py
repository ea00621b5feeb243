"""``musicgate generate``: from the command line's words to files, in this process or through a server; it knows no vendor."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from musicgate.cli.request_fields import Positive, build_body, wish_options


def run_options(command: Any) -> Any:
    """The options that ``generate`` and ``fetch`` share: where to, what to tell, whom to ask."""
    options = (
        click.option("-o", "--output", metavar="PATH", help="File or folder; further tracks get -2, -3.  [default: song]"),
        click.option("--force", is_flag=True, help="Write over files that are there; else a free number is taken."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, with the files that were written."),
        click.option("--url", envvar="MUSICGATE_URL", metavar="URL", help="Ask this server instead of working here.  [env: MUSICGATE_URL]"),
        click.option("--key", envvar="MUSICGATE_API_KEY", metavar="KEY", help="Key of your account there.  [env: MUSICGATE_API_KEY]"),
        click.option("--timeout", "timeout_s", type=Positive(), metavar="SECONDS", help="Stop waiting after that; the job goes on."),
        click.option("--config", metavar="FILE", help="Settings file.  [default: musicgate.toml, if there is one]"),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@wish_options
@run_options
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Play the vendors on this machine: no account, no cost."
)
def generate(
    *,
    output: str | None,
    force: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
    timeout_s: float | None,
    config: str | None,
    in_sandbox: bool,
    strict: bool,
    **wish: Any,
) -> None:
    """Make music from PROMPT and write it to files.

    Without --url everything happens in this process, with the keys from the environment or musicgate.toml. The files get the ending
    that the audio has; a file that is there is never written over without --force.
    """
    from musicgate.cli.files import find_target
    from musicgate.cli.run import Order

    if (
        in_sandbox
        and url
        and click.get_current_context().get_parameter_source("url") is click.core.ParameterSource.COMMANDLINE
    ):
        raise click.UsageError("--sandbox works in this process, --url in a server: choose one.")
    body = build_body(wish)
    order = Order(target=find_target(output, force=force), as_json=as_json, timeout_s=timeout_s)
    if url and not in_sandbox:
        from musicgate.cli.remote import generate_remotely

        asyncio.run(generate_remotely(url, key, body, order, strict=strict))
        return
    from musicgate.cli.local import generate_locally

    asyncio.run(generate_locally(body, order, config=config, strict=strict, in_sandbox=in_sandbox))
