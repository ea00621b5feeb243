"""``musicgate plugins new``: write a draft of a plugin distribution and print the next steps."""

from __future__ import annotations

from pathlib import Path

import click

from musicgate.cli.options import AS_JSON

#: The values of ``musicgate.scaffold.Callback``, which is imported only when the command runs.
CALLBACKS = ("none", "unsigned", "hmac-body", "hmac-parts")


@click.command()
@click.argument("name")
@click.option("--directory", type=click.Path(path_type=Path), metavar="FOLDER", help="New folder to create.  [default: musicgate-NAME]")  # fmt: skip
@click.option("--provider", metavar="NAME", help="Provider name that callers use.  [default: NAME]")
@click.option(
    "--models",
    default="v1",
    show_default=True,
    metavar="A,B",
    help="The vendor's own names of its models, separated by commas. Callers use PROVIDER/a, PROVIDER/b.",
)
@click.option(
    "--polling/--blocking",
    default=True,
    help="Create and poll, or one call that lasts as long as the song.  [default: polling]",
)
@click.option(
    "--auth-header",
    default="Authorization: Bearer",
    show_default=True,
    metavar="HEADER",
    help="Where the key goes: X-Key for the bare key, 'Authorization: Token' for one behind a word.",
)
@click.option("--base-url", metavar="URL", help="Where the vendor's API is.  [default: an invented address]")
@click.option(
    "--callback",
    type=click.Choice(CALLBACKS),
    default="none",
    show_default=True,
    help="Whether the vendor calls back, and what it signs: the body, or the song's id and the time.",
)
@click.option("--cancel", is_flag=True, help="The vendor can stop a song.")
@AS_JSON
def new(
    *,
    name: str,
    directory: Path | None,
    provider: str | None,
    models: str,
    polling: bool,
    auth_header: str,
    base_url: str | None,
    callback: str,
    cancel: bool,
    as_json: bool,
) -> None:
    """Create a plugin distribution for the vendor NAME, in at most 150 lines of Python.

    The draft passes the compliance kit, its own tests, ruff and mypy, and makes a song in the sandbox. What
    is invented in it is marked EXAMPLE; docs/add-a-provider.md says how to replace it.

    \b
    musicgate plugins new acme
    musicgate plugins new acme --models small,large --auth-header X-Acme-Key --callback hmac-body --cancel
    musicgate plugins new acme --blocking
    """  # noqa: D301 - click keeps the lines below its mark
    import pkgutil
    import shlex
    from datetime import UTC, datetime
    from importlib.metadata import version

    from musicgate.cli import FailedError, RefusedError
    from musicgate.cli.plugin_group import NEEDS_TESTING
    from musicgate.cli.terminal import print_json, say
    from musicgate.codec import bundle
    from musicgate.hosting import load_plugins

    try:
        from musicgate.scaffold import Callback, Kind, Names, Vendor, objection, render, write
    except ModuleNotFoundError as exc:
        raise FailedError(NEEDS_TESTING.format(library=str(exc.name).partition(".")[0])) from exc
    names = Names(name=name, provider=provider or name)
    packages = {module.name for module in pkgutil.iter_modules()}
    problem = objection(names, load_plugins().records, bundle("request")["properties"], packages)
    if problem:
        raise RefusedError(problem)
    try:
        vendor = Vendor.of(
            kind=Kind.POLLING if polling else Kind.BLOCKING,
            models=[model.strip() for model in models.split(",") if model.strip()],
            auth_header=auth_header,
            base_url=base_url,
            callback=Callback(callback),
            cancel=cancel,
        )
    except ValueError as exc:
        raise RefusedError(str(exc)) from exc
    folder = directory or Path(names.distribution)
    files = render(names, vendor, musicgate_version=version("musicgate"), today=datetime.now(UTC).date())
    try:
        write(folder, files)
    except FileExistsError as exc:
        raise RefusedError(f"{folder} exists already; nothing was written") from exc
    lines = sum(text.count("\n") for path, text in files.items() if path.startswith("src/"))
    if as_json:
        made = {"plugin": name, "provider": names.provider, "folder": str(folder), "files": sorted(files)}
        print_json({"object": "plugin_draft", **made, "lines": lines})
        return
    say(f"{folder}: a {vendor.kind.value} plugin of {lines} lines that passes the kit\n")
    say(f"  cd {shlex.quote(str(folder))} && pip install -e '.[test]'")
    say(f"  musicgate plugins check {name} && pytest && ruff check && mypy")
    say(
        f'  musicgate generate "Warm jazz trio" --model {names.provider}/{vendor.models[0].lower()} --sandbox'
    )
    say("  grep -rn EXAMPLE src tests    # what to replace with the vendor's facts")
