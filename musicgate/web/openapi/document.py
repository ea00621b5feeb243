"""Make the OpenAPI document of a running application from its router.

**Source**: OpenAPI Specification 3.1.1 (24 October 2024).
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from musicgate.web.openapi.components import load_components
from musicgate.web.openapi.operation import Access
from musicgate.web.openapi.operations import JOBS, OPERATIONS
from musicgate.web.openapi.parts import (
    ERRORS,
    HEADERS,
    OF_A_KEY,
    OF_EVERY_ROUTE,
    PARAMETERS,
    PATH_PARAMETERS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiohttp import web

    from musicgate.web.openapi.operation import Answer, Operation

_VERSION: Final = "3.1.1"
_SCHEMAS: Final = "#/components/schemas/"
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_TAGS: Final = {
    "Music": "Make music, and follow it.",
    "Audio": "What was made. A signed link needs no key.",
    "Catalogue": "What can be asked of whom.",
    "Agents": "For agents, and for clients of other APIs.",
    "Webhooks": "Messages to the account about the end of its jobs.",
    "Operation": "For operators and vendors.",
    "Administration": "Accounts and keys, for administrators.",
    "Description": "What tools read.",
    "Aliases": "The same below `/v1/music/generations`.",
}
_ABOUT: Final = """\
One API for every music model. Every path below `/v1/music/generate` is there below `/v1/music/generations` too. HEAD
works wherever GET does, and OPTIONS everywhere. `Content-Type` of a request is ignored, and `Accept` outside of
`/v1/audio`, `/mcp` and `/metrics`. Another method is a 405 with `Allow`.

Every answer that is not a success has the body `ErrorAnswer`; of `/mcp`, what the protocol says. Readers ignore keys that they do not know: answers may
gain some."""
_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "The key of an account, as `Authorization: Bearer <key>`, exactly so.",
}
_METRICS_TOKEN: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "`server.metrics_token`, unless `server.metrics` is open.",
}
#: Operations that take the id that a create call returns.
_LINKED: Final = (
    "getMusicGeneration",
    "cancelMusicGeneration",
    "deleteMusicGeneration",
    "streamMusicEvents",
    "listWebhookDeliveries",
)


def describe(
    app: web.Application,
    bases: Sequence[str],
    option_blocks: Mapping[str, Mapping[str, Any]],
    *,
    base_url: str,
    needs_key: bool,
) -> dict[str, Any]:
    """Describe every route of an application.

    Args:
        bases: the paths of the collection; the first one is the documented one.
        option_blocks: schemas of the blocks of a request that installed plugins read, by name.
        base_url: where the application is reached, with the prefix of a proxy.
        needs_key: False if the server has no accounts.

    Raises:
        LookupError: a route, or a part of one, is not described in `musicgate.web.openapi.operations`.
    """
    order = list(OPERATIONS)
    described = []
    for method, path in routes_of(app):
        base = next((base for base in bases if path == base or path.startswith(f"{base}/")), None)
        template = path if base is None else JOBS + path.removeprefix(base)
        if (method, template) not in OPERATIONS:
            raise LookupError(f"{method} {template} is not described in musicgate/web/openapi/operations.py")
        is_alias = base not in {None, bases[0]}
        described.append((is_alias, order.index((method, template)), path))
    paths: dict[str, dict[str, Any]] = {}
    for is_alias, place, path in sorted(described):
        method, operation = order[place][0], OPERATIONS[order[place]]
        paths.setdefault(path, {})[method.lower()] = _operation(
            operation, path, "Alias" if is_alias else "", needs_key=needs_key
        )
    return {
        "openapi": _VERSION,
        "info": {
            "title": "musicgate",
            "version": version("musicgate"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "webhooks": _webhooks(),
        "components": {
            "schemas": load_components(option_blocks),
            "parameters": {name: _parameter(name) for name in PARAMETERS},
            "headers": {
                name: {"description": text, "schema": dict(schema)}
                for name, (text, schema) in HEADERS.items()
            },
            "responses": {name: _error(text, headers) for name, text, headers in ERRORS.values()},
            "securitySchemes": {**({"key": _KEY} if needs_key else {}), "metrics_token": _METRICS_TOKEN},
        },
    }


def routes_of(app: web.Application) -> Iterator[tuple[str, str]]:
    """List method and path of every route that is described on its own.

    HEAD is where GET is. A path that ends in a slash is one with an id that is empty.
    """
    for route in app.router.routes():
        about = route.get_info() if route.resource is None else route.resource.get_info()
        path = about.get("path") or about.get("formatter") or ""
        if route.method != "HEAD" and not path.endswith("/"):
            yield route.method, path


def _operation(operation: Operation, path: str, alias: str, *, needs_key: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id + alias,
        "tags": ["Aliases" if alias else operation.tag],
        "summary": operation.summary,
        "security": _security(operation.access, needs_key=needs_key),
    }
    text = f"{operation.text} The same as {operation.id}." if alias else operation.text
    if text:
        described["description"] = text.strip()
    parameters = [
        {"name": name, "in": "path", "required": True, "description": about, "schema": dict(schema)}
        for name in _VARIABLE.findall(path)
        for about, schema in [PATH_PARAMETERS[name]]
    ]
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": _schema(operation.body)}
        if operation.example is not None:
            content["example"] = dict(operation.example)
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {"application/json": content},
        }
    statuses = {*OF_EVERY_ROUTE, *operation.errors}
    if operation.access in {Access.KEY, Access.LINK, Access.ADMIN}:
        statuses.update(OF_A_KEY)
    responses = {status: _answer(answer) for status, answer in operation.answers.items()}
    if operation.links:
        responses[200]["links"] = {
            target: {"operationId": target + alias, "parameters": {"music_id": "$response.body#/id"}}
            for target in _LINKED
        }
    errors = {status: {"$ref": f"#/components/responses/{ERRORS[status][0]}"} for status in statuses}
    responses = errors | responses  # what an operation says itself counts
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return described


def _security(access: Access, *, needs_key: bool) -> list[dict[str, list[str]]]:
    if access is Access.METRICS:
        return [{"metrics_token": []}, {}]
    if access is Access.PUBLIC or not needs_key:
        return []
    # The signature of a link is a parameter: as a scheme of its own, clients would send the key as signature.
    return [{"key": []}, {}] if access is Access.LINK else [{"key": []}]


def _answer(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.text}
    if answer.headers:
        described["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers}
    if answer.content:
        described["content"] = {
            media_type: {"schema": _schema(schema)} for media_type, schema in answer.content.items()
        }
    return described


def _schema(schema: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"$ref": _SCHEMAS + schema} if isinstance(schema, str) else dict(schema)


def _parameter(name: str) -> dict[str, Any]:
    place, text, schema = PARAMETERS[name]
    # Parameters of one name that mean other things elsewhere: `audit.limit`, `usage.format`.
    shown = name.rpartition(".")[2]
    described: dict[str, Any] = {"name": shown, "in": place, "description": text, "schema": dict(schema)}
    if schema.get("type") == "array":
        described |= {"style": "form", "explode": False}
    return described


def _error(text: str, headers: Sequence[str]) -> dict[str, Any]:
    names = ("X-Gateway-Error-Attribution", "Cache-Control", *headers)
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {"application/json": {"schema": _schema("ErrorAnswer")}},
    }


def _webhooks() -> dict[str, Any]:
    """The messages to customers.

    **Source**: Standard Webhooks 1.0.0.
    """
    headers = {
        "webhook-id": "Id of the message, the same for every try.",
        "webhook-timestamp": "Time of this try, in seconds since 1970.",
        "webhook-signature": "`v1,` and the signature; two of them while a secret is being changed.",
    }
    messages = {
        "music.completed": ("onMusicCompleted", "A job is completed", "WebhookMessage"),
        "music.failed": ("onMusicFailed", "A job has failed", "WebhookMessage"),
        "webhook.test": ("onWebhookTest", "A test message", "WebhookTestMessage"),
    }
    return {
        name: {
            "post": {
                "operationId": identifier,
                "tags": ["Webhooks"],
                "summary": summary,
                "description": "Verify the signature. Any 2xx within 15 seconds is a delivery; anything else is retried.",
                "security": [],
                "parameters": [
                    {
                        "name": header,
                        "in": "header",
                        "required": True,
                        "description": text,
                        "schema": {"type": "string"},
                    }
                    for header, text in headers.items()
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _schema(component)}},
                },
                "responses": {
                    "2XX": {"description": "The message was received."},
                    "410": {"description": "The URL is not to be used any more."},
                },
            }
        }
        for name, (identifier, summary, component) in messages.items()
    }
