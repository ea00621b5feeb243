"""Request bodies: received within limits of time and size, decoded, and parsed strictly."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, TypeVar

from aiohttp import hdrs, web

from musicgate import text
from musicgate.aio import offload
from musicgate.errors import RequestError
from musicgate.web.content_coding import (
    CODINGS,
    BodyDecoder,
    DecodeError,
    TooLargeError,
    UnknownCodingError,
    read_content_encoding,
)
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")

#: No field needs a longer integer, and Python itself refuses those of more than 4300 digits.
_MAX_DIGITS = 300
_SHOWN_DIGITS = 12
#: Encoded bytes that are decoded before other tasks run; expanded a thousandfold, they take up to 10 ms.
_STEP_BYTES = 4096
#: Levels of lists and objects. No request has more than ten, and code that walks over a body may recurse.
MAX_DEPTH = 64


async def read_body(request: web.Request, limit_bytes: int | None = None) -> bytes:
    """Read and decode the body.

    Args:
        limit_bytes: for the body as sent and as decoded; None = ``server.max_body_bytes``.

    Raises:
        RequestError: 400, 408 or 413.
        HTTPUnsupportedMediaType: its content coding is not supported.
    """
    limit = request.client_max_size if limit_bytes is None else limit_bytes
    try:
        if hdrs.CONTENT_ENCODING not in request.headers and request.content.is_eof():
            body = request.content.read_nowait()  # it arrived with the headers, as nearly all do
            if len(body) > limit:
                raise TooLargeError  # noqa: TRY301 - as any that comes later
            return body
        return await _receive(request, limit)
    except UnknownCodingError as exc:
        raise web.HTTPUnsupportedMediaType(
            headers={"Accept-Encoding": CODINGS}, reason=f"Content-Encoding must be one of {CODINGS}"
        ) from exc
    except TimeoutError as exc:
        message = "the body did not arrive in time (server.body_timeout_s)"
        raise RequestError("validation_error", message, reason="body_timeout", http_status=408) from exc
    except (web.RequestPayloadError, OSError) as exc:
        message = "the body is cut or its transfer coding is broken"
        raise RequestError("validation_error", message, reason="broken_body") from exc
    except DecodeError as exc:
        message = "the body is not what its Content-Encoding says"
        raise RequestError("validation_error", message, reason="broken_content_encoding") from exc
    except TooLargeError as exc:
        raise _too_large(limit_bytes) from exc


async def _receive(request: web.Request, limit: int) -> bytes:
    coding = read_content_encoding(",".join(request.headers.getall("Content-Encoding", [])))
    if (request.content_length or 0) > limit:
        raise TooLargeError
    decoder = BodyDecoder(coding, limit)
    await _continue(request)
    async with asyncio.timeout(request[STATE].body_timeout_s):
        await _feed(request, decoder, limit, _STEP_BYTES if coding else limit + 1)
    return decoder.end()


async def _feed(request: web.Request, decoder: BodyDecoder, limit: int, step_bytes: int) -> None:
    received = 0
    while piece := await request.content.readany():
        received += len(piece)
        if received > limit:
            raise TooLargeError
        for start in range(0, len(piece), step_bytes):
            decoder.feed(piece[start : start + step_bytes])
            if start:
                await asyncio.sleep(0)


async def _continue(request: web.Request) -> None:
    """Send ``100 Continue`` if the client waits for it (RFC 9110 10.1.1)."""
    state = request[STATE]
    if state.awaits_continue and not request.content.is_eof():
        state.awaits_continue = False
        transport = request.transport
        if transport is not None and not transport.is_closing():  # else uvloop raises RuntimeError
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _too_large(limit_bytes: int | None) -> RequestError:
    limit = "server.max_body_bytes" if limit_bytes is None else f"{limit_bytes} bytes"
    return RequestError("payload_too_large", f"the body is too large: the limit is {limit}")


async def read_json(request: web.Request, read: Callable[[object], _T]) -> _T:
    """Read the body as JSON, on a thread if it is so large that it would block the event loop.

    Args:
        read: makes what the caller wants of the parsed body.

    Raises:
        RequestError: ``invalid_json``, or what `read_body` raises.
        HTTPUnsupportedMediaType: its content coding is not supported.
    """
    raw = await read_body(request)
    if len(raw) <= text.LARGE_BODY_BYTES:
        return read(parse_json(raw))
    return await offload(lambda: read(parse_json(raw)), is_large=True)


def parse_json(raw: bytes) -> object:
    """Parse JSON of bounded size, without the extensions that only Python reads.

    Raises:
        RequestError: ``invalid_json``, or ``validation_error`` for too many values.
    """
    if text.is_too_wide(raw):
        message = f"the body holds more than {text.MAX_BODY_VALUES:,} values"
        raise RequestError("validation_error", message, reason="too_many_values")
    try:
        value = _parse(raw)
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            _check_depth(value)
    except (ValueError, RecursionError) as exc:
        raise RequestError("invalid_json", f"the body is not JSON: {_why_not_json(exc)}") from exc
    return value


def _parse(raw: bytes) -> object:
    """Parse as the standard library does, without its extensions."""
    try:
        return text.read_quickly(raw)
    except ValueError:
        pass  # the standard library reads it, or says what is wrong
    value: object = json.loads(
        raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
    )
    return value


def _check_depth(value: object) -> None:
    """Walk level by level: a recursion would overflow on the values that are refused here."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise RecursionError


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from (child for child in value.values() if isinstance(child, dict | list))
    elif isinstance(value, list):
        yield from (child for child in value if isinstance(child, dict | list))


def _why_not_json(exc: ValueError | RecursionError) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(exc, json.JSONDecodeError):
        return f"it cannot be parsed at line {exc.lineno}, column {exc.colno}"
    return "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _read_float(text: str) -> float:
    """Refuse a number that would become Infinity (1e999), which JSON cannot express to a vendor."""
    number = float(text)
    if math.isinf(number):
        message = f"the number {text[:_SHOWN_DIGITS]} is too large"
        raise ValueError(message)
    return number


def _read_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        message = f"the number {text[:_SHOWN_DIGITS]}... is too large"
        raise ValueError(message)
    return int(text)
