"""``musicgate plugins new``: write a draft of a plugin distribution and print the next steps."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="New folder to create.  [default: musicgate-NAME]",
)
@click.option("--provider", metavar="NAME", help="Provider name that callers use.  [default: NAME]")
@click.option(
    "--polling/--blocking",
    default=True,
    help="Create and poll, or one call that lasts as long as the song.  [default: polling]",
)
def new(*, name: str, directory: Path | None, provider: str | None, polling: bool) -> None:
    """Create a plugin distribution for the vendor NAME. The draft passes the compliance kit."""
    import pkgutil
    import shlex
    from datetime import UTC, datetime
    from importlib.metadata import version

    from musicgate.cli import FailedError, RefusedError
    from musicgate.cli.plugin_group import NEEDS_TESTING
    from musicgate.cli.terminal import say
    from musicgate.codec import bundle
    from musicgate.hosting import load_plugins

    try:
        from musicgate.scaffold import Kind, Names, objection, render, write
    except ModuleNotFoundError as exc:
        raise FailedError(NEEDS_TESTING.format(library=str(exc.name).partition(".")[0])) from exc
    names = Names(name=name, provider=provider or name)
    packages = {module.name for module in pkgutil.iter_modules()}
    problem = objection(names, load_plugins().records, bundle("request")["properties"], packages)
    if problem:
        raise RefusedError(problem)
    folder = directory or Path(names.distribution)
    kind = Kind.POLLING if polling else Kind.BLOCKING
    files = render(names, kind, musicgate_version=version("musicgate"), today=datetime.now(UTC).date())
    try:
        write(folder, files)
    except FileExistsError as exc:
        raise RefusedError(f"{folder} exists already; nothing was written") from exc
    say(f"{folder}: {len(files)} files, a {kind.value} plugin that passes the kit\n")
    say(f"  cd {shlex.quote(str(folder))} && pip install -e '.[test]'")
    say(f"  musicgate plugins check {name} && pytest")
    say("  grep -rn EXAMPLE src tests    # what to replace with the vendor's facts")
