"""``musicgate generate``: run a request in this process or on a server, and write the files."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from musicgate.cli.options import run_options
from musicgate.cli.request_fields import build_body, request_options


@click.command()
@request_options
@run_options
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Use emulated vendors on this machine: no account, no cost."
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
    **options: Any,
) -> None:
    """Generate music from PROMPT and write it to files.

    Without --url, this process calls the vendors, with keys from the environment or musicgate.toml. Files get
    the extension of the audio format that was delivered. Existing files are not overwritten without --force.
    """
    from musicgate.cli.files import find_target
    from musicgate.cli.run import Order

    if (
        in_sandbox
        and url
        and click.get_current_context().get_parameter_source("url") is click.core.ParameterSource.COMMANDLINE
    ):
        raise click.UsageError("--sandbox cannot be used with --url: emulated vendors run in this process.")
    body = build_body(options)
    order = Order(target=find_target(output, force=force), as_json=as_json, timeout_s=timeout_s)
    if url and not in_sandbox:
        from musicgate.cli.remote import generate_remotely

        asyncio.run(generate_remotely(url, key, body, order, strict=strict))
        return
    from musicgate.cli.local import generate_locally

    asyncio.run(generate_locally(body, order, config=config, strict=strict, in_sandbox=in_sandbox))
