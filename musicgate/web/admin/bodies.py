"""Bodies of administrators' requests: flat objects with known fields."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from musicgate.aio import offload
from musicgate.errors import ConfigError, RequestError
from musicgate.plugin import write_json
from musicgate.settings import Moment
from musicgate.web.body import parse_json, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_MAX_BODY_BYTES = 65_536
#: Answers hold what their account alone may know, and keys.
_HEADERS = {"Cache-Control": "no-store"}
_LARGE_LIST = 100


async def read_fields(request: web.Request, known: Collection[str]) -> dict[str, Any]:
    """Read an object; an empty body is an empty one.

    Raises:
        RequestError: 400, it is none, or has a field that is not known here.
    """
    raw = await read_body(request, _MAX_BODY_BYTES)
    body = parse_json(raw) if raw else {}
    if not isinstance(body, dict):
        raise RequestError("validation_error", "the body must be a JSON object", reason="invalid_type")
    unknown = [name for name in body if name not in known]
    if unknown:
        message = f"is not known here; there are {', '.join(known) or 'none'}"
        raise RequestError("validation_error", message, reason="unknown_field", path=(unknown[0],))
    return body


def text_of(fields: dict[str, Any], name: str, default: str | None = None) -> str:
    """A text of a body; without a default it is required."""
    value = fields.get(name)
    if value is None and default is not None:
        return default
    return str(_typed(fields, name, str, "a text"))


def switch_of(fields: dict[str, Any], name: str) -> bool | None:
    """A switch of a body; None where it is left out."""
    return None if fields.get(name) is None else bool(_typed(fields, name, bool, "true or false"))


def number_of(fields: dict[str, Any], name: str, default: float) -> float:
    """A number of a body."""
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, "a number")
    return value


def moment_of(fields: dict[str, Any], name: str) -> datetime | None:
    """A time of a body; None where it is left out or null."""
    value = fields.get(name)
    if value is None:
        return None
    text = _typed(fields, name, str, "a text")
    try:
        moment: datetime | None = Moment().read(text, key=name)
    except ConfigError as error:
        message = str(error).removeprefix(f"{name}: ")
        message = f"{name}: {message}"
        raise RequestError("validation_error", message, reason="invalid_value", path=(name,)) from None
    return moment


def respond(value: object, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return _response(write_json(value), status)


async def respond_list(items: Sequence[Any], render: Callable[[Any], object]) -> web.Response:
    """Answer with a list, which is rendered on a thread if it is long."""
    body = await offload(
        lambda: write_json({"object": "list", "data": [render(item) for item in items], "next_cursor": None}),
        is_large=len(items) > _LARGE_LIST,
    )
    return _response(body, 200)


def _response(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", headers=_HEADERS)


def _typed(fields: dict[str, Any], name: str, kind: type[Any], what: str) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind):
        raise _wrong_type(name, what)
    return value


def _wrong_type(name: str, what: str) -> RequestError:
    return RequestError("validation_error", f"must be {what}", reason="invalid_type", path=(name,))
