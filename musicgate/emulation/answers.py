"""Calls to an emulator, taken apart, and the answers that every vendor needs; no vendor is known here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from musicgate.emulation.switches import Switches
from musicgate.plugin import EmulatedAnswer, Field, HttpRequest, HttpResponse, JsonObject, JsonValue

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_BOUNDARY: Final = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";]+)', re.IGNORECASE)
_PARAMETER: Final = re.compile(r';\s*(filename|name)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class No(StrEnum):
    """Why the machine refuses a call; a vendor gives its code and words for each."""

    NO_ROUTE = "there is no such route"
    NO_KEY = "the call carries no key"
    BAD_KEY = "the key is not valid"
    UNREADABLE = "the body is not a JSON object"
    INVALID = "the request breaks a declared limit"
    NO_CREDITS = "the account cannot pay"
    TOO_OFTEN = "too many calls in the window"
    TOO_MANY = "too many songs in the making"
    NO_TASK = "there is no such task"


@attrs.frozen(kw_only=True)
class FormPart:
    """A field or, with a file name, a file of a multipart form."""

    name: str
    filename: str = ""
    content: bytes = attrs.field(repr=False)

    @property
    def text(self) -> str:
        """The content of a field."""
        return self.content.decode("utf-8", "replace")


@attrs.define(kw_only=True)
class Call:
    """One request, taken apart.

    Attributes:
        route: the route that it matched, as declared: ``GET /v1/songs/{id}``.
        parameters: of the path, by the names in the route.
        headers: names in lower case.
        task_id: id in a poll or cancel call, of a task or not.
        key: API key of the account; empty if there is none.
        body: the JSON object that was sent; empty if it is none.
        is_json: True if the body is a JSON object.
        form: the parts of a multipart form, in order; empty if the body is none.
        switches: the global switches, and over them those of the request's own texts.
        trace: 64 hexadecimal digits that no other call has.
        fault: word of the vendor's own that the script of this call gives; empty if there is none.
        fields: what the body or form of its route takes, where the route declares it.
        is_foreign: True once a fault has put another's answer in the place of the vendor's: a proxy's page.
    """

    method: str
    url: str
    path: str
    origin: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    body: JsonObject
    is_json: bool
    now: float
    switches: Switches
    trace: str
    form: tuple[FormPart, ...] = ()
    route: str = ""
    parameters: Mapping[str, str] = MappingProxyType({})
    task_id: str = ""
    key: str = ""
    fault: str = ""
    fields: tuple[Field, ...] = ()
    is_foreign: bool = False

    @property
    def false_status(self) -> str:
        """The status that the fault of a poll demands: ``status-...``; empty if it demands none."""
        return self.fault.removeprefix("status-") if self.fault.startswith("status-") else ""


def read_call(request: HttpRequest, now: float, switches: Switches, vendor: str, trace: str) -> Call:
    """Take a request apart."""
    parts = urlsplit(request.url)
    try:
        body: JsonValue = json.loads(request.body) if request.body else None
    except (ValueError, RecursionError):
        body = None
    headers = {name.lower(): value for name, value in request.headers.items()}
    form = read_form(headers.get("content-type", ""), request.body)
    texts = [*texts_in(body), *(part.text for part in form if not part.filename)]
    return Call(
        method=request.method.upper(),
        url=request.url,
        path=parts.path,
        origin=f"{parts.scheme}://{parts.netloc}",
        query=dict(reversed(parse_qsl(parts.query))),
        headers=headers,
        raw=request.body,
        body=body if isinstance(body, dict) else {},
        is_json=isinstance(body, dict),
        now=now,
        switches=switches.with_markers(texts, vendor),
        trace=trace,
        form=form,
    )


def read_form(content_type: str, body: bytes) -> tuple[FormPart, ...]:
    """Take a multipart form apart; empty if the body is none. Source: RFC 7578."""
    boundary = _BOUNDARY.match(content_type)
    if boundary is None:
        return ()
    parts = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary[1].strip().encode())[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        given = {name.lower(): value for name, value in _PARAMETER.findall(head.decode("utf-8", "replace"))}
        filename = given.get("filename", "")
        parts.append(FormPart(name=given.get("name", ""), filename=filename, content=content))
    return tuple(parts)


def digest(*parts: object) -> str:
    """64 hexadecimal digits that depend only on the parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def uuid4(*parts: object) -> str:
    """An id in the form of a random UUID that depends only on the parts."""
    text = digest(*parts)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def texts_in(value: JsonValue) -> Iterator[str]:
    """Every text in a JSON value, at any depth, in order."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict | list):
            stack.extend(reversed(list(item.values() if isinstance(item, dict) else item)))


def answer_bytes(
    status: int, content_type: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS
) -> EmulatedAnswer:
    """Make an answer that states its type and length."""
    named = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=named, body=body))


def answer_json(
    status: int,
    body: JsonValue,
    headers: Mapping[str, str] = _NO_HEADERS,
    content_type: str = "application/json",
) -> EmulatedAnswer:
    """Make a JSON answer."""
    return answer_bytes(status, content_type, json.dumps(body).encode(), headers)


def answer_page(status: int) -> EmulatedAnswer:
    """Make the HTML page of a load balancer."""
    return answer_bytes(status, "text/html", f"<html><body><h1>{status}</h1></body></html>".encode())


def with_headers(answer: EmulatedAnswer, headers: Mapping[str, str]) -> EmulatedAnswer:
    """Return the answer with more headers."""
    response = answer.response
    return attrs.evolve(answer, response=attrs.evolve(response, headers={**response.headers, **headers}))


def broken(fault: str, whole: EmulatedAnswer | None = None) -> EmulatedAnswer | None:
    """Make the answer of a fault that is the same for every vendor; None for any other word.

    Args:
        fault: ``html``, ``html-NNN``, ``empty``, ``malformed``, ``text``, ``drop``, ``hangup`` or ``cut``.
        whole: the answer that is broken; its delay is kept.
    """
    delay_s = whole.delay_s if whole else 0.0
    body = whole.response.body if whole else b'{"": '
    kind, _, status = fault.partition("-")
    match kind:
        case "html":
            made = answer_page(int(status or 502))
        case "empty":
            made = answer_bytes(200, "application/json", b"")
        case "malformed":
            made = answer_bytes(200, "application/json", body[: max(1, len(body) // 2)])
        case "text":
            made = answer_bytes(200, "text/plain", b"upstream connect error")
        case "drop" | "hangup":
            made = attrs.evolve(whole or answer_bytes(200, "text/plain", b""), drop=True)
        case "cut" if whole is not None:
            made = attrs.evolve(whole, cut_after_bytes=len(body) // 2)
        case _:
            return None
    return attrs.evolve(made, delay_s=delay_s)
