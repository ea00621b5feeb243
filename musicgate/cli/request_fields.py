"""Builds the body of a request from command-line options; the schema checks the values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli import completion
from musicgate.cli.options import combined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_MODEL = "suno/v4.5plus"
#: Options whose value is the request field of the same name.
_FIELDS = (
    "model",
    "lyrics",
    "style",
    "title",
    "negative_style",
    "instrumental",
    "vocal_gender",
    "seed",
    "duration",
    "format",
)

#: Adds the argument and options of a request; they arrive as keywords, for `build_body`.
request_options = combined(
    click.argument("prompt", required=False),
    click.option(
        "-m",
        "--model",
        shell_complete=completion.models,
        help=f"Public model id.  [default: {DEFAULT_MODEL}]",
    ),
    click.option("--lyrics", help="Lyrics to sing, or @FILE to read them from a file."),
    click.option("--style", help="Genre and mood."),
    click.option("--title", help="Title of the song."),
    click.option("--negative-style", help="What to avoid."),
    click.option("--instrumental/--vocal", default=None, help="Without or with singing."),
    click.option("--vocal-gender", metavar="m|f", help="Gender of the singing voice."),
    click.option("--seed", type=int, help="Seed; the same one may give the same song."),
    click.option("--duration", type=int, metavar="SECONDS", help="Length of the song."),
    click.option("--format", metavar="FORMAT", help="Audio format: mp3, wav, ogg, aac or flac."),
    click.option(
        "--provider",
        "--only",
        "only",
        multiple=True,
        metavar="NAME",
        shell_complete=completion.providers,
        help="Use only this provider or plugin; may be repeated.",
    ),
    click.option(
        "-O",
        "--option",
        "options",
        multiple=True,
        metavar="PATH=JSON",
        help="Set any request field, e.g. -O suno.styleWeight=0.5; may be repeated.",
    ),
    click.option(
        "--request",
        "request_file",
        metavar="FILE",
        help="JSON file with the request ('-' for standard input); other options override it.",
    ),
    click.option(
        "--strict", is_flag=True, help="Fail instead of warning if an option cannot be applied exactly."
    ),
)


def build_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """Build the request body: the request file, overridden by the options, overridden by ``-O``.

    Raises:
        click.UsageError: There is neither prompt nor request file, or an option cannot be read.
    """
    body = read_json_object(options["request_file"]) if options["request_file"] else {}
    if options["prompt"] is not None:
        body["prompt"] = options["prompt"]
    for name in _FIELDS:
        if options[name] is not None:
            body[name] = options[name]
    if options["lyrics"] and options["lyrics"].startswith("@"):
        body["lyrics"] = _read_text(options["lyrics"][1:])
    if options["only"]:
        routing = body.get("provider")
        body["provider"] = {**(routing if isinstance(routing, dict) else {}), "only": list(options["only"])}
    for option in options["options"]:
        _put(body, option)
    if not body.keys() - {"model"}:
        raise click.UsageError('Missing PROMPT, for example "Warm jazz trio", or --request FILE.')
    body.setdefault("model", DEFAULT_MODEL)
    return body


def read_json_object(name: str) -> dict[str, Any]:
    """Read a JSON object from a file, or for ``-`` from standard input.

    Raises:
        click.UsageError: It cannot be read, or is not a JSON object.
    """
    value = read_json(name)
    if not isinstance(value, dict):
        raise click.UsageError(f"{name}: a request is a JSON object.")
    return value


def read_json(name: str) -> Any:
    """Read any JSON value from a file, or for ``-`` from standard input.

    Raises:
        click.UsageError: It cannot be read, or is not JSON.
    """
    text = _decode(name, sys.stdin.buffer.read()) if name == "-" else _read_text(name)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        raise click.UsageError(
            f"{name}: not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}."
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise click.UsageError(f"{name}: not JSON: {exc}.") from exc


def _read_text(name: str) -> str:
    try:
        return _decode(name, Path(name).read_bytes())
    except OSError as exc:
        raise click.UsageError(f"{name}: {exc.strerror}.") from exc


def _decode(name: str, data: bytes) -> str:
    """Decode UTF-8 text, whatever the encoding of the terminal is."""
    from musicgate.settings import NotTextError, decoded

    try:
        return decoded(data)
    except NotTextError as exc:
        raise click.UsageError(f"{name}: {exc}.") from exc


def _put(body: dict[str, Any], option: str) -> None:
    """Set one field by its path. A value that is not JSON is taken as text, so quotes are optional."""
    path, equals, text = option.partition("=")
    names = path.split(".")
    if not equals or not all(names):
        raise click.UsageError(
            f"-O {option}: the form is -O block.field=value, e.g. -O suno.styleWeight=0.5."
        )
    try:
        value: Any = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = text
    inside = body
    for depth, name in enumerate(names[:-1]):
        inside = inside.setdefault(name, {})
        if not isinstance(inside, dict):
            raise click.UsageError(f"-O {option}: {'.'.join(names[: depth + 1])} is not an object.")
    inside[names[-1]] = value


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def shell_words(words: Sequence[str]) -> str:
    """Quote a command so that it can be pasted into a shell."""
    import shlex

    return shlex.join(words)
