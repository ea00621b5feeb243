"""Lists that are answered as JSON, as CSV or as JSON lines, by ``?format=`` or by ``Accept``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.aio import offload
from musicgate.errors import RequestError
from musicgate.plugin import write_json
from musicgate.views import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Media types by the word of ``format``.
MEDIA_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
}
_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept"}
#: From so many rows on, they are written on a thread.
_LARGE: Final = 100


def read_format(request: web.Request, allowed: Sequence[str]) -> str:
    """The format that a request asks for; JSON where it says nothing.

    Raises:
        RequestError: 400, ``format`` is none of the allowed ones.
    """
    asked = request.query.get("format")
    if asked is None:
        accepted = {
            part.partition(";")[0].strip().lower()
            for header in request.headers.getall("Accept", [])
            for part in header.split(",")
        }
        return next((name for name in allowed if MEDIA_TYPES[name] in accepted), allowed[0])
    if asked not in allowed:
        message = f"must be one of {', '.join(allowed)}"
        raise RequestError("validation_error", message, reason="invalid_format", path=("format",))
    return asked


async def respond_rows(
    name: str,
    rows: Callable[[], Sequence[dict[str, object]]],
    columns: Sequence[str],
    count: int,
    whole: Callable[[], object],
) -> web.Response:
    """Answer with a list.

    Args:
        name: of the format.
        rows: makes the rows, for CSV and lines.
        columns: of CSV.
        count: how many rows there are.
        whole: makes the answer as JSON.
    """

    def write() -> bytes:
        if name == "csv":
            return csv_text(rows(), columns).encode("utf-8", "backslashreplace")
        if name == "jsonl":
            return b"".join([write_json(row) + b"\n" for row in rows()])
        return write_json(whole())

    body = await offload(write, is_large=count > _LARGE)
    return web.Response(
        body=body,
        content_type=MEDIA_TYPES[name],
        charset="utf-8" if name == "csv" else None,
        headers=_HEADERS,
    )


def read_whole(request: web.Request, name: str, default: int, at_least: int, at_most: int) -> int:
    """A whole number of the query.

    Raises:
        RequestError: 400, it is none, or out of range.
    """
    text = request.query.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(at_most)) else -1
    if not at_least <= number <= at_most:
        message = f"must be {at_least} to {at_most}"
        raise RequestError("validation_error", message, reason=f"invalid_{name}", path=(name,))
    return number
