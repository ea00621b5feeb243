"""What is said of one route in the description; the routes themselves are in `operations`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import attrs

JSON: Final = "application/json"
#: The schema of bytes.
BYTES: Final = MappingProxyType({"type": "string", "format": "binary"})
#: Headers of an answer that can be asked for again by its entity tag.
VALIDATORS: Final = ("ETag", "Cache-Control", "Vary")
#: Statuses of a request with a body.
OF_A_BODY: Final = (408, 413, 415)
#: Statuses by which a create call says what a vendor answered, or why none was asked.
OF_A_CREATE: Final = (402, 403, 404, 409, 422, 502, 504)


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    KEY = "key"
    #: With a key, or with the signature of a link.
    LINK = "link"
    #: As `server.metrics` says.
    METRICS = "metrics"
    #: With an administrator's key.
    ADMIN = "admin"


@attrs.frozen(kw_only=True)
class Answer:
    """An answer that is not an error.

    Attributes:
        content: schema by media type; the name of a component, or a schema.
        headers: names in `musicgate.web.openapi.parts.HEADERS`.
    """

    text: str
    content: Mapping[str, str | Mapping[str, Any]] = attrs.field(factory=dict)
    headers: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        id: ``operationId``; the one of the other path of the collection ends in ``Alias``.
        parameters: names in `musicgate.web.openapi.parts.PARAMETERS`; those of the path are not listed.
        body: component of the JSON body; None = the route reads none.
        example: a body.
        is_body_required: whether it may be left out.
        answers: by status.
        errors: statuses beside those that every route may answer with.
        links: the ``id`` of its answer leads to the operations of one job.
    """

    id: str
    tag: str
    summary: str
    text: str = ""
    access: Access = Access.KEY
    parameters: tuple[str, ...] = ()
    body: str | Mapping[str, Any] | None = None
    example: Mapping[str, Any] | None = None
    is_body_required: bool = True
    answers: Mapping[int, Answer]
    errors: tuple[int, ...] = ()
    links: bool = False


def text_answer(text: str, *media_types: str, headers: tuple[str, ...] = ("Cache-Control",)) -> Answer:
    """An answer that is text of one of some kinds: a page, a script, figures."""
    return Answer(text=text, content={name: {"type": "string"} for name in media_types}, headers=headers)
