"""Holds answers against the OpenAPI document of the server."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import jsonschema_rs

from musicgate.web.app import make_app
from musicgate.web.openapi import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.gateway import Gateway

BASES: Final = ("/v1/music/generate", "/v1/music/generations")
_SERVER: Final = "https://music.example"


class Description:
    """An OpenAPI document, with validators for what it describes."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(path))), item)
            for path, item in document["paths"].items()
        ]

    def violations(
        self, method: str, url: str, status: int, headers: Mapping[str, str], raw: bytes
    ) -> list[str]:
        """Where an answer is not as described; none for what is no operation, such as a 405."""
        path = urlsplit(url).path
        nothing: Mapping[str, Any] = {}
        item = next((item for pattern, item in self._paths if pattern.fullmatch(path)), nothing)
        operation = item.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            return []
        answer = operation["responses"].get(str(status))
        if answer is None:
            return [f"{operation['operationId']} has no {status}"]
        answer = self._resolved(answer)
        missing = [name for name in answer.get("headers", {}) if name in _ALWAYS and name not in headers]
        if missing:
            return [f"{operation['operationId']} {status} lacks {', '.join(missing)}"]
        content = answer.get("content", {})
        media_type = headers.get("Content-Type", "").partition(";")[0]
        found = next((value for name, value in content.items() if _is_in(media_type, name)), None)
        if method == "HEAD" and not media_type:
            return []  # such as a stream whose vendor is not asked
        if found is None:
            return [f"{operation['operationId']} {status} has no {media_type}"] if raw or content else []
        if not media_type.endswith(("/json", "+json")) or not raw:
            return []
        return self.broken(found["schema"], json.loads(raw))

    def broken(self, schema: Mapping[str, Any], value: object) -> list[str]:
        """Where a value breaks a schema of the document."""
        validator = self._validator(json.dumps(schema))
        return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]

    @functools.cache  # noqa: B019 - there is one for each run of tests
    def _validator(self, schema: str) -> jsonschema_rs.Draft202012Validator:
        complete = {**json.loads(schema), "components": self.document["components"]}
        return jsonschema_rs.Draft202012Validator(complete)

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in node:
            return node
        found: Any = self.document
        for key in node["$ref"].split("/")[1:]:
            found = found[key]
        return dict(found)


_made: Final[dict[str, Description]] = {}
#: Headers that are always there where they are described.
_ALWAYS: Final = frozenset(
    {"ETag", "X-Gateway-Error-Attribution", "Location", "Content-Range", "Accept-Ranges"}
)


def _is_in(media_type: str, described: str) -> bool:
    return media_type == described or (
        described.endswith("/*") and media_type.startswith(described.removesuffix("*"))
    )


def description_of(gateway: Gateway) -> Description:
    """The description of a server, made once for each set of routes: one setting decides about one route."""
    kind = gateway.settings.server.metrics
    if kind not in _made:
        document = describe(make_app(gateway), BASES, {}, base_url=_SERVER, needs_key=True)
        _made[kind] = Description(document)
    return _made[kind]
