"""From the command line's words to the body of a request; it knows the neutral fields, and nothing about what is allowed in them."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DEFAULT_MODEL = "suno/v4.5plus"
#: Option -> field of the request, where the option's value goes in as it is.
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


class Positive(click.FloatRange):
    """A finite number greater than 0."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse NaN, which is in every range of click, and infinity."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail("must be a finite number", param, ctx)
        return number


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("prompt", required=False),
    click.option("-m", "--model", help=f"Public model id.  [default: {DEFAULT_MODEL}]"),
    click.option("--lyrics", help="The exact words to sing; @FILE reads them from a file."),
    click.option("--style", help="Genre and mood."),
    click.option("--title", help="Title of the song."),
    click.option("--negative-style", help="What to avoid."),
    click.option("--instrumental/--vocal", default=None, help="Without or with singing."),
    click.option("--vocal-gender", metavar="m|f", help="Who sings."),
    click.option("--seed", type=int, help="The same seed may give the same song."),
    click.option("--duration", type=int, metavar="SECONDS", help="Wished length."),
    click.option("--format", metavar="FORMAT", help="mp3, wav, ogg or aac."),
    click.option("--provider", "--only", "only", multiple=True, metavar="NAME", help="Ask only this provider or plugin; may be repeated."),
    click.option("-O", "--option", "options", multiple=True, metavar="PATH=JSON", help="Any field, e.g. -O suno.styleWeight=0.5; may be repeated."),
    click.option("--request", "request_file", metavar="FILE", help="A request as JSON ('-' = standard input); the other options go over it."),
    click.option("--strict", is_flag=True, help="Refuse what cannot be followed to the letter, instead of warning."),
)  # fmt: skip


def wish_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and options of a wish; they arrive as keywords, for `build_body`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_body(wish: Mapping[str, Any]) -> dict[str, Any]:
    """The request body of a wish: the file first, then the options over it, ``-O`` last.

    Raises:
        click.UsageError: there is neither prompt nor request file, or an option cannot be read.
    """
    body = read_json_object(wish["request_file"]) if wish["request_file"] else {}
    if wish["prompt"] is not None:
        body["prompt"] = wish["prompt"]
    for name in _FIELDS:
        if wish[name] is not None:
            body[name] = wish[name]
    if wish["lyrics"] and wish["lyrics"].startswith("@"):
        body["lyrics"] = _read_text(wish["lyrics"][1:])
    if wish["only"]:
        routing = body.get("provider")
        body["provider"] = {**(routing if isinstance(routing, dict) else {}), "only": list(wish["only"])}
    for option in wish["options"]:
        _put(body, option)
    if not body.keys() - {"model"}:
        raise click.UsageError(
            'Say what it shall be: musicgate generate "Warm jazz trio", or --request FILE.'
        )
    body.setdefault("model", DEFAULT_MODEL)
    return body


def read_json_object(name: str) -> dict[str, Any]:
    """A JSON object from a file or, for ``-``, from standard input.

    Raises:
        click.UsageError: it cannot be read, is not JSON, or is no object.
    """
    value = read_json(name)
    if not isinstance(value, dict):
        raise click.UsageError(f"{name}: a request is a JSON object.")
    return value


def read_json(name: str) -> Any:
    """Any JSON value from a file or, for ``-``, from standard input.

    Raises:
        click.UsageError: it cannot be read, or is not JSON.
    """
    text = _text_of(name, sys.stdin.buffer.read()) if name == "-" else _read_text(name)
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
        return _text_of(name, Path(name).read_bytes())
    except OSError as exc:
        raise click.UsageError(f"{name}: {exc.strerror}.") from exc


def _text_of(name: str, data: bytes) -> str:
    """UTF-8 text, with or without a byte order mark, whatever the encoding of the terminal is."""
    from musicgate.settings import NotTextError, decoded

    try:
        return decoded(data)
    except NotTextError as exc:
        raise click.UsageError(f"{name}: {exc}.") from exc


def _put(body: dict[str, Any], option: str) -> None:
    """Set one field by its path. What is not JSON counts as text, so that words need no quotes."""
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
            raise click.UsageError(f"-O {option}: {'.'.join(names[: depth + 1])} is no object.")
    inside[names[-1]] = value


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def shell_words(words: Sequence[str]) -> str:
    """A command as it can be typed."""
    import shlex

    return shlex.join(words)
