"""``validate``, ``schema``, ``version``: the published contract. Only ``schema --all`` loads plugins."""

from __future__ import annotations

import click

from musicgate.cli import completion
from musicgate.cli.options import AS_JSON


@click.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Refuse unknown keys at the top level instead of warning.")
@click.option("--json", "as_json", is_flag=True, help="Print the violations as JSON.")
def validate(*, file: str, strict: bool, as_json: bool) -> None:
    """Check FILE ('-' for standard input) against the published request schema.

    Prints every violation with its path. Option blocks of plugins outside the contract are not checked.
    """
    from musicgate.cli import RefusedError
    from musicgate.cli.error_text import dotted, violation_lines
    from musicgate.cli.request_fields import read_json
    from musicgate.cli.terminal import print_json, say, visible
    from musicgate.codec import SchemaValidator, bundle
    from musicgate.errors import Violation

    body = read_json(file)
    schema = bundle("request")
    violations = SchemaValidator(schema).violations(body)
    unknown = [name for name in body if name not in schema["properties"]] if isinstance(body, dict) else []
    if strict:
        violations += tuple(
            Violation(
                path=(name,),
                message="is not known here",
                keyword="additionalProperties",
                code="unrecognized_keys",
            )
            for name in unknown
        )
    else:
        for name in unknown:
            say(f"warning: {visible(name)}: is not known here and would be ignored", err=True)
    if as_json:
        items = [
            {
                "path": list(item.path),
                "field": dotted(item.path),
                "keyword": item.keyword,
                "code": item.code,
                "message": item.message,
            }
            for item in violations
        ]
        print_json({"object": "validation", "valid": not items, "violations": items})
    if violations:
        count = "1 violation" if len(violations) == 1 else f"{len(violations)} violations"
        raise RefusedError(f"{file} is not a valid request, {count}:\n{violation_lines(violations)}")
    if not as_json:
        say(f"{file} is a valid request")


@click.command()
@click.argument("name", required=False, shell_complete=completion.schemas)
@click.option(
    "--all",
    "composed",
    is_flag=True,
    help="Include the option blocks of the installed plugins (request only).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the names as JSON, too.")
def schema(*, name: str | None, composed: bool, as_json: bool) -> None:
    """Print the JSON Schema NAME with all its definitions; without NAME, list the names."""
    import musicgate_schemas
    from musicgate.cli.terminal import print_json, say
    from musicgate.codec import bundle, compose_request_schema
    from musicgate.text import did_you_mean

    if name is None:
        if as_json:
            print_json({"object": "list", "data": list(musicgate_schemas.NAMES)})
        else:
            say("\n".join(musicgate_schemas.NAMES))
        return
    if name not in musicgate_schemas.NAMES:
        known = ", ".join(musicgate_schemas.NAMES)
        hint = did_you_mean(name, musicgate_schemas.NAMES) or f"; there are {known}."
        raise click.UsageError(f"There is no schema {name!r}{hint}")
    if not composed:
        print_json(bundle(name))
        return
    if name != "request":
        raise click.UsageError("--all: only the schema 'request' includes those of plugins.")
    from musicgate.hosting import load_plugins

    print_json(compose_request_schema(plugin.provider for plugin in load_plugins().providers.values()))


@click.command()
@AS_JSON
def version(*, as_json: bool) -> None:
    """Print the version of musicgate."""
    from importlib.metadata import version as installed

    from musicgate.cli.terminal import print_json, say

    number = installed("musicgate")
    if as_json:
        print_json({"object": "version", "version": number})
    else:
        say(f"musicgate {number}")
