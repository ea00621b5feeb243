"""Bound the size of a request, since its schema cannot become narrower once it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate import text
from musicgate.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from musicgate.model import JsonValue

_MAX_CHARS = {"model": text.MAX_MODEL_CHARS, "webhook_url": text.MAX_WEBHOOK_URL_CHARS}


def known_part(body: Mapping[str, JsonValue], known: Collection[str]) -> dict[str, JsonValue]:
    """Return the known fields of a body, in the order of ``known``, if they are not too large.

    Raises:
        InvalidRequestError: a text is too long, or the fields hold too many values.
    """
    part = {name: body[name] for name in known if name in body}
    values = 0
    for name, value in part.items():
        if isinstance(value, str):
            limit = _MAX_CHARS.get(name, text.MAX_TEXT_CHARS)
            if len(value) > limit:
                raise _too_big(name, "maxLength", f"must have at most {limit:,} characters", limit)
            continue
        values += text.values_upto(value, text.MAX_REQUEST_VALUES + 1 - values)
        if values > text.MAX_REQUEST_VALUES:
            message = (
                f"must hold at most {text.MAX_REQUEST_VALUES:,} values in all,"
                f" and {text.MAX_REQUEST_DEPTH} levels"
            )
            raise _too_big(name, "maxItems", message, text.MAX_REQUEST_VALUES)
    return part


def _too_big(name: str, keyword: str, message: str, limit: int) -> InvalidRequestError:
    violation = Violation(
        path=(name,), message=message, keyword=keyword, code="too_big", params={keyword: limit}
    )
    return InvalidRequestError([violation])
