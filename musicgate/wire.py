"""HTTP as values: what a plugin asks for and what came back; no socket, no client library."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import ProviderError
from musicgate.model.failure import Failure, FailureClass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from musicgate.model.json_types import JsonValue


def _header_names(headers: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: ..." for name in headers) + "}"


def _length(body: bytes) -> str:
    return f"<{len(body)} bytes>"


@attrs.frozen(kw_only=True)
class HttpRequest:
    """One HTTP request. Its ``repr`` shows neither header values nor the body.

    ``headers`` must not hold the provider's key: the gateway adds it when it sends (`musicgate.model.provider.HeaderAuth`).
    """

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_header_names)
    body: bytes = attrs.field(default=b"", repr=_length)

    @classmethod
    def get(cls, url: str) -> HttpRequest:
        """A GET that asks for JSON."""
        return cls(method="GET", url=url, headers={"Accept": "application/json"})

    @classmethod
    def post_json(cls, url: str, payload: Mapping[str, JsonValue]) -> HttpRequest:
        """A POST with a JSON body (UTF-8, compact)."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return cls(method="POST", url=url, headers=headers, body=body)


@attrs.frozen(kw_only=True)
class HttpResponse:
    """One whole HTTP answer. Header names are compared without case through `header`.

    ``received_at`` is the transport's clock when the answer was complete, or None in recordings.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=_header_names)
    body: bytes = attrs.field(default=b"", repr=_length)
    received_at: datetime | None = None

    def header(self, name: str) -> str | None:
        """Value of a header, whatever its case, stripped; None when it is absent or empty."""
        wanted = name.lower()
        found = next((value.strip() for key, value in self.headers.items() if key.lower() == wanted), "")
        return found or None

    @property
    def is_success(self) -> bool:
        """True for the 2xx statuses. That proves nothing where a vendor answers 200 to everything."""
        return 200 <= self.status < 300

    def json(self) -> JsonValue:
        """The body as a JSON value.

        Raises:
            ProviderError: class ``protocol``, when the body is not JSON (empty, cut, HTML, NaN, wrong encoding).
        """
        try:
            value: JsonValue = json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            message = f"the vendor's answer (HTTP {self.status}) is not JSON"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=self.status, maybe_accepted=True) from exc
        return value

    def json_object(self) -> dict[str, JsonValue]:
        """The body as a JSON object.

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


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def write_json(value: object) -> bytes:
    """An answer's body. A number that JSON cannot write (a vendor's 1e999 in a debug view) becomes null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
