"""HTTP messages as values, and lenient JSON; no socket, no client library.

orjson reads and writes nearly all JSON, in a fraction of the time of the standard library, which does what
orjson refuses or would do otherwise.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime

import attrs
import orjson

from musicgate.errors import ProviderError
from musicgate.model import Failure, FailureClass, JsonValue
from musicgate.text import read_quickly

#: The syntax of a method and of a header's name. Source: RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Known without the pattern; every request is checked when its plugin made it, and when it is sent.
_USUAL_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_SCHEMES = ("https://", "http://")
#: Characters that would end a header, or that cannot be sent as UTF-8. Source: RFC 9110 section 5.5.
_NOT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
#: A dict is known at once, a Mapping is looked up. Python makes ``dict | Mapping`` anew each time.
_MAPPINGS = (dict, Mapping)
#: Refuse what the standard library refuses: a time or a dataclass is a mistake in a plugin.
_WRITE_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def _header_names(headers: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: ..." for name in headers) + "}"


def _header_fault(name: object, value: object) -> str | None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return f"a header cannot have the name {name!r}"
    return f"its header {name} is of the type {type(value).__name__}, not text"


@functools.lru_cache(maxsize=256)
def _text_fault(name: str, value: str) -> str | None:
    """Check a header of two texts; most requests have the same as the one before them."""
    if not _TOKEN.fullmatch(name):
        return f"a header cannot have the name {name!r}"
    if _NOT_IN_HEADER.search(value):
        return f"its header {name} holds a line break or another letter that no header can hold"
    return None


@functools.lru_cache(maxsize=256)
def _are_plain(headers: tuple[tuple[str, str], ...]) -> bool:
    """Check all headers in one go: True for nearly every request, and else the faulty one has to be found.

    Most requests have the same as the one before them.
    """
    names, values = "".join([name for name, _ in headers]), "".join([value for _, value in headers])
    has_names = all(name for name, _ in headers) and _TOKEN.fullmatch(names) is not None
    return has_names and _NOT_IN_HEADER.search(values) is None


def _length(body: bytes) -> str:
    return f"<{len(body)} bytes>"


@attrs.frozen(kw_only=True)
class HttpRequest:
    """One HTTP request. Its ``repr`` shows neither header values nor the body.

    ``headers`` must not hold the provider's key: the gateway adds it when it sends
    (`musicgate.model.provider.HeaderAuth`).
    """

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_header_names)
    body: bytes = attrs.field(default=b"", repr=_length)

    @classmethod
    def get(cls, url: str) -> HttpRequest:
        """Make a GET that accepts JSON."""
        return cls(method="GET", url=url, headers={"Accept": "application/json"})

    @classmethod
    def post_json(cls, url: str, payload: Mapping[str, JsonValue]) -> HttpRequest:
        """Make a POST with a JSON body (UTF-8, compact)."""
        body = _write(payload)
        if body is None or b"null" in body:  # orjson writes NaN as null, which the standard library refuses
            body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return cls(method="POST", url=url, headers=headers, body=body)

    def fault(self) -> str | None:
        """Say why this cannot be sent as HTTP, or None; values are not shown, they may be secrets."""
        parts: tuple[object, object, object, object] = (self.method, self.url, self.headers, self.body)
        method, url, headers, body = parts
        if not isinstance(method, str) or not (method in _USUAL_METHODS or _TOKEN.fullmatch(method)):
            return "its method is no HTTP method"
        if not isinstance(url, str) or not (
            url.startswith(_SCHEMES) or url[:8].lower().startswith(_SCHEMES)  # nearly all are in lower case
        ):
            return "its address is not an http(s) URL"
        if not isinstance(body, bytes):
            return f"its body is of the type {type(body).__name__}, not bytes"
        if not isinstance(headers, _MAPPINGS):
            return f"its headers are of the type {type(headers).__name__}, not a mapping"
        try:
            if _are_plain(tuple(headers.items())):
                return None
        except TypeError:
            pass  # not all are texts: the faulty one is named below
        for name, value in headers.items():
            is_text = isinstance(name, str) and isinstance(value, str)
            fault = _text_fault(name, value) if is_text else _header_fault(name, value)
            if fault is not None:
                return fault
        return None


@attrs.frozen(kw_only=True)
class HttpResponse:
    """One whole HTTP answer. `header` reads a header without regard to case.

    ``received_at`` is the wall-clock time when the answer was complete, or None in recordings.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_header_names)
    body: bytes = attrs.field(default=b"", repr=_length)
    received_at: datetime | None = None

    def header(self, name: str) -> str | None:
        """Return the stripped value of a header, whatever its case; None when it is absent or empty."""
        wanted = name.lower()
        found = next((value.strip() for key, value in self.headers.items() if key.lower() == wanted), "")
        return found or None

    @property
    def is_success(self) -> bool:
        """True for the 2xx statuses. That proves nothing where a vendor answers 200 to everything."""
        return 200 <= self.status < 300

    def json(self) -> JsonValue:
        """Decode the body with `read_json`.

        Raises:
            ProviderError: class ``protocol``, when the body is not JSON (empty, cut, HTML).
        """
        try:
            return read_json(self.body)
        except (ValueError, RecursionError) as exc:
            message = f"the vendor's answer (HTTP {self.status}) is not JSON"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=self.status, maybe_accepted=True) from exc

    def json_object(self) -> dict[str, JsonValue]:
        """Decode the body as a JSON object.

        Raises:
            ProviderError: class ``protocol``, when it is anything else.
        """
        value = self.json()
        if not isinstance(value, dict):
            message = (
                f"the vendor's answer (HTTP {self.status}) is a JSON {type(value).__name__}, not an object"
            )
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=self.status, maybe_accepted=True)
        return value


def read_json(content: bytes | str) -> JsonValue:
    """Decode a vendor's JSON leniently: a fault in one needless field must not cost a paid song.

    Seen: NaN and Infinity (they become null), raw line breaks in texts, a byte order mark at the start, bytes
    in a text that are not UTF-8 (they become replacement characters), integers of thousands of digits (null
    as well).

    Raises:
        ValueError: it is not JSON, leniently or not.
        RecursionError: it is nested too deeply.
    """
    try:
        return read_quickly(content.encode() if isinstance(content, str) else content)
    except ValueError:  # seen: all of the above
        return _read_leniently(content)


def _read_leniently(content: bytes | str) -> JsonValue:
    if isinstance(content, bytes):
        content = content.decode(json.detect_encoding(content), "replace")
    content = content.removeprefix("\ufeff")
    try:
        value: JsonValue = _LENIENT.decode(content)
    except json.JSONDecodeError:
        raise
    except ValueError:
        value = _MORE_LENIENT.decode(content)
    return value


def _integer(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:  # more digits than the interpreter converts
        return None


def _nothing(_constant: str) -> None:
    return None


_LENIENT = json.JSONDecoder(strict=False, parse_constant=_nothing)
#: It calls a Python function for every integer, so it is used only where one is too long.
_MORE_LENIENT = json.JSONDecoder(strict=False, parse_constant=_nothing, parse_int=_integer)


def write_json(value: object) -> bytes:
    """Encode JSON as UTF-8, compact; a number that JSON cannot hold becomes null."""
    body = _write(value)
    if body is not None:
        return body
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # Seen in debug views: a vendor's 1e999.
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _write(value: object) -> bytes | None:
    """Encode what orjson encodes; None for integers beyond 64 bits, half of a surrogate pair, odd keys."""
    try:
        return orjson.dumps(value, option=_WRITE_OPTIONS)
    except TypeError:
        return None


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
