"""JSON at the door: a request's body is read strictly; it knows no field of it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeVar

from musicgate import bounds
from musicgate.errors import RequestError
from musicgate.gateway.apart import apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

_T = TypeVar("_T")

#: A longer whole number stands for nothing in music; Python itself refuses to read those of more than 4300 digits.
_MAX_DIGITS = 300
_SHOWN_DIGITS = 12


async def read_json(request: web.Request) -> object:
    """The body as JSON.

    Raises:
        RequestError: ``invalid_json``.
    """
    raw = await request.read()
    return await apart_for(request, lambda: parse_json(raw))


async def apart_for(request: web.Request, work: Callable[[], _T]) -> _T:
    """Do some work about the body of a request: on a thread where the body is so large that it would hold up everybody else."""
    return await apart(work, is_large=len(await request.read()) > bounds.LARGE_BODY_BYTES)


def parse_json(raw: bytes) -> object:
    """A body as JSON.

    Raises:
        RequestError: ``invalid_json``.
    """
    if bounds.is_too_wide(raw):
        message = f"the body holds more than {bounds.MAX_BODY_VALUES:,} values"
        raise RequestError("validation_error", message, reason="too_many_values")
    try:
        value: object = json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_int
        )
    except (ValueError, RecursionError) as exc:
        raise RequestError("invalid_json", f"the body is not JSON: {_why_not_json(exc)}") from exc
    return value


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
    """A number with a fraction or an exponent; one that is too large (1e999) would become Infinity, which no vendor can be told."""
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
